import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../common/prng.ts';
import { delay, VirtualScheduler } from '../../../common/scheduler.ts';
import {
  type WwAcquireContext,
  WwClass,
  WwMutex,
  ww_acquire_done,
  ww_acquire_fini,
  ww_acquire_init,
} from '../../../node/dmabuf/ww-mutex.ts';

const CLASS = new WwClass('test');

function parts() {
  const [older, younger] = [ww_acquire_init(CLASS), ww_acquire_init(CLASS)];
  return { older, younger, one: new WwMutex(CLASS), other: new WwMutex(CLASS) };
}

describe('WwMutex', () => {
  it('is taken within the call when it is free, and handed over in order', async () => {
    const { one } = parts();
    expect(one.lock()).toBeUndefined();
    const order: string[] = [];
    const waits = ['a', 'b'].map(async (name) => {
      expect(await one.lock()).toBeUndefined();
      order.push(name);
      one.unlock();
    });
    expect([one.waiterCount, one.tryLock()]).toEqual([2, false]);
    one.unlock();
    // Handed over, not free for whoever comes by.
    expect(one.tryLock()).toBe(false);
    await Promise.all(waits);
    expect([order, one.isLocked]).toEqual([['a', 'b'], false]);
  });

  it('EALREADY: the context holds the lock', () => {
    const { older, one } = parts();
    expect(one.lock(older)).toBeUndefined();
    expect(one.lock(older)).toBe('EALREADY');
    expect(older.acquired).toBe(1);
    one.unlock();
    ww_acquire_fini(older);
  });

  it('EDEADLK: who holds locks does not wait for an older context', () => {
    const { older, younger, one, other } = parts();
    one.tryLock(older);
    other.tryLock(younger);
    expect(one.lock(younger)).toBe('EDEADLK');
    expect(one.waiterCount).toBe(0);
  });

  it('the older one waits, and who holds nothing waits too', async () => {
    const { older, younger, one, other } = parts();
    one.tryLock(younger);
    other.tryLock(older);
    const waiting = one.lock(older);
    expect(waiting).toBeInstanceOf(Promise);
    one.unlock();
    expect(await waiting).toBeUndefined();
    const patient = other.lock(younger);
    expect(patient).toBeInstanceOf(Promise);
    other.unlock();
    one.unlock();
    expect(await patient).toBeUndefined();
    other.unlock();
    ww_acquire_fini(older);
    ww_acquire_fini(younger);
  });

  it('an older context that queues up kills younger waiters that hold locks', async () => {
    const { older, younger, one, other } = parts();
    const third = ww_acquire_init(CLASS);
    one.tryLock();
    other.tryLock(younger);
    const dying = one.lock(younger);
    const waiting = one.lock(older);
    expect(await dying).toBe('EDEADLK');
    one.unlock();
    expect(await waiting).toBeUndefined();
    expect(third.stamp).toBeGreaterThan(younger.stamp);
  });

  it('who holds locks does not queue up behind an older context either', async () => {
    const { older, younger, one, other } = parts();
    const third = ww_acquire_init(CLASS);
    one.tryLock(third);
    other.tryLock(younger);
    const [olderWaits, youngerWaits] = [one.lock(older), one.lock(younger)];
    expect(youngerWaits).toBe('EDEADLK');
    one.unlock();
    expect(await olderWaits).toBeUndefined();
  });

  it('the queue is by age: the older context goes first', async () => {
    const { older, younger, one } = parts();
    const order: string[] = [];
    one.tryLock();
    const enter = async (name: string, context: WwAcquireContext) => {
      await one.lock(context);
      order.push(name);
      one.unlock();
    };
    const waits = [enter('younger', younger), enter('older', older)];
    one.unlock();
    await Promise.all(waits);
    expect(order).toEqual(['older', 'younger']);
  });

  it('EINTR: the wait is interrupted, and the lock goes to the next', async () => {
    const { older, one } = parts();
    const stop = new AbortController();
    one.tryLock();
    const interrupted = one.lock(older, stop.signal);
    const next = one.lock();
    stop.abort();
    expect(await interrupted).toBe('EINTR');
    expect(await one.lock(undefined, stop.signal)).toBe('EINTR');
    one.unlock();
    expect(await next).toBeUndefined();
    one.unlock();
    // A free lock is taken all the same.
    expect(one.lock(undefined, stop.signal)).toBeUndefined();
  });

  it('an interruption after the lock was handed over does nothing', async () => {
    const { one } = parts();
    const stop = new AbortController();
    one.tryLock();
    const waiting = one.lock(undefined, stop.signal);
    one.unlock();
    stop.abort();
    expect(await waiting).toBeUndefined();
    expect(one.isLocked).toBe(true);
  });

  it('asserts the protocol: back off fully, take the contended lock first, finish with none', () => {
    const { older, younger, one, other } = parts();
    const third = new WwMutex(CLASS);
    one.tryLock(older);
    other.tryLock(younger);
    expect(one.lock(younger)).toBe('EDEADLK');
    expect(() => third.lock(younger)).toThrow('every lock to be let go');
    other.unlock();
    expect(() => third.lock(younger)).toThrow('contended lock to be taken first');
    expect(() => ww_acquire_fini(older)).toThrow('no lock to be held');
    ww_acquire_done(older);
    expect(() => third.lock(older)).toThrow('still takes locks');
    expect(() => third.lock(ww_acquire_init(new WwClass('other')))).toThrow('class of the lock');
    expect(() => third.unlock()).toThrow('that is held');
  });
});

