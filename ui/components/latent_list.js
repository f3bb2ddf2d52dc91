// A list of latent vectors. The browser has the list while someone works on it, and tells the script about each change. The script's
// list replaces it only with a new revision (a file was loaded, say). Pictures come from the server's route.
const lists = new WeakMap();
const SETTLES_MS = 250;  // several presses in a row are sent once

const ICONS = {
  earlier: "M14 6l-6 6 6 6", later: "M10 6l6 6-6 6",
  lock: "M6 11h12v9H6z M9 11V8a3 3 0 0 1 6 0v3", open: "M6 11h12v9H6z M9 11V7a3 3 0 0 1 5.8-1",
  renew: "M19 12a7 7 0 1 1-2-5 M17 3v4h-4", remove: "M7 7l10 10 M17 7L7 17",
};

const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;

const ITEM = `
  <div class="nl-picture"><img alt="" hidden><span class="nl-note"></span><span class="nl-place" aria-hidden="true"></span></div>
  <input class="nl-name" maxlength="40" placeholder="Name">
  <label class="nl-seed"><span>Seed</span><input inputmode="numeric" autocomplete="off" required pattern="[0-9]{1,19}"></label>
  <div class="nl-tools">
    <button type="button" data-does="earlier">${icon("earlier")}</button>
    <button type="button" data-does="later">${icon("later")}</button>
    <button type="button" data-does="lock"></button>
    <button type="button" data-does="renew">${icon("renew")}</button>
    <button type="button" data-does="remove">${icon("remove")}</button>
  </div>`;

