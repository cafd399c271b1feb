/** The CSV of measured points: a line of names, then a line per point. The help of hlsim calibrate names the columns. */
import { CsvError, parse } from 'csv-parse/sync';
import { HlsimError } from '../common/errors.ts';

/** More points than anybody has measured of one machine. */
const POINTS_MAX = 10_000;
const SHOWN_MAX = 100;

/** What a column may be called. */
const COLUMNS = {
  work: ['algorithm', 'schedule'],
  collective: ['collective'],
  ranks: ['ranks'],
  boxes: ['boxes'],
  size: ['size', 'bytes'],
  time: ['time', 'time_s', 'time_ms', 'time_us', 'time_ns'],
  type: ['type'],
  measure: ['measure'],
  channels: ['channels'],
  chunks: ['chunks'],
  slice: ['slice'],
} as const;
type Column = keyof typeof COLUMNS;
const REQUIRED: readonly Column[] = ['work', 'collective', 'ranks', 'size', 'time'];

/** One line: its cells by column. */
interface Row {
  readonly line: number;
  readonly cells: Readonly<Partial<Record<Column, string>>>;
}

interface Table {
  readonly rows: readonly Row[];
  /** `us` of a column `time_us`; empty if every cell has a unit of its own. */
  readonly timeUnit: string;
}

/** @throws HlsimError `HLSIM_CONFIG` with the line of what is wrong */
export function tableOf(content: string, path: string): Table {
  const [header, ...records] = recordsOf(content, path);
  if (header === undefined || records.length === 0) {
    throw wrong(
      `Expected a line of names and a line per point in ${path} but found no point (line ${header?.line ?? 1})`,
    );
  }
  const columns = header.record.map((name) => columnOf(name.trim(), path, header.line));
  for (const [index, column] of columns.entries()) {
    if (columns.indexOf(column) === index) continue;
    throw wrong(
      `Expected one column of ${COLUMNS[column].join(' or ')} in ${path} but found two (line ${header.line})`,
    );
  }
  const missing = REQUIRED.find((column) => !columns.includes(column));
  if (missing !== undefined) {
    throw wrong(
      `Expected a column ${COLUMNS[missing].join(' or ')} in ${path} but found ${shown(header.record.join(', '))} (line ${header.line})`,
    );
  }
  if (records.length > POINTS_MAX) {
    throw wrong(
      `Expected at most ${POINTS_MAX} points in ${path} but found more (line ${records.at(-1)?.line})`,
    );
  }
  const timeName = header.record[columns.indexOf('time')]?.trim() ?? '';
  return {
    timeUnit: timeName.split('_')[1] ?? '',
    rows: records.map(({ record, line }) => ({
      line,
      cells: Object.fromEntries(columns.map((column, at) => [column, record[at]?.trim() ?? ''])),
    })),
  };
}

interface CsvRecord {
  readonly record: readonly string[];
  readonly line: number;
}

interface InfoRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

function recordsOf(content: string, path: string): readonly CsvRecord[] {
  try {
    // With `info`, which the types do not say, every record comes with its place.
    const found: unknown = parse(content, {
      bom: true,
      comment: '#',
      comment_no_infix: true,
      info: true,
      skip_empty_lines: true,
      // The names, all points, and one more, by which too many are known: whatever is behind is not read.
      to: POINTS_MAX + 2,
    });
    return (found as readonly InfoRecord[]).map(({ record, info }) => ({
      record,
      line: info.lines,
    }));
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw wrong(`Expected points in CSV in ${path} but found: ${cause.message}`, cause);
  }
}

function columnOf(name: string, path: string, line: number): Column {
  const known = (Object.keys(COLUMNS) as Column[]).find((column) =>
    COLUMNS[column].some((word) => word === name),
  );
  if (known !== undefined) return known;
  const names = Object.values(COLUMNS).flat().join(', ');
  throw wrong(
    `Expected the columns of ${path} to be some of ${names} but found ${shown(name)} (line ${line})`,
  );
}

/** The cells of a line, read one by one; what is wrong is told with the line. */
export class Cells {
  readonly line: number;
  readonly #cells: Row['cells'];
  readonly #path: string;

  constructor({ line, cells }: Row, path: string) {
    this.line = line;
    this.#cells = cells;
    this.#path = path;
  }

  required<T>(column: Column, expected: string, read: (text: string) => T | undefined): T {
    const text = this.#cells[column] ?? '';
    const value = read(text);
    if (value !== undefined) return value;
    throw wrong(
      `Expected ${COLUMNS[column][0]} in line ${this.line} of ${this.#path} to be ${expected} but found ${shown(text)}`,
    );
  }

  /** Undefined for an empty cell, and where there is no such column. */
  optional<T>(column: Column, expected: string, read: (text: string) => T | undefined) {
    const text = this.#cells[column] ?? '';
    return text === '' ? undefined : this.required(column, expected, read);
  }
}

/** Some cells are longer than any message. */
function shown(text: string): string {
  return JSON.stringify(text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}...`);
}

export function wrong(message: string, cause?: unknown): HlsimError {
  return new HlsimError('HLSIM_CONFIG', message, cause === undefined ? {} : { cause });
}
