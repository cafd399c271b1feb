// Operands of a reduction, chosen such that every partial result, in any order, is exact in the element type. The
// choice is documented, and written once more in TypeScript, in `../../operands.ts`.
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Hash } from './hash.ts';
import { AVG, PROD, SUM } from './operations.ts';

/** Operands are made of 16 bits of a hash. */
const RANGE_MAX: u32 = 32767;
/** So many ranks at most contribute a factor of 2 to an element of a product of floats. */
const DOUBLING_RANKS: u32 = 8;
/** Repeats 16 bits in all of a wider integer, or in the mantissa of a float64. */
const REPEAT_32: i32 = 0x00010001;
const REPEAT_64: i64 = 0x0001000100010001;

/** Operands of the element type T: an integer type, f32 or f64. */
@unmanaged
export class Operands<T> {
  /** Elements of one block of 16 bytes. */
  @inline
  elements(): u32 {
    return 16 / sizeof<T>();
  }

  /** Largest magnitude of an operand before it is repeated, for this operation over so many ranks. */
  @inline
  range(op: u32, nranks: u32): u32 {
    if (isInteger<T>()) return sizeof<T>() === 1 ? 127 : RANGE_MAX;
    return floatRange(op, nranks, sizeof<T>() === 4 ? 1 << 24 : 1 << 30);
  }

  /** The elements from `index` on. */
  @inline
  block(index: u32, op: u32, nranks: u32, rank: u32, seed: u32, range: u32): v128 {
    if (sizeof<T>() === 1) return this.bytes(index, op, rank, seed, range);
    if (isFloat<T>()) {
      const values = floatValues(indices(index, 1), op, nranks, rank, seed, range);
      if (sizeof<T>() === 4) return f32x4.convert_i32x4_s(values);
      const repeat = f64x2.splat(op === PROD ? 1 : REPEAT_32);
      return f64x2.mul(f64x2.convert_low_i32x4_s(values), repeat);
    }
    const values = integerValues(indices(index, 1), op, rank, seed, range, isSigned<T>());
    if (sizeof<T>() === 4) return i32x4.mul(values, i32x4.splat(REPEAT_32));
    return i64x2.mul(i64x2.extend_low_i32x4_s(values), i64x2.splat(REPEAT_64));
  }

  /** One bit for every element of two blocks, the first in bit 0: 1 where they differ. */
  @inline
  differences(a: v128, b: v128): i32 {
    if (sizeof<T>() === 1) return i8x16.bitmask(i8x16.ne(a, b));
    if (sizeof<T>() === 4) return i32x4.bitmask(i32x4.ne(a, b));
    return i64x2.bitmask(i64x2.ne(a, b));
  }

  /** Byte k of lane j is element 4 j + k. */
  @inline
  private bytes(index: u32, op: u32, rank: u32, seed: u32, range: u32): v128 {
    let block = i32x4.splat(0);
    for (let byte: u32 = 0; byte < 4; byte++) {
      const values = integerValues(indices(index + byte, 4), op, rank, seed, range, isSigned<T>());
      block = v128.or(block, i32x4.shl(v128.and(values, i32x4.splat(0xff)), 8 * byte));
    }
    return block;
  }
}

/** The same for 16-bit floats: L is F16 or BF16. */
@unmanaged
export class HalfOperands<L> {
  @inline
  elements(): u32 {
    return 8;
  }

  @inline
  range(op: u32, nranks: u32): u32 {
    return floatRange(op, nranks, changetype<L>(0).exactBelow());
  }

  @inline
  block(index: u32, op: u32, nranks: u32, rank: u32, seed: u32, range: u32): v128 {
    const even = floatValues(indices(index, 2), op, nranks, rank, seed, range);
    const odd = floatValues(indices(index + 1, 2), op, nranks, rank, seed, range);
    return changetype<L>(0).pack(f32x4.convert_i32x4_s(even), f32x4.convert_i32x4_s(odd));
  }

  @inline
  differences(a: v128, b: v128): i32 {
    return i16x8.bitmask(i16x8.ne(a, b));
  }
}

/** first, first + stride, and so on */
function indices(first: u32, stride: i32): v128 {
  return i32x4.add(i32x4.splat(first), i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(stride)));
}

/** Sums stay within the integers that are exact. */
function floatRange(op: u32, nranks: u32, exactBelow: u32): u32 {
  const isSum = op === SUM || op === AVG;
  return min<u32>(RANGE_MAX, isSum ? exactBelow / nranks : exactBelow);
}

/** [-range, range], or [0, 2 range] if unsigned; odd for a product, whose every bit then matters. */
function integerValues(
  index: v128,
  op: u32,
  rank: u32,
  seed: u32,
  range: u32,
  isSigned: bool,
): v128 {
  const values = scaledHash(index, rank, seed, range);
  const shifted = isSigned ? i32x4.sub(values, i32x4.splat(range)) : values;
  return op === PROD ? v128.or(shifted, i32x4.splat(1)) : shifted;
}

/** [-range, range]; for a product 1, -1, and for at most DOUBLING_RANKS of the ranks 2 or -2. */
function floatValues(index: v128, op: u32, nranks: u32, rank: u32, seed: u32, range: u32): v128 {
  if (op !== PROD) return i32x4.sub(scaledHash(index, rank, seed, range), i32x4.splat(range));
  const hash = changetype<Hash>(0);
  const sign = i32x4.shr_s(hash.of(index, hash.share(rank, seed)), 31);
  // Ranks that agree with the element in the lowest bits, of which there are at least one.
  const groups = max<u32>(1, (nranks - 1) / DOUBLING_RANKS);
  const mask = i32x4.splat((u32.MAX_VALUE >> clz<u32>(groups)) as i32);
  const chosen = i32x4.shr_u(hash.of(index, hash.share(0, seed)), 16);
  const differs = v128.and(v128.xor(chosen, i32x4.splat(rank)), mask);
  const magnitude = i32x4.sub(i32x4.splat(1), i32x4.eq(differs, i32x4.splat(0)));
  return i32x4.sub(v128.xor(magnitude, sign), sign);
}

/** The upper 16 bits of the hash, scaled to [0, 2 range]. */
function scaledHash(index: v128, rank: u32, seed: u32, range: u32): v128 {
  const hash = changetype<Hash>(0);
  const bits = i32x4.shr_u(hash.of(index, hash.share(rank, seed)), 16);
  return i32x4.shr_u(i32x4.mul(bits, i32x4.splat(2 * range + 1)), 16);
}
