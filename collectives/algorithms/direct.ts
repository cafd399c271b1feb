/**
 * Direct all-reduce, also called all-pairs: every rank sends every other a block, twice.
 *
 * The vector is cut into one block per rank. First every rank sends block i to rank i, which adds up what
 * all send; then every rank sends the block that it finished to all. In round k ranks send to the one k
 * further on, so that nobody is sent to by two at once. Four ranks, four blocks each; digits are the
 * ranks whose contribution a block holds, `*` is all:
 *
 *            rank 0           rank 1           rank 2           rank 3
 *   start    0   0   0   0    1   1   1   1    2   2   2   2    3   3   3   3
 *   round 1  03  0   0   0    1   01  1   1    2   2   12  2    3   3   3   23
 *   round 2  023 0   0   0    1   013 1   1    2   2   012 2    3   3   3   123
 *   round 3  *   0   0   0    1   *   1   1    2   2   *   2    3   3   3   *
 *   round 4  *   *   *   *    *   *   *   *    *   *   *   *    *   *   *   *
 *
 * Cost:   2(p-1)·α + 2(p-1)/p·n·β + (p-1)/p·n·γ with one message at a time; with start-ups that overlap
 *         2α + 2(p-1)/p·n·β + 1/p·n·γ, if γ ≤ β
 * Good:   boxes in which every pair of ranks has a link of its own: only two hops from end to end.
 * Bad:    many ranks: p - 1 connections each, all of them busy at once.
 *
 * Every block is summed by one rank and then copied: all ranks hold the same bits.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005), of the pairwise exchange for its first half.
 */
import { assert } from '../../common/assert.ts';
import type { CollectiveName } from '../collective.ts';
import type { Place, Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { IN_RING } from './alike.ts';
import {
  blocksOf,
  everybody,
  type GatheredBlocks,
  type Group,
  localMoves,
  moveBlock,
  type ReducedBlocks,
  shiftedMoves,
} from './group.ts';

/** `chunks` (default `nranks`) is a multiple of `nranks`; a block is that many chunks per rank. */
export function directAllReduce({ nranks, chunks = nranks }: ScheduleOptions): Schedule {
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const block = chunks / nranks;
  const own = blocksOf('input', block);
  const result = blocksOf('output', block);
  return {
    collective: 'allReduce',
    algorithm: 'direct',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds(rank) {
      const group = everybody(nranks, rank);
      yield* directReduceScatterPhase(group, { chunks: block, own, result });
      if (nranks > 1) {
        yield* directAllGatherPhase(group, { chunks: block, own: result, gathered: result });
      }
    },
  };
}

/**
 * Direct reduce-scatter: every rank sends every other its block, and adds up what it gets.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  03      01      12      23
 *   round 2  023     013     012     123
 *   round 3  0123    0123    0123    0123
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input
 * Good:   any number of ranks, uneven blocks, nothing in scratch; links between all pairs.
 * Bad:    small messages on many ranks: p - 1 of them each.
 *
 * Thakur, Rabenseifner and Gropp 2005, as pairwise exchange.
 */
export function directReduceScatter(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'reduceScatter', nranks, chunks = 1 } = options;
  const own = blocksOf('input', chunks);
  const result = (): Place => ({ buffer: 'output', chunk: 0 });
  return {
    collective,
    algorithm: 'direct',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => directReduceScatterPhase(everybody(nranks), { chunks, own, result }),
  };
}

/**
 * Direct all-gather: every rank sends its block to every other.
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β with one message at a time, where n is the gathered size; with start-ups
 *         that overlap α + (p-1)/p·n·β
 * Good:   one hop for everything; any number of ranks, uneven contributions.
 * Bad:    small messages on many ranks: p - 1 of them each.
 *
 * Thakur, Rabenseifner and Gropp 2005, on what a rank at least has to receive.
 */
export function directAllGather(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'allGather', nranks, chunks = 1 } = options;
  return {
    collective,
    algorithm: 'direct',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: (rank) =>
      directAllGatherPhase(everybody(nranks, rank), {
        chunks,
        own: () => ({ buffer: 'input', chunk: 0 }),
        gathered: blocksOf('output', chunks),
      }),
  };
}

/** Adds up in `result`, so that `partial` is not needed. */
export function* directReduceScatterPhase(
  group: Group,
  { chunks, own, result }: Omit<ReducedBlocks, 'partial'>,
): Generator<Round> {
  const { ranks } = group;
  if (ranks.length === 1) yield localMoves(ranks, chunks, own, result);
  for (let step = 1; step < ranks.length; step++) {
    const operand = step === 1 ? own : result;
    yield shiftedMoves(group, step, (member, src, dst) => {
      const target = (member + step) % ranks.length;
      return moveBlock(target, { src, dst, chunks, from: own, operand, to: result });
    });
  }
}

/** One round; each member begins with the one after it. */
export function* directAllGatherPhase(
  group: Group,
  { chunks, own, gathered }: GatheredBlocks,
): Generator<Round> {
  const { ranks } = group;
  const round = localMoves(ranks, chunks, own, gathered);
  for (let step = 1; step < ranks.length; step++) {
    const moves = shiftedMoves(group, step, (member, src, dst) =>
      moveBlock(member, { src, dst, chunks, from: own, to: gathered }),
    );
    round.push(...moves);
  }
  yield round;
}
