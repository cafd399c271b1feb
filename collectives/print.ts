/** Draws a schedule as text: what each rank holds after every round. What a cell is: `drawing.ts`. */
import { type DrawingOptions, type DrawnState, drawnStates, type Strip } from './drawing.ts';
import type { Schedule } from './schedule.ts';

const COLUMN_GAP = '  ';
/** Between the buffers of a rank. */
const BUFFER_GAP = ' | ';

/** One line for the header, one for the start, one per round; no trailing spaces. */
export function printSchedule(schedule: Schedule, options: DrawingOptions = {}): string {
  const states = [...drawnStates(schedule, options)];
  const lengths = states.flatMap((ranks) =>
    ranks.flatMap((strips) => strips.flatMap(({ cells }) => cells.map(({ text }) => text.length))),
  );
  const cellWidth = lengths.reduce((widest, length) => Math.max(widest, length), 0);
  const rows = states.map((state, index) => [
    index === 0 ? 'start' : `round ${index}`,
    ...textOf(state, cellWidth),
  ]);
  const header = ['', ...(states[0] ?? []).map((strips, rank) => headerOf(rank, strips, options))];
  return alignColumns([header, ...rows]);
}

/** `rank 2`; with all buffers `rank 2 output | scratch`. */
function headerOf(rank: number, strips: readonly Strip[], { buffers }: DrawingOptions): string {
  if (buffers !== 'all') return `rank ${rank}`;
  return `rank ${rank} ${strips.map(({ buffer }) => buffer).join(BUFFER_GAP)}`;
}

function textOf(state: DrawnState, cellWidth: number): string[] {
  return state.map((strips) =>
    strips
      .map(({ cells }) => cells.map(({ text }) => text.padEnd(cellWidth)).join(' '))
      .join(BUFFER_GAP),
  );
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
