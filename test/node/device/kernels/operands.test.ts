import { describe, expect, it } from 'vitest';
import {
  averageElements,
  ELEMENT_TYPES,
  type ElementArray,
  type ElementType,
  readElement,
  reduceElements,
  writeElement,
} from '../../../../collectives/arithmetic.ts';
import {
  ELEMENTS,
  KERNEL_OPERATIONS,
  type KernelOperation,
} from '../../../../node/device/kernels/element-types.ts';
import { operandElement, operandRange } from '../../../../node/device/kernels/operands.ts';
import { KERNELS } from '../../../../node/device/kernels/table.ts';
import { elementBench, emptyElements, TYPES } from './element-bench.ts';

const SEED = 77;
const FIRST = 2 ** 32 - 30;
const COUNT = 67;
const [DATA, COUNTER] = [65536, 131072];

const CASES = TYPES.flatMap((type) => KERNEL_OPERATIONS.map((op) => ({ type, op })));

function operands(
  type: ElementType,
  op: KernelOperation,
  nranks: number,
  rank: number,
): ElementArray {
  const elements = emptyElements(type, COUNT);
  for (let index = 0; index < COUNT; index++) {
    const value = operandElement(type, { op, nranks, rank, seed: SEED }, FIRST + index);
    writeElement(type, elements, index, value);
    if (readElement(type, elements, index) !== value) {
      throw new Error(`Expected an operand that is a value of ${type} but found ${value}`);
    }
  }
  return elements;
}

/** Folds the ranks in this order. */
function reduction(
  type: ElementType,
  op: KernelOperation,
  nranks: number,
  order: readonly number[],
): ElementArray {
  const [first = 0, ...others] = order;
  const result = operands(type, op, nranks, first);
  for (const rank of others) {
    reduceElements(type, op, result, operands(type, op, nranks, rank), result);
  }
  if (op === 'avg') averageElements(type, result, order.length, result);
  return result;
}

const ascending = (nranks: number) => Array.from({ length: nranks }, (_, rank) => rank);

describe.each(CASES)('operands of $op in $type', ({ type, op }) => {
  const bench = elementBench();
  const { suffix, bytes } = ELEMENTS[type];
  const number = KERNEL_OPERATIONS.indexOf(op);
  const check = (nranks: number, first: number, ranks: number, count = COUNT) => {
    bench.counter(COUNTER)[0] = 100;
    const scalars = [number, nranks, first, ranks, SEED, FIRST] as const;
    bench.run(`check_reduced_${suffix}`, DATA, COUNTER, ...scalars, count);
    return (bench.counter(COUNTER)[0] ?? 0) - 100;
  };

  it('are the same from the kernel as in TypeScript, for every length from 0 to 67', () => {
    for (const [nranks, rank] of [
      [1, 0],
      [2, 1],
      [8, 5],
      [33, 32],
      [256, 200],
    ] as const) {
      const wanted = operands(type, op, nranks, rank);
      for (let count = 0; count <= COUNT; count++) {
        const data = DATA + (count % (16 / bytes)) * bytes;
        bench.guard(data, count * bytes);
        const scalars = [number, nranks, rank, SEED, FIRST] as const;
        bench.run(`fill_operands_${suffix}`, data, count, ...scalars);
        expect(bench.difference(data, wanted.subarray(0, count)), `${count}`).toBeUndefined();
      }
    }
  });

  it('give the same result in any order, and the check accepts that one alone', () => {
    for (const nranks of [1, 2, 3, 8, 20, 64]) {
      const result = reduction(type, op, nranks, ascending(nranks));
      expect(reduction(type, op, nranks, ascending(nranks).reverse())).toEqual(result);
      for (let count = 0; count <= COUNT; count++) {
        bench.place(DATA, result);
        expect(check(nranks, 0, nranks, count), `${nranks} ranks, count ${count}`).toBe(0);
      }
    }
  });

  it('stay exact for as many ranks as there may be', () => {
    const nranks = type === 'bfloat16' ? 256 : 1024;
    const result = reduction(type, op, nranks, ascending(nranks).reverse());
    bench.place(DATA, result);
    expect(check(nranks, 0, nranks)).toBe(0);
  });

  it('the check finds each single wrong bit, and adds to the counter', () => {
    const result = reduction(type, op, 3, [0, 1, 2]);
    const raw = new Uint8Array(result.buffer);
    for (let index = 0; index < COUNT; index++) {
      const byte = index * bytes + (index % bytes);
      raw[byte] = (raw[byte] ?? 0) ^ (1 << (index % 8));
      bench.place(DATA, result);
      expect(check(3, 0, 3), `element ${index}`).toBe(index + 1);
    }
  });

  it('the check of one rank accepts the operands of that rank', () => {
    bench.place(DATA, operands(type, op, 8, 5));
    expect(check(8, 5, 1)).toBe(0);
    // Products of floats have two or four values, all others more.
    expect(check(8, 4, 1)).toBeGreaterThan(COUNT / 4);
  });

  it('leave something to see: a result that lacks a rank, or has one twice, is found', () => {
    for (const nranks of [2, 8]) {
      const wrong = reduction(type, op, nranks, ascending(nranks - 1));
      if (op === 'min' || op === 'max') {
        // Idempotent: only a rank that is missing can change it, and only where it was the extreme.
        bench.place(DATA, wrong);
        expect(check(nranks, 0, nranks)).toBeGreaterThan(0);
        continue;
      }
      bench.place(DATA, wrong);
      expect(check(nranks, 0, nranks)).toBeGreaterThan(COUNT / 4);
    }
  });
});

describe('operandRange()', () => {
  it.each(TYPES)('%s: sums of so many operands are exact', (type) => {
    for (const nranks of [1, 2, 3, 64, 256, 1000, 1024]) {
      const range = operandRange(type, 'sum', nranks);
      if (type === 'bfloat16' && nranks > 256) expect(range).toBe(0);
      else expect(range).toBeGreaterThan(0);
      if (type === 'bfloat16') expect(range * nranks).toBeLessThanOrEqual(256);
      if (type === 'float16') expect(range * nranks).toBeLessThanOrEqual(2048);
      if (type === 'float32') expect(range * nranks).toBeLessThanOrEqual(2 ** 24);
      expect(range).toBeLessThanOrEqual(ELEMENT_TYPES[type].bytes === 1 ? 128 : 32768);
    }
    expect(operandRange(type, 'sum', 1025)).toBe(0);
  });

  it('the table refuses an operation, or a number of ranks, without exact operands', () => {
    const fill = KERNELS.fill_operands_bf16;
    expect(fill.sizes([0, 256, 0, 0, 0], 5)).toEqual([5]);
    expect(fill.sizes([0, 257, 0, 0, 0], 5)).toBeUndefined();
    expect(fill.sizes([2, 257, 0, 0, 0], 5)).toEqual([5]);
    expect(fill.sizes([5, 8, 0, 0, 0], 5)).toBeUndefined();
    expect(fill.sizes([0, 0, 0, 0, 0], 5)).toBeUndefined();
    const check = KERNELS.check_reduced_u64;
    expect(check.sizes([0, 8, 0, 8, 0, 0], 5)).toEqual([5, 1]);
    expect(check.sizes([0, 8, 0, 9, 0, 0], 5)).toBeUndefined();
    expect(check.sizes([0, 8, 0, 0, 0, 0], 5)).toBeUndefined();
    expect(KERNELS.divide_i8.sizes([0], 5)).toBeUndefined();
  });
});
