// Elementwise kernels of four-byte elements. Pointers are byte offsets in the device's memory; `count` is in elements.
// The written tensor may be the same as a read one: every element is read before it is written. Bytes are counted down,
// since the address past the end of the largest memory does not fit an address.

/** Bytes of an element and of a vector of four. */
const F32: usize = 4;
const V128: usize = 16;

/** dst[i] = value */
export function fill_f32(dst: usize, count: u32, value: f32): void {
  let bytes = (count as usize) << 2;
  const vector = f32x4.splat(value);
  for (; bytes >= V128; bytes -= V128, dst += V128) v128.store(dst, vector);
  for (; bytes > 0; bytes -= F32, dst += F32) store<f32>(dst, value);
}

/** Every byte = value, of which the lowest 8 bits count. */
export function fill_u8(dst: usize, count: u32, value: u32): void {
  memory.fill(dst, value as u8, count);
}

/** dst[i] = src[i], as fast as memcpy(3) of the machine. */
export function copy_u8(dst: usize, src: usize, count: u32): void {
  memory.copy(dst, src, count);
}

/** y[i] += alpha * x[i], the product rounded before the sum (no fused multiply-add). */
export function scale_add_f32(y: usize, x: usize, count: u32, alpha: f32): void {
  let bytes = (count as usize) << 2;
  const factor = f32x4.splat(alpha);
  for (; bytes >= V128; bytes -= V128, y += V128, x += V128) {
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(factor, v128.load(x))));
  }
  for (; bytes > 0; bytes -= F32, y += F32, x += F32)
    store<f32>(y, load<f32>(y) + alpha * load<f32>(x));
}

/** y[i] = x[i] if x[i] > 0, else +0 (also for NaN) */
export function relu_f32(y: usize, x: usize, count: u32): void {
  let bytes = (count as usize) << 2;
  const zero = f32x4.splat(0);
  for (; bytes >= V128; bytes -= V128, y += V128, x += V128) {
    const value = v128.load(x);
    v128.store(y, v128.and(value, f32x4.gt(value, zero)));
  }
  for (; bytes > 0; bytes -= F32, y += F32, x += F32) {
    const value = load<f32>(x);
    store<f32>(y, value > 0 ? value : 0);
  }
}

/** dx[i] = dy[i] if x[i] > 0, else +0 */
export function relu_backward_f32(dx: usize, dy: usize, x: usize, count: u32): void {
  let bytes = (count as usize) << 2;
  const zero = f32x4.splat(0);
  for (; bytes >= V128; bytes -= V128, dx += V128, dy += V128, x += V128) {
    v128.store(dx, v128.and(v128.load(dy), f32x4.gt(v128.load(x), zero)));
  }
  for (; bytes > 0; bytes -= F32, dx += F32, dy += F32, x += F32) {
    store<f32>(dx, load<f32>(x) > 0 ? load<f32>(dy) : 0);
  }
}
