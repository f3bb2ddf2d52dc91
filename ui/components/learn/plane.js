// The figure of the lesson "The game on a plane": its controls, its clock, and what it reports.
import { LossChart } from "./chart.js";
import { DEFAULTS, Game, SHAPING } from "./game.js";
import { DATA, makeFields } from "./plane_settings.js";
import { COLORS, PlaneView } from "./plane_view.js";
import { REACH, SHAPES, drawn } from "./points.js";
import { CURES, PRESETS } from "./presets.js";

const BUDGET_MS = 8;  // of training in a picture: drawing it takes about 6 of the 16.7 ms that 60 pictures a second leave
const MOST_STEPS = 24;  // in a picture
const SLOW_MS = 700;  // between two steps in slow motion
const CALM_MS = 1000;  // between two pictures for people who want little motion
const COUNT_MS = 250;  // between two counts of modes
const WORDS_MS = 500;  // between two changes of the text
const STABLE = 3;  // counts that must agree before they are reported
const MOST_DOTS = 300;
const CLOSEST_DOTS = 0.04;  // on the plane, of a stroke
const SHOWN = { heat: "D's answers", manifold: "G's grid", real: "Real points", generated: "Generated points", arrows: "G's gradients" };
const LEVELS = { bce: [2 * Math.LN2, Math.LN2], minimax: [2 * Math.LN2, -Math.LN2], relativistic: [Math.LN2, Math.LN2] };

const clamp = (value) => Math.min(REACH, Math.max(-REACH, value));
const LINES = [COLORS.real, COLORS.generated].map((color) => `rgb(${color})`);

export class Plane {
  constructor(root) {
    this.root = root;
    const find = (name) => root.querySelector(`.plane-${name}`);
    this.canvas = find("canvas");
    this.state = find("state");
    this.news = find("news");
    this.reading = find("reading");
    this.lossText = find("losses");
    this.view = new PlaneView(this.canvas);
    this.chart = new LossChart(find("chart"));
    this.settings = { ...DEFAULTS };
    this.dataName = "ring";
    this.dots = [];
    this.shown = { heat: true, manifold: true, real: true, generated: true, arrows: true };
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.running = this.slow = false;
    this.makeControls(find);
    this.listenToCanvas();
    this.resizing = new ResizeObserver(() => { this.measure(); this.show(); });
    for (const canvas of [this.canvas, this.chart.canvas]) this.resizing.observe(canvas);
    this.reset();
  }

  // few: modes that are reported as a collapse, after `settled` steps. tell: takes the report.
  update({ few, settled }, tell) {
    Object.assign(this, { few, settled, tell });
  }

  // Controls.

