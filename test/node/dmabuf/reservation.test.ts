import { describe, expect, it } from 'vitest';
import { delay, VirtualScheduler } from '../../../common/scheduler.ts';
import { dma_fence_init } from '../../../node/dmabuf/fence.ts';
import {
  DMA_RESV_FENCES_MAX,
  type DmaReservation,
  dma_resv_acquire_init,
  dma_resv_add_fence,
  dma_resv_get_fences,
  dma_resv_init,
  dma_resv_is_locked,
  dma_resv_lock,
  dma_resv_lock_interruptible,
  dma_resv_lock_slow,
  dma_resv_locked,
  dma_resv_reserve_fences,
  dma_resv_trylock,
  dma_resv_unlock,
} from '../../../node/dmabuf/reservation.ts';
import { ww_acquire_fini } from '../../../node/dmabuf/ww-mutex.ts';

describe('dma_resv_locked()', () => {
  it('runs the body and lets the lock go within the call', async () => {
    const reservation = dma_resv_init();
    let isHeld: boolean | undefined;
    const done = dma_resv_locked(reservation, () => {
      isHeld = dma_resv_is_locked(reservation);
      return 3;
    });
    expect([isHeld, dma_resv_is_locked(reservation)]).toEqual([true, false]);
    expect(await done).toBe(3);
  });

  it('keeps it while the body awaits; the next one waits', async () => {
    const scheduler = new VirtualScheduler();
    const reservation = dma_resv_init();
    const order: string[] = [];
    const first = dma_resv_locked(reservation, async () => {
      await delay(scheduler, 5);
      order.push('first');
    });
    const second = dma_resv_locked(reservation, () => order.push('second'));
    expect(order).toEqual([]);
    await scheduler.run(Promise.all([first, second]));
    expect([order, dma_resv_is_locked(reservation)]).toEqual([['first', 'second'], false]);
  });

  it.each([
    ['throws', () => expect.unreachable('out')],
    ['rejects', () => Promise.reject(new Error('out'))],
  ])('lets it go when the body %s', async (_, body) => {
    const reservation = dma_resv_init();
    await expect(dma_resv_locked<unknown>(reservation, body)).rejects.toThrow('out');
    expect(dma_resv_is_locked(reservation)).toBe(false);
  });
});

describe('several reservations under one ticket', () => {
  /** The kernel's loop (Documentation/locking/ww-mutex-design.rst), whatever the order of the list. */
  async function lockAll(reservations: readonly DmaReservation[], held: () => Promise<void>) {
    const context = dma_resv_acquire_init();
    const taken = new Set<DmaReservation>();
    let backoffs = 0;
    for (let contended: DmaReservation | undefined; ; ) {
      if (contended !== undefined) {
        await dma_resv_lock_slow(contended, context);
        taken.add(contended);
      }
      contended = undefined;
      for (const one of reservations) {
        if (taken.has(one)) continue;
        const result = await dma_resv_lock(one, context);
        if (result === undefined) {
          taken.add(one);
          continue;
        }
        expect(result).toBe('EDEADLK');
        backoffs++;
        for (const other of taken) dma_resv_unlock(other);
        taken.clear();
        contended = one;
        break;
      }
      if (contended === undefined) break;
    }
    await held();
    for (const one of taken) dma_resv_unlock(one);
    ww_acquire_fini(context);
    return backoffs;
  }

  it('taken in opposite orders: the younger ticket backs off, takes the slow path, and both get through', async () => {
    const scheduler = new VirtualScheduler();
    const reservations = Array.from({ length: 2 }, dma_resv_init);
    const held = () => delay(scheduler, 1);
    const [older, younger] = [
      lockAll(reservations, held),
      lockAll([...reservations].reverse(), held),
    ];
    const [first, second] = await scheduler.run(Promise.all([older, younger]));
    expect(first).toBe(0);
    expect(second).toBeGreaterThan(0);
    expect(reservations.some(dma_resv_is_locked)).toBe(false);
  });

  it('the slow path is for after EDEADLK, with nothing held', async () => {
    const reservation = dma_resv_init();
    const context = dma_resv_acquire_init();
    await expect(dma_resv_lock_slow(reservation, context)).rejects.toThrow('the contended lock');
  });

  it('EINTR when the wait is interrupted', async () => {
    const reservation = dma_resv_init();
    dma_resv_trylock(reservation);
    const stop = new AbortController();
    const waiting = dma_resv_lock_interruptible(reservation, undefined, stop.signal);
    stop.abort();
    expect(await waiting).toBe('EINTR');
  });
});

describe('the fences of a reservation', () => {
  it('are bounded', () => {
    const reservation = dma_resv_init();
    dma_resv_trylock(reservation);
    dma_resv_reserve_fences(reservation, DMA_RESV_FENCES_MAX);
    expect(() => dma_resv_reserve_fences(reservation, DMA_RESV_FENCES_MAX + 1)).toThrow('bounded');
    dma_resv_add_fence(reservation, dma_fence_init(), 'READ');
    expect(() => dma_resv_reserve_fences(reservation, DMA_RESV_FENCES_MAX)).toThrow('bounded');
    expect(dma_resv_get_fences(reservation, 'READ')).toHaveLength(1);
  });
});
