/**
 * What each collective promises, apart from how it is done: which buffers a rank has, whose data is in
 * which block of them, which blocks are the same memory in place, and who must hold what at the end.
 *
 * Buffers are made of *blocks*, and each block is cut into `shape.chunks` chunks, so that chunk
 * `block * chunks + j` is the j-th of its block. The collective's data as a whole is a list of *logical*
 * blocks, cut alike; every place holds, or has the size of, one logical chunk. Two places exchange
 * data only if their logical chunks have the same number of elements (`chunks.ts` gives sizes).
 */
import { modulo, ranksOf } from '../common/math.ts';
import type { BufferName, Rank } from './schedule.ts';

/** HCCL's names; the V forms take a count per rank. `custom` promises nothing of the outputs. */
export type CollectiveName =
  | 'allReduce'
  | 'allGather'
  | 'broadcast'
  | 'reduceScatter'
  | 'reduce'
  | 'allToAll'
  | 'gather'
  | 'scatter'
  | 'sendRecv'
  | 'barrier'
  | 'allGatherV'
  | 'reduceScatterV'
  | 'allToAllV'
  | 'custom';

/** What `collective.ts` and `chunks.ts` need to know of a schedule or program. */
export interface CollectiveShape {
  readonly collective: CollectiveName;
  readonly nranks: number;
  /** Into how many chunks a block is cut (see `BLOCKS`). */
  readonly chunks: number;
  /** Root rank of a rooted collective; 0 otherwise. */
  readonly root: Rank;
  /** Logical chunk that each scratch chunk has the size of. Empty when there is no scratch. */
  readonly scratch: readonly number[];
  /** With `custom` only: blocks of every rank's input and output. */
  readonly custom?: { readonly input: number; readonly output: number };
}

/** What a block of an output must hold at the end. */
export interface Promised {
  /** Logical block. */
  readonly block: number;
  /** Whose contribution to it. */
  readonly ranks: readonly Rank[];
  readonly times: 'once' | 'atLeastOnce';
}

/** A collective in terms of blocks. Block numbers are logical where they say so. */
export interface CollectiveRow {
  readonly inputBlocks: (shape: CollectiveShape, rank: Rank) => number;
  readonly outputBlocks: (shape: CollectiveShape, rank: Rank) => number;
  readonly logicalBlocks: (shape: CollectiveShape) => number;
  /** Logical block of block `index` of the rank's input: that of its contribution. */
  readonly inputBlock: (shape: CollectiveShape, rank: Rank, index: number) => number;
  /** Logical block of block `index` of the rank's output. */
  readonly outputBlock: (shape: CollectiveShape, rank: Rank, index: number) => number;
  /** `all`: every rank contributes to every block; `owner`: the one rank that has it as input. */
  readonly contributors: 'all' | 'allAtLeastOnce' | 'owner' | 'unknown';
  /** In place, one buffer is a part of the other: its block 0 lies at this block of the other. */
  readonly inPlace: InPlaceRule;
  /** Whether a root is meant. */
  readonly rooted: boolean;
  /** Whether elements are reduced, so that a call names an operation. */
  readonly reduces: boolean;
}

type InPlaceRule =
  | 'same'
  /** Input is the rank's own block of the output. */
  | 'inputInOutput'
  /** Output is the rank's own block of the input. */
  | 'outputInInput';

const one = (): number => 1;
const perRank = ({ nranks }: CollectiveShape): number => nranks;
const atRoot =
  (blocks: (shape: CollectiveShape) => number) =>
  (shape: CollectiveShape, rank: Rank): number =>
    rank === shape.root ? blocks(shape) : 0;
const same = (_: CollectiveShape, __: Rank, index: number): number => index;
const ownRank = (_: CollectiveShape, rank: Rank): number => rank;

const VECTOR = {
  inputBlocks: one,
  outputBlocks: one,
  logicalBlocks: one,
  inputBlock: same,
  outputBlock: same,
  inPlace: 'same',
} as const;

const ALL_REDUCE: CollectiveRow = { ...VECTOR, contributors: 'all', rooted: false, reduces: true };

const ALL_GATHER: CollectiveRow = {
  inputBlocks: one,
  outputBlocks: perRank,
  logicalBlocks: perRank,
  inputBlock: ownRank,
  outputBlock: same,
  contributors: 'owner',
  inPlace: 'inputInOutput',
  rooted: false,
  reduces: false,
};

const REDUCE_SCATTER: CollectiveRow = {
  inputBlocks: perRank,
  outputBlocks: one,
  logicalBlocks: perRank,
  inputBlock: same,
  outputBlock: ownRank,
  contributors: 'all',
  inPlace: 'outputInInput',
  rooted: false,
  reduces: true,
};

/** Logical block `source * nranks + destination`. */
const ALL_TO_ALL: CollectiveRow = {
  inputBlocks: perRank,
  outputBlocks: perRank,
  logicalBlocks: ({ nranks }) => nranks * nranks,
  inputBlock: ({ nranks }, rank, index) => rank * nranks + index,
  outputBlock: ({ nranks }, rank, index) => index * nranks + rank,
  contributors: 'owner',
  inPlace: 'same',
  rooted: false,
  reduces: false,
};

