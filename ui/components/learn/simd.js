// Products of matrices in WebAssembly, which multiplies two 64-bit numbers with one instruction. The module is assembled here, a
// few hundred bytes per kernel, so no build step is needed. Each sum adds its terms in the order of matrix.js, so both give the same bits.

// Opcodes of the WebAssembly specification. 0xfd starts those for vectors; an access ends with its offset.
const I32 = 0x7f, ALIGN = 3;  // addresses are multiples of 2 ** 3 bytes
const VECTOR = {  // of two numbers
  type: 0x7b, lanes: 2, zero: [0xfd, 0x0c, ...new Array(16).fill(0)], add: [0xfd, 0xf0, 1], multiply: [0xfd, 0xf2, 1],
  load: [0xfd, 0x00, ALIGN], loadTwice: [0xfd, 0x0a, ALIGN], store: [0xfd, 0x0b, ALIGN],
};
const NUMBER = {
  type: 0x7c, lanes: 1, zero: [0x44, ...new Array(8).fill(0)], add: [0xa0], multiply: [0xa2],
  load: [0x2b, ALIGN], loadTwice: [0x2b, ALIGN], store: [0x39, ALIGN],
};
const get = (local) => [0x20, local], set = (local) => [0x21, local], i32 = (value) => [0x41, value];
const ADD = 0x6a, MULTIPLY = 0x6c;
// Repeats the code until the local, which counts down, is 0.
const repeat = (local, code) => [0x03, 0x40, ...code, ...get(local), ...i32(1), 0x6b, 0x22, local, 0x0d, 0, 0x0b];
const advance = (local, by) => [...get(local), ...by, ADD, ...set(local)];

// Encodings of the binary format.
const leb = (value) => value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
const vector = (entries) => [...leb(entries.length), ...entries.flat()];
const sized = (bytes) => [...leb(bytes.length), ...bytes];
const text = (name) => sized(Array.from(name, (letter) => letter.charCodeAt(0)));
const section = (id, entries) => [id, ...sized(vector(entries))];

// What a kernel takes: addresses and distances in bytes, and counts.
const PARAMETERS = ["out", "outRow", "a", "aRow", "aTerm", "b", "bTerm", "blocks", "depth"];
export const SIDES = [4, 2, 1];  // of the blocks that a product is cut into
const BLOCKS = SIDES.flatMap((rows) => SIDES.map((columns) => [rows, columns]));

// The body of a function: `columns` columns of a product, in `blocks` blocks of `rows` rows, whose sums stay in registers.
function kernel(rows, columns) {
  const unit = columns > 1 ? VECTOR : NUMBER, parts = Array.from({ length: columns / unit.lanes }, (_, i) => 8 * unit.lanes * i);
  const [out, outRow, a, aRow, aTerm, b, bTerm, blocks, depth] = PARAMETERS.keys();
  let next = PARAMETERS.length;
  const local = () => next++;
  const left = Array.from({ length: rows }, local), right = local(), terms = local(), integers = next - PARAMETERS.length;
  const sums = left.map(() => parts.map(local)), x = local(), w = parts.map(local), numbers = next - PARAMETERS.length - integers;
  const code = repeat(blocks, [
    ...left.flatMap((pointer, r) => [...get(r ? left[r - 1] : a), ...(r ? [...get(aRow), ADD] : []), ...set(pointer)]),
    ...get(b), ...set(right), ...get(depth), ...set(terms),
    ...sums.flat().flatMap((sum) => [...unit.zero, ...set(sum)]),
    ...repeat(terms, [
      ...parts.flatMap((offset, n) => [...get(right), ...unit.load, offset, ...set(w[n])]),
      ...advance(right, get(bTerm)),
      ...left.flatMap((pointer, r) => [
        ...get(pointer), ...unit.loadTwice, 0, ...set(x), ...advance(pointer, get(aTerm)),
        ...sums[r].flatMap((sum, n) => [...get(sum), ...get(x), ...get(w[n]), ...unit.multiply, ...unit.add, ...set(sum)]),
      ]),
    ]),
    ...sums.flatMap((row) => [
      ...row.flatMap((sum, n) => [...get(out), ...get(sum), ...unit.store, parts[n]]),
      ...advance(out, get(outRow)),
    ]),
    ...advance(a, [...get(aRow), ...i32(rows), MULTIPLY]),
  ]);
  return sized([...vector([[...leb(integers), I32], [...leb(numbers), unit.type]]), ...code, 0x0b]);
}

// A module that works in the memory "m" of the import "e", and exports a kernel for each block, such as "4x2".
function binary() {
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,  // "\0asm", version 1
    ...section(1, [[0x60, ...vector(PARAMETERS.map(() => I32)), 0]]),  // types
    ...section(2, [[...text("e"), ...text("m"), 2, 0, 1]]),  // imports: a memory of at least one page
    ...section(3, BLOCKS.map(() => 0)),  // each function's type
    ...section(7, BLOCKS.map(([rows, columns], i) => [...text(`${rows}x${columns}`), 0, i])),  // exports
    ...section(10, BLOCKS.map(([rows, columns]) => kernel(rows, columns))),  // code
  ]);
}

let compiled;

// The kernels of a memory, as [row][column]: places in SIDES of a block's height and width. Throws where WebAssembly or its vectors are
// missing, or forbidden.
export function kernels(memory) {
  compiled ??= new WebAssembly.Module(binary());
  const { exports } = new WebAssembly.Instance(compiled, { e: { m: memory } });
  return SIDES.map((rows) => SIDES.map((columns) => exports[`${rows}x${columns}`]));
}
