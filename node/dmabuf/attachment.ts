/** Importing a dma-buf: attach, pin, map, unmap, unpin, detach (Linux drivers/dma-buf/dma-buf.c). */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { Attachment, attached } from './attachment-state.ts';
import type { DmaBuf, DmaBufAttachment, DmaBufImporter, DmaDirection, SgTable } from './dma-buf.ts';
import { dma_buf_put, exportedDmaBuf } from './export.ts';
import { asOwnFlow, lockOrder } from './lock-order.ts';
import {
  dma_resv_assert_held,
  dma_resv_assert_not_held,
  dma_resv_lock_soon,
  dma_resv_locked,
  dma_resv_test_signaled,
  dma_resv_under_lock,
  dma_resv_unlock,
} from './reservation.ts';
import { dma_resv_wait } from './reservation-wait.ts';

/** Whether the importer can be made to stop: it has a callback for it (Linux 7.1). */
export function dma_buf_attach_revocable({ importer }: DmaBufAttachment): boolean {
  return importer.invalidateMappings !== undefined;
}

/**
 * Attaches a device, without the lock. The importer must hold a reference to the dma-buf until it
 * detaches. ENODEV while revoked, or what the exporter answers (EBUSY: out of this device's reach;
 * EOPNOTSUPP: it takes only importers that are revocable, or reach it peer to peer).
 */
export function dma_buf_attach(dmaBuf: DmaBuf, importer: DmaBufImporter): DmaBufAttachment | Errno {
  assert(dmaBuf.file.references > 0, 'Expected a live dma-buf');
  const own = exportedDmaBuf(dmaBuf);
  dma_resv_assert_not_held(own.reservation);
  if (own.state !== 'live') return 'ENODEV';
  const attachment = new Attachment(own, importer);
  const fits = importer.kind === 'dynamic' || !attachment.isRevocable;
  assert(fits, 'Expected a static importer to have no callback');
  const errno = own.operations.attach?.(attachment);
  if (errno !== undefined) return errno;
  own.attachments.add(attachment);
  return attachment;
}

/** Without the lock. The attachment must be unmapped and unpinned. */
export function dma_buf_detach(attachment: DmaBufAttachment): void {
  const own = attached(attachment);
  dma_resv_assert_not_held(own.dmaBuf.reservation);
  assert(own.mapping === undefined, 'Expected an attachment to be unmapped before it is detached');
  assert(own.pins === 0, 'Expected an attachment to be unpinned before it is detached');
  own.dmaBuf.attachments.delete(own);
  own.dmaBuf.operations.detach?.(own);
}

/**
 * The memory stays where it is until dma_buf_unpin(). Under the lock. EINVAL for a static importer;
 * ENODEV while revoked; or what the exporter answers (EOPNOTSUPP: it never pins). An exporter that
 * cannot pin never moves its memory, so there is nothing to do then.
 */
export function dma_buf_pin(attachment: DmaBufAttachment): Errno | undefined {
  const own = attached(attachment);
  dma_resv_assert_held(own.dmaBuf.reservation);
  return own.importer.kind === 'static' ? 'EINVAL' : own.pin();
}

/** Undoes one dma_buf_pin(). Under the lock. */
export function dma_buf_unpin(attachment: DmaBufAttachment): void {
  const own = attached(attachment);
  dma_resv_assert_held(own.dmaBuf.reservation);
  assert(own.importer.kind === 'dynamic', 'Expected a dynamic importer to unpin');
  own.unpin();
}

/**
 * Maps the whole buffer for the attached device. Under the lock. A second call in the same direction (or
 * while mapped DMA_BIDIRECTIONAL) gives the same table, to be unmapped as often. ENODEV while revoked;
 * EBUSY in another direction, or while an invalidated mapping has not been unmapped; ENOMEM if the
 * exporter gives no segment; or what the exporter answers. A dynamic importer waits for fences itself;
 * for a static one the memory is pinned as long as it is mapped (Linux 6.15).
 */
