/** A processor that touches a dma-buf: it brackets that, and keeps out of the way of devices. */
import type { Errno } from '../../common/errno.ts';
import type { DmaBuf, DmaDirection } from './dma-buf.ts';
import { dma_resv_assert_not_held } from './reservation.ts';
import { dma_resv_usage_rw, dma_resv_wait } from './reservation-wait.ts';

/**
 * Before the access: what the exporter answers, then a wait for the work of devices that is in the way (a
 * reader waits for writers, a writer for everybody). EINTR when `signal` is aborted. Without the lock.
 */
export async function dma_buf_begin_cpu_access(
  dmaBuf: DmaBuf,
  direction: DmaDirection,
  signal?: AbortSignal,
): Promise<Errno | undefined> {
  dma_resv_assert_not_held(dmaBuf.reservation);
  const errno = dmaBuf.operations.beginCpuAccess?.(direction);
  if (errno !== undefined) return errno;
  // A processor that only reads gets the buffer from the device.
  const access = direction === 'DMA_FROM_DEVICE' ? 'read' : 'write';
  return dma_resv_wait(dmaBuf.reservation, dma_resv_usage_rw(access), signal);
}

/** After the access. What the exporter answers. Without the lock. */
export function dma_buf_end_cpu_access(dmaBuf: DmaBuf, direction: DmaDirection): Errno | undefined {
  dma_resv_assert_not_held(dmaBuf.reservation);
  return dmaBuf.operations.endCpuAccess?.(direction);
}
