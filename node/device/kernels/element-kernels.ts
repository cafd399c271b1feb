/**
 * The kernels that exist for every element type: reductions, the scaling before and after them, and
 * test operands. Rows for the table, and which kernel an operation on a type is.
 */
import {
  ELEMENTS,
  type IntegerElement,
  isInteger,
  KERNEL_ELEMENTS,
  KERNEL_OPERATIONS,
  type KernelElement,
  type KernelOperation,
  type Suffix,
} from './element-types.ts';
import type { KernelRow, KernelTensor, ScalarType, TensorAccess } from './kernel-row.ts';
import { operandRange } from './operands.ts';

/** Operations that take two tensors; an average is a sum and then `averageKernel`. */
const BINARY_OPERATIONS = ['sum', 'prod', 'min', 'max'] as const;
type BinaryOperation = (typeof BINARY_OPERATIONS)[number];

type ReduceKernel = `reduce_${BinaryOperation}_${Suffix<KernelElement>}`;
type MultiplyKernel = `multiply_${Suffix<KernelElement>}`;
type DivideKernel = `divide_${Suffix<IntegerElement>}`;

/** dst = a (op) b, element by element. No scalars. */
export function reduceKernel(op: KernelOperation, type: KernelElement): ReduceKernel {
  return `reduce_${op === 'avg' ? 'sum' : op}_${ELEMENTS[type].suffix}`;
}

/** The end of an average, on the sum: dst = src / nranks. Scalars: `averageScalars`. */
export function averageKernel(type: KernelElement): MultiplyKernel | DivideKernel {
  return isInteger(type) ? `divide_${ELEMENTS[type].suffix}` : preMulKernel(type);
}

/** The divisor for integers, which are truncated; for floats the factor 1 / nranks. */
export function averageScalars(type: KernelElement, nranks: number): readonly number[] {
  return isInteger(type) ? [nranks] : [1 / nranks];
}

/** The start of a user-created reduction: dst = src * scalar. Scalars: `preMulScalars`. */
export function preMulKernel(type: KernelElement): MultiplyKernel {
  return `multiply_${ELEMENTS[type].suffix}`;
}

/**
 * A number; of 64-bit integers the lower and the upper 32 bits, since a kernel's scalars are numbers.
 * Integers wrap around. 16-bit floats are multiplied by a float32.
 */
export function preMulScalars(type: KernelElement, scalar: number | bigint): readonly number[] {
  if (!isInteger(type)) return [Number(scalar)];
  const integer = BigInt(scalar);
  const lower = Number(BigInt.asUintN(32, integer));
  if (ELEMENTS[type].bytes === 8) return [lower, Number(BigInt.asUintN(32, integer >> 32n))];
  return [isSigned(type) ? lower | 0 : lower];
}

const ELEMENTWISE = { count: 'afterTensors', inPlace: true } as const;

function reduceRow(type: KernelElement): KernelRow {
  return {
    ...ELEMENTWISE,
    tensors: { dst: tensor(type, 'write'), a: tensor(type, 'read'), b: tensor(type, 'read') },
    scalars: {},
    sizes: (_, count) => [count, count, count],
  };
}

function multiplyRow(type: KernelElement): KernelRow {
  return {
    ...ELEMENTWISE,
    tensors: { dst: tensor(type, 'write'), src: tensor(type, 'read') },
    scalars: scalarOf(type),
    sizes: (_, count) => [count, count],
  };
}

function divideRow(type: KernelElement): KernelRow {
  return {
    ...ELEMENTWISE,
    tensors: { dst: tensor(type, 'write'), src: tensor(type, 'read') },
    scalars: { divisor: 'u32' },
    sizes: ([divisor = 0], count) => (divisor > 0 ? [count, count] : undefined),
  };
}

/** Fills a tensor with what `operandElement` gives. `op` is the operation's number. */
function fillRow(type: KernelElement): KernelRow {
  return {
    count: 'afterTensors',
    inPlace: false,
    tensors: { data: tensor(type, 'write') },
    scalars: { op: 'u32', nranks: 'u32', rank: 'u32', seed: 'u32', first_index: 'u32' },
    sizes: ([op = 0, nranks = 0], count) => (hasOperands(type, op, nranks) ? [count] : undefined),
  };
}

/**
 * Adds to the counter the elements that are not bit for bit the reduction of the operands of `ranks`
 * ranks from `first_rank` on; of one rank that is a comparison with its operands.
 */
function checkRow(type: KernelElement): KernelRow {
  return {
    count: 'last',
    inPlace: false,
    tensors: { data: tensor(type, 'read'), counter: 'readwrite' },
    scalars: {
      op: 'u32',
      nranks: 'u32',
      first_rank: 'u32',
      ranks: 'u32',
      seed: 'u32',
      first_index: 'u32',
    },
    sizes: ([op = 0, nranks = 0, , ranks = 0], count) =>
      hasOperands(type, op, nranks) && ranks >= 1 && ranks <= nranks ? [count, 1] : undefined,
  };
}

function hasOperands(type: KernelElement, op: number, nranks: number): boolean {
  const operation = KERNEL_OPERATIONS[op];
  return operation !== undefined && operandRange(type, operation, nranks) > 0;
}

function tensor(type: KernelElement, access: TensorAccess): KernelTensor {
  return { access, elementBytes: ELEMENTS[type].bytes };
}

function scalarOf(type: KernelElement): Readonly<Record<string, ScalarType>> {
  if (type === 'float64') return { scalar: 'f64' };
  if (!isInteger(type)) return { scalar: 'f32' };
  if (ELEMENTS[type].bytes === 8) return { scalar_low: 'u32', scalar_high: 'u32' };
  return { scalar: isSigned(type) ? 'i32' : 'u32' };
}

function isSigned(type: IntegerElement): boolean {
  return !type.startsWith('u');
}

/** One row per type, its kernel named by prefix and suffix. */
function rows<Prefix extends string, Type extends KernelElement>(
  prefix: Prefix,
  types: readonly Type[],
  row: (type: Type) => KernelRow,
): Readonly<Record<`${Prefix}_${Suffix<Type>}`, KernelRow>> {
  const entries = types.map((type) => [`${prefix}_${ELEMENTS[type].suffix}`, row(type)]);
  return Object.fromEntries(entries);
}

export const ELEMENT_KERNELS = {
  ...rows('reduce_sum', KERNEL_ELEMENTS, reduceRow),
  ...rows('reduce_prod', KERNEL_ELEMENTS, reduceRow),
  ...rows('reduce_min', KERNEL_ELEMENTS, reduceRow),
  ...rows('reduce_max', KERNEL_ELEMENTS, reduceRow),
  ...rows('multiply', KERNEL_ELEMENTS, multiplyRow),
  ...rows('divide', KERNEL_ELEMENTS.filter(isInteger), divideRow),
  ...rows('fill_operands', KERNEL_ELEMENTS, fillRow),
  ...rows('check_reduced', KERNEL_ELEMENTS, checkRow),
};
