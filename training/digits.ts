/**
 * The data set: real handwritten digits (`data/README.md` says whose), read, checked row by row,
 * shuffled by a seed and split.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { HlsimError, messageOf } from '../common/errors.ts';
import { Prng } from '../common/prng.ts';

/** Pixels of an image, 8 x 8. */
export const PIXELS = 64;
export const CLASSES = 10;
/** Largest value of a pixel in the file. */
const PIXEL_MAX = 16;
/** About the mean of all pixels, as parts of the largest. In memory it is 0, which trains faster. */
const PIXEL_MEAN = 0.3;
/** Of all rows, how many in ten are trained on; the others are held out. */
const TRAINING_TENTHS = 8;

/** Beside this file in the sources; from a build, which is one folder deeper. */
const LOCATIONS = ['./data/digits.csv.gz', '../../training/data/digits.csv.gz'].map((location) =>
  fileURLToPath(new URL(location, import.meta.url)),
);

export interface Digits {
  readonly rows: number;
  /** `rows` x `PIXELS`, row by row, from -0.3 (white) to 0.7 (black). */
  readonly pixels: Float32Array;
  /** The digit of each row. float32, as the kernels take it. */
  readonly labels: Float32Array;
}

export interface SplitDigits {
  readonly training: Digits;
  readonly heldOut: Digits;
}

/**
 * Reads the data set that comes with hlsim, from the first of `paths` that exists. Throws
 * `HLSIM_PROGRAM_UNREADABLE`.
 */
export function loadDigits(paths: readonly string[] = LOCATIONS): Digits {
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected the data set at ${paths.join(' or ')} but found nothing there: install hlsim again`,
    );
  }
  return parseDigits(unpack(path), path);
}

/**
 * Reads comma-separated rows of 64 pixels from 0 to 16 and a digit from 0 to 9. Throws
 * `HLSIM_PROGRAM_UNREADABLE` that names `source` and the first line that is wrong.
 */
export function parseDigits(text: string, source: string): Digits {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const pixels = new Float32Array(lines.length * PIXELS);
  const labels = new Float32Array(lines.length);
  for (const [row, line] of lines.entries()) {
    const values = readRow(line, `${source}, line ${row + 1}`);
    labels[row] = values.pop() ?? Number.NaN;
    pixels.set(
      values.map((value) => value / PIXEL_MAX - PIXEL_MEAN),
      row * PIXELS,
    );
  }
  if (lines.length === 0) throw unreadable(source, 'at least one row', 'none');
  return { rows: lines.length, pixels, labels };
}

/** Shuffles the rows by `seed` and keeps the last fifth for evaluation. Same seed, same split. */
export function splitDigits(digits: Digits, seed: number): SplitDigits {
  const order = new Prng(seed).shuffle(Array.from({ length: digits.rows }, (_, row) => row));
  const trainingRows = Math.floor((digits.rows * TRAINING_TENTHS) / 10);
  return {
    training: pickRows(digits, order.slice(0, trainingRows)),
    heldOut: pickRows(digits, order.slice(trainingRows)),
  };
}

/** The given rows, in the given order. */
export function pickRows(digits: Digits, rows: readonly number[]): Digits {
  const pixels = new Float32Array(rows.length * PIXELS);
  const labels = new Float32Array(rows.length);
  for (const [to, from] of rows.entries()) {
    pixels.set(digits.pixels.subarray(from * PIXELS, (from + 1) * PIXELS), to * PIXELS);
    labels.set(digits.labels.subarray(from, from + 1), to);
  }
  return { rows: rows.length, pixels, labels };
}

function unpack(path: string): string {
  try {
    return gunzipSync(readFileSync(path)).toString('utf8');
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a gzip-compressed table in ${path} but found: ${messageOf(cause)}: restore the file`,
      { cause },
    );
  }
}

/** Pixels and digit of one line, as in the file. */
function readRow(line: string, where: string): number[] {
  const fields = line.split(',');
  if (fields.length !== PIXELS + 1) {
    throw unreadable(where, `${PIXELS + 1} fields`, `${fields.length}`);
  }
  return fields.map((text, column) => {
    const isLabel = column === PIXELS;
    const max = isLabel ? CLASSES - 1 : PIXEL_MAX;
    const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
    if (value <= max) return value;
    const what = isLabel ? 'a digit' : `pixel ${column}`;
    throw unreadable(where, `${what} from 0 to ${max}`, JSON.stringify(text));
  });
}

function unreadable(where: string, expected: string, found: string): HlsimError {
  return new HlsimError(
    'HLSIM_PROGRAM_UNREADABLE',
    `Expected ${expected} but found ${found} in ${where}: restore the file`,
  );
}
