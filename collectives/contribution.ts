/**
 * Symbolic values: instead of numbers, a chunk holds the ranks whose contribution went into it, and
 * how often. The trace of a schedule and the verifier of programs compute with these; here is also
 * what each collective starts from and promises, in the same terms.
 */
import { unreachable } from '../common/assert.ts';
import { type CollectiveShape, logicalChunk } from './collective.ts';
import type { Rank } from './schedule.ts';

export interface Contribution {
  /** The logical chunk whose data this is. */
  readonly chunk: number;
  /** How often each rank's contribution is in it. */
  readonly counts: Uint16Array;
}

/** What chunk `index` of the rank's input holds at first; `undefined` if nothing is promised. */
export function initialContribution(
  shape: CollectiveShape,
  rank: Rank,
  index: number,
): Contribution | undefined {
  if (shape.collective === 'broadcast' && rank !== shape.root) return undefined;
  return contributionOf(shape, logicalChunk(shape, rank, 'input', index), [rank]);
}

/** What chunk `index` of every rank's output must hold at the end. */
export function promisedContribution(shape: CollectiveShape, index: number): Contribution {
  switch (shape.collective) {
    case 'allReduce':
      return contributionOf(shape, index, Array.from({ length: shape.nranks }).keys());
    case 'allGather':
      return contributionOf(shape, index, [Math.floor(index / shape.chunks)]);
    case 'broadcast':
      return contributionOf(shape, index, [shape.root]);
    default:
      return unreachable(shape.collective);
  }
}

/** `a (+) b`. The chunk is `a`'s; whoever cares must see that `b` has the same. */
export function addContributions(a: Contribution, b: Contribution): Contribution {
  const counts = new Uint16Array(a.counts);
  for (let rank = 0; rank < counts.length; rank++) {
    counts[rank] = (counts[rank] as number) + (b.counts[rank] as number);
  }
  return { chunk: a.chunk, counts };
}

function contributionOf(
  { nranks }: CollectiveShape,
  chunk: number,
  ranks: Iterable<Rank>,
): Contribution {
  const counts = new Uint16Array(nranks);
  for (const rank of ranks) counts[rank] = 1;
  return { chunk, counts };
}
