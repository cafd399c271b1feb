import { describe, expect, it } from 'vitest';
import { Prng } from '../../../../common/prng.ts';
import { loadKernels } from '../../../../node/device/kernels/kernels.ts';
import { bits, kernelBench } from './kernel-bench.ts';

const A = 65536 + 4;
const B = 120_000 + 8;
const C = 190_000 + 12;

function randomFloats(seed: number, count: number): Float32Array {
  const prng = new Prng(seed);
  return Float32Array.from({ length: count }, () => prng.normal());
}

interface Shape {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly accumulate: boolean;
}

/** One running float32 sum per element, inner index ascending. */
function plainMatmul(c: Float32Array, a: Float32Array, b: Float32Array, shape: Shape): void {
  const { m, k, n, transposeA, transposeB, accumulate } = shape;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = accumulate ? (c[i * n + j] ?? 0) : 0;
      for (let p = 0; p < k; p++) {
        const left = a[transposeA ? p * m + i : i * k + p] ?? 0;
        const right = b[transposeB ? j * k + p : p * n + j] ?? 0;
        sum = Math.fround(sum + Math.fround(left * right));
      }
      c[i * n + j] = sum;
    }
  }
}

describe('matmul_f32', () => {
  const bench = kernelBench();
  const flags = [false, true];
  const cases = flags.flatMap((transposeA) =>
    flags.flatMap((transposeB) =>
      flags.map((accumulate) => ({ transposeA, transposeB, accumulate })),
    ),
  );

  it.each(cases)(
    'is bit for bit the plain loop: $transposeA $transposeB $accumulate',
    (options) => {
      for (const [m, k, n] of [
        [0, 3, 4],
        [3, 0, 5],
        [1, 1, 1],
        [2, 3, 5],
        [7, 13, 16],
        [5, 64, 10],
        [9, 10, 67],
        [33, 17, 35],
      ] as const) {
        const a = randomFloats(1, m * k);
        const b = randomFloats(2, k * n);
        const c = randomFloats(3, m * n);
        bench.place(A, a);
        bench.place(B, b);
        bench.place(C, c);
        bench.kernels.matmul_f32(
          ...[C, A, B, m, k, n],
          ...[options.transposeA, options.transposeB, options.accumulate].map(Number),
        );
        plainMatmul(c, a, b, { m, k, n, ...options });
        expect(bits(bench.floats(C, m * n)), `${m} x ${k} x ${n}`).toEqual(bits(c));
      }
    },
  );
});

describe('add_bias_f32 and column_sum_f32', () => {
  const bench = kernelBench();

  it('are bit for bit the plain loop for 0 to 35 columns', () => {
    for (let cols = 0; cols <= 35; cols++) {
      const rows = 11;
      const x = randomFloats(cols, rows * cols);
      const bias = randomFloats(cols + 100, cols);
      bench.place(A, x);
      bench.place(B, bias);
      bench.kernels.column_sum_f32(C, A, rows, cols);
      const sums = new Float32Array(cols);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < cols; column++) {
          sums[column] = (sums[column] ?? 0) + (x[row * cols + column] ?? 0);
        }
      }
      expect(bits(bench.floats(C, cols))).toEqual(bits(sums));
      bench.kernels.add_bias_f32(A, B, rows, cols);
      const shifted = x.map((value, index) => value + (bias[index % cols] ?? 0));
      expect(bits(bench.floats(A, rows * cols))).toEqual(bits(shifted));
    }
  });
});

describe('exponential and logarithm of the kernels', () => {
  const exports = loadKernels(
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  ) as unknown as Record<'exp_f64' | 'log_f64', (x: number) => number>;

  it('exp_f64 is within 1e-10 of Math.exp, relative', () => {
    for (let x = -690; x <= 690; x += 0.37) {
      expect(Math.abs(exports.exp_f64(x) / Math.exp(x) - 1), `${x}`).toBeLessThan(1e-10);
    }
    expect(exports.exp_f64(0)).toBe(1);
    expect(exports.exp_f64(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(exports.exp_f64(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(exports.exp_f64(Number.NaN)).toBeNaN();
  });

  it('log_f64 is within 1e-12 of Math.log', () => {
    for (let exponent = -20; exponent <= 40; exponent += 0.013) {
      const x = 2 ** exponent;
      expect(Math.abs(exports.log_f64(x) - Math.log(x)), `${x}`).toBeLessThan(1e-12);
    }
    expect(exports.log_f64(1)).toBe(0);
  });
});

describe('softmax_cross_entropy_f32', () => {
  const LOSS = 100_000;
  const CORRECT = 100_004;
  const bench = kernelBench();
  const launch = (rows: number, cols: number, scale: number) =>
    bench.kernels.softmax_cross_entropy_f32(C, LOSS, CORRECT, A, B, rows, cols, scale);

  it('gives loss, count of correct rows and gradient to 1e-6 of float64', () => {
    const [rows, cols, scale] = [13, 10, 1 / 13];
    const logits = randomFloats(5, rows * cols).map((value) => value * 20);
    const labels = Float32Array.from({ length: rows }, (_, row) => row % cols);
    bench.place(A, logits);
    bench.place(B, labels);
    launch(rows, cols, scale);
    let loss = 0;
    let correct = 0;
    for (let row = 0; row < rows; row++) {
      const values = [...logits.subarray(row * cols, (row + 1) * cols)];
      const label = labels[row] ?? 0;
      const sum = values.reduce((total, value) => total + Math.exp(value), 0);
      loss -= Math.log(Math.exp(values[label] ?? 0) / sum);
      if (values.indexOf(Math.max(...values)) === label) correct++;
      for (const [column, value] of values.entries()) {
        const gradient = (Math.exp(value) / sum - (column === label ? 1 : 0)) * scale;
        const found = bench.floats(C, rows * cols)[row * cols + column] ?? Number.NaN;
        expect(Math.abs(found - gradient)).toBeLessThan(1e-7);
      }
    }
    expect(Math.abs((bench.floats(LOSS, 1)[0] ?? 0) / loss - 1)).toBeLessThan(1e-6);
    expect(bench.floats(CORRECT, 1)[0]).toBe(correct);
    expect(correct).toBeGreaterThan(0);
  });

  it('takes logits of any size, and the first of equal logits as the guess', () => {
    bench.place(A, [1000, 1000, -1000, 0, 0, 0]);
    bench.place(B, [1, 0]);
    launch(2, 3, 1);
    expect(bench.floats(CORRECT, 1)[0]).toBe(1);
    expect(bench.floats(LOSS, 1)[0]).toBeCloseTo(Math.log(2) + Math.log(3), 6);
    expect([...bench.floats(C, 3)]).toEqual([0.5, -0.5, 0]);
  });

  it.each([-1, 3, 0.5, Number.NaN])(
    'shows label %d, which is no column, as a loss of NaN',
    (label) => {
      bench.place(A, [1, 2, 3]);
      bench.place(B, [label]);
      launch(1, 3, 1);
      expect(bench.floats(LOSS, 1)[0]).toBeNaN();
    },
  );
});
