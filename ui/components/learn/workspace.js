// Arrays of numbers, and products of those that are matrices: in WebAssembly, or in JavaScript if a browser refuses that.
import { product } from "./matrix.js";
import { SIDES, kernels } from "./simd.js";

const BYTES = 8;  // of a number
const PAGE = 65536;  // bytes

export class Workspace {
  // length: of all arrays together.
  constructor(length) {
    this.used = 0;
    try {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(BYTES * length / PAGE) });
      this.kernels = kernels(memory);
      this.buffer = memory.buffer;
    } catch {  // no WebAssembly, or none with vectors, or a policy forbids it, or no memory is left: JavaScript does the same
      this.kernels = null;
      this.buffer = new ArrayBuffer(BYTES * length);
    }
  }

  // Zeros. Throws a RangeError if they do not fit.
  array(length) {
    const made = new Float64Array(this.buffer, this.used, length);
    this.used += BYTES * length;
    return made;
  }

  // out[m, n] = sum over k of a[m * am + k * ak] * b[k * bk + n], of three arrays of this workspace.
  product(out, a, am, ak, b, bk, rows, columns, depth) {
    if (!this.kernels) {
      product(out, a, am, ak, b, 1, bk, rows, columns, depth);
      return;
    }
    for (let i = 0, row = 0; row < rows; i++) {
      const blocks = Math.floor((rows - row) / SIDES[i]);
      for (let j = 0, column = 0; blocks && column < columns; j++) {
        const run = this.kernels[i][j];
        for (; column + SIDES[j] <= columns; column += SIDES[j]) {
          run(out.byteOffset + BYTES * (row * columns + column), BYTES * columns, a.byteOffset + BYTES * row * am, BYTES * am, BYTES * ak,
            b.byteOffset + BYTES * column, BYTES * bk, blocks, depth);
        }
      }
      row += SIDES[i] * blocks;
    }
  }
}
