// The game of two networks on the plane: G turns latent vectors into points, D tells them from points of the data.
import { discriminatorLoss, generatorLoss } from "./losses.js";
import { Mlp } from "./mlp.js";
import { Adam, RmsProp } from "./optimizers.js";
import { Random } from "./random.js";

export const DEFAULTS = {
  loss: "bce", r1: 0, r2: 0, clip: 0.1,  // the clip is for "wasserstein" alone
  packing: 1, dSteps: 1, gSteps: 1, dRate: 0.002, gRate: 0.002, optimizer: "adam", beta1: 0.5,
  latent: 2, distribution: "normal", hidden: 32, batch: 64, seed: 1,
};
// The settings that shape the networks: a change of one begins a new game. All others may change while it runs.
export const SHAPING = ["packing", "latent", "distribution", "hidden", "batch", "seed"];

// Latent vectors, from N(0, 1) or from the uniform distribution on [-1, 1].
export function drawLatent(random, distribution, out, count) {
  for (let i = 0; i < count; i++) out[i] = distribution === "uniform" ? 2 * random.uniform() - 1 : random.normal();
}

export class Game {
  // data: what real points come from: draw(random, out, rows) fills out with x, y, x, y, ...
  constructor(settings, data) {
    this.settings = { ...DEFAULTS, ...settings };
    this.data = data;
    const { batch, packing, latent, hidden, seed } = this.settings;
    if (batch % packing) throw new RangeError(`a batch of ${batch} points cannot be divided into packs of ${packing}`);
    this.packs = batch / packing;
    this.random = new Random(seed);
    this.g = new Mlp([latent, hidden, hidden, 2], batch);
    this.d = new Mlp([2 * packing, hidden, hidden, 1], 2 * this.packs);
    this.g.initialize(this.random);
    this.d.initialize(this.random);
    this.points = new Float64Array(4 * batch);  // real ones, then generated ones
    this.noise = new Float64Array(latent * batch);
    this.slopes = new Float64Array(2 * this.packs);  // the loss's gradients at D's answers
    this.ones = new Float64Array(2 * this.packs).fill(1);
    this.steps = 0;
    this.lossD = this.lossG = this.penalty = NaN;
    this.setOptimizers();
  }

  setOptimizers() {
    const { optimizer, beta1 } = this.settings;
    const make = (network) => optimizer === "rmsprop" ? new RmsProp(network.values.length) : new Adam(network.values.length, beta1);
    this.optimizerD = make(this.d);
    this.optimizerG = make(this.g);
  }

  // Changes settings that do not shape the networks.
  change(settings) {
    const { optimizer, beta1 } = this.settings;
    Object.assign(this.settings, settings);
    if (this.settings.optimizer !== optimizer || this.settings.beta1 !== beta1) this.setOptimizers();
  }

  drawReal() {
    this.data.draw(this.random, this.points, this.settings.batch);
  }

  drawFake() {
    const { batch, latent, distribution } = this.settings;
    drawLatent(this.random, distribution, this.noise, latent * batch);
    this.points.set(this.g.forward(this.noise, batch), 2 * batch);
  }

  // One step of D on a new batch.
  stepD() {
    this.drawReal();
    this.drawFake();
    this.gradientsD();
    this.optimizerD.step(this.d.values, this.d.gradients, this.settings.dRate);
    if (this.settings.loss === "wasserstein") {
      const { clip } = this.settings, { values } = this.d;
      for (let i = 0; i < values.length; i++) values[i] = Math.min(clip, Math.max(-clip, values[i]));
    }
  }

  // D's loss, its penalty and D's gradients for the points that were drawn.
  gradientsD() {
    const { loss, r1, r2 } = this.settings, { packs, d, slopes } = this;
    const answers = d.forward(this.points, 2 * packs);
    this.lossD = discriminatorLoss(loss, answers, answers.subarray(packs), packs, slopes, slopes.subarray(packs));
    const slope = d.backward(this.ones, 2 * packs);
    this.penalty = r1 || r2 ? this.penalize(slope) : 0;
    d.accumulate(2 * packs, slopes, r1 || r2 ? slope : null);
  }

  // The penalty gamma / 2 E|grad D|^2 at real points (R1) and at generated ones (R2). D's gradient becomes that of the penalty.
  penalize(slope) {
    const { r1, r2 } = this.settings, half = slope.length / 2;
    let sum = 0;
    for (let i = 0; i < slope.length; i++) {
      const weight = (i < half ? r1 : r2) / this.packs;
      sum += weight * slope[i] * slope[i];
      slope[i] *= weight;
    }
    return sum / 2;
  }

  // One step of G on a new batch.
  stepG() {
    if (this.settings.loss === "relativistic") this.drawReal();
    this.drawFake();
    this.gradientsG();
    this.optimizerG.step(this.g.values, this.g.gradients, this.settings.gRate);
  }

  // G's loss and G's gradients for the points that were drawn. `pull` keeps the gradient at each generated point.
  gradientsG() {
    const { loss, batch } = this.settings, { packs, d, g, slopes } = this;
    const first = loss === "relativistic" ? 0 : packs;  // only that loss asks D about real points
    const count = 2 * packs - first;
    const answers = d.forward(this.points.subarray(2 * first * this.settings.packing), count);
    const fake = slopes.subarray(0, count);
    fake.fill(0);
    this.lossG = generatorLoss(loss, answers, answers.subarray(packs - first), packs, fake.subarray(packs - first));
    this.pull = d.backward(fake, count).subarray(2 * (packs - first) * this.settings.packing).subarray(0, 2 * batch);
    g.backward(this.pull, batch);
    g.accumulate(batch);
  }

  // One step of the game: D's steps, then G's.
  step() {
    for (let i = 0; i < this.settings.dSteps; i++) this.stepD();
    for (let i = 0; i < this.settings.gSteps; i++) this.stepG();
    this.steps++;
  }

  // Whether a weight is no longer a finite number: the game cannot continue.
  get broken() {
    return !(Number.isFinite(this.d.values[0]) && Number.isFinite(this.g.values[0]) && (Number.isNaN(this.lossD) || Number.isFinite(this.lossD)));
  }
}
