/** Who waits for what in a reservation, and how (Linux drivers/dma-buf/dma-resv.c). */
import type { Scheduler } from '../../common/scheduler.ts';
import type { PollEvent } from '../process/file.ts';
import { dma_fence_wait_timeout, waitForFences } from './fence-wait.ts';
import {
  type DmaReservation,
  type DmaResvUsage,
  dma_resv_get_fences,
  dma_resv_test_signaled,
} from './reservation.ts';

const USAGES = { POLLIN: 'WRITE', POLLOUT: 'READ' } as const;

/** What an access waits for: a reader for writers, a writer for readers too (implicit sync). */
export function dma_resv_usage_rw(access: 'read' | 'write'): DmaResvUsage {
  return access === 'write' ? 'READ' : 'WRITE';
}

/**
 * Waits until every fence of `usage`, and of every stronger one, has signalled. `false` after
 * `timeoutMs` of the scheduler's time. With or without the lock; with it, nobody adds more meanwhile.
 */
export async function dma_resv_wait_timeout(
  reservation: DmaReservation,
  usage: DmaResvUsage,
  scheduler: Scheduler,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = scheduler.clock.now() + timeoutMs;
  for (;;) {
    const [fence] = dma_resv_get_fences(reservation, usage);
    if (fence === undefined) return true;
    const leftMs = Math.max(0, deadline - scheduler.clock.now());
    if ((await dma_fence_wait_timeout(fence, scheduler, leftMs)) === 0) return false;
  }
}

/**
 * Waits for the fences that are there now and not for later ones: fences promise to signal in bounded
 * time. EINTR when `signal` is aborted.
 */
export function dma_resv_wait(
  reservation: DmaReservation,
  usage: DmaResvUsage,
  signal?: AbortSignal,
): Promise<'EINTR' | undefined> {
  return waitForFences(dma_resv_get_fences(reservation, usage), signal);
}

/**
 * Those of POLLIN and POLLOUT among `events` that hold, at once if any does, else when one does; none as
 * soon as `signal` aborts. POLLIN: a reader would not wait; POLLOUT: a writer would not.
 */
export async function pollReservation(
  reservation: DmaReservation,
  events: readonly PollEvent[],
  signal: AbortSignal,
): Promise<readonly PollEvent[]> {
  const asked = events.filter((event) => event === 'POLLIN' || event === 'POLLOUT');
  const hold = () => asked.filter((event) => dma_resv_test_signaled(reservation, USAGES[event]));
  for (;;) {
    const ready = hold();
    if (ready.length > 0 || asked.length === 0 || signal.aborted) return ready;
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const waits = asked.map((event) => dma_resv_wait(reservation, USAGES[event], either));
    await Promise.race(waits);
    stop.abort();
  }
}
