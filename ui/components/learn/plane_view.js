// Draws the game on the plane: D's answers as colors, G's grid, real and generated points, and where G wants its points to go.
import { drawLatent } from "./game.js";
import { generatorLoss, sigmoid } from "./losses.js";
import { Mlp } from "./mlp.js";
import { REACH, countModes } from "./points.js";
import { Random } from "./random.js";

const CELLS = 32;  // of the heat map, a side
const LINES = 15;  // of G's grid, in each direction
const POINTS = 400;  // generated ones, also for counting modes
const REALS = 240;
const ARROWS = 32;
const LONGEST_ARROW = 0.3;  // on the plane
export const COLORS = { real: [37, 99, 235], generated: [234, 88, 12] };  // told apart by the color-blind, on light and dark

const css = ([r, g, b], alpha = 1) => `rgba(${r},${g},${b},${alpha})`;

// The quantile function of N(0, 1), by bisection: it is needed a few times only.
function quantile(share) {
  const below = (x) => {  // Abramowitz and Stegun 26.2.17, to 1e-7
    const t = 1 / (1 + 0.2316419 * Math.abs(x));
    const tail = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return x > 0 ? 1 - tail : tail;
  };
  let low = -6, high = 6;
  for (let i = 0; i < 40; i++) if (below((low + high) / 2) < share) low = (low + high) / 2; else high = (low + high) / 2;
  return (low + high) / 2;
}

