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
 * Cost:   lg p·(α + n·β + n·γ); `fold.ts` adds up to 2α + 2n·β + n·γ for other p
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
import type { BufferName, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { type Core, foldToPowerOfTwo } from './fold.ts';
import { localCopy } from './local-copy.ts';

export function recursiveDoublingAllReduce({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  return {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds() {
      if (nranks === 1) yield [localCopy(0, chunks)];
      yield* foldToPowerOfTwo({ nranks, chunks }, (core) => doubling(core, chunks));
    },
  };
}

function* doubling(core: Core, chunks: number): Generator<Round> {
  for (let distance = 1; distance < core.ranks.length; distance *= 2) {
    const bufferOf = (rank: Rank): BufferName => (distance === 1 ? core.holds(rank) : 'output');
    yield core.ranks.map((src, index): Transfer => {
      const dst = core.ranks[index ^ distance] as Rank;
      return {
        src,
        dst,
        from: { buffer: bufferOf(src), chunk: 0 },
        operand: { buffer: bufferOf(dst), chunk: 0 },
        to: { buffer: 'output', chunk: 0 },
        count: chunks,
        effect: 'reduce',
      };
    });
  }
}