class LatentList {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { element, list: find(".nl-list"), said: find(".nl-said"), add: find(".nl-add"), fresh: find(".nl-new"), items: [] });
    this.add.onclick = () => {
      this.items.push(this.item({ seed: this.seed() }));
      this.changed(`Vector ${this.items.length} added.`);
    };
    this.fresh.onclick = () => {
      const free = this.items.filter((item) => !item.locked);
      free.forEach((item) => this.renew(item));
      this.changed(`${free.length} new vectors.`);
    };
  }

  update(data, told) {
    this.data = data;
    this.told = told;
    this.root = base(data.page);
    if (data.revision !== this.revision) {
      clearTimeout(this.telling);
      this.revision = data.revision;
      this.items = data.items.map((given) => this.item(given));
    } else {  // another generator may or may not accept the numbers
      const pictures = new Map(data.items.filter((given) => given.ref).map((given) => [given.ref, given.z]));
      for (const item of this.items) if (item.ref) item.z = pictures.get(item.ref) ?? null;
    }
    this.draw();
  }

  item(given) {
    const node = document.createElement("li"), item = { name: "", locked: false, seed: null, ref: null, z: null, ...given, node };
    node.className = "nl-item";
    node.innerHTML = ITEM;
    const [name, seed] = node.querySelectorAll("input");
    Object.assign(item, { image: node.querySelector("img"), note: node.querySelector(".nl-note"), nameField: name, seedField: seed });
    item.buttons = Object.fromEntries([...node.querySelectorAll("button")].map((button) => [button.dataset.does, button]));
    name.onchange = () => { item.name = name.value.trim(); this.changed(""); };
    seed.onchange = () => this.typed(item);
    item.image.onload = () => { item.image.hidden = false; item.note.textContent = ""; };
    item.image.onerror = () => { item.image.hidden = true; item.note.textContent = "No picture"; };
    node.onclick = (event) => {
      const button = event.target.closest("button");
      if (button) this.does(item, button);
    };
    return item;
  }

  seed() {
    return String(Math.floor(Math.random() * this.data.seeds));
  }

  renew(item) {
    Object.assign(item, { seed: this.seed(), ref: null, z: null });
  }

  typed(item) {
    const text = item.seedField.value.trim(), fits = /^[0-9]{1,19}$/.test(text) && BigInt(text) <= BigInt(this.data.largest);
    item.seedField.setCustomValidity(fits ? "" : "A seed is a whole number, 0 to 2^63 - 1");
    if (!fits) { item.seedField.reportValidity(); return; }
    Object.assign(item, { seed: BigInt(text).toString(), ref: null, z: null });
    this.changed("");
  }

  does(item, button) {
    const at = this.items.indexOf(item), what = button.dataset.does;
    if (what === "lock") {
      item.locked = !item.locked;
      this.changed(item.locked ? "Locked." : "Unlocked.");
    } else if (what === "renew") {
      this.renew(item);
      this.changed("Another seed.");
    } else if (what === "remove") {
      this.items.splice(at, 1);
      this.changed(`Removed. ${this.items.length} are left.`);
      this.items[Math.min(at, this.items.length - 1)].buttons.remove.focus();
    } else {
      const to = at + (what === "later" ? 1 : -1);
      [this.items[at], this.items[to]] = [this.items[to], this.items[at]];
      this.changed(`Moved to place ${to + 1}.`);
      (button.disabled ? item.buttons[what === "later" ? "earlier" : "later"] : button).focus();  // moving removes the focus
    }
  }

  draw() {
    const { data, items } = this, nodes = items.map((item) => item.node);
    if (nodes.length !== this.list.children.length || nodes.some((node, i) => node !== this.list.children[i])) this.list.replaceChildren(...nodes);
    items.forEach((item, i) => {
      const place = i + 1, { buttons } = item;
      item.node.classList.toggle("nl-locked", item.locked);
      item.node.querySelector(".nl-place").textContent = place;
      if (document.activeElement !== item.nameField) item.nameField.value = item.name;
      item.nameField.setAttribute("aria-label", `Name of vector ${place}`);
      item.seedField.setAttribute("aria-label", `Seed of vector ${place}`);
      item.seedField.required = !item.ref;
      item.seedField.placeholder = item.ref ? "from numbers" : "";
      if (document.activeElement !== item.seedField || !item.seedField.validationMessage) item.seedField.value = item.seed ?? "";
      const told = { earlier: "Move earlier", later: "Move later", lock: item.locked ? "Unlock" : "Lock: New vectors does not change it",
        renew: "Another seed", remove: "Remove" };
      for (const [what, button] of Object.entries(buttons)) {
        button.title = told[what];
        button.setAttribute("aria-label", `${told[what].split(":")[0]}, vector ${place}`);
      }
      buttons.lock.innerHTML = icon(item.locked ? "lock" : "open");
      buttons.lock.setAttribute("aria-label", `Lock vector ${place}`);
      buttons.lock.setAttribute("aria-pressed", item.locked);
      buttons.earlier.disabled = i === 0;
      buttons.later.disabled = i === items.length - 1;
      buttons.remove.disabled = items.length <= data.least;
      const what = item.ref ? item.z && `z=${item.z}` : `seeds=${item.seed}`;
      const label = data.label == null ? "" : `&class=${encodeURIComponent(data.label)}`;
      const address = what ? `${this.root}api/models/${encodeURIComponent(data.model)}/image.png?${what}${label}` : "";
      item.image.alt = `Picture of ${item.name || (item.seed ? `seed ${item.seed}` : `vector ${place}`)}`;
      if (item.address !== address) {
        item.address = address;
        if (address) item.image.src = address;
        else { item.image.hidden = true; item.note.textContent = "Made for another latent size"; }
      }
    });
    this.add.disabled = items.length >= data.most;
    this.fresh.disabled = items.every((item) => item.locked);
  }

  changed(said) {
    this.said.textContent = said;
    this.draw();
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.tell(), SETTLES_MS);
  }

  tell() {
    const list = this.items.map(({ name, seed, ref, locked }) => (ref ? { name, ref, locked } : { name, seed, locked }));
    this.told("list", list);
  }

  destroy() {
    clearTimeout(this.telling);
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let list = lists.get(parentElement);
  if (!list) lists.set(parentElement, (list = new LatentList(parentElement)));
  list.update(data, setStateValue);
  return () => { list.destroy(); lists.delete(parentElement); };
}
