// The figure of the lesson "The space of images". It cuts its pictures out of sheets that the server draws once.
import { json, picture } from "./assets.js";

const COLORS = { lerp: "rgb(234, 88, 12)", slerp: "rgb(37, 99, 235)" };
const SEEN = 12;  // |z| at the top of the chart
const WAYS = ["lerp", "slerp"];
const PARTS = { ways: "way-words", arithmetic: "sum-words", truncation: "psi-words" };  // and the paragraph that describes each slider's position

const show = (value, digits = 1) => value.toFixed(digits);

// Where the pictures are on a sheet, in the order in which the server draws them.
export const wayAt = (pair, way, place, places) => (pair * WAYS.length + WAYS.indexOf(way)) * places + place;
export const sumAt = (attribute, face, strength, { examples, faces, strengths }) =>
  attribute * (2 * examples + faces.length * strengths.length) + 2 * examples + face * strengths.length + strength;

class Sheet {
  constructor(about, image) {
    Object.assign(this, about, { image });
  }

  // One picture, or several from a number on, in a square.
  paint(canvas, number, alt, count = 1) {
    const { size, columns, image } = this, side = Math.ceil(Math.sqrt(count)), context = canvas.getContext("2d");
    if (canvas.width !== side * size) canvas.width = canvas.height = side * size;
    for (let i = 0, at = number; i < count; i++, at++) {
      context.drawImage(image, at % columns * size, Math.floor(at / columns) * size, size, size, i % side * size, Math.floor(i / side) * size, size, size);
    }
    canvas.setAttribute("aria-label", alt);
  }
}

