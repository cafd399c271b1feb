/**
 * dma_resv (Linux drivers/dma-buf/dma-resv.c): the lock of a buffer, and the fences of work under way on
 * it. Whoever maps, unmaps, pins or takes back the buffer holds the lock; work that touches the buffer
 * leaves a fence, whose usage says who must wait for it.
 */
import { assert } from '../../common/assert.ts';
import {
  type DmaFence,
  dma_fence_get,
  dma_fence_is_later,
  dma_fence_is_signaled,
  dma_fence_put,
} from './fence.ts';
import { lockOrder } from './lock-order.ts';
import {
  type WwAcquireContext,
  WwClass,
  type WwLockResult,
  WwMutex,
  ww_acquire_init,
} from './ww-mutex.ts';

/** What a fence stands for, from strongest to weakest claim (`enum dma_resv_usage`). */
export const DMA_RESV_USAGES = ['KERNEL', 'WRITE', 'READ', 'BOOKKEEP'] as const;
export type DmaResvUsage = (typeof DMA_RESV_USAGES)[number];

/** Fences of one buffer that have not signalled yet. More than this is a bug of whoever adds them. */
export const DMA_RESV_FENCES_MAX = 4096;

export interface DmaResvEntry {
  readonly fence: DmaFence;
  readonly usage: DmaResvUsage;
}

/** The lock and the fences of one buffer (`struct dma_resv`). */
export interface DmaReservation {
  readonly kind: 'dma_resv';
}

const RESERVATION_WW_CLASS = new WwClass('reservation_ww_class');

class Reservation implements DmaReservation {
  readonly kind = 'dma_resv';
  readonly mutex = new WwMutex(RESERVATION_WW_CLASS);
  readonly entries: DmaResvEntry[] = [];
  version = 0;
  /** Fences that may still be added under this lock. */
  slots = 0;
  /** Calls on the stack that are known to run under the lock: `dma_resv_locked()`, and callbacks. */
  depth = 0;
  /** Tells the lock-order recorder, if there is one, of the end. */
  leave: (() => void) | undefined;

  add(entry: DmaResvEntry): void {
    this.entries.push(entry);
    this.version++;
  }

  keep(wanted: (entry: DmaResvEntry) => boolean): void {
    const dropped = this.entries.filter((entry) => !wanted(entry));
    if (dropped.length === 0) return;
    const gone = new Set(dropped);
    const kept = this.entries.filter((entry) => !gone.has(entry));
    this.entries.splice(0, this.entries.length, ...kept);
    this.version++;
    for (const { fence } of dropped) dma_fence_put(fence);
  }
}

export function dma_resv_init(): DmaReservation {
  return new Reservation();
}

/** A ticket with which to take several locks (`ww_acquire_init` of reservation_ww_class). */
export function dma_resv_acquire_init(): WwAcquireContext {
  return ww_acquire_init(RESERVATION_WW_CLASS);
}

/**
 * Takes the lock, within the call if it is free. EALREADY: `context` holds it. EDEADLK: let go of every
 * lock of `context`, then `dma_resv_lock_slow`. Without a context neither happens.
 */
export async function dma_resv_lock(
  reservation: DmaReservation,
  context?: WwAcquireContext,
): Promise<'EDEADLK' | 'EALREADY' | undefined> {
  const result = await lock(reservationOf(reservation), context);
  assert(result !== 'EINTR', 'Expected an interruption only where there is a signal');
  return result;
}

/** As `dma_resv_lock`; EINTR if `signal` is aborted while it waits. */
export async function dma_resv_lock_interruptible(
  reservation: DmaReservation,
  context: WwAcquireContext | undefined,
  signal: AbortSignal,
): Promise<WwLockResult> {
  return lock(reservationOf(reservation), context, signal);
}

/** After EDEADLK, with no lock held: waits for the lock that was contended. Never fails. */
export async function dma_resv_lock_slow(
  reservation: DmaReservation,
  context: WwAcquireContext,
): Promise<void> {
  const own = reservationOf(reservation);
  assert(context.acquired === 0, 'Expected no lock to be held on the slow path');
  assert(context.contending === own.mutex, 'Expected the slow path to take the contended lock');
  const result = await lock(own, context);
  assert(result === undefined, 'Expected the slow path not to fail');
}

/** `false`: somebody holds it. */
export function dma_resv_trylock(reservation: DmaReservation): boolean {
  const own = reservationOf(reservation);
  const taken = own.mutex.tryLock();
  if (taken) own.leave = lockOrder()?.taken('dma_resv');
  return taken;
}

export function dma_resv_unlock(reservation: DmaReservation): void {
  const own = reservationOf(reservation);
  own.slots = 0;
  own.leave?.();
  own.leave = undefined;
  own.mutex.unlock();
}

export function dma_resv_is_locked(reservation: DmaReservation): boolean {
  return reservationOf(reservation).mutex.isLocked;
}

export function dma_resv_assert_held(reservation: DmaReservation): void {
  assert(reservationOf(reservation).mutex.isLocked, 'Expected the reservation lock to be held');
}