export function dma_buf_map_attachment(
  attachment: DmaBufAttachment,
  direction: DmaDirection,
): SgTable | Errno {
  const own = attached(attachment);
  const { reservation, state } = own.dmaBuf;
  dma_resv_assert_held(reservation);
  if (state !== 'live') return 'ENODEV';
  if (own.mapping !== undefined) return own.mapping.share(direction);
  if (own.importer.kind === 'dynamic') {
    assert(stays(own), 'Expected an importer without a callback to pin before it maps');
    return own.map(direction);
  }
  const settled = dma_resv_test_signaled(reservation, 'KERNEL');
  assert(settled, 'Expected KERNEL fences to be waited for before a static importer maps');
  const errno = own.pin();
  if (errno !== undefined) return errno;
  const table = own.map(direction);
  if (typeof table === 'string') own.unpin();
  return table;
}

/** Undoes one dma_buf_map_attachment, also of a mapping that was invalidated meanwhile. Under the lock. */
export function dma_buf_unmap_attachment(attachment: DmaBufAttachment): void {
  const own = attached(attachment);
  dma_resv_assert_held(own.dmaBuf.reservation);
  if (own.unmap() === 'shared') return;
  if (own.importer.kind === 'static') own.unpin();
  for (const listener of [...own.dmaBuf.unmapListeners]) listener();
}

/**
 * Takes the lock, waits for the fences that a static importer must wait for, and maps. At once if nothing
 * is to be waited for.
 */
export async function dma_buf_map_attachment_unlocked(
  attachment: DmaBufAttachment,
  direction: DmaDirection,
): Promise<SgTable | Errno> {
  const { dmaBuf, importer } = attached(attachment);
  const { reservation } = dmaBuf;
  const map = () => dma_buf_map_attachment(attachment, direction);
  return dma_resv_locked(reservation, () => {
    const settled = importer.kind === 'dynamic' || dma_resv_test_signaled(reservation, 'KERNEL');
    return settled ? map() : dma_resv_wait(reservation, 'KERNEL').then(map);
  });
}

/** Takes the lock and unmaps; at once if the lock is free. */
export async function dma_buf_unmap_attachment_unlocked(
  attachment: DmaBufAttachment,
): Promise<void> {
  const { reservation } = attached(attachment).dmaBuf;
  return unmapping(() => dma_resv_locked(reservation, () => dma_buf_unmap_attachment(attachment)));
}

/**
 * The end of an importer's use: unmaps and unpins what is left under the lock, detaches, and drops the
 * importer's reference to the buffer. All within the call if the lock is free.
 */
export function dma_buf_teardown(attachment: DmaBufAttachment): Promise<void> {
  return asOwnFlow(() => teardown(attachment));
}

async function teardown(attachment: DmaBufAttachment): Promise<void> {
  const own = attached(attachment);
  const { reservation } = own.dmaBuf;
  const waiting = unmapping(() => dma_resv_lock_soon(reservation));
  if (waiting !== undefined) await waiting;
  dma_resv_under_lock(reservation, () => {
    while (own.mapping !== undefined) dma_buf_unmap_attachment(own);
    while (own.pins > 0) dma_buf_unpin(own);
  });
  dma_resv_unlock(reservation);
  dma_buf_detach(own);
  dma_buf_put(own.dmaBuf);
}

/** Memory that may move may be mapped by who can be told, or has pinned it. */
function stays({ pins, isRevocable, dmaBuf }: Attachment): boolean {
  return pins > 0 || isRevocable || dmaBuf.operations.pin === undefined;
}

/** Marks code on the way to an unmap, which a revocation may be waiting for. */
function unmapping<T>(body: () => T): T {
  const recorder = lockOrder();
  return recorder === undefined ? body() : recorder.within('dma_buf_unmap', body);
}
