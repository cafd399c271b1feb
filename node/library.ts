/**
 * `import { ... } from 'hlsim'`: what a user program calls. The same functions as in
 * `device/hlthunk.ts`, `hccl/api.ts` and `process/process-api.ts`, bound to the calling process's system-call channel.
 *
 * Usable in a program that `hlsim run` started; elsewhere every call fails with an `HlsimError`.
 */
import { environmentVariable } from '../common/environment.ts';
import { HlsimError } from '../common/errors.ts';
import { keepAliveTimer, wallScheduler } from '../common/scheduler.ts';
import { bind } from './bound-call.ts';
import * as hlthunk from './device/hlthunk.ts';
import * as hccl from './hccl/api.ts';
import * as collective from './hccl/collective-api.ts';
import * as events from './hccl/event-api.ts';
import type { HcclComm } from './hccl/hccl.ts';
import * as messages from './hccl/message-api.ts';
import { currentProcess } from './process/current-process.ts';
import * as processes from './process/process-api.ts';
import { SystemCallError } from './process/system-call.ts';

export type { Job } from './device/job.ts';
export * from './device-library.ts';
export {
  FI_ADDR_NOTAVAIL,
  FI_ADDR_UNSPEC,
  type FiAddr,
  type FiCompletion,
  type FiCompletionError,
  type FiErrno,
  type FiInfo,
  type FiMrAttr,
  isFiErrno,
} from './fabric/fabric.ts';
export {
  type FabricAv,
  type FabricBuffer,
  type FabricCntr,
  type FabricCq,
  type FabricDomain,
  type FabricEndpoint,
  type FabricEq,
  FabricError,
  type FabricFabric,
  type FabricMr,
  type FabricMrBuffer,
  type FabricRange,
} from './fabric-answer.ts';
export type { FabricMrAttr } from './fabric-api.ts';
export type { FabricEvent, FabricEventError } from './fabric-completion-api.ts';
export type { FabricAtomicTarget, FabricMsgRma, FabricTarget } from './fabric-rma-api.ts';
export type { FabricMsg, FabricReceiveMsg } from './fabric-transfer-api.ts';
export type { HcclInitOptions } from './hccl/api.ts';
export { hcclGetErrorString } from './hccl/failure.ts';
export * from './hccl/hccl.ts';
export type { PollEvent, SeekWhence } from './process/file.ts';
export { type HostBuffer, hostMemoryAlloc } from './process/host-memory.ts';
export { O_CLOEXEC, O_RDWR } from './process/open-flags.ts';
export { type PollRequest, type SpawnOptions, textOf } from './process/process-api.ts';
export type { ExitStatus, Signal } from './process/signal.ts';
export type { ReceivedMessage } from './process/socket-calls.ts';
export { SystemCallError } from './process/system-call.ts';
export * from './rdma-library.ts';
export type { QueuePairAddress } from './verbs/rdma-core-connect.ts';
export type * from './verbs/rdma-core-objects.ts';
export { BadWorkRequestError } from './verbs/rdma-core-queues.ts';
export type {
  IbvDeviceAttr,
  IbvGid,
  IbvQpDescription,
  UverbsEventElement,
  UverbsQpAttr,
  UverbsRecvWr,
  UverbsSendWr,
  UverbsWc,
} from './verbs/uverbs-uapi.ts';

export const hlthunk_open = bind(hlthunk.hlthunk_open);
export const hlthunk_open_control = bind(hlthunk.hlthunk_open_control);
export const hlthunk_device_reset = bind(hlthunk.hlthunk_device_reset);
export const hlthunk_close = bind(hlthunk.hlthunk_close);
export const hlthunk_get_hw_ip_info = bind(hlthunk.hlthunk_get_hw_ip_info);
export const hlthunk_get_dram_usage = bind(hlthunk.hlthunk_get_dram_usage);
export const hlthunk_get_device_status_info = bind(hlthunk.hlthunk_get_device_status_info);
export const hlthunk_get_open_stats = bind(hlthunk.hlthunk_get_open_stats);
export const hlthunk_device_memory_alloc = bind(hlthunk.hlthunk_device_memory_alloc);
export const hlthunk_device_memory_free = bind(hlthunk.hlthunk_device_memory_free);
export const hlthunk_device_memory_map = bind(hlthunk.hlthunk_device_memory_map);
export const hlthunk_host_memory_map = bind(hlthunk.hlthunk_host_memory_map);
export const hlthunk_device_memory_lookup = bind(hlthunk.hlthunk_device_memory_lookup);
export const hlthunk_device_mapped_memory_export_dmabuf_fd = bind(
  hlthunk.hlthunk_device_mapped_memory_export_dmabuf_fd,
);
export const hlthunk_import_dmabuf_fd = bind(hlthunk.hlthunk_import_dmabuf_fd);
export const hlthunk_command_submission = bind(hlthunk.hlthunk_command_submission);
export const hlthunk_wait_for_cs = bind(hlthunk.hlthunk_wait_for_cs);

