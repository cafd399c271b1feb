import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HlsimError } from '../../common/errors.ts';
import { loadDigits, PIXELS, parseDigits, splitDigits } from '../../training/digits.ts';

const ROW = [...Array.from({ length: PIXELS }, (_, pixel) => pixel % 17), 7].join(',');

function withField(column: number, text: string): string {
  return ROW.split(',').with(column, text).join(',');
}

function messageOf(text: string): string {
  try {
    parseDigits(text, 'digits.csv');
  } catch (reason) {
    expect(reason).toBeInstanceOf(HlsimError);
    expect((reason as HlsimError).code).toBe('HLSIM_PROGRAM_UNREADABLE');
    return (reason as HlsimError).message;
  }
  return 'no error';
}

describe('loadDigits()', () => {
  it('gives 1797 images of all ten digits, pixels from -0.3 to 0.7, 0 in the mean', () => {
    const { rows, pixels, labels } = loadDigits();
    expect(rows).toBe(1797);
    expect(pixels.length).toBe(1797 * PIXELS);
    expect(Math.min(...pixels)).toBeCloseTo(-0.3);
    expect(Math.max(...pixels)).toBeCloseTo(0.7);
    const sum = pixels.reduce((total, pixel) => total + pixel, 0);
    expect(Math.abs(sum / pixels.length)).toBeLessThan(0.01);
    expect([...new Set(labels)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe('loadDigits() of given paths', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hlsim-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('takes the first that exists', () => {
    const path = join(folder, 'digits.csv.gz');
    writeFileSync(path, gzipSync(`${ROW}\n`));
    expect(loadDigits([join(folder, 'absent'), path]).rows).toBe(1);
  });

  it('names every place it looked in where there is none', () => {
    const paths = [join(folder, 'a'), join(folder, 'b')];
    expect(() => loadDigits(paths)).toThrowError(
      expect.objectContaining({
        code: 'HLSIM_PROGRAM_UNREADABLE',
        message: `Expected the data set at ${paths[0]} or ${paths[1]} but found nothing there: install hlsim again`,
      }),
    );
  });

  it('refuses a file that is not compressed, or cut short', () => {
    const whole = gzipSync(`${ROW}\n`);
    for (const bytes of [Buffer.from(ROW), whole.subarray(0, whole.length - 9)]) {
      const path = join(folder, 'broken.csv.gz');
      writeFileSync(path, bytes);
      expect(() => loadDigits([path])).toThrow(`Expected a gzip-compressed table in ${path}`);
    }
  });
});

describe('parseDigits()', () => {
  it('reads pixels and digit of every row, with or without a newline at the end', () => {
    for (const text of [`${ROW}\n${ROW}`, `${ROW}\n${ROW}\n`]) {
      const { rows, pixels, labels } = parseDigits(text, 'digits.csv');
      expect(rows).toBe(2);
      expect([...labels]).toEqual([7, 7]);
      expect(pixels[PIXELS + 16]).toBeCloseTo(0.7);
      expect(pixels[PIXELS + 4]).toBeCloseTo(-0.05);
    }
  });

  it.each([
    ['a field too few', '1,2,3', 'Expected 65 fields but found 3 in digits.csv, line 2'],
    ['a field too many', `${ROW},1`, 'Expected 65 fields but found 66 in digits.csv, line 2'],
    ['an empty line', '', 'Expected 65 fields but found 1 in digits.csv, line 2'],
    ['a pixel above 16', withField(3, '17'), 'Expected pixel 3 from 0 to 16 but found "17"'],
    ['a negative pixel', withField(0, '-1'), 'Expected pixel 0 from 0 to 16 but found "-1"'],
    ['a fraction', withField(63, '1.5'), 'Expected pixel 63 from 0 to 16 but found "1.5"'],
    ['an empty field', withField(9, ''), 'Expected pixel 9 from 0 to 16 but found ""'],
    [
      'a word for a digit',
      withField(64, 'seven'),
      'Expected a digit from 0 to 9 but found "seven"',
    ],
    ['a digit above 9', withField(64, '10'), 'Expected a digit from 0 to 9 but found "10"'],
  ])('names the line of %s', (_, line, expected) => {
    const message = messageOf(`${ROW}\n${line}\n${ROW}\n`);
    expect(message).toContain(expected);
    expect(message).toContain('in digits.csv, line 2');
  });

  it('refuses a file without rows', () => {
    expect(messageOf('')).toContain('Expected at least one row but found none in digits.csv');
  });
});

describe('splitDigits()', () => {
  const digits = loadDigits();
  const images = (pixels: Float32Array): string[] =>
    Array.from({ length: pixels.length / PIXELS }, (_, row) =>
      pixels.subarray(row * PIXELS, (row + 1) * PIXELS).join(),
    );

  it('gives four fifths for training and one fifth held out, every row once', () => {
    const { training, heldOut } = splitDigits(digits, 1);
    expect([training.rows, heldOut.rows]).toEqual([1437, 360]);
    const split = [...images(training.pixels), ...images(heldOut.pixels)];
    expect(split.sort()).toEqual(images(digits.pixels).sort());
  });

  it('keeps each image with its digit', () => {
    const labelOf = new Map(images(digits.pixels).map((image, row) => [image, digits.labels[row]]));
    const { heldOut } = splitDigits(digits, 5);
    for (const [row, image] of images(heldOut.pixels).entries()) {
      expect(heldOut.labels[row]).toBe(labelOf.get(image));
    }
  });

  it('is the same for the same seed and another for another', () => {
    const order = (seed: number) => splitDigits(digits, seed).training.labels.join('');
    expect(order(1)).toBe(order(1));
    expect(order(2)).not.toBe(order(1));
  });
});
