// Arithmetic on vectors of eight 16-bit floats: computed in float32, rounded once to nearest even. The elements at
// even places and those at odd ones make a vector of four float32 each.

/** Bits of a float32. */
const SIGN: i32 = 1 << 31;
const ODD_PLACES: i32 = 0xffff0000;

/** The upper half of a float32. */
@unmanaged
export class BFloat16 {
  /** The bits of infinity; whatever is above, without its sign, is not a number. */
  @inline
  infinity(): i16 {
    return 0x7f80;
  }

  @inline
  nan(): i16 {
    return 0x7fc0;
  }

  /** All integers up to here are floats of this format. */
  @inline
  exactBelow(): u32 {
    return 256;
  }

  /** The elements at even places, as float32. */
  @inline
  even(a: v128): v128 {
    return i32x4.shl(a, 16);
  }

  @inline
  odd(a: v128): v128 {
    return v128.and(a, i32x4.splat(ODD_PLACES));
  }

  /** Rounds float32 values and puts them in their places. */
  @inline
  pack(even: v128, odd: v128): v128 {
    const upper = i32x4.shr_u(this.rounded(even), 16);
    return v128.bitselect(this.rounded(odd), upper, i32x4.splat(ODD_PLACES));
  }

  /** In the upper half of each lane. */
  @inline
  private rounded(values: v128): v128 {
    const lowest = v128.and(i32x4.shr_u(values, 16), i32x4.splat(1));
    const rounded = i32x4.add(i32x4.add(values, i32x4.splat(0x7fff)), lowest);
    return v128.bitselect(rounded, i32x4.splat(0x7fc00000), f32x4.eq(values, values));
  }
}

/** The binary16 of IEEE 754: 5 bits of exponent, 10 of mantissa. Exponents below are those of float32. */
@unmanaged
export class Float16 {
  @inline
  infinity(): i16 {
    return 0x7c00;
  }

  @inline
  nan(): i16 {
    return 0x7e00;
  }

  @inline
  exactBelow(): u32 {
    return 2048;
  }

  @inline
  even(a: v128): v128 {
    const magnitude = v128.and(i32x4.shl(a, 13), i32x4.splat(0x0fffe000));
    return this.widened(magnitude, i32x4.shl(a, 16));
  }

  @inline
  odd(a: v128): v128 {
    const magnitude = v128.and(i32x4.shr_u(a, 3), i32x4.splat(0x0fffe000));
    return this.widened(magnitude, a);
  }

  @inline
  pack(even: v128, odd: v128): v128 {
    const magnitude = v128.or(this.rounded(even), i32x4.shl(this.rounded(odd), 16));
    const signs = v128.bitselect(odd, i32x4.shr_u(even, 16), i32x4.splat(ODD_PLACES));
    // The canonical NaN is positive.
    const isNan = i16x8.gt_s(magnitude, i16x8.splat(this.infinity()));
    const sign = v128.andnot(v128.and(signs, i16x8.splat(1 << 15)), isNan);
    return v128.or(magnitude, sign);
  }

  /**
   * `magnitude` has exponent and mantissa where a float32 has them. The exponent is moved to the upper end,
   * where infinity and NaN keep theirs, and the float scaled down by 2^-112. A subnormal, m units of 2^-24,
   * is (1 + m / 1024) 2^97 when moved; it has to be m / 1024 2^98, which is twice that less 2^98. No
   * float32 on the way is subnormal: processors are slow with those.
   */
  @inline
  private widened(magnitude: v128, sign: v128): v128 {
    const moved = i32x4.add(magnitude, i32x4.splat(224 << 23));
    const excess = f32x4.sub(moved, i32x4.splat((127 + 98) << 23));
    const whole = f32x4.add(moved, f32x4.pmin(f32x4.splat(0), excess));
    const value = f32x4.mul(whole, i32x4.splat((127 - 112) << 23));
    return v128.or(value, v128.and(sign, i32x4.splat(SIGN)));
  }

