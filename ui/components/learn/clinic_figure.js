// The figure of the lesson "What is wrong with it?": recorded runs to look at, a diagnosis for each, and then what the doctor says.
import { Lines } from "./lines.js";
import { sigmoid } from "./losses.js";

const COLORS = { real: "rgb(37, 99, 235)", generated: "rgb(234, 88, 12)" };
const FRAME_MS = 450;  // of a grid, while it plays
const MARKS = { right: "✓", wrong: "✗" };

const words = (value, digits = 2) => value == null ? "unknown" : value.toFixed(Math.abs(value) >= 100 ? 0 : digits).replace("-", "−");
const asAnswer = (score) => words(score == null ? null : sigmoid(score));  // scores are means over many images, before the sigmoid
const sign = (step) => `Step ${step.toLocaleString("en")}`;

// An element with text and attributes.
function made(tag, text = "", attributes = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...attributes });
}

// The last of some rows with a step up to this one; undefined if there is none.
const lastUntil = (rows, step) => rows.findLast((row) => row.step <= step);

export class Clinic {
  constructor(root) {
    this.root = root;
    const find = (name) => root.querySelector(`.clinic-${name}`);
    this.parts = Object.fromEntries(["cases", "grid", "step", "slider", "play", "scores", "options", "result", "count", "again", "fault"].map((name) => [name, find(name)]));
    this.answersChart = new Lines(find("answers"), { low: 0, high: 1, ticks: [0, 0.5, 1] });
    this.distanceChart = new Lines(find("distance"), { low: 1, high: 300, ticks: [1, 10, 100], log: true });
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.answers = {};
    this.loaded = {};
    const { slider, play, again } = this.parts;
    slider.oninput = () => { this.pause(); this.show(); };
    play.onclick = () => this.timer ? this.pause() : this.play();
    again.onclick = () => { this.hasAnswered = true; this.answers = {}; this.tell?.({ answers: {} }); this.choose(this.data.cases[0].id); };
    this.resizing = new ResizeObserver(() => this.show());
    this.resizing.observe(root);
  }

  // cases: [{ id, trouble, cause, see, finding }], where finding is { name, since, why, evidence, also } or null. options: [[trouble, label]].
  update(data, tell) {
    const isFirst = !this.data;
    Object.assign(this, { data, tell });
    this.restore(data.answers);
    if (!isFirst) return;
    this.buttons = data.cases.map(({ id }) => made("button", "", { type: "button", onclick: () => this.choose(id) }));
    this.parts.cases.append(...this.buttons);
    this.optionButtons = data.options.map(([trouble, label]) => made("button", label, { type: "button", onclick: () => this.answer(trouble) }));
    this.parts.options.append(...this.optionButtons);
    this.choose(data.cases[0].id);
  }

  // Shows the diagnoses from earlier visits, unless there are newer ones. The server knows the visitor only after the first picture.
  restore(answers) {
    if (this.hasAnswered || !Object.keys(answers).length) return;
    this.answers = { ...answers };
    if (this.case) this.mark();
  }

  async choose(id) {
    this.pause();
    this.case = this.data.cases.find((one) => one.id === id);
    this.mark();
    try {
      this.loaded[id] ??= this.load(id);
      const run = await this.loaded[id];
      if (this.case.id !== id) return;  // another one was chosen meanwhile
      this.run = run;
      this.parts.fault.textContent = "";
    } catch (error) {
      delete this.loaded[id];  // the next press tries again
      this.parts.fault.textContent = `The case cannot be loaded: choose it again. (${error.message})`;
      return;
    }
    const { slider } = this.parts, { grids } = this.run;
    slider.max = grids.length - 1;
    slider.value = grids.length - 1;
    this.show();
    if (!(id in this.answers) && !this.calm.matches) this.play();
  }

  async load(id) {
    const picture = new Image();
    picture.src = new URL(`../course/${id}.png`, import.meta.url).href;
    const [answer] = await Promise.all([fetch(new URL(`../course/${id}.json`, import.meta.url)), picture.decode()]);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return { ...await answer.json(), picture };
  }

