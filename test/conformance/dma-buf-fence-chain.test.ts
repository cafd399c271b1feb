/** Timelines of fences, after the kernel selftest drivers/dma-buf/st-dma-fence-chain.c. */
import { describe, expect, it } from 'vitest';
import { defined } from '../../common/assert.ts';
import { Prng } from '../../common/prng.ts';
import { VirtualScheduler } from '../../common/scheduler.ts';
import {
  type DmaFence,
  dma_fence_enable_sw_signaling,
  dma_fence_init,
  dma_fence_is_signaled,
  dma_fence_signal,
} from '../../node/dmabuf/fence.ts';
import {
  dma_fence_chain_find_seqno,
  dma_fence_chain_init,
  dma_fence_chain_links,
} from '../../node/dmabuf/fence-chain.ts';
import { dma_fence_wait_timeout } from '../../node/dmabuf/fence-wait.ts';
import { behaves, behavesCompletely } from './dma-buf-behaviours.ts';

const SUITE = 'st-dma-fence-chain';
const LENGTH = 64;

/** Fences 0, 1, ... and a chain of links with numbers made from their indices. */
function timeline(length = LENGTH, seqnoOf = (index: number) => index + 1) {
  const fences = Array.from({ length }, () => dma_fence_init());
  const chains: DmaFence[] = [];
  for (const [index, fence] of fences.entries()) {
    chains.push(dma_fence_chain_init(chains.at(-1), fence, seqnoOf(index)));
  }
  return { fences, chains, tail: defined(chains.at(-1), 'a last link') };
}

function shuffled<T>(values: readonly T[], seed: number): T[] {
  const prng = new Prng(seed);
  return values
    .map((value) => ({ value, at: prng.float() }))
    .sort((one, other) => one.at - other.at)
    .map(({ value }) => value);
}

describe('st-dma-fence-chain', () => {
  behaves(SUITE, 'sanity: a chain can be made of one fence', () => {
    const fence = dma_fence_init();
    const chain = dma_fence_chain_init(undefined, fence, 1);
    expect(dma_fence_is_signaled(chain)).toBe(false);
    dma_fence_signal(fence);
    expect(dma_fence_is_signaled(chain)).toBe(true);
  });

  behaves(SUITE, 'find_seqno gives the link that covers a number', () => {
    const { chains, tail } = timeline();
    expect(dma_fence_chain_find_seqno(tail, 0)).toBe(tail);
    for (const [index, chain] of chains.entries()) {
      expect(dma_fence_chain_find_seqno(tail, index + 1)).toBe(chain);
      // A number beyond the chain that is asked is an error.
      expect(dma_fence_chain_find_seqno(chain, index + 2)).toBe('EINVAL');
    }
  });

  behaves(SUITE, 'find_seqno after everything has signalled gives nothing', () => {
    const { fences, tail } = timeline(2);
    for (const fence of fences) dma_fence_signal(fence);
    expect(dma_fence_chain_find_seqno(tail, 1)).toBeUndefined();
    expect(dma_fence_chain_find_seqno(tail, 2)).toBe(tail);
  });

  behaves(SUITE, 'find_seqno after signals out of order', () => {
    const { fences, chains, tail } = timeline(3);
    dma_fence_signal(defined(fences[1], 'fence 1'));
    // Link 2 is passed over: whoever waits for number 2 waits for what is before it.
    expect(dma_fence_chain_find_seqno(tail, 2)).toBe(chains[0]);
    expect(dma_fence_chain_find_seqno(tail, 3)).toBe(tail);
    expect(dma_fence_is_signaled(defined(chains[1], 'link 1'))).toBe(false);
  });

  behaves(SUITE, 'find_seqno across a gap', () => {
    const { chains, tail } = timeline(LENGTH, (index) => 2 * index + 1);
    for (const [index, chain] of chains.entries()) {
      expect(dma_fence_chain_find_seqno(tail, 2 * index + 1)).toBe(chain);
      if (index > 0) expect(dma_fence_chain_find_seqno(tail, 2 * index)).toBe(chain);
    }
  });

  behaves(SUITE, 'find_seqno in a race with signals', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { fences, chains, tail } = timeline();
      const prng = new Prng(seed);
      for (const fence of shuffled(fences, seed)) {
        const seqno = 1 + prng.below(LENGTH);
        const found = dma_fence_chain_find_seqno(tail, seqno);
        if (found === undefined) {
          const before = chains.slice(0, seqno);
          expect(before.every((chain) => chain === tail || dma_fence_is_signaled(chain))).toBe(
            true,
          );
        } else if (typeof found === 'string') {
          expect.unreachable();
        } else {
          expect(found === tail || found.seqno <= seqno).toBe(true);
          const uncovered = fences.slice(found.seqno, seqno);
          expect(uncovered.every((one) => one.state === 'signaled')).toBe(true);
        }
        dma_fence_signal(fence);
      }
      expect(dma_fence_is_signaled(tail)).toBe(true);
    }
  });

  behaves(SUITE, 'links signal in order when their fences do', () => {
    const { fences, chains } = timeline();
    for (const [index, fence] of fences.entries()) {
      dma_fence_signal(fence);
      expect(dma_fence_is_signaled(defined(chains[index], 'a link'))).toBe(true);
      const next = chains[index + 1];
      if (next !== undefined) expect(dma_fence_is_signaled(next)).toBe(false);
    }
  });

  behaves(SUITE, 'links wait for all before them when fences signal backward', () => {
    const { fences, chains } = timeline();
    for (let index = LENGTH - 1; index > 0; index--) {
      dma_fence_signal(defined(fences[index], 'a fence'));
      expect(dma_fence_is_signaled(defined(chains[index], 'a link'))).toBe(false);
    }
    dma_fence_signal(defined(fences[0], 'the first fence'));
    expect(chains.every(dma_fence_is_signaled)).toBe(true);
  });

  const orders: [string, (fences: readonly DmaFence[]) => DmaFence[]][] = [
    ['waits end when fences signal forward', (fences) => [...fences]],
    ['waits end when fences signal backward', (fences) => [...fences].reverse()],
    ['waits end when fences signal in random order', (fences) => shuffled(fences, 5)],
  ];
  for (const [name, order] of orders) {
    behaves(SUITE, name, async () => {
      const scheduler = new VirtualScheduler();
      const { fences, chains } = timeline();
      const ends = new Map<DmaFence, number>();
      for (const [index, fence] of order(fences).entries()) {
        ends.set(fence, index + 1);
        scheduler.after(index + 1, () => dma_fence_signal(fence));
      }
      const waits = chains.map(async (chain) => {
        expect(await dma_fence_wait_timeout(chain, scheduler, 1000)).not.toBe(0);
        return scheduler.clock.now();
      });
      const last = fences.map((_, index) =>
        Math.max(...fences.slice(0, index + 1).map((fence) => ends.get(fence) ?? 0)),
      );
      expect(await scheduler.run(Promise.all(waits))).toEqual(last);
    });
  }

  behavesCompletely(SUITE);
});