/** Takes all of `locks` in the order given, backing off as the protocol says; counts the attempts. */
async function takeAll(context: WwAcquireContext, locks: readonly WwMutex[]): Promise<number> {
  let order = [...locks];
  for (let attempts = 1; ; attempts++) {
    const contended = await takeInOrder(context, order);
    if (contended === undefined) return attempts;
    order = [contended, ...order.filter((lock) => lock !== contended)];
  }
}

async function takeInOrder(
  context: WwAcquireContext,
  order: readonly WwMutex[],
): Promise<WwMutex | undefined> {
  for (const [index, lock] of order.entries()) {
    const result = await lock.lock(context);
    if (result === undefined) continue;
    expect(result).toBe('EDEADLK');
    for (const held of order.slice(0, index)) held.unlock();
    return lock;
  }
  return undefined;
}

describe('random programs of contexts and locks', () => {
  it('always make progress: everybody gets every lock, alone', async () => {
    let contended = 0;
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const prng = new Prng(seed);
      const scheduler = new VirtualScheduler();
      const locks = Array.from({ length: 5 }, () => new WwMutex(CLASS));
      const inside = new Map<WwMutex, number>();
      const worker = async (id: number) => {
        await delay(scheduler, prng.below(5));
        const wanted = locks
          .filter(() => prng.below(3) > 0)
          .map((lock) => ({ lock, at: prng.float() }))
          .sort((one, other) => one.at - other.at)
          .map(({ lock }) => lock);
        const context = ww_acquire_init(CLASS);
        const attempts = await takeAll(context, wanted);
        if (attempts > 1) contended++;
        // Each attempt takes a lock that an older context had; no more than the others are older.
        expect(attempts).toBeLessThanOrEqual(12 * locks.length);
        for (const lock of wanted) {
          expect(inside.has(lock)).toBe(false);
          inside.set(lock, id);
        }
        await delay(scheduler, prng.below(4));
        for (const lock of wanted) {
          expect(inside.get(lock)).toBe(id);
          inside.delete(lock);
          lock.unlock();
        }
        ww_acquire_fini(context);
      };
      /** One lock, without a ticket. */
      const passer = async () => {
        await delay(scheduler, prng.below(8));
        const lock = locks[prng.below(locks.length)];
        expect(await lock?.lock()).toBeUndefined();
        await delay(scheduler, prng.below(3));
        lock?.unlock();
      };
      const all = [
        ...Array.from({ length: 12 }, (_, id) => worker(id)),
        ...Array.from({ length: 4 }, passer),
      ];
      await scheduler.run(Promise.all(all), 1000);
      expect(locks.some(({ isLocked, waiterCount }) => isLocked || waiterCount > 0)).toBe(false);
    });
    await fc.assert(property, { numRuns: 100, seed: 3 });
    expect(contended).toBeGreaterThan(50);
  });

  it('the oldest ticket is never refused', async () => {
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const prng = new Prng(seed);
      const scheduler = new VirtualScheduler();
      const locks = Array.from({ length: 4 }, () => new WwMutex(CLASS));
      const oldest = ww_acquire_init(CLASS);
      const others = Array.from({ length: 8 }, async () => {
        const context = ww_acquire_init(CLASS);
        const wanted = prng.below(2) === 0 ? locks : [...locks].reverse();
        await takeAll(context, wanted);
        await delay(scheduler, prng.below(5));
        for (const lock of wanted) lock.unlock();
      });
      const first = (async () => {
        await delay(scheduler, 3);
        expect(await takeAll(oldest, locks)).toBe(1);
        for (const lock of locks) lock.unlock();
      })();
      await scheduler.run(Promise.all([first, ...others]), 1000);
    });
    await fc.assert(property, { numRuns: 100, seed: 4 });
  });
});
