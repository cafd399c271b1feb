/**
 * Work on another device's memory shows in the dma-buf's reservation until it has ended, or until the
 * memory has been taken back: a job runs in one piece and looks at its mapping first, so what still
 * stands in the queue then never touches the memory, however long the queue is.
 */
import type { DmaBufAttachment } from '../dmabuf/dma-buf.ts';
import {
  type DmaFence,
  dma_fence_add_callback,
  dma_fence_init,
  dma_fence_set_error,
  dma_fence_signal,
} from '../dmabuf/fence.ts';
import {
  dma_resv_add_fence,
  dma_resv_locked,
  dma_resv_reserve_fences,
} from '../dmabuf/reservation.ts';
import type { PreparedJob } from './prepared-job.ts';

/** Fences of one import that have not signalled. */
const shown = new WeakMap<DmaBufAttachment, Set<DmaFence>>();

/**
 * Shows the submission behind `fence` to every dma-buf that its jobs touch, at once if nobody holds the
 * buffer's lock.
 */
export function showToExporters(jobs: readonly PreparedJob[], fence: DmaFence): void {
  const attachments = new Set<DmaBufAttachment>();
  for (const { ranges } of jobs) {
    for (const { mapping } of ranges) {
      if (mapping.kind === 'import') attachments.add(mapping.attachment);
    }
  }
  for (const attachment of attachments) void showTo(attachment, fence);
}

/** The memory behind an import has been taken back: no job will touch it. */
export function importTakenBack(attachment: DmaBufAttachment): void {
  const fences = shown.get(attachment) ?? [];
  shown.delete(attachment);
  for (const own of fences) {
    dma_fence_set_error(own, 'EIO');
    dma_fence_signal(own);
  }
}

async function showTo(attachment: DmaBufAttachment, fence: DmaFence): Promise<void> {
  const { file, reservation } = attachment.dmaBuf;
  file.get();
  await dma_resv_locked(reservation, () => {
    if (attachment.mapping?.state !== 'mapped') return;
    const own = dma_fence_init();
    const fences = shown.get(attachment) ?? new Set();
    shown.set(attachment, fences.add(own));
    dma_resv_reserve_fences(reservation, 1);
    dma_resv_add_fence(reservation, own, 'BOOKKEEP');
    const ended = () => {
      if (!fences.delete(own) || own.state === 'signaled') return;
      if (fence.error !== undefined) dma_fence_set_error(own, fence.error);
      dma_fence_signal(own);
    };
    if (dma_fence_add_callback(fence, ended) === 'ENOENT') ended();
  });
  file.put();
}
