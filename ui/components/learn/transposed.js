// Transposed convolution of one channel, in both of its views, and how often each output is written.
// Pictures are square, flat and row by row: { size, values }.

const LARGEST = 64;  // of any side: a figure has no use for more

// The rules, as sentences; null if the settings are legal. They are those of PyTorch's ConvTranspose2d without dilation.
export function refusal(size, { kernel, stride, padding, outputPadding }) {
  const whole = { "input size": size, "kernel size": kernel, stride, padding, "output padding": outputPadding };
  for (const [name, value] of Object.entries(whole)) {
    if (!Number.isInteger(value)) return `The ${name} must be a whole number; got ${value}.`;
    const least = name.endsWith("padding") ? 0 : 1;
    if (value < least || value > LARGEST) return `The ${name} must be from ${least} to ${LARGEST}; got ${value}.`;
  }
  if (outputPadding >= stride) return `The output padding must be smaller than the stride, ${stride}; got ${outputPadding}.`;
  const output = outputSize(size, { kernel, stride, padding, outputPadding });
  if (output < 1) return `The output would have ${output} pixels a side: use less padding or a larger kernel.`;
  return null;
}

// o = (n - 1) s - 2 p + k + o_p
export function outputSize(size, { kernel, stride, padding, outputPadding }) {
  return (size - 1) * stride - 2 * padding + kernel + outputPadding;
}

function checked(input, weights, setting) {
  const fault = refusal(input.size, setting);
  if (fault) throw new RangeError(fault);
  if (input.values.length !== input.size ** 2) throw new RangeError(`An input of size ${input.size} has ${input.size ** 2} values; got ${input.values.length}.`);
  if (weights.length !== setting.kernel ** 2) throw new RangeError(`A kernel of size ${setting.kernel} has ${setting.kernel ** 2} weights; got ${weights.length}.`);
  return outputSize(input.size, setting);
}

// First view: each input value spreads the kernel, multiplied by it, and overlaps are added. writes: how often each output was added to.
export function spread(input, weights, setting) {
  const size = checked(input, weights, setting), { kernel, stride, padding } = setting;
  const values = new Float64Array(size * size), writes = new Uint16Array(size * size);
  for (let y = 0; y < input.size; y++) {
    for (let x = 0; x < input.size; x++) {
      for (let i = 0; i < kernel; i++) {
        for (let j = 0; j < kernel; j++) {
          const row = y * stride + i - padding, column = x * stride + j - padding;
          if (row < 0 || column < 0 || row >= size || column >= size) continue;
          values[row * size + column] += input.values[y * input.size + x] * weights[i * kernel + j];
          writes[row * size + column]++;
        }
      }
    }
  }
  return { size, values, writes };
}

// Second view, its first half: zeros between the input values (stride - 1) and around them (kernel - 1 - padding, and the
// output padding more at the right and the bottom). A border below zero cuts the input instead.
export function dilated(input, { kernel, stride, padding, outputPadding }) {
  const border = kernel - 1 - padding, size = (input.size - 1) * stride + 1 + 2 * border + outputPadding;
  const values = new Float64Array(size * size), filled = new Uint8Array(size * size);
  for (let y = 0; y < input.size; y++) {
    for (let x = 0; x < input.size; x++) {
      const row = border + y * stride, column = border + x * stride;
      if (row < 0 || column < 0 || row >= size || column >= size) continue;
      values[row * size + column] = input.values[y * input.size + x];
      filled[row * size + column] = 1;
    }
  }
  return { size, values, filled };
}

// Its second half: the kernel, rotated by 180 degrees, slides over that picture with stride 1.
export function slide(input, weights, setting) {
  const size = checked(input, weights, setting), { kernel } = setting, wide = dilated(input, setting);
  const values = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let sum = 0;
      for (let i = 0; i < kernel; i++) {
        for (let j = 0; j < kernel; j++) {
          sum += wide.values[(row + i) * wide.size + column + j] * weights[(kernel - 1 - i) * kernel + kernel - 1 - j];
        }
      }
      values[row * size + column] = sum;
    }
  }
  return { size, values };
}

// Whether all outputs that lie a kernel away from the edges are written equally often: no checkerboard.
export function isEven({ kernel, stride }) {
  return kernel % stride === 0;
}
