/**
 * Rabenseifner's all-reduce: a reduce-scatter by recursive halving, then an all-gather by recursive
 * doubling.
 *
 * In each round of the first half, partners split the blocks that both still work on: each sends the
 * half that it gives up and adds what it gets to the half that it keeps. The distance between partners
 * halves, and so does the data, until each rank has one finished block. The second half goes the same
 * way back. Four ranks, four blocks each; digits are the ranks whose contribution a block holds, `*` all:
 *
 *            rank 0       rank 1       rank 2       rank 3
 *   start    0  0  0  0   1  1  1  1   2  2  2  2   3  3  3  3
 *   round 1  02 02 0  0   13 13 1  1   2  2  02 02  3  3  13 13
 *   round 2  *  02 0  0   13 *  1  1   2  2  *  02  3  3  13 *
 *   round 3  *  *  0  0   *  *  1  1   2  2  *  *   3  3  *  *
 *   round 4  *  *  *  *   *  *  *  *   *  *  *  *   *  *  *  *
 *
 * Cost:   2 lg p·α + 2(p-1)/p·n·β + (p-1)/p·n·γ; for other p, with q = 2^⌊lg p⌋ and `fold.ts`,
 *         (2⌊lg p⌋+2)·α + (2(q-1)/q+2)·n·β + (1+(q-1)/q)·n·γ
 * Good:   medium and large messages on a power of two of ranks: as few bytes as a ring, in fewer rounds.
 * Bad:    other numbers of ranks: the whole vector travels twice more.
 *
 * Every block is summed by one rank and then copied: all ranks hold the same bits.
 *
 * Rabenseifner, "Optimization of collective reduction operations", ICCS 2004, LNCS 3036; Thakur,
 * Rabenseifner and Gropp, Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { assert } from '../../common/assert.ts';
import { floorLog2, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { inExchange } from './alike.ts';
import { foldToPowerOfTwo, handBackVector } from './fold.ts';
import {
  blockRange,
  blocksAt,
  blocksOf,
  type Group,
  moveBlocks,
  type Vector,
  vectorIn,
} from './group.ts';
import { doublingAllGatherPhase } from './recursive-doubling.ts';
import { halvingReduceScatterPhase } from './recursive-halving.ts';

/** Ranks of the core, and so blocks of the vector: `chunks` must be a multiple. */
export function halvingBlocks(nranks: number): number {
  return 2 ** floorLog2(nranks);
}

/** `chunks` (default `halvingBlocks(nranks)`) is a multiple of that. */
export function halvingDoublingAllReduce(options: ScheduleOptions): Schedule {
  const { nranks, chunks = halvingBlocks(nranks) } = options;
  const block = blockChunks(nranks, chunks);
  const vector = vectorIn('output', chunks);
  const sums = blocksOf('output', block);
  return {
    collective: 'allReduce',
    algorithm: 'halvingDoubling',
    alike: inExchange(nranks),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () =>
      foldToPowerOfTwo({ nranks, vector, handBack: handBackVector(vector) }, function* (core) {
        const own = blocksAt(core.own, block);
        yield* halvingReduceScatterPhase(core, { chunks: block, own, partial: sums, result: sums });
        yield* doublingAllGatherPhase(core, { chunks: block, own: sums, gathered: sums });
      }),
  };
}

/**
 * Rabenseifner's reduce: a reduce-scatter by recursive halving, then a gather to the root.
 *
 * The gather is a recursive doubling in which only the root's side receives, so that blocks arrive side
 * by side. Ranks other than the root keep their sums in scratch. Four ranks, root 0, of which alone the
 * output is drawn:
 *
 *            rank 0               rank 1  rank 2  rank 3
 *   start    0    0    0    0
 *   round 1  02   02   0    0
 *   round 2  0123 02   0    0
 *   round 3  0123 0123 0    0
 *   round 4  0123 0123 0123 0123
 *
 * Cost:   2 lg p·α + 2(p-1)/p·n·β + (p-1)/p·n·γ; for other p, with q = 2^⌊lg p⌋ and `fold.ts`,
 *         (2⌊lg p⌋+1)·α + (2(q-1)/q+1)·n·β + (1+(q-1)/q)·n·γ
 * Good:   large messages: a binomial tree sends lg p whole vectors one after the other.
 * Bad:    small messages: twice the rounds of a binomial tree.
 *
 * Rabenseifner 2004.
 */
export function halvingDoublingReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = halvingBlocks(nranks) } = options;
  const block = blockChunks(nranks, chunks);
  const vector: Vector = {
    ...vectorIn('output', chunks),
    result: (rank) => ({ buffer: rank === root ? 'output' : 'scratch', chunk: 0 }),
  };
  const sums = blocksAt(vector.result, block);
  return {
    collective: 'reduce',
    algorithm: 'halvingDoubling',
    nranks,
    chunks,
    root,
    scratch: ranksOf(chunks),
    rounds: () =>
      foldToPowerOfTwo({ nranks, keep: root, vector }, function* (core) {
        const own = blocksAt(core.own, block);
        yield* halvingReduceScatterPhase(core, { chunks: block, own, partial: sums, result: sums });
        yield* gatherByDoubling(core, core.ranks.indexOf(root), { chunks: block, at: sums });
      }),
  };
}

function blockChunks(nranks: number, chunks: number): number {
  const blocks = halvingBlocks(nranks);
  assert(chunks % blocks === 0, `Expected a multiple of ${blocks} chunks but found ${chunks}`);
  return chunks / blocks;
}

/** Of each pair of groups of 2^k members, the one on the root's side gets the blocks of the other. */
function* gatherByDoubling(
  { ranks }: Group,
  root: number,
  { chunks, at }: { readonly chunks: number; readonly at: (rank: Rank, block: number) => Place },
): Generator<Round> {
  for (let distance = 1; distance < ranks.length; distance *= 2) {
    yield ranks.flatMap((dst, member) => {
      if (member % (2 * distance) !== root % (2 * distance)) return [];
      const partner = member ^ distance;
      const src = ranks[partner] as Rank;
      const first = partner - (partner % distance);
      const blocks = blockRange(first, first + distance);
      return moveBlocks({ src, dst, blocks, chunks, from: at, to: at });
    });
  }
}
