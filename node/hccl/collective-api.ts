/**
 * The collectives of a user program. A call returns once it is queued; `stream` defaults to the default
 * stream. Buffers are device addresses; counts are in elements, and may be 0 or divide by nothing unless
 * it says so. Buffers must be apart, or lie as the call's "in place" says. How failures come: `api.ts`.
 */
import type { SystemCallChannel } from '../process/system-call.ts';
import {
  HCCL_DEFAULT_STREAM,
  type HcclComm,
  type HcclDataType,
  type HcclRedOp,
  type HcclStream,
} from './hccl.ts';

/**
 * recvBuffer[i] = reduction over ranks of sendBuffer[i], on every rank, `count` elements.
 * In place: the same address for both.
 */
export async function hcclAllReduce(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  count: number,
  dataType: HcclDataType,
  reduceOp: HcclRedOp,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclAllReduce', {
    sendBuffer,
    recvBuffer,
    count,
    dataType,
    reduceOp,
    comm,
    stream,
  });
}

/**
 * recvBuffer[i] = reduction over ranks of sendBuffer[i], at `root`; elsewhere recvBuffer does not matter.
 * In place, at the root: the same address for both.
 */
export async function hcclReduce(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  count: number,
  dataType: HcclDataType,
  reduceOp: HcclRedOp,
  root: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclReduce', {
    sendBuffer,
    recvBuffer,
    count,
    dataType,
    reduceOp,
    root,
    comm,
    stream,
  });
}

/**
 * recvBuffer = root's sendBuffer, on every rank; elsewhere sendBuffer does not matter.
 * In place, at the root: the same address for both.
 */
export async function hcclBroadcast(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  count: number,
  dataType: HcclDataType,
  root: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclBroadcast', {
    sendBuffer,
    recvBuffer,
    count,
    dataType,
    root,
    comm,
    stream,
  });
}

/**
 * Block r of recvBuffer = rank r's sendBuffer, `sendCount` elements each, on every rank.
 * In place: sendBuffer is this rank's block of recvBuffer.
 */
export async function hcclAllGather(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  sendCount: number,
  dataType: HcclDataType,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclAllGather', {
    sendBuffer,
    recvBuffer,
    count: sendCount,
    dataType,
    comm,
    stream,
  });
}

/**
 * recvBuffer = this rank's block of the reduction over ranks of sendBuffer, `recvCount` elements per block.
 * In place: recvBuffer is this rank's block of sendBuffer, of which the rest may be overwritten.
 */
export async function hcclReduceScatter(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  recvCount: number,
  dataType: HcclDataType,
  reduceOp: HcclRedOp,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclReduceScatter', {
    sendBuffer,
    recvBuffer,
    count: recvCount,
    dataType,
    reduceOp,
    comm,
    stream,
  });
}

/**
 * Block r of recvBuffer = this rank's block of rank r's sendBuffer. `count` is that of the whole sendBuffer, a
 * multiple of the number of ranks. In place: the same address for both, on every rank.
 */
export async function hcclAlltoAll(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  count: number,
  dataType: HcclDataType,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclAlltoAll', { sendBuffer, recvBuffer, count, dataType, comm, stream });
}

/**
 * Block r of root's recvBuffer = rank r's sendBuffer, `sendCount` elements each; elsewhere recvBuffer does
 * not matter. In place, at the root: sendBuffer is its block of recvBuffer.
 */
export async function hcclGather(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  sendCount: number,
  dataType: HcclDataType,
  root: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclGather', {
    sendBuffer,
    recvBuffer,
    count: sendCount,
    dataType,
    root,
    comm,
    stream,
  });
}

/**
 * recvBuffer = this rank's block of root's sendBuffer, `recvCount` elements each; elsewhere sendBuffer does
 * not matter. In place, at the root: recvBuffer is its block of sendBuffer.
 */
export async function hcclScatter(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  recvCount: number,
  dataType: HcclDataType,
  root: number,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclScatter', {
    sendBuffer,
    recvBuffer,
    count: recvCount,
    dataType,
    root,
    comm,
    stream,
  });
}

/** As hcclAllGather, with `counts[r]` elements in block r; blocks lie one behind the other. */
export async function hcclAllGatherV(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  counts: readonly number[],
  dataType: HcclDataType,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclAllGatherV', { sendBuffer, recvBuffer, counts, dataType, comm, stream });
}

/** As hcclReduceScatter, with `counts[r]` elements in block r; blocks lie one behind the other. */
export async function hcclReduceScatterV(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  counts: readonly number[],
  dataType: HcclDataType,
  reduceOp: HcclRedOp,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclReduceScatterV', {
    sendBuffer,
    recvBuffer,
    counts,
    dataType,
    reduceOp,
    comm,
    stream,
  });
}

/**
 * As hcclAlltoAll, with `sendCounts[r]` elements to rank r and `recvCounts[r]` from it; blocks lie one behind
 * the other. What a rank sends to another is what that one takes from it. In place both lists are equal.
 */
export async function hcclAlltoAllV(
  channel: SystemCallChannel,
  sendBuffer: number,
  recvBuffer: number,
  sendCounts: readonly number[],
  recvCounts: readonly number[],
  dataType: HcclDataType,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclAlltoAllV', {
    sendBuffer,
    recvBuffer,
    sendCounts,
    recvCounts,
    dataType,
    comm,
    stream,
  });
}

/** Ends on no rank before every rank has called it and come to it in its stream. */
export async function hcclBarrier(
  channel: SystemCallChannel,
  comm: HcclComm,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('hcclBarrier', { comm, stream });
}

/**
 * A reduction of this communicator: the sum over ranks of each rank's scalar times its input, which stays
 * as it is out of place. For one data type; an integer type takes an integer of its range. Each rank may
 * have a scalar of its own.
 */
export async function hcclRedOpCreatePreMulSum(
  channel: SystemCallChannel,
  scalar: number,
  dataType: HcclDataType,
  comm: HcclComm,
): Promise<HcclRedOp> {
  return (await channel.call('hcclRedOpCreatePreMulSum', { scalar, dataType, comm })) as number;
}

/** Frees what hcclRedOpCreatePreMulSum gave. Calls that are queued still have it. */
export async function hcclRedOpDestroy(
  channel: SystemCallChannel,
  op: HcclRedOp,
  comm: HcclComm,
): Promise<void> {
  await channel.call('hcclRedOpDestroy', { op, comm });
}
