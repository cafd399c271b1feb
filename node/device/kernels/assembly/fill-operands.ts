// Fills a tensor with one rank's operands of a reduction over `nranks` ranks: elements first_index and on.
import { fillOperands } from './lib/check.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { BF16, F16 } from './lib/half.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { HalfOperands, Operands } from './lib/operands.ts';

export function fill_operands_i8(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<i8>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_u8(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<u8>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_i32(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<i32>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_u32(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<u32>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_i64(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<i64>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_u64(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<u64>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_f16(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<HalfOperands<F16>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_bf16(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<HalfOperands<BF16>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_f32(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<f32>>(data, count, op, nranks, rank, seed, first_index);
}

export function fill_operands_f64(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  fillOperands<Operands<f64>>(data, count, op, nranks, rank, seed, first_index);
}
