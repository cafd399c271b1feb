// Tensors times a scalar, and integer tensors divided by one: what a user-created reduction does to its operands, and
// what an average does to the sum. `count` is in elements; dst may be exactly src.
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Division } from './lib/divide.ts';
import { combineWith } from './lib/elementwise.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { BF16, F16 } from './lib/half.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { F32, F64, I8, I32, I64, U8, U32, U64 } from './lib/lanes.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Prod, Scale } from './lib/operations.ts';

export function multiply_i8(dst: usize, src: usize, count: u32, scalar: i32): void {
  combineWith<Prod<I8>>(dst, src, count, i8x16.splat(scalar as i8));
}

export function multiply_u8(dst: usize, src: usize, count: u32, scalar: u32): void {
  combineWith<Prod<U8>>(dst, src, count, i8x16.splat(scalar as u8));
}

export function multiply_i32(dst: usize, src: usize, count: u32, scalar: i32): void {
  combineWith<Prod<I32>>(dst, src, (count as usize) << 2, i32x4.splat(scalar));
}

export function multiply_u32(dst: usize, src: usize, count: u32, scalar: u32): void {
  combineWith<Prod<U32>>(dst, src, (count as usize) << 2, i32x4.splat(scalar));
}

/** The scalar is scalar_high * 2^32 + scalar_low, in two's complement. */
export function multiply_i64(
  dst: usize,
  src: usize,
  count: u32,
  scalar_low: u32,
  scalar_high: u32,
): void {
  const scalar = ((scalar_high as u64) << 32) | (scalar_low as u64);
  combineWith<Prod<I64>>(dst, src, (count as usize) << 3, i64x2.splat(scalar));
}

/** The scalar is scalar_high * 2^32 + scalar_low. */
export function multiply_u64(
  dst: usize,
  src: usize,
  count: u32,
  scalar_low: u32,
  scalar_high: u32,
): void {
  const scalar = ((scalar_high as u64) << 32) | (scalar_low as u64);
  combineWith<Prod<U64>>(dst, src, (count as usize) << 3, i64x2.splat(scalar));
}

export function multiply_f16(dst: usize, src: usize, count: u32, scalar: f32): void {
  combineWith<Scale<F16>>(dst, src, (count as usize) << 1, f32x4.splat(scalar));
}

export function multiply_bf16(dst: usize, src: usize, count: u32, scalar: f32): void {
  combineWith<Scale<BF16>>(dst, src, (count as usize) << 1, f32x4.splat(scalar));
}

export function multiply_f32(dst: usize, src: usize, count: u32, scalar: f32): void {
  combineWith<Prod<F32>>(dst, src, (count as usize) << 2, f32x4.splat(scalar));
}

export function multiply_f64(dst: usize, src: usize, count: u32, scalar: f64): void {
  combineWith<Prod<F64>>(dst, src, (count as usize) << 3, f64x2.splat(scalar));
}

export function divide_i8(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<i8>>(0).divisor(divisor);
  combineWith<Division<i8>>(dst, src, count, vector);
}

export function divide_u8(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<u8>>(0).divisor(divisor);
  combineWith<Division<u8>>(dst, src, count, vector);
}

export function divide_i32(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<i32>>(0).divisor(divisor);
  combineWith<Division<i32>>(dst, src, (count as usize) << 2, vector);
}

export function divide_u32(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<u32>>(0).divisor(divisor);
  combineWith<Division<u32>>(dst, src, (count as usize) << 2, vector);
}

export function divide_i64(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<i64>>(0).divisor(divisor);
  combineWith<Division<i64>>(dst, src, (count as usize) << 3, vector);
}

export function divide_u64(dst: usize, src: usize, count: u32, divisor: u32): void {
  const vector = changetype<Division<u64>>(0).divisor(divisor);
  combineWith<Division<u64>>(dst, src, (count as usize) << 3, vector);
}
