/**
 * Direct gather, also called linear: every rank sends its block to the root.
 *
 * Blocks are taken in rank order, beginning after the root. Four ranks, root 0, of which alone the
 * output is drawn:
 *
 *            rank 0   rank 1  rank 2  rank 3
 *   start    0 . . .
 *   round 1  0 1 2 3
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   large contributions: each travels once, and nothing is copied.
 * Bad:    many ranks: the root takes p - 1 messages.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005), which the binomial tree is measured against.
 */
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { localMoves, rotated, type Vector, vectorIn } from './group.ts';

export function directGather(options: ScheduleOptions): Schedule {
  const { root = 0, chunks = 1 } = options;
  return linear('gather', options, (others) => {
    const home = (rank: Rank): Place => ({ buffer: 'output', chunk: rank * chunks });
    const own = (): Place => ({ buffer: 'input', chunk: 0 });
    const sends = others.map((src) => copy(src, root, own(), home(src), chunks));
    return [[...localMoves([root], chunks, own, home), ...sends]];
  });
}

/**
 * Direct scatter, also called linear: the root sends every rank its block.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       .       .       .
 *   round 1  0       0       0       0
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β, where n is the root's whole input
 * Good:   large blocks: each travels once, and nothing is copied.
 * Bad:    many ranks: the root sends p - 1 messages.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function directScatter(options: ScheduleOptions): Schedule {
  const { root = 0, chunks = 1 } = options;
  return linear('scatter', options, (others) => {
    const home = (rank: Rank): Place => ({ buffer: 'input', chunk: rank * chunks });
    const result = (): Place => ({ buffer: 'output', chunk: 0 });
    const sends = others.map((dst) => copy(root, dst, home(dst), result(), chunks));
    return [[...localMoves([root], chunks, home, result), ...sends]];
  });
}

/**
 * Direct broadcast, also called linear: the root sends every rank the vector.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       .       .       .
 *   round 1  0       0       0       0
 *
 * Cost:   (p-1)·(α + n·β)
 * Good:   two or three ranks; boxes in which the root has a link to each of the others.
 * Bad:    many ranks: the root sends the vector p - 1 times.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function directBroadcast(options: ScheduleOptions): Schedule {
  const { root = 0, chunks = 1 } = options;
  const { own, result } = vectorIn('output', chunks);
  return linear('broadcast', options, (others) => {
    const sends = others.map((dst) => copy(root, dst, own(root), result(dst), chunks));
    return [[...localMoves([root], chunks, own, result), ...sends]];
  });
}

/**
 * Direct reduce, also called linear: every rank sends its vector to the root, which adds them up.
 *
 * The order is that of the ranks, beginning after the root. Four ranks, root 0, of which alone the
 * output is drawn:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0
 *   round 1  01
 *   round 2  012
 *   round 3  0123
 *
 * Cost:   (p-1)·(α + n·β + n·γ)
 * Good:   two or three ranks; a sum in rank order.
 * Bad:    many ranks: the root takes p - 1 vectors and adds all of them.
 *
 * Thakur, Rabenseifner and Gropp 2005.
 */
export function directReduce(options: ScheduleOptions): Schedule {
  const { root = 0, chunks = 1 } = options;
  const { own, result }: Vector = vectorIn('output', chunks);
  return linear('reduce', options, (others) => {
    if (others.length === 0) return [localMoves([root], chunks, own, result)];
    return others.map((src, index): Round => {
      const operand = index === 0 ? own(root) : result(root);
      const ends = { src, dst: root, from: own(src), to: result(root) };
      return [{ ...ends, operand, count: chunks, effect: 'reduce' }];
    });
  });
}

function linear(
  collective: 'gather' | 'scatter' | 'broadcast' | 'reduce',
  { nranks, root = 0, chunks = 1 }: ScheduleOptions,
  roundsWith: (others: readonly Rank[]) => Round[],
): Schedule {
  const others = rotated(nranks, root).ranks.slice(1);
  return {
    collective,
    algorithm: 'direct',
    nranks,
    chunks,
    root,
    scratch: [],
    rounds: () => roundsWith(others),
  };
}

function copy(src: Rank, dst: Rank, from: Place, to: Place, count: number): Transfer {
  return { src, dst, from, to, count, effect: 'copy' };
}
