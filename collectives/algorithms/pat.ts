/**
 * PAT (parallel aggregated trees) all-gather: every block goes down a binomial tree, far jumps first.
 *
 * All p trees, one per block, run at the same time, and what a rank sends in a round for all of them
 * goes as one message: with distance d = ..., 4, 2, 1 to the rank d further on. Other than Bruck's, the
 * far messages are the small ones: one block in the first round, half of all in the last, between
 * neighbours. Blocks wait in scratch by how far they have come, ordered such that what a round sends is
 * a run. Four ranks; what each holds after each round (scratch), and the output:
 *
 *   rank 0 holds 0 . . .    then 0 2 . .    then 0 2 3 1
 *   rank 1 holds 1 . . .    then 1 3 . .    then 1 3 0 2
 *   rank 2 holds 2 . . .    then 2 0 . .    then 2 0 1 3
 *   rank 3 holds 3 . . .    then 3 1 . .    then 3 1 2 0
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 2  0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   ⌈lg p⌉·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   small and middle messages on many boxes: few rounds, and little goes far.
 * Bad:    large messages: all data is copied once more.
 *
 * NCCL bounds its buffers, and for large messages aggregates fewer trees in more rounds; here each
 * round aggregates all of them.
 *
 * Jeaugey, "PAT: a new algorithm for all-gather and reduce-scatter operations at scale",
 * arXiv 2506.20252 (2025); NCCL 2.23.
 */
import { ceilLog2, modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { IN_RING } from './alike.ts';
import { localCopy } from './local-copy.ts';
import { input, output, scratch } from './places.ts';

export function patAllGather({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  const { slots, jumps } = jumpsOf(nranks);
  return {
    collective: 'allGather',
    algorithm: 'pat',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: nranks === 1 ? [] : ranksOf(nranks * chunks),
    *rounds() {
      const ranks = ranksOf(nranks);
      const own = ranks.map((rank) => localCopy(rank, chunks, rank * chunks));
      const home = scratch((slots[0] ?? 0) * chunks);
      const kept = ranks.map((rank) => local(rank, input(0), home, chunks));
      if (nranks === 1) yield own;
      for (const [index, { distance, near, far, count }] of jumps.entries()) {
        const sends = ranks.map((src): Transfer => {
          const from = index === 0 ? input(0) : scratch(near * chunks);
          const dst = modulo(src + distance, nranks);
          return {
            src,
            dst,
            from,
            to: scratch(far * chunks),
            count: count * chunks,
            effect: 'copy',
          };
        });
        yield index === 0 ? [...own, ...kept, ...sends] : sends;
      }
      if (nranks > 1) yield ranks.flatMap((rank) => toOutput(rank, slots, chunks));
    },
  };
}

/**
 * PAT reduce-scatter: the all-gather backwards. Partial sums come up the trees, near jumps first.
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  0       1       2       3
 *   round 2  0       1       2       3
 *   round 3  0123    0123    0123    0123
 *
 * Every rank first puts its blocks into scratch in the order of the trees. With distance d = 1, 2, 4,
 * ... it sends the rank d before it all sums of the ranks behind it that must go there, and adds what
 * comes to those that remain; the last sum is the result.
 *
 * Cost:   ⌈lg p⌉·α + (p-1)/p·n·(β+γ), where n is what a rank contributes
 * Good:   small and middle messages, any number of ranks.
 * Bad:    large messages: all data is copied once more.
 *
 * Jeaugey 2025; NCCL 2.23.
 */
export function patReduceScatter({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  const { slots, jumps } = jumpsOf(nranks);
  return {
    collective: 'reduceScatter',
    algorithm: 'pat',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: nranks === 1 ? [] : ranksOf(nranks * chunks),
    *rounds() {
      const ranks = ranksOf(nranks);
      if (nranks === 1) yield [local(0, input(0), output(0), chunks)];
      else yield ranks.flatMap((rank) => toScratch(rank, slots, chunks));
      for (const [index, { distance, near, far, count }] of [...jumps].reverse().entries()) {
        yield ranks.map((src): Transfer => {
          const operand = scratch(near * chunks);
          return {
            src,
            dst: modulo(src - distance, nranks),
            from: scratch(far * chunks),
            operand,
            to: index === jumps.length - 1 ? output(0) : operand,
            count: count * chunks,
            effect: 'reduce',
          };
        });
      }
    },
  };
}

/** One round of the all-gather: a run of scratch blocks, and where it lands `distance` ranks further on. */
interface Jump {
  readonly distance: number;
  readonly near: number;
  readonly far: number;
  /** Blocks. */
  readonly count: number;
}

/**
 * Scratch slots by offset (how many ranks a block has come), and the rounds. Offsets are held in a row
 * of slots whose last has the largest offset. A jump copies the row behind itself, shifted; if the
 * largest offset has nowhere to jump to, the rest of the row is copied before it, so that the largest
 * stays last. Hence every jump sends one run and lands as one.
 */
function jumpsOf(nranks: number): {
  readonly slots: readonly number[];
  readonly jumps: readonly Jump[];
} {
  let row = [0];
  let before = 0;
  const jumps: Jump[] = [];
  for (let bit = ceilLog2(nranks) - 1; bit >= 0; bit--) {
    const distance = 2 ** bit;
    const going = row.filter((offset) => offset + distance < nranks);
    const count = going.length;
    const landed = going.map((offset) => offset + distance);
    const isAllGoing = count === row.length;
    const near = -before;
    jumps.push({ distance, near, far: isAllGoing ? near + count : near - count, count });
    row = isAllGoing ? [...row, ...landed] : [...landed, ...row];
    if (!isAllGoing) before += count;
  }
  const slots: number[] = [];
  for (const [slot, offset] of row.entries()) slots[offset] = slot;
  const fromStart = (jump: Jump): Jump => {
    return { ...jump, near: jump.near + before, far: jump.far + before };
  };
  return { slots, jumps: jumps.map(fromStart) };
}

/** Brings all blocks but the rank's own from their slots to their places. */
function toOutput(rank: Rank, slots: readonly number[], chunks: number): Transfer[] {
  return slots.slice(1).map((slot, index) => {
    const block = modulo(rank - index - 1, slots.length);
    return local(rank, scratch(slot * chunks), output(block * chunks), chunks);
  });
}

/** Brings the rank's blocks to their slots: the one for the rank `offset` before it to that of `offset`. */
function toScratch(rank: Rank, slots: readonly number[], chunks: number): Transfer[] {
  return slots.map((slot, offset) => {
    const block = modulo(rank - offset, slots.length);
    return local(rank, input(block * chunks), scratch(slot * chunks), chunks);
  });
}

function local(rank: Rank, from: Place, to: Place, count: number): Transfer {
  return { src: rank, dst: rank, from, to, count, effect: 'copy' };
}