/** Asserts that no code on the stack holds the lock. (Somebody else, who awaits something, may.) */
export function dma_resv_assert_not_held(reservation: DmaReservation): void {
  assert(reservationOf(reservation).depth === 0, 'Expected the reservation lock not to be held');
}

/**
 * Runs `body` under the lock: within the call if the lock is free, else when it is. The lock is let go
 * when `body` returns or, if that is a promise, when that settles.
 */
export async function dma_resv_locked<T>(
  reservation: DmaReservation,
  body: () => T | Promise<T>,
): Promise<T> {
  const own = reservationOf(reservation);
  const waiting = dma_resv_lock_soon(own);
  if (waiting !== undefined) await waiting;
  try {
    const inside = () => dma_resv_under_lock(own, body);
    const recorder = lockOrder();
    const result = recorder === undefined ? inside() : recorder.within('dma_resv', inside);
    // Only a body that has something to await keeps the lock beyond this turn.
    return result instanceof Promise ? await result : result;
  } finally {
    dma_resv_unlock(own);
  }
}

/** Takes the lock; `undefined` if that is done, which spares a turn. For this folder only. */
export function dma_resv_lock_soon(reservation: DmaReservation): Promise<void> | undefined {
  const waiting = lock(reservationOf(reservation), undefined);
  return waiting instanceof Promise ? waiting.then(() => undefined) : undefined;
}

/** Marks `body` as code that runs under the lock, which the caller holds. For this folder only. */
export function dma_resv_under_lock<T>(reservation: DmaReservation, body: () => T): T {
  const own = reservationOf(reservation);
  dma_resv_assert_held(own);
  own.depth++;
  try {
    return body();
  } finally {
    own.depth--;
  }
}

/** Makes room for `count` fences, so that adding them cannot fail. Under the lock, and until it goes. */
export function dma_resv_reserve_fences(reservation: DmaReservation, count: number): void {
  const own = reservationOf(reservation);
  dma_resv_assert_held(own);
  own.keep(({ fence }) => !dma_fence_is_signaled(fence));
  const bounded = own.entries.length + count <= DMA_RESV_FENCES_MAX;
  assert(bounded, 'Expected the fences of a buffer to be bounded');
  own.slots = Math.max(own.slots, count);
}

/**
 * Adds a fence. Under the lock, in a reserved slot. It takes the place of an earlier fence of its
 * context that claims no more than it does. Arrays and chains are added leaf by leaf.
 */
export function dma_resv_add_fence(
  reservation: DmaReservation,
  fence: DmaFence,
  usage: DmaResvUsage,
): void {
  const own = reservationOf(reservation);
  dma_resv_assert_held(own);
  assert(own.slots > 0, 'Expected a slot to be reserved before a fence is added');
  own.slots--;
  if (dma_fence_is_signaled(fence)) return;
  const stronger = own.entries.some(
    (old) => old.fence === fence && rankOf(old.usage) <= rankOf(usage),
  );
  if (stronger) return;
  own.keep((old) => {
    const replaced =
      old.fence.context === fence.context &&
      rankOf(old.usage) >= rankOf(usage) &&
      !dma_fence_is_later(old.fence, fence);
    return !replaced && !dma_fence_is_signaled(old.fence);
  });
  own.add({ fence: dma_fence_get(fence), usage });
}

/** Unsignalled fences of `usage` and of every stronger one, in the order they were added. */
export function dma_resv_get_fences(
  reservation: DmaReservation,
  usage: DmaResvUsage,
): readonly DmaFence[] {
  return dma_resv_entries(reservation, usage).map(({ fence }) => fence);
}

/** As `dma_resv_get_fences`, with what each stands for. */
export function dma_resv_entries(
  reservation: DmaReservation,
  usage: DmaResvUsage,
): readonly DmaResvEntry[] {
  return reservationOf(reservation).entries.filter(
    (entry) => rankOf(entry.usage) <= rankOf(usage) && !dma_fence_is_signaled(entry.fence),
  );
}

/** Whether every fence of `usage`, and of every stronger one, has signalled. */
export function dma_resv_test_signaled(reservation: DmaReservation, usage: DmaResvUsage): boolean {
  return dma_resv_entries(reservation, usage).length === 0;
}

/** Changes whenever a fence is added or dropped. For this folder only. */
export function dma_resv_version(reservation: DmaReservation): number {
  return reservationOf(reservation).version;
}

function lock(
  own: Reservation,
  context: WwAcquireContext | undefined,
  signal?: AbortSignal,
): WwLockResult | Promise<WwLockResult> {
  // A lock taken again by code that holds it would wait for itself for ever.
  const nested = context === undefined && own.depth > 0;
  assert(!nested, 'Expected the reservation lock not to be taken by code that holds it');
  lockOrder()?.acquiring('dma_resv', context);
  const result = own.mutex.lock(context, signal);
  if (result === undefined) own.leave = lockOrder()?.taken('dma_resv', context);
  return result;
}

function rankOf(usage: DmaResvUsage): number {
  return DMA_RESV_USAGES.indexOf(usage);
}

function reservationOf(reservation: DmaReservation): Reservation {
  assert(reservation instanceof Reservation, 'Expected a reservation of dma_resv_init()');
  return reservation;
}
