/**
 * What every element type and reduction computes, to the bit, one element after the other: the plain
 * reference that the device's kernels are held against, and the arithmetic of `reference.ts`.
 *
 * Integers wrap around. Floats round to nearest even, once per operation; `float16` and `bfloat16` are
 * computed in float32 and then rounded once. Minimum and maximum are those of IEEE 754-2019 (NaN if
 * either operand is; -0 is less than +0). A NaN result is the positive quiet one with payload zero.
 */
import { assert } from '../common/assert.ts';
import { BFLOAT16, decodeFloat, encodeFloat, FLOAT16, type FloatFormat } from './half-precision.ts';

/** Every element type: its size, and its number in `hcclDataType_t`. */
export const ELEMENT_TYPES = {
  int8: { bytes: 1, hcclDataType: 0 },
  uint8: { bytes: 1, hcclDataType: 1 },
  int32: { bytes: 4, hcclDataType: 2 },
  uint32: { bytes: 4, hcclDataType: 3 },
  int64: { bytes: 8, hcclDataType: 4 },
  uint64: { bytes: 8, hcclDataType: 5 },
  float16: { bytes: 2, hcclDataType: 6 },
  float32: { bytes: 4, hcclDataType: 7 },
  float64: { bytes: 8, hcclDataType: 8 },
  bfloat16: { bytes: 2, hcclDataType: 9 },
} as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

/** In the order of `hcclRedOp_t`. An average is a sum, and at its end one `averageElements`. */
export const REDUCE_OPERATIONS = ['sum', 'prod', 'min', 'max', 'avg'] as const;

export type ReduceOperation = (typeof REDUCE_OPERATIONS)[number];

/** Elements of a type. Those of `float16` and `bfloat16` are their bits. */
export type ElementArray =
  | Int8Array
  | Uint8Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** The value of an element: a bigint for 64-bit integers, a number for all other types. */
export type ElementValue = number | bigint;

type View = (buffer: ArrayBufferLike, byteOffset: number, count: number) => ElementArray;

const VIEWS: Readonly<Record<ElementType, View>> = {
  int8: (buffer, byteOffset, count) => new Int8Array(buffer, byteOffset, count),
  uint8: (buffer, byteOffset, count) => new Uint8Array(buffer, byteOffset, count),
  int32: (buffer, byteOffset, count) => new Int32Array(buffer, byteOffset, count),
  uint32: (buffer, byteOffset, count) => new Uint32Array(buffer, byteOffset, count),
  int64: (buffer, byteOffset, count) => new BigInt64Array(buffer, byteOffset, count),
  uint64: (buffer, byteOffset, count) => new BigUint64Array(buffer, byteOffset, count),
  float16: (buffer, byteOffset, count) => new Uint16Array(buffer, byteOffset, count),
  float32: (buffer, byteOffset, count) => new Float32Array(buffer, byteOffset, count),
  float64: (buffer, byteOffset, count) => new Float64Array(buffer, byteOffset, count),
  bfloat16: (buffer, byteOffset, count) => new Uint16Array(buffer, byteOffset, count),
};

/** `count` elements from byte `byteOffset` on, a multiple of their size. Shared, not copied. */
export function elementArray(
  type: ElementType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  count: number,
): ElementArray {
  return VIEWS[type](buffer, byteOffset, count);
}

/** How one type computes. What an operation returns is rounded, or wraps around, when it is written. */
interface Arithmetic {
  read(elements: ElementArray, index: number): ElementValue;
  write(elements: ElementArray, index: number, value: ElementValue): void;
  sum(a: ElementValue, b: ElementValue): ElementValue;
  prod(a: ElementValue, b: ElementValue): ElementValue;
  min(a: ElementValue, b: ElementValue): ElementValue;
  max(a: ElementValue, b: ElementValue): ElementValue;
  /** A factor, as precise as the type is computed in. */
  factor(value: ElementValue): ElementValue;
  /** A value divided by a number of ranks. */
  average(sum: ElementValue, nranks: number): ElementValue;
}

/** Typed arrays of integers wrap around what is stored. `Math.imul` keeps the lower 32 bits exact. */
const INTEGER = {
  read: (elements: Int32Array, index: number) => elements[index] as number,
  write: (elements: Int32Array, index: number, value: number) => {
    elements[index] = value;
  },
  sum: (a: number, b: number) => a + b,
  prod: Math.imul,
  min: Math.min,
  max: Math.max,
  factor: (value: number) => value,
  average: (sum: number, nranks: number) => Math.trunc(sum / nranks),
} satisfies Arithmetic;

const BIG_INTEGER = {
  read: (elements: BigInt64Array, index: number) => elements[index] as bigint,
  write: (elements: BigInt64Array, index: number, value: bigint) => {
    elements[index] = value;
  },
  sum: (a: bigint, b: bigint) => a + b,
  prod: (a: bigint, b: bigint) => a * b,
  min: (a: bigint, b: bigint) => (a < b ? a : b),
  max: (a: bigint, b: bigint) => (a > b ? a : b),
  factor: (value: bigint) => value,
  average: (sum: bigint, nranks: number) => sum / BigInt(nranks),
} satisfies Arithmetic;

