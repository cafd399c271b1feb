/**
 * Bruck all-gather: each round doubles the blocks that a rank has, for any number of ranks.
 *
 * In round k a rank sends all it has to the rank 2^k before it, and takes as much from the rank 2^k
 * behind it. It keeps the blocks in scratch in the order in which they come: its own, then that of the
 * rank behind it, and so on, so that every message is one run. The last round needs only what is still
 * missing; then the rank turns the blocks to their places. Four ranks, scratch and then the output:
 *
 *   rank 0 holds 0 . . .    then 0 1 . .    then 0 1 2 3    turned 0 1 2 3
 *   rank 1 holds 1 . . .    then 1 2 . .    then 1 2 3 0    turned 0 1 2 3
 *   rank 2 holds 2 . . .    then 2 3 . .    then 2 3 0 1    turned 0 1 2 3
 *   rank 3 holds 3 . . .    then 3 0 . .    then 3 0 1 2    turned 0 1 2 3
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 2  0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 3  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   ⌈lg p⌉·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   small messages, any number of ranks: no all-gather has fewer rounds or fewer bytes.
 * Bad:    large messages: all data is copied once more, and half of it travels far in the last round.
 *
 * Bruck, Ho, Kipnis, Upfal and Weathersby, "Efficient algorithms for all-to-all communications in
 * multiport message-passing systems", IEEE Trans. Parallel Distrib. Syst. 8 (1997).
 */