/** Unmaps a device address; HCCL first drops its own registration of the allocation there. */
export async function hlthunk_memory_unmap(fd: number, address: number): Promise<void> {
  const { channel } = currentProcess();
  await hccl.hcclDropRegistration(channel, fd, address);
  await hlthunk.hlthunk_memory_unmap(channel, fd, address);
}

export const hcclGetUniqueId = bind(hccl.hcclGetUniqueId);
export const hcclCommInitRank = bind(hccl.hcclCommInitRank);
export const hcclCommInitAll = bind(hccl.hcclCommInitAll);
export const hcclCommSplit = bind(hccl.hcclCommSplit);
export const hcclCommFinalize = bind(hccl.hcclCommFinalize);
export const hcclCommDestroy = bind(hccl.hcclCommDestroy);
export const hcclCommAbort = bind(hccl.hcclCommAbort);
export const hcclCommCount = bind(hccl.hcclCommCount);
export const hcclCommUserRank = bind(hccl.hcclCommUserRank);
export const hcclCommSynDevice = bind(hccl.hcclCommSynDevice);
export const hcclCommGetAsyncError = bind(hccl.hcclCommGetAsyncError);
export const hcclCommGetCounters = bind(hccl.hcclCommGetCounters);
export const hcclCommSetChoice = bind(hccl.hcclCommSetChoice);
export const hcclCommGetLinks = bind(hccl.hcclCommGetLinks);
export const hcclCommLastChoice = bind(hccl.hcclCommLastChoice);
export const hcclCommLoadSchedule = bind(hccl.hcclCommLoadSchedule);
export const hcclCommUnloadSchedule = bind(hccl.hcclCommUnloadSchedule);
export const hcclGetVersion = bind(hccl.hcclGetVersion);
export const hcclGetLastErrorMessage = bind(hccl.hcclGetLastErrorMessage);
export const hcclDeviceInit = bind(hccl.hcclDeviceInit);
export const hcclLookupDMABuff = bind(hccl.hcclLookupDMABuff);
export const hcclAllReduce = bind(collective.hcclAllReduce);
export const hcclReduce = bind(collective.hcclReduce);
export const hcclBroadcast = bind(collective.hcclBroadcast);
export const hcclAllGather = bind(collective.hcclAllGather);
export const hcclReduceScatter = bind(collective.hcclReduceScatter);
export const hcclAlltoAll = bind(collective.hcclAlltoAll);
export const hcclGather = bind(collective.hcclGather);
export const hcclScatter = bind(collective.hcclScatter);
export const hcclAllGatherV = bind(collective.hcclAllGatherV);
export const hcclReduceScatterV = bind(collective.hcclReduceScatterV);
export const hcclAlltoAllV = bind(collective.hcclAlltoAllV);
export const hcclBarrier = bind(collective.hcclBarrier);
export const hcclRedOpCreatePreMulSum = bind(collective.hcclRedOpCreatePreMulSum);
export const hcclRedOpDestroy = bind(collective.hcclRedOpDestroy);
export const hcclSend = bind(messages.hcclSend);
export const hcclRecv = bind(messages.hcclRecv);
export const hcclGroupStart = bind(messages.hcclGroupStart);
export const hcclGroupEnd = bind(messages.hcclGroupEnd);
export const synStreamCreate = bind(hccl.synStreamCreate);
export const synStreamDestroy = bind(hccl.synStreamDestroy);
export const synStreamSynchronize = bind(hccl.synStreamSynchronize);
export const synStreamWaitEvent = bind(events.synStreamWaitEvent);
export const synEventCreate = bind(events.synEventCreate);
export const synEventDestroy = bind(events.synEventDestroy);
export const synEventRecord = bind(events.synEventRecord);
export const synEventQuery = bind(events.synEventQuery);
export const synEventSynchronize = bind(events.synEventSynchronize);
export const jobBarrier = bind(hccl.jobBarrier);
export const storeSet = bind(hccl.storeSet);
export const storeGet = bind(hccl.storeGet);
export const reportResult = bind(hccl.reportResult);

