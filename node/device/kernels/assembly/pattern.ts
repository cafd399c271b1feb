// Test data that every element of every rank can be told apart by, and the checks that recompute it.
// The formula is documented, and written once more in TypeScript, in `../pattern.ts`.
import { loadPart, storePart } from './lib/elementwise.ts';
// biome-ignore lint/style/useImportType: AssemblyScript has no imports of types
import { Hash } from './lib/hash.ts';

/** Elements [first, first + 4) of a rank's pattern, as integers; `share` = rank's and seed's. */
function patternVector(first: u32, share: i32): v128 {
  const indices = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  const hashes = changetype<Hash>(0).of(indices, share);
  return i32x4.sub(i32x4.shr_u(hashes, 22), i32x4.splat(512));
}

/** data[i] = pattern(first_index + i, rank, seed) */
export function pattern_f32(data: usize, count: u32, rank: u32, seed: u32, first_index: u32): void {
  const share = changetype<Hash>(0).share(rank, seed);
  for (let i: u32 = 0; i < count; i += 4) {
    const value = f32x4.convert_i32x4_s(patternVector(first_index + i, share));
    storePart(data + ((i as usize) << 2), min<u32>(count - i, 4) << 2, value);
  }
}

/** counter[0] += number of elements of data that are not bit for bit pattern(first_index + i, rank, seed) */
export function check_pattern_f32(
  data: usize,
  counter: usize,
  rank: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  check(data, counter, rank, rank + 1, seed, first_index, count);
}

/** The same for the sum of the patterns of ranks 0 .. nranks - 1. */
export function check_sum_pattern_f32(
  data: usize,
  counter: usize,
  nranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  check(data, counter, 0, nranks, seed, first_index, count);
}

/** Integer sums are exact in any order, and so are the float32 sums they are compared with. */
function check(
  data: usize,
  counter: usize,
  first_rank: u32,
  end_rank: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): void {
  const hash = changetype<Hash>(0);
  let wrong: u32 = 0;
  for (let i: u32 = 0; i < count; i += 4) {
    let sum = i32x4.splat(0);
    for (let rank = first_rank; rank < end_rank; rank++) {
      sum = i32x4.add(sum, patternVector(first_index + i, hash.share(rank, seed)));
    }
    const present = min<u32>(count - i, 4);
    const found = loadPart(data + ((i as usize) << 2), present << 2);
    const differs = i32x4.bitmask(i32x4.ne(found, f32x4.convert_i32x4_s(sum)));
    wrong += popcnt<i32>(differs & ((1 << present) - 1)) as u32;
  }
  store<u32>(counter, load<u32>(counter) + wrong);
}
