/** hcclSend and hcclRecv. */
import { z } from 'zod';
import type { SystemCallValue } from '../process/system-call.ts';
import { type CallHost, findCommunicator, findStream, parse } from './call-host.ts';
import { checkAddress, checkCount, elementBytesOf } from './collective-call.ts';
import { launchOrRecord } from './collective-calls.ts';
import { invalidArgument } from './failure.ts';
import { HCCL_DEFAULT_STREAM } from './hccl.ts';
import type { Launch } from './launch.ts';
import type { MessageCall } from './message.ts';
import type { HcclProcess } from './process-state.ts';
import { refuseArguments } from './strict.ts';

const messageArgument = z.object({
  buffer: z.number(),
  count: z.number(),
  dataType: z.int(),
  peer: z.int(),
  comm: z.int(),
  stream: z.int().default(HCCL_DEFAULT_STREAM),
});

export function registerMessageCalls(host: CallHost): void {
  for (const [name, kind] of [
    ['hcclSend', 'send'],
    ['hcclRecv', 'recv'],
  ] as const) {
    host.register(name, async (caller, argument) => {
      const state = host.state(caller);
      await launchOrRecord(state, () => messageLaunch(state, kind, argument));
    });
  }
}

function messageLaunch(
  state: HcclProcess,
  kind: MessageCall['kind'],
  argument: SystemCallValue,
): Launch {
  const { comm, stream, peer, buffer, dataType, ...rest } = parse(messageArgument, argument);
  const open = findCommunicator(state, comm);
  open.expectReady();
  if (peer < 0 || peer >= open.nranks) {
    throw invalidArgument(`Expected a peer from 0 to ${open.nranks - 1} but found ${peer}`);
  }
  const elementBytes = elementBytesOf(dataType);
  if (open.init.settings.strict) refuseArguments(dataType, undefined);
  const count = checkCount(rest.count);
  if (count > 0) checkAddress(buffer, elementBytes);
  const bytes = count * elementBytes;
  return {
    kind: 'message',
    open,
    stream: findStream(state, stream),
    message: { kind, peer, count, dataType, address: buffer, bytes },
  };
}
