/** How long it takes to build, lower and plan every algorithm of the table for one rank. */
import { ALGORITHMS } from '../collectives/algorithms.ts';
import { chunkTable, type ElementCounts } from '../collectives/chunks.ts';
import type { CollectiveName } from '../collectives/collective.ts';
import { lower } from '../collectives/lower.ts';
import { buildSchedule, optionsOf } from '../collectives/table.ts';
import { ranksIn } from '../collectives/topology.ts';
import type { Clock } from '../common/clock.ts';
import { slotBytes } from '../node/hccl/lanes.ts';
import { makePlan } from '../node/hccl/plan.ts';

/** 64 ranks. */
const TOPOLOGY = { boxes: 8, ranksPerBox: 8 };
export const RANKS = ranksIn(TOPOLOGY);
const RANK = 0;
/** Bytes of the call as a whole. */
const CALL_BYTES = 1024 * 1024;
const ELEMENT_BYTES = 4;
/** Times that each is done; the first ones, in which the code is compiled, are left out. */
const REPEATS = 12;
const WARM_UPS = 5;

/** Medians, in milliseconds. */
export interface PlanningCost {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  /** Building the schedule and lowering it. */
  readonly loweringMs: number;
  readonly planningMs: number;
}

export function measurePlanning(clock: Clock): PlanningCost[] {
  return ALGORITHMS.flatMap(({ collectives, name, restrictions }) =>
    collectives.flatMap((collective) => {
      const options = optionsOf({ collective, algorithm: name, topology: TOPOLOGY });
      if (!restrictions.every(({ holds }) => holds(options))) return [];
      return [{ collective, algorithm: name, ...timesOf(clock, collective, name) }];
    }),
  );
}

function timesOf(
  clock: Clock,
  collective: CollectiveName,
  algorithm: string,
): { readonly loweringMs: number; readonly planningMs: number } {
  const lowering: number[] = [];
  const planning: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const startMs = clock.now();
    const schedule = buildSchedule({ collective, algorithm, topology: TOPOLOGY });
    const program = lower(schedule, RANK);
    const loweredMs = clock.now();
    makePlan({
      program,
      table: chunkTable(program, countsOf(collective)),
      elementBytes: ELEMENT_BYTES,
      sliceBytes: slotBytes(RANKS),
      placement: 'outOfPlace',
    });
    const plannedMs = clock.now();
    if (repeat < WARM_UPS) continue;
    lowering.push(loweredMs - startMs);
    planning.push(plannedMs - loweredMs);
  }
  return { loweringMs: medianOf(lowering), planningMs: medianOf(planning) };
}

function countsOf(collective: CollectiveName): ElementCounts {
  const elements = CALL_BYTES / ELEMENT_BYTES;
  switch (collective) {
    case 'allGatherV':
    case 'reduceScatterV':
      return Array.from({ length: RANKS }, () => elements / RANKS);
    case 'allToAllV':
      return Array.from({ length: RANKS * RANKS }, () => elements / RANKS);
    case 'allGather':
    case 'reduceScatter':
    case 'gather':
    case 'scatter':
      return elements / RANKS;
    default:
      return elements;
  }
}

/** The middle value, or the larger of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
