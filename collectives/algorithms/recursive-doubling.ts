/**
 * Recursive-doubling all-reduce: partners at distance 1, 2, 4, ... exchange and add all they have.
 *
 * After round k every rank holds the sum over its group of 2^k ranks; the groups double. Four ranks
 * (digits are the ranks whose contribution is held, `*` is all):
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  01      01      23      23
 *   round 2  *       *       *       *
 *
 * Cost:   lg p·(α + n·β + n·γ); for other p ⌊lg p⌋ of it, to which `fold.ts` adds 2α + 2n·β + n·γ
 * Good:   small messages: for a power of two, as few rounds as any all-reduce can have.
 * Bad:    large messages: the whole vector travels in every round.
 *
 * Both partners compute the same sum, one as a + b and the other as b + a. Floating-point addition
 * is not associative, but it is commutative (NaN payloads aside), and both group their operands
 * alike: the partners hold the same bits, and by induction all ranks do.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { assert } from '../../common/assert.ts';
import { isPowerOfTwo } from '../../common/math.ts';
import type { Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { inExchange } from './alike.ts';
import { foldToPowerOfTwo, handBackVector } from './fold.ts';
import {
  blockRange,
  blocksOf,
  everybody,
  type GatheredBlocks,
  type Group,
  localMoves,
  moveBlocks,
  type Vector,
  vectorIn,
} from './group.ts';

export function recursiveDoublingAllReduce({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  const vector = vectorIn('output', chunks);
  return {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    alike: inExchange(nranks),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () =>
      foldToPowerOfTwo({ nranks, vector, handBack: handBackVector(vector) }, (core) =>
        doublingAllReducePhase(core, { ...vector, own: core.own }),
      ),
  };
}

/**
 * Recursive-doubling all-gather: partners at distance 1, 2, 4, ... exchange all they have.
 *
 * After round k every rank has the blocks of its group of 2^k ranks, which lie side by side:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 1 . .  0 1 . .  . . 2 3  . . 2 3
 *   round 2  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   lg p·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   small and medium messages on a power of two of ranks: fewest rounds and fewest bytes.
 * Bad:    other numbers of ranks: not done; large messages travel far.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function recursiveDoublingAllGather({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  assert(isPowerOfTwo(nranks), `Expected a power of two of ranks but found ${nranks}`);
  return {
    collective: 'allGather',
    algorithm: 'recursiveDoubling',
    alike: inExchange(nranks),
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () =>
      doublingAllGatherPhase(everybody(nranks), {
        chunks,
        own: () => ({ buffer: 'input', chunk: 0 }),
        gathered: blocksOf('output', chunks),
      }),
  };
}

/** A power of two of members; all get the reduced vector, with the same bits. */
export function* doublingAllReducePhase({ ranks }: Group, vector: Vector): Generator<Round> {
  const { chunks, own, result } = vector;
  if (ranks.length === 1) yield localMoves(ranks, chunks, own, result);
  for (let distance = 1; distance < ranks.length; distance *= 2) {
    const held = distance === 1 ? own : result;
    yield ranks.map((src, member): Transfer => {
      const dst = ranks[member ^ distance] as Rank;
      const [from, operand, to] = [held(src), held(dst), result(dst)];
      return { src, dst, from, operand, to, count: chunks, effect: 'reduce' };
    });
  }
}

/** A power of two of members. */
export function* doublingAllGatherPhase(
  { ranks }: Group,
  { chunks, own, gathered }: GatheredBlocks,
): Generator<Round> {
  const local = localMoves(ranks, chunks, own, gathered);
  if (ranks.length === 1) yield local;
  for (let distance = 1; distance < ranks.length; distance *= 2) {
    const from = distance === 1 ? own : gathered;
    const moves = ranks.flatMap((src, member) => {
      const dst = ranks[member ^ distance] as Rank;
      const first = member - (member % distance);
      const blocks = blockRange(first, first + distance);
      return moveBlocks({ src, dst, blocks, chunks, from, to: gathered });
    });
    yield distance === 1 ? [...local, ...moves] : moves;
  }
}