export class Space {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.space-${name}`);
    for (const [name, words] of Object.entries(PARTS)) this.load(name, words);
  }

  update(data, tell) {
    Object.assign(this, { tell, limits: data });
  }

  async load(name, words) {
    try {
      const about = await json(`space-${name}.json`);
      this[name] = new Sheet(about, await picture(about.sheet));
      this[`begin_${name}`]();
    } catch (error) {
      this.find(words).textContent = "";
      this.find("fault").textContent = `Some pictures cannot be loaded: reload the page. (${error.message})`;
    }
  }

  // Two paths between faces.

  begin_ways() {
    const { find } = this, { pairs, places } = this.ways;
    pairs.forEach(({ seeds: [a, b] }, i) => find("pair").add(new Option(`seeds ${a} and ${b}`, i)));
    find("place").max = places - 1;
    find("pair").onchange = find("place").oninput = () => this.drawWays();
    find("place").onchange = () => this.report();
    const move = (event) => {
      const box = find("lengths").getBoundingClientRect();
      find("place").value = Math.round((event.clientX - box.left) / box.width * (places - 1));
      this.drawWays();
    };
    find("lengths").onpointerdown = (event) => { if (!event.button) { find("lengths").setPointerCapture(event.pointerId); this.dragged = true; move(event); } };
    find("lengths").onpointermove = (event) => { if (this.dragged) move(event); };
    find("lengths").onpointerup = find("lengths").onpointercancel = () => { if (this.dragged) this.report(); this.dragged = false; };
    this.resizing = new ResizeObserver(() => this.drawWays());
    this.resizing.observe(find("lengths"));
    this.drawWays();
  }

  drawWays() {
    const { find } = this, { pairs, places, low, high } = this.ways, pair = Number(find("pair").value), place = Number(find("place").value);
    const { seeds: [a, b], lengths } = pairs[pair], here = lengths.map((way) => way[place]), share = Math.round(100 * place / (places - 1));
    WAYS.forEach((way, i) => this.ways.paint(find(way), wayAt(pair, way, place, places), `${share}% of the way from seed ${a} to seed ${b}, ${i ? "great circle" : "straight line"}`));
    this.length = here[0];
    const below = here[0] < low ? `, below the usual ${show(low)} to ${show(high)}` : "";
    find("way-words").textContent = `${share}% of the way: |z| is ${show(here[0])} on the straight line${below}, and ${show(here[1])} on the great circle.`;
    this.chart(lengths, place, low, high);
  }

  chart(lengths, place, low, high) {
    const canvas = this.find("lengths"), context = canvas.getContext("2d"), scale = Math.min(2, devicePixelRatio || 1), ink = getComputedStyle(this.root).color;
    const width = Math.round(canvas.clientWidth * scale) || 300, height = Math.round(canvas.clientHeight * scale) || 140;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const x = (i) => (0.02 + 0.96 * i / (lengths[0].length - 1)) * width, y = (length) => height * (1 - length / SEEN);
    context.clearRect(0, 0, width, height);
    context.font = `${12 * scale}px ${getComputedStyle(canvas).fontFamily}`;
    Object.assign(context, { fillStyle: COLORS.slerp, globalAlpha: 0.18 });
    context.fillRect(0, y(high), width, y(low) - y(high));
    Object.assign(context, { globalAlpha: 1, fillStyle: ink });
    context.fillText("|z|", 4 * scale, 14 * scale);
    context.fillText("0", 4 * scale, height - 4 * scale);
    WAYS.forEach((way, n) => {
      Object.assign(context, { strokeStyle: COLORS[way], fillStyle: COLORS[way], lineWidth: 2 * scale });
      context.beginPath();
      lengths[n].forEach((length, i) => context[i ? "lineTo" : "moveTo"](x(i), y(length)));
      context.stroke();
      context.beginPath();
      context.arc(x(place), y(lengths[n][place]), 5 * scale, 0, 2 * Math.PI);
      context.fill();
    });
    canvas.setAttribute("aria-label", `Length of z along both paths: the straight line falls to ${show(Math.min(...lengths[0]))}, the great circle stays from ${show(Math.min(...lengths[1]))} to ${show(Math.max(...lengths[1]))}. Usual lengths are ${show(low)} to ${show(high)}`);
  }

  // Arithmetic.

  begin_arithmetic() {
    const { find } = this, { samples, faces, strengths } = this.arithmetic;
    this.names = Object.keys(samples);
    this.names.forEach((name, i) => find("attribute").add(new Option(name, i)));
    find("strength").max = strengths.length - 1;
    this.faces = faces.map((seed, i) => {
      const button = document.createElement("button"), canvas = document.createElement("canvas");
      Object.assign(button, { type: "button", onclick: () => { this.face = i; this.drawSum(); this.report(); } });
      button.setAttribute("aria-label", `Face of seed ${seed}`);
      this.arithmetic.paint(canvas, sumAt(0, i, 0, this.arithmetic), "");
      canvas.setAttribute("aria-hidden", "true");
      button.append(canvas);
      return button;
    });
    find("faces").append(...this.faces);
    this.face = 0;
    find("attribute").onchange = () => { this.drawSum(); this.report(); };
    find("strength").oninput = () => this.drawSum();
    find("strength").onchange = () => this.report();
    this.drawSum();
  }

  drawSum() {
    const { find, face } = this, { samples, faces, strengths, examples } = this.arithmetic;
    const chosen = Number(find("attribute").value), place = Number(find("strength").value), name = this.names[chosen], [present, absent] = samples[name];
    const at = (strength) => sumAt(chosen, face, strength, this.arithmetic), first = sumAt(chosen, 0, 0, this.arithmetic) - 2 * examples, seed = `seed ${faces[face]}`;
    this.faces.forEach((button, i) => button.setAttribute("aria-pressed", i === face));
    Object.assign(this, { attribute: name, strength: strengths[place] });
    for (const [part, number, count, words] of [
      ["with", first, examples, `mean of ${present.toLocaleString("en")} with ${name}`],
      ["without", first + examples, examples, `mean of ${absent.toLocaleString("en")} without`],
      ["before", at(0), 1, seed],
      ["after", at(place), 1, `${seed} plus ${name}`],
    ]) {
      this.arithmetic.paint(find(part), number, words, count);
      find(part).nextElementSibling.textContent = words;
    }
    find("sum-words").textContent = `Strength ${show(this.strength, 2)}: ${this.strength >= 1.25 ? "more than needed, so other things change, too."
      : this.strength > 1 ? "a little more than most faces need." : this.strength === 1
      ? `here nearly all faces gain ${name}.` : this.strength ? `partway to ${name}.` : "the face has not changed yet."}`;
  }

  // Truncation.

  begin_truncation() {
    const { find } = this, { psis, faces } = this.truncation;
    this.eight = Array.from({ length: faces }, () => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "Face");
      figure.append(canvas);
      return { figure, canvas };
    });
    find("eight").append(...this.eight.map(({ figure }) => figure));
    find("psi").max = psis.length - 1;
    find("psi").value = psis.indexOf(1);
    find("psi").oninput = () => this.drawTruncated();
    find("psi").onchange = () => this.report();
    this.drawTruncated();
  }

  drawTruncated() {
    const { psis, faces, variety } = this.truncation, place = Number(this.find("psi").value), psi = this.psi = psis[place];
    this.eight.forEach(({ canvas }, i) => this.truncation.paint(canvas, place * faces + i, `Seed ${i}, ψ ${psi}`));
    const says = psi < 0.3 ? "all alike, and hardly a face: G never trained this close to the center." : psi < 1 ? "plainer and more alike." : psi === 1
      ? "as in training." : "longer vectors than in training: more variety, more broken faces.";
    this.find("psi-words").textContent = `ψ = ${show(psi, 2)}: ${says} Two faces differ by ${show(100 * variety[place])}% of the color range on average.`;
  }

  // Reports to the page when a drag ends: only what can meet a goal, and only once.
  report() {
    const { length, attribute, strength, psi, limits } = this;
    const reached = [length < limits?.short, attribute === limits?.glasses && strength >= limits?.enough, psi <= limits?.alike].join();
    if (!reached.includes("true") || reached === this.told) return;
    this.told = reached;
    this.tell?.({ length, attribute, strength, psi });
  }

  destroy() {
    this.resizing?.disconnect();
  }
}