export const getpid = bind(processes.getpid);
export const getppid = bind(processes.getppid);
export const spawnProcess = bind(processes.spawnProcess);
export const waitProcess = bind(processes.waitProcess);
export const killProcess = bind(processes.killProcess);
export const exitProcess = bind(processes.exitProcess);
export const onTermination = bind(processes.onTermination);
export const dup = bind(processes.dup);
export const dup2 = bind(processes.dup2);
export const closeDescriptor = bind(processes.closeDescriptor);
export const lseek = bind(processes.lseek);
export const mmap = bind(processes.mmap);
export const fdinfo = bind(processes.fdinfo);
export const poll = bind(processes.poll);
export const socketPair = bind(processes.socketPair);
export const sendMessage = bind(processes.sendMessage);
export const receiveMessage = bind(processes.receiveMessage);

/** How long, and how often, `initWorld` tries to open a device that is being released. */
const DEVICE_WAIT_MS = 10_000;
const DEVICE_RETRY_MS = 10;

/** Where this program runs, as torchrun names it. */
export interface RankEnvironment {
  readonly rank: number;
  readonly worldSize: number;
  /** Index of this rank's device on its host. */
  readonly localRank: number;
  readonly localWorldSize: number;
}

/** RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE of this program. */
export function rankEnvironment(): RankEnvironment {
  return {
    rank: integerVariable('RANK'),
    worldSize: integerVariable('WORLD_SIZE'),
    localRank: integerVariable('LOCAL_RANK'),
    localWorldSize: integerVariable('LOCAL_WORLD_SIZE'),
  };
}

/** A device and a communicator over all ranks of the job: what most programs begin with. */
export interface World extends RankEnvironment {
  /** Descriptor of this rank's device. */
  readonly fd: number;
  readonly comm: HcclComm;
}

/**
 * Opens this rank's device and joins one communicator of all ranks. `name` tells several such
 * communicators of one job apart.
 */
export async function initWorld(name = 'world'): Promise<World> {
  const environment = rankEnvironment();
  const fd = await openDevice(environment.localRank);
  const key = `hlsim.uniqueId.${name}`;
  if (environment.rank === 0) await storeSet(key, await hcclGetUniqueId());
  const uniqueId = await storeGet(key);
  const comm = await hcclCommInitRank(fd, environment.worldSize, uniqueId, environment.rank);
  return { ...environment, fd, comm };
}

/**
 * Opens a device; while the last user's memory is being let go or scrubbed (EAGAIN), tries again for
 * `DEVICE_WAIT_MS`.
 */
async function openDevice(index: number): Promise<number> {
  const deadline = wallScheduler.clock.now() + DEVICE_WAIT_MS;
  for (;;) {
    try {
      return await hlthunk_open(index);
    } catch (reason) {
      const again = reason instanceof SystemCallError && reason.code === 'EAGAIN';
      if (!again || wallScheduler.clock.now() >= deadline) throw reason;
    }
    await new Promise<void>((resolve) => {
      keepAliveTimer(DEVICE_RETRY_MS, resolve);
    });
  }
}

/** Allocates `bytes` of HBM and maps it: the device address. Free it with `freeDevice`. */
export async function allocateDevice(fd: number, bytes: number): Promise<number> {
  return hlthunk_device_memory_map(fd, await hlthunk_device_memory_alloc(fd, bytes));
}

/** Unmaps and frees what `allocateDevice` gave. */
export async function freeDevice(fd: number, address: number): Promise<void> {
  const { handle } = await hlthunk_device_memory_lookup(fd, address);
  await hlthunk_memory_unmap(fd, address);
  await hlthunk_device_memory_free(fd, handle);
}

function integerVariable(name: string): number {
  const value = Number(environmentVariable(name));
  if (!Number.isInteger(value)) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected ${name} to be an integer but found ${environmentVariable(name) ?? 'nothing'}: start the program with hlsim run`,
    );
  }
  return value;
}