describe('chains', () => {
  it('a number that goes back starts a new timeline, which still waits for the old one', () => {
    const { fences, tail } = timeline(3);
    const fence = dma_fence_init();
    const back = dma_fence_chain_init(tail, fence, 2);
    expect(back.context).not.toBe(tail.context);
    expect(back.seqno).toBe(3);
    dma_fence_signal(fence);
    expect(dma_fence_is_signaled(back)).toBe(false);
    for (const one of fences) dma_fence_signal(one);
    expect(dma_fence_is_signaled(back)).toBe(true);
  });

  it('may begin with a fence that is no link', () => {
    const [plain, fence] = [dma_fence_init(), dma_fence_init()];
    const chain = dma_fence_chain_init(plain, fence, 1);
    expect([...dma_fence_chain_links(chain)]).toEqual([chain, plain]);
    dma_fence_signal(fence);
    expect(dma_fence_is_signaled(chain)).toBe(false);
    dma_fence_signal(plain);
    expect(dma_fence_is_signaled(chain)).toBe(true);
  });

  it('lets links go that are over', () => {
    const { fences, chains, tail } = timeline(4);
    for (const index of [1, 2]) dma_fence_signal(defined(fences[index], 'a fence'));
    expect([...dma_fence_chain_links(tail)]).toEqual([tail, chains[0]]);
  });

  it('a watched chain signals by itself', () => {
    const { fences, tail } = timeline(5);
    dma_fence_enable_sw_signaling(tail);
    for (const fence of shuffled(fences, 3)) {
      expect(tail.state).toBe('unsignaled');
      dma_fence_signal(fence);
    }
    expect(tail.state).toBe('signaled');
  });

  it('takes no chain as the fence of a link', () => {
    const { tail } = timeline(1);
    expect(() => dma_fence_chain_init(undefined, tail, 1)).toThrow('no chain inside');
  });
});
