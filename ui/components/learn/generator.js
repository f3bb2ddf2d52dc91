// A small convolutional generator with batch normalization, run in the browser; and the safetensors file that it comes in.
import { product } from "./matrix.js";

const EPSILON = 1e-5;  // of batch normalization

// A 16-bit float as a number.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const READERS = { F32: (view, at) => view.getFloat32(at, true), F16: (view, at) => half(view.getUint16(at, true)) };
const BYTES = { F32: 4, F16: 2 };

// A safetensors file: { tensors: name -> { shape, values }, metadata }. Tensors that are not floats are left out.
export function parse(buffer) {
  const view = new DataView(buffer), length = Number(view.getBigUint64(0, true)), start = 8 + length;
  if (start > buffer.byteLength) throw new RangeError("the file is cut short");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))), tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] = [] }] of Object.entries(header)) {
    const read = READERS[dtype];
    if (!read) continue;
    const count = (to - from) / BYTES[dtype], values = new Float32Array(count);
    if (start + to > buffer.byteLength || count !== shape.reduce((a, b) => a * b, 1)) throw new RangeError(`the tensor ${name} is cut short`);
    for (let i = 0; i < count; i++) values[i] = read(view, start + from + i * BYTES[dtype]);
    tensors[name] = { shape, values };
  }
  return { tensors, metadata: header.__metadata__ ?? {} };
}

// Transposed convolution; maps are (images, size, size, channels), flat. Each place gives a block of kernel x kernel; one matrix product gives all blocks.
class Enlarge {
  constructor({ shape: [inputs, outputs, kernel], values }, stride, padding) {
    Object.assign(this, { inputs, outputs, kernel, stride, padding, weights: new Float32Array(values.length) });
    const area = kernel * kernel;  // (inputs, outputs, area) -> (inputs, area, outputs): a block's channels lie next to each other
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) {
        for (let k = 0; k < area; k++) this.weights[(i * area + k) * outputs + o] = values[(i * outputs + o) * area + k];
      }
    }
  }

  apply(maps, count, size) {
    const { inputs, outputs, kernel, stride, padding, weights } = this, row = kernel * kernel * outputs, places = count * size * size;
    const larger = (size - 1) * stride - 2 * padding + kernel, result = new Float32Array(count * larger * larger * outputs);
    const blocks = new Float32Array(places * row);
    product(blocks, maps, inputs, 1, weights, 1, row, places, row, inputs);
    for (let place = 0; place < places; place++) {
      const n = Math.floor(place / (size * size)), top = Math.floor(place / size) % size * stride - padding, left = place % size * stride - padding;
      for (let i = Math.max(0, -top); i < kernel && top + i < larger; i++) {
        for (let j = Math.max(0, -left); j < kernel && left + j < larger; j++) {
          let from = place * row + (i * kernel + j) * outputs, to = ((n * larger + top + i) * larger + left + j) * outputs;
          for (let o = 0; o < outputs; o++) result[to++] += blocks[from++];
        }
      }
    }
    return { maps: result, size: larger };
  }
}

// Mean and variance of each channel over a batch: divided by the number of values, as batch normalization does.
export function statistics(maps, channels) {
  const mean = new Float64Array(channels), variance = new Float64Array(channels), count = maps.length / channels;
  for (let i = 0; i < maps.length; i++) mean[i % channels] += maps[i];
  for (let c = 0; c < channels; c++) mean[c] /= count;
  for (let i = 0; i < maps.length; i++) variance[i % channels] += (maps[i] - mean[i % channels]) ** 2;
  for (let c = 0; c < channels; c++) variance[c] /= count;
  return { mean, variance };
}

// y = scale (x - mean) / sqrt(variance + epsilon) + shift
export function normalized(x, mean, variance, scale, shift) {
  return scale * (x - mean) / Math.sqrt(variance + EPSILON) + shift;
}

// The generator of the recipe quick-digits: transposed convolutions 1 -> 4 -> 7 -> 14 -> 28, batch normalization and ReLU in between, tanh.
export class Generator {
  constructor(tensors, sizes = [4, 7, 14, 28]) {
    const get = (name) => tensors[`layers.${name}`] ?? (() => { throw new RangeError(`the generator lacks ${name}`); })();
    this.latent = get(`conv${sizes[0]}.weight`).shape[0];
    this.layers = sizes.map((size, i) => ({
      size,
      enlarge: new Enlarge(get(`conv${size}.weight`), i ? 2 : 1, i ? 1 : 0),
      bias: tensors[`layers.conv${size}.bias`]?.values,
      norm: i < sizes.length - 1 && Object.fromEntries(Object.entries({ scale: "weight", shift: "bias", mean: "running_mean", variance: "running_var" })
        .map(([key, name]) => [key, get(`norm${size}.${name}`).values])),
    }));
  }

  // Images of latent vectors (count x latent, flat): { images: count x 28 x 28 in [-1, 1], layers }. trains: with the mean and the variance
  // of this batch; otherwise with the averages from training. layers: for each normalization, its input and both statistics.
  forward(latents, count, trains) {
    let maps = latents, size = 1;
    const seen = [];
    for (const { enlarge, norm, bias } of this.layers) {
      ({ maps, size } = enlarge.apply(maps, count, size));
      const channels = enlarge.outputs;
      if (bias) for (let i = 0; i < maps.length; i++) maps[i] += bias[i % channels];
      if (!norm) continue;
      const batch = statistics(maps, channels), used = trains ? batch : norm;
      seen.push({ size, channels, before: maps, batch, norm, used });
      const next = new Float32Array(maps.length);
      for (let i = 0; i < maps.length; i++) {
        const c = i % channels;
        next[i] = Math.max(0, normalized(maps[i], used.mean[c], used.variance[c], norm.scale[c], norm.shift[c]));
      }
      maps = next;
    }
    return { images: maps.map(Math.tanh), layers: seen };
  }
}

// The great circle from a to b, as in gan/latent.py; the norm changes evenly.
export function slerp(a, b, t) {
  const norm = (v) => Math.hypot(...v), lengths = [norm(a), norm(b)];
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0) / (lengths[0] * lengths[1]), angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const sine = Math.sin(angle), length = lengths[0] + (lengths[1] - lengths[0]) * t;
  if (!(sine > 1e-4)) return a.map((value, i) => value + (b[i] - value) * t);
  const [u, v] = [Math.sin((1 - t) * angle) / sine / lengths[0], Math.sin(t * angle) / sine / lengths[1]];
  return a.map((value, i) => (u * value + v * b[i]) * length);
}
