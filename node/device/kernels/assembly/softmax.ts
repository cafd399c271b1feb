// Softmax, cross-entropy loss and its gradient. Exponential and logarithm are polynomials in float64:
// the standard library's come with tables, and a table is a data segment, which a kernel must not have.

/** e^x. Relative error below 1e-10 for |x| <= 700 (the series' remainder after x^9 on |r| <= ln2 / 2). */
export function exp_f64(x: f64): f64 {
  if (!(x >= -700)) return x < -700 ? 0 : x; // NaN stays NaN
  if (x > 700) return Infinity;
  const n = nearest<f64>(x * Math.LOG2E);
  const r = x - n * Math.LN2;
  let p: f64 = 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * reinterpret<f64>(((n as i64) + 1023) << 52);
}

/** Natural logarithm of a normal positive x. Absolute error below 1e-12 (atanh series to s^15). */
export function log_f64(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let exponent = ((bits >> 52) as i32) - 1023;
  // Mantissa in [1/2, 1), then in [sqrt(1/2), sqrt(2)).
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3fe0000000000000);
  exponent += 1;
  if (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent -= 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let p: f64 = 1.0 / 15.0;
  p = p * square + 1.0 / 13.0;
  p = p * square + 1.0 / 11.0;
  p = p * square + 1.0 / 9.0;
  p = p * square + 1.0 / 7.0;
  p = p * square + 1.0 / 5.0;
  p = p * square + 1.0 / 3.0;
  p = p * square + 1.0;
  return (exponent as f64) * Math.LN2 + 2 * s * p;
}

/**
 * For each row: probabilities by softmax of the logits; dlogits = (probability - [column is label])
 * times gradScale. loss[0] = sum over rows of -log(probability of the label); correct[0] = number of
 * rows whose largest logit (the first of equals) is the label's. Sums run in row and column order, in
 * float64. dlogits may be logits. A label that is no column makes the loss NaN.
 */
export function softmax_cross_entropy_f32(
  dlogits: usize,
  loss: usize,
  correct: usize,
  logits: usize,
  labels: usize,
  rows: u32,
  cols: u32,
  gradScale: f32,
): void {
  let total: f64 = 0;
  let hits: u32 = 0;
  const stride = (cols as usize) << 2;
  for (let row: u32 = 0; row < rows; row++) {
    const label = load<f32>(labels + ((row as usize) << 2));
    const best = argmax(logits, cols);
    if ((best as f32) === label) hits++;
    total += softmaxRow(dlogits, logits, best, cols, label, gradScale);
    dlogits += stride;
    logits += stride;
  }
  store<f32>(loss, total as f32);
  store<f32>(correct, hits as f32);
}

function argmax(logits: usize, cols: u32): u32 {
  let best: u32 = 0;
  for (let column: u32 = 1; column < cols; column++) {
    if (load<f32>(logits + (column << 2)) > load<f32>(logits + (best << 2))) best = column;
  }
  return best;
}

/** One row; returns its loss. */
function softmaxRow(
  dlogits: usize,
  logits: usize,
  best: u32,
  cols: u32,
  label: f32,
  gradScale: f32,
): f64 {
  const largest = load<f32>(logits + (best << 2)) as f64;
  let labelLogit: f64 = NaN;
  let sum: f64 = 0;
  for (let column: u32 = 0; column < cols; column++) {
    const shifted = (load<f32>(logits + (column << 2)) as f64) - largest;
    if ((column as f32) === label) labelLogit = shifted;
    const power = exp_f64(shifted);
    sum += power;
    store<f32>(dlogits + (column << 2), power as f32);
  }
  for (let column: u32 = 0; column < cols; column++) {
    const at = dlogits + (column << 2);
    const probability = (load<f32>(at) as f64) / sum;
    const target: f64 = (column as f32) === label ? 1 : 0;
    store<f32>(at, ((probability - target) * (gradScale as f64)) as f32);
  }
  return log_f64(sum) - labelLogit;
}
