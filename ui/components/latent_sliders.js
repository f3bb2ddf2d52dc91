// A slider for each direction of the latent space. Drag a slider, and the picture follows: the browser computes the point from
// the vectors in the data. Streamlit calls the function again on new data, so every call starts from the current elements.
const sliders = new WeakMap();
const FURTHEST = 3, STEP = 0.05;  // standard deviations of z
const LONGEST_NAME = 40;

class LatentSliders {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { list: find(".ls-list"), picture: find(".ls-picture"), start: find(".ls-start"), startText: find(".ls-start-text"),
      reading: find(".ls-reading"), psi: find(".ls-psi input"), psiText: find(".ls-psi output") });
    this.follower = new Follower(this.picture, find(".ls-fault"));
    this.first = new Follower(this.start, find(".ls-fault"));
    find(".ls").lsLog = this.follower.log;
    this.psi.oninput = () => this.moved();
    this.psi.onchange = () => this.rest();
    find(".ls-back").onclick = () => {
      for (const slider of this.shown) slider.range.value = 0;
      this.psi.value = 1;
      this.moved();
      this.rest();
    };
  }

  update(data, told) {
    const before = this.data, numbers = (d) => JSON.stringify(d?.directions.map((direction) => direction.number));
    this.data = data;
    this.told = told;
    this.root = base(data.page);
    if (!before) {
      this.names = { ...this.kept(), ...data.names };
      this.psi.value = data.psi;
    }
    if (!before || before.size !== data.size) for (const canvas of [this.picture, this.start]) canvas.width = canvas.height = data.size;
    if (numbers(before) !== numbers(data)) this.build(before ? this.values() : data.values);
    data.directions.forEach(({ strip, about }, i) => {
      Object.assign(this.shown[i].strip, { src: strip });
      this.shown[i].name.title = `${about} Click to give it a name of your own.`;
    });
    this.startText.textContent = `Seed ${data.seed}`;
    this.first.show(pictureAddress(this.root, data.model, data.label, `seeds=${data.seed}${this.quiet()}`));
    this.moved();
  }

  build(values) {
    this.shown = this.data.directions.map(({ number, name: called, vector }) => {
      const make = (tag, settings) => Object.assign(document.createElement(tag), settings);
      const name = make("input", { type: "text", className: "ls-name", placeholder: called, value: this.names[number] ?? "", maxLength: LONGEST_NAME, spellcheck: false });
      const range = make("input", { type: "range", className: "even-range", min: -FURTHEST, max: FURTHEST, step: STEP, value: values[number] ?? 0 });
      const text = make("output"), strip = make("img", { className: "ls-strip", alt: "", draggable: false });
      const item = make("div", { className: "ls-slider" }), head = make("div", { className: "ls-head" });
      name.setAttribute("aria-label", `Name of ${called.toLowerCase()}`);
      range.setAttribute("aria-label", name.value || called);
      name.onchange = () => {
        this.names[number] = name.value = name.value.trim();
        if (!name.value) delete this.names[number];
        range.setAttribute("aria-label", name.value || called);
        this.keep();
        this.rest();
      };
      name.onkeydown = (event) => { if (event.key === "Enter") name.blur(); };
      range.oninput = () => this.moved();
      range.onchange = () => this.rest();
      range.ondblclick = () => { range.value = 0; this.moved(); this.rest(); };
      // A click on the strip moves the slider to that picture's value.
      strip.onclick = (event) => {
        const place = Math.min(4, Math.floor(5 * event.offsetX / strip.clientWidth));
        range.value = FURTHEST * (place - 2) / 2;
        this.moved();
        this.rest();
      };
      head.append(name, text);
      item.append(head, range, strip);
      return { number, vector, called, name, range, text, strip, item };
    });
    this.list.replaceChildren(...this.shown.map((slider) => slider.item));
  }

  values() {
    return Object.fromEntries(this.shown.map(({ number, range }) => [number, +range.value]).filter(([, value]) => value));
  }

  // The point: the seed's vector, moved along every direction, then truncated: toward 0, or a style toward the mean of all styles. For a
  // latent vector of a generator with styles, the server does that.
  point() {
    const z = [...this.data.z], psi = +this.psi.value;
    for (const { range, vector } of this.shown) if (+range.value) for (let i = 0; i < z.length; i++) z[i] += +range.value * vector[i];
    const most = this.data.bound;  // of each number, if z has bounds: the generator never saw values beyond
    const middle = this.data.center, factor = this.data.styled && !middle ? 1 : psi;
    if (middle) return z.map((value, i) => middle[i] + psi * (value - middle[i]));
    return z.map((value) => factor * (most == null ? value : Math.min(most, Math.max(-most, value))));
  }

  moved() {
    for (const { range, text } of this.shown) {
      text.textContent = (+range.value > 0 ? "+" : "") + (+range.value).toFixed(2).replace("-", "−");
      range.setAttribute("aria-valuetext", (+range.value).toFixed(2));
    }
    this.psiText.textContent = (+this.psi.value).toFixed(2);
    const { center, styled, seed } = this.data, z = this.point(), [low, high] = this.data.known, psi = +this.psi.value;
    const length = Math.hypot(...(center ? z.map((value, i) => value - center[i]) : z));
    const word = length < low ? "shorter than in training" : length > high ? "longer than in training" : "as in training";
    const what = center ? "Distance of w from its mean" : "Length of z";
    this.reading.textContent = `${what}: ${length.toFixed(1)}, ${word} (${low.toFixed(1)} to ${high.toFixed(1)})`;
    const unmoved = psi === 1 && this.shown.every(({ range }) => !+range.value);
    const point = unmoved ? `seeds=${seed}` : `${center ? "w" : "z"}=${z.map((value) => +value.toFixed(4))}`;
    const onServer = styled && !center && psi < 1 ? `&psi=${psi}` : "";
    this.follower.show(pictureAddress(this.root, this.data.model, this.data.label, point + onServer + this.quiet()));
  }

  // What turns noise off, in a picture's address.
  quiet() {
    return this.data.noise === false ? "&noise=off" : "";
  }

  // When the hand rests, the address follows. Each key press is an event, so it waits a moment.
  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.told("at", { values: this.values(), psi: +this.psi.value, names: this.names }), 300);
  }

  // Names live in this browser, by generator and kind of direction; if it stores nothing, the address still has them.
  kept() {
    try { return JSON.parse(localStorage.getItem(this.data.memory)) ?? {}; } catch { return {}; }
  }

  keep() {
    try { localStorage.setItem(this.data.memory, JSON.stringify(this.names)); } catch { /* the address has them */ }
  }

  destroy() {
    clearTimeout(this.resting);
    this.follower.end();
    this.first.end();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let view = sliders.get(parentElement);
  if (!view) sliders.set(parentElement, (view = new LatentSliders(parentElement)));
  view.update(data, setStateValue);
  return () => { view.destroy(); sliders.delete(parentElement); };
}
