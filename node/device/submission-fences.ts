/**
 * Work on another device's memory shows in the dma-buf's reservation until it has ended: the exporter
 * that takes its memory back waits for it.
 */
import type { DmaBuf } from '../dmabuf/dma-buf.ts';
import type { DmaFence } from '../dmabuf/fence.ts';
import {
  dma_resv_add_fence,
  dma_resv_locked,
  dma_resv_reserve_fences,
} from '../dmabuf/reservation.ts';
import type { PreparedJob } from './prepared-job.ts';

/**
 * Adds `fence` to every dma-buf that the jobs touch, at once if nobody holds its lock. A job looks at its
 * mapping when it runs, so one that is taken back before the fence is there is not touched either.
 */
export function showToExporters(jobs: readonly PreparedJob[], fence: DmaFence): void {
  const dmaBufs = new Set<DmaBuf>();
  for (const { ranges } of jobs) {
    for (const { mapping } of ranges) {
      if (mapping.kind === 'import') dmaBufs.add(mapping.attachment.dmaBuf);
    }
  }
  for (const dmaBuf of dmaBufs) void showTo(dmaBuf, fence);
}

async function showTo(dmaBuf: DmaBuf, fence: DmaFence): Promise<void> {
  const { file, reservation } = dmaBuf;
  file.get();
  const added = dma_resv_locked(reservation, () => {
    dma_resv_reserve_fences(reservation, 1);
    dma_resv_add_fence(reservation, fence, 'BOOKKEEP');
  });
  await added;
  file.put();
}
