/** Reservations, after the kernel selftest drivers/dma-buf/st-dma-resv.c. */
import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../common/scheduler.ts';
import { type DmaFence, dma_fence_init, dma_fence_signal } from '../../node/dmabuf/fence.ts';
import { dma_fence_array_fences } from '../../node/dmabuf/fence-array.ts';
import {
  DMA_RESV_USAGES,
  type DmaReservation,
  type DmaResvUsage,
  dma_resv_add_fence,
  dma_resv_get_fences,
  dma_resv_init,
  dma_resv_is_locked,
  dma_resv_reserve_fences,
  dma_resv_test_signaled,
  dma_resv_trylock,
  dma_resv_unlock,
} from '../../node/dmabuf/reservation.ts';
import {
  dma_resv_copy_fences,
  dma_resv_for_each_fence,
  dma_resv_for_each_fence_unlocked,
  dma_resv_get_singleton,
} from '../../node/dmabuf/reservation-iteration.ts';
import {
  dma_resv_usage_rw,
  dma_resv_wait,
  dma_resv_wait_timeout,
} from '../../node/dmabuf/reservation-wait.ts';
import { behaves, behavesCompletely } from './dma-buf-behaviours.ts';

const SUITE = 'st-dma-resv';

function locked<T>(reservation: DmaReservation, body: () => T): T {
  expect(dma_resv_trylock(reservation)).toBe(true);
  try {
    return body();
  } finally {
    dma_resv_unlock(reservation);
  }
}

function add(reservation: DmaReservation, usage: DmaResvUsage, fence = dma_fence_init()): DmaFence {
  locked(reservation, () => {
    dma_resv_reserve_fences(reservation, 1);
    dma_resv_add_fence(reservation, fence, usage);
  });
  return fence;
}

describe('st-dma-resv', () => {
  behaves(SUITE, 'sanity: a reservation can be locked and unlocked', () => {
    const reservation = dma_resv_init();
    expect(dma_resv_trylock(reservation)).toBe(true);
    expect(dma_resv_trylock(reservation)).toBe(false);
    expect(dma_resv_is_locked(reservation)).toBe(true);
    dma_resv_unlock(reservation);
    expect(dma_resv_is_locked(reservation)).toBe(false);
    expect(() => dma_resv_unlock(reservation)).toThrow('that is held');
  });

  for (const usage of DMA_RESV_USAGES) {
    behaves(SUITE, `${usage}: it has not signalled until its fence has`, () => {
      const reservation = dma_resv_init();
      expect(dma_resv_test_signaled(reservation, usage)).toBe(true);
      const fence = add(reservation, usage);
      expect(dma_resv_test_signaled(reservation, usage)).toBe(false);
      dma_fence_signal(fence);
      expect(dma_resv_test_signaled(reservation, usage)).toBe(true);
    });

    behaves(SUITE, `${usage}: locked iteration sees exactly one fence, with its usage`, () => {
      const reservation = dma_resv_init();
      const fence = add(reservation, usage);
      const seen = locked(reservation, () => [...dma_resv_for_each_fence(reservation, usage)]);
      expect(seen).toEqual([{ fence, usage }]);
      const iteration = dma_resv_for_each_fence(reservation, usage);
      expect(() => iteration.next()).toThrow('lock to be held');
    });

    behaves(SUITE, `${usage}: unlocked iteration survives a forced restart`, () => {
      const reservation = dma_resv_init();
      const fence = add(reservation, usage);
      const seen: string[] = [];
      for (const step of dma_resv_for_each_fence_unlocked(reservation, usage)) {
        seen.push(`${step.fence === fence ? 'it' : 'other'} ${step.usage} ${step.restarted}`);
        if (seen.length === 1) add(reservation, 'BOOKKEEP', dma_fence_init());
      }
      const again = usage === 'BOOKKEEP' ? ['other BOOKKEEP false'] : [];
      expect(seen).toEqual([`it ${usage} false`, `it ${usage} true`, ...again]);
    });

    behaves(SUITE, `${usage}: get_fences returns the fence`, () => {
      const reservation = dma_resv_init();
      const fence = add(reservation, usage);
      expect(dma_resv_get_fences(reservation, usage)).toEqual([fence]);
    });
  }

  behavesCompletely(SUITE);
});

