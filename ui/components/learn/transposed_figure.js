// The figure of the lesson "From one number to many": a transposed convolution, one value at a time, in both of its views.
import { dilated, isEven, outputSize, refusal, slide, spread } from "./transposed.js";

const SETTINGS = { size: [1, 14], kernel: [1, 6], stride: [1, 4], padding: [0, 3], outputPadding: [0, 3] };
const VALUES = [0, 1, 2, -1];  // that a press goes through
const NUMBERS_FROM = 15;  // pixels of a cell: in smaller ones no numbers are written
const POSITIVE = "37, 99, 235", NEGATIVE = "234, 88, 12";

const minus = (value) => String(value).replace("-", "−");

// A square of numbers on a canvas. Where it may be edited, a press or the space bar changes a cell, and arrow keys move between cells.
class Cells {
  constructor(canvas, edit) {
    Object.assign(this, { canvas, context: canvas.getContext("2d"), edit, cursor: 0, size: 1 });
    if (!edit) return;
    canvas.onclick = (event) => {
      const box = canvas.getBoundingClientRect(), at = (offset, whole) => Math.min(this.size - 1, Math.max(0, Math.floor(offset / whole * this.size)));
      this.cursor = at(event.clientY - box.top, box.height) * this.size + at(event.clientX - box.left, box.width);
      edit(this.cursor);
    };
    canvas.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.size, ArrowDown: this.size }[event.key];
      if (step === undefined && event.key !== " ") return;
      event.preventDefault();
      if (step === undefined) edit(this.cursor);
      else { this.cursor = Math.min(this.size ** 2 - 1, Math.max(0, this.cursor + step)); this.again(); }
    };
    canvas.onfocus = canvas.onblur = () => this.again();
  }

  again() {
    if (this.last) this.draw(...this.last);
  }

  // values: null for a cell that is not computed yet. framed: which cells have a frame. name: for the text alternative.
  draw(size, values, ink, name, framed = () => false) {
    this.last = [size, values, ink, name, framed];
    this.size = size;
    const { canvas, context } = this, scale = Math.min(2, devicePixelRatio || 1), width = Math.round(canvas.clientWidth * scale) || 160;
    if (canvas.width !== width) canvas.width = canvas.height = width;
    context.clearRect(0, 0, width, width);
    const cell = width / size, largest = Math.max(1, ...values.map((value) => Math.abs(value ?? 0)));
    const numbers = cell >= NUMBERS_FROM * scale;
    Object.assign(context, { textAlign: "center", textBaseline: "middle", font: `${Math.min(cell * 0.42, 15 * scale)}px ${getComputedStyle(canvas).fontFamily}` });
    values.forEach((value, i) => {
      const x = (i % size) * cell, y = Math.floor(i / size) * cell;
      context.fillStyle = `rgba(${value < 0 ? NEGATIVE : POSITIVE}, ${0.7 * Math.abs(value ?? 0) / largest})`;
      context.fillRect(x, y, cell, cell);
      Object.assign(context, { strokeStyle: ink, lineWidth: scale / 2, globalAlpha: 0.3 });
      context.strokeRect(x, y, cell, cell);
      context.globalAlpha = 1;
      context.fillStyle = ink;
      if (numbers && value !== null) context.fillText(minus(Math.round(value * 100) / 100), x + cell / 2, y + cell / 2);
    });
    const frame = (i, wide) => {
      Object.assign(context, { strokeStyle: ink, lineWidth: wide * scale });
      context.strokeRect((i % size) * cell + wide, Math.floor(i / size) * cell + wide, cell - 2 * wide, cell - 2 * wide);
    };
    values.forEach((_, i) => { if (framed(i)) frame(i, 1.5); });
    if (this.edit && canvas.matches(":focus-visible")) frame(this.cursor, 3);
    const rows = size <= 7 ? `: ${Array.from({ length: size }, (_, r) => values.slice(r * size, (r + 1) * size).map((value) => value === null ? "empty" : Math.round(value * 100) / 100).join(" ")).join("; ")}` : "";
    const here = this.edit ? `. Row ${Math.floor(this.cursor / size) + 1}, column ${this.cursor % size + 1} is chosen` : "";
    canvas.setAttribute("aria-label", `${name}, ${size} by ${size}${rows}${here}`);
  }
}

