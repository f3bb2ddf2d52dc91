// A network of dense layers with leaky ReLU between them, and its gradients, also those of a penalty on its own gradient.
import { Workspace } from "./workspace.js";

const SLOPE = 0.2;  // of leaky ReLU below zero, as in DCGAN's discriminator
const SLOPES = Float64Array.of(SLOPE, 1);  // by whether the result is positive: a look-up, since half of all branches would be guessed wrong

export class Mlp {
  // sizes: of the input, of the hidden layers, of the output, such as [2, 32, 32, 1]. rows: of the largest batch.
  constructor(sizes, rows) {
    this.sizes = sizes;
    this.rows = rows;
    let length = 0, units = 0;
    for (let l = 1; l < sizes.length; l++) { length += (sizes[l - 1] + 1) * sizes[l]; units += sizes[l]; }
    const widest = Math.max(...sizes), [inputs] = sizes;
    this.space = new Workspace(3 * length + rows * (3 * units + widest + 3 * inputs));
    const array = (count) => this.space.array(count);
    this.values = array(length);  // all parameters: each layer's weights (outputs x inputs), then its biases
    this.gradients = array(length);
    this.layers = [];
    let at = 0;
    const part = (array, count) => array.subarray(at, at + count);
    for (let l = 1; l < sizes.length; l++) {
      const inputs = sizes[l - 1], outputs = sizes[l], layer = { inputs, outputs };
      Object.assign(layer, { weights: part(this.values, inputs * outputs), weightGradients: part(this.gradients, inputs * outputs) });
      at += inputs * outputs;
      Object.assign(layer, { biases: part(this.values, outputs), biasGradients: part(this.gradients, outputs) });
      at += outputs;
      layer.across = array(inputs * outputs);  // the weights of the last forward(), inputs x outputs
      layer.result = array(rows * outputs);  // after the activation
      layer.delta = array(rows * outputs);  // the gradient at what goes into the activation
      layer.tangent = array(rows * outputs);  // how the result changes along a direction of the input
      this.layers.push(layer);
    }
    this.left = array(rows * widest);
    this.input = array(rows * inputs);
    this.inputGradient = array(rows * inputs);
    this.direction = array(rows * inputs);
  }

  // He's normal weights, for which leaky ReLU keeps the size of what passes; biases 0. The last layer has no activation.
  initialize(random) {
    for (const [l, layer] of this.layers.entries()) {
      const gain = l + 1 < this.layers.length ? 2 / (1 + SLOPE * SLOPE) : 1;
      const deviation = Math.sqrt(gain / layer.inputs);
      for (let i = 0; i < layer.weights.length; i++) layer.weights[i] = deviation * random.normal();
      layer.biases.fill(0);
    }
  }

  // The outputs (rows x outputs) for a batch; valid until the next call.
  forward(input, rows) {
    this.input.set(input.subarray(0, rows * this.sizes[0]));
    let before = this.input;
    for (const [l, layer] of this.layers.entries()) {
      const { inputs, outputs, weights, across, result, biases } = layer;
      for (let j = 0, i = 0; j < outputs; j++) for (let k = 0; k < inputs; k++, i++) across[k * outputs + j] = weights[i];
      this.space.product(result, before, inputs, 1, across, outputs, rows, outputs, inputs);
      const isLast = l === this.layers.length - 1;
      for (let r = 0, i = 0; r < rows; r++) {
        for (let j = 0; j < outputs; j++, i++) {
          const sum = result[i] + biases[j];
          result[i] = isLast ? sum : sum * SLOPES[sum > 0 | 0];
        }
      }
      before = result;
    }
    return before;
  }

  // After forward(): the gradients at every layer, given those at the outputs. Returns those at the input.
  backward(outputGradient, rows) {
    const top = this.layers.length - 1;
    this.layers[top].delta.set(outputGradient.subarray(0, rows * this.layers[top].outputs));
    for (let l = top; l >= 0; l--) {
      const { inputs, outputs, delta, weights } = this.layers[l];
      const target = l ? this.layers[l - 1].delta : this.inputGradient;
      this.space.product(target, delta, outputs, 1, weights, inputs, rows, inputs, outputs);
      if (l) {
        const { result } = this.layers[l - 1];
        for (let i = 0; i < rows * inputs; i++) target[i] *= SLOPES[result[i] > 0 | 0];
      }
    }
    return this.inputGradient;
  }

  // After backward(): the gradients of all parameters, in `gradients`.
  //
  // scales: if given, a factor for each row's part: then one backward() from outputs of 1 serves for the input's gradient and for these.
  // tangents: if given, a direction in the input for each row (rows x inputs): what is added is the gradient of the sum of the
  //   outputs' slopes along these directions, times backward()'s output gradient. With directions that are a multiple of the input's
  //   gradient g this is the gradient of a penalty on |g|^2. Leaky ReLU has no curvature, so the deltas are those of backward().
  accumulate(rows, scales = null, tangents = null) {
    let before = this.input, slope = tangents && this.direction;
    if (tangents) this.direction.set(tangents.subarray(0, rows * this.sizes[0]));
    for (const [l, layer] of this.layers.entries()) {
      const { inputs, outputs, delta, result, tangent, biasGradients } = layer;
      let left = before;
      if (scales || slope) {
        left = this.left;
        for (let r = 0, i = 0; r < rows; r++) {
          const scale = scales ? scales[r] : 1;
          if (slope) for (let j = 0; j < inputs; j++, i++) left[i] = scale * before[i] + slope[i];
          else for (let j = 0; j < inputs; j++, i++) left[i] = scale * before[i];
        }
      }
      this.space.product(layer.weightGradients, delta, 1, outputs, left, inputs, outputs, inputs, rows);
      biasGradients.fill(0);
      for (let r = 0, i = 0; r < rows; r++) {
        const scale = scales ? scales[r] : 1;
        for (let j = 0; j < outputs; j++, i++) biasGradients[j] += scale * delta[i];
      }
      if (slope && l < this.layers.length - 1) {
        this.space.product(tangent, slope, inputs, 1, layer.across, outputs, rows, outputs, inputs);
        for (let i = 0; i < rows * outputs; i++) tangent[i] *= SLOPES[result[i] > 0 | 0];
        slope = tangent;
      }
      before = result;
    }
  }
}
