import { describe, expect, it } from 'vitest';
import {
  averageElements,
  ELEMENT_TYPES,
  type ElementType,
  multiplyElements,
} from '../../../../collectives/arithmetic.ts';
import { Prng } from '../../../../common/prng.ts';
import {
  averageKernel,
  averageScalars,
  preMulKernel,
  preMulScalars,
} from '../../../../node/device/kernels/element-kernels.ts';
import { elementBench, emptyElements, randomElements, TYPES } from './element-bench.ts';

const LENGTH_MAX = 67;
const [DST, SRC] = [65536, 262144];
const RANKS = [1, 2, 3, 5, 7, 8, 64, 127, 128, 129, 255, 256, 257, 1000, 65537, 2 ** 32 - 1];

const FLOAT_SCALARS = [1, -1, 0, 0.1, -3, 1 / 3, 1 + 2 ** -11, 2 ** -14, 3 * 2 ** -25, 1e5, 1e-30];

function scalarsOf(type: ElementType): readonly (number | bigint)[] {
  if (type.includes('float')) return [...FLOAT_SCALARS, Number.POSITIVE_INFINITY, Number.NaN];
  if (!type.endsWith('int64')) return type.startsWith('u') ? [0, 1, 3, 200] : [0, 1, -1, 3, -100];
  return [0n, 1n, -1n, 3n, 0x123456789abcdefn, -0x123456789abcdefn, 1n << 63n, 2n ** 32n - 1n];
}

describe('scaling kernels are bit for bit the plain reference', () => {
  const bench = elementBench();

  it.each(TYPES)('%s: the end of an average, every length from 0 to 67, in place too', (type) => {
    const { bytes } = ELEMENT_TYPES[type];
    const places = 16 / bytes;
    const prng = new Prng(10);
    for (let count = 0; count <= LENGTH_MAX; count++) {
      for (const nranks of RANKS) {
        const sums = randomElements(type, count, prng);
        const wanted = emptyElements(type, count);
        averageElements(type, sums, nranks, wanted);
        const dst = DST + prng.below(places) * bytes;
        const src = prng.below(4) === 0 ? dst : SRC + prng.below(places) * bytes;
        bench.guard(dst, count * bytes);
        bench.place(src, sums);
        bench.run(averageKernel(type), dst, src, count, ...averageScalars(type, nranks));
        expect(bench.difference(dst, wanted), `${count} over ${nranks}`).toBeUndefined();
      }
    }
  });

  it.each(TYPES)('%s: the start of a preMulSum, every length from 0 to 67', (type) => {
    const { bytes } = ELEMENT_TYPES[type];
    const places = 16 / bytes;
    const prng = new Prng(11);
    for (let count = 0; count <= LENGTH_MAX; count++) {
      for (const scalar of scalarsOf(type)) {
        const elements = randomElements(type, count, prng);
        const wanted = emptyElements(type, count);
        multiplyElements(type, elements, scalar, wanted);
        const dst = DST + prng.below(places) * bytes;
        const src = prng.below(4) === 0 ? dst : SRC + prng.below(places) * bytes;
        bench.guard(dst, count * bytes);
        bench.place(src, elements);
        bench.run(preMulKernel(type), dst, src, count, ...preMulScalars(type, scalar));
        expect(bench.difference(dst, wanted), `${count} times ${scalar}`).toBeUndefined();
      }
    }
  });

  it.each(['int8', 'uint8'] as const)('%s: every value by every divisor up to 300', (type) => {
    const bytes = new Uint8Array(256).map((_, bits) => bits);
    const values = type === 'int8' ? new Int8Array(bytes.buffer) : bytes;
    bench.place(SRC, values);
    for (let divisor = 1; divisor <= 300; divisor++) {
      bench.guard(DST, 256);
      bench.run(averageKernel(type), DST, SRC, 256, divisor);
      const wanted = values.map((value) => Math.trunc(value / divisor));
      expect(bench.difference(DST, wanted), `${divisor}`).toBeUndefined();
    }
  });

  it.each(['float16', 'bfloat16'] as const)('%s: every value by factors that make ties', (type) => {
    const values = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const wanted = new Uint16Array(65536);
    bench.place(SRC, values);
    for (const factor of [...FLOAT_SCALARS, 1 + 2 ** -8, 1.5, 2 ** -20, 2 ** -133, 2 ** 20]) {
      multiplyElements(type, values, factor, wanted);
      bench.guard(DST, 131072);
      bench.run(preMulKernel(type), DST, SRC, 65536, factor);
      expect(bench.difference(DST, wanted), `times ${factor}`).toBeUndefined();
    }
  });
});

describe('preMulScalars()', () => {
  it('gives 64-bit integers as two halves, exact, and wraps narrower ones', () => {
    expect(preMulScalars('int64', -2n)).toEqual([2 ** 32 - 2, 2 ** 32 - 1]);
    expect(preMulScalars('uint64', (1n << 63n) + 5n)).toEqual([5, 2 ** 31]);
    expect(preMulScalars('int32', 2 ** 31)).toEqual([-(2 ** 31)]);
    expect(preMulScalars('uint8', -1)).toEqual([2 ** 32 - 1]);
    expect(preMulScalars('float64', 0.1)).toEqual([0.1]);
  });
});
