/** Measured points, from CSV (`calibrate-csv.ts`), with the schedules that they name. */
import { dirname } from 'node:path';
import { DATA_TYPES, type DataTypeWord } from '../bench/data-types.ts';
import { ELEMENT_TYPES, type ElementType } from '../collectives/arithmetic.ts';
import { readMscclXml } from '../collectives/msccl/read.ts';
import { COLLECTIVE_WORDS, collectiveOfWord, wordOfCollective } from '../collectives/names.ts';
import { parseSize } from '../common/bytes.ts';
import { HlsimError } from '../common/errors.ts';
import { MEASURES, type MeasuredPoint, type PointWork } from '../timing/calibration/point.ts';
import { LIMITS } from '../timing/experiment/experiment.ts';
import { proveFile } from '../timing/experiment/proof.ts';
import { parseQuantity } from '../timing/topology/quantities.ts';
import { Cells, tableOf, wrong } from './calibrate-csv.ts';
import { InputFiles } from './predict-inputs.ts';

const RANKS_MAX = 16_384;
/** Longer than anybody has measured: a day. */
const SECONDS_MAX = 86_400;

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
      timeUnit === ''
        ? 'a time with a unit, such as 12.5us, of a day at most'
        : `a time in ${timeUnit}, more than 0 and a day at most`,
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
    channels: cells.optional('channels', `a whole number from 1 to ${LIMITS.channels}`, (text) =>
      wholeNumber(text, LIMITS.channels),
    ),
    chunks: cells.optional('chunks', `a whole number from 1 to ${LIMITS.chunks}`, (text) =>
      wholeNumber(text, LIMITS.chunks),
    ),
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
  if (read?.quantity !== 'time') return undefined;
  return read.value > 0 && read.value <= SECONDS_MAX ? read.value : undefined;
}

function typeOf(text: string): ElementType | undefined {
  const word = (Object.keys(DATA_TYPES) as DataTypeWord[]).find((known) => known === text);
  return word === undefined ? undefined : DATA_TYPES[word];
}

type SchedulesFile = ReturnType<typeof readMscclXml>;

/** Schedule files by name, each read and proved once. */
class Schedules {
  readonly #inputs: InputFiles;
  readonly #read = new Map<string, SchedulesFile>();

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
    const file = this.#read.get(name) ?? (await this.#prove(name, cells.line));
    this.#read.set(name, file);
    if (file.collective !== collective) {
      throw wrong(
        `Expected ${wordOfCollective(collective)} in ${name}, as line ${cells.line} says, but found ${wordOfCollective(file.collective)}`,
      );
    }
    const { programs, equalChunks } = file;
    return { kind: 'programs', name, programs, equalChunks };
  }

  async #prove(name: string, line: number): Promise<SchedulesFile> {
    try {
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
    } catch (cause) {
      if (!(cause instanceof HlsimError)) throw cause;
      const { code, fields, message } = cause;
      throw new HlsimError(code, `${message} (point in line ${line})`, { cause, fields });
    }
  }
}
