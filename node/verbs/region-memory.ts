/**
 * The memory behind a region. For a dma-buf: pinned and revocable, as `ib_umem_dmabuf_get_pinned_
 * revocable_and_lock()` gives it (drivers/infiniband/core/umem_dmabuf.c): a reference to the buffer,
 * an attachment, a mapping, and a callback that ends all use of it at once.
 */
import { type Errno, isErrno } from '../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_detach,
  dma_buf_map_attachment,
  dma_buf_unmap_attachment,
} from '../dmabuf/attachment.ts';
import type { DmaBuf, DmaBufAttachment, SgTable } from '../dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../dmabuf/export.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { SegmentList } from './segments.ts';

export interface RegionMemory {
  /** False once the memory has been taken back. */
  readonly live: boolean;
  /** Views of a range, by offset in the region. Only while `live`. */
  slice(offset: number, length: number): Uint8Array[];
  /** Gives everything back. Called once. */
  release(): void;
}

/** Longest segment the NIC takes, in bytes (dma_get_max_seg_size()). */
const SEGMENT_BYTES_MAX = 2 ** 31;

class DmaBufMemory implements RegionMemory {
  readonly #dmaBuf: DmaBuf;
  readonly #attachment: DmaBufAttachment;
  readonly #table: SgTable;
  readonly #segments: SegmentList;
  readonly #offset: number;

  constructor(dmaBuf: DmaBuf, attachment: DmaBufAttachment, table: SgTable, offset: number) {
    this.#dmaBuf = dmaBuf;
    this.#attachment = attachment;
    this.#table = table;
    this.#segments = new SegmentList(table.segments);
    this.#offset = offset;
  }

  get live(): boolean {
    return this.#table.state === 'mapped';
  }

  slice(offset: number, length: number): Uint8Array[] {
    return this.#segments.slice(this.#offset + offset, length);
  }

  release(): void {
    this.unmap();
    dma_buf_detach(this.#attachment);
    dma_buf_put(this.#dmaBuf);
  }

  /** Ends the mapping if it has not ended: at release, or when the exporter revokes. */
  unmap(): void {
    if (this.#table.state !== 'unmapped') dma_buf_unmap_attachment(this.#attachment);
  }
}

/** Pins the buffer behind `fd`. On failure nothing is held. */
export function pinDmaBuf(
  process: SimProcess,
  fd: number,
  range: { readonly offset: number; readonly length: number },
): RegionMemory | Errno {
  const dmaBuf = dma_buf_get(process, fd);
  if (isErrno(dmaBuf)) return dmaBuf;
  const memory = mapRange(dmaBuf, range);
  if (isErrno(memory)) dma_buf_put(dmaBuf);
  return memory;
}

function mapRange(
  dmaBuf: DmaBuf,
  { offset, length }: { readonly offset: number; readonly length: number },
): RegionMemory | Errno {
  if (offset + length > dmaBuf.size) return 'EINVAL';
  let memory: DmaBufMemory | undefined;
  const attachment = dma_buf_attach(dmaBuf, {
    name: 'hlsim_nic',
    allowPeer2Peer: true,
    maxSegmentBytes: SEGMENT_BYTES_MAX,
    invalidateMappings: () => memory?.unmap(),
  });
  if (isErrno(attachment)) return attachment;
  const table = dma_buf_map_attachment(attachment, 'DMA_BIDIRECTIONAL');
  if (isErrno(table)) {
    dma_buf_detach(attachment);
    return table;
  }
  memory = new DmaBufMemory(dmaBuf, attachment, table, offset);
  return memory;
}
