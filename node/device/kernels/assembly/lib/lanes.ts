// Arithmetic on vectors of 8-, 32- and 64-bit elements. An element type is a class of inlined methods, never made:
// `changetype<L>(0)` only tells the compiler which methods are meant.

// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Division } from './divide.ts';

/** Vectors of T: an integer type, f32 or f64. Integers wrap around. */
@unmanaged
export class Lanes<T> {
  @inline
  sum(a: v128, b: v128): v128 {
    return this.canonical(v128.add<T>(a, b));
  }

  @inline
  prod(a: v128, b: v128): v128 {
    if (isInteger<T>() && sizeof<T>() === 1) {
      // There is no product of bytes: those at odd places, and those at even ones, as 16-bit integers.
      const odd = i16x8.shl(i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_u(b, 8)), 8);
      return v128.bitselect(odd, i16x8.mul(a, b), i16x8.splat(0xff00 as i16));
    }
    return this.canonical(v128.mul<T>(a, b));
  }

  /** Of floats the minimum of IEEE 754-2019: NaN if either is, and -0 is less than +0. */
  @inline
  min(a: v128, b: v128): v128 {
    if (isInteger<T>() && sizeof<T>() === 8) return v128.bitselect(b, a, this.greater(a, b));
    return this.canonical(v128.min<T>(a, b));
  }

  /** Of floats the maximum of IEEE 754-2019. */
  @inline
  max(a: v128, b: v128): v128 {
    if (isInteger<T>() && sizeof<T>() === 8) return v128.bitselect(a, b, this.greater(a, b));
    return this.canonical(v128.max<T>(a, b));
  }

  /** a / n: integers truncated, floats by one multiplication by 1 / n. */
  @inline
  average(a: v128, n: u32): v128 {
    if (isInteger<T>()) {
      const division = changetype<Division<T>>(0);
      return division.of(a, division.divisor(n));
    }
    return this.prod(a, v128.splat<T>((1 as T) / (n as T)));
  }

  /** Whatever is not a number becomes the positive quiet NaN without payload. */
  @inline
  private canonical(a: v128): v128 {
    if (isInteger<T>()) return a;
    return v128.bitselect(a, v128.splat<T>(NaN as T), v128.eq<T>(a, a));
  }

  /** All ones where a > b, for 64-bit integers. */
  @inline
  private greater(a: v128, b: v128): v128 {
    if (isSigned<T>()) return i64x2.gt_s(a, b);
    const top = i64x2.splat(i64.MIN_VALUE);
    return i64x2.gt_s(v128.xor(a, top), v128.xor(b, top));
  }
}

export type I8 = Lanes<i8>;
export type U8 = Lanes<u8>;
export type I32 = Lanes<i32>;
export type U32 = Lanes<u32>;
export type I64 = Lanes<i64>;
export type U64 = Lanes<u64>;
export type F32 = Lanes<f32>;
export type F64 = Lanes<f64>;
