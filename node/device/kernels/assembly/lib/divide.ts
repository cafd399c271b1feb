// Truncating division of a vector of integers by one positive divisor. By way of floats, which is exact: a quotient
// that is no integer is further from one than the rounding of a float that has more bits than the dividend.

/** A divisor above every 8-bit integer: all quotients are zero from here on. */
const DIVISOR_MAX_8: u32 = 256;

/** Vectors of the integer type T. */
@unmanaged
export class Division<T> {
  /** The second operand of `of`. */
  @inline
  divisor(n: u32): v128 {
    if (sizeof<T>() === 1) return f32x4.splat(min<u32>(n, DIVISOR_MAX_8) as f32);
    if (sizeof<T>() === 4) return f64x2.splat(n as f64);
    return i64x2.splat(n as i64);
  }

  @inline
  of(a: v128, divisor: v128): v128 {
    if (sizeof<T>() === 1) return this.bytes(a, divisor);
    if (sizeof<T>() === 4) return this.words(a, divisor);
    const divideBy = i64x2.extract_lane(divisor, 0) as T;
    const low = (i64x2.extract_lane(a, 0) as T) / divideBy;
    const high = (i64x2.extract_lane(a, 1) as T) / divideBy;
    return i64x2.replace_lane(i64x2.splat(low as i64), 1, high as i64);
  }

  @inline
  private bytes(a: v128, divisor: v128): v128 {
    if (isSigned<T>()) {
      const low = i16x8.extend_low_i8x16_s(a);
      const high = i16x8.extend_high_i8x16_s(a);
      return i8x16.narrow_i16x8_s(this.shorts(low, divisor), this.shorts(high, divisor));
    }
    const low = i16x8.extend_low_i8x16_u(a);
    const high = i16x8.extend_high_i8x16_u(a);
    return i8x16.narrow_i16x8_u(this.shorts(low, divisor), this.shorts(high, divisor));
  }

  /** 16-bit integers of 8-bit values. */
  @inline
  private shorts(a: v128, divisor: v128): v128 {
    const low = f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(a)), divisor);
    const high = f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(a)), divisor);
    return i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high));
  }

  @inline
  private words(a: v128, divisor: v128): v128 {
    const upper = v128.shuffle<i64>(a, a, 1, 1);
    if (isSigned<T>()) {
      const low = f64x2.div(f64x2.convert_low_i32x4_s(a), divisor);
      const high = f64x2.div(f64x2.convert_low_i32x4_s(upper), divisor);
      const lowWords = i32x4.trunc_sat_f64x2_s_zero(low);
      return v128.shuffle<i64>(lowWords, i32x4.trunc_sat_f64x2_s_zero(high), 0, 2);
    }
    const low = f64x2.div(f64x2.convert_low_i32x4_u(a), divisor);
    const high = f64x2.div(f64x2.convert_low_i32x4_u(upper), divisor);
    const lowWords = i32x4.trunc_sat_f64x2_u_zero(low);
    return v128.shuffle<i64>(lowWords, i32x4.trunc_sat_f64x2_u_zero(high), 0, 2);
  }
}
