// The figure of the lesson "What the losses say": two densities on a line, and what follows from them.
import { bestAnswer, bestValue, density, generatorSlopes, jensenShannon, wasserstein } from "./densities.js";
import { softplus } from "./losses.js";

const REACH = 6;  // the line, from -REACH to REACH
const CURVE = 300;  // points of a curve
const DISTANCES = 60;  // places of the chart of distances
const COLORS = { data: "rgb(37, 99, 235)", generated: "rgb(234, 88, 12)" };
const FIELDS = ["data-mean", "data-deviation", "generated-mean", "generated-deviation", "at", "dial"];

const show = (value, digits = 3) => (Object.is(Number(value.toFixed(digits)), -0) ? 0 : value).toFixed(digits).replace("-", "−");

// A canvas with both axes in units of its own: x and y from [low, high] to pixels.
class Chart {
  constructor(canvas, [left, right], [low, high]) {
    Object.assign(this, { canvas, context: canvas.getContext("2d"), left, right, low, high });
  }

  clear() {
    const { canvas, context } = this, scale = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(canvas.clientWidth * scale) || 300, height = Math.round(canvas.clientHeight * scale) || 150;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.clearRect(0, 0, width, height);
    this.scale = scale;
    context.font = `${12 * scale}px ${getComputedStyle(canvas).fontFamily}`;
  }

  x(value) { return (value - this.left) / (this.right - this.left) * this.canvas.width; }
  y(value) { const pad = 6 * this.scale; return pad + (1 - (value - this.low) / (this.high - this.low)) * (this.canvas.height - 2 * pad); }

  curve(f, color, { width = 2, dashed = false, fill = false, from = this.left, to = this.right } = {}) {
    const { context, scale } = this;
    context.beginPath();
    for (let i = 0; i <= CURVE; i++) {
      const value = from + (to - from) * i / CURVE;
      context[i ? "lineTo" : "moveTo"](this.x(value), this.y(Math.min(this.high, Math.max(this.low, f(value)))));
    }
    Object.assign(context, { strokeStyle: color, lineWidth: width * scale });
    context.setLineDash(dashed ? [5 * scale, 4 * scale] : []);
    context.stroke();
    context.setLineDash([]);
    if (!fill) return;
    context.lineTo(this.x(to), this.y(0));
    context.lineTo(this.x(from), this.y(0));
    Object.assign(context, { fillStyle: color, globalAlpha: 0.18 });
    context.fill();
    context.globalAlpha = 1;
  }

  mark(x, y, color) {
    const { context, scale } = this;
    context.beginPath();
    context.arc(this.x(x), this.y(y), 5 * scale, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
  }

  text(words, x, y, color, align = "left") {
    Object.assign(this.context, { fillStyle: color, textAlign: align });
    this.context.fillText(words, x, y);
  }
}

export class LossesFigure {
  constructor(root) {
    this.root = root;
    const find = (name) => root.querySelector(`.losses-${name}`);
    this.line = new Chart(find("line"), [-REACH, REACH], [0, 1.05]);
    this.distances = new Chart(find("distances"), [0, 2 * REACH], [0, 2 * REACH]);
    this.slopes = new Chart(find("slopes"), [0, 1], [-5, 5]);
    this.words = find("words");
    this.steps = [...find("steps").querySelectorAll("output")];
    this.slopeWords = find("slope-words");
    this.fields = Object.fromEntries(FIELDS.map((name) => [name, find(name)]));
    for (const field of Object.values(this.fields)) {
      field.oninput = () => this.draw();
      field.onchange = () => this.rest();
    }
    this.listenToLine();
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.line.canvas);
    this.draw();
    this.before = this.seen;
  }

  update(data, tell) {
    this.tell = tell;
  }

  value(name) {
    return Number(this.fields[name].value);
  }

  densities() {
    return ["data", "generated"].map((name) => ({ mean: this.value(`${name}-mean`), deviation: this.value(`${name}-deviation`) }));
  }

