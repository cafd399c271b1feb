/**
 * Draws a schedule: what each rank's output holds after every round, in place. A chunk is shown by
 * the ranks whose contribution it holds; `*` is all ranks of a reduction, `.` nothing.
 */
import { chunksIn } from './collective.ts';
import type { Contribution } from './contribution.ts';
import type { Schedule } from './schedule.ts';
import { type Holdings, traceSchedule } from './trace.ts';

const COLUMN_GAP = '  ';

/** One line for the header, one for the start, one per round; no trailing spaces. */
export function printSchedule(schedule: Schedule): string {
  const states: string[][][] = [];
  for (const ranks of traceSchedule(schedule, { inPlace: true })) {
    states.push(ranks.map((holdings) => outputCells(schedule, holdings)));
  }
  const cellWidth = Math.max(...states.flat(2).map((cell) => cell.length));
  const rows = states.map((ranks, index) => [
    index === 0 ? 'start' : `round ${index}`,
    ...ranks.map((cells) => cells.map((cell) => cell.padEnd(cellWidth)).join(' ')),
  ]);
  const header = ['', ...(states[0] ?? []).map((_, rank) => `rank ${rank}`)];
  return alignColumns([header, ...rows]);
}

function outputCells(schedule: Schedule, holdings: Holdings): string[] {
  return Array.from({ length: chunksIn(schedule, 'output') }, (_, chunk) =>
    cellText(schedule, holdings.at({ buffer: 'output', chunk })),
  );
}

function cellText({ nranks, collective }: Schedule, value: Contribution | undefined): string {
  if (value === undefined) return '.';
  const isComplete = value.counts.every((count) => count === 1);
  if (collective === 'allReduce' && isComplete && nranks > 1) return '*';
  const names = [...value.counts].flatMap((count, rank) => new Array<number>(count).fill(rank));
  return names.join(nranks > 10 ? '+' : '');
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, text] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, text.length);
    }
  }
  return rows
    .map((row) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(COLUMN_GAP))
    .map((line) => line.trimEnd())
    .join('\n');
}
