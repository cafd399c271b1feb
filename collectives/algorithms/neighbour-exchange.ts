/**
 * Neighbour-exchange all-gather: pairs of neighbours exchange two blocks, now to one side, now to the other.
 *
 * First the neighbours 0-1, 2-3, ... exchange their own blocks. From then on each rank turns to the
 * other side in every round, and hands over the two blocks that it got last. Four ranks:
 *
 *            rank 0   rank 1   rank 2   rank 3
 *   start    0 . . .  . 1 . .  . . 2 .  . . . 3
 *   round 1  0 1 . .  0 1 . .  . . 2 3  . . 2 3
 *   round 2  0 1 2 3  0 1 2 3  0 1 2 3  0 1 2 3
 *
 * Cost:   p/2·α + (p-1)/p·n·β, where n is the gathered size
 * Good:   large messages: half as many messages as a ring, and still only neighbours talk.
 * Bad:    small messages: latency grows with p. An odd number of ranks.
 *
 * Chen, Zhang, Zhang and Yuan, "Performance evaluation of allgather algorithms on terascale Linux
 * cluster with fast Ethernet", HPCASIA 2005.
 */
import { assert } from '../../common/assert.ts';
import { modulo } from '../../common/math.ts';
import type { CollectiveName } from '../collective.ts';
import type { Rank, Round, Schedule, ScheduleOptions } from '../schedule.ts';
import {
  blocksOf,
  everybody,
  type GatheredBlocks,
  type Group,
  localMoves,
  moveBlocks,
} from './group.ts';

/** `nranks` is even, or 1. For `allGather` and `allGatherV`. */
export function neighbourExchangeAllGather(
  options: ScheduleOptions & { readonly collective?: CollectiveName },
): Schedule {
  const { collective = 'allGather', nranks, chunks = 1 } = options;
  const own = blocksOf('input', 0);
  const gathered = blocksOf('output', chunks);
  return {
    collective,
    algorithm: 'neighbourExchange',
    alike: { ranksPerBox: 2, boxes: 'rotation', cards: 'none' },
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => neighbourAllGatherPhase(everybody(nranks), { chunks, own, gathered }),
  };
}

/** An even number of members, or one. */
export function* neighbourAllGatherPhase(
  { ranks }: Group,
  { chunks, own, gathered }: GatheredBlocks,
): Generator<Round> {
  const members = ranks.length;
  assert(members === 1 || members % 2 === 0, `Expected an even number but found ${members}`);
  const local = localMoves(ranks, chunks, own, gathered);
  if (members === 1) yield local;
  for (let round = 0; round < members / 2 && members > 1; round++) {
    const from = round === 0 ? own : gathered;
    const moves = ranks.flatMap((src, member) => {
      const dst = ranks[neighbour(member, members, round)] as Rank;
      const blocks = round === 0 ? [member] : lastPair(member, members, round);
      return moveBlocks({ src, dst, blocks, chunks, from, to: gathered });
    });
    yield round === 0 ? [...local, ...moves] : moves;
  }
}

/** Even members turn to the right in even rounds, to the left in odd ones; odd members the other way. */
function neighbour(member: number, members: number, round: number): number {
  return modulo(member + ((member + round) % 2 === 0 ? 1 : -1), members);
}

/**
 * The two blocks that the member got in the round before `round`. After round 0 these are its own and its
 * neighbour's; from then on they come from two ranks further away in turn, on this side and on that.
 */
function lastPair(member: number, members: number, round: number): number[] {
  const isEven = member % 2 === 0;
  const away = round % 2 === 0 ? -round : round - 1;
  const first = modulo((isEven ? member : member - 1) + (isEven ? away : -away), members);
  return [first, first + 1];
}
