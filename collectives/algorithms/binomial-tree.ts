/**
 * Binomial-tree broadcast: in every round, each rank that has the vector sends it to one that has not.
 *
 * The number of ranks that have it doubles from round to round. Ranks are counted from the root: in
 * round k the ranks at distance 0 .. 2^k - 1 send to those 2^k further on. Four ranks, root 0
 * (`.` holds nothing yet):
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       .       .       .
 *   round 1  0       0       .       .
 *   round 2  0       0       0       0
 *
 * Cost:   ⌈lg p⌉·(α + n·β)
 * Good:   small messages, any number of ranks, any root.
 * Bad:    large messages: the root sends the whole vector ⌈lg p⌉ times.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { ceilLog2, ranksOf } from '../../common/math.ts';
import type { Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { everybody, type Group, localMoves, rotated, type Vector, vectorIn } from './group.ts';

export function binomialTreeBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  return {
    collective: 'broadcast',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root,
    scratch: [],
    rounds: () => treeBroadcastPhase(rotated(nranks, root), vectorIn('output', chunks)),
  };
}

/**
 * Binomial-tree reduce: the broadcast backwards.
 *
 * In every round half of the ranks that still have something send all of it to the other half, and are
 * done. Ranks other than the root add up in scratch. Four ranks, root 0, of which alone the output is
 * drawn:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0
 *   round 1  02
 *   round 2  0123
 *
 * Cost:   ⌈lg p⌉·(α + n·β + n·γ)
 * Good:   small messages, any number of ranks, any root.
 * Bad:    large messages: ⌈lg p⌉ whole vectors follow each other.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function binomialTreeReduce(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  const vector: Vector = {
    ...vectorIn('output', chunks),
    result: (rank) => ({ buffer: rank === root ? 'output' : 'scratch', chunk: 0 }),
  };
  return {
    collective: 'reduce',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root,
    scratch: ranksOf(chunks),
    rounds: () => treeReducePhase(rotated(nranks, root), vector),
  };
}

/**
 * Binomial-tree all-reduce: a reduce to rank 0, then a broadcast from there.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  02      13      2       3
 *   round 2  *       13      2       3
 *   round 3  *       *       2       3
 *   round 4  *       *       *       *
 *
 * Cost:   2⌈lg p⌉·(α + n·β) + ⌈lg p⌉·n·γ
 * Good:   small messages where few should be on the wire: 2(p-1) of them in all.
 * Bad:    small messages that should be fast: recursive doubling needs half the rounds.
 *
 * The sum is made by rank 0 alone and then copied: all ranks hold the same bits.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function binomialTreeAllReduce({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  const vector = vectorIn('output', chunks);
  return {
    collective: 'allReduce',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds() {
      yield* treeReducePhase(everybody(nranks), vector);
      if (nranks > 1)
        yield* treeBroadcastPhase(everybody(nranks), { ...vector, own: vector.result });
    },
  };
}

/** Member 0 is the root. */
export function* treeBroadcastPhase(
  { ranks }: Group,
  { chunks, own, result }: Vector,
): Generator<Round> {
  const local = localMoves(ranks.slice(0, 1), chunks, own, result);
  if (ranks.length === 1) yield local;
  for (let holders = 1; holders < ranks.length; holders *= 2) {
    const sends = ranks.slice(holders, 2 * holders).map((dst, member): Transfer => {
      const src = ranks[member] as Rank;
      const from = member === 0 ? own(src) : result(src);
      return { src, dst, from, to: result(dst), count: chunks, effect: 'copy' };
    });
    yield holders === 1 ? [...local, ...sends] : sends;
  }
}

/** Member 0 is the root, the only one that has the result in the end. */
export function* treeReducePhase(
  { ranks }: Group,
  { chunks, own, result }: Vector,
): Generator<Round> {
  const members = ranks.length;
  if (members === 1) yield localMoves(ranks, chunks, own, result);
  for (let left = 2 ** ceilLog2(members) / 2; left >= 1; left /= 2) {
    // Whoever has received anything got the last of it from the member 2 * left further on.
    const held = (rank: Rank, member: number) =>
      member + 2 * left < members ? result(rank) : own(rank);
    yield ranks.slice(left, 2 * left).map((src, member): Transfer => {
      const dst = ranks[member] as Rank;
      const [from, operand] = [held(src, member + left), held(dst, member)];
      return { src, dst, from, operand, to: result(dst), count: chunks, effect: 'reduce' };
    });
  }
}
