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
import type { Place, Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { localCopy } from './local-copy.ts';

/** `chunks` (default `nranks`) is a multiple of `nranks`; a block is that many chunks per rank. */
export function ringAllReduce({ nranks, chunks = nranks }: ScheduleOptions): Schedule {
  assert(chunks % nranks === 0, `Expected a multiple of ${nranks} chunks but found ${chunks}`);
  const blockChunks = chunks / nranks;
  return {
    collective: 'allReduce',
    algorithm: 'ring',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds() {
      if (nranks === 1) yield [localCopy(0, chunks)];
      yield* reduceScatter(nranks, blockChunks);
      yield* walkFinishedBlocks(nranks, blockChunks);
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
export function ringAllGather({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  return {
    collective: 'allGather',
    algorithm: 'ring',
    nranks,
    chunks,
    root: 0,
    scratch: [],
    *rounds() {
      const own = ranksOf(nranks).map((rank) => localCopy(rank, chunks, rank * chunks));
      if (nranks === 1) yield own;
      for (let step = 0; step < nranks - 1; step++) {
        const moves = passOn(nranks, chunks, (rank) => rank - step, step === 0 ? 'own' : 'output');
        yield step === 0 ? [...own, ...moves] : moves;
      }
    },
  };
}

/** Afterwards rank `r` holds block `r + 1 (mod nranks)`, reduced over all ranks. */
function* reduceScatter(nranks: number, blockChunks: number): Generator<Round> {
  for (let step = 0; step < nranks - 1; step++) {
    yield ranksOf(nranks).map((rank) => {
      const chunk = modulo(rank - step, nranks) * blockChunks;
      return {
        src: rank,
        dst: modulo(rank + 1, nranks),
        from: { buffer: step === 0 ? 'input' : 'output', chunk },
        operand: { buffer: 'input', chunk },
        to: { buffer: 'output', chunk },
        count: blockChunks,
        effect: 'reduce',
      };
    });
  }
}

/** Starts where `reduceScatter` ends. */
function* walkFinishedBlocks(nranks: number, blockChunks: number): Generator<Round> {
  for (let step = 0; step < nranks - 1; step++) {
    yield passOn(nranks, blockChunks, (rank) => rank + 1 - step, 'output');
  }
}

/** Every rank copies one block of its output, or its own input, to its right-hand neighbour. */
function passOn(
  nranks: number,
  blockChunks: number,
  blockOf: (rank: number) => number,
  source: 'own' | 'output',
): Round {
  return ranksOf(nranks).map((rank) => {
    const to: Place = { buffer: 'output', chunk: modulo(blockOf(rank), nranks) * blockChunks };
    return {
      src: rank,
      dst: modulo(rank + 1, nranks),
      from: source === 'own' ? { buffer: 'input', chunk: 0 } : to,
      to,
      count: blockChunks,
      effect: 'copy',
    };
  });
}
