/**
 * How the host answers a program that wants to run a collective on shared memory itself: everything that
 * its thread needs, in numbers and names. What ranks must agree on depends on nothing but what they all
 * know, so that they come to the same answer.
 */
import { chunkTable } from '../../../collectives/chunks.ts';
import type { CollectiveName } from '../../../collectives/collective.ts';
import { type PullPlan, pullPlan } from '../../../collectives/pull-plan.ts';
import type { Rank, Schedule } from '../../../collectives/schedule.ts';
import { algorithmsFor, buildSchedule } from '../../../collectives/table.ts';
import { flatTopology } from '../../../collectives/topology.ts';
import { KiB } from '../../../common/bytes.ts';

/** What of a schedule is pulled at a time: small enough to be still in a cache when a peer reads it. */
export const PULL_SLICE_BYTES = 256 * KiB;
/** Slices of a message; longer messages have longer slices. */
const SLICES_MAX = 256;

/** Algorithms that are tried in this order where nobody has chosen one. */
const PULLED_ALGORITHMS = ['direct', 'linear'] as const;

/** Which program is pulled. */
export interface PullChoice {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly nranks: number;
  readonly root: Rank;
  /** As `chunkTable` takes it. */
  readonly count: number;
  readonly elementBytes: number;
}

/** The algorithm that is pulled if nobody has chosen another; `undefined` if there is none. */
export function pulledAlgorithm(collective: CollectiveName): string | undefined {
  const known = algorithmsFor(collective);
  return PULLED_ALGORITHMS.find((name) => known.includes(name));
}

/** The plan of one rank; `undefined` if the algorithm cannot be pulled. */
export function planOf(choice: PullChoice, rank: Rank): PullPlan | undefined {
  const schedule = scheduleOf(choice);
  const table = chunkTable(schedule, choice.count);
  const longest = longestMessage(schedule, table) * choice.elementBytes;
  const slices = Math.min(SLICES_MAX, Math.max(1, Math.ceil(longest / PULL_SLICE_BYTES)));
  const plan = pullPlan({ schedule, table, rank, slices });
  return 'reason' in plan ? undefined : plan;
}

function scheduleOf({ collective, algorithm, nranks, root }: PullChoice): Schedule {
  const topology = flatTopology(nranks);
  return buildSchedule({ collective, algorithm, topology, root, placement: 'inPlace' });
}

function longestMessage(schedule: Schedule, table: ReturnType<typeof chunkTable>): number {
  let longest = 0;
  for (const round of schedule.rounds()) {
    for (const { src, from, count } of round)
      longest = Math.max(longest, table.range(src, from, count).length);
  }
  return longest;
}