  makeControls(find) {
    this.runButton = find("run");
    this.runButton.onclick = () => this.toggle();
    find("step-d").onclick = () => this.single("D");
    find("step-g").onclick = () => this.single("G");
    find("reset").onclick = () => { this.reset(); this.say("A new game with the same seed."); };
    this.slowBox = find("slow");
    this.slowBox.onchange = () => { this.slow = this.slowBox.checked; };
    this.clearButton = find("clear");
    this.clearButton.onclick = () => { this.dots = []; this.takeData(); };
    const data = find("data");
    for (const [name, text] of Object.entries(DATA)) data.add(new Option(text, name));
    data.onchange = () => { this.dataName = data.value; this.takeData(); };
    for (const [name, label] of Object.entries(SHOWN)) {
      const field = document.createElement("label"), box = document.createElement("input");
      Object.assign(box, { type: "checkbox", checked: this.shown[name], onchange: () => { this.shown[name] = box.checked; this.show(); } });
      field.append(box, label);
      find("shown").append(field);
    }
    const offer = (place, label, onclick) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: label, onclick });
      find(place).append(button);
    };
    // A preset begins a new game: one that has found all modes is hard to break. A cure has to fix the running game.
    for (const { label, settings } of Object.values(PRESETS)) offer("presets", label, () => this.apply(settings, `Preset: ${label}.`, true));
    for (const { label, settings } of Object.values(CURES)) offer("cures", label, () => this.apply(settings, `Cure: ${label}.`));
    this.showSettings = makeFields(find("fields"), (name, value) => this.apply({ [name]: value }, ""));
  }

  // Changes settings: while the game runs, or with a new game if that is wanted or they shape the networks.
  apply(changes, news, again = false) {
    const before = this.settings, isSeed = Object.keys(changes).length === 1 && "seed" in changes;
    this.settings = { ...before, ...changes, seed: isSeed ? changes.seed : before.seed };  // presets keep the seed
    const begins = again || SHAPING.some((name) => this.settings[name] !== before[name]);
    if (begins) this.reset();
    else {
      const differs = Object.keys(this.settings).some((name) => this.settings[name] !== before[name]);
      this.treated = this.treated || (this.collapsed && differs);
      this.game.change(this.settings);
    }
    this.showSettings(this.settings);
    if (news || begins) this.say(`${news} ${begins ? "A new game begins." : ""}`.trim());
    this.show();
  }

  takeData() {
    const isDrawn = this.dataName === "drawn";
    this.game.data = this.data();
    this.clearButton.hidden = !isDrawn;
    this.canvas.style.touchAction = isDrawn ? "none" : "pan-y";
    this.view.resample();
    this.show();
    this.words();
    if (isDrawn && !this.dots.length) this.say("Draw real points on the plane: drag, or move with the arrow keys and press the space bar.");
  }

  data() {
    return this.dataName === "drawn" ? drawn(this.dots.length ? this.dots : [[0, 0]]) : SHAPES[this.dataName];
  }

  reset() {
    this.game = new Game(this.settings, this.data());
    this.view.follow(this.game);
    this.chart.clear();
    this.half = "D";
    this.band = null;
    this.collapsed = this.treated = false;  // this game, and whether a setting changed since
    this.showSettings(this.settings);
    this.show();
    this.words();
  }

  toggle() {
    this.running = !this.running;
    this.runButton.textContent = this.running ? "Pause" : "Run";
    if (this.running) { this.say(""); this.frame(performance.now()); }  // what a single step did is old news by now
    else { cancelAnimationFrame(this.asked); this.show(); this.words(); this.say(this.sentence); }
  }

  // One step of one network, by a button or in slow motion.
  single(network) {
    const { game } = this, number = game.settings[network === "D" ? "dSteps" : "gSteps"];
    for (let i = 0; i < number; i++) game[`step${network}`]();
    if (network === "G") { game.steps++; this.chart.add(game.lossD, game.lossG); }
    this.half = network === "D" ? "G" : "D";
    this.show();
    this.words();
    this.say(network === "D" ? `D learned: its loss was ${game.lossD.toFixed(2)}.` : `G moved its points: its loss was ${game.lossG.toFixed(2)}.`);
  }

  // The clock.

  frame(now) {
    if (!this.running) return;
    this.asked = requestAnimationFrame((then) => this.frame(then));
    if (this.slow) {
      if (now - (this.slowAt ?? 0) < SLOW_MS) return;
      this.slowAt = now;
      this.single(this.half);
      return;
    }
    this.train();
    if (this.game.broken) {
      this.toggle();
      this.say("The numbers have overflowed: press Reset, and choose lower learning rates.");
      return;
    }
    if (this.calm.matches && now - (this.drawnAt ?? 0) < CALM_MS) return;
    this.drawnAt = now;
    this.show();
    if (now - (this.countedAt ?? 0) < COUNT_MS) return;
    this.countedAt = now;
    if (now - (this.wordsAt ?? 0) < WORDS_MS) this.seen = this.view.count();
    else { this.wordsAt = now; this.words(); }
    this.report();
  }

  train() {
    const until = performance.now() + BUDGET_MS;
    for (let i = 0; i < MOST_STEPS && performance.now() < until; i++) {
      this.game.step();
      this.chart.add(this.game.lossD, this.game.lossG);
    }
  }

  // What is seen, said and reported.

  measure() {
    this.ratio = devicePixelRatio;
    this.view.measure();
    this.chart.measure();
  }

  show() {
    if (devicePixelRatio !== this.ratio) this.measure();  // the page was zoomed
    if (!this.running) this.ink = getComputedStyle(this.root).color;
    this.view.draw(this.shown, this.cursor, this.ink);
    this.chart.draw(LINES, LEVELS[this.settings.loss] ?? [], this.ink);
    if (this.cursor) {
      const [x, y] = this.cursor;
      this.reading.textContent = `D at (${x.toFixed(2)}, ${y.toFixed(2)}): ${this.view.answerAt(x, y).toFixed(2)}`;
    }
  }

  // Words and the color of the theme: too slow for each picture.
  words() {
    const { game } = this, { found, of, close } = (this.seen = this.view.count());
    this.ink = getComputedStyle(this.root).color;
    const modes = of ? `${found} of ${of} modes` : "no modes to count";
    this.state.textContent = `Step ${game.steps.toLocaleString("en")} · ${modes}${of ? ` · ${Math.round(100 * close)}% of the points at a mode` : ""}`;
    const losses = Number.isFinite(game.lossG) && Number.isFinite(game.lossD) ? `D's loss ${game.lossD.toFixed(2)}, G's loss ${game.lossG.toFixed(2)}` : "no losses yet";
    this.lossText.textContent = `${losses}${game.penalty ? `, penalty ${game.penalty.toFixed(2)}` : ""}`;
    this.sentence = `Step ${game.steps.toLocaleString("en")}: ${of ? `the generator reaches ${modes}` : modes}; ${losses}.`;
    this.canvas.setAttribute("aria-label", `The plane, with ${DATA[this.dataName]} as real points. ${this.sentence}`);
  }

  // For screen readers, and below the buttons: what has just happened.
  say(text) {
    this.news.textContent = text;
  }

  // The page hears only when all modes are reached, or few are left, and that lasts.
  report() {
    const { found, of } = this.seen, all = this.treated ? "all again" : "all";
    const band = this.dataName !== "ring" ? null : found === of ? all : found <= this.few ? "few" : null;
    this.lasting = band === this.before ? (this.lasting ?? 0) + 1 : 1;
    this.before = band;
    const { steps } = this.game, isEarly = band === "few" && steps < this.settled;
    if (!band || isEarly || band === this.band || this.lasting < STABLE) return;
    this.band = band;
    this.collapsed = this.collapsed || band === "few";
    this.tell?.({ found, modes: of, steps, treated: this.treated });
  }

  // Mouse, finger and keyboard on the plane: they read D's answer, and draw where one's own points are chosen.

  listenToCanvas() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [REACH * (2 * (event.clientX - box.left) / box.width - 1), REACH * (1 - 2 * (event.clientY - box.top) / box.height)].map(clamp);
    };
    canvas.onpointerdown = (event) => {
      if (event.button) return;
      this.move(place(event));
      if (this.dataName !== "drawn") return;
      canvas.setPointerCapture(event.pointerId);
      this.stroke = event.pointerId;
      this.dot(this.cursor);
    };
    canvas.onpointermove = (event) => {
      this.move(place(event));
      if (event.pointerId === this.stroke) this.dot(this.cursor);
    };
    canvas.onpointerup = canvas.onpointercancel = () => { this.stroke = null; };
    canvas.onpointerleave = canvas.onblur = () => { this.cursor = null; this.reading.textContent = ""; this.show(); };
    canvas.onfocus = () => { if (canvas.matches(":focus-visible")) this.move([0, 0]); };
    canvas.onkeydown = (event) => this.key(event);
  }

  key(event) {
    const step = event.shiftKey ? 0.2 : 0.05, [x, y] = this.cursor ?? [0, 0];
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (move) this.move([x + move[0], y + move[1]].map(clamp));
    else if (event.key === " " && this.dataName === "drawn") this.dot([x, y]);
    else return;
    event.preventDefault();
  }

  move(to) {
    this.cursor = to;
    if (!this.running || this.slow) this.show();
  }

  // One more dot of a drawing, unless it lies on the last one.
  dot([x, y]) {
    const last = this.dots[this.dots.length - 1];
    if (last && Math.hypot(last[0] - x, last[1] - y) < CLOSEST_DOTS) return;
    this.dots = [...this.dots.slice(1 - MOST_DOTS), [x, y]];
    this.takeData();
  }

  destroy() {
    this.running = false;
    cancelAnimationFrame(this.asked);
    this.resizing.disconnect();
  }
}
