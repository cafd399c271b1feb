/** Measured points, from CSV: a line of names, then a line per point. The help of hlsim calibrate names the columns. */
import { dirname } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { DATA_TYPES, type DataTypeWord } from '../bench/data-types.ts';
import { ELEMENT_TYPES, type ElementType } from '../collectives/arithmetic.ts';
import { readMscclXml } from '../collectives/msccl/read.ts';
import { COLLECTIVE_WORDS, collectiveOfWord, wordOfCollective } from '../collectives/names.ts';
import { parseSize } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { MEASURES, type MeasuredPoint, type PointWork } from '../timing/calibration/point.ts';
import { proveFile } from '../timing/experiment/proof.ts';
import { parseQuantity } from '../timing/topology/quantities.ts';
import { InputFiles } from './predict-inputs.ts';

/** More points than anybody has measured of one machine. */
const POINTS_MAX = 10_000;
const RANKS_MAX = 16_384;

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

/**
 * Reads points, and the MSCCL XML files that they name, whose paths are relative to the file's folder.
 *
 * @throws HlsimError `HLSIM_CONFIG` with the line of the first thing that is wrong
 */
export async function readPoints(path: string): Promise<readonly MeasuredPoint[]> {
  const content = await new InputFiles('.').text(path, 'a file of measured points');
  const table = tableOf(content, path);
  const schedules = new Schedules(new InputFiles(dirname(path)));
  const points: MeasuredPoint[] = [];
  for (const row of table.rows) {
    points.push(await pointOf(new Cells(row, path), table.timeUnit, schedules));
  }
  return points;
}

function tableOf(content: string, path: string): Table {
  const [header, ...records] = recordsOf(content, path);
  if (header === undefined || records.length === 0) {
    throw wrong(`Expected a line of names and a line per point in ${path} but found no point`);
  }
  const columns = header.record.map((name) => columnOf(name.trim(), path, header.line));
  for (const [index, column] of columns.entries()) {
    if (columns.indexOf(column) === index) continue;
    throw wrong(`Expected one column of ${COLUMNS[column].join(' or ')} in ${path} but found two`);
  }
  const missing = REQUIRED.find((column) => !columns.includes(column));
  if (missing !== undefined) {
    throw wrong(
      `Expected a column ${COLUMNS[missing].join(' or ')} in ${path} but found ${header.record.join(', ')}`,
    );
  }
  if (records.length > POINTS_MAX) {
    throw wrong(`Expected at most ${POINTS_MAX} points in ${path} but found ${records.length}`);
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
    `Expected the columns of ${path} to be some of ${names} but found ${JSON.stringify(name)} (line ${line})`,
  );
}

async function pointOf(
  cells: Cells,
  timeUnit: string,
  schedules: Schedules,
): Promise<MeasuredPoint> {
  const collective = cells.required(
    'collective',
    `one of ${Object.keys(COLLECTIVE_WORDS).join(', ')}`,
    collectiveOfWord,
  );
  const positive = (text: string) => wholeNumber(text, Number.MAX_SAFE_INTEGER);
  const type = cells.optional('type', `one of ${Object.keys(DATA_TYPES).join(', ')}`, typeOf);
  return {
    line: cells.line,
    collective,
    nranks: cells.required('ranks', `a whole number from 1 to ${RANKS_MAX}`, (text) =>
      wholeNumber(text, RANKS_MAX),
    ),
    bytes: cells.required('size', 'a size such as 1024, 64K or 16M', parseSize),
    seconds: cells.required(
      'time',
      timeUnit === '' ? 'a time with a unit, such as 12.5us' : `a time in ${timeUnit}, more than 0`,
      (text) => secondsOf(text, timeUnit),
    ),
    measure:
      cells.optional('measure', `one of ${MEASURES.join(', ')}`, (text) =>
        MEASURES.find((one) => one === text),
      ) ?? 'latency',
    bytesPerElement: ELEMENT_TYPES[type ?? 'float32'].bytes,
    boxes: cells.optional('boxes', `a whole number from 1 to ${RANKS_MAX}`, (text) =>
      wholeNumber(text, RANKS_MAX),
    ),
    channels: cells.optional('channels', 'a whole number of at least 1', positive),
    chunks: cells.optional('chunks', 'a whole number of at least 1', positive),
    sliceBytes: cells.optional('slice', 'a size such as 64K', parseSize),
    work: await schedules.workOf(cells, collective),
  };
}

function wholeNumber(text: string, max: number): number | undefined {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : undefined;
}

function secondsOf(text: string, unit: string): number | undefined {
  const read = parseQuantity(`${text}${unit}`);
  return read?.quantity === 'time' && read.value > 0 ? read.value : undefined;
}

function typeOf(text: string): ElementType | undefined {
  const word = (Object.keys(DATA_TYPES) as DataTypeWord[]).find((known) => known === text);
  return word === undefined ? undefined : DATA_TYPES[word];
}

/** The cells of a line, read one by one; what is wrong is told with the line. */
class Cells {
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
      `Expected ${COLUMNS[column][0]} in line ${this.line} of ${this.#path} to be ${expected} but found ${JSON.stringify(text)}`,
    );
  }

  /** Undefined for an empty cell, and where there is no such column. */
  optional<T>(column: Column, expected: string, read: (text: string) => T | undefined) {
    const text = this.#cells[column] ?? '';
    return text === '' ? undefined : this.required(column, expected, read);
  }
}

/** Schedule files by name, each read and proved once. */
class Schedules {
  readonly #inputs: InputFiles;
  readonly #read = new Map<string, ReturnType<typeof readMscclXml>>();

  constructor(inputs: InputFiles) {
    this.#inputs = inputs;
  }

  async workOf(cells: Cells, collective: MeasuredPoint['collective']): Promise<PointWork> {
    const name = cells.required(
      'work',
      'the name of an algorithm, or of an MSCCL XML file',
      (text) => (text === '' ? undefined : text),
    );
    if (!/\.xml$/i.test(name)) return { kind: 'algorithm', name };
    const file = this.#read.get(name) ?? (await this.#prove(name));
    this.#read.set(name, file);
    if (file.collective !== collective) {
      throw wrong(
        `Expected ${wordOfCollective(collective)} in ${name}, as line ${cells.line} says, but found ${wordOfCollective(file.collective)}`,
      );
    }
    const { programs, equalChunks } = file;
    return { kind: 'programs', name, programs, equalChunks };
  }

  async #prove(name: string): Promise<ReturnType<typeof readMscclXml>> {
    const file = readMscclXml(await this.#inputs.text(name, 'an MSCCL XML file'));
    const { programs, equalChunks, placements, objection } = file;
    if (objection !== undefined) {
      throw new HlsimError(
        'HLSIM_SCHEDULE_REFUTED',
        `Expected a sound schedule in ${name} but found: ${objection}; see hlsim verify ${name}`,
      );
    }
    proveFile(programs, { inPlace: placements[0] === 'inPlace', equalChunks, name });
    return file;
  }
}

function wrong(message: string, cause?: unknown): HlsimError {
  return new HlsimError('HLSIM_CONFIG', message, cause === undefined ? {} : { cause });
}