export class TransposedFigure {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.transposed-${name}`);
    this.fields = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, this.find(name)]));
    this.setting = { size: 3, kernel: 4, stride: 2, padding: 0, outputPadding: 0 };
    for (const [name, field] of Object.entries(this.fields)) {
      const [low, high] = SETTINGS[name];
      for (let value = low; value <= high; value++) field.add(new Option(value, value));
      field.value = this.setting[name];
      field.onchange = () => { this.setting[name] = Number(field.value); this.resized(); this.tellAll(); };
    }
    this.input = new Cells(this.find("input"), (i) => this.press(this.inputValues, i));
    this.weights = new Cells(this.find("weights"), (i) => this.press(this.weightValues, i));
    this.wide = new Cells(this.find("wide"));
    this.output = new Cells(this.find("output"));
    this.writes = new Cells(this.find("writes"));
    this.even = new Cells(this.find("even"));
    this.view = this.find("view");
    this.step = this.find("step");
    this.view.onchange = () => this.resized();
    this.step.oninput = () => this.draw();
    this.find("add").onclick = () => this.addLayer();
    this.find("restart").onclick = () => this.restart();
    for (const button of root.querySelectorAll(".transposed-guess")) button.onclick = () => this.predict(button);
    this.chain = [1];
    this.inputValues = [];
    this.weightValues = [];
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.output.canvas);
    this.resized();
  }

  update(data, tell) {
    this.tell = tell;
  }

  press(values, i) {
    values[i] = VALUES[(VALUES.indexOf(values[i]) + 1) % VALUES.length];
    this.draw();
  }

  // New sizes: values that are there stay, others are 1; all steps are shown. Another layer needs another prediction.
  resized() {
    const { size, kernel, stride } = this.setting, layer = `${size} ${kernel} ${stride}`;
    if (layer !== this.layer) Object.assign(this, { layer, guess: null });
    this.inputValues = Array.from({ length: size ** 2 }, (_, i) => this.inputValues[i] ?? 1);
    this.weightValues = Array.from({ length: kernel ** 2 }, (_, i) => this.weightValues[i] ?? 1);
    this.fault = refusal(size, this.setting);
    this.result = this.fault ? 0 : outputSize(size, this.setting);
    this.step.max = this.slides ? this.result ** 2 : size ** 2;
    this.step.value = this.step.max;
    this.draw();
  }

  get slides() {
    return this.view.value === "slide";
  }

  draw() {
    const { size, kernel, stride, padding, outputPadding } = this.setting, ink = getComputedStyle(this.root).color;
    this.find("fault").textContent = this.fault ?? "";
    this.find("add").disabled = Boolean(this.fault) || size !== this.chain[this.chain.length - 1];
    this.find("chain").textContent = this.chain.join(" → ");
    this.find("results").hidden = Boolean(this.fault);
    this.find("wide-figure").hidden = !this.slides;
    const step = Number(this.step.value), isWhole = step === Number(this.step.max);
    const spreads = !this.slides && !isWhole;
    this.input.draw(size, this.inputValues, ink, "Input", (i) => spreads && i === step - 1);
    this.weights.draw(kernel, this.weightValues, ink, "Kernel");
    if (this.fault) { this.find("formula").textContent = ""; return; }
    this.find("formula").textContent = `o = (n − 1) s − 2p + k + oₚ = (${size} − 1) · ${stride} − 2 · ${padding} + ${kernel} + ${outputPadding} = ${this.result}`;
    const whole = spread({ size, values: this.inputValues }, this.weightValues, this.setting);
    if (this.slides) this.drawSlide(step, isWhole, ink); else this.drawSpread(step, isWhole, ink);
    this.find("question").hidden = this.guess !== null;
    for (const figure of this.root.querySelectorAll(".transposed-known")) figure.hidden = this.guess === null;
    this.find("checker").textContent = this.guess === null ? "" : this.verdict(kernel, stride);
    if (this.guess === null) return;
    this.writes.draw(whole.size, [...whole.writes], ink, "How often each output is written");
    this.even.draw(whole.size, this.taps(whole.size), ink, "How many values each output of resize-convolution gets");
  }

  verdict(kernel, stride) {
    const even = isEven(this.setting), isRight = (this.guess === "even") === even;
    return `${isRight ? "Right" : "Not quite"}. ${even
      ? "Away from the edges, all outputs are written equally often: no checkerboard."
      : `A kernel of ${kernel} is not a multiple of the stride ${stride}: some outputs are written more often, which is the checkerboard.`}`;
  }

  // What the visitor expects of this layer; only then does the figure show how often outputs are written.
  predict(button) {
    if (button.matches(":focus-visible")) this.fields.kernel.focus({ preventScroll: true });  // the button disappears
    this.guess = button.value;
    this.draw();
    this.tellAll();
  }

  // The first `step` input values, each with its copy of the kernel; the last one is framed.
  drawSpread(step, isWhole, ink) {
    const { size, kernel, stride, padding } = this.setting, values = this.inputValues.map((value, i) => i < step ? value : 0);
    const part = spread({ size, values }, this.weightValues, this.setting);
    const top = Math.floor((step - 1) / size) * stride - padding, left = (step - 1) % size * stride - padding;
    this.output.draw(part.size, [...part.values], ink, "Output", (i) => {
      const row = Math.floor(i / part.size) - top, column = i % part.size - left;
      return !isWhole && step > 0 && row >= 0 && row < kernel && column >= 0 && column < kernel;
    });
    this.find("step-words").textContent = isWhole ? "All input values have spread the kernel." : `Input value ${step} of ${size ** 2} spreads the kernel; overlaps are added.`;
  }

  // The first `step` outputs, and the window of the last one in the picture with zeros.
  drawSlide(step, isWhole, ink) {
    const { kernel } = this.setting, input = { size: this.setting.size, values: this.inputValues };
    const whole = slide(input, this.weightValues, this.setting), wide = dilated(input, this.setting);
    const top = Math.floor((step - 1) / whole.size), left = (step - 1) % whole.size;
    this.wide.draw(wide.size, [...wide.values], ink, "Input with zeros", (i) => {
      const row = Math.floor(i / wide.size) - top, column = i % wide.size - left;
      return !isWhole && step > 0 && row >= 0 && row < kernel && column >= 0 && column < kernel;
    });
    this.output.draw(whole.size, [...whole.values].map((value, i) => i < step ? value : null), ink, "Output", (i) => !isWhole && i === step - 1);
    this.find("step-words").textContent = isWhole ? "All outputs are computed." : `Output ${step} of ${whole.size ** 2}: the turned kernel on its window.`;
  }

  // Resize-convolution: the input is enlarged by repeating values, then a 3 x 3 kernel slides over it with padding 1.
  taps(size) {
    const inside = (at) => (at > 0) + 1 + (at < size - 1);
    return Array.from({ length: size ** 2 }, (_, i) => inside(Math.floor(i / size)) * inside(i % size));
  }

  // The mission's chain of layers.
  addLayer() {
    this.chain.push(this.result);
    if (this.chain.length > 8) this.chain.shift();
    this.tellAll();
    const [, most] = SETTINGS.size;
    if (this.result <= most) {
      this.setting.size = this.result;
      this.fields.size.value = this.result;
      this.resized();
    } else this.draw();
  }

  restart() {
    this.chain = [1];
    this.setting.size = 1;
    this.fields.size.value = 1;
    this.resized();
  }

  tellAll() {
    if (this.fault) return;
    const { size, kernel, stride } = this.setting;
    this.tell?.({ chain: [...this.chain], size, kernel, stride, guess: this.guess });
  }

  destroy() {
    this.resizing.disconnect();
  }
}
