/** Fences inside fences, after the kernel selftest drivers/dma-buf/st-dma-fence-unwrap.c. */
import { describe, expect, it } from 'vitest';
import {
  type DmaFence,
  dma_fence_enable_sw_signaling,
  dma_fence_get_status,
  dma_fence_get_stub,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_set_error,
  dma_fence_signal,
} from '../../node/dmabuf/fence.ts';
import {
  dma_fence_array_create,
  dma_fence_array_fences,
  dma_fence_is_array,
} from '../../node/dmabuf/fence-array.ts';
import { dma_fence_chain_init } from '../../node/dmabuf/fence-chain.ts';
import { dma_fence_unwrap, dma_fence_unwrap_merge } from '../../node/dmabuf/fence-unwrap.ts';
import { behaves, behavesCompletely } from './dma-buf-behaviours.ts';

const SUITE = 'st-dma-fence-unwrap';

function fences(count: number): DmaFence[] {
  return Array.from({ length: count }, () => dma_fence_init());
}

function chain(...links: readonly DmaFence[]): DmaFence {
  const [first, ...rest] = links;
  if (first === undefined) throw new Error('Expected a link');
  return rest.reduce<DmaFence>(
    (before, fence, index) => dma_fence_chain_init(before, fence, index + 2),
    dma_fence_chain_init(undefined, first, 1),
  );
}

const unwrapped = (fence: DmaFence) => new Set(dma_fence_unwrap(fence));

describe('st-dma-fence-unwrap', () => {
  behaves(SUITE, 'sanity: a fence unwraps to itself', () => {
    const fence = dma_fence_init();
    expect([...dma_fence_unwrap(fence)]).toEqual([fence]);
  });

  behaves(SUITE, 'an array yields each leaf once', () => {
    const leaves = fences(2);
    const all = [...dma_fence_unwrap(dma_fence_array_create({ fences: leaves }))];
    expect(all).toEqual(leaves);
  });

  behaves(SUITE, 'a chain yields each leaf once', () => {
    const leaves = fences(3);
    const all = [...dma_fence_unwrap(chain(...leaves))];
    expect([all.length, new Set(all)]).toEqual([3, new Set(leaves)]);
  });

  behaves(SUITE, 'a chain of arrays yields each leaf once', () => {
    const leaves = fences(4);
    const arrays = [leaves.slice(0, 2), leaves.slice(2)].map((some) =>
      dma_fence_array_create({ fences: some }),
    );
    const all = [...dma_fence_unwrap(chain(...arrays))];
    expect([all.length, new Set(all)]).toEqual([4, new Set(leaves)]);
  });

  behaves(SUITE, 'merge: two fences become an array of both', () => {
    const [one, other] = [dma_fence_init(), dma_fence_init()];
    const merged = dma_fence_unwrap_merge(one, other);
    expect(dma_fence_is_array(merged)).toBe(true);
    expect(dma_fence_array_fences(merged)).toEqual([one, other]);
  });

  behaves(SUITE, 'merge: a duplicate is dropped', () => {
    const fence = dma_fence_init();
    expect(dma_fence_unwrap_merge(fence, fence)).toBe(fence);
  });

  behaves(SUITE, 'merge: of one timeline the later fence stays', () => {
    const at = (context: number, seqno: number) => dma_fence_init({ context, seqno });
    const [early, late, other] = [at(900, 1), at(900, 2), at(901, 1)];
    expect(unwrapped(dma_fence_unwrap_merge(late, early, other))).toEqual(new Set([late, other]));
  });

  behaves(SUITE, 'merge: the order of the arguments does not matter', () => {
    const [one, other] = [dma_fence_init(), dma_fence_init()];
    const arrays = [
      dma_fence_array_create({ fences: [one, other] }),
      dma_fence_array_create({ fences: [other, one] }),
    ];
    const there = dma_fence_array_fences(dma_fence_unwrap_merge(...arrays));
    const back = dma_fence_array_fences(dma_fence_unwrap_merge(...arrays.reverse()));
    expect([there, back]).toEqual([
      [one, other],
      [one, other],
    ]);
  });

  behaves(SUITE, 'merge: of merged fences yields each leaf once', () => {
    const leaves = fences(5);
    const [first, second, third, fourth, fifth] = leaves as [
      ...[DmaFence, DmaFence, DmaFence, DmaFence, DmaFence],
    ];
    const one = dma_fence_unwrap_merge(first, second, third);
    const other = dma_fence_unwrap_merge(chain(third, fourth), fifth);
    const all = [...dma_fence_unwrap(dma_fence_unwrap_merge(one, other))];
    expect([all.length, new Set(all)]).toEqual([5, new Set(leaves)]);
  });

  behaves(SUITE, 'merge: nothing left is the stub', () => {
    const fence = dma_fence_init();
    dma_fence_signal(fence);
    expect(dma_fence_unwrap_merge(fence)).toBe(dma_fence_get_stub());
    expect(dma_fence_unwrap_merge()).toBe(dma_fence_get_stub());
    const waiting = dma_fence_init();
    expect(dma_fence_unwrap_merge(fence, waiting)).toBe(waiting);
  });

  behavesCompletely(SUITE);
});

describe('arrays', () => {
  it.each(['watched', 'asked'] as const)('signal with the last fence, %s', (how) => {
    const leaves = fences(3);
    const array = dma_fence_array_create({ fences: leaves });
    if (how === 'watched') dma_fence_enable_sw_signaling(array);
    for (const leaf of leaves) {
      expect(dma_fence_is_signaled(array)).toBe(false);
      dma_fence_signal(leaf);
    }
    expect(how === 'asked' ? dma_fence_is_signaled(array) : array.state === 'signaled').toBe(true);
  });

  it.each(['watched', 'asked'] as const)('or with the first, if that is asked for, %s', (how) => {
    const leaves = fences(3);
    const array = dma_fence_array_create({ fences: leaves, signalOn: 'any' });
    if (how === 'watched') dma_fence_enable_sw_signaling(array);
    expect(dma_fence_is_signaled(array)).toBe(false);
    const [, middle] = leaves;
    if (middle !== undefined) dma_fence_signal(middle);
    expect(dma_fence_is_signaled(array)).toBe(true);
    for (const leaf of leaves) dma_fence_signal(leaf);
  });

  it.each(['watched', 'asked'] as const)('carry the first error, %s', (how) => {
    const leaves = fences(3);
    const array = dma_fence_array_create({ fences: leaves });
    if (how === 'watched') dma_fence_enable_sw_signaling(array);
    for (const [index, leaf] of leaves.entries()) {
      if (index > 0) dma_fence_set_error(leaf, index === 1 ? 'EIO' : 'ENODEV');
      dma_fence_signal(leaf);
    }
    expect(dma_fence_get_status(array)).toBe('EIO');
  });

  it('that are watched when all have signalled say so at once', () => {
    const leaves = fences(2);
    const array = dma_fence_array_create({ fences: leaves });
    for (const leaf of leaves) dma_fence_signal(leaf);
    dma_fence_enable_sw_signaling(array);
    expect(array.state).toBe('signaled');
  });

  it('hold no array, and at least one fence', () => {
    const array = dma_fence_array_create({ fences: fences(1) });
    expect(() => dma_fence_array_create({ fences: [array] })).toThrow('no array inside');
    expect(() => dma_fence_array_create({ fences: [] })).toThrow('at least one fence');
  });
});
