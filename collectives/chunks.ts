/**
 * The chunk table: where each chunk lies and how many elements it has. Uneven and empty chunks are
 * handled here and nowhere else, so that algorithms need not think of them.
 */
import { assert } from '../common/assert.ts';
import { type CollectiveShape, chunksIn, logicalChunk, logicalChunks } from './collective.ts';
import type { BufferName, Place, Rank } from './schedule.ts';

/** A run of elements in one buffer, in elements from the buffer's start. */
export interface ElementRange {
  readonly offset: number;
  readonly length: number;
}

export interface ChunkTable {
  /** The elements of `count` chunks from `place` on, in `rank`'s buffer. */
  range(rank: Rank, place: Place, count: number): ElementRange;
  /** Elements that `rank`'s buffer has in all. */
  bufferLength(rank: Rank, buffer: BufferName): number;
}

/** Sizes of `parts` parts of `total` that differ by at most one, larger ones first. */
export function splitEvenly(total: number, parts: number): number[] {
  const base = Math.floor(total / parts);
  const larger = total % parts;
  return Array.from({ length: parts }, (_, index) => base + (index < larger ? 1 : 0));
}

/**
 * The table for one call. `counts` is the element count of the vector (`allReduce`, `broadcast`), or
 * of each rank's input (`allGather`; a single number means the same on all ranks).
 */
export function chunkTable(shape: CollectiveShape, counts: number | readonly number[]): ChunkTable {
  const sizes = logicalSizes(shape, counts);
  const offsets = new Map<string, readonly number[]>();
  const offsetsOf = (rank: Rank, buffer: BufferName): readonly number[] => {
    const perRank = buffer === 'input' && shape.collective === 'allGather';
    const key = perRank ? `input ${rank}` : buffer;
    let known = offsets.get(key);
    if (known === undefined) {
      known = prefixSums(shape, rank, buffer, sizes);
      offsets.set(key, known);
    }
    return known;
  };
  return {
    range(rank, place, count) {
      const starts = offsetsOf(rank, place.buffer);
      const offset = starts[place.chunk];
      const end = starts[place.chunk + count];
      assert(
        offset !== undefined && end !== undefined,
        `Expected chunks ${place.chunk}+${count} inside ${place.buffer} of ${starts.length - 1} chunks`,
      );
      return { offset, length: end - offset };
    },
    bufferLength: (rank, buffer) => offsetsOf(rank, buffer).at(-1) ?? 0,
  };
}

function logicalSizes(shape: CollectiveShape, counts: number | readonly number[]): number[] {
  if (shape.collective !== 'allGather') {
    assert(typeof counts === 'number', `Expected one count for ${shape.collective}`);
    return splitEvenly(counts, logicalChunks(shape));
  }
  const sizes: number[] = [];
  for (let rank = 0; rank < shape.nranks; rank++) {
    const count = typeof counts === 'number' ? counts : counts[rank];
    assert(count !== undefined, `Expected ${shape.nranks} counts`);
    sizes.push(...splitEvenly(count, shape.chunks));
  }
  return sizes;
}

function prefixSums(
  shape: CollectiveShape,
  rank: Rank,
  buffer: BufferName,
  sizes: readonly number[],
): number[] {
  const starts = [0];
  for (let index = 0; index < chunksIn(shape, buffer); index++) {
    const size = sizes[logicalChunk(shape, rank, buffer, index)];
    assert(size !== undefined, `Expected ${buffer} chunk ${index} to have a logical chunk`);
    starts.push((starts[index] as number) + size);
  }
  return starts;
}
