/** Messages between two ranks, and groups of calls. How failures come: `api.ts`. */
import type { SystemCallChannel } from '../process/system-call.ts';
import { HCCL_DEFAULT_STREAM, type HcclComm, type HcclDataType, type HcclStream } from './hccl.ts';

/**
 * Sends `count` elements to rank `peer`, which receives them with its hcclRecv of the same place in the
 * order of calls between the two. Both must name the same count and type. The stream goes on when the
 * peer has them: sends and receives that wait for each other belong in a group.
 */
export async function hcclSend(
  channel: SystemCallChannel,
  buffer: number,
  count: number,
  dataType: HcclDataType,
  peer: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclSend', { buffer, count, dataType, peer, comm, stream });
}

/** Receives what rank `peer` sends: see hcclSend. */
export async function hcclRecv(
  channel: SystemCallChannel,
  buffer: number,
  count: number,
  dataType: HcclDataType,
  peer: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclRecv', { buffer, count, dataType, peer, comm, stream });
}

/**
 * From here on calls of this process are checked and recorded. They start together at the outermost
 * hcclGroupEnd: messages cannot wait for each other, and several communicators may be called in any order.
 */
export async function hcclGroupStart(channel: SystemCallChannel): Promise<void> {
  await channel.call('hcclGroupStart', null);
}

/**
 * Queues what was recorded. Throws the first refusal of a call since the group began, with which none of
 * its calls is made; hcclInvalidUsage if no group is open.
 */
export async function hcclGroupEnd(channel: SystemCallChannel): Promise<void> {
  await channel.call('hcclGroupEnd', null);
}
