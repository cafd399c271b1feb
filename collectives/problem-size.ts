/**
 * What the papers call n, and nccl-tests size: the vector, all that is gathered, scattered or reduced, or
 * what one rank has to send in an all-to-all.
 */
import { type ElementCounts, splitEvenly } from './chunks.ts';
import type { CollectiveName, CollectiveShape } from './collective.ts';

type Shape = Pick<CollectiveShape, 'collective' | 'nranks' | 'custom'>;

/** Those whose n is made of a part per rank: how often the counts of a call make it up. */
const PARTS: Readonly<Partial<Record<CollectiveName, 'times' | 'within'>>> = {
  allGather: 'times',
  allGatherV: 'times',
  gather: 'times',
  scatter: 'times',
  reduceScatter: 'times',
  reduceScatterV: 'times',
  // Their one count is n already.
  allToAll: 'within',
  allToAllV: 'within',
};

/** Elements of n, for the counts of a call. Of an uneven all-to-all, those of the rank with the most. */
export function problemElements({ collective, nranks }: Shape, counts: ElementCounts): number {
  if (typeof counts === 'number') return PARTS[collective] === 'times' ? counts * nranks : counts;
  if (collective !== 'allToAllV') return sum(counts);
  const inputs = Array.from({ length: nranks }, (_, rank) =>
    sum(counts.slice(rank * nranks, (rank + 1) * nranks)),
  );
  return Math.max(0, ...inputs);
}

/**
 * The counts of a call of about `elements` in all: as many as can be dealt evenly, no more than that; with
 * `multipleOf`, every part is a multiple of it.
 */
export function countsOfProblem(
  { collective, nranks, custom }: Shape,
  elements: number,
  multipleOf = 1,
): ElementCounts {
  const kind = PARTS[collective];
  const parts = (kind === undefined ? 1 : nranks) * Math.max(1, custom?.input ?? 1) * multipleOf;
  const isUneven = collective === 'allGatherV' || collective === 'reduceScatterV';
  if (isUneven && multipleOf === 1) return splitEvenly(elements, nranks);
  const even = elements - (elements % parts);
  return kind === 'times' ? even / nranks : even;
}

function sum(some: readonly number[]): number {
  return some.reduce((total, one) => total + one, 0);
}
