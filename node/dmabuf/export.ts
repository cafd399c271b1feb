/** Making dma-bufs, and the file descriptors that name them (Linux drivers/dma-buf/dma-buf.c). */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { type FileOperations, OpenFile } from '../process/file.ts';
import { isOpenFlags } from '../process/open-flags.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufOperations } from './dma-buf.ts';
import { dma_resv_init } from './reservation.ts';

/** The one implementation of `DmaBuf`: the buffer is its file. For this folder only. */
export class ExportedDmaBuf implements DmaBuf, FileOperations {
  readonly kind = 'dmabuf';
  readonly operations: DmaBufOperations;
  readonly size: number;
  readonly attachments = new Set<DmaBufAttachment>();
  readonly file = new OpenFile(this);
  readonly reservation = dma_resv_init();
  state: 'live' | 'revoked' = 'live';

  constructor(operations: DmaBufOperations, size: number) {
    this.operations = operations;
    this.size = size;
  }

  /** The last reference is gone. An attachment left behind would reach freed memory. */
  release(): void {
    assert(this.attachments.size === 0, 'Expected no attachment when a dma-buf is released');
    this.operations.release();
  }
}

/** A dma-buf of `size` bytes with one reference, the caller's. */
export function dma_buf_export(operations: DmaBufOperations, size: number): DmaBuf {
  assert(Number.isSafeInteger(size) && size > 0, `Expected a size above 0 but found ${size}`);
  return new ExportedDmaBuf(operations, size);
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
