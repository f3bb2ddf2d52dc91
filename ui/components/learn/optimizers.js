// Adam and RMSprop, as in PyTorch.

const EPSILON = 1e-8;

export class Adam {
  constructor(length, beta1 = 0.5, beta2 = 0.999) {
    Object.assign(this, { beta1, beta2, steps: 0, mean: new Float64Array(length), square: new Float64Array(length) });
  }

  step(values, gradients, rate) {
    const { beta1, beta2, mean, square } = this;
    this.steps++;
    const size = rate / (1 - beta1 ** this.steps), correction = 1 / Math.sqrt(1 - beta2 ** this.steps);
    for (let i = 0; i < values.length; i++) {
      const g = gradients[i];
      mean[i] = beta1 * mean[i] + (1 - beta1) * g;
      square[i] = beta2 * square[i] + (1 - beta2) * g * g;
      values[i] -= size * mean[i] / (Math.sqrt(square[i]) * correction + EPSILON);
    }
  }
}

export class RmsProp {
  constructor(length, alpha = 0.99) {
    Object.assign(this, { alpha, square: new Float64Array(length) });
  }

  step(values, gradients, rate) {
    const { alpha, square } = this;
    for (let i = 0; i < values.length; i++) {
      const g = gradients[i];
      square[i] = alpha * square[i] + (1 - alpha) * g * g;
      values[i] -= rate * g / (Math.sqrt(square[i]) + EPSILON);
    }
  }
}
