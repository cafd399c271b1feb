import { describe, expect, it } from 'vitest';
import { Prng } from '../../../../common/prng.ts';
import { patternElement } from '../../../../node/device/kernels/pattern.ts';
import { bits, kernelBench } from './kernel-bench.ts';

/** Byte offsets modulo 16: every alignment a float32 tensor can have. */
const MISALIGNMENTS = [0, 4, 8, 12] as const;
const LENGTHS = Array.from({ length: 68 }, (_, length) => length);
const GUARD = Math.fround(-12345.678);

function randomFloats(seed: number, count: number): Float32Array {
  const prng = new Prng(seed);
  const special = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-40, 3.4e38];
  return Float32Array.from({ length: count }, () =>
    prng.below(10) === 0 ? (special[prng.below(special.length)] ?? 0) : prng.normal() * 100,
  );
}

/**
 * Runs `launch` for every length and misalignment and compares what is at dst, and 4 elements around
 * it, bit for bit with `expected`.
 */
function compareEverywhere(
  launch: (dst: number, a: number, b: number, count: number) => void,
  expected: (a: Float32Array, b: Float32Array, index: number) => number,
  bench: ReturnType<typeof kernelBench>,
): void {
  for (const count of LENGTHS) {
    for (const misaligned of MISALIGNMENTS) {
      const a = randomFloats(count * 31 + misaligned, count);
      const b = randomFloats(count * 37 + misaligned + 1, count);
      const dst = 65536 + misaligned;
      bench.place(dst - 16, new Float32Array(count + 8).fill(GUARD));
      const aOffset = bench.place(70000 + ((misaligned * 3) & 12), a);
      const bOffset = bench.place(80000 + ((misaligned * 7 + 4) & 12), b);
      launch(dst, aOffset, bOffset, count);
      const wanted = new Float32Array(count + 8).fill(GUARD);
      for (let index = 0; index < count; index++) wanted[index + 4] = expected(a, b, index);
      expect(bits(bench.floats(dst - 16, count + 8)), `count ${count}, +${misaligned}`).toEqual(
        bits(wanted),
      );
    }
  }
}

const at = (values: Float32Array, index: number) => values[index] ?? 0;

describe('elementwise kernels are bit for bit the plain TypeScript loop', () => {
  const bench = kernelBench();
  const { kernels } = bench;

  it('fill_u8 fills with the lowest byte, any length', () => {
    const memory = new Uint8Array(bench.buffer);
    for (const count of LENGTHS) {
      memory.fill(1, 65536, 65536 + 100);
      kernels.fill_u8(65537, count, 0x2ff);
      const wanted = new Uint8Array(100).fill(1).fill(0xff, 1, 1 + count);
      expect(memory.subarray(65536, 65536 + 100)).toEqual(wanted);
    }
  });

  it('fill_f32', () => {
    compareEverywhere(
      (dst, _a, _b, count) => kernels.fill_f32(dst, count, -2.5),
      () => -2.5,
      bench,
    );
  });

  it('scale_add_f32 rounds the product before the sum', () => {
    compareEverywhere(
      (dst, a, b, count) => {
        bench.floats(dst, count).set(bench.floats(a, count));
        kernels.scale_add_f32(dst, b, count, 0.1);
      },
      (a, b, i) => at(a, i) + Math.fround(Math.fround(0.1) * at(b, i)),
      bench,
    );
  });

  it('relu_f32 gives +0 for what is not above zero, NaN included', () => {
    compareEverywhere(
      (dst, a, _b, count) => kernels.relu_f32(dst, a, count),
      (a, _b, i) => (at(a, i) > 0 ? at(a, i) : 0),
      bench,
    );
  });

  it('relu_backward_f32 passes the gradient where x was above zero', () => {
    compareEverywhere(
      (dst, a, b, count) => kernels.relu_backward_f32(dst, a, b, count),
      (dy, x, i) => (at(x, i) > 0 ? at(dy, i) : 0),
      bench,
    );
  });

  it('pattern_f32, from any first index', () => {
    for (const first of [0, 1, 1021, 2 ** 31 - 2, 2 ** 32 - 70]) {
      compareEverywhere(
        (dst, _a, _b, count) => kernels.pattern_f32(dst, count, 1023, 77, first),
        (_a, _b, i) => patternElement(first + i, 1023, 77),
        bench,
      );
    }
  });
});

describe('kernels at the end of the largest memory, whose end is no address', () => {
  const bench = kernelBench(65536);
  const { kernels } = bench;

  it.each([3, 16, 67])('%i elements', (count) => {
    const last = 2 ** 32 - 4 * count;
    const values = bench.floats(last, count);
    const all = (value: number) => new Float32Array(count).fill(value);
    kernels.fill_f32(last, count, 2);
    expect(values).toEqual(all(2));
    kernels.reduce_sum_f32(last, last, last, count);
    expect(values).toEqual(all(4));
    kernels.multiply_f32(last, last, count, 3);
    expect(values).toEqual(all(12));
    bench.place(65536, all(1));
    kernels.scale_add_f32(last, 65536, count, -20);
    expect(values).toEqual(all(-8));
    kernels.relu_backward_f32(last, 65536, last, count);
    kernels.relu_f32(last, last, count);
    expect(values).toEqual(all(0));
    kernels.pattern_f32(last, count, 1, 2, 3);
    kernels.check_pattern_f32(last, 131072, 1, 2, 3, count);
    expect(new Uint32Array(bench.buffer, 131072, 1)[0]).toBe(0);
    kernels.fill_operands_f32(last, count, 0, 8, 1, 2, 3);
    kernels.check_reduced_f32(last, 131072, 0, 8, 1, 1, 2, 3, count);
    expect(new Uint32Array(bench.buffer, 131072, 1)[0]).toBe(0);
  });
});
