/** What several tests of `collectives/` need. */

import type { AlgorithmRow } from '../../collectives/algorithm-row.ts';
import { ALGORITHMS } from '../../collectives/algorithms.ts';
import type { CollectiveName } from '../../collectives/collective.ts';
import type { Program, Step } from '../../collectives/program.ts';
import type { Schedule, ScheduleOptions } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';

export const PLACEMENTS = [
  { placement: 'outOfPlace', inPlace: false },
  { placement: 'inPlace', inPlace: true },
] as const;

/** What every algorithm is tried with. */
export const RANK_COUNTS = [...Array.from({ length: 33 }, (_, index) => index + 1), 64];

export interface Case {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly row: AlgorithmRow;
  /** The row's builder, asked for this collective. */
  readonly build: (options: ScheduleOptions) => Schedule;
}

/** Every collective of every row of the table. */
export const CASES: readonly Case[] = ALGORITHMS.flatMap((row) =>
  row.collectives.map((collective) => ({
    collective,
    algorithm: row.name,
    row,
    build: (options) => row.build({ collective, ...options }),
  })),
);

/** The case's schedule, if the row's restrictions allow these options. */
export function scheduleOf(
  { collective, row, build }: Case,
  options: ScheduleOptions,
): Schedule | undefined {
  const asked = { collective, ...options };
  return row.restrictions.every(({ holds }) => holds(asked)) ? build(options) : undefined;
}

/** A copy of `programs` in which one step is replaced, or dropped for `undefined`. */
export function withStep(
  programs: readonly Program[],
  { rank, channel, index }: { rank: number; channel: number; index: number },
  replacement: Step | undefined,
): Program[] {
  return programs.map((program) => {
    if (program.rank !== rank) return program;
    const channels = program.channels.map(({ id, lane, steps }) => {
      if (id !== channel) return { id, lane, steps };
      const changed = steps.flatMap((step, at) => {
        if (at !== index) return [step];
        return replacement === undefined ? [] : [replacement];
      });
      return { id, lane, steps: changed };
    });
    return { ...program, channels };
  });
}

export function programAt(programs: readonly Program[], rank: number): Program {
  return defined(programs[rank], `program ${rank}`);
}

export function stepsOf(program: Program, channel = 0): readonly Step[] {
  return defined(program.channels[channel], `channel ${channel}`).steps;
}

/** Programs written by hand: one list of channels of steps per rank, two chunks unless told. */
export function handWritten(
  channelsOfRanks: readonly (readonly (readonly Step[])[])[],
  shape: Partial<Program> = {},
): Program[] {
  return channelsOfRanks.map((channels, rank) => ({
    collective: 'allReduce',
    algorithm: 'handWritten',
    nranks: channelsOfRanks.length,
    chunks: 2,
    root: 0,
    scratch: [],
    ...shape,
    rank,
    channels: channels.map((steps, id) => ({ id, lane: id, steps })),
  }));
}
