/**
 * What lies where in a rank's buffers, for any collective: where its input is, and which test operands
 * each part of its result must hold. Read off the collective's blocks (`collectives/collective.ts`), as
 * the verifier does, and so the benchmark knows no collective either.
 */
import { type ChunkTable, chunkTable, type ElementCounts } from '../collectives/chunks.ts';
import {
  BLOCKS,
  type CollectiveShape,
  chunksIn,
  inPlaceAlias,
  promisedBlock,
} from '../collectives/collective.ts';
import { COLLECTIVE_WORDS, type CollectiveWord } from '../collectives/names.ts';
import { defined } from '../common/assert.ts';
import type { BenchSize } from './sizes.ts';

export type Place = 'outOfPlace' | 'inPlace';

/** A part of the result. Offsets and lengths in elements. */
export interface ExpectedPart {
  readonly offset: number;
  readonly length: number;
  /** The operands of these many ranks, from `firstRank` on, reduced. */
  readonly firstRank: number;
  readonly ranks: number;
  /** Index of the part's first element among each rank's operands. */
  readonly firstIndex: number;
}

/** One call of one rank, in elements. */
export interface Layout {
  /** What the call is given. */
  readonly counts: ElementCounts;
  readonly inputLength: number;
  readonly outputLength: number;
  /** In place: where input and output begin in the one buffer. */
  readonly inPlace: { readonly input: number; readonly output: number; readonly length: number };
  readonly expected: readonly ExpectedPart[];
}

export interface LayoutRequest {
  readonly collective: CollectiveWord;
  readonly size: BenchSize;
  readonly rank: number;
  readonly nranks: number;
  readonly root: number;
}

/** The layout of a row of a sweep. */
export function layoutOf(request: LayoutRequest): Layout {
  return layoutFor(shapeOf(request), countsOf(request), request.rank);
}

/** The layout of a call with these counts. */
export function layoutFor(shape: CollectiveShape, counts: ElementCounts, rank: number): Layout {
  const table = chunkTable(shape, counts);
  const inputLength = table.bufferLength(rank, 'input');
  const outputLength = table.bufferLength(rank, 'output');
  return {
    counts,
    inputLength,
    outputLength,
    inPlace: inPlaceOf(shape, table, rank),
    expected: [...expectedParts(shape, table, rank)].filter(({ length }) => length > 0),
  };
}

/** Whether the collective can be called with its input in its output. */
export function hasInPlace(collective: CollectiveWord): boolean {
  return !['barrier', 'sendrecv', 'alltoall_v'].includes(collective);
}

function shapeOf({ collective, nranks, root }: LayoutRequest): CollectiveShape {
  return { collective: COLLECTIVE_WORDS[collective], nranks, chunks: 1, root, scratch: [] };
}

/** The V forms get uneven counts with the same sum: every other block gives half of itself away. */
function countsOf({ collective, size, nranks }: LayoutRequest): ElementCounts {
  const { count } = size;
  if (collective === 'alltoall') return count * nranks;
  if (collective === 'all_gather_v' || collective === 'reduce_scatter_v') {
    return Array.from({ length: nranks }, (_, rank) => uneven(count, rank, nranks));
  }
  if (collective !== 'alltoall_v') return count;
  return Array.from({ length: nranks * nranks }, (_, pair) => {
    const [source, destination] = [Math.floor(pair / nranks), pair % nranks];
    return uneven(count, (source + destination) % nranks, nranks);
  });
}

function uneven(count: number, index: number, nranks: number): number {
  const half = Math.floor(count / 2);
  if (index % 2 === 1) return count + half;
  return index === nranks - 1 ? count : count - half;
}

function inPlaceOf(shape: CollectiveShape, table: ChunkTable, rank: number): Layout['inPlace'] {
  const alias = inPlaceAlias(shape, rank);
  const [input, output] = [table.bufferLength(rank, 'input'), table.bufferLength(rank, 'output')];
  const length = Math.max(input, output);
  if (alias === undefined) return { input: 0, output: 0, length };
  const { offset } = table.range(rank, { buffer: alias.whole, chunk: alias.chunk }, 0);
  return alias.part === 'input'
    ? { input: offset, output: 0, length }
    : { input: 0, output: offset, length };
}

function* expectedParts(
  shape: CollectiveShape,
  table: ChunkTable,
  rank: number,
): Generator<ExpectedPart> {
  for (let index = 0; index < chunksIn(shape, rank, 'output'); index++) {
    const promised = defined(promisedBlock(shape, rank, index), 'a promise');
    const firstRank = defined(promised.ranks[0], 'a contributor');
    const { offset, length } = table.range(rank, { buffer: 'output', chunk: index }, 1);
    const source = inputIndex(shape, firstRank, promised.block);
    const from = table.range(firstRank, { buffer: 'input', chunk: source }, 1);
    const ranks = promised.ranks.length;
    yield { offset, length, firstRank, ranks, firstIndex: from.offset };
  }
}

/** Which block of the rank's input is the logical one. */
function inputIndex(shape: CollectiveShape, rank: number, block: number): number {
  const { inputBlock } = BLOCKS[shape.collective];
  const indices = Array.from({ length: chunksIn(shape, rank, 'input') }, (_, index) => index);
  return defined(
    indices.find((index) => inputBlock(shape, rank, index) === block),
    'the block in an input',
  );
}
