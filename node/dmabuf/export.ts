/** Making dma-bufs, and the file descriptors that name them (Linux drivers/dma-buf/dma-buf.c). */
import { assert } from '../../common/assert.ts';
import type { Deferred } from '../../common/deferred.ts';
import type { Errno } from '../../common/errno.ts';
import { type FileOperations, OpenFile, type PollEvent, type SeekWhence } from '../process/file.ts';
import { isOpenFlags } from '../process/open-flags.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufOperations, DmaBufState } from './dma-buf.ts';
import { dmaBufRequest } from './ioctl.ts';
import { dma_resv_assert_not_held, dma_resv_init } from './reservation.ts';
import { pollReservation } from './reservation-wait.ts';

/** The dma-bufs of one host that have not been released (the kernel's debugfs list). */
export class DmaBufList {
  readonly #dmaBufs = new Set<DmaBuf>();

  /** In the order they were exported. */
  get dmaBufs(): readonly DmaBuf[] {
    return [...this.#dmaBufs];
  }

  /** For `dma_buf_export`. */
  add(dmaBuf: DmaBuf): void {
    this.#dmaBufs.add(dmaBuf);
  }

  /** For the release of a dma-buf. */
  remove(dmaBuf: DmaBuf): void {
    this.#dmaBufs.delete(dmaBuf);
  }
}

export type RevokeMode = 'temporary' | 'permanent';

/** A revocation under way or done. For this folder only. */
export interface Revocation {
  mode: RevokeMode;
  /** How it ended, for those who ask meanwhile. */
  readonly ended: Deferred<Errno | undefined>;
}

/** The one implementation of `DmaBuf`: the buffer is its file. For this folder only. */
export class ExportedDmaBuf implements DmaBuf, FileOperations {
  readonly kind = 'dmabuf';
  readonly operations: DmaBufOperations;
  readonly size: number;
  readonly attachments = new Set<DmaBufAttachment>();
  readonly file: OpenFile = new OpenFile(this);
  readonly reservation = dma_resv_init();
  name: string | undefined;
  state: DmaBufState = 'live';
  revocation: Revocation | undefined;
  /** Run when a mapping ends. */
  readonly unmapListeners = new Set<() => void>();
  /** Importers that have handed the file of the memory on; see `dma_buf_share`. */
  readonly shareListeners = new Set<() => void>();
  readonly #list: DmaBufList | undefined;

  constructor(operations: DmaBufOperations, size: number, list: DmaBufList | undefined) {
    this.operations = operations;
    this.size = size;
    this.#list = list;
    list?.add(this);
  }

  ioctl(caller: SimProcess, request: string, argument: SystemCallValue): Promise<SystemCallValue> {
    return dmaBufRequest(this, caller, request, argument);
  }

  /** How user programs find out the size: only offset 0, from the end or the start. */
  lseek(offset: number, whence: SeekWhence): number | Errno {
    if (offset !== 0 || whence === 'SEEK_CUR') return 'EINVAL';
    return whence === 'SEEK_END' ? this.size : 0;
  }

  /** POLLIN: nobody writes it any more; POLLOUT: nobody uses it any more. */
  poll(events: readonly PollEvent[], signal: AbortSignal): Promise<readonly PollEvent[]> {
    return pollReservation(this.reservation, events, signal);
  }

  /** No exporter of hlsim has memory that a processor could map. */
  mmap(): Errno {
    return 'EINVAL';
  }

  fdinfo(): Record<string, string | number> {
    const { exporter } = this.operations;
    const named = this.name === undefined ? {} : { name: this.name };
    return { size: this.size, count: this.file.references, exp_name: exporter, ...named };
  }

  /** The last reference is gone. An attachment left behind would reach freed memory. */
  release(): void {
    dma_resv_assert_not_held(this.reservation);
    assert(this.attachments.size === 0, 'Expected no attachment when a dma-buf is released');
    this.state = 'released';
    this.#list?.remove(this);
    // A promise that fails is the end of the host, as what is thrown here is.
    void this.operations.unshare?.();
    this.operations.release();
  }
}

/** A dma-buf of `size` bytes with one reference, the caller's; shown in `list` until it is released. */
export function dma_buf_export(
  operations: DmaBufOperations,
  size: number,
  list?: DmaBufList,
): DmaBuf {
  assert(Number.isSafeInteger(size) && size > 0, `Expected a size above 0 but found ${size}`);
  const paired = (operations.pin === undefined) === (operations.unpin === undefined);
  assert(paired, 'Expected an exporter to have both pin and unpin, or neither');
  const sharing = (operations.share === undefined) === (operations.unshare === undefined);
  assert(sharing, 'Expected an exporter to have both share and unshare, or neither');
  return new ExportedDmaBuf(operations, size, list);
}

/**
 * A descriptor of `process` for the dma-buf. It takes over the caller's reference; on failure (EMFILE;
 * EINVAL flags) the reference stays the caller's. The number is shown to others last, when nothing
 * can fail any more.
 */
export function dma_buf_fd(process: SimProcess, dmaBuf: DmaBuf, flags: number): number | Errno {
  if (!isOpenFlags(flags)) return 'EINVAL';
  const fd = process.fds.reserve();
  if (typeof fd !== 'number') return fd;
  process.fds.install(fd, dmaBuf.file);
  return fd;
}

/** The dma-buf behind a descriptor, with a new reference. EBADF; EINVAL if it is another kind of file. */
export function dma_buf_get(process: SimProcess, fd: number): DmaBuf | Errno {
  const file = process.fds.lookup(fd);
  if (typeof file === 'string') return file;
  if (!(file.operations instanceof ExportedDmaBuf)) return 'EINVAL';
  file.get();
  return file.operations;
}

/** Drops a reference. */
export function dma_buf_put(dmaBuf: DmaBuf): void {
  dmaBuf.file.put();
}

/** For this folder only. */
export function exportedDmaBuf(dmaBuf: DmaBuf): ExportedDmaBuf {
  assert(dmaBuf instanceof ExportedDmaBuf, 'Expected a dma-buf of dma_buf_export()');
  return dmaBuf;
}