export const BLOCKS: Readonly<Record<CollectiveName, CollectiveRow>> = {
  allReduce: ALL_REDUCE,
  allGather: ALL_GATHER,
  broadcast: {
    ...VECTOR,
    inputBlocks: atRoot(one),
    contributors: 'owner',
    rooted: true,
    reduces: false,
  },
  reduceScatter: REDUCE_SCATTER,
  reduce: { ...ALL_REDUCE, outputBlocks: atRoot(one), rooted: true },
  allToAll: ALL_TO_ALL,
  gather: { ...ALL_GATHER, outputBlocks: atRoot(perRank), rooted: true },
  scatter: {
    ...REDUCE_SCATTER,
    inputBlocks: atRoot(perRank),
    contributors: 'owner',
    rooted: true,
    reduces: false,
  },
  // Everybody sends to the next rank: the shift of nccl-tests' sendrecv.
  sendRecv: {
    ...VECTOR,
    logicalBlocks: perRank,
    inputBlock: ownRank,
    outputBlock: ({ nranks }, rank) => modulo(rank - 1, nranks),
    contributors: 'owner',
    rooted: false,
    reduces: false,
  },
  // The token of a barrier: its reduction may count a rank twice, because it is a maximum.
  barrier: { ...ALL_REDUCE, contributors: 'allAtLeastOnce', reduces: false },
  allGatherV: ALL_GATHER,
  reduceScatterV: REDUCE_SCATTER,
  allToAllV: ALL_TO_ALL,
  custom: {
    inputBlocks: ({ custom }) => custom?.input ?? 0,
    outputBlocks: ({ custom }) => custom?.output ?? 0,
    logicalBlocks: ({ nranks, custom }) => nranks * (custom?.input ?? 0),
    inputBlock: ({ custom }, rank, index) => rank * (custom?.input ?? 0) + index,
    outputBlock: same,
    contributors: 'unknown',
    inPlace: 'same',
    rooted: false,
    reduces: true,
  },
};

/** Every collective that a user can call, in the order of their numbers on the wire. */
export const COLLECTIVES: readonly CollectiveName[] = (
  Object.keys(BLOCKS) as CollectiveName[]
).filter((name) => name !== 'custom');

/** Number of chunks that `rank`'s `buffer` has. */
export function chunksIn(shape: CollectiveShape, rank: Rank, buffer: BufferName): number {
  if (buffer === 'scratch') return shape.scratch.length;
  const row = BLOCKS[shape.collective];
  const blocks = buffer === 'input' ? row.inputBlocks : row.outputBlocks;
  return blocks(shape, rank) * shape.chunks;
}

/** Logical chunks in all. */
export function logicalChunks(shape: CollectiveShape): number {
  return BLOCKS[shape.collective].logicalBlocks(shape) * shape.chunks;
}

/** The logical chunk that has the size of chunk `index` of `buffer` on `rank`; -1 if there is none. */
export function logicalChunk(
  shape: CollectiveShape,
  rank: Rank,
  buffer: BufferName,
  index: number,
): number {
  if (buffer === 'scratch') return shape.scratch[index] ?? -1;
  const row = BLOCKS[shape.collective];
  const blockOf = buffer === 'input' ? row.inputBlock : row.outputBlock;
  const { chunks } = shape;
  return blockOf(shape, rank, Math.floor(index / chunks)) * chunks + (index % chunks);
}

/** What output block `index` of `rank` must hold at the end; `undefined`: nothing is promised. */
export function promisedBlock(
  shape: CollectiveShape,
  rank: Rank,
  index: number,
): Promised | undefined {
  const { contributors, outputBlock } = BLOCKS[shape.collective];
  if (contributors === 'unknown') return undefined;
  const block = outputBlock(shape, rank, index);
  if (contributors === 'owner') return { block, ranks: [ownerOf(shape, block)], times: 'once' };
  const times = contributors === 'all' ? 'once' : 'atLeastOnce';
  return { block, ranks: ranksOf(shape.nranks), times };
}

/** The rank whose input a logical block is, where one rank alone has it. */
function ownerOf({ collective, nranks, root }: CollectiveShape, block: number): Rank {
  switch (collective) {
    case 'broadcast':
    case 'scatter':
      return root;
    case 'allToAll':
    case 'allToAllV':
      return Math.floor(block / nranks);
    default:
      return block;
  }
}

/** In place: `part` is the memory of `whole` from chunk `chunk` on. */
export interface Alias {
  readonly part: 'input' | 'output';
  readonly whole: 'input' | 'output';
  readonly chunk: number;
}

/** Which buffer lies in which in place; `undefined` on a rank that has only one of them. */
export function inPlaceAlias(shape: CollectiveShape, rank: Rank): Alias | undefined {
  const row = BLOCKS[shape.collective];
  if (row.inputBlocks(shape, rank) === 0 || row.outputBlocks(shape, rank) === 0) return undefined;
  if (row.inPlace === 'outputInInput') {
    return { part: 'output', whole: 'input', chunk: rank * shape.chunks };
  }
  const chunk = row.inPlace === 'same' ? 0 : rank * shape.chunks;
  return { part: 'input', whole: 'output', chunk };
}
