/** What several tests of `collectives/` need. */

import type { CollectiveName } from '../../collectives/collective.ts';
import type { Program, Step } from '../../collectives/program.ts';
import type { Schedule, ScheduleOptions } from '../../collectives/schedule.ts';
import { ALGORITHMS, type AlgorithmRow } from '../../collectives/table.ts';
import { defined } from '../../common/assert.ts';

export const PLACEMENTS = [
  { placement: 'out of place', inPlace: false },
  { placement: 'in place', inPlace: true },
] as const;

export const RANK_COUNTS = [...Array.from({ length: 17 }, (_, index) => index + 1), 32, 64];

export interface Case {
  readonly collective: CollectiveName;
  readonly algorithm: string;
  readonly row: AlgorithmRow;
}

/** Every collective of every row of the table. */
export const CASES: readonly Case[] = ALGORITHMS.flatMap((row) =>
  row.collectives.map((collective) => ({ collective, algorithm: row.name, row })),
);

/** The row's schedule, if its restrictions allow these options. */
export function scheduleOf(row: AlgorithmRow, options: ScheduleOptions): Schedule | undefined {
  return row.restrictions.every(({ holds }) => holds(options)) ? row.build(options) : undefined;
}

/** A copy of `programs` in which one step is replaced, or dropped for `undefined`. */
export function withStep(
  programs: readonly Program[],
  { rank, channel, index }: { rank: number; channel: number; index: number },
  replacement: Step | undefined,
): Program[] {
  return programs.map((program) => {
    if (program.rank !== rank) return program;
    const channels = program.channels.map(({ id, steps }) => {
      if (id !== channel) return { id, steps };
      const changed = steps.flatMap((step, at) => {
        if (at !== index) return [step];
        return replacement === undefined ? [] : [replacement];
      });
      return { id, steps: changed };
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
    channels: channels.map((steps, id) => ({ id, steps })),
  }));
}
