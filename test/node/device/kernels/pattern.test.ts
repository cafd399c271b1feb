import { describe, expect, it } from 'vitest';
import { PATTERN_RANKS_MAX, patternElement } from '../../../../node/device/kernels/pattern.ts';
import { kernelBench } from './kernel-bench.ts';

const DATA = 65536 + 4;
const COUNTER = 200_000;

describe('patternElement()', () => {
  it('gives integers in [-512, 511], so that 1024 ranks add up exactly in float32', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => patternElement(index, 3, 9));
    expect(values.every(Number.isInteger)).toBe(true);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-512);
    expect(Math.max(...values)).toBeLessThanOrEqual(511);
    expect(512 * PATTERN_RANKS_MAX).toBeLessThan(2 ** 24);
  });

  it('tells ranks, seeds and neighbouring chunks of any size apart', () => {
    const chunk = (first: number, rank: number, seed: number) =>
      Array.from({ length: 16 }, (_, index) => patternElement(first + index, rank, seed)).join();
    const chunks = new Set<string>();
    for (let rank = 0; rank < 32; rank++) chunks.add(chunk(0, rank, 0));
    for (let seed = 1; seed < 32; seed++) chunks.add(chunk(0, 0, seed));
    for (let first = 1; first < 2048; first++) chunks.add(chunk(first, 0, 0));
    expect(chunks.size).toBe(32 + 31 + 2047);
  });
});

describe('pattern checks', () => {
  const bench = kernelBench();
  const { kernels } = bench;
  const counter = () => new Uint32Array(bench.buffer, COUNTER, 1);

  it('check_pattern_f32 counts no difference in what pattern_f32 wrote, for lengths 0 to 67', () => {
    counter()[0] = 0;
    for (let count = 0; count <= 67; count++) {
      kernels.pattern_f32(DATA, count, 5, 6, 1000);
      kernels.check_pattern_f32(DATA, COUNTER, 5, 6, 1000, count);
    }
    expect(counter()[0]).toBe(0);
  });

  it('check_pattern_f32 finds each single changed bit, and adds to the counter', () => {
    const words = new Uint32Array(bench.buffer, DATA, 67);
    for (let index = 0; index < 67; index++) {
      kernels.pattern_f32(DATA, 67, 5, 6, 0);
      words[index] = (words[index] ?? 0) ^ (1 << (index & 31));
      counter()[0] = 100;
      kernels.check_pattern_f32(DATA, COUNTER, 5, 6, 0, 67);
      expect(counter()[0], `element ${index}`).toBe(101);
    }
  });

  it('check_pattern_f32 refuses the block of another rank, seed or place', () => {
    kernels.pattern_f32(DATA, 64, 5, 6, 128);
    for (const [rank, seed, first] of [
      [4, 6, 128],
      [5, 7, 128],
      [5, 6, 64],
    ] as const) {
      counter()[0] = 0;
      kernels.check_pattern_f32(DATA, COUNTER, rank, seed, first, 64);
      expect(counter()[0]).toBeGreaterThan(55);
    }
  });

  it.each([1, 2, 3, 4, 7, 1024])(
    'check_sum_pattern_f32 accepts the sum over %i ranks, alone',
    (n) => {
      const sums = Float32Array.from({ length: 67 }, (_, index) => {
        let sum = 0;
        for (let rank = 0; rank < n; rank++) {
          sum = Math.fround(sum + patternElement(50 + index, rank, 8));
        }
        return sum;
      });
      for (let count = 0; count <= 67; count++) {
        bench.place(DATA, sums);
        counter()[0] = 0;
        kernels.check_sum_pattern_f32(DATA, COUNTER, n, 8, 50, count);
        expect(counter()[0]).toBe(0);
      }
      bench.floats(DATA, 67)[66] = (sums[66] ?? 0) + 1;
      bench.floats(DATA, 67)[3] = Number.NaN;
      kernels.check_sum_pattern_f32(DATA, COUNTER, n, 8, 50, 67);
      expect(counter()[0]).toBe(2);
    },
  );
});