export class PlaneView {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.heat = document.createElement("canvas");
    this.heat.width = this.heat.height = CELLS;
    this.heatContext = this.heat.getContext("2d");
    this.heatPixels = this.heatContext.createImageData(CELLS, CELLS);
    this.answered = new Float64Array(CELLS * CELLS);  // how sure D is, 0 to 1
    this.asked = new Float64Array(4 * ARROWS);  // the points whose arrows are drawn, after as many real ones
    this.slopes = new Float64Array(2 * ARROWS);
    this.measure();
    this.real = new Float64Array(2 * REALS);
  }

  // Takes a new game: networks of its shape, and the same latent vectors in each picture.
  follow(game) {
    this.game = game;
    const { latent, hidden, packing, distribution } = game.settings;
    this.g = new Mlp(game.g.sizes, POINTS);
    this.d = new Mlp(game.d.sizes, CELLS * CELLS);
    this.latents = new Float64Array(latent * POINTS);
    drawLatent(new Random(7), distribution, this.latents, latent * POINTS);
    this.grid = this.gridOfLatents(latent, distribution);
    this.cells = new Float64Array(CELLS * CELLS * 2 * packing);  // each cell as a pack of equal points
    for (let i = 0, at = 0; i < CELLS * CELLS; i++) {
      const [x, y] = [i % CELLS, Math.floor(i / CELLS)].map((n) => REACH * (2 * (n + 0.5) / CELLS - 1));
      for (let m = 0; m < packing; m++) { this.cells[at++] = x; this.cells[at++] = -y; }
    }
    this.points = new Float64Array(2 * POINTS);
    this.resample();
  }

  // Real points of the game's data, which may have changed.
  resample() {
    this.game.data.draw(new Random(11), this.real, REALS);
  }

  // Even places in latent space: for N(0, 1) the quantiles. Of more than two dimensions the others are 0.
  gridOfLatents(latent, distribution) {
    const along = latent === 1 ? LINES * LINES : LINES, across = latent === 1 ? 1 : LINES;
    const places = Array.from({ length: along }, (_, i) => (i + 0.5) / along).map((share) => distribution === "uniform" ? 2 * share - 1 : quantile(share));
    const vectors = new Float64Array(along * across * latent);
    for (let i = 0; i < along; i++) {
      for (let j = 0; j < across; j++) {
        vectors[(i * across + j) * latent] = places[i];
        if (latent > 1) vectors[(i * across + j) * latent + 1] = places[j];
      }
    }
    return { vectors, along, across };
  }

  // Reads the size on the page, which is too slow to do for each picture.
  measure() {
    this.scale = Math.min(2, devicePixelRatio || 1);
    const size = Math.round(this.canvas.clientWidth * this.scale) || 320;
    if (this.canvas.width !== size) this.canvas.width = this.canvas.height = size;
    this.size = size;
  }

  // From the plane to pixels of the canvas.
  left(x) {
    return (x / REACH + 1) / 2 * this.size;
  }

  top(y) {
    return (1 - y / REACH) / 2 * this.size;
  }

  get answersAreLogits() {
    const { loss } = this.game.settings;
    return loss === "bce" || loss === "minimax";
  }

  // How sure D is, as `answered`: 0 generated, 1 real. Unbounded scores are scaled from the lowest to the highest.
  compare(answers) {
    const { answered } = this, count = answered.length;
    if (this.answersAreLogits) {
      for (let i = 0; i < count; i++) answered[i] = sigmoid(answers[i]);
      return;
    }
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < count; i++) {
      if (answers[i] < low) low = answers[i];
      if (answers[i] > high) high = answers[i];
    }
    for (let i = 0; i < count; i++) answered[i] = high > low ? (answers[i] - low) / (high - low) : 0.5;
  }

  // What D answers at a place: a probability, or a score.
  answerAt(x, y) {
    const { packing } = this.game.settings;
    const answer = this.d.forward(Float64Array.from({ length: 2 * packing }, (_, i) => i % 2 ? y : x), 1)[0];
    return this.answersAreLogits ? sigmoid(answer) : answer;
  }

  // shown: the layers to draw, of heat, manifold, real, generated, arrows. cursor: [x, y] or null. ink: the color of text.
  draw(shown, cursor, ink) {
    const { context, size } = this;
    this.g.values.set(this.game.g.values);
    this.d.values.set(this.game.d.values);
    context.clearRect(0, 0, size, size);
    if (shown.heat) this.drawHeat();
    if (shown.manifold) this.drawManifold(ink);
    this.points.set(this.g.forward(this.latents, POINTS));
    if (shown.real) this.drawPoints(this.real, REALS, COLORS.real, true);
    if (shown.generated) this.drawPoints(this.points, POINTS, COLORS.generated, false);
    if (shown.arrows) this.drawArrows(ink);
    if (cursor) this.drawCursor(cursor, ink);
  }

  // A picture of few pixels, enlarged by the canvas.
  drawHeat() {
    const { answered, heatPixels: { data } } = this;
    this.compare(this.d.forward(this.cells, answered.length));
    for (let i = 0, at = 0; i < answered.length; i++) {
      const lean = 2 * answered[i] - 1, color = lean > 0 ? COLORS.real : COLORS.generated;
      data[at++] = color[0];
      data[at++] = color[1];
      data[at++] = color[2];
      data[at++] = 120 * Math.abs(lean);
    }
    this.heatContext.putImageData(this.heatPixels, 0, 0);
    this.context.drawImage(this.heat, 0, 0, this.size, this.size);
  }

  drawManifold(ink) {
    const { context, grid: { vectors, along, across } } = this, points = this.g.forward(vectors, along * across);
    const line = (first, step, count) => {
      for (let n = 0, i = 2 * first; n < count; n++, i += 2 * step) {
        if (n) context.lineTo(this.left(points[i]), this.top(points[i + 1]));
        else context.moveTo(this.left(points[i]), this.top(points[i + 1]));
      }
    };
    context.beginPath();
    for (let j = 0; j < across; j++) line(j, across, along);
    if (across > 1) for (let i = 0; i < along; i++) line(i * across, 1, across);
    Object.assign(context, { strokeStyle: ink, lineWidth: this.scale, globalAlpha: 0.3 });
    context.stroke();
    context.globalAlpha = 1;
  }

  // Real points are disks, generated ones diamonds.
  drawPoints(points, count, color, isRound) {
    const { context } = this, radius = 2.2 * this.scale, height = 1.3 * radius;
    context.beginPath();
    for (let i = 0; i < count; i++) {
      const x = this.left(points[2 * i]), y = this.top(points[2 * i + 1]);
      if (isRound) {
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
      } else {
        context.moveTo(x, y + height);
        context.lineTo(x - height, y);
        context.lineTo(x, y - height);
        context.lineTo(x + height, y);
      }
    }
    context.fillStyle = css(color, 0.8);
    context.fill();
  }

  // Against the gradient of G's loss at some generated points: short where there is little to go by.
  drawArrows(ink) {
    const { context, asked, slopes } = this, { loss, packing } = this.game.settings, packs = ARROWS / packing;
    asked.set(this.real.subarray(0, 2 * ARROWS));
    asked.set(this.points.subarray(0, 2 * ARROWS), 2 * ARROWS);
    const answers = this.d.forward(asked, 2 * packs);
    slopes.fill(0);
    generatorLoss(loss, answers, answers.subarray(packs), packs, slopes.subarray(packs));
    const pull = this.d.backward(slopes, 2 * packs);
    const to = (pen, x, y) => context[pen](this.left(x), this.top(y));
    context.beginPath();
    for (let i = ARROWS; i < 2 * ARROWS; i++) {
      const size = Math.hypot(pull[2 * i], pull[2 * i + 1]) * packs, length = LONGEST_ARROW * size / (1 + size);
      if (length < 0.004) continue;
      const x = asked[2 * i], y = asked[2 * i + 1], turn = Math.atan2(-pull[2 * i + 1], -pull[2 * i]);
      const tipX = x + length * Math.cos(turn), tipY = y + length * Math.sin(turn);
      to("moveTo", x, y);
      to("lineTo", tipX, tipY);
      for (const side of [2.6, -2.6]) {
        to("moveTo", tipX, tipY);
        to("lineTo", tipX + 0.3 * length * Math.cos(turn + side), tipY + 0.3 * length * Math.sin(turn + side));
      }
    }
    Object.assign(context, { strokeStyle: ink, lineWidth: this.scale });
    context.stroke();
  }

  drawCursor([x, y], ink) {
    const { context, scale } = this, left = this.left(x), top = this.top(y);
    context.beginPath();
    context.arc(left, top, 7 * scale, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(left + 4 * scale * dx, top + 4 * scale * dy);
      context.lineTo(left + 10 * scale * dx, top + 10 * scale * dy);
    }
    Object.assign(context, { strokeStyle: ink, lineWidth: 1.5 * scale });
    context.stroke();
  }

  // The modes that the points of the last picture reach.
  count() {
    return countModes(this.points, POINTS, this.game.data);
  }
}
