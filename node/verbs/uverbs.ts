/**
 * `/dev/infiniband/uverbs0`: verbs for user processes (Linux drivers/infiniband/core/uverbs_main.c,
 * uverbs_cmd.c). Opening it gives a context of one's own; requests name its objects by handle. Memory
 * is named by address in the caller's memory, or by a dma-buf descriptor of the *caller*, which need
 * not be who opened the device.
 */
import type { DeviceNodes } from '../process/descriptor-calls.ts';
import { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure } from '../process/system-call.ts';
import { recordOf } from '../process/system-call-argument.ts';
import type { Nic } from './nic.ts';
import * as events from './uverbs-events.ts';
import { UverbsFile } from './uverbs-file.ts';
import * as memory from './uverbs-memory.ts';
import * as queues from './uverbs-queues.ts';
import type { UverbsHandler } from './uverbs-request.ts';
import { UVERBS_DEVICE_ATTR, UVERBS_NODE_PATH, type UverbsRequest } from './uverbs-uapi.ts';

const HANDLERS: Readonly<Record<UverbsRequest, UverbsHandler>> = {
  IB_USER_VERBS_CMD_QUERY_DEVICE: () => ({ ...UVERBS_DEVICE_ATTR }),
  IB_USER_VERBS_CMD_QUERY_GID: ({ context }) => {
    const { nodeId, address } = context.nic.transport;
    return { nodeId, address: { ...address } };
  },
  IB_USER_VERBS_CMD_ALLOC_PD: memory.allocPd,
  IB_USER_VERBS_CMD_DEALLOC_PD: memory.deallocPd,
  IB_USER_VERBS_CMD_REG_MR: memory.regMr,
  UVERBS_METHOD_REG_DMABUF_MR: memory.regDmaBufMr,
  IB_USER_VERBS_CMD_REREG_MR: memory.reregMr,
  IB_USER_VERBS_CMD_DEREG_MR: memory.deregMr,
  UVERBS_METHOD_QUERY_MR: memory.queryMr,
  IB_USER_VERBS_CMD_CREATE_CQ: queues.createCq,
  IB_USER_VERBS_CMD_POLL_CQ: queues.pollCq,
  IB_USER_VERBS_CMD_RESIZE_CQ: queues.resizeCq,
  IB_USER_VERBS_CMD_DESTROY_CQ: queues.destroyCq,
  IB_USER_VERBS_CMD_CREATE_QP: queues.createQp,
  IB_USER_VERBS_CMD_MODIFY_QP: queues.modifyQp,
  IB_USER_VERBS_CMD_QUERY_QP: queues.queryQp,
  IB_USER_VERBS_CMD_DESTROY_QP: queues.destroyQp,
  IB_USER_VERBS_CMD_POST_SEND: queues.postSend,
  IB_USER_VERBS_CMD_POST_RECV: queues.postRecv,
  UVERBS_METHOD_GET_ASYNC_EVENT: events.getAsyncEvent,
  UVERBS_METHOD_ACK_ASYNC_EVENT: events.ackAsyncEvent,
};

/** Makes the device node of a host's NIC. */
export function registerUverbs(nodes: DeviceNodes, nic: Nic): void {
  nodes.register(UVERBS_NODE_PATH, (opener) => openUverbs(nic, opener));
}

function openUverbs(nic: Nic, opener: SimProcess): OpenFile {
  const file = new UverbsFile(nic, opener);
  return new OpenFile({
    kind: 'uverbs',
    ioctl(caller, request, argument) {
      if (!Object.hasOwn(HANDLERS, request)) {
        throw errnoFailure('ENOTTY', `the verbs device has no ${request}`);
      }
      if (file.state === 'closed') throw errnoFailure('EIO', `${request}: the NIC is gone`);
      const record = recordOf(argument ?? {}, `the argument of ${request}`);
      return HANDLERS[request as UverbsRequest](file, caller, record);
    },
    fdinfo: () => file.counts(),
    holds: () => [...file.mrs.values()].flatMap(({ memory }) => memory.file ?? []),
    // Only calls that are running still refer to it: they are told, and find it closed.
    closed: () => file.close(),
    release: () => file.close(),
    settled: () => file.settled(),
  });
}
