/** A fence as a file (Linux drivers/dma-buf/sync_file.c): user programs pass it on, poll it and merge it. */
import { assert } from '../../common/assert.ts';
import { ERRNO, type Errno, isErrno } from '../../common/errno.ts';
import { type FileOperations, OpenFile, type PollEvent } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import { integerField, recordOf, stringField } from '../process/system-call-argument.ts';
import { type DmaFence, dma_fence_get, dma_fence_get_status, dma_fence_put } from './fence.ts';
import { dma_fence_unwrap, dma_fence_unwrap_merge } from './fence-unwrap.ts';
import { waitForFences } from './fence-wait.ts';

/** Longest name of a merged file, with its end. */
const NAME_BYTES_MAX = 32;

class SyncFile implements FileOperations {
  readonly kind = 'sync_file';
  readonly fence: DmaFence;
  readonly name: string;

  /** Takes over the caller's reference to the fence. */
  constructor(fence: DmaFence, name: string) {
    this.fence = fence;
    this.name = name;
  }

  /** SYNC_IOC_MERGE {name, fd2}: {fd}. SYNC_IOC_FILE_INFO: {name, status, fences}. */
  ioctl(caller: SimProcess, request: string, argument: SystemCallValue): SystemCallValue {
    switch (request) {
      case 'SYNC_IOC_MERGE':
        return this.#merge(caller, argument);
      case 'SYNC_IOC_FILE_INFO':
        return this.#info();
      default:
        throw errnoFailure('ENOTTY', `a sync_file has no ${request}`);
    }
  }

  /** POLLIN once the fence has signalled. */
  async poll(events: readonly PollEvent[], signal: AbortSignal): Promise<readonly PollEvent[]> {
    if (!events.includes('POLLIN')) return [];
    const ended = await waitForFences([this.fence], signal);
    return ended === undefined ? ['POLLIN'] : [];
  }

  release(): void {
    dma_fence_put(this.fence);
  }

  #merge(caller: SimProcess, argument: SystemCallValue): SystemCallValue {
    const record = recordOf(argument, 'the argument of SYNC_IOC_MERGE');
    const name = stringField(record, 'name');
    if (name.length >= NAME_BYTES_MAX) throw errnoFailure('EINVAL', 'the name is too long');
    const other = sync_file_get_fence(caller, integerField(record, 'fd2'));
    // The kernel says ENOENT here, whatever is wrong with the descriptor.
    if (isErrno(other)) throw errnoFailure('ENOENT', 'fd2 is no sync_file');
    const merged = dma_fence_unwrap_merge(this.fence, other);
    dma_fence_put(other);
    const fd = sync_file_fd(caller, merged, name);
    if (typeof fd !== 'number') throw errnoFailure(fd, 'SYNC_IOC_MERGE');
    return { fd };
  }

  #info(): SystemCallValue {
    const fences = [...dma_fence_unwrap(this.fence)].map((fence) => ({
      driver: fence.operations.driverName,
      timeline: fence.operations.timelineName,
      status: statusNumber(fence),
    }));
    return { name: this.name, status: statusNumber(this.fence), fences };
  }
}

/**
 * A descriptor of `process` for the fence, of which it takes over the caller's reference. EMFILE, and
 * the reference is dropped.
 */
export function sync_file_fd(process: SimProcess, fence: DmaFence, name: string): number | Errno {
  const fd = process.fds.reserve();
  if (typeof fd !== 'number') {
    dma_fence_put(fence);
    return fd;
  }
  process.fds.install(fd, new OpenFile(new SyncFile(fence, name)));
  return fd;
}

/** The fence behind a descriptor, with a new reference. EINVAL if it names no sync_file. */
export function sync_file_get_fence(process: SimProcess, fd: number): DmaFence | Errno {
  const file = process.fds.lookup(fd);
  if (typeof file === 'string' || !(file.operations instanceof SyncFile)) return 'EINVAL';
  return dma_fence_get(file.operations.fence);
}

/** As the kernel counts: 0 active, 1 signalled, below 0 the error. */
function statusNumber(fence: DmaFence): number {
  const status = dma_fence_get_status(fence);
  if (status === 'unsignaled') return 0;
  if (status === 'signaled') return 1;
  assert(isErrno(status), 'Expected a fence to fail with an errno');
  return -ERRNO[status][0];
}
