// Test data that every element of every rank can be told apart by, and the checks that recompute it.
// The formula is documented, and written once more in TypeScript, in `../pattern.ts`.

const ELEMENT: i32 = 0x9e3779b1;
const RANK: i32 = 0x85ebca77;
const SEED: i32 = 0xc2b2ae3d;
const MIX_1: i32 = 0x7feb352d;
const MIX_2: i32 = 0x846ca68b;

/** Elements [first, first + 4) of a rank's pattern, as integers; `base` = rank and seed's share. */
function patternVector(first: i32, base: i32): v128 {
  const index = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
  let x = i32x4.add(i32x4.mul(index, i32x4.splat(ELEMENT)), i32x4.splat(base));
  x = v128.xor(x, i32x4.shr_u(x, 16));
  x = i32x4.mul(x, i32x4.splat(MIX_1));
  x = v128.xor(x, i32x4.shr_u(x, 15));
  x = i32x4.mul(x, i32x4.splat(MIX_2));
  return i32x4.sub(i32x4.shr_u(x, 22), i32x4.splat(512));
}

/** The same for one element. */
function patternElement(index: i32, base: i32): i32 {
  let x: u32 = (index * ELEMENT + base) as u32;
  x ^= x >> 16;
  x *= MIX_1 as u32;
  x ^= x >> 15;
  x *= MIX_2 as u32;
  return ((x >> 22) as i32) - 512;
}

/** data[i] = pattern(first_index + i, rank, seed) */
export function pattern_f32(data: usize, count: u32, rank: u32, seed: u32, first_index: u32): void {
  const base: i32 = (rank as i32) * RANK + (seed as i32) * SEED;
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    const value = patternVector((first_index + i) as i32, base);
    v128.store(data + ((i as usize) << 2), f32x4.convert_i32x4_s(value));
  }
  for (; i < count; i++) {
    store<f32>(data + ((i as usize) << 2), patternElement((first_index + i) as i32, base) as f32);
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
  const seedShare: i32 = (seed as i32) * SEED;
  let wrong: u32 = 0;
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    let sum = i32x4.splat(0);
    for (let rank = first_rank; rank < end_rank; rank++) {
      const base: i32 = (rank as i32) * RANK + seedShare;
      sum = i32x4.add(sum, patternVector((first_index + i) as i32, base));
    }
    const found = v128.load(data + ((i as usize) << 2));
    const differs = i32x4.ne(found, f32x4.convert_i32x4_s(sum));
    wrong += popcnt<i32>(i32x4.bitmask(differs)) as u32;
  }
  for (; i < count; i++) {
    let sum: i32 = 0;
    for (let rank = first_rank; rank < end_rank; rank++) {
      sum += patternElement((first_index + i) as i32, (rank as i32) * RANK + seedShare);
    }
    const found = load<i32>(data + ((i as usize) << 2));
    if (found !== reinterpret<i32>(sum as f32)) wrong++;
  }
  store<u32>(counter, load<u32>(counter) + wrong);
}
