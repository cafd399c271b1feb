/** Hosts with devices, a NIC and user processes, on a network in memory and in virtual time. */
import { assert } from '../../../common/assert.ts';
import { MiB } from '../../../common/bytes.ts';
import { VirtualScheduler } from '../../../common/scheduler.ts';
import { createDevice, type GaudiDevice, registerDevice } from '../../../node/device/device.ts';
import * as hlthunk from '../../../node/device/hlthunk.ts';
import type { OwnershipPolicy } from '../../../node/device/ownership.ts';
import { registerFabricCalls } from '../../../node/fabric-calls.ts';
import { registerDescriptorCalls } from '../../../node/process/descriptor-calls.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import {
  type SystemCallChannel,
  SystemCallError,
  type SystemCallValue,
} from '../../../node/process/system-call.ts';
import { isSystemCallValue } from '../../../node/process/system-call-argument.ts';
import { inlineChannel, SystemCallTable } from '../../../node/process/system-call-table.ts';
import { MemoryNetwork, type MemoryNetworkInit } from '../../../node/transport/memory-transport.ts';
import { createNic, type Nic } from '../../../node/verbs/nic.ts';
import * as core from '../../../node/verbs/rdma-core.ts';
import * as connecting from '../../../node/verbs/rdma-core-connect.ts';
import type { VerbsMr } from '../../../node/verbs/rdma-core-objects.ts';
import * as queues from '../../../node/verbs/rdma-core-queues.ts';
import { registerUverbs } from '../../../node/verbs/uverbs.ts';
import type { UverbsSendWr } from '../../../node/verbs/uverbs-uapi.ts';

const PROCESS_MEMORY_BYTES = 1 * MiB;
let lastPid = 100;

/** A user process: what its program has. */
export interface User {
  readonly process: SimProcess;
  readonly channel: SystemCallChannel;
}

export class UserHost {
  readonly table = new SystemCallTable();
  readonly nodes = registerDescriptorCalls(this.table);
  readonly nic: Nic;
  readonly device: GaudiDevice;

  constructor(
    network: MemoryNetwork,
    scheduler: VirtualScheduler,
    nodeId: string,
    ownership: OwnershipPolicy,
  ) {
    this.nic = createNic({ transport: network.transport(nodeId), scheduler });
    this.device = createDevice({ index: 0, hbmBytes: 4 * MiB, scheduler, ownership });
    registerDevice(this.nodes, this.device);
    registerUverbs(this.nodes, this.nic);
    registerFabricCalls(this.table, this.nic);
  }

  start(): User {
    const process = new SimProcess({
      pid: ++lastPid,
      containerId: `c${lastPid}`,
      memory: new SharedArrayBuffer(PROCESS_MEMORY_BYTES),
    });
    return { process, channel: throughPort(inlineChannel(this.table, process)) };
  }
}

/** What a worker's port does to values: they are cloned, and those that are no plain values end it. */
function throughPort(channel: SystemCallChannel): SystemCallChannel {
  const carried = (value: SystemCallValue): SystemCallValue => {
    const clone: unknown = structuredClone(value);
    assert(isSystemCallValue(clone), 'Expected a value that a port carries');
    return clone;
  };
  return {
    call: async (name, argument) => carried(await channel.call(name, carried(argument))),
  };
}

export class UserWorld {
  readonly scheduler = new VirtualScheduler();
  readonly network: MemoryNetwork;
  readonly a: UserHost;
  readonly b: UserHost;

  constructor(
    ownership: OwnershipPolicy = 'owner',
    properties: Pick<MemoryNetworkInit, 'bandwidthBytesPerMs'> = {},
  ) {
    const { scheduler } = this;
    this.network = new MemoryNetwork({ scheduler, latencyMs: 0.01, ...properties });
    this.a = new UserHost(this.network, this.scheduler, 'host-a', ownership);
    this.b = new UserHost(this.network, this.scheduler, 'host-b', ownership);
  }

