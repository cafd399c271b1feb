// Reductions of two tensors, for every element type: dst[i] = a[i] (+) b[i]. `count` is in elements; dst may be exactly
// a or b. What each type computes, to the bit: `../../../../collectives/arithmetic.ts`.
import { combine, combineFourfold } from './lib/elementwise.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { BF16, F16 } from './lib/half.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { F32, F64, I8, I32, I64, U8, U32, U64 } from './lib/lanes.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Max, Min, Prod, Sum } from './lib/operations.ts';

export function reduce_sum_i8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<I8>>(dst, a, b, count);
}

export function reduce_sum_u8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<U8>>(dst, a, b, count);
}

export function reduce_sum_i32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<I32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_sum_u32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<U32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_sum_i64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<I64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_sum_u64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<U64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_sum_f16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Sum<F16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_sum_bf16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Sum<BF16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_sum_f32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<F32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_sum_f64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Sum<F64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_prod_i8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<I8>>(dst, a, b, count);
}

export function reduce_prod_u8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<U8>>(dst, a, b, count);
}

export function reduce_prod_i32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<I32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_prod_u32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<U32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_prod_i64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<I64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_prod_u64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<U64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_prod_f16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Prod<F16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_prod_bf16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Prod<BF16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_prod_f32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<F32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_prod_f64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Prod<F64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_min_i8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<I8>>(dst, a, b, count);
}

export function reduce_min_u8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<U8>>(dst, a, b, count);
}

export function reduce_min_i32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<I32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_min_u32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<U32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_min_i64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<I64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_min_u64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<U64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_min_f16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Min<F16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_min_bf16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Min<BF16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_min_f32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<F32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_min_f64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Min<F64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_max_i8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<I8>>(dst, a, b, count);
}

export function reduce_max_u8(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<U8>>(dst, a, b, count);
}

export function reduce_max_i32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<I32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_max_u32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<U32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_max_i64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<I64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_max_u64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<U64>>(dst, a, b, (count as usize) << 3);
}

export function reduce_max_f16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Max<F16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_max_bf16(dst: usize, a: usize, b: usize, count: u32): void {
  combine<Max<BF16>>(dst, a, b, (count as usize) << 1);
}

export function reduce_max_f32(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<F32>>(dst, a, b, (count as usize) << 2);
}

export function reduce_max_f64(dst: usize, a: usize, b: usize, count: u32): void {
  combineFourfold<Max<F64>>(dst, a, b, (count as usize) << 3);
}
