// Row-major float32 matrix product. Every element of c is one running sum in ascending order of the
// inner index, whatever the tile it falls in, so the result does not depend on the tiling.

/**
 * c (m x n) = op(a) (m x k) times op(b) (k x n), or c += with `accumulate` (the old element is the
 * sum's first term). `transposeA`: a is stored k x m; `transposeB`: b is stored n x k.
 */
export function matmul_f32(
  c: usize,
  a: usize,
  b: usize,
  m: u32,
  k: u32,
  n: u32,
  transposeA: u32,
  transposeB: u32,
  accumulate: u32,
): void {
  // Byte strides of a from row to row of op(a), and along its row.
  const aRow: usize = (transposeA ? 1 : k) << 2;
  const aColumn: usize = (transposeA ? m : 1) << 2;
  const bRow: usize = (transposeB ? 1 : n) << 2;
  const bColumn: usize = (transposeB ? k : 1) << 2;
  for (let i: u32 = 0; i < m; i++) {
    const aFirst = a + i * aRow;
    const cFirst = c + ((i * n) << 2);
    let j: u32 = 0;
    if (!transposeB) {
      for (; j + 16 <= n; j += 16) {
        tile16(cFirst + (j << 2), aFirst, aColumn, b + (j << 2), bRow, k, accumulate);
      }
    }
    for (; j + 4 <= n; j += 4) {
      tile4(cFirst + (j << 2), aFirst, aColumn, b + j * bColumn, bRow, bColumn, k, accumulate);
    }
    for (; j < n; j++) {
      tile1(cFirst + (j << 2), aFirst, aColumn, b + j * bColumn, bRow, k, accumulate);
    }
  }
}

/** One element of c. */
function tile1(
  c: usize,
  left: usize,
  aColumn: usize,
  right: usize,
  bRow: usize,
  k: u32,
  accumulate: u32,
): void {
  let sum: f32 = accumulate ? load<f32>(c) : 0;
  for (let p: u32 = 0; p < k; p++) {
    sum += load<f32>(left) * load<f32>(right);
    left += aColumn;
    right += bRow;
  }
  store<f32>(c, sum);
}

/** Sixteen neighbouring elements of one row of c; b's row is contiguous. */
function tile16(
  c: usize,
  left: usize,
  aColumn: usize,
  right: usize,
  bRow: usize,
  k: u32,
  accumulate: u32,
): void {
  let c0 = f32x4.splat(0);
  let c1 = c0;
  let c2 = c0;
  let c3 = c0;
  if (accumulate) {
    c0 = v128.load(c);
    c1 = v128.load(c, 16);
    c2 = v128.load(c, 32);
    c3 = v128.load(c, 48);
  }
  for (let p: u32 = 0; p < k; p++) {
    const factor = f32x4.splat(load<f32>(left));
    c0 = f32x4.add(c0, f32x4.mul(factor, v128.load(right)));
    c1 = f32x4.add(c1, f32x4.mul(factor, v128.load(right, 16)));
    c2 = f32x4.add(c2, f32x4.mul(factor, v128.load(right, 32)));
    c3 = f32x4.add(c3, f32x4.mul(factor, v128.load(right, 48)));
    left += aColumn;
    right += bRow;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
}

/** Four neighbouring elements of one row of c; b's row may be strided. */
function tile4(
  c: usize,
  left: usize,
  aColumn: usize,
  right: usize,
  bRow: usize,
  bColumn: usize,
  k: u32,
  accumulate: u32,
): void {
  let sum = accumulate ? v128.load(c) : f32x4.splat(0);
  for (let p: u32 = 0; p < k; p++) {
    let row = f32x4.splat(load<f32>(right));
    row = f32x4.replace_lane(row, 1, load<f32>(right + bColumn));
    row = f32x4.replace_lane(row, 2, load<f32>(right + 2 * bColumn));
    row = f32x4.replace_lane(row, 3, load<f32>(right + 3 * bColumn));
    sum = f32x4.add(sum, f32x4.mul(f32x4.splat(load<f32>(left)), row));
    left += aColumn;
    right += bRow;
  }
  v128.store(c, sum);
}

/** x[r][c] += bias[c], in place */
export function add_bias_f32(x: usize, bias: usize, rows: u32, cols: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    let column: u32 = 0;
    for (; column + 4 <= cols; column += 4) {
      const at = x + (column << 2);
      v128.store(at, f32x4.add(v128.load(at), v128.load(bias + (column << 2))));
    }
    for (; column < cols; column++) {
      const at = x + (column << 2);
      store<f32>(at, load<f32>(at) + load<f32>(bias + (column << 2)));
    }
    x += (cols as usize) << 2;
  }
}

/** out[c] = x[0][c] + x[1][c] + ..., in this order, starting from +0 */
export function column_sum_f32(out: usize, x: usize, rows: u32, cols: u32): void {
  const stride = (cols as usize) << 2;
  let column: u32 = 0;
  for (; column + 4 <= cols; column += 4) {
    let sum = f32x4.splat(0);
    let at = x + (column << 2);
    for (let row: u32 = 0; row < rows; row++, at += stride) sum = f32x4.add(sum, v128.load(at));
    v128.store(out + (column << 2), sum);
  }
  for (; column < cols; column++) {
    let sum: f32 = 0;
    let at = x + (column << 2);
    for (let row: u32 = 0; row < rows; row++, at += stride) sum += load<f32>(at);
    store<f32>(out + (column << 2), sum);
  }
}
