import { describe, expect, it } from 'vitest';
import { ELEMENT_TYPES, REDUCE_OPERATIONS } from '../../../../collectives/arithmetic.ts';
import {
  averageKernel,
  averageScalars,
  preMulKernel,
  preMulScalars,
  reduceKernel,
} from '../../../../node/device/kernels/element-kernels.ts';
import { ELEMENTS, KERNEL_OPERATIONS } from '../../../../node/device/kernels/element-types.ts';
import { argumentsOf, tensorsOf } from '../../../../node/device/kernels/kernel-row.ts';
import { KERNELS } from '../../../../node/device/kernels/table.ts';
import { TYPES } from './element-bench.ts';

describe('kernels of element types', () => {
  it('know the types and operations of collectives, with their sizes and numbers', () => {
    const sizes = (rows: Record<string, { readonly bytes: number }>) =>
      Object.entries(rows).map(([type, { bytes }]) => [type, bytes]);
    expect(sizes(ELEMENTS)).toEqual(sizes(ELEMENT_TYPES));
    expect(KERNEL_OPERATIONS).toEqual(REDUCE_OPERATIONS);
  });

  it.each(TYPES)(
    '%s: every operation is a row of the table, with tensors of its elements',
    (type) => {
      const { bytes } = ELEMENT_TYPES[type];
      const names = [
        ...REDUCE_OPERATIONS.map((op) => reduceKernel(op, type)),
        averageKernel(type),
        preMulKernel(type),
      ];
      for (const name of names) {
        expect(KERNELS, name).toHaveProperty(name);
        expect(tensorsOf(KERNELS[name]).map(({ elementBytes }) => elementBytes)).toContain(bytes);
        expect(KERNELS[name].sizes([1, 1], 5)).toEqual(tensorsOf(KERNELS[name]).map(() => 5));
      }
    },
  );

  it('an average is a sum, and then a division of integers or a product of floats', () => {
    expect(reduceKernel('avg', 'uint8')).toBe('reduce_sum_u8');
    expect(averageKernel('int64')).toBe('divide_i64');
    expect(averageScalars('int64', 12)).toEqual([12]);
    expect(averageKernel('bfloat16')).toBe('multiply_bf16');
    expect(averageScalars('bfloat16', 4)).toEqual([0.25]);
  });

  it.each(TYPES)('%s: as many scalars as the kernel takes', (type) => {
    const count = (kernel: keyof typeof KERNELS) => Object.keys(KERNELS[kernel].scalars).length;
    expect(averageScalars(type, 3)).toHaveLength(count(averageKernel(type)));
    expect(preMulScalars(type, 3)).toHaveLength(count(preMulKernel(type)));
  });

  it('arguments are offsets, then count and scalars in the order of the row', () => {
    expect(argumentsOf(KERNELS.multiply_u64, [16, 32], [7, 8], 4)).toEqual([16, 32, 4, 7, 8]);
    expect(tensorsOf(KERNELS.check_reduced_f16)).toEqual([
      { access: 'read', elementBytes: 2 },
      { access: 'readwrite', elementBytes: 4 },
    ]);
  });
});
