// A square over the latent space. Drag the point, and the picture follows: one GET request per place, and the newest
// wins (follower.js). Streamlit calls the function again on new data, so every call starts from what the element already holds.
const pads = new WeakMap();
const MAP = 6;  // pictures of the map from side to side
const STEP = 0.02, PAN = 0.25;  // of a cell, for the arrow keys

// The seed at a crossing of the grid: always the same, and nearly always different from the others.
function seedAt(seeds, i, j) {
  if (i >= 0 && i <= 1 && j >= 0 && j <= 1) return seeds[2 * j + i];
  let h = Math.imul(i, 0x9e3779b1) ^ Math.imul(j, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 1;
}

const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

class Pad {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { element, square: find(".pad-square"), dot: find(".pad-dot"), map: find(".pad-map"), picture: find(".pad-picture"),
      reading: find(".pad-reading"), panButton: find(".pad-pan"), hint: find(".pad-hint"), corners: [...element.querySelectorAll(".pad-corner")] });
    this.follower = new Follower(this.picture, find(".pad-fault"));
    element.querySelector(".pad").padLog = this.follower.log;
    this.square.onpointerdown = (event) => this.take(event);
    this.square.onpointermove = (event) => this.drag(event);
    this.square.onpointerup = this.square.onpointercancel = (event) => this.release(event);
    this.square.onkeydown = (event) => this.key(event);
    this.panButton.onclick = () => {
      const pans = this.panButton.getAttribute("aria-pressed") !== "true";
      this.panButton.setAttribute("aria-pressed", pans);
      this.hint.textContent = pans ? "Now drag the map: the point moves with it. Press again to drag the point." : "";
    };
    find(".pad-home").onclick = () => { this.place = [0, 0, 0.5 * this.data.cells, 0.5 * this.data.cells]; this.moved(); this.settle(); };
  }

  update(data, told) {
    const what = ({ model, seeds, label, cells }) => JSON.stringify([model, seeds, label, cells]);
    const other = !this.data || what(data) !== what(this.data);
    if (!this.data || data.model !== this.data.model) this.picture.width = this.picture.height = data.size;
    this.data = data;
    this.told = told;
    this.root = base(data.page);
    if (!this.place || other) {
      this.place = [...data.place];
      this.keepInside();
      this.moved();
      this.drawMap();
    }
  }

  // The address of the picture at (x, y), in cells of the grid.
  address(x, y) {
    const i = Math.floor(x), j = Math.floor(y);
    const corners = [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]].map(([a, b]) => seedAt(this.data.seeds, a, b));
    return pictureAddress(this.root, this.data.model, this.data.label, `seeds=${corners}&u=${(x - i).toFixed(3)}&v=${(y - j).toFixed(3)}`);
  }

  keepInside() {
    const [left, top, x, y] = this.place, cells = this.data.cells;
    this.place = [left, top, clamp(x, left, left + cells), clamp(y, top, top + cells)];
  }

  moved() {
    const [left, top, x, y] = this.place, cells = this.data.cells;
    this.dot.style.left = `${100 * (x - left) / cells}%`;
    this.dot.style.top = `${100 * (y - top) / cells}%`;
    const i = Math.floor(x), j = Math.floor(y);
    const corners = [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]].map(([a, b]) => seedAt(this.data.seeds, a, b));
    this.reading.textContent = `Between the seeds ${corners.join(", ")}: ${Math.round(100 * (x - i))}% across, ${Math.round(100 * (y - j))}% down`;
    this.nameCorners();
    this.follower.show(this.address(x, y));
  }

  // Which seed is at each corner of the square; none where the map was moved so far that a corner is not at a crossing.
  nameCorners() {
    const [left, top] = this.place, { cells, seeds } = this.data;
    this.corners.forEach((corner, n) => {
      const i = left + cells * (n % 2), j = top + cells * Math.floor(n / 2);
      const at = Math.abs(i - Math.round(i)) < 1e-6 && Math.abs(j - Math.round(j)) < 1e-6;
      corner.textContent = at ? `seed ${seedAt(seeds, Math.round(i), Math.round(j))}` : "";
    });
  }

  // The map under the finger: pictures at even places, one after the other, only while the hand rests.
  async drawMap() {
    const [left, top] = this.place, { cells, size } = this.data, round = (this.mapRound = (this.mapRound ?? 0) + 1);
    const scale = Math.max(1, Math.round(64 / size)) * size;
    if (this.map.width !== MAP * scale) this.map.width = this.map.height = MAP * scale;
    const context = this.map.getContext("2d");
    context.imageSmoothingEnabled = false;
    for (let n = 0; n < MAP * MAP; n++) {
      const column = n % MAP, row = Math.floor(n / MAP);
      try {
        const answer = await patient(this.address(left + cells * (column + 0.5) / MAP, top + cells * (row + 0.5) / MAP), () => round === this.mapRound);
        if (round !== this.mapRound) return;
        if (!answer.ok) return;  // the picture itself reports the error
        context.drawImage(await createImageBitmap(await answer.blob()), column * scale, row * scale, scale, scale);
      } catch { return; }
    }
  }

  take(event) {
    this.square.setPointerCapture(event.pointerId);
    this.square.focus({ preventScroll: true });
    this.held = { x: event.clientX, y: event.clientY, place: [...this.place], pans: event.shiftKey || this.panButton.getAttribute("aria-pressed") === "true" };
    this.drag(event);
    event.preventDefault();
  }

  drag(event) {
    if (!this.held) return;
    const box = this.square.getBoundingClientRect(), cells = this.data.cells, { place } = this.held;
    if (this.held.pans) {
      const dx = cells * (event.clientX - this.held.x) / box.width, dy = cells * (event.clientY - this.held.y) / box.height;
      this.place = [place[0] - dx, place[1] - dy, place[2] - dx, place[3] - dy];
      this.map.style.transform = `translate(${event.clientX - this.held.x}px, ${event.clientY - this.held.y}px)`;
    } else {
      this.place = [place[0], place[1], place[0] + cells * clamp((event.clientX - box.left) / box.width, 0, 1),
        place[1] + cells * clamp((event.clientY - box.top) / box.height, 0, 1)];
    }
    this.moved();
  }

  release() {
    if (!this.held) return;
    const panned = this.held.pans;
    this.held = null;
    this.settle(panned);
  }

  key(event) {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (dx === undefined) return;
    event.preventDefault();
    const pans = event.shiftKey, by = (pans ? PAN : STEP) * this.data.cells, [left, top, x, y] = this.place;
    this.place = [left + (pans ? by * dx : 0), top + (pans ? by * dy : 0), x + by * dx, y + by * dy];
    this.keepInside();
    this.moved();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.settle(pans), 400);
  }

  // When the hand rests, the address follows, and the map is redrawn if it was moved.
  settle(panned = true) {
    if (panned) {
      this.map.style.transform = "";
      this.drawMap();
    }
    this.told("place", this.place.map((value) => +value.toFixed(3)));
  }

  destroy() {
    clearTimeout(this.resting);
    this.mapRound = NaN;
    this.follower.end();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) pads.set(parentElement, (pad = new Pad(parentElement)));
  pad.update(data, setStateValue);
  return () => { pad.destroy(); pads.delete(parentElement); };
}
