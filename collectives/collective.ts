/**
 * What each collective promises, apart from how it is done: which buffers it has, into how many
 * chunks they are cut, which chunks alias in place, and who must hold what at the end.
 *
 * The collective's data is a list of *logical chunks*, numbered 0..L-1. A (buffer, index) of a rank
 * names one of them by `logicalChunk`; two places exchange data only if their logical chunks have
 * the same number of elements (`chunks.ts` gives sizes).
 */
import { unreachable } from '../common/assert.ts';
import type { BufferName, Rank } from './schedule.ts';

/** HCCL's names. `allGather` counts are per-rank input; `allReduce` and `broadcast` are the vector. */
export type CollectiveName = 'allReduce' | 'allGather' | 'broadcast';

export const COLLECTIVES: readonly CollectiveName[] = ['allReduce', 'allGather', 'broadcast'];

/** What `collective.ts` and `chunks.ts` need to know of a schedule or program. */
export interface CollectiveShape {
  readonly collective: CollectiveName;
  readonly nranks: number;
  /**
   * Into how many chunks one contribution is cut: the whole vector for `allReduce` and `broadcast`,
   * one rank's input for `allGather` (so its output has `nranks * chunks`).
   */
  readonly chunks: number;
  /** Root rank of a rooted collective; 0 otherwise. */
  readonly root: Rank;
  /** Logical chunk that each scratch chunk has the size of. Empty when there is no scratch. */
  readonly scratch: readonly number[];
}

/** Number of chunks that `buffer` has on every rank. */
export function chunksIn(shape: CollectiveShape, buffer: BufferName): number {
  if (buffer === 'scratch') return shape.scratch.length;
  switch (shape.collective) {
    case 'allReduce':
    case 'broadcast':
      return shape.chunks;
    case 'allGather':
      return buffer === 'input' ? shape.chunks : shape.nranks * shape.chunks;
    default:
      return unreachable(shape.collective);
  }
}

/** Logical chunks in all. */
export function logicalChunks(shape: CollectiveShape): number {
  return chunksIn(shape, 'output');
}

/** The logical chunk that has the size of chunk `index` of `buffer` on `rank`. */
export function logicalChunk(
  shape: CollectiveShape,
  rank: Rank,
  buffer: BufferName,
  index: number,
): number {
  if (buffer === 'scratch') return shape.scratch[index] ?? -1;
  if (shape.collective === 'allGather' && buffer === 'input') return rank * shape.chunks + index;
  return index;
}

/**
 * In place: the output chunk that is the same memory as input chunk `index` of `rank`. For
 * `allGather` the input is the rank's own part of the output, else input and output are one buffer.
 */
export function inPlaceOutput(shape: CollectiveShape, rank: Rank, index: number): number {
  return shape.collective === 'allGather' ? rank * shape.chunks + index : index;
}
