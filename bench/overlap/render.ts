/** The overlap benchmark's table, for people. */
import type { Spread } from '../peers/statistics.ts';
import type { PlaceSummary } from './summary.ts';

/** All figures of one kind of link. */
export interface LinkResult {
  /** For people. */
  readonly link: string;
  readonly places: readonly PlaceSummary[];
}

const HEADER = [
  'link',
  'computes',
  'computing',
  'communication',
  'its cores',
  'off',
  'on',
  'off / on (range)',
  'hidden (range)',
  'at most',
];

const PLACE_WORDS = { device: 'device', program: 'program' } as const;

export function renderOverlap(results: readonly LinkResult[]): string {
  const rows = results.flatMap(({ link, places }) => places.map((one) => rowOf(link, one)));
  const lines = [HEADER, ...rows];
  const widths = HEADER.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function rowOf(link: string, summary: PlaceSummary): readonly string[] {
  return [
    link,
    PLACE_WORDS[summary.place],
    milliseconds(summary.computingMs),
    milliseconds(summary.communicationMs),
    summary.communicationCores.median.toFixed(2),
    milliseconds(summary.offMs),
    milliseconds(summary.onMs),
    spread(summary.ratio, (value) => value.toFixed(2)),
    spread(summary.hidden, percent),
    percent(summary.hideable.median),
  ];
}

function spread({ median, min, max }: Spread, text: (value: number) => string): string {
  return `${text(median)} (${text(min)} to ${text(max)})`;
}

function milliseconds({ median }: Spread): string {
  return `${median.toFixed(2)} ms`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(0)} %`;
}
