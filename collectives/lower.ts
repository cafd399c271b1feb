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
  for (const round of schedule.rounds(rank)) {
    own.push(round.filter(({ src, dst }) => src === rank || dst === rank));
  }
  return programOf(schedule, rank, own);
}

/** The programs of all ranks, by rank. Walks all transfers of the schedule once. */
export function lowerAll(schedule: Schedule): Program[] {
  const own: Round[][] = Array.from({ length: schedule.nranks }, () => []);
  for (const round of schedule.rounds()) {
    const parts = new Map<Rank, Transfer[]>();
    for (const transfer of round) {
      addTo(parts, transfer.src, transfer);
      if (transfer.dst !== transfer.src) addTo(parts, transfer.dst, transfer);
    }
    for (const [rank, part] of parts) {
      defined(own[rank], `rank ${rank} of ${schedule.nranks}`).push(part);
    }
  }
  return own.map((rounds, rank) => programOf(schedule, rank, rounds));
}

function addTo(parts: Map<Rank, Transfer[]>, rank: Rank, transfer: Transfer): void {
  const part = parts.get(rank);
  if (part === undefined) parts.set(rank, [transfer]);
  else part.push(transfer);
}

/** `rounds` are those transfers of the schedule that have `rank` at one end. */
function programOf(schedule: Schedule, rank: Rank, rounds: readonly Round[]): Program {
  const { collective, algorithm, nranks, chunks, root, scratch, custom } = schedule;
  const memory = memoryMap(schedule, rank, true);
  const steps = rounds.flatMap((round) => stepsOfRound(rank, round, memory));
  const nchannels = steps.reduce((most, { channel }) => Math.max(most, channel + 1), 1);
  const channels = dealToChannels(fuse(steps, memory), nchannels, memory);
  const shape = { collective, nranks, chunks, root, scratch };
  return { ...shape, ...(custom === undefined ? {} : { custom }), algorithm, rank, channels };
}
