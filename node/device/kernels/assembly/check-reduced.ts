// Counts the elements of a tensor that are not, bit for bit, the reduction of the operands of `ranks` ranks from
// `first_rank` on, out of `nranks`: counter[0] += that number. Of one rank it is the rank's operands.
import { checkReduced } from './lib/check.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { BF16, F16 } from './lib/half.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { F32, F64, I8, I32, I64, U8, U32, U64 } from './lib/lanes.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { HalfOperands, Operands } from './lib/operands.ts';

export function check_reduced_i8(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<i8>, I8>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_u8(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<u8>, U8>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_i32(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<i32>, I32>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_u32(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<u32>, U32>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_i64(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<i64>, I64>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_u64(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<u64>, U64>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_f16(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<HalfOperands<F16>, F16>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_bf16(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<HalfOperands<BF16>, BF16>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_f32(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<f32>, F32>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}

export function check_reduced_f64(
  data: usize,
  counter: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const wrong = checkReduced<Operands<f64>, F64>(
    data,
    op,
    nranks,
    first_rank,
    ranks,
    seed,
    first_index,
    count,
  );
  store<u32>(counter, load<u32>(counter) + wrong);
}