/** `Math.min` and `Math.max` are IEEE 754-2019's minimum and maximum. */
const FLOAT64 = {
  read: (elements: Float64Array, index: number) => elements[index] as number,
  write: (elements: Float64Array, index: number, value: number) => {
    if (Number.isNaN(value)) bitsOf64(elements)[index] = 0x7ff8000000000000n;
    else elements[index] = value;
  },
  sum: (a: number, b: number) => a + b,
  prod: (a: number, b: number) => a * b,
  min: Math.min,
  max: Math.max,
  factor: (value: number) => value,
  average: (sum: number, nranks: number) => sum * (1 / nranks),
} satisfies Arithmetic;

/**
 * Sums, products and quotients of float32 values that are rounded to float64 and then to float32 are
 * those rounded once: float64 has more than twice the bits.
 */
const FLOAT32 = {
  ...FLOAT64,
  read: (elements: Float32Array, index: number) => elements[index] as number,
  write: (elements: Float32Array, index: number, value: number) => {
    if (Number.isNaN(value)) bitsOf32(elements)[index] = 0x7fc00000;
    else elements[index] = value;
  },
  factor: Math.fround,
  average: (sum: number, nranks: number) => sum * Math.fround(1 / nranks),
} satisfies Arithmetic;

/** Computed in float32, then rounded once more: the second rounding must not see float64's bits. */
function halfPrecision(format: FloatFormat): Arithmetic {
  return {
    ...FLOAT32,
    read: (elements: Uint16Array, index: number) => decodeFloat(format, elements[index] as number),
    write: (elements: Uint16Array, index: number, value: number) => {
      elements[index] = encodeFloat(format, Math.fround(value));
    },
  } satisfies Arithmetic;
}

const ARITHMETIC: Readonly<Record<ElementType, Arithmetic>> = {
  int8: INTEGER,
  uint8: INTEGER,
  int32: INTEGER,
  uint32: INTEGER,
  int64: BIG_INTEGER,
  uint64: BIG_INTEGER,
  float16: halfPrecision(FLOAT16),
  float32: FLOAT32,
  float64: FLOAT64,
  bfloat16: halfPrecision(BFLOAT16),
};

/** Element `index`. */
export function readElement(
  type: ElementType,
  elements: ElementArray,
  index: number,
): ElementValue {
  return ARITHMETIC[type].read(elements, index);
}

/** Integers wrap around, floats are rounded; those of 16 bits by way of float32. */
export function writeElement(
  type: ElementType,
  elements: ElementArray,
  index: number,
  value: ElementValue,
): void {
  ARITHMETIC[type].write(elements, index, value);
}

/** out[i] = a[i] (op) b[i]; `out` may be `a` or `b`. `avg` adds up, `averageElements` ends it. */
export function reduceElements(
  type: ElementType,
  op: ReduceOperation,
  a: ElementArray,
  b: ElementArray,
  out: ElementArray,
): void {
  const count = out.length;
  assert(
    a.length === count && b.length === count,
    `Expected operands of ${count} elements but found ${a.length} and ${b.length}`,
  );
  const arithmetic = ARITHMETIC[type];
  const operation = op === 'avg' ? 'sum' : op;
  for (let index = 0; index < count; index++) {
    const [left, right] = [arithmetic.read(a, index), arithmetic.read(b, index)];
    arithmetic.write(out, index, arithmetic[operation](left, right));
  }
}

/**
 * The end of an average: integers are divided, toward zero; floats multiplied by 1 / nranks, which is
 * rounded to the precision that the type is computed in. `out` may be `sums`.
 */
export function averageElements(
  type: ElementType,
  sums: ElementArray,
  nranks: number,
  out: ElementArray,
): void {
  scale(type, sums, out, (sum) => ARITHMETIC[type].average(sum, nranks));
}

/**
 * The start of a user-created `preMulSum`: every element times a scalar of the type (a float32 for
 * 16-bit floats). Integers wrap around. `out` may be `elements`.
 */
export function multiplyElements(
  type: ElementType,
  elements: ElementArray,
  scalar: ElementValue,
  out: ElementArray,
): void {
  const factor = ARITHMETIC[type].factor(scalar);
  scale(type, elements, out, (element) => ARITHMETIC[type].prod(element, factor));
}

function scale(
  type: ElementType,
  elements: ElementArray,
  out: ElementArray,
  scaled: (element: ElementValue) => ElementValue,
): void {
  assert(
    elements.length === out.length,
    `Expected ${out.length} elements but found ${elements.length}`,
  );
  const { read, write } = ARITHMETIC[type];
  for (let index = 0; index < out.length; index++) {
    write(out, index, scaled(read(elements, index)));
  }
}

function bitsOf32({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

function bitsOf64({ buffer, byteOffset, length }: Float64Array): BigUint64Array {
  return new BigUint64Array(buffer, byteOffset, length);
}
