/**
 * Test operands of a reduction, as the `fill_operands` kernels make them, written once more in
 * TypeScript. Every partial result of a reduction of `nranks` ranks, in any order, is exact in the
 * element type (or wraps around), so that the result is the same to the bit for every algorithm.
 *
 * They are integers made of 16 bits of the hash of `pattern.ts`, scaled to [-range, range], or to
 * [0, 2 range] if the type is unsigned. In integers, and in float64, they are repeated to fill the
 * type; of a product of integers they are odd, since too many factors of 2 would leave nothing but
 * zeros. Of a product of floats they are 1 and -1, and for at most 8 of the ranks 2 or -2.
 */
import { ELEMENTS, isInteger, type KernelElement, type KernelOperation } from './element-types.ts';
import { PATTERN_RANKS_MAX, patternHash } from './pattern.ts';

const RANGE_MAX = 32767;
const BYTE_RANGE = 127;
const DOUBLING_RANKS = 8;
const REPEAT_32 = 0x00010001;
const REPEAT_64 = 0x0001000100010001n;

/** All integers up to here are floats of the type (of float64 far fewer than could be). */
const EXACT_BELOW = { float16: 2 ** 11, bfloat16: 2 ** 8, float32: 2 ** 24, float64: 2 ** 30 };

/** Whose operands, for which reduction. All are unsigned 32-bit integers. */
export interface OperandOwner {
  readonly op: KernelOperation;
  readonly nranks: number;
  readonly rank: number;
  readonly seed: number;
}

/** Largest magnitude before it is repeated; 0 if no exact operands exist for so many ranks. */
export function operandRange(type: KernelElement, op: KernelOperation, nranks: number): number {
  if (nranks < 1 || nranks > PATTERN_RANKS_MAX) return 0;
  if (isInteger(type)) return ELEMENTS[type].bytes === 1 ? BYTE_RANGE : RANGE_MAX;
  const exactBelow = EXACT_BELOW[type];
  const isSum = op === 'sum' || op === 'avg';
  return Math.min(RANGE_MAX, isSum ? Math.floor(exactBelow / nranks) : exactBelow);
}

/** Element `index` of a rank's operands: a bigint for 64-bit integers, a number for all other types. */
export function operandElement(
  type: KernelElement,
  owner: OperandOwner,
  index: number,
): number | bigint {
  if (!isInteger(type) && owner.op === 'prod') return factor(owner, index);
  const range = operandRange(type, owner.op, owner.nranks);
  const bits = patternHash(index, owner.rank, owner.seed) >>> 16;
  const scaled = Math.floor((bits * (2 * range + 1)) / 2 ** 16);
  const shifted = type.startsWith('uint') ? scaled : scaled - range;
  const value = owner.op === 'prod' ? shifted | 1 : shifted;
  if (ELEMENTS[type].bytes === 8 && isInteger(type)) return BigInt(value) * REPEAT_64;
  return isRepeated(type) ? value * REPEAT_32 : value;
}

function isRepeated(type: KernelElement): boolean {
  return type === 'int32' || type === 'uint32' || type === 'float64';
}

/** 1 or -1; 2 or -2 for ranks that agree with the element in the lowest bits, at least in one. */
function factor({ nranks, rank, seed }: OperandOwner, index: number): number {
  const groups = Math.max(1, Math.floor((nranks - 1) / DOUBLING_RANKS));
  const mask = 2 ** (32 - Math.clz32(groups)) - 1;
  const chosen = patternHash(index, 0, seed) >>> 16;
  const magnitude = ((chosen ^ rank) & mask) === 0 ? 2 : 1;
  return patternHash(index, rank, seed) >= 2 ** 31 ? -magnitude : magnitude;
}
