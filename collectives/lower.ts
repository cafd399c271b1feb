/**
 * Lowers a schedule to programs: from what all ranks do, round by round, to what each rank does.
 *
 * Rounds leave no barrier behind. What is left of them is the order of steps within a rank, and of
 * messages within a connection: both ends walk the rounds in the same order, so they agree.
 */
import { defined } from '../common/assert.ts';
import { dealToChannels } from './depends.ts';
import { fuse } from './fuse.ts';
import { memoryMap } from './memory.ts';
import type { Program } from './program.ts';
import { stepsOfRound } from './round-steps.ts';
import type { Rank, Round, Schedule, Transfer } from './schedule.ts';

/** The program of one rank. Walks all transfers of the schedule once. */
export function lower(schedule: Schedule, rank: Rank): Program {
  const own: Round[] = [];
  let channelMax = 0;
  for (const round of schedule.rounds()) {
    for (const { channel = 0 } of round) channelMax = Math.max(channelMax, channel);
    own.push(round.filter(({ src, dst }) => src === rank || dst === rank));
  }
  return programOf(schedule, rank, own, channelMax + 1);
}

/** The programs of all ranks, by rank. Walks all transfers of the schedule once. */
export function lowerAll(schedule: Schedule): Program[] {
  const own: Round[][] = Array.from({ length: schedule.nranks }, () => []);
  let channelMax = 0;
  for (const round of schedule.rounds()) {
    const parts: Transfer[][] = own.map(() => []);
    for (const transfer of round) {
      channelMax = Math.max(channelMax, transfer.channel ?? 0);
      for (const rank of new Set([transfer.src, transfer.dst])) {
        defined(parts[rank], `rank ${rank} of ${schedule.nranks}`).push(transfer);
      }
    }
    for (const [rank, part] of parts.entries()) own[rank]?.push(part);
  }
  return own.map((rounds, rank) => programOf(schedule, rank, rounds, channelMax + 1));
}

/** `rounds` are those transfers of the schedule that have `rank` at one end. */
function programOf(
  schedule: Schedule,
  rank: Rank,
  rounds: readonly Round[],
  nchannels: number,
): Program {
  const { collective, algorithm, nranks, chunks, root, scratch } = schedule;
  const memory = memoryMap(schedule, rank, true);
  const steps = rounds.flatMap((round) => stepsOfRound(rank, round, memory));
  const channels = dealToChannels(fuse(steps, memory), nchannels, memory);
  return { collective, algorithm, nranks, chunks, root, scratch, rank, channels };
}
