/**
 * The chunk table: where each chunk lies and how many elements it has. Uneven and empty chunks are
 * handled here and nowhere else, so that algorithms need not think of them.
 */
import { assert } from '../common/assert.ts';
import { BLOCKS, type CollectiveShape, chunksIn, logicalChunk } from './collective.ts';
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
 * Element counts of a call. One number: the vector (`allReduce`, `broadcast`, `reduce`, `sendRecv`,
 * `barrier`), a rank's input (`allGather`, `gather`, `allToAll`: all its blocks together, `custom`
 * likewise), or a rank's output (`reduceScatter`, `scatter`). A list: of each rank's block
 * (`allGatherV`, `reduceScatterV`), or from each rank to each, at `source * nranks + destination`
 * (`allToAllV`).
 */
export type ElementCounts = number | readonly number[];

/** The table for one call. */
export function chunkTable(shape: CollectiveShape, counts: ElementCounts): ChunkTable {
  const blocks = blockSizes(shape, counts);
  const sizes = blocks.flatMap((count) => splitEvenly(count, shape.chunks));
  const known = new Map<string, readonly number[]>();
  const startsOf = (rank: Rank, buffer: BufferName): readonly number[] => {
    const key = `${buffer} ${rank}`;
    let starts = known.get(key);
    if (starts === undefined) {
      starts = prefixSums(shape, rank, buffer, sizes);
      known.set(key, starts);
    }
    return starts;
  };
  return {
    range(rank, place, count) {
      const starts = startsOf(rank, place.buffer);
      const offset = starts[place.chunk];
      const end = starts[place.chunk + count];
      assert(
        offset !== undefined && end !== undefined,
        `Expected chunks ${place.chunk}+${count} inside ${place.buffer} of ${starts.length - 1} chunks`,
      );
      return { offset, length: end - offset };
    },
    bufferLength: (rank, buffer) => startsOf(rank, buffer).at(-1) ?? 0,
  };
}

/** Elements of each logical block. */
function blockSizes(shape: CollectiveShape, counts: ElementCounts): readonly number[] {
  const blocks = BLOCKS[shape.collective].logicalBlocks(shape);
  if (typeof counts !== 'number') {
    assert(
      counts.length === blocks,
      `Expected ${blocks} counts for ${shape.collective} but found ${counts.length}`,
    );
    return counts;
  }
  const parts = inputParts(shape);
  assert(
    counts % parts === 0,
    `Expected a multiple of ${parts} elements for ${shape.collective} but found ${counts}`,
  );
  return Array.from({ length: blocks }, () => counts / parts);
}

/** Into how many blocks the count of a call is divided. */
function inputParts({ collective, nranks, custom }: CollectiveShape): number {
  if (collective === 'allToAll' || collective === 'allToAllV') return nranks;
  return collective === 'custom' ? Math.max(1, custom?.input ?? 1) : 1;
}

function prefixSums(
  shape: CollectiveShape,
  rank: Rank,
  buffer: BufferName,
  sizes: readonly number[],
): number[] {
  const starts = [0];
  const chunks = chunksIn(shape, rank, buffer);
  for (let index = 0; index < chunks; index++) {
    const size = sizes[logicalChunk(shape, rank, buffer, index)];
    assert(size !== undefined, `Expected ${buffer} chunk ${index} to have a logical chunk`);
    starts.push((starts[index] as number) + size);
  }
  return starts;
}
