/**
 * Folds any number of ranks onto a power of two, for all-reduces that need one.
 *
 * With r ranks above a power of two, the first 2r ranks pair up: each even rank hands its
 * contribution to the odd one on its right, which stands in for both, and gets the result back at
 * the end. The ranks between, the *core*, are a power of two. Three ranks, of which 1 and 2 are the
 * core, around a recursive doubling (digits: whose contributions are held, `*` all):
 *
 *            rank 0  rank 1  rank 2
 *   start    0       1       2
 *   round 1  0       01      2
 *   round 2  0       *       *
 *   round 3  *       *       *
 *
 * Cost:   at most 2α + 2n·β + n·γ on top of the core's, if r > 0
 * Good:   written once, for every algorithm that pairs ranks by the bits of their numbers.
 * Bad:    2r·n more on the wire; half of the paired ranks idle while the core works.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { floorLog2, ranksOf } from '../../common/math.ts';
import type { BufferName, Rank, Round } from '../schedule.ts';

export interface Core {
  /** A power of two of ranks, in rank order. */
  readonly ranks: readonly Rank[];
  /** The buffer in which a core rank's contribution lies when the core's rounds begin. */
  holds(rank: Rank): BufferName;
}

/** The rounds of `coreRounds` between handing in and handing back. `chunks`: of the whole vector. */
export function* foldToPowerOfTwo(
  { nranks, chunks }: { readonly nranks: number; readonly chunks: number },
  coreRounds: (core: Core) => Iterable<Round>,
): Generator<Round> {
  const extra = nranks - 2 ** floorLog2(nranks);
  const pairs = ranksOf(extra).map((index) => ({ guest: 2 * index, standIn: 2 * index + 1 }));
  const isPaired = (rank: Rank): boolean => rank < 2 * extra;
  if (extra > 0) {
    yield pairs.map(({ guest, standIn }) => ({
      src: guest,
      dst: standIn,
      from: { buffer: 'input', chunk: 0 },
      operand: { buffer: 'input', chunk: 0 },
      to: { buffer: 'output', chunk: 0 },
      count: chunks,
      effect: 'reduce',
    }));
  }
  yield* coreRounds({
    ranks: ranksOf(nranks).filter((rank) => !isPaired(rank) || rank % 2 === 1),
    holds: (rank) => (isPaired(rank) ? 'output' : 'input'),
  });
  if (extra > 0) {
    yield pairs.map(({ guest, standIn }) => ({
      src: standIn,
      dst: guest,
      from: { buffer: 'output', chunk: 0 },
      to: { buffer: 'output', chunk: 0 },
      count: chunks,
      effect: 'copy',
    }));
  }
}
