// Matrix products of flat Float64Arrays. Networks of some thirty units are too small for anything cleverer.

// out[m, n] = sum over k of a[m * am + k * ak] * b[n * bn + k * bk], added to what is there if `add`.
// The strides make it serve for A B, A B^T and A^T B. Blocks of 2 x 4 sums stay in registers.
export function product(out, a, am, ak, b, bn, bk, rows, columns, depth, add = false) {
  const evenRows = rows - rows % 2, fullColumns = columns - columns % 4;
  for (let m = 0; m < evenRows; m += 2) {
    const at = m * columns;
    for (let n = 0; n < fullColumns; n += 4) {
      let p = m * am, q = p + am;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      if (bn === 1) {  // four numbers next to each other: one index instead of four
        for (let k = 0, r = n; k < depth; k++) {
          const x = a[p], y = a[q], w0 = b[r], w1 = b[r + 1], w2 = b[r + 2], w3 = b[r + 3];
          s00 += x * w0; s01 += x * w1; s02 += x * w2; s03 += x * w3;
          s10 += y * w0; s11 += y * w1; s12 += y * w2; s13 += y * w3;
          p += ak; q += ak; r += bk;
        }
      } else {
        let b0 = n * bn, b1 = b0 + bn, b2 = b1 + bn, b3 = b2 + bn;
        for (let k = 0; k < depth; k++) {
          const x = a[p], y = a[q], w0 = b[b0], w1 = b[b1], w2 = b[b2], w3 = b[b3];
          s00 += x * w0; s01 += x * w1; s02 += x * w2; s03 += x * w3;
          s10 += y * w0; s11 += y * w1; s12 += y * w2; s13 += y * w3;
          p += ak; q += ak; b0 += bk; b1 += bk; b2 += bk; b3 += bk;
        }
      }
      const i = at + n, j = i + columns;
      if (add) {
        out[i] += s00; out[i + 1] += s01; out[i + 2] += s02; out[i + 3] += s03;
        out[j] += s10; out[j + 1] += s11; out[j + 2] += s12; out[j + 3] += s13;
      } else {
        out[i] = s00; out[i + 1] = s01; out[i + 2] = s02; out[i + 3] = s03;
        out[j] = s10; out[j + 1] = s11; out[j + 2] = s12; out[j + 3] = s13;
      }
    }
  }
  // What the blocks leave: the last columns of the even rows, and the last row.
  for (let m = 0; m < rows; m++) {
    for (let n = m < evenRows ? fullColumns : 0; n < columns; n++) {
      let p = m * am, q = n * bn, sum = 0;
      for (let k = 0; k < depth; k++) { sum += a[p] * b[q]; p += ak; q += bk; }
      const i = m * columns + n;
      out[i] = add ? out[i] + sum : sum;
    }
  }
}