import { ceilLog2, modulo, ranksOf } from '../../common/math.ts';
import type { Place, Rank, Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { localCopy } from './local-copy.ts';
import { input, output, scratch } from './places.ts';

export function bruckAllGather({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  return {
    collective: 'allGather',
    algorithm: 'bruck',
    nranks,
    chunks,
    root: 0,
    scratch: nranks === 1 ? [] : ranksOf(nranks * chunks),
    *rounds() {
      if (nranks === 1) yield [localCopy(0, chunks)];
      for (let held = 1; held < nranks; held *= 2) {
        const count = Math.min(held, nranks - held) * chunks;
        const sends = ranksOf(nranks).map((src): Transfer => {
          const from = held === 1 ? input(0) : scratch(0);
          const dst = modulo(src - held, nranks);
          return { src, dst, from, to: scratch(held * chunks), count, effect: 'copy' };
        });
        yield held === 1 ? [...keepOwn(nranks, chunks), ...sends] : sends;
      }
      if (nranks > 1) yield ranksOf(nranks).flatMap((rank) => turn(rank, nranks, chunks));
    },
  };
}

function keepOwn(nranks: number, chunks: number): Round {
  return ranksOf(nranks).map((rank) => local(rank, input(0), scratch(0), chunks));
}

/** From where scratch has them to where they belong: what is behind the rank, then what is before it. */
function turn(rank: Rank, nranks: number, chunks: number): Transfer[] {
  const behind = (nranks - rank) * chunks;
  const moves = [local(rank, scratch(0), output(rank * chunks), behind)];
  if (rank > 0) moves.push(local(rank, scratch(behind), output(0), rank * chunks));
  return moves;
}

function local(rank: Rank, from: Place, to: Place, count: number): Transfer {
  return { src: rank, dst: rank, from, to, count, effect: 'copy' };
}

/**
 * Bruck all-to-all: a block that has to go i ranks further travels by the bits of i.
 *
 * In the round of bit k, each rank sends all blocks whose way has bit k to the rank 2^k further on, in
 * one message. Blocks wait in scratch; before each round those that go are packed into a run. The
 * highest bit comes first, because its blocks are a run already. Four ranks; output shows nothing until
 * the blocks are brought to their places (digits: whose block for this rank is there):
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    . . . .  . . . .  . . . .  . . . .
 *   round 1  . . . .  . . . .  . . . .  . . . .
 *   round 2  . . . .  . . . .  . . . .  . . . .
 *   round 3  . . . .  . . . .  . . . .  . . . .
 *   round 4  . . . .  . . . .  . . . .  . . . .
 *   round 5  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   ⌈lg p⌉·α + (n/2)·lg p·β for a power of two, where n is what a rank sends; otherwise a
 *         round sends a block for each way below p that has its bit
 * Good:   small blocks, any number of ranks: no all-to-all has fewer rounds.
 * Bad:    large blocks: a block is sent as often as its way has bits, and copied in between.
 *
 * Bruck et al. 1997.
 */
export function bruckAllToAll({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  const journey = journeyOf(nranks);
  const place = ({ buffer, block }: Stop, rank: Rank): Place =>
    buffer === 'input' ? input(modulo(rank + block, nranks) * chunks) : scratch(block * chunks);
  return {
    collective: 'allToAll',
    algorithm: 'bruck',
    nranks,
    chunks,
    root: 0,
    scratch: ranksOf(journey.scratchBlocks * chunks),
    *rounds() {
      const ranks = ranksOf(nranks);
      for (const { distance, packed, landed, ways, stops } of journey.legs) {
        yield ranks.flatMap((rank) =>
          runs(
            stops.map((stop) => place(stop, rank)),
            chunks,
          ).map(({ from, index, count }) =>
            local(rank, from, scratch((packed + index) * chunks), count * chunks),
          ),
        );
        yield ranks.map((src): Transfer => {
          const dst = modulo(src + distance, nranks);
          const [from, to] = [scratch(packed * chunks), scratch(landed * chunks)];
          return { src, dst, from, to, count: ways * chunks, effect: 'copy' };
        });
      }
      yield ranks.flatMap((rank) =>
        journey.ends.map((stop, way) =>
          local(rank, place(stop, rank), output(modulo(rank - way, nranks) * chunks), chunks),
        ),
      );
    },
  };
}

/** Where a block is: input block `rank + block`, or scratch block `block`. */
interface Stop {
  readonly buffer: 'input' | 'scratch';
  readonly block: number;
}

interface Leg {
  readonly distance: number;
  /** Scratch block from which the message is sent, and at which it lands. */
  readonly packed: number;
  readonly landed: number;
  /** Blocks in the message. */
  readonly ways: number;
  /** Where those blocks are before. */
  readonly stops: readonly Stop[];
}

/** The same for every rank: block number w is always the one that has to go, or has gone, w ranks. */
function journeyOf(nranks: number): {
  readonly legs: readonly Leg[];
  readonly ends: readonly Stop[];
  readonly scratchBlocks: number;
} {
  const ends = ranksOf(nranks).map((way): Stop => ({ buffer: 'input', block: way }));
  const legs: Leg[] = [];
  let used = 0;
  for (let bit = ceilLog2(nranks) - 1; bit >= 0; bit--) {
    const distance = 2 ** bit;
    const going = ranksOf(nranks).filter((way) => (way & distance) !== 0);
    const stops = going.map((way) => ends[way] as Stop);
    const landed = used + going.length;
    legs.push({ distance, packed: used, landed, ways: going.length, stops });
    for (const [index, way] of going.entries()) {
      ends[way] = { buffer: 'scratch', block: landed + index };
    }
    used = landed + going.length;
  }
  return { legs, ends, scratchBlocks: used };
}

/** `places` of one block each, joined where one follows the other. */
function runs(
  places: readonly Place[],
  chunks: number,
): { readonly from: Place; readonly index: number; readonly count: number }[] {
  const found: { from: Place; index: number; count: number }[] = [];
  for (const [index, from] of places.entries()) {
    const last = found.at(-1);
    const follows =
      last !== undefined &&
      last.from.buffer === from.buffer &&
      last.from.chunk + last.count * chunks === from.chunk;
    if (follows) last.count++;
    else found.push({ from, index, count: 1 });
  }
  return found;
}
