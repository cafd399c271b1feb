/**
 * Direct all-to-all: every rank sends every other its block, all at once.
 *
 * Each rank begins with the one after it, so that nobody is sent to by all others first. A digit is the
 * rank that a block comes from. Four ranks:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    . . . .  . . . .  . . . .  . . . .
 *   round 1  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * In place, blocks that come in may find their place still occupied by one that has not left, at both
 * ends of a pair. They land in scratch, and are copied.
 *
 * Cost:   (p-1)·α + (p-1)/p·n·β with one message at a time, where n is a rank's whole input
 * Good:   every block travels once, whatever its size; blocks may be uneven (`allToAllV`, out of place).
 * Bad:    small messages on many ranks; p - 1 messages at once press on every link.
 *
 * Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
 * Int. J. High Perform. Comput. Appl. 19 (2005).
 */
import { ranksOf } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { BufferName, Place, Rank, Round, Schedule, ScheduleOptions } from '../schedule.ts';
import { IN_RING } from './alike.ts';
import { everybody, type Group, localMoves, moveBlocks, type Where } from './group.ts';

export function directAllToAll(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'allToAll', nranks, chunks = 1, placement } = options;
  const isInPlace = placement === 'inPlace' && nranks > 1;
  const landing: BufferName = isInPlace ? 'scratch' : 'output';
  const blockIn =
    (buffer: BufferName) =>
    (_: Rank, peer: number): Place => {
      return { buffer, chunk: peer * chunks };
    };
  return {
    collective,
    algorithm: 'direct',
    // In place, what came is put where it belongs block by block, in the same order on all ranks.
    alike: isInPlace ? undefined : IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: isInPlace ? ranksOf(nranks * chunks) : [],
    *rounds() {
      const group = everybody(nranks);
      const to = blockIn(landing);
      yield* directAllToAllPhase(group, { chunks, from: blockIn('input'), to });
      if (isInPlace) yield localBlocks(group, chunks, to, blockIn('output'));
    },
  };
}

export interface ExchangedBlocks {
  readonly chunks: number;
  /** Where a member has the block for member `block`. */
  readonly from: Where;
  /** Where a member wants the block of member `block`. */
  readonly to: Where;
}

/** One round; each member begins with the one after it. */
export function* directAllToAllPhase(
  { ranks }: Group,
  { chunks, from, to }: ExchangedBlocks,
): Generator<Round> {
  const round = localMoves(ranks, chunks, from, to);
  for (let step = 1; step < ranks.length; step++) {
    for (const [member, src] of ranks.entries()) {
      const target = (member + step) % ranks.length;
      const dst = ranks[target] as Rank;
      round.push({
        src,
        dst,
        from: from(src, target),
        to: to(dst, member),
        count: chunks,
        effect: 'copy',
      });
    }
  }
  yield round;
}

function localBlocks({ ranks }: Group, chunks: number, from: Where, to: Where): Round {
  return ranks.flatMap((rank) =>
    moveBlocks({ src: rank, dst: rank, blocks: ranksOf(ranks.length), chunks, from, to }),
  );
}
