/**
 * A timeline of fences (Linux drivers/dma-buf/dma-fence-chain.c): each link adds a fence under a number,
 * and has signalled when its fence and all before it have.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import {
  type DmaFence,
  type DmaFenceOperations,
  dma_fence_add_callback,
  dma_fence_context_alloc,
  dma_fence_is_signaled,
  dma_fence_signal,
  Fence,
} from './fence.ts';

const OPERATIONS: DmaFenceOperations = {
  driverName: 'dma_fence_chain',
  timelineName: 'unbound',
  enableSignaling: (fence) => chainOf(fence).watch(),
  signaled: (fence) => [...dma_fence_chain_links(fence)].every((link) => isDone(link)),
};

class FenceChain extends Fence {
  readonly fence: DmaFence;
  previous: DmaFence | undefined;
  /** The number of the link before, 0 for the first of a timeline. */
  readonly previousSeqno: number;

  constructor(previous: DmaFence | undefined, fence: DmaFence, seqno: number) {
    const before = previous instanceof FenceChain ? previous : undefined;
    const continues = before !== undefined && seqno > before.seqno;
    super({
      operations: OPERATIONS,
      context: continues ? before.context : dma_fence_context_alloc(1),
      // A number that would go back starts a new timeline, and is never below the one before.
      seqno: before === undefined ? seqno : Math.max(before.seqno, seqno),
    });
    this.fence = fence;
    this.previous = previous;
    this.previousSeqno = continues ? before.seqno : 0;
  }

  /** Waits for one fence at a time, newest first. `false`: all have signalled. */
  watch(): boolean {
    for (const link of dma_fence_chain_links(this)) {
      const errno = dma_fence_add_callback(dma_fence_chain_contained(link), () => {
        if (!this.watch()) dma_fence_signal(this);
      });
      if (errno === undefined) return true;
    }
    return false;
  }
}

/** A link with number `seqno` for `fence`, after `previous`: a chain, any other fence, or nothing. */
export function dma_fence_chain_init(
  previous: DmaFence | undefined,
  fence: DmaFence,
  seqno: number,
): DmaFence {
  assert(!(fence instanceof FenceChain), 'Expected no chain inside a link of a chain');
  return new FenceChain(previous, fence, seqno);
}

/** The fence that a link adds; any other fence stands for itself. */
export function dma_fence_chain_contained(fence: DmaFence): DmaFence {
  return fence instanceof FenceChain ? fence.fence : fence;
}

/** The fence and those before it that have not signalled, newest first (`dma_fence_chain_for_each`). */
export function* dma_fence_chain_links(fence: DmaFence): Generator<DmaFence> {
  let link: DmaFence | undefined = fence;
  while (link !== undefined) {
    yield link;
    link = dma_fence_chain_walk(link);
  }
}

/**
 * The link before `fence` whose own fence has not signalled; `undefined` at the end. Links in between
 * are let go for good.
 */
export function dma_fence_chain_walk(fence: DmaFence): DmaFence | undefined {
  if (!(fence instanceof FenceChain)) return undefined;
  while (fence.previous !== undefined && isDone(fence.previous)) {
    const { previous } = fence;
    fence.previous = previous instanceof FenceChain ? previous.previous : undefined;
  }
  return fence.previous;
}

/**
 * The link of the timeline that signals when everything up to number `seqno` has; `undefined` if that
 * has signalled already. EINVAL: the chain does not reach that far. Number 0 stands for the chain itself.
 */
export function dma_fence_chain_find_seqno(
  chain: DmaFence,
  seqno: number,
): DmaFence | undefined | Errno {
  if (seqno === 0) return chain;
  if (!(chain instanceof FenceChain) || chain.seqno < seqno) return 'EINVAL';
  for (const link of dma_fence_chain_links(chain)) {
    const last =
      link.context !== chain.context || !(link instanceof FenceChain) || link.previousSeqno < seqno;
    if (last) return link;
  }
  return undefined;
}

function isDone(link: DmaFence): boolean {
  return dma_fence_is_signaled(dma_fence_chain_contained(link));
}

function chainOf(fence: DmaFence): FenceChain {
  assert(fence instanceof FenceChain, 'Expected a chain of fences');
  return fence;
}
