/** Which chunks have the same number of elements, whatever the counts of a call. */
import { type CollectiveShape, logicalChunk } from '../collective.ts';
import type { BufferName, Rank } from '../schedule.ts';

/**
 * A number that two chunks share only if their sizes are equal for all counts. Blocks of one size are
 * cut alike, so that it is where in its block a chunk is; where blocks have counts of their own, it is
 * the logical chunk.
 */
export function sizeOf(
  shape: CollectiveShape,
  rank: Rank,
  buffer: BufferName,
  chunk: number,
): number {
  switch (shape.collective) {
    case 'allGatherV':
    case 'reduceScatterV':
    case 'allToAllV':
      return logicalChunk(shape, rank, buffer, chunk);
    default:
      return (buffer === 'scratch' ? (shape.scratch[chunk] ?? -1) : chunk) % shape.chunks;
  }
}