  /** Runs virtual time until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.run(promise);
  }

  async wait(ms: number): Promise<void> {
    const passed = new Promise<void>((resolve) => {
      this.scheduler.after(ms, resolve);
    });
    await this.run(passed);
  }
}

/** Device memory of a user, exported as a dma-buf. */
export interface Exported {
  readonly device: number;
  readonly address: number;
  readonly handle: number;
  readonly dmaBuf: number;
}

/** open, alloc, map, export. */
export async function exportMemory({ channel }: User, bytes: number): Promise<Exported> {
  const device = await hlthunk.hlthunk_open(channel, 0);
  const handle = await hlthunk.hlthunk_device_memory_alloc(channel, device, bytes);
  const address = await hlthunk.hlthunk_device_memory_map(channel, device, handle);
  const dmaBuf = await hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd(
    channel,
    device,
    address,
    bytes,
  );
  return { device, address, handle, dmaBuf };
}

/** Moves bytes between user memory and device memory by a DMA job. */
export async function dma(
  { channel }: User,
  device: number,
  userAddress: number,
  deviceAddress: number,
  bytes: number,
  direction: 'toDevice' | 'fromDevice',
): Promise<void> {
  const host = await hlthunk.hlthunk_host_memory_map(channel, device, userAddress, bytes);
  const [source, destination] =
    direction === 'toDevice' ? [host, deviceAddress] : [deviceAddress, host];
  const job = { kind: 'dma', source, destination, bytes } as const;
  const sequence = await hlthunk.hlthunk_command_submission(channel, device, [job]);
  const status = await hlthunk.hlthunk_wait_for_cs(channel, device, sequence, 1_000_000);
  if (status !== 'COMPLETED') throw new Error(`DMA ended with ${status}`);
  await hlthunk.hlthunk_memory_unmap(channel, device, host);
}

/** The verbs library, as a program imports it. */
export const ibv = { ...core, ...queues, ...connecting };

export const REGION_BYTES = 65_536;
export const IOVA = 0x10_0000;
export const REMOTE = [
  'IBV_ACCESS_LOCAL_WRITE',
  'IBV_ACCESS_REMOTE_WRITE',
  'IBV_ACCESS_REMOTE_READ',
  'IBV_ACCESS_REMOTE_ATOMIC',
] as const;
export const CAP = { max_send_wr: 16, max_recv_wr: 16, max_send_sge: 4, max_recv_sge: 4 };

/** A queue pair in INIT with what belongs to it. */
export async function openQueuePair(user: User, cqe = 64) {
  const { channel } = user;
  const context = await ibv.ibv_open_device(channel);
  const pd = await ibv.ibv_alloc_pd(channel, context);
  const cq = await ibv.ibv_create_cq(channel, context, cqe);
  const qp = await ibv.ibv_create_qp(channel, pd, { send_cq: cq, recv_cq: cq, cap: CAP });
  await ibv.initQueuePair(channel, qp);
  return { user, channel, context, pd, cq, qp };
}

/** The same, and device memory of the process, registered as a dma-buf. */
export async function openWithMemory(user: User) {
  const memory = await exportMemory(user, REGION_BYTES);
  const opened = await openQueuePair(user);
  const { channel, pd } = opened;
  const mr = await ibv.ibv_reg_dmabuf_mr(channel, pd, 0, REGION_BYTES, IOVA, memory.dmaBuf, REMOTE);
  return { ...opened, memory, mr };
}

export type End = Awaited<ReturnType<typeof openQueuePair>>;

/** Both to RTS. What they tell each other goes as text, as through a job's store. */
export async function connect(
  left: End,
  right: End,
  overrides: Parameters<typeof connecting.connectQueuePair>[3] = {},
): Promise<void> {
  const a = JSON.stringify(await ibv.queuePairAddress(left.channel, left.qp));
  const b = JSON.stringify(await ibv.queuePairAddress(right.channel, right.qp));
  await ibv.connectQueuePair(left.channel, left.qp, JSON.parse(b), overrides);
  await ibv.connectQueuePair(right.channel, right.qp, JSON.parse(a), overrides);
}

/** A signalled write or read of `mr` against `remote`, of its whole length. */
export function rdma(
  opcode: 'IBV_WR_RDMA_WRITE' | 'IBV_WR_RDMA_READ',
  wr_id: number,
  mr: VerbsMr,
  remote: VerbsMr,
): UverbsSendWr {
  return {
    wr_id,
    opcode,
    sg_list: [{ lkey: mr.lkey, address: mr.addr, length: mr.length }],
    send_flags: ['IBV_SEND_SIGNALED'],
    remote_addr: remote.addr,
    rkey: remote.rkey,
  };
}

/** The errno that a call failed with; `no error` if it did not. */
export async function errnoOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (reason) {
    if (reason instanceof SystemCallError && reason.family === 'errno') return reason.code;
    throw reason;
  }
  return 'no error';
}
