/**
 * dma_fence and dma_resv (Linux drivers/dma-buf/dma-fence.c, dma-resv.c), as far as they are used: a
 * fence is a promise of hardware that signals once; a reservation object lists the fences of a buffer.
 *
 * The rules kept: a fence signals at most once and never goes back; its error is set before it signals;
 * each callback runs exactly once, or was removed, or was refused. Left out until something needs
 * them: contexts and sequence numbers, chains, the reservation's lock and its deadlock avoidance.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';

export type DmaFenceCallback = (fence: DmaFence) => void;

export interface DmaFence {
  readonly state: 'unsignaled' | 'signaled';
  /** Why the work failed; to be read only once the fence has signalled. */
  readonly error: Errno | undefined;
}

class Fence implements DmaFence {
  state: 'unsignaled' | 'signaled' = 'unsignaled';
  error: Errno | undefined;
  readonly callbacks = new Set<DmaFenceCallback>();
}

export function dma_fence_init(): DmaFence {
  return new Fence();
}

/** Asserts that the fence has not signalled. */
export function dma_fence_set_error(fence: DmaFence, error: Errno): void {
  const own = fenceOf(fence);
  assert(own.state === 'unsignaled', 'Expected the error to be set before the fence signals');
  own.error = error;
}

/** Signals the fence and runs its callbacks. EINVAL if it has signalled before; nothing happens then. */
export function dma_fence_signal(fence: DmaFence): Errno | undefined {
  const own = fenceOf(fence);
  if (own.state === 'signaled') return 'EINVAL';
  own.state = 'signaled';
  const callbacks = [...own.callbacks];
  own.callbacks.clear();
  for (const callback of callbacks) callback(fence);
  return undefined;
}

/** `callback` will run once, when the fence signals. ENOENT if it has: the callback never runs then. */
export function dma_fence_add_callback(
  fence: DmaFence,
  callback: DmaFenceCallback,
): Errno | undefined {
  const own = fenceOf(fence);
  if (own.state === 'signaled') return 'ENOENT';
  assert(!own.callbacks.has(callback), 'Expected a callback to be added once');
  own.callbacks.add(callback);
  return undefined;
}

/** Whether the callback was taken back before it ran. */
export function dma_fence_remove_callback(fence: DmaFence, callback: DmaFenceCallback): boolean {
  return fenceOf(fence).callbacks.delete(callback);
}

/** The kernel's 0, 1 or negative errno: not signalled, signalled, signalled with an error. */
export function dma_fence_get_status(fence: DmaFence): 'unsignaled' | 'signaled' | Errno {
  if (fence.state === 'unsignaled') return 'unsignaled';
  return fence.error ?? 'signaled';
}

/** What a fence stands for, from strongest to weakest claim (`enum dma_resv_usage`). */
export const DMA_RESV_USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
export type DmaResvUsage = (typeof DMA_RESV_USAGES)[number];

/** Fences of one buffer that have not signalled yet. More than this is a bug of whoever adds them. */
export const DMA_RESV_FENCES_MAX = 4096;

/** The fences of one buffer (`struct dma_resv`). */
export interface DmaReservation {
  readonly kind: 'dma_resv';
}

class Reservation implements DmaReservation {
  readonly kind = 'dma_resv';
  readonly fences = new Map<Fence, DmaResvUsage>();
}

export function dma_resv_init(): DmaReservation {
  return new Reservation();
}

/** Adds a fence, which leaves again when it signals. A fence added twice keeps the stronger usage. */
export function dma_resv_add_fence(
  reservation: DmaReservation,
  fence: DmaFence,
  usage: DmaResvUsage,
): void {
  const { fences } = reservationOf(reservation);
  const own = fenceOf(fence);
  const known = fences.get(own);
  if (known === undefined) {
    assert(fences.size < DMA_RESV_FENCES_MAX, 'Expected the fences of a buffer to be bounded');
    if (dma_fence_add_callback(own, () => fences.delete(own)) === 'ENOENT') return;
    fences.set(own, usage);
  } else if (rankOf(usage) < rankOf(known)) {
    fences.set(own, usage);
  }
}

/** Fences of `usage` and of every stronger one, in the order they were added. */
export function dma_resv_get_fences(
  reservation: DmaReservation,
  usage: DmaResvUsage,
): readonly DmaFence[] {
  return [...reservationOf(reservation).fences]
    .filter(([, other]) => rankOf(other) <= rankOf(usage))
    .map(([fence]) => fence);
}

/** Whether every fence of `usage`, and of every stronger one, has signalled. */
export function dma_resv_test_signaled(reservation: DmaReservation, usage: DmaResvUsage): boolean {
  return dma_resv_get_fences(reservation, usage).length === 0;
}

function rankOf(usage: DmaResvUsage): number {
  return DMA_RESV_USAGES.indexOf(usage);
}

function fenceOf(fence: DmaFence): Fence {
  assert(fence instanceof Fence, 'Expected a fence of dma_fence_init()');
  return fence;
}

function reservationOf(reservation: DmaReservation): Reservation {
  assert(reservation instanceof Reservation, 'Expected a reservation of dma_resv_init()');
  return reservation;
}
