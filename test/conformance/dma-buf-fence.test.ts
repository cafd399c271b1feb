/** Fences, after the kernel selftest drivers/dma-buf/st-dma-fence.c. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualScheduler } from '../../common/scheduler.ts';
import {
  type DmaFence,
  dma_fence_add_callback,
  dma_fence_get,
  dma_fence_get_status,
  dma_fence_get_stub,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_put,
  dma_fence_remove_callback,
  dma_fence_set_error,
  dma_fence_signal,
} from '../../node/dmabuf/fence.ts';
import { dma_fence_wait_timeout } from '../../node/dmabuf/fence-wait.ts';
import { behaves, behavesCompletely } from './dma-buf-behaviours.ts';

const SUITE = 'st-dma-fence';

describe('st-dma-fence', () => {
  behaves(SUITE, 'sanity: a fence can be made, signalled and let go', () => {
    const released: DmaFence[] = [];
    const operations = {
      driverName: 'test',
      timelineName: 'test',
      release: (one: DmaFence) => void released.push(one),
    };
    const fence = dma_fence_init({ operations });
    dma_fence_signal(fence);
    dma_fence_put(fence);
    expect(released).toEqual([fence]);
    expect(() => dma_fence_get(fence)).toThrow('live fence');
  });

  behaves(SUITE, 'is not signalled at creation, signals once, and stays so', () => {
    const fence = dma_fence_init();
    expect(dma_fence_is_signaled(fence)).toBe(false);
    expect(dma_fence_signal(fence)).toBeUndefined();
    expect(dma_fence_is_signaled(fence)).toBe(true);
    expect(dma_fence_signal(fence)).toBe('EINVAL');
    expect(dma_fence_is_signaled(fence)).toBe(true);
  });

  behaves(SUITE, 'a callback added before the signal runs', () => {
    const fence = dma_fence_init();
    const seen: string[] = [];
    expect(dma_fence_add_callback(fence, ({ state }) => void seen.push(state))).toBeUndefined();
    dma_fence_signal(fence);
    dma_fence_signal(fence);
    expect(seen).toEqual(['signaled']);
  });

  behaves(SUITE, 'a callback added after the signal fails and never runs', () => {
    const fence = dma_fence_init();
    dma_fence_signal(fence);
    const callback = () => expect.unreachable();
    expect(dma_fence_add_callback(fence, callback)).toBe('ENOENT');
    dma_fence_signal(fence);
  });

  behaves(SUITE, 'a removed callback does not run', () => {
    const fence = dma_fence_init();
    const callback = () => expect.unreachable();
    dma_fence_add_callback(fence, callback);
    expect(dma_fence_remove_callback(fence, callback)).toBe(true);
    dma_fence_signal(fence);
  });

  behaves(SUITE, 'removing a callback after the signal fails', () => {
    const fence = dma_fence_init();
    let runs = 0;
    const callback = () => void runs++;
    dma_fence_add_callback(fence, callback);
    dma_fence_signal(fence);
    expect(dma_fence_remove_callback(fence, callback)).toBe(false);
    expect(runs).toBe(1);
  });

  behaves(SUITE, 'the status is 0, then 1', () => {
    const fence = dma_fence_init();
    expect(dma_fence_get_status(fence)).toBe('unsignaled');
    dma_fence_signal(fence);
    expect(dma_fence_get_status(fence)).toBe('signaled');
  });

  behaves(SUITE, 'an error is visible only after the signal', () => {
    const fence = dma_fence_init();
    dma_fence_set_error(fence, 'EIO');
    expect([fence.error, dma_fence_get_status(fence)]).toEqual([undefined, 'unsignaled']);
    dma_fence_signal(fence);
    expect([fence.error, dma_fence_get_status(fence)]).toEqual(['EIO', 'EIO']);
    expect(() => dma_fence_set_error(fence, 'EINVAL')).toThrow('before the fence signals');
  });

  behaves(SUITE, 'a wait with timeout 0 gives 0, then 1', async () => {
    const scheduler = new VirtualScheduler();
    const fence = dma_fence_init();
    expect(await dma_fence_wait_timeout(fence, scheduler, 0)).toBe(0);
    dma_fence_signal(fence);
    expect(await dma_fence_wait_timeout(fence, scheduler, 0)).toBe(1);
  });

  behaves(SUITE, 'a wait is ended by the timer, or by the fence', async () => {
    const scheduler = new VirtualScheduler();
    const [slow, quick] = [dma_fence_init(), dma_fence_init()];
    const late = dma_fence_wait_timeout(slow, scheduler, 10);
    expect(await scheduler.run(late)).toBe(0);
    expect(scheduler.clock.now()).toBe(10);
    scheduler.after(3, () => dma_fence_signal(quick));
    const soon = dma_fence_wait_timeout(quick, scheduler, 10);
    expect(await scheduler.run(soon)).toBe(7);
    expect(scheduler.clock.now()).toBe(13);
  });

  behaves(SUITE, 'the stub fence has always signalled', () => {
    const stub = dma_fence_get_stub();
    expect(dma_fence_is_signaled(stub)).toBe(true);
    expect(dma_fence_add_callback(stub, () => expect.unreachable())).toBe('ENOENT');
    expect(dma_fence_get_stub()).toBe(stub);
  });

  behaves(SUITE, 'a race of signal and add_callback loses nothing', () => {
    type Step = { readonly does: 'add' | 'remove' | 'signal'; readonly callback: number };
    const step: fc.Arbitrary<Step> = fc.record({
      does: fc.constantFrom('add', 'add', 'remove', 'signal'),
      callback: fc.nat(4),
    });
    const property = fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const fence = dma_fence_init();
      const runs = [0, 0, 0, 0, 0];
      const pending = new Set<number>();
      const expected = [0, 0, 0, 0, 0];
      const callbacks = runs.map((_, index) => () => {
        runs[index] = (runs[index] ?? 0) + 1;
      });
      for (const { does, callback: index } of [
        ...steps,
        { does: 'signal', callback: 0 } as const,
      ]) {
        const callback = callbacks[index] ?? expect.unreachable();
        const over = fence.state === 'signaled';
        if (does === 'add' && !pending.has(index)) {
          expect(dma_fence_add_callback(fence, callback)).toBe(over ? 'ENOENT' : undefined);
          if (!over) pending.add(index);
        } else if (does === 'remove') {
          expect(dma_fence_remove_callback(fence, callback)).toBe(pending.delete(index));
        } else if (does === 'signal') {
          expect(dma_fence_signal(fence)).toBe(over ? 'EINVAL' : undefined);
          for (const one of pending) expected[one] = (expected[one] ?? 0) + 1;
          pending.clear();
        }
      }
      expect(runs).toEqual(expected);
    });
    fc.assert(property, { numRuns: 300, seed: 11 });
  });

  behavesCompletely(SUITE);
});

describe('the contract of a fence', () => {
  it('R11: a callback that adds another while the fence signals is refused, and none is lost', () => {
    const fence = dma_fence_init();
    const seen: string[] = [];
    dma_fence_add_callback(fence, () => {
      seen.push('first');
      const late = dma_fence_add_callback(fence, () => expect.unreachable());
      seen.push(`late ${late}`);
      expect(dma_fence_remove_callback(fence, second)).toBe(false);
    });
    const second = () => void seen.push('second');
    dma_fence_add_callback(fence, second);
    dma_fence_signal(fence);
    expect(seen).toEqual(['first', 'late ENOENT', 'second']);
  });

  it('whoever lets the last reference go leaves nobody waiting: EDEADLK', async () => {
    const scheduler = new VirtualScheduler();
    const fence = dma_fence_init();
    const wait = dma_fence_wait_timeout(fence, scheduler, 1000);
    dma_fence_put(fence);
    expect(await scheduler.run(wait)).toBe(1000);
    expect(dma_fence_get_status(fence)).toBe('EDEADLK');
    const unwatched = dma_fence_init();
    dma_fence_put(unwatched);
    expect(dma_fence_get_status(unwatched)).toBe('unsignaled');
  });

  it('signalling is enabled once, when somebody first wants to be told', () => {
    let enabled = 0;
    const operations = {
      driverName: 'test',
      timelineName: 'test',
      enableSignaling: () => {
        enabled++;
        return true;
      },
    };
    const fence = dma_fence_init({ operations });
    dma_fence_is_signaled(fence);
    expect(enabled).toBe(0);
    for (let count = 0; count < 3; count++) dma_fence_add_callback(fence, () => undefined);
    expect(enabled).toBe(1);
  });

  it('a driver that finds its work over when signalling is enabled signals: ENOENT', () => {
    const operations = { driverName: 'test', timelineName: 'test', enableSignaling: () => false };
    const fence = dma_fence_init({ operations });
    expect(dma_fence_add_callback(fence, () => expect.unreachable())).toBe('ENOENT');
    expect(dma_fence_get_status(fence)).toBe('signaled');
  });

  it('asking the driver may signal the fence, and runs its callbacks', () => {
    let isOver = false;
    const operations = { driverName: 'test', timelineName: 'test', signaled: () => isOver };
    const fence = dma_fence_init({ operations });
    let runs = 0;
    dma_fence_add_callback(fence, () => void runs++);
    expect(dma_fence_is_signaled(fence)).toBe(false);
    isOver = true;
    expect([fence.state, dma_fence_is_signaled(fence), runs]).toEqual(['unsignaled', true, 1]);
  });

  it('a wait is interrupted, and leaves no timer and no callback', async () => {
    const scheduler = new VirtualScheduler();
    const fence = dma_fence_init();
    const stop = new AbortController();
    const wait = dma_fence_wait_timeout(fence, scheduler, 1000, stop.signal);
    stop.abort();
    expect(await wait).toBe('EINTR');
    expect(await dma_fence_wait_timeout(fence, scheduler, 1000, stop.signal)).toBe('EINTR');
    dma_fence_signal(fence);
    expect(await dma_fence_wait_timeout(fence, scheduler, 1000, stop.signal)).toBe(1000);
  });
});
