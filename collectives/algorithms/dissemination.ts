/**
 * Dissemination barrier: in round k every rank tells the one 2^k further on whom it has heard of.
 *
 * After round k a rank has heard, through others, of the 2^(k+1) - 1 ranks before it. It has no need of
 * a power of two: some ranks are then heard of twice, which a barrier does not mind. Four ranks; digits
 * are the ranks heard of:
 *
 *            rank 0  rank 1  rank 2  rank 3
 *   start    0       1       2       3
 *   round 1  03      01      12      23
 *   round 2  0123    0123    0123    0123
 *
 * Cost:   ⌈lg p⌉·(α + n·β + n·γ), of which n, the token, is next to nothing
 * Good:   any number of ranks: no barrier has fewer rounds.
 * Bad:    nothing, for messages that are all of one size and small.
 *
 * Hensgen, Finkel and Manber, "Two algorithms for barrier synchronization", Int. J. Parallel Program.
 * 17 (1988); Mellor-Crummey and Scott, ACM Trans. Comput. Syst. 9 (1991).
 */
import { modulo } from '../../common/math.ts';
import type { Round, Schedule, ScheduleOptions, Transfer } from '../schedule.ts';
import { IN_RING } from './alike.ts';
import { everybody, type Group, localMoves, type Vector, vectorIn } from './group.ts';

export function disseminationBarrier({ nranks, chunks = 1 }: ScheduleOptions): Schedule {
  return {
    collective: 'barrier',
    algorithm: 'dissemination',
    alike: IN_RING,
    nranks,
    chunks,
    root: 0,
    scratch: [],
    rounds: () => disseminationPhase(everybody(nranks), vectorIn('output', chunks)),
  };
}

/** Every member hears of every member, of some more than once. */
function* disseminationPhase({ ranks }: Group, { chunks, own, result }: Vector): Generator<Round> {
  const members = ranks.length;
  if (members === 1) yield localMoves(ranks, chunks, own, result);
  for (let distance = 1; distance < members; distance *= 2) {
    const held = distance === 1 ? own : result;
    yield ranks.map((dst, member): Transfer => {
      const src = ranks[modulo(member - distance, members)] as number;
      const [from, operand, to] = [held(src), held(dst), result(dst)];
      return { src, dst, from, operand, to, count: chunks, effect: 'reduce' };
    });
  }
}
