/**
 * The device as an importer: a dma-buf of another device of the same host gets device virtual addresses
 * (downstream driver, REG_DMABUF_FD). The DMA engine then reaches it through the mapping's segments.
 */
import type { Errno } from '../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_detach,
  dma_buf_map_attachment,
  dma_buf_unmap_attachment,
} from '../dmabuf/attachment.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufImporter } from '../dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../dmabuf/export.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { ImportMapping, Mmu } from './mmu.ts';

/** dma_get_max_seg_size() of the DMA engine: a 32-bit length. */
const MAX_SEGMENT_BYTES = 2 ** 32 - 4096;

/**
 * Maps the first `size` bytes of the dma-buf behind `fd`. EBADF, EINVAL: not a dma-buf, or the size does
 * not fit; ENODEV: revoked; ENOMEM; or what the exporter answers. A failure leaves nothing behind. When
 * the exporter takes the memory back, jobs that use it end with EIO; the mapping stays until UNMAP.
 */
export function importDmaBuf(
  mmu: Mmu,
  name: string,
  caller: SimProcess,
  fd: number,
  size: number,
): ImportMapping | Errno {
  const dmaBuf = dma_buf_get(caller, fd);
  if (typeof dmaBuf === 'string') return dmaBuf;
  const mapping = attachAndMap(mmu, name, dmaBuf, size);
  if (typeof mapping === 'string') dma_buf_put(dmaBuf);
  return mapping;
}

/** Undoes `importDmaBuf` after the mapping was taken out of the MMU. */
export function releaseImport({ attachment }: ImportMapping): void {
  dma_buf_unmap_attachment(attachment);
  dma_buf_detach(attachment);
  dma_buf_put(attachment.dmaBuf);
}

function attachAndMap(mmu: Mmu, name: string, dmaBuf: DmaBuf, size: number): ImportMapping | Errno {
  if (size === 0 || size > dmaBuf.size) return 'EINVAL';
  const importer: DmaBufImporter = {
    name,
    allowPeer2Peer: true,
    maxSegmentBytes: MAX_SEGMENT_BYTES,
  };
  const attachment = dma_buf_attach(dmaBuf, importer);
  if (typeof attachment === 'string') return attachment;
  const mapping = mapAttached(mmu, attachment, size);
  if (typeof mapping === 'string') dma_buf_detach(attachment);
  return mapping;
}

function mapAttached(mmu: Mmu, attachment: DmaBufAttachment, size: number): ImportMapping | Errno {
  const table = dma_buf_map_attachment(attachment, 'DMA_BIDIRECTIONAL');
  if (typeof table === 'string') return table;
  const mapping = mmu.mapImport(attachment, table, size);
  if (typeof mapping === 'string') dma_buf_unmap_attachment(attachment);
  return mapping;
}
