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
import { modulo, ranksOf } from '../../common/math.ts';
import type { Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { localCopy } from './local-copy.ts';

export function binomialTreeBroadcast(options: ScheduleOptions): Schedule {
  const { nranks, root = 0, chunks = 1 } = options;
  return {
    collective: 'broadcast',
    algorithm: 'binomialTree',
    nranks,
    chunks,
    root,
    scratch: [],
    *rounds() {
      if (nranks === 1) yield [localCopy(root, chunks)];
      for (let holders = 1; holders < nranks; holders *= 2) {
        const sends = doubleHolders({ nranks, root, chunks }, holders);
        yield holders === 1 ? [localCopy(root, chunks), ...sends] : sends;
      }
    },
  };
}

function doubleHolders(
  { nranks, root, chunks }: Required<ScheduleOptions>,
  holders: number,
): Round {
  return ranksOf(Math.min(holders, nranks - holders)).map((distance): Transfer => {
    return {
      src: modulo(root + distance, nranks),
      dst: modulo(root + distance + holders, nranks),
      from: { buffer: distance === 0 ? 'input' : 'output', chunk: 0 },
      to: { buffer: 'output', chunk: 0 },
      count: chunks,
      effect: 'copy',
    };
  });
}