  /**
   * The bits without sign. 2^(e + 13) is added to a value of exponent e, which is -14 for subnormals: the
   * last place of the sum is that of the float16, so that the addition rounds, and its mantissa counts
   * them. Above 65536 everything is infinity, but NaN has one more bit.
   */
  @inline
  private rounded(values: v128): v128 {
    const magnitude = f32x4.pmin(f32x4.splat(65536), f32x4.abs(values));
    const exponent = v128.and(magnitude, i32x4.splat(255 << 23));
    const place = i32x4.max_s(exponent, i32x4.splat((127 - 14) << 23));
    const shift = i32x4.add(place, i32x4.splat(13 << 23));
    const units = i32x4.sub(f32x4.add(magnitude, shift), shift);
    const field = i32x4.sub(i32x4.shr_u(place, 13), i32x4.splat((127 - 14) << 10));
    const isNan = v128.and(f32x4.ne(values, values), i32x4.splat(1 << 9));
    return v128.or(i32x4.add(field, units), isNan);
  }
}

/** Vectors of F: Float16 or BFloat16. */
@unmanaged
export class HalfLanes<F> {
  @inline
  sum(a: v128, b: v128): v128 {
    const even = f32x4.add(this.even(a), this.even(b));
    return this.pack(even, f32x4.add(this.odd(a), this.odd(b)));
  }

  @inline
  prod(a: v128, b: v128): v128 {
    const even = f32x4.mul(this.even(a), this.even(b));
    return this.pack(even, f32x4.mul(this.odd(a), this.odd(b)));
  }

  /** a times a vector of float32 factors that are all the same. */
  @inline
  scale(a: v128, factor: v128): v128 {
    return this.pack(f32x4.mul(this.even(a), factor), f32x4.mul(this.odd(a), factor));
  }

  @inline
  exactBelow(): u32 {
    return changetype<F>(0).exactBelow();
  }

  /** a times 1 / n, which is a float32. */
  @inline
  average(a: v128, n: u32): v128 {
    return this.scale(a, f32x4.splat(<f32>1 / (n as f32)));
  }

  /** The minimum of IEEE 754-2019, by the order of the bits as integers. */
  @inline
  min(a: v128, b: v128): v128 {
    const least = this.order(i16x8.min_s(this.order(a), this.order(b)));
    return v128.bitselect(i16x8.splat(changetype<F>(0).nan()), least, this.unordered(a, b));
  }

  @inline
  max(a: v128, b: v128): v128 {
    const greatest = this.order(i16x8.max_s(this.order(a), this.order(b)));
    return v128.bitselect(i16x8.splat(changetype<F>(0).nan()), greatest, this.unordered(a, b));
  }

  /** The vector of these float32 values, rounded. */
  @inline
  pack(even: v128, odd: v128): v128 {
    return changetype<F>(0).pack(even, odd);
  }

  @inline
  private even(a: v128): v128 {
    return changetype<F>(0).even(a);
  }

  @inline
  private odd(a: v128): v128 {
    return changetype<F>(0).odd(a);
  }

  /** Integers in the order of the floats, -0 before +0; and back. */
  @inline
  private order(a: v128): v128 {
    return v128.xor(a, i16x8.shr_u(i16x8.shr_s(a, 15), 1));
  }

  /** All ones where either is not a number. */
  @inline
  private unordered(a: v128, b: v128): v128 {
    const magnitude = i16x8.splat(0x7fff);
    const infinity = i16x8.splat(changetype<F>(0).infinity());
    const aIsNan = i16x8.gt_s(v128.and(a, magnitude), infinity);
    return v128.or(aIsNan, i16x8.gt_s(v128.and(b, magnitude), infinity));
  }
}

export type F16 = HalfLanes<Float16>;
export type BF16 = HalfLanes<BFloat16>;
