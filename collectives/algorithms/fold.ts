/**
 * Folds any number of ranks onto a power of two, for algorithms that pair ranks by the bits of their
 * numbers.
 *
 * With r ranks above a power of two, the first 2r ranks pair up: each even rank, the guest, hands its
 * contribution to the odd one on its right, which stands in for both, and gets what it needs of the
 * result back at the end. The ranks between, the *core*, are a power of two. Three ranks, of which 1
 * and 2 are the core, around a recursive doubling (digits: whose contributions are held, `*` all):
 *
 *            rank 0  rank 1  rank 2
 *   start    0       1       2
 *   round 1  0       01      2
 *   round 2  0       *       *
 *   round 3  *       *       *
 *
 * Cost:   α + n·β + n·γ for handing in and α + n·β for handing all back, if r > 0
 * Good:   written once, for every algorithm that pairs ranks by the bits of their numbers.
 * Bad:    2r·n more on the wire; half of the paired ranks idle while the core works.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { floorLog2, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Transfer } from '../schedule.ts';
import type { Group, Vector } from './group.ts';

/** Two ranks of which one does the work of both. */
export interface FoldedPair {
  readonly guest: Rank;
  readonly standIn: Rank;
}

/** The power of two of ranks that are left, in rank order. */
export interface Core extends Group {
  readonly pairs: readonly FoldedPair[];
  /** Whether a core rank works for two. */
  isStandIn(rank: Rank): boolean;
  /** Where a core rank's contribution lies when the core's rounds begin: for two, it is `result`. */
  own(rank: Rank): Place;
}

export interface Folding {
  readonly nranks: number;
  /** A rank that must be in the core, such as a root; its pair swaps roles if need be. */
  readonly keep?: Rank;
  /** All contributions of a rank, and where a stand-in adds its guest's to its own. */
  readonly vector: Vector;
  /** What a guest gets at the end; nothing if absent. */
  readonly handBack?: (pair: FoldedPair) => readonly Transfer[];
}

/** The rounds of `coreRounds` between handing in and handing back. */
export function* foldToPowerOfTwo(
  { nranks, keep, vector, handBack }: Folding,
  coreRounds: (core: Core) => Iterable<Round>,
): Generator<Round> {
  const core = coreOf(nranks, vector, keep);
  const { pairs } = core;
  if (pairs.length > 0) {
    yield pairs.map(({ guest, standIn }) => ({
      src: guest,
      dst: standIn,
      from: vector.own(guest),
      operand: vector.own(standIn),
      to: vector.result(standIn),
      count: vector.chunks,
      effect: 'reduce',
    }));
  }
  yield* coreRounds(core);
  if (pairs.length > 0 && handBack !== undefined) yield pairs.flatMap(handBack);
}

/** Hands back the whole result. */
export function handBackVector({ chunks, result }: Vector): (pair: FoldedPair) => Transfer[] {
  return ({ guest, standIn }) => {
    const ends = { src: standIn, dst: guest, from: result(standIn), to: result(guest) };
    return [{ ...ends, count: chunks, effect: 'copy' }];
  };
}

/** Guests among the ranks, if `nranks` is no power of two. */
export function guestsAmong(nranks: number): number {
  return nranks - 2 ** floorLog2(nranks);
}

function coreOf(nranks: number, { own, result }: Vector, keep?: Rank): Core {
  const pairs = ranksOf(guestsAmong(nranks)).map((index): FoldedPair => {
    const [even, odd] = [2 * index, 2 * index + 1];
    return even === keep ? { guest: odd, standIn: even } : { guest: even, standIn: odd };
  });
  const guests = new Set(pairs.map(({ guest }) => guest));
  const standIns = new Set(pairs.map(({ standIn }) => standIn));
  return {
    pairs,
    ranks: ranksOf(nranks).filter((rank) => !guests.has(rank)),
    isStandIn: (rank) => standIns.has(rank),
    own: (rank) => (standIns.has(rank) ? result(rank) : own(rank)),
  };
}
