// A - B + C with latent vectors. A click puts a picture into a group. The server computes the means, and the browser computes
// the result, so it follows while you drag its strength. Streamlit calls the function again on new data.
const arithmetics = new WeakMap();
const SIGNS = { a: "", b: "−", c: "+" };
const SHOWN = 36;  // pictures to choose from at once
const MEMBERS = 6;  // of a group shown

class Arithmetic {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { groups: find(".ar-groups"), result: find(".ar-result"), reading: find(".ar-reading"), grid: find(".ar-grid"),
      strength: find(".ar-strength input"), strengthText: find(".ar-strength output"), jitter: find(".ar-jitter input"),
      jitterText: find(".ar-jitter output"), section: find(".ar"), offset: 0 });
    this.cells = [...this.result.querySelectorAll("canvas")];
    this.follower = new Follower(this.cells[4], find(".ar-fault"));
    this.section.arLog = this.follower.log;
    for (const input of [this.strength, this.jitter]) {
      input.oninput = () => this.moved(input === this.strength);
      input.onchange = () => this.rest();
    }
    find(".ar-more").onclick = () => { this.offset += SHOWN; this.drawGrid(); };
    for (const radio of this.section.querySelectorAll("[name=ar-group]")) radio.onchange = () => this.drawGroups();
  }

  update(data, told) {
    const before = this.data;
    this.data = data;
    this.told = told;
    this.root = base(data.page);
    if (!before || before.round !== data.round) {
      this.strength.value = data.strength;
      this.jitter.value = data.jitter;
    }
    if (before?.size !== data.size) for (const canvas of this.cells) canvas.width = canvas.height = data.size;
    this.drawGroups();
    const grid = ({ model, label, groups }) => JSON.stringify([model, label, groups.map((group) => group.seeds)]);
    if (!before || grid(before) !== grid(data)) this.drawGrid();
    this.moved();
    this.drawJittered();
  }

  address(what) {
    return pictureAddress(this.root, this.data.model, this.data.label, what);
  }

  picture(seed, alt = `Seed ${seed}`) {
    return Object.assign(document.createElement("img"), { src: this.address(`seeds=${seed}`), alt, loading: "lazy", draggable: false });
  }

  drawGroups() {
    const chosen = this.chosen();
    this.groups.replaceChildren(...this.data.groups.map(({ letter, title, seeds, count, picked, picture }) => {
      const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
      const card = make("figure", "ar-card"), members = make("div", "ar-members");
      card.classList.toggle("ar-chosen", letter === chosen);
      const what = picked && count === 1 ? `seeds=${seeds[0]}` : `z=${picture}`;
      const mean = Object.assign(make("img", "ar-mean"), { src: this.address(what), alt: `The mean of group ${letter.toUpperCase()}` });
      members.append(...seeds.slice(0, MEMBERS).map((seed) => this.picture(seed)));
      if (count > MEMBERS) members.append(make("span", "", `and ${(count - Math.min(MEMBERS, seeds.length)).toLocaleString("en")} more`));
      if (!picked) members.append(make("span", "", "The mean of many is short, so it is drawn at the usual length."));
      card.onclick = () => { this.section.querySelector(`[name=ar-group][value=${letter}]`).checked = true; this.drawGroups(); };
      card.append(make("span", "ar-sign", SIGNS[letter]), make("figcaption", "", `${letter.toUpperCase()}: ${title}`), mean, members);
      return card;
    }));
  }

  chosen() {
    return this.section.querySelector("[name=ar-group]:checked").value;
  }

  // Pictures of seeds, one after the other; with the letters of the groups that each is in.
  drawGrid() {
    this.grid.replaceChildren(...Array.from({ length: SHOWN }, (_, i) => {
      const seed = this.offset + i, button = Object.assign(document.createElement("button"), { type: "button" });
      const letters = this.data.groups.filter((group) => group.picked && group.seeds.includes(seed)).map((group) => group.letter.toUpperCase()).join("");
      button.append(this.picture(seed, ""), Object.assign(document.createElement("span"), { textContent: letters }));
      button.setAttribute("aria-label", `Seed ${seed}${letters ? `, in ${[...letters].join(" and ")}` : ""}`);
      button.title = `Seed ${seed}`;
      button.onclick = () => this.pick(seed);
      return button;
    }));
  }

  // Adds a picture to the chosen group, or removes it.
  pick(seed) {
    const place = this.offset, focused = seed - place;
    const group = this.data.groups.find(({ letter }) => letter === this.chosen());
    const seeds = group.picked ? group.seeds : [];  // picking by hand replaces a mean of many
    group.seeds = seeds.includes(seed) ? seeds.filter((other) => other !== seed) : [...seeds, seed];
    group.picked = true;
    group.count = group.seeds.length;
    this.drawGrid();
    this.grid.children[focused].focus({ preventScroll: true });
    this.told("picked", { [group.letter]: group.seeds.join(","), time: Date.now() });
  }

  // C + strength * (A - B), within the bounds of z, if it has any.
  point(noise = null) {
    const [a, b, c] = this.data.groups.map((group) => group.vector), strength = +this.strength.value, jitter = +this.jitter.value;
    const most = this.data.bound ?? Infinity;
    return c.map((value, i) => Math.min(most, Math.max(-most, value + strength * (a[i] - b[i]) + (noise ? jitter * noise[i] : 0))));
  }

  ask(z) {
    return this.address(`z=${z.map((value) => +value.toFixed(4))}`);
  }

  moved(center = true) {
    this.strengthText.textContent = `${(+this.strength.value).toFixed(1)} ×`;
    this.jitterText.textContent = `±${(+this.jitter.value).toFixed(2)}`;
    const z = this.point(), [low, high] = this.data.known, length = Math.hypot(...z);
    const word = length < low ? "shorter than in training" : length > high ? "longer than in training" : "as in training";
    this.reading.textContent = `Length of z in the middle: ${length.toFixed(1)}, ${word} (${low.toFixed(1)} to ${high.toFixed(1)})`;
    if (center) this.follower.show(this.ask(z));
  }

  // The eight pictures around the middle, one after the other, when the hand rests.
  async drawJittered() {
    const round = (this.drawing = (this.drawing ?? 0) + 1), around = this.cells.filter((_, i) => i !== 4);
    for (const [i, canvas] of around.entries()) {
      try {
        const answer = await patient(this.ask(this.point(this.data.noise[i])), () => round === this.drawing);
        if (!answer.ok || round !== this.drawing) return;  // the middle picture reports the error
        const image = await createImageBitmap(await answer.blob());
        if (round !== this.drawing) return;
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      } catch { return; }
    }
  }

  rest() {
    this.drawJittered();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.told("at", { round: this.data.round, strength: +this.strength.value, jitter: +this.jitter.value }), 300);
  }

  destroy() {
    clearTimeout(this.resting);
    this.drawing = NaN;
    this.follower.end();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let view = arithmetics.get(parentElement);
  if (!view) arithmetics.set(parentElement, (view = new Arithmetic(parentElement)));
  view.update(data, setStateValue);
  return () => { view.destroy(); arithmetics.delete(parentElement); };
}
