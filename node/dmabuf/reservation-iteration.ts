/** Going through the fences of a reservation, and taking them along (Linux drivers/dma-buf/dma-resv.c). */
import { type DmaFence, dma_fence_is_signaled } from './fence.ts';
import { dma_fence_unwrap_merge } from './fence-unwrap.ts';
import {
  type DmaReservation,
  type DmaResvEntry,
  type DmaResvUsage,
  dma_resv_add_fence,
  dma_resv_assert_held,
  dma_resv_entries,
  dma_resv_get_fences,
  dma_resv_reserve_fences,
  dma_resv_version,
} from './reservation.ts';

/** Under the lock: every fence of `usage`, and of every stronger one, once. */
export function* dma_resv_for_each_fence(
  reservation: DmaReservation,
  usage: DmaResvUsage,
): Generator<DmaResvEntry> {
  for (const entry of dma_resv_entries(reservation, usage)) {
    dma_resv_assert_held(reservation);
    yield entry;
  }
}

export interface UnlockedEntry extends DmaResvEntry {
  /** The fences have changed since the last step: this is the first one again. */
  readonly restarted: boolean;
}

/** Without the lock, while others may add and drop fences: starts again whenever one did. */
export function* dma_resv_for_each_fence_unlocked(
  reservation: DmaReservation,
  usage: DmaResvUsage,
): Generator<UnlockedEntry> {
  let restarted = false;
  for (;;) {
    const version = dma_resv_version(reservation);
    for (const entry of dma_resv_entries(reservation, usage)) {
      if (dma_fence_is_signaled(entry.fence)) continue;
      yield { ...entry, restarted };
      restarted = false;
      if (dma_resv_version(reservation) !== version) break;
    }
    if (dma_resv_version(reservation) === version) return;
    restarted = true;
  }
}

/** One fence for all of `usage`, and of every stronger one; the stub if there is none. */
export function dma_resv_get_singleton(reservation: DmaReservation, usage: DmaResvUsage): DmaFence {
  return dma_fence_unwrap_merge(...dma_resv_get_fences(reservation, usage));
}

/** Adds the fences of `source` to `target`, whose lock is held. */
export function dma_resv_copy_fences(target: DmaReservation, source: DmaReservation): void {
  const entries = dma_resv_entries(source, 'BOOKKEEP');
  dma_resv_reserve_fences(target, entries.length);
  for (const { fence, usage } of entries) dma_resv_add_fence(target, fence, usage);
}
