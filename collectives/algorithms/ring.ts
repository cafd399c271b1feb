/**
 * Ring all-reduce: a ring reduce-scatter followed by a ring all-gather.
 *
 * The vector is cut into one block per rank. In every round each rank sends one block to its
 * right-hand neighbour and takes one from its left. Going around once, a block collects every rank's
 * contribution; going around a second time, the finished block visits every rank. Four ranks, the
 * four blocks of each side by side; digits are the ranks whose contribution a block holds, `*` is all:
 *
 *            rank 0           rank 1           rank 2           rank 3
 *   start    0   0   0   0    1   1   1   1    2   2   2   2    3   3   3   3
 *   round 1  0   0   0   03   01  1   1   1    2   12  2   2    3   3   23  3
 *   round 2  0   0   023 03   01  1   1   013  012 12  2   2    3   123 23  3
 *   round 3  0   *   023 03   01  1   *   013  012 12  2   *    *   123 23  3
 *   round 4  *   *   023 03   01  *   *   013  012 12  *   *    *   123 23  *
 *   round 5  *   *   023 *    *   *   *   013  012 *   *   *    *   123 *   *
 *   round 6  *   *   *   *    *   *   *   *    *   *   *   *    *   *   *   *
 *
 * Cost:   2(p-1)·α + 2·(p-1)/p·n·β + (p-1)/p·n·γ
 * Good:   large messages, any number of ranks. No all-reduce sends fewer bytes.
 * Bad:    small messages: latency grows with p.
 *
 * Every block is summed in one order, around the ring, and then copied: all ranks hold the same bits.
 *
 * Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
 * J. Parallel Distrib. Comput. 69 (2009).
 */
import { assert } from '../../common/assert.ts';
import { modulo, ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Round, Schedule, ScheduleOptions } from '../schedule.ts';
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
  type Where,
} from './group.ts';

/** `chunks` (default `nranks`) is a multiple of `nranks`; a block is that many chunks per rank. */
export function ringAllReduce({ nranks, chunks = nranks }: ScheduleOptions): Schedule {
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const block = chunks / nranks;
  // Rank r sends block r first, and so it is block r + 1 that it finishes.
  const from = (buffer: 'input' | 'output'): Where => {
    return (_, member) => ({ buffer, chunk: modulo(member + 1, nranks) * block });
  };
  const [own, result] = [from('input'), from('output')];
  return {
    collective: 'allReduce',
    algorithm: 'ring',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds(rank) {
      const group = everybody(nranks, rank);
      yield* ringReduceScatterPhase(group, { chunks: block, own, partial: result, result });
      yield* ringAllGatherPhase(group, { chunks: block, own: result, gathered: result });
    },
  };
}

/**
 * Ring all-gather: every rank's block goes once around the ring.
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 . . 3  0 1 . .  . 1 2 .  . . 2 3
 *   round 2  0 . 2 3  0 1 . 3  0 1 2 .  . 1 2 3
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   large messages, any number of ranks, uneven contributions.
 * Bad:    small messages: latency grows with p.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
export function ringAllGather(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'allGather', nranks, chunks = 1 } = options;
  const own: Where = () => ({ buffer: 'input', chunk: 0 });
  const gathered = blocksOf('output', chunks);
  return {
    collective,
    algorithm: 'ring',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: (rank) => ringAllGatherPhase(everybody(nranks, rank), { chunks, own, gathered }),
  };
}

/**
 * Ring reduce-scatter: every block goes once around the ring, and ends where it belongs.
 *
 * Rank r sends block r - 1 first. A partial sum only passes through a rank, which adds its contribution
 * to it. Outputs of four ranks, in place:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  0       1       2       3
 *   round 2  0       1       2       3
 *   round 3  0123    0123    0123    0123
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β + (p-1)/p·n·γ, where n is a rank's whole input
 * Good:   large messages, any number of ranks, uneven blocks.
 * Bad:    small messages: latency grows with p.
 *
 * Patarasuk and Yuan 2009.
 */
export function ringReduceScatter(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'reduceScatter', nranks, chunks = 1 } = options;
  return {
    collective,
    algorithm: 'ring',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: ranksOf(nranks * chunks),
    rounds: (rank) => ringReduceScatterPhase(everybody(nranks, rank), reduceScatterBlocks(chunks)),
  };
}

/** The blocks of the collective: partial sums lie in a scratch of the input's form. */
export function reduceScatterBlocks(chunks: number): ReducedBlocks {
  return {
    chunks,
    own: blocksOf('input', chunks),
    partial: blocksOf('scratch', chunks),
    result: () => ({ buffer: 'output', chunk: 0 }),
  };
}

/** Block i starts at member i + 1 and goes around to member i. */
export function* ringReduceScatterPhase(
  group: Group,
  { chunks, own, partial, result }: ReducedBlocks,
): Generator<Round> {
  const { ranks } = group;
  const members = ranks.length;
  if (members === 1) yield localMoves(ranks, chunks, own, result);
  for (let step = 0; step < members - 1; step++) {
    const from = step === 0 ? own : partial;
    const to = step === members - 2 ? result : partial;
    yield shiftedMoves(group, 1, (member, src, dst) => {
      const block = modulo(member - 1 - step, members);
      return moveBlock(block, { src, dst, chunks, from, to, operand: own });
    });
  }
}

/** Every member sends its own block first, and then what it got last. */
export function* ringAllGatherPhase(
  group: Group,
  { chunks, own, gathered }: GatheredBlocks,
): Generator<Round> {
  const { ranks } = group;
  const members = ranks.length;
  const local = localMoves(ranks, chunks, own, gathered);
  if (members === 1) yield local;
  for (let step = 0; step < members - 1; step++) {
    const from = step === 0 ? own : gathered;
    const moves = shiftedMoves(group, 1, (member, src, dst) =>
      moveBlock(modulo(member - step, members), { src, dst, chunks, from, to: gathered }),
    );
    yield step === 0 ? [...local, ...moves] : moves;
  }
}
