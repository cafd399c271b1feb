/**
 * Symbolic values: instead of numbers, a chunk holds the ranks whose contribution went into it, and
 * how often. The trace of a schedule computes with these; the verifier of programs has a form of its
 * own for them, which is faster (`verifier/rank-state.ts`), so that each is a check of the other.
 */
import { type CollectiveShape, logicalChunk } from './collective.ts';
import type { Rank } from './schedule.ts';

/** Contributions of one rank that are counted; more are as many. */
const COUNT_MAX = 65535;

export interface Contribution {
  /** The logical chunk whose data this is. */
  readonly chunk: number;
  /** How often each rank's contribution is in it, up to `COUNT_MAX`. */
  readonly counts: Uint16Array;
}

/** What chunk `index` of the rank's input holds at first. */
export function initialContribution(
  shape: CollectiveShape,
  rank: Rank,
  index: number,
): Contribution {
  return contributionOf(shape, logicalChunk(shape, rank, 'input', index), [rank]);
}

/** `a (+) b`. The chunk is `a`'s; whoever cares must see that `b` has the same. */
export function addContributions(a: Contribution, b: Contribution): Contribution {
  const counts = new Uint16Array(a.counts);
  for (let rank = 0; rank < counts.length; rank++) {
    counts[rank] = Math.min(COUNT_MAX, (counts[rank] as number) + (b.counts[rank] as number));
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
