// The figure of the lesson "Real or fake?": the visitor judges the images of a round, then sees the truth and D's answers.
import { json, picture } from "./assets.js";

const SAYS = { real: "Real", fake: "Fake" };
const KEYS = { r: "real", f: "fake" };

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Draws images of a round: a coin decides for each whether it is real, and no image appears twice. uniform: random numbers in [0, 1).
export function deal(count, real, generated, uniform = Math.random) {
  const left = [Array.from({ length: real }, (_, i) => i), Array.from({ length: generated }, (_, i) => real + i)];
  return Array.from({ length: count }, () => {
    const side = left[uniform() < 0.5 ? 0 : 1];
    return side.splice(Math.floor(uniform() * side.length), 1)[0];
  });
}

// How many answers are right. says: "real" or "fake" for each image.
export function score(says, truths) {
  return says.filter((said, i) => said === truths[i]).length;
}

export class RealOrFake {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.quiz-${name}`);
    this.find("check").onclick = () => this.check();
    this.find("again").onclick = () => this.deal();
    this.find("next").onclick = () => this.open(this.number + 1);
    this.find("images").onkeydown = (event) => this.key(event);
    this.loaded = [];
  }

  update(data, tell) {
    this.tell = tell;
    if (this.scores) return;
    this.scores = Array(data.rounds).fill(null);
    this.buttons = this.scores.map((_, number) => element("button", { type: "button", textContent: `Round ${number + 1}`, onclick: () => this.open(number) }));
    this.find("rounds").append(...this.buttons);
    this.open(0);
  }

  // Shows a round with new images.
  async open(number) {
    this.number = number;
    this.buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === number));
    try {
      this.loaded[number] ??= json(`real-or-fake-${number + 1}.json`).then(async (round) => ({ ...round, sheet: await picture(round.sheet) }));
      const round = await this.loaded[number];
      if (this.number !== number) return;  // another one was opened meanwhile
      this.round = round;
      this.find("fault").textContent = "";
      this.deal();
    } catch (error) {
      delete this.loaded[number];
      this.find("lead").textContent = "";
      this.find("fault").textContent = `The images cannot be loaded: press the round again. (${error.message})`;
    }
  }

  deal() {
    const { images, real, answers, step } = this.round;
    this.dealt = deal(images, real, answers.length - real);
    this.says = Array(images).fill(null);
    this.done = false;
    this.find("lead").textContent = `Round ${this.number + 1}: G and D have trained for ${step.toLocaleString("en")} steps.`;
    this.find("score").textContent = "";
    this.tiles = this.dealt.map((_, i) => this.tile(i));
    this.find("images").replaceChildren(...this.tiles.map((tile) => tile.figure));
    this.show();
  }

  tile(i) {
    const { size, columns, sheet } = this.round, number = this.dealt[i];
    const canvas = element("canvas", { width: size, height: size });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Image ${i + 1}`);
    canvas.getContext("2d").drawImage(sheet, number % columns * size, Math.floor(number / columns) * size, size, size, 0, 0, size, size);
    const buttons = Object.fromEntries(Object.entries(SAYS).map(([says, textContent]) => {
      const button = element("button", { type: "button", textContent, onclick: () => this.say(i, says) });
      button.setAttribute("aria-label", `Image ${i + 1} is ${says}`);
      return [says, button];
    }));
    const choice = element("div", { className: "quiz-choice" }, ...Object.values(buttons)), verdict = element("div", { className: "quiz-verdict" });
    return { canvas, buttons, verdict, figure: element("figure", { className: "quiz-tile" }, canvas, choice, verdict) };
  }

  truth(i) {
    return this.dealt[i] < this.round.real ? "real" : "fake";
  }

  // D says real above 1/2.
  discriminator(i) {
    return this.round.answers[this.dealt[i]] > 0.5 ? "real" : "fake";
  }

  say(i, says) {
    if (this.done) return;
    this.says[i] = says;
    this.show();
  }

  show() {
    const left = this.says.filter((said) => !said).length;
    this.tiles.forEach(({ buttons }, i) => {
      for (const [says, button] of Object.entries(buttons)) {
        button.setAttribute("aria-pressed", this.says[i] === says);
        button.disabled = this.done;
      }
    });
    this.find("check").disabled = this.done || left > 0;
    this.find("check").textContent = left ? `Check (${left} left)` : "Check";
    this.find("check").hidden = this.done;
    this.find("legend").hidden = !this.done;
    this.find("next").hidden = !this.done || this.number + 1 >= this.scores.length;
  }

  check() {
    this.done = true;
    this.show();
    this.tiles.forEach(({ figure, canvas, verdict }, i) => {
      const truth = this.truth(i), answer = this.round.answers[this.dealt[i]], mark = (said) => said === truth ? "✓" : "✗";
      figure.dataset.truth = truth;
      const bar = element("span", { className: "quiz-bar" }, element("i"));
      bar.firstChild.style.width = `${100 * answer}%`;
      verdict.replaceChildren(element("b", { textContent: SAYS[truth] }), `You ${mark(this.says[i])} · D ${mark(this.discriminator(i))} ${answer.toFixed(2)}`, bar);
      canvas.setAttribute("aria-label", `Image ${i + 1} is ${truth}. You said ${this.says[i]}. D answered ${answer.toFixed(2)}`);
    });
    const truths = this.dealt.map((_, i) => this.truth(i)), count = truths.length;
    const you = score(this.says, truths), d = score(truths.map((_, i) => this.discriminator(i)), truths);
    this.scores[this.number] = [you, d];
    const winner = you > d ? "You beat D." : you === d ? "You and D are even." : "D was better.";
    const apart = this.says.filter((said, i) => said !== this.discriminator(i)).length;
    const together = apart ? `You disagreed about ${apart} ${apart === 1 ? "image" : "images"}.` : "You agreed about every image.";
    this.find("score").textContent = `You got ${you} of ${count} right, D ${d}. ${winner} ${together}`;
    this.table(count);
    (this.find("next").hidden ? this.find("again") : this.find("next")).focus({ preventScroll: true });
    this.tell?.({ rounds: this.scores });
  }

  table(count) {
    const played = this.scores.flatMap((scores, number) => scores ? [[number + 1, ...scores, count / 2]] : []);
    this.find("table").hidden = false;
    this.find("table").tBodies[0].replaceChildren(...played.map((row) => element("tr", {}, ...row.map((textContent) => element("td", { textContent })))));
  }

  // Arrow keys move to the same button of another image; R and F answer for the image that has the focus.
  key(event) {
    const at = this.tiles.findIndex(({ figure }) => figure.contains(event.target));
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = getComputedStyle(this.find("images")).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key], says = KEYS[event.key.toLowerCase()];
    if (step === undefined && !says) return;
    event.preventDefault();
    if (says) { this.say(at, says); return; }
    const same = this.tiles[at].buttons.real === event.target ? "real" : "fake";
    this.tiles[Math.min(this.tiles.length - 1, Math.max(0, at + step))].buttons[same].focus();
  }

  destroy() {}
}
