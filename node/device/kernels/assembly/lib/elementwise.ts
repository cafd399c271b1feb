// Carries an operation on vectors over whole tensors of any length. A written tensor may be exactly one of those
// read: a vector is read before it is written.

const V128: usize = 16;
const GROUP: usize = 4 * V128;

/** dst = O of a and b, `bytes` bytes each. Counts bytes: the address past the last one may not fit. */
export function combine<O>(dst: usize, a: usize, b: usize, bytes: usize): void {
  const operation = changetype<O>(0);
  for (; bytes >= V128; bytes -= V128, dst += V128, a += V128, b += V128) {
    v128.store(dst, operation.of(v128.load(a), v128.load(b)));
  }
  if (bytes > 0) storePart(dst, bytes, operation.of(loadPart(a, bytes), loadPart(b, bytes)));
}

/** The same, four vectors at a time: for operations that take few instructions. */
export function combineFourfold<O>(dst: usize, a: usize, b: usize, bytes: usize): void {
  const operation = changetype<O>(0);
  const end = dst + (bytes & ~(GROUP - 1));
  while (dst !== end) {
    const v0 = operation.of(v128.load(a), v128.load(b));
    const v1 = operation.of(v128.load(a, 16), v128.load(b, 16));
    const v2 = operation.of(v128.load(a, 32), v128.load(b, 32));
    const v3 = operation.of(v128.load(a, 48), v128.load(b, 48));
    v128.store(dst, v0);
    v128.store(dst, v1, 16);
    v128.store(dst, v2, 32);
    v128.store(dst, v3, 48);
    dst += GROUP;
    a += GROUP;
    b += GROUP;
  }
  combine<O>(dst, a, b, bytes & (GROUP - 1));
}

/** dst = O of src and the same vector throughout. */
export function combineWith<O>(dst: usize, src: usize, bytes: usize, vector: v128): void {
  const operation = changetype<O>(0);
  for (; bytes >= V128; bytes -= V128, dst += V128, src += V128) {
    v128.store(dst, operation.of(v128.load(src), vector));
  }
  if (bytes > 0) storePart(dst, bytes, operation.of(loadPart(src, bytes), vector));
}

/** A vector of the first `bytes` bytes, at most 16, and zeros. */
export function loadPart(source: usize, bytes: usize): v128 {
  if (bytes >= V128) return v128.load(source);
  let low: u64 = 0;
  let high: u64 = 0;
  for (let at = bytes; at > 8; at--) high = (high << 8) | load<u8>(source + at - 1);
  for (let at = min<usize>(bytes, 8); at > 0; at--) low = (low << 8) | load<u8>(source + at - 1);
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/** Stores the first `bytes` bytes, at most 16, of the vector. */
export function storePart(target: usize, bytes: usize, vector: v128): void {
  if (bytes >= V128) {
    v128.store(target, vector);
    return;
  }
  let word: u64 = i64x2.extract_lane(vector, 0);
  for (let at: usize = 0; at < bytes; at++) {
    if (at === 8) word = i64x2.extract_lane(vector, 1);
    store<u8>(target + at, word as u8);
    word >>= 8;
  }
}
