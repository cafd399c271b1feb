/**
 * The HCCL calls of a user program (HabanaAI/HCL `include/hccl.h`), over the system-call channel. The
 * library's engine runs in the host process; a call here is a message to it. Here are communicators,
 * streams and the job; collectives are in `collective-api.ts`, messages and groups in `message-api.ts`,
 * events in `event-api.ts`.
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
  type HcclCommChoice,
  type HcclCommCounters,
  type HcclLink,
  type HcclSchedule,
  type HcclStream,
} from './hccl.ts';

/** A new unique id for hcclCommInitRank; one rank makes it, all use it. */
export async function hcclGetUniqueId(channel: SystemCallChannel): Promise<string> {
  return (await channel.call('hcclGetUniqueId', null)) as string;
}

export interface HcclInitOptions {
  /**
   * `false`: returns at once, and the communicator connects in the background (NCCL's non-blocking init).
   * Until it has, hcclCommGetAsyncError and every call on it answer hcclTryAgain; if it cannot, they
   * answer why.
   */
  readonly blocking?: boolean;
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
  { blocking = true }: HcclInitOptions = {},
): Promise<HcclComm> {
  return (await channel.call('hcclCommInitRank', {
    fd,
    nranks,
    uniqueId,
    rank,
    blocking,
  })) as number;
}

/** Always throws hcclInvalidUsage: HCCL declares it and does not implement it. */
export async function hcclCommInitAll(channel: SystemCallChannel): Promise<void> {
  await channel.call('hcclCommInitAll', null);
}

/**
 * Splits a communicator; every rank of it must call. Ranks with the same `color` get a communicator of
 * their own, in which they are ordered by `key`, then by their rank in `comm`; a rank with color
 * HCCL_SPLIT_NOCOLOR gets `null`. hcclInvalidUsage, with the ranks that did not call, in bounded time.
 */
export async function hcclCommSplit(
  channel: SystemCallChannel,
  comm: HcclComm,
  color: number,
  key: number,
): Promise<HcclComm | null> {
  return (await channel.call('hcclCommSplit', { comm, color, key })) as number | null;
}

/**
 * Waits until everything queued on the communicator has ended, and tells the peers that this rank will
 * call no more. After it the communicator can only be destroyed.
 */
export async function hcclCommFinalize(channel: SystemCallChannel, comm: HcclComm): Promise<void> {
  await channel.call('hcclCommFinalize', { comm });
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

/** The device of the communicator, as it was named to hcclCommInitRank: its open descriptor. */
export async function hcclCommSynDevice(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<number> {
  return (await channel.call('hcclCommSynDevice', { comm })) as number;
}

/**
 * hcclSuccess while the communicator is sound, hcclTryAgain while it is being put together, else why it is
 * broken. Does not throw for the latter.
 */
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
 * How all further calls on the communicator are carried out, as far as `choice` says; `null`: as the
 * tuner says again. Every rank must choose alike. An algorithm that does not do a collective is ignored
 * for it; HLSIM_USAGE for one that does not exist (hlsim's own call).
 */
export async function hcclCommSetChoice(
  channel: SystemCallChannel,
  comm: HcclComm,
  choice: Partial<Omit<HcclCommChoice, 'collective'>> | null,
): Promise<void> {
  await channel.call('hcclCommSetChoice', { comm, choice });
}

/** How the last collective that was called on the communicator is carried out; `null` before the first. */
export async function hcclCommLastChoice(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<HcclCommChoice | null> {
  return (await channel.call('hcclCommLastChoice', { comm })) as unknown as HcclCommChoice | null;
}

/** By rank, what carries bytes between this rank and it (hlsim's own call); `null` for itself. */
export async function hcclCommGetLinks(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<readonly (HcclLink | null)[]> {
  return (await channel.call('hcclCommGetLinks', { comm })) as (HcclLink | null)[];
}

/**
 * Gives the communicator a schedule in MSCCL XML: later calls of its collective, with buffers for which it
 * is made, take it. Every rank must load the same. It is proved first; hcclInvalidArgument for one that
 * is refuted, for another number of ranks, or for no collective; HLSIM_PROGRAM_UNREADABLE, with the line,
 * for one that cannot be read (hlsim's own call).
 */
export async function hcclCommLoadSchedule(
  channel: SystemCallChannel,
  comm: HcclComm,
  text: string,
): Promise<HcclSchedule> {
  return (await channel.call('hcclCommLoadSchedule', { comm, text })) as unknown as HcclSchedule;
}

/** Takes the loaded schedules away; calls are carried out as without them (hlsim's own call). */
export async function hcclCommUnloadSchedule(
  channel: SystemCallChannel,
  comm: HcclComm,
): Promise<void> {
  await channel.call('hcclCommUnloadSchedule', { comm });
}

/** HCCL_VERSION_CODE of the library that this is modelled on. */
export async function hcclGetVersion(channel: SystemCallChannel): Promise<number> {
  return (await channel.call('hcclGetVersion', null)) as number;
}

/** What the last call of this process that failed said; empty if none has. */
export async function hcclGetLastErrorMessage(channel: SystemCallChannel): Promise<string> {
  return (await channel.call('hcclGetLastErrorMessage', null)) as string;
}

/** Throws what the driver says if `fd` is not an open device. hcclCommInitRank does not need it. */
export async function hcclDeviceInit(channel: SystemCallChannel, fd: number): Promise<void> {
  await channel.call('hcclDeviceInit', { fd });
}

/**
 * A descriptor of a dma-buf of the allocation that contains `bytes` bytes at `address`, on a device with
 * a communicator. It is the caller's to close.
 */
export async function hcclLookupDMABuff(
  channel: SystemCallChannel,
  address: number,
  bytes: number,
): Promise<number> {
  return (await channel.call('hcclLookupDMABuff', { address, bytes })) as number;
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
