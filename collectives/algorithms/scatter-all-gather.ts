/**
 * Scatter + all-gather broadcast: the root deals the vector out, and the ranks give each other the rest.
 *
 * The vector is cut into one block per rank. A binomial tree scatters the blocks: who has a run of
 * them sends its second half on. Then the blocks go around a ring; the root, which has all of them,
 * takes none back. Four ranks, root 0:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 0 0 0  . . . .  . . . .  . . . .
 *   round 1  0 0 0 0  . . . .  . . 0 0  . . . .
 *   round 2  0 0 0 0  . 0 . .  . . 0 0  . . . 0
 *   round 3  0 0 0 0  0 0 . .  . 0 0 0  . . 0 0
 *   round 4  0 0 0 0  0 0 . 0  0 0 0 0  . 0 0 0
 *   round 5  0 0 0 0  0 0 0 0  0 0 0 0  0 0 0 0
 *
 * Cost:   (⌈lg p⌉ + p-1)·α + 2(p-1)/p·n·β
 * Good:   large vectors: a binomial tree sends ⌈lg p⌉·n where this sends less than 2n.
 * Bad:    small vectors: p - 1 more start-up times than a tree.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { assert } from '../../common/assert.ts';
import { ceilLog2, isPowerOfTwo, modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { localCopy } from './local-copy.ts';
import { input, output } from './places.ts';

/** `chunks` (default `nranks`) is a multiple of `nranks`. */
export function scatterAllGatherBroadcast(options: ScheduleOptions): Schedule {
  return dealOutThen(ringFromRoot, 'scatterAllGather', options);
}

/**
 * Scatter + recursive-doubling all-gather broadcast: as above, but partners at distance 1, 2, 4, ...
 * exchange all they have.
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 0 0 0  . . . .  . . . .  . . . .
 *   round 1  0 0 0 0  . . . .  . . 0 0  . . . .
 *   round 2  0 0 0 0  . 0 . .  . . 0 0  . . . 0
 *   round 3  0 0 0 0  0 0 . .  . . 0 0  . . 0 0
 *   round 4  0 0 0 0  0 0 0 0  0 0 0 0  0 0 0 0
 *
 * Cost:   2·lg p·α + 2(p-1)/p·n·β
 * Good:   vectors of middle size: few messages, and less than 2n bytes.
 * Bad:    a number of ranks that is no power of two; small vectors: twice the messages of a tree.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function scatterRecursiveDoublingBroadcast(options: ScheduleOptions): Schedule {
  const { nranks } = options;
  assert(isPowerOfTwo(nranks), `Expected a power of two of ranks but found ${nranks}`);
  return dealOutThen(doublingExceptRoot, 'scatterRecursiveDoubling', options);
}

/** Ranks by distance from the root. Distance d gets block d from the scatter. */
interface Blocks {
  readonly nranks: number;
  /** `count` blocks from `first` on, from one distance to another. */
  move(src: number, dst: number, first: number, count: number): Transfer;
}

function dealOutThen(
  gather: (blocks: Blocks) => Iterable<Round>,
  algorithm: string,
  { nranks, root = 0, chunks = nranks }: ScheduleOptions,
): Schedule {
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const blockChunks = chunks / nranks;
  const at = (distance: number): Rank => modulo(root + distance, nranks);
  const move: Blocks['move'] = (src, dst, first, count) => {
    const to: Place = output(first * blockChunks);
    return {
      src: at(src),
      dst: at(dst),
      from: src === 0 ? input(to.chunk) : to,
      to,
      count: count * blockChunks,
      effect: 'copy',
    };
  };
  return {
    collective: 'broadcast',
    algorithm,
    nranks,
    chunks,
    root,
    scratch: [],
    *rounds() {
      const own = localCopy(root, chunks);
      if (nranks === 1) yield [own];
      const [first = [], ...later] = binomialScatter({ nranks, move });
      if (nranks > 1) yield [own, ...first];
      yield* later;
      yield* gather({ nranks, move });
    },
  };
}

/** Who has a run of blocks sends the part from its own block plus `half` on to the rank there. */
function* binomialScatter({ nranks, move }: Blocks): Generator<Round> {
  for (let half = 2 ** (ceilLog2(nranks) - 1); half >= 1; half /= 2) {
    yield ranksOf(nranks)
      .filter((distance) => distance % (2 * half) === 0 && distance + half < nranks)
      .map((src) => move(src, src + half, src + half, Math.min(half, nranks - src - half)));
  }
}

/** In round t, distance d passes on block d - t; nobody sends to the root. */
function* ringFromRoot({ nranks, move }: Blocks): Generator<Round> {
  for (let round = 0; round < nranks - 1; round++) {
    yield ranksOf(nranks - 1).map((src) => move(src, src + 1, modulo(src - round, nranks), 1));
  }
}

/** Groups of `held` ranks, which hold the blocks of their group, join in pairs. */
function* doublingExceptRoot({ nranks, move }: Blocks): Generator<Round> {
  for (let held = 1; held < nranks; held *= 2) {
    yield ranksOf(nranks)
      .filter((src) => (src ^ held) !== 0)
      .map((src) => move(src, src ^ held, src - (src % held), held));
  }
}
