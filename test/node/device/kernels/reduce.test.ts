import { describe, expect, it } from 'vitest';
import {
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  reduceElements,
} from '../../../../collectives/arithmetic.ts';
import { Prng } from '../../../../common/prng.ts';
import { reduceKernel } from '../../../../node/device/kernels/element-kernels.ts';
import { elementBench, emptyElements, randomElements, TYPES } from './element-bench.ts';

const OPERATIONS = ['sum', 'prod', 'min', 'max'] as const;
const LENGTH_MAX = 67;
const [DST, A, B] = [65536, 131072, 196608];

const CASES = TYPES.flatMap((type) => OPERATIONS.map((op) => ({ type, op })));

function reference(type: ElementType, op: (typeof OPERATIONS)[number], operands: ElementArray[]) {
  const [a = emptyElements(type, 0), b = a] = operands;
  const out = emptyElements(type, a.length);
  reduceElements(type, op, a, b, out);
  return out;
}

describe('reduction kernels are bit for bit the plain reference', () => {
  const bench = elementBench();

  it.each(CASES)(
    '$op of $type, for every length from 0 to 67, at every misalignment, guards untouched',
    ({ type, op }) => {
      const kernel = reduceKernel(op, type);
      const { bytes } = ELEMENT_TYPES[type];
      const places = 16 / bytes;
      const prng = new Prng(7);
      for (let count = 0; count <= LENGTH_MAX; count++) {
        for (let place = 0; place < places; place++) {
          const a = randomElements(type, count, prng);
          const b = randomElements(type, count, prng);
          const dst = DST + place * bytes;
          bench.guard(dst, count * bytes);
          const aAt = bench.place(A + prng.below(places) * bytes, a);
          const bAt = bench.place(B + prng.below(places) * bytes, b);
          bench.run(kernel, dst, aAt, bAt, count);
          const difference = bench.difference(dst, reference(type, op, [a, b]));
          const where = `count ${count} at ${dst % 16}, ${aAt % 16}, ${bAt % 16}`;
          expect(difference, where).toBeUndefined();
        }
      }
    },
  );

  it.each(CASES)('$op of $type in place: on a, on b, and on both', ({ type, op }) => {
    const kernel = reduceKernel(op, type);
    const { bytes } = ELEMENT_TYPES[type];
    const prng = new Prng(8);
    for (let count = 0; count <= LENGTH_MAX; count++) {
      const a = randomElements(type, count, prng);
      const b = randomElements(type, count, prng);
      const dst = DST + prng.below(16 / bytes) * bytes;
      for (const [own, other] of [
        [a, b],
        [b, a],
      ] as const) {
        bench.guard(dst, count * bytes);
        bench.place(dst, own);
        bench.place(A, other);
        const operands = own === a ? [dst, A] : [A, dst];
        bench.run(kernel, dst, ...operands, count);
        expect(bench.difference(dst, reference(type, op, [a, b])), `${count}`).toBeUndefined();
      }
      bench.guard(dst, count * bytes);
      bench.place(dst, a);
      bench.run(kernel, dst, dst, dst, count);
      expect(bench.difference(dst, reference(type, op, [a, a])), `${count}`).toBeUndefined();
    }
  });

  it.each(TYPES)('%s: 4099 elements, special values and any bits', (type) => {
    const prng = new Prng(9);
    const a = randomElements(type, 4099, prng);
    const b = randomElements(type, 4099, prng);
    bench.place(A, a);
    bench.place(B, b);
    for (const op of OPERATIONS) {
      bench.guard(DST, a.byteLength);
      bench.run(reduceKernel(op, type), DST, A, B, a.length);
      expect(bench.difference(DST, reference(type, op, [a, b])), op).toBeUndefined();
    }
  });
});

/** All bits of a 16-bit float, once each. */
const ALL_BITS = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

describe.each(['float16', 'bfloat16'] as const)('%s, every value there is', (type) => {
  const bench = elementBench();
  const [dst, a, b] = [65600, 65600 + 131136, 65600 + 262272];

  /** Partners that make ties, carries, subnormal results, overflow and NaN. */
  const partners = [
    ...[0x0000, 0x8000, 0x0001, 0x8001, 0x0003, 0x03ff, 0x0400, 0x1001, 0x2c01, 0x3555, 0x3800],
    ...[0x3801, 0x3c00, 0xbc01, 0x3f81, 0x3fff, 0x5640, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0xfe01],
  ];

  it.each(OPERATIONS)('%s with 22 partners', (op) => {
    bench.place(a, ALL_BITS);
    for (const partner of partners) {
      const other = new Uint16Array(65536).fill(partner);
      bench.place(b, other);
      bench.guard(dst, 131072);
      bench.run(reduceKernel(op, type), dst, a, b, 65536);
      const wanted = reference(type, op, [ALL_BITS, other]);
      expect(bench.difference(dst, wanted), partner.toString(16)).toBeUndefined();
    }
  });
});
