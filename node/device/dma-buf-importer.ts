/**
 * The device as an importer: a dma-buf of another device of the same host gets device virtual addresses
 * (downstream driver, REG_DMABUF_FD). The DMA engine then reaches it through the mapping's segments.
 */
import type { Errno } from '../../common/errno.ts';
import {
  dma_buf_attach,
  dma_buf_map_attachment,
  dma_buf_teardown,
  dma_buf_unmap_attachment,
} from '../dmabuf/attachment.ts';
import type { DmaBufAttachment, DmaBufImporter } from '../dmabuf/dma-buf.ts';
import { dma_buf_get, dma_buf_put } from '../dmabuf/export.ts';
import { dma_resv_locked } from '../dmabuf/reservation.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { ImportMapping, Mmu } from './mmu.ts';
import { importTakenBack } from './submission-fences.ts';

/** dma_get_max_seg_size() of the DMA engine: a 32-bit length. */
const MAX_SEGMENT_BYTES = 2 ** 32 - 4096;

/**
 * Maps the first `size` bytes of the dma-buf behind `fd`. EBADF, EINVAL: not a dma-buf, or the size does
 * not fit; ENODEV: revoked; ENOMEM; or what the exporter answers. A failure leaves nothing behind. When
 * the exporter takes the memory back, jobs that use it end with EIO; the mapping stays until UNMAP.
 */
export async function importDmaBuf(
  mmu: Mmu,
  name: string,
  caller: SimProcess,
  fd: number,
  size: number,
): Promise<ImportMapping | Errno> {
  const dmaBuf = dma_buf_get(caller, fd);
  if (typeof dmaBuf === 'string') return dmaBuf;
  const { pid, containerId } = caller;
  const importer: DmaBufImporter = {
    name,
    holder: { pid, containerId },
    allowPeer2Peer: true,
    maxSegmentBytes: MAX_SEGMENT_BYTES,
    kind: 'dynamic',
    // No job is in the middle of a copy now, and the next one finds the mapping dead.
    invalidateMappings(attachment) {
      importTakenBack(attachment);
      dma_buf_unmap_attachment(attachment);
    },
  };
  const fits = size > 0 && size <= dmaBuf.size;
  const attachment = fits ? dma_buf_attach(dmaBuf, importer) : 'EINVAL';
  if (typeof attachment === 'string') {
    dma_buf_put(dmaBuf);
    return attachment;
  }
  const mapping = await dma_resv_locked(dmaBuf.reservation, () =>
    mapAttached(mmu, attachment, size),
  );
  if (typeof mapping === 'string') await dma_buf_teardown(attachment);
  return mapping;
}

/** Undoes `importDmaBuf` after the mapping was taken out of the MMU; at once unless a lock is held. */
export function releaseImport({ attachment }: ImportMapping): Promise<void> {
  return dma_buf_teardown(attachment);
}

function mapAttached(mmu: Mmu, attachment: DmaBufAttachment, size: number): ImportMapping | Errno {
  const table = dma_buf_map_attachment(attachment, 'DMA_BIDIRECTIONAL');
  return typeof table === 'string' ? table : mmu.mapImport(attachment, table, size);
}