  // Drags the density whose mean is nearer along the line.
  listenToLine() {
    const { canvas } = this.line;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return REACH * (2 * (event.clientX - box.left) / box.width - 1);
    };
    canvas.onpointerdown = (event) => {
      if (event.button) return;
      const at = place(event), [data, generated] = this.densities();
      this.dragged = this.fields[Math.abs(at - data.mean) < Math.abs(at - generated.mean) ? "data-mean" : "generated-mean"];
      this.from = at - Number(this.dragged.value);
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      if (!this.dragged) return;
      this.dragged.value = place(event) - this.from;
      this.draw();
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
      if (this.dragged) this.rest();
      this.dragged = null;
    };
  }

  draw() {
    const ink = getComputedStyle(this.root).color, [data, generated] = this.densities();
    this.drawLine(data, generated, ink);
    this.drawDistances(data, generated, ink);
    this.drawSlopes(ink);
    this.writeSteps(data, generated);
  }

  drawLine(data, generated, ink) {
    const { line } = this, at = this.value("at");
    // The taller density fills two thirds of the height; D* has its own scale from 0 to 1.
    const tallest = Math.max(density(data, data.mean), density(generated, generated.mean)) * 1.5;
    line.clear();
    line.curve((x) => density(data, x) / tallest, COLORS.data, { fill: true });
    line.curve((x) => density(generated, x) / tallest, COLORS.generated, { fill: true });
    line.curve(() => 0.5, ink, { width: 0.7, dashed: true });
    line.curve((x) => bestAnswer(data, generated, x), ink);
    line.mark(at, bestAnswer(data, generated, at), ink);
    line.text("½", 3 * line.scale, line.y(0.5) - 4 * line.scale, ink);
  }

  // JS and the Wasserstein distance for every distance of the means, with these widths; JS has a scale of its own, up to ln 2.
  drawDistances(data, generated, ink) {
    const { distances: chart } = this, apart = Math.abs(generated.mean - data.mean);
    const key = `${data.deviation} ${generated.deviation}`;
    if (key !== this.curvesOf) {
      this.curvesOf = key;
      const places = Array.from({ length: DISTANCES + 1 }, (_, i) => 2 * REACH * i / DISTANCES).map((mean) => [{ ...data, mean: 0 }, { ...generated, mean }]);
      this.js = places.map(([p, q]) => jensenShannon(p, q));
      this.w = places.map(([p, q]) => wasserstein(p, q));
    }
    const between = (values) => (x) => {
      const i = Math.min(DISTANCES - 1, Math.floor(x / 2 / REACH * DISTANCES)), rest = x / 2 / REACH * DISTANCES - i;
      return values[i] * (1 - rest) + values[i + 1] * rest;
    };
    const js = jensenShannon(data, generated), w = wasserstein(data, generated), scaled = 2 * REACH / 1.05 / Math.LN2;
    chart.clear();
    chart.curve((x) => between(this.js)(x) * scaled, ink);
    chart.curve(between(this.w), ink, { dashed: true });
    chart.mark(apart, js * scaled, ink);
    chart.mark(apart, w, ink);
    const value = bestValue(data, generated);
    this.seen = { js, w, dial: this.value("dial"), apart };
    this.words.textContent = `Jensen-Shannon divergence ${show(js)} of at most ln 2 = 0.693; Wasserstein distance ${show(w)}; `
      + `V(D*, G) = ${show(value)}, and −2 ln 2 = −1.386.`;
    this.line.canvas.setAttribute("aria-label", `Real density around ${show(data.mean, 1)}, generated density around ${show(generated.mean, 1)}. ${this.words.textContent}`);
  }

  drawSlopes(ink) {
    const { slopes: chart } = this, answer = this.value("dial"), logit = Math.log(answer / (1 - answer));
    const { minimax, nonSaturating } = generatorSlopes(answer);
    chart.clear();
    const log = (share) => Math.log(Math.min(0.9999, Math.max(0.0001, share)));
    chart.curve((share) => log(1 - share), ink, { dashed: true });
    chart.curve((share) => -log(share), ink);
    chart.mark(answer, -softplus(logit), ink);
    chart.mark(answer, softplus(-logit), ink);
    this.slopeWords.textContent = `D(G(z)) = ${show(answer, 2)}. Slope by D's logit, its output before the sigmoid: minimax ${show(minimax, 2)}, non-saturating ${show(nonSaturating, 2)}.`;
  }

  // The six steps, with the numbers of the place that the slider points at.
  writeSteps(data, generated) {
    const at = this.value("at"), p = density(data, at), q = density(generated, at), best = bestAnswer(data, generated, at);
    const value = bestValue(data, generated), js = jensenShannon(data, generated);
    const numbers = [
      show(value),
      `${show(p)} log D + ${show(q)} log(1 − D)`,
      `${show(p)} / (${show(p)} + ${show(q)}) = ${show(best)}`,
      show(value),
      `−1.386 + 2 · ${show(js)} = ${show(2 * js - 2 * Math.LN2)}`,
      show(-value),
    ];
    numbers.forEach((text, i) => { this.steps[i].textContent = text; });
  }

  // A hand came to rest: the page hears where, and where the last one had.
  rest() {
    this.draw();
    const { before, seen } = this;
    if (JSON.stringify(before) === JSON.stringify(seen)) return;
    this.before = seen;
    this.tell?.({ ...seen, js_before: before.js, w_before: before.w });
  }

  destroy() {
    this.resizing.disconnect();
  }
}