describe('usage levels', () => {
  it('a query gives its level and every stronger one', () => {
    const reservation = dma_resv_init();
    const fences = DMA_RESV_USAGES.map((usage) => add(reservation, usage));
    for (const [index, usage] of DMA_RESV_USAGES.entries()) {
      expect(dma_resv_get_fences(reservation, usage)).toEqual(fences.slice(0, index + 1));
    }
  });

  it('implicit sync: a reader waits for writers, a writer for readers too, nobody for BOOKKEEP', () => {
    expect([dma_resv_usage_rw('read'), dma_resv_usage_rw('write')]).toEqual(['WRITE', 'READ']);
    const reservation = dma_resv_init();
    add(reservation, 'BOOKKEEP');
    expect(dma_resv_test_signaled(reservation, dma_resv_usage_rw('write'))).toBe(true);
    const reading = add(reservation, 'READ');
    expect(dma_resv_test_signaled(reservation, dma_resv_usage_rw('read'))).toBe(true);
    expect(dma_resv_test_signaled(reservation, dma_resv_usage_rw('write'))).toBe(false);
    dma_fence_signal(reading);
    add(reservation, 'WRITE');
    expect(dma_resv_test_signaled(reservation, dma_resv_usage_rw('read'))).toBe(false);
  });

  it('a later fence of a context takes the place of an earlier one that claims no more', () => {
    const reservation = dma_resv_init();
    const at = (seqno: number) => dma_fence_init({ context: 77, seqno });
    const first = add(reservation, 'READ', at(1));
    const second = add(reservation, 'READ', at(2));
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([second]);
    // A weaker claim does not end a stronger one.
    const third = add(reservation, 'BOOKKEEP', at(3));
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([second, third]);
    const fourth = add(reservation, 'WRITE', at(4));
    expect(dma_resv_get_fences(reservation, 'BOOKKEEP')).toEqual([fourth]);
    expect(first.state).toBe('unsignaled');
  });

  it('adding needs the lock and a reserved slot, which does not outlive the lock', () => {
    const reservation = dma_resv_init();
    const fence = dma_fence_init();
    expect(() => dma_resv_add_fence(reservation, fence, 'READ')).toThrow('lock to be held');
    expect(() => dma_resv_reserve_fences(reservation, 1)).toThrow('lock to be held');
    locked(reservation, () => dma_resv_reserve_fences(reservation, 1));
    locked(reservation, () => {
      expect(() => dma_resv_add_fence(reservation, fence, 'READ')).toThrow('slot to be reserved');
      dma_resv_reserve_fences(reservation, 1);
      dma_resv_add_fence(reservation, fence, 'READ');
      const other = dma_fence_init();
      expect(() => dma_resv_add_fence(reservation, other, 'READ')).toThrow('slot to be reserved');
    });
    expect(dma_resv_get_fences(reservation, 'READ')).toEqual([fence]);
  });

  it('fences can be taken along: as one, or into another reservation', () => {
    const [one, other] = [dma_resv_init(), dma_resv_init()];
    const [write, read] = [add(one, 'WRITE'), add(one, 'READ')];
    expect(dma_resv_get_singleton(one, 'WRITE')).toBe(write);
    expect(dma_fence_array_fences(dma_resv_get_singleton(one, 'READ'))).toEqual([write, read]);
    expect(dma_resv_get_singleton(other, 'READ').state).toBe('signaled');
    locked(other, () => dma_resv_copy_fences(other, one));
    expect(dma_resv_get_fences(other, 'WRITE')).toEqual([write]);
    expect(dma_resv_get_fences(other, 'BOOKKEEP')).toEqual([write, read]);
  });
});

describe('waiting for a reservation', () => {
  it('takes as long as the last fence of the level, and no longer than the timeout', async () => {
    const scheduler = new VirtualScheduler();
    const reservation = dma_resv_init();
    const [write, read] = [add(reservation, 'WRITE'), add(reservation, 'READ')];
    const wait = (usage: DmaResvUsage, ms: number) =>
      scheduler.run(dma_resv_wait_timeout(reservation, usage, scheduler, ms));
    expect(await wait('WRITE', 0)).toBe(false);
    expect(await wait('WRITE', 5)).toBe(false);
    expect(scheduler.clock.now()).toBe(5);
    scheduler.after(3, () => dma_fence_signal(write));
    scheduler.after(4, () => dma_fence_signal(read));
    expect(await wait('WRITE', 10)).toBe(true);
    expect(scheduler.clock.now()).toBe(8);
    expect(await wait('READ', 10)).toBe(true);
    expect(scheduler.clock.now()).toBe(9);
    expect(await wait('BOOKKEEP', 0)).toBe(true);
  });

  it('the timeout is for all fences together', async () => {
    const scheduler = new VirtualScheduler();
    const reservation = dma_resv_init();
    const fences = [1, 2, 3].map(() => add(reservation, 'READ'));
    for (const [index, fence] of fences.entries()) {
      scheduler.after(4 * (index + 1), () => dma_fence_signal(fence));
    }
    const wait = dma_resv_wait_timeout(reservation, 'READ', scheduler, 10);
    expect(await scheduler.run(wait)).toBe(false);
    expect(scheduler.clock.now()).toBe(10);
  });

  it('is interrupted, and does not wait for fences that come later', async () => {
    const reservation = dma_resv_init();
    const fence = add(reservation, 'WRITE');
    const stop = new AbortController();
    const interrupted = dma_resv_wait(reservation, 'WRITE', stop.signal);
    const patient = dma_resv_wait(reservation, 'WRITE');
    stop.abort();
    expect(await interrupted).toBe('EINTR');
    add(reservation, 'WRITE');
    dma_fence_signal(fence);
    expect(await patient).toBeUndefined();
  });
});
