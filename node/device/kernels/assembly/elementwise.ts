// Elementwise kernels of four-byte elements. Pointers are byte offsets in the device's memory; `count` is in elements.
// The written tensor may be the same as a read one: every element is read before it is written.

/** Bytes of an element and of a vector of four. */
const F32: usize = 4;
const V128: usize = 16;

/** dst[i] = a[i] + b[i] */
export function reduce_sum_f32(dst: usize, a: usize, b: usize, count: u32): void {
  const end = dst + ((count as usize) << 2);
  while (dst + 4 * V128 <= end) {
    const v0 = f32x4.add(v128.load(a), v128.load(b));
    const v1 = f32x4.add(v128.load(a, 16), v128.load(b, 16));
    const v2 = f32x4.add(v128.load(a, 32), v128.load(b, 32));
    const v3 = f32x4.add(v128.load(a, 48), v128.load(b, 48));
    v128.store(dst, v0);
    v128.store(dst, v1, 16);
    v128.store(dst, v2, 32);
    v128.store(dst, v3, 48);
    dst += 4 * V128;
    a += 4 * V128;
    b += 4 * V128;
  }
  while (dst < end) {
    store<f32>(dst, load<f32>(a) + load<f32>(b));
    dst += F32;
    a += F32;
    b += F32;
  }
}

/** dst[i] = a[i] + b[i] modulo 2^32 */
export function reduce_sum_i32(dst: usize, a: usize, b: usize, count: u32): void {
  const end = dst + ((count as usize) << 2);
  for (; dst + V128 <= end; dst += V128, a += V128, b += V128) {
    v128.store(dst, i32x4.add(v128.load(a), v128.load(b)));
  }
  for (; dst < end; dst += F32, a += F32, b += F32) {
    store<i32>(dst, load<i32>(a) + load<i32>(b));
  }
}

/** dst[i] = value */
export function fill_f32(dst: usize, count: u32, value: f32): void {
  const end = dst + ((count as usize) << 2);
  const vector = f32x4.splat(value);
  for (; dst + V128 <= end; dst += V128) v128.store(dst, vector);
  for (; dst < end; dst += F32) store<f32>(dst, value);
}

/** y[i] += alpha * x[i], the product rounded before the sum (no fused multiply-add). */
export function scale_add_f32(y: usize, x: usize, count: u32, alpha: f32): void {
  const end = y + ((count as usize) << 2);
  const factor = f32x4.splat(alpha);
  for (; y + V128 <= end; y += V128, x += V128) {
    v128.store(y, f32x4.add(v128.load(y), f32x4.mul(factor, v128.load(x))));
  }
  for (; y < end; y += F32, x += F32) store<f32>(y, load<f32>(y) + alpha * load<f32>(x));
}

/** y[i] = x[i] if x[i] > 0, else +0 (also for NaN) */
export function relu_f32(y: usize, x: usize, count: u32): void {
  const end = y + ((count as usize) << 2);
  const zero = f32x4.splat(0);
  for (; y + V128 <= end; y += V128, x += V128) {
    const value = v128.load(x);
    v128.store(y, v128.and(value, f32x4.gt(value, zero)));
  }
  for (; y < end; y += F32, x += F32) {
    const value = load<f32>(x);
    store<f32>(y, value > 0 ? value : 0);
  }
}

/** dx[i] = dy[i] if x[i] > 0, else +0 */
export function relu_backward_f32(dx: usize, dy: usize, x: usize, count: u32): void {
  const end = dx + ((count as usize) << 2);
  const zero = f32x4.splat(0);
  for (; dx + V128 <= end; dx += V128, dy += V128, x += V128) {
    v128.store(dx, v128.and(v128.load(dy), f32x4.gt(v128.load(x), zero)));
  }
  for (; dx < end; dx += F32, dy += F32, x += F32) {
    store<f32>(dx, load<f32>(x) > 0 ? load<f32>(dy) : 0);
  }
}
