// Paper to draw on, as vector strokes: the server draws them with the pen of its own outlines and translates the result. The newest
// drawing wins (follower.js). Streamlit calls the function again on new data, so every call starts from what the element already holds.
const papers = new WeakMap();
const SIDE = 256, LINE = 5, RUBBER = 22;  // of the server's canvas; see gan/explore/strokes.py
const LEAST = 2;  // between two points of a stroke
const MOST_TEXT = 15000;  // characters of an address
const OUTLINES = 1000000;

const hex = (value) => Math.max(0, Math.min(SIDE - 1, Math.round(value))).toString(16).padStart(2, "0");

class Paper {
  constructor(element) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { element, paper: find(".dr-paper"), picture: find(".dr-picture"), reading: find(".dr-reading"), rub: find(".dr-rub"),
      other: find(".dr-other"), strokes: [], pen: [SIDE / 2, SIDE / 2], down: false });
    this.follower = new Follower(this.picture, find(".dr-fault"));
    element.querySelector(".drawing").drawingLog = this.follower.log;
    this.paper.onpointerdown = (event) => this.take(event);
    this.paper.onpointermove = (event) => this.drag(event);
    this.paper.onpointerup = this.paper.onpointercancel = () => { this.held = false; };
    this.paper.onkeydown = (event) => this.key(event);
    this.paper.onblur = () => { this.down = false; this.draw(); };
    this.rub.onclick = () => this.rub.setAttribute("aria-pressed", String(this.rub.getAttribute("aria-pressed") !== "true"));
    find(".dr-undo").onclick = () => { this.strokes.pop(); this.changed(); };
    find(".dr-clear").onclick = () => this.begin(null);
    this.other.onclick = () => this.begin(Math.floor(Math.random() * OUTLINES));
  }

  update(data) {
    const first = !this.data, other = first || data.model !== this.data.model;
    this.data = data;
    this.root = base(data.page);
    this.other.hidden = data.start == null;
    if (other) this.picture.width = this.picture.height = data.size;
    if (first || (data.start == null && this.start != null)) this.begin(data.start);
    else if (other) this.changed();
  }

  // Empty paper, or the outline of this number on it.
  begin(start) {
    Object.assign(this, { start, strokes: [], outline: null });
    if (start == null) { this.changed(); return; }
    const image = new Image();
    image.onload = () => { if (this.start === start) { this.outline = image; this.draw(); } };
    image.src = `${this.address()}&show=drawing`;
    this.changed();
  }

  address() {
    const strokes = this.strokes.map(({ rubs, points }) => (rubs ? "e" : "") + points.map(([x, y]) => hex(x) + hex(y)).join("")).join(".");
    const start = this.start == null ? "" : `&start=${this.start}`;
    return `${this.root}api/models/${encodeURIComponent(this.data.model)}/translation.png?strokes=${strokes}${start}`;
  }

  changed() {
    this.draw();
    const address = this.address();
    if (address.length > MOST_TEXT) { this.reading.textContent = "The paper is full: undo a line, or start again."; return; }
    const lines = this.strokes.length;
    const drawn = lines ? `${lines} line${lines === 1 ? "" : "s"} that you drew` : "";
    this.reading.textContent = [this.start == null ? "" : `Outline ${this.start}`, drawn].filter(Boolean).join(", ") || "Empty paper";
    this.follower.show(address);
  }

  draw() {
    const context = this.paper.getContext("2d"), scale = this.paper.width / SIDE;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.paper.width, this.paper.height);
    if (this.outline) context.drawImage(this.outline, 0, 0, this.paper.width, this.paper.height);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    for (const { rubs, points } of this.strokes) {
      Object.assign(context, { strokeStyle: rubs ? "#fff" : "#000", lineWidth: rubs ? RUBBER : LINE, lineCap: "round", lineJoin: "round" });
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
      context.stroke();
    }
    if (!this.keyed) return;
    context.beginPath();
    context.arc(...this.pen, 6, 0, 2 * Math.PI);
    Object.assign(context, { strokeStyle: this.down ? "#f97316" : "#64748b", lineWidth: 2 });
    context.stroke();
  }

  begins(point) {
    this.strokes.push({ rubs: this.rub.getAttribute("aria-pressed") === "true", points: [point] });
    this.changed();
  }

  extend(point) {
    const points = this.strokes.at(-1).points, [x, y] = points.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) < LEAST) return false;
    points.push(point);
    return true;
  }

  place(event) {
    const box = this.paper.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  }

  take(event) {
    if (event.button) return;
    this.paper.setPointerCapture(event.pointerId);
    this.paper.focus({ preventScroll: true });
    Object.assign(this, { held: true, keyed: false, down: false });
    this.begins(this.place(event));
    event.preventDefault();
  }

  drag(event) {
    if (!this.held) return;
    let grew = false;
    for (const part of event.getCoalescedEvents?.() ?? [event]) grew = this.extend(this.place(part)) || grew;
    if (grew) this.changed();
  }

  key(event) {
    const move = { ArrowLeft: [-6, 0], ArrowRight: [6, 0], ArrowUp: [0, -6], ArrowDown: [0, 6] }[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    this.keyed = true;
    if (!move) {
      this.down = !this.down;
      if (this.down) { this.begins([...this.pen]); return; }
    } else {
      this.pen = this.pen.map((value, i) => Math.max(0, Math.min(SIDE - 1, value + move[i])));
      if (this.down && this.extend([...this.pen])) { this.changed(); return; }
    }
    this.draw();
  }

  destroy() { this.follower.end(); }
}

export default function ({ data, parentElement }) {
  let paper = papers.get(parentElement);
  if (!paper) papers.set(parentElement, (paper = new Paper(parentElement)));
  paper.update(data);
  return () => { paper.destroy(); papers.delete(parentElement); };
}
