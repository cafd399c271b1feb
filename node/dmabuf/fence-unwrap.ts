/** The fences inside fences (Linux drivers/dma-buf/dma-fence-unwrap.c). */

import {
  type DmaFence,
  dma_fence_get,
  dma_fence_get_stub,
  dma_fence_is_later,
  dma_fence_is_signaled,
} from './fence.ts';
import { dma_fence_array_create, dma_fence_array_fences } from './fence-array.ts';
import { dma_fence_chain_contained, dma_fence_chain_links } from './fence-chain.ts';

/** Every leaf of chains, arrays and chains of arrays, once each. Links that are over are left out. */
export function* dma_fence_unwrap(fence: DmaFence): Generator<DmaFence> {
  for (const link of dma_fence_chain_links(fence)) {
    yield* dma_fence_array_fences(dma_fence_chain_contained(link));
  }
}

/**
 * One fence that stands for the leaves of all of `fences`: those that have signalled are left out, and
 * of each context only the latest stays. The stub if nothing is left. The caller has a reference to it.
 */
export function dma_fence_unwrap_merge(...fences: readonly DmaFence[]): DmaFence {
  const latest = new Map<number, DmaFence>();
  for (const leaf of fences.flatMap((fence) => [...dma_fence_unwrap(fence)])) {
    if (dma_fence_is_signaled(leaf)) continue;
    const known = latest.get(leaf.context);
    if (known === undefined || dma_fence_is_later(leaf, known)) latest.set(leaf.context, leaf);
  }
  const leaves = [...latest.values()].sort((one, other) => one.context - other.context);
  const [first] = leaves;
  if (first === undefined) return dma_fence_get(dma_fence_get_stub());
  for (const leaf of leaves) dma_fence_get(leaf);
  return leaves.length === 1 ? first : dma_fence_array_create({ fences: leaves });
}
