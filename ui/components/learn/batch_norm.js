// The figure of the lesson "What batch normalization does": one latent vector, its companions in the batch, and the values of one channel.
import { bytes } from "./assets.js";
import { Generator, normalized, parse, slerp } from "./generator.js";

const FORMAT = "dcgan-workshop-batch-norm-1";
const COMPANIONS = 7, SIDE = 28;
const COPIED = 6;  // the latent vector of a digit that fills a batch with copies
const COLORS = { batch: "rgb(234, 88, 12)", average: "rgb(37, 99, 235)" };
const MIXED = "mixed";
const FINGER = 10;  // pixels to either side of a touch, where it means the highest bar: bars are narrower than a finger
const BINS = 48;  // of the channel's values

const show = (value, digits = 2) => (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");

// Mean difference per pixel between two images in [-1, 1], as a share of the range from black to white.
export function difference(a, b) {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length / 2;
}

// How far each channel's mean in the batch is from its average from training, in standard deviations from training.
export function shifts({ batch, norm }) {
  return Array.from(batch.mean, (mean, c) => Math.abs(mean - norm.mean[c]) / Math.sqrt(norm.variance[c] + 1e-5));
}

// The latent vectors of the companions of digit `own`: seven times one of digit `group`, or one of each of the seven digits after `own`.
export function companions(vectors, ofEach, own, group) {
  const digits = vectors.length / ofEach;
  return Array.from({ length: COMPANIONS }, (_, i) => vectors[group === MIXED ? (own + 1 + i) % digits * ofEach + 1 : group * ofEach + COPIED]);
}

function paint(canvas, images, at) {
  const context = canvas.getContext("2d"), pixels = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const gray = Math.round(127.5 * (images[at * SIDE * SIDE + i] + 1));
    pixels.data.set([gray, gray, gray, 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

const picture = (caption) => {
  const figure = document.createElement("figure"), canvas = document.createElement("canvas"), words = document.createElement("figcaption");
  Object.assign(canvas, { width: SIDE, height: SIDE });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption || "Companion");
  words.textContent = caption;
  figure.append(canvas, ...(caption ? [words] : []));
  return { figure, canvas, words };
};

export class BatchNorm {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.bnorm-${name}`);
    this.yours = root.querySelector(".bnorm-yours canvas");
    this.others = Array.from({ length: COMPANIONS }, () => picture(""));
    this.find("companions").append(...this.others.map(({ figure }) => figure));
    this.four = ["Alone", "First companions", "Last companions", "Eval mode"].map(picture);
    this.find("four").append(...this.four.map(({ figure }) => figure));
    this.trains = true;
    this.load();
  }

  async load() {
    try {
      const { tensors, metadata } = parse(await bytes("batch-norm.safetensors")), { digits, of_each: ofEach } = JSON.parse(metadata[FORMAT]);
      const { shape: [count, latent], values } = tensors.latents;
      this.vectors = Array.from({ length: count }, (_, i) => Array.from(values.subarray(i * latent, (i + 1) * latent)));
      Object.assign(this, { generator: new Generator(tensors), ofEach });
      this.listen(digits);
    } catch (error) {
      this.find("words").textContent = "";
      this.find("fault").textContent = `The generator cannot be loaded: reload the page. (${error.message})`;
    }
  }

  update(data, tell) {
    Object.assign(this, { tell, limits: data });
  }

  listen(digits) {
    const { find } = this;
    digits.forEach((name, digit) => {
      find("own").add(new Option(`a ${name}`, digit));
      for (const group of ["from", "to"]) find(group).add(new Option(`The same ${name}, seven times`, digit));
    });
    for (const group of ["from", "to"]) find(group).add(new Option("Seven different digits", MIXED), 0);
    find("own").value = 3;
    find("from").value = 0;
    find("to").value = 1;
    for (const name of ["own", "from", "to"]) find(name).onchange = () => this.regroup();
    find("train").onclick = () => this.setMode(true);
    find("eval").onclick = () => this.setMode(false);
    find("place").oninput = () => this.ask();
    find("place").onchange = () => { this.draw(); this.report(); };
    this.generator.layers.filter(({ norm }) => norm).forEach(({ size, enlarge }, i) => find("layer").add(new Option(`${size} × ${size}, ${enlarge.outputs} channels`, i)));
    find("layer").onchange = () => { find("channel").value = 0; this.inspect(); this.report(); };
    find("channel").oninput = () => this.inspect();
    find("channel").onchange = () => this.report();
    find("shifts").onclick = (event) => {
      const box = find("shifts").getBoundingClientRect(), { channels } = this.seen, far = shifts(this.seen);
      const at = (x) => Math.min(channels - 1, Math.max(0, Math.floor((x - box.left) / box.width * channels)));
      const reach = event.pointerType === "touch" ? FINGER : 0;
      let chosen = at(event.clientX);
      for (let c = at(event.clientX - reach); c <= at(event.clientX + reach); c++) if (far[c] > far[chosen]) chosen = c;
      find("channel").value = chosen;
      this.inspect();
      this.report();
    };
    this.resizing = new ResizeObserver(() => this.inspect());
    this.regroup();
    this.resizing.observe(find("values"));
  }

  // Another vector or other companions: the slider goes back to its start.
  regroup() {
    const own = Number(this.find("own").value), group = (name) => (this.find(name).value === MIXED ? MIXED : Number(this.find(name).value));
    this.own = this.vectors[own * this.ofEach];
    this.ends = ["from", "to"].map((name) => companions(this.vectors, this.ofEach, own, group(name)));
    this.find("place").value = 0;
    const batches = [[this.own], [this.own, ...this.ends[0]], [this.own, ...this.ends[1]], [this.own]];
    this.four.forEach(({ canvas }, i) => {
      paint(canvas, this.run(batches[i], i < 3).images, 0);
      canvas.setAttribute("aria-label", `Your vector ${["alone in its batch", "with the first companions", "with the last companions", "in eval mode"][i]}`);
    });
    this.restart();
  }

  setMode(trains) {
    this.trains = trains;
    this.restart();
  }

  // Forgets the path so far: its first image, how far the companions moved, and the largest change of the image.
  restart() {
    this.way = null;
    this.find("train").setAttribute("aria-pressed", this.trains);
    this.find("eval").setAttribute("aria-pressed", !this.trains);
    this.told = "";
    this.draw();
  }

  run(vectors, trains) {
    return this.generator.forward(Float32Array.from(vectors.flat()), vectors.length, trains);
  }

  // Draws at most once a frame, however fast the slider moves.
  ask() {
    this.asked ??= requestAnimationFrame(() => { this.asked = null; this.draw(); });
  }

  draw() {
    const place = Number(this.find("place").value), [first, last] = this.ends;
    const { images, layers } = this.run([this.own, ...first.map((vector, i) => slerp(vector, last[i], place))], this.trains);
    paint(this.yours, images, 0);
    this.others.forEach(({ canvas }, i) => {
      paint(canvas, images, i + 1);
      canvas.setAttribute("aria-label", `Companion ${i + 1}`);
    });
    this.layers = layers;
    const image = images.slice(0, SIDE * SIDE), way = this.way ??= { image, low: place, high: place, changed: 0 }, changed = difference(way.image, image);
    Object.assign(way, { low: Math.min(way.low, place), high: Math.max(way.high, place), changed: Math.max(way.changed, changed) });
    this.yours.setAttribute("aria-label", `Your vector's image, ${show(100 * changed, 1)}% different from the start of the path`);
    this.find("words").textContent = this.trains
      ? `Training mode: your image has changed by ${show(100 * changed, 1)}% of the gray range${changed >= this.limits?.visible ? ", visibly" : ""}. Its vector is the same.`
      : `Eval mode: your image has changed by ${show(100 * changed, 1)}%. Its companions no longer matter.`;
    this.inspect();
  }

  // The chosen channel of the chosen layer.
  inspect() {
    if (!this.layers) return;
    const { find } = this, seen = this.seen = this.layers[Number(find("layer").value)], { channels } = seen;
    find("channel").max = channels - 1;
    const c = this.channel = Math.min(channels - 1, Number(find("channel").value)), far = shifts(seen), { batch, norm, used } = seen;
    this.drawShifts(far, c);
    const values = Array.from({ length: seen.before.length / channels }, (_, i) => seen.before[i * channels + c]), own = values.slice(0, seen.size ** 2);
    this.drawValues(values, own, batch.mean[c], Math.sqrt(batch.variance[c]), norm.mean[c], Math.sqrt(norm.variance[c]));
    find("numbers").textContent = `Channel ${c}: μ ${show(batch.mean[c])} and σ² ${show(batch.variance[c])} in this batch; ${show(norm.mean[c])} and ${show(norm.variance[c])} on average in training. The means are ${show(far[c])} standard deviations apart.`;
    const middle = own[Math.floor(seen.size / 2) * (seen.size + 1)], y = normalized(middle, used.mean[c], used.variance[c], norm.scale[c], norm.shift[c]);
    const minus = (value) => value < 0 ? `(${show(value)})` : show(value);
    find("formula").textContent = `Your middle value: γ (x − μ) / √(σ² + ε) + β = ${show(norm.scale[c])} · (${show(middle)} − ${minus(used.mean[c])}) / √${show(used.variance[c])} + ${minus(norm.shift[c])} = ${show(y)}`;
    this.far = far[c];
  }

  prepare(canvas) {
    const scale = Math.min(2, devicePixelRatio || 1), width = Math.round(canvas.clientWidth * scale) || 300, height = Math.round(canvas.clientHeight * scale) || 80;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d"), ink = getComputedStyle(this.root).color;
    context.clearRect(0, 0, width, height);
    context.font = `${11 * scale}px ${getComputedStyle(canvas).fontFamily}`;
    return { context, ink, width, height, scale };
  }

  drawShifts(far, chosen) {
    const { context, ink, width, height, scale } = this.prepare(this.find("shifts")), limit = this.limits?.far ?? 1, top = Math.max(1.4 * limit, ...far);
    const y = (value) => height - (height - 4 * scale) * value / top, bar = width / far.length;
    far.forEach((value, c) => {
      context.globalAlpha = c === chosen ? 1 : 0.45;
      context.fillStyle = c === chosen ? ink : COLORS.batch;
      context.fillRect(c * bar, y(value), Math.max(1, bar - scale), height - y(value));
    });
    Object.assign(context, { globalAlpha: 0.6, strokeStyle: ink, lineWidth: scale });
    context.setLineDash([4 * scale, 4 * scale]);
    context.beginPath();
    context.moveTo(0, y(limit));
    context.lineTo(width, y(limit));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillText(`${limit} σ`, 4 * scale, y(limit) - 3 * scale);
    const above = far.filter((value) => value >= limit).length;
    this.find("shifts").setAttribute("aria-label", `${above} of ${far.length} channels are ${limit} standard deviations or more from their average; the largest is channel ${far.indexOf(Math.max(...far))}`);
  }

  drawValues(values, own, mean, deviation, average, spread) {
    const { context, ink, width, height, scale } = this.prepare(this.find("values"));
    const low = Math.min(...values, mean - deviation, average - spread), high = Math.max(...values, mean + deviation, average + spread);
    const x = (value) => (0.03 + 0.94 * (value - low) / Math.max(1e-9, high - low)) * width, bins = new Array(BINS).fill(0);
    for (const value of values) bins[Math.min(BINS - 1, Math.floor((value - low) / Math.max(1e-9, high - low) * BINS))]++;
    const most = Math.max(...bins), floor = height - 16 * scale;
    context.globalAlpha = 0.25;
    context.fillStyle = ink;
    bins.forEach((count, i) => {
      const tall = (floor - 34 * scale) * count / most;
      context.fillRect(x(low + (high - low) * i / BINS), floor - tall, 0.94 * width / BINS - scale, tall);
    });
    context.globalAlpha = 1;
    [[average, spread, COLORS.average, 10], [mean, deviation, COLORS.batch, 24]].forEach(([middle, reach, color, row]) => {
      context.fillStyle = context.strokeStyle = color;
      context.globalAlpha = 0.35;
      context.fillRect(x(middle - reach), (row - 5) * scale, x(middle + reach) - x(middle - reach), 10 * scale);
      context.globalAlpha = 1;
      context.fillRect(x(middle) - 1.5 * scale, (row - 7) * scale, 3 * scale, 14 * scale);
    });
    context.fillStyle = ink;
    for (const value of own) context.fillRect(x(value) - scale / 2, floor + 2 * scale, scale, 8 * scale);
    this.find("values").setAttribute("aria-label", `The channel's ${values.length} values in the batch, from ${show(low)} to ${show(high)}. Batch mean ${show(mean)}, standard deviation ${show(deviation)}. In training, on average: mean ${show(average)}, standard deviation ${show(spread)}`);
  }

  // Reports to the page when a drag ends: only what can meet a goal, and only once.
  report() {
    const { visible, far, least } = this.limits ?? {}, { low, high, changed } = this.way, moved = high - low;
    const reached = [this.trains && changed >= visible, !this.trains && moved >= least, this.far >= far].join();
    if (!reached.includes("true") || reached === this.told) return;
    this.told = reached;
    this.tell?.({ trains: this.trains, moved, difference: changed, shift: this.far });
  }

  destroy() {
    cancelAnimationFrame(this.asked);
    this.resizing?.disconnect();
  }
}