  // Plays the grids once.
  play() {
    const { slider, play } = this.parts;
    play.textContent = "Pause";
    slider.value = 0;
    this.show();
    this.timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      this.show();
      if (slider.value === slider.max) this.pause();
    }, FRAME_MS);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.parts.play.textContent = "Play";
  }

  show() {
    if (!this.run) return;
    const { grids, picture, metrics, judged } = this.run, { slider, grid, step: label } = this.parts;
    const index = Number(slider.value), step = grids[index], size = picture.naturalWidth, ink = getComputedStyle(this.root).color;
    Object.assign(grid, { width: size, height: size });
    grid.getContext("2d").drawImage(picture, 0, index * size, size, size, 0, 0, size, size);
    label.textContent = sign(step);
    slider.setAttribute("aria-valuetext", sign(step));
    const last = grids.at(-1), answers = lastUntil(metrics, step), score = lastUntil(judged, step);
    const series = (rows, name, color, dots = false) => ({ steps: rows.map((row) => row.step), values: rows.map((row) => row[name]), color, dots });
    this.answersChart.draw([series(metrics, "d_real", COLORS.real), series(metrics, "d_fake", COLORS.generated)], last, step, ink);
    this.distanceChart.draw([{ ...series(judged, "fd_floor", ink), faint: true }, series(judged, "fd", ink, true)], last, step, ink);
    const said = `${sign(step)}: D answers ${words(answers?.d_real)} to real images and ${words(answers?.d_fake)} to generated ones.`;
    this.answersChart.canvas.setAttribute("aria-label", said);
    const far = score ? `FD ${words(score.fd, 1)}; ${words(score.fd_floor, 1)} for real images.` : "No score yet.";
    this.distanceChart.canvas.setAttribute("aria-label", `${sign(step)}: ${far}`);
    grid.setAttribute("aria-label", `36 generated images at ${sign(step).toLowerCase()}. ${this.variety(score)}`);
    this.writeScores(score);
  }

  variety(score) {
    return score ? `Their variety is ${Math.round(100 * score.diversity / score.diversity_real)}% of that of real images.` : "";
  }

  writeScores(score) {
    const rows = score ? [
      ["Variety, compared with real images", `${Math.round(100 * score.diversity / score.diversity_real)}%`],
      ["Digits that hardly appear", score.missing.length ? score.missing.join(", ") : "none"],
      ["D's typical answer to its training images", asAnswer(score.d_train)],
      ["D's typical answer to new real images", asAnswer(score.d_held_out)],
      ["D's typical answer to generated images", asAnswer(score.d_fake)],
    ] : [["Scores", "not yet"]];
    this.parts.scores.replaceChildren(...rows.map(([name, value]) => {
      const row = made("tr");
      row.append(made("th", name, { scope: "row" }), made("td", value));
      return row;
    }));
  }

  // The diagnosis.

  answer(trouble) {
    if (this.case.id in this.answers) return;
    this.hasAnswered = true;
    this.answers = { ...this.answers, [this.case.id]: trouble };
    this.pause();
    this.mark();
    this.tell?.({ answers: this.answers });
  }

  // Shows which cases are diagnosed, and the diagnosis of the open one.
  mark() {
    const { data, answers, parts } = this, answer = answers[this.case.id];
    const state = ({ id, trouble }) => id in answers ? (answers[id] === trouble ? "right" : "wrong") : "";
    data.cases.forEach((one, i) => {
      const known = state(one);
      this.buttons[i].textContent = `Case ${i + 1}${known ? ` ${MARKS[known]}` : ""}`;
      this.buttons[i].setAttribute("aria-pressed", one === this.case);
      this.buttons[i].setAttribute("aria-label", `Case ${i + 1}${known ? `, ${known}` : ""}`);
    });
    data.options.forEach(([trouble], i) => {
      const button = this.optionButtons[i];
      button.disabled = answer !== undefined;
      button.classList.toggle("clinic-right", answer !== undefined && trouble === this.case.trouble);
      button.classList.toggle("clinic-wrong", trouble === answer && answer !== this.case.trouble);
    });
    const right = data.cases.filter((one) => state(one) === "right").length;
    const given = Object.keys(answers).length;
    parts.count.textContent = given ? `${right} right of ${given} diagnosed.` : "";
    parts.again.hidden = !given;
    parts.result.replaceChildren(...answer === undefined ? [] : this.told(answer));
  }

  // What the doctor saw, and why.
  told(given) {
    const { trouble, cause, see, finding } = this.case, label = Object.fromEntries(this.data.options)[trouble];
    const parts = [made("p", given === trouble ? "Right." : `Not quite: ${label[0].toLowerCase()}${label.slice(1)}.`, { className: "clinic-verdict" })];
    parts.push(made("p", finding ? `The doctor: ${finding.name}, since step ${finding.since.toLocaleString("en")}. ${finding.why}` : "The doctor finds nothing wrong."));
    if (finding) {
      const list = made("ul");
      list.append(...finding.evidence.map((text) => made("li", text)));
      parts.push(list);
      if (finding.also.length) parts.push(made("p", `It also finds: ${finding.also.join("; ")}.`));
    }
    parts.push(made("p", `At the end the curves show: ${see}`), made("p", `What happened: ${cause}`));
    return parts;
  }

  destroy() {
    this.pause();
    this.resizing.disconnect();
  }
}
