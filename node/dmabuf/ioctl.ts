/** What user programs ask of a dma-buf descriptor (Linux include/uapi/linux/dma-buf.h). */
import { type Errno, isErrno } from '../../common/errno.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import { integerField, recordOf, stringField } from '../process/system-call-argument.ts';
import { dma_buf_begin_cpu_access, dma_buf_end_cpu_access } from './cpu-access.ts';
import type { DmaBuf, DmaDirection } from './dma-buf.ts';
import { dma_fence_put } from './fence.ts';
import { dma_fence_unwrap } from './fence-unwrap.ts';
import { dma_resv_add_fence, dma_resv_locked, dma_resv_reserve_fences } from './reservation.ts';
import { dma_resv_get_singleton } from './reservation-iteration.ts';
import { dma_resv_usage_rw } from './reservation-wait.ts';
import { sync_file_fd, sync_file_get_fence } from './sync-file.ts';

export const DMA_BUF_SYNC_READ = 1;
export const DMA_BUF_SYNC_WRITE = 2;
export const DMA_BUF_SYNC_RW = 3;
export const DMA_BUF_SYNC_START = 0;
export const DMA_BUF_SYNC_END = 4;

/** Longest name of a buffer, with its end. */
export const DMA_BUF_NAME_LEN = 32;

/** What a processor does to the buffer, seen from the device. */
const DIRECTIONS: Readonly<Record<number, DmaDirection>> = {
  [DMA_BUF_SYNC_READ]: 'DMA_FROM_DEVICE',
  [DMA_BUF_SYNC_WRITE]: 'DMA_TO_DEVICE',
  [DMA_BUF_SYNC_RW]: 'DMA_BIDIRECTIONAL',
};

/** The requests, by the names of the C header without their common front. */
export async function dmaBufRequest(
  dmaBuf: DmaBuf & { name: string | undefined },
  caller: SimProcess,
  request: string,
  argument: SystemCallValue,
): Promise<SystemCallValue> {
  const record = recordOf(argument, `the argument of ${request}`);
  switch (request) {
    case 'DMA_BUF_IOCTL_SYNC':
      return done(await sync(dmaBuf, caller, integerField(record, 'flags')), request);
    case 'DMA_BUF_SET_NAME':
      return done(setName(dmaBuf, stringField(record, 'name')), request);
    case 'DMA_BUF_IOCTL_EXPORT_SYNC_FILE':
      return { fd: done(exportSyncFile(dmaBuf, caller, integerField(record, 'flags')), request) };
    case 'DMA_BUF_IOCTL_IMPORT_SYNC_FILE': {
      const [flags, fd] = [integerField(record, 'flags'), integerField(record, 'fd')];
      return done(await importSyncFile(dmaBuf, caller, flags, fd), request);
    }
    default:
      throw errnoFailure('ENOTTY', `a dma-buf has no ${request}`);
  }
}

/** EINVAL: no access or flags that are none; EINTR: the caller ends. Else what the exporter answers. */
async function sync(dmaBuf: DmaBuf, caller: SimProcess, flags: number): Promise<Errno | undefined> {
  const direction = DIRECTIONS[flags & DMA_BUF_SYNC_RW];
  const known = (flags & ~(DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END)) === 0;
  if (!known || direction === undefined) return 'EINVAL';
  if ((flags & DMA_BUF_SYNC_END) !== 0) return dma_buf_end_cpu_access(dmaBuf, direction);
  const stop = new AbortController();
  const forgetExit = caller.onExit(() => stop.abort());
  const errno = await dma_buf_begin_cpu_access(dmaBuf, direction, stop.signal);
  forgetExit();
  return errno;
}

function setName(dmaBuf: { name: string | undefined }, name: string): Errno | undefined {
  if (name.length >= DMA_BUF_NAME_LEN) return 'EINVAL';
  dmaBuf.name = name;
  return undefined;
}

/** A sync_file of what an access with `flags` would wait for. EINVAL flags; EMFILE. */
function exportSyncFile(dmaBuf: DmaBuf, caller: SimProcess, flags: number): number | Errno {
  if (DIRECTIONS[flags] === undefined) return 'EINVAL';
  const access = (flags & DMA_BUF_SYNC_WRITE) === 0 ? 'read' : 'write';
  const fence = dma_resv_get_singleton(dmaBuf.reservation, dma_resv_usage_rw(access));
  return sync_file_fd(caller, fence, 'dma-buf');
}

/** Later accesses wait for the fence of `fd`, as for one that does `flags`. EINVAL flags, or no sync_file. */
async function importSyncFile(
  { reservation }: DmaBuf,
  caller: SimProcess,
  flags: number,
  fd: number,
): Promise<Errno | undefined> {
  if (DIRECTIONS[flags] === undefined) return 'EINVAL';
  const fence = sync_file_get_fence(caller, fd);
  if (isErrno(fence)) return fence;
  const usage = (flags & DMA_BUF_SYNC_WRITE) === 0 ? 'READ' : 'WRITE';
  await dma_resv_locked(reservation, () => {
    const leaves = [...dma_fence_unwrap(fence)];
    dma_resv_reserve_fences(reservation, leaves.length);
    for (const leaf of leaves) dma_resv_add_fence(reservation, leaf, usage);
  });
  dma_fence_put(fence);
  return undefined;
}

function done<T extends number | undefined>(result: T | Errno, request: string): T {
  if (isErrno(result)) throw errnoFailure(result, request);
  return result as T;
}
