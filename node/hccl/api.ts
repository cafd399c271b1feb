/**
 * The HCCL calls of a user program (HabanaAI/HCL `include/hccl.h`), over the system-call channel. The
 * library's engine runs in the host process; a call here is a message to it.
 *
 * As in C: a collective returns once it is queued on its stream, and its outcome comes with the
 * stream's synchronisation. Unlike C: results other than hcclSuccess are thrown, as a
 * `SystemCallError` of family `hccl` whose `code` is the result's name; out-parameters are returned;
 * hcclCommInitRank names the device by its open descriptor.
 */
import type { SystemCallChannel, SystemCallValue } from '../process/system-call.ts';
import {
  HCCL_DEFAULT_STREAM,
  type HcclAsyncError,
  type HcclComm,
  type HcclCommCounters,
  type HcclDataType,
  type HcclRedOp,
  type HcclStream,
} from './hccl.ts';

/** A new unique id for hcclCommInitRank; one rank makes it, all use it. */
export async function hcclGetUniqueId(channel: SystemCallChannel): Promise<string> {
  return (await channel.call('hcclGetUniqueId', null)) as string;
}

/**
 * Joins communicator `uniqueId` as `rank` of `nranks` with the device open as `fd`. Returns when every
 * rank has joined and all are connected; hcclInvalidUsage if they cannot agree, in bounded time.
 */
export async function hcclCommInitRank(
  channel: SystemCallChannel,
  fd: number,
  nranks: number,
  uniqueId: string,
  rank: number,
): Promise<HcclComm> {
  return (await channel.call('hcclCommInitRank', { fd, nranks, uniqueId, rank })) as number;
}

/** Frees the communicator after its queued collectives have ended. */
export async function hcclCommDestroy(channel: SystemCallChannel, comm: HcclComm): Promise<void> {
  await channel.call('hcclCommDestroy', { comm });
}

/** Ends the communicator's collectives with an error and frees it. */
export async function hcclCommAbort(channel: SystemCallChannel, comm: HcclComm): Promise<void> {
  await channel.call('hcclCommAbort', { comm });
}

export async function hcclCommCount(channel: SystemCallChannel, comm: HcclComm): Promise<number> {
  return (await channel.call('hcclCommCount', { comm })) as number;
}

export async function hcclCommUserRank(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<number> {
  return (await channel.call('hcclCommUserRank', { comm })) as number;
}

/** hcclSuccess while the communicator is sound, else why it is not. Does not throw for the latter. */
export async function hcclCommGetAsyncError(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<HcclAsyncError> {
  return (await channel.call('hcclCommGetAsyncError', { comm })) as unknown as HcclAsyncError;
}

/** What this rank's NIC has moved for the communicator (hlsim's own call). */
export async function hcclCommGetCounters(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<HcclCommCounters> {
  return (await channel.call('hcclCommGetCounters', { comm })) as unknown as HcclCommCounters;
}

/**
 * recvBuffer[i] = sum over ranks of sendBuffer[i], on every rank, `count` elements. Buffers are device
 * addresses; the same one for both means in place.
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
  const argument = { sendBuffer, recvBuffer, count, dataType, reduceOp, comm, stream };
  await channel.call('hcclAllReduce', argument);
}

/**
 * Block r of recvBuffer = rank r's sendBuffer, `sendCount` elements each, on every rank. In place:
 * sendBuffer is this rank's block of recvBuffer.
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
  const argument = { sendBuffer, recvBuffer, count: sendCount, dataType, comm, stream };
  await channel.call('hcclAllGather', argument);
}

/** recvBuffer = root's sendBuffer, on every rank. sendBuffer matters at the root alone. */
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
  const argument = { sendBuffer, recvBuffer, count, dataType, root, comm, stream };
  await channel.call('hcclBroadcast', argument);
}

/** A new stream (Synapse's synStreamCreateGeneric); at most `HCCL_STREAMS_MAX` per process. */
export async function synStreamCreate(channel: SystemCallChannel): Promise<HcclStream> {
  return (await channel.call('synStreamCreate', null)) as number;
}

/** Frees a stream after what is queued on it has ended. */
export async function synStreamDestroy(
  channel: SystemCallChannel,
  stream: HcclStream,
): Promise<void> {
  await channel.call('synStreamDestroy', { stream });
}

/**
 * Waits until everything queued on the stream has ended. Throws the first failure since the last
 * synchronisation; its message names the rank, the collective and the step.
 */
export async function synStreamSynchronize(
  channel: SystemCallChannel,
  stream: HcclStream = HCCL_DEFAULT_STREAM,
): Promise<void> {
  await channel.call('synStreamSynchronize', { stream });
}

/**
 * Has HCCL drop its own export and registration of the allocation that contains `address`, so that it
 * can be unmapped and freed. Nothing if there is none; hcclBusy while a collective uses it.
 */
export async function hcclDropRegistration(
  channel: SystemCallChannel,
  fd: number,
  address: number,
): Promise<void> {
  await channel.call('hcclDropRegistration', { fd, address });
}

/** Waits until every rank of the job has called it as often as this one. */
export async function jobBarrier(channel: SystemCallChannel): Promise<void> {
  await channel.call('jobBarrier', null);
}

/** Sets a key of the job's store. */
export async function storeSet(
  channel: SystemCallChannel,
  key: string,
  value: string,
): Promise<void> {
  await channel.call('storeSet', { key, value });
}

/** The value of a key of the job's store; waits, with a deadline, until somebody has set it. */
export async function storeGet(channel: SystemCallChannel, key: string): Promise<string> {
  return (await channel.call('storeGet', { key })) as string;
}

/** Sends a structured value to whoever submitted the job (a result, or progress). */
export async function reportResult(
  channel: SystemCallChannel,
  value: SystemCallValue,
): Promise<void> {
  await channel.call('reportResult', { json: JSON.stringify(value) });
}
