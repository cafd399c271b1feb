/**
 * The one table of kernels: what each takes, and which sizes fit together. Command submission checks a
 * job against its row; whatever passes cannot make a kernel touch a byte outside its tensors.
 *
 * A kernel is called with its tensors' memory offsets, then its scalars, in the order of the row; an
 * elementwise kernel also gets its element count (see `argumentsOf`).
 */
import { ELEMENT_KERNELS } from './element-kernels.ts';
import type { KernelRow } from './kernel-row.ts';
import { PATTERN_RANKS_MAX } from './pattern.ts';

/** Largest column count: column indices are compared as float32, which is exact to 2^24. */
const COLUMNS_MAX = 2 ** 24;

const COUNTED = { count: 'afterTensors', inPlace: true } as const;
const SHAPED = { count: 'none', inPlace: false } as const;

export const KERNELS = {
  ...ELEMENT_KERNELS,
  fill_u8: {
    ...COUNTED,
    tensors: { dst: { access: 'write', elementBytes: 1 } },
    scalars: { value: 'u32' },
    sizes: (_, count) => [count],
  },
  copy_u8: {
    count: 'afterTensors',
    inPlace: false,
    tensors: {
      dst: { access: 'write', elementBytes: 1 },
      src: { access: 'read', elementBytes: 1 },
    },
    scalars: {},
    sizes: (_, count) => [count, count],
  },
  fill_f32: {
    ...COUNTED,
    tensors: { dst: 'write' },
    scalars: { value: 'f32' },
    sizes: (_, count) => [count],
  },
  scale_add_f32: {
    ...COUNTED,
    tensors: { y: 'readwrite', x: 'read' },
    scalars: { alpha: 'f32' },
    sizes: (_, count) => [count, count],
  },
  relu_f32: {
    ...COUNTED,
    tensors: { y: 'write', x: 'read' },
    scalars: {},
    sizes: (_, count) => [count, count],
  },
  relu_backward_f32: {
    ...COUNTED,
    tensors: { dx: 'write', dy: 'read', x: 'read' },
    scalars: {},
    sizes: (_, count) => [count, count, count],
  },
  pattern_f32: {
    count: 'afterTensors',
    inPlace: false,
    tensors: { data: 'write' },
    scalars: { rank: 'u32', seed: 'u32', first_index: 'u32' },
    sizes: (_, count) => [count],
  },
  check_pattern_f32: {
    count: 'last',
    inPlace: false,
    tensors: { data: 'read', counter: 'readwrite' },
    scalars: { rank: 'u32', seed: 'u32', first_index: 'u32' },
    sizes: (_, count) => [count, 1],
  },
  check_sum_pattern_f32: {
    count: 'last',
    inPlace: false,
    tensors: { data: 'read', counter: 'readwrite' },
    scalars: { nranks: 'u32', seed: 'u32', first_index: 'u32' },
    sizes: ([nranks = 0], count) => (nranks <= PATTERN_RANKS_MAX ? [count, 1] : undefined),
  },
  matmul_f32: {
    ...SHAPED,
    tensors: { c: 'readwrite', a: 'read', b: 'read' },
    scalars: {
      m: 'u32',
      k: 'u32',
      n: 'u32',
      transposeA: 'bool',
      transposeB: 'bool',
      accumulate: 'bool',
    },
    // Rows of nothing would be counted one by one.
    sizes: ([m = 0, k = 0, n = 0]) => (m * k * n > 0 ? [m * n, m * k, k * n] : undefined),
  },
  add_bias_f32: {
    ...SHAPED,
    tensors: { x: 'readwrite', bias: 'read' },
    scalars: { rows: 'u32', cols: 'u32' },
    sizes: ([rows = 0, cols = 0]) => (rows * cols > 0 ? [rows * cols, cols] : undefined),
  },
  column_sum_f32: {
    ...SHAPED,
    tensors: { out: 'write', x: 'read' },
    scalars: { rows: 'u32', cols: 'u32' },
    sizes: ([rows = 0, cols = 0]) => [cols, rows * cols],
  },
  softmax_cross_entropy_f32: {
    count: 'none',
    inPlace: true,
    tensors: { dlogits: 'write', loss: 'write', correct: 'write', logits: 'read', labels: 'read' },
    scalars: { rows: 'u32', cols: 'u32', gradScale: 'f32' },
    sizes: ([rows = 0, cols = 0]) =>
      cols >= 1 && cols <= COLUMNS_MAX ? [rows * cols, 1, 1, rows * cols, rows] : undefined,
  },
} as const satisfies Record<string, KernelRow>;

export type KernelName = keyof typeof KERNELS;

export function isKernelName(value: unknown): value is KernelName {
  return typeof value === 'string' && Object.hasOwn(KERNELS, value);
}
