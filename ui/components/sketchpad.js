// A canvas whose drawing goes to the server as gray values at the networks' size. It has FINE times that resolution, so
// strokes are smooth. Streamlit calls the function again on every run, so each call starts from the current drawing.
const pads = new WeakMap();
const FINE = 10;
const PATIENCE_MS = 400;  // after the last key: rerunning the page for every press would be too often

class Pad {
  constructor(element) {
    this.canvas = element.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.pen = element.querySelector("input[type=range]");
    this.rub = element.querySelector("input[type=checkbox]");
    this.down = false;  // the keyboard's pen
    this.canvas.onpointerdown = (event) => {
      if (event.button) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.stroke = event.pointerId;
      this.hideCursor();
      this.at = this.place(event);
      this.line(this.at);
    };
    this.canvas.onpointermove = (event) => {
      if (event.pointerId !== this.stroke) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.line(this.place(part));
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = (event) => {
      if (event.pointerId !== this.stroke) return;
      this.stroke = null;
      this.send();
    };
    this.canvas.onkeydown = (event) => this.key(event);
    this.canvas.onblur = () => { this.down = false; this.hideCursor(); };
    element.querySelector("button").onclick = () => this.clear();
  }

  update(data, tell) {
    this.tell = tell;
    if (this.size === data.size) return;  // already drawn; the server's version may be older
    this.size = data.size;
    this.canvas.width = this.canvas.height = data.size * FINE;
    this.wipe();
    this.at = [this.canvas.width / 2, this.canvas.width / 2];
    if (data.pixels) this.restore(data.pixels);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * this.canvas.width, (event.clientY - box.top) / box.height * this.canvas.height];
  }

  wipe() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.kept = null;
  }

  line(to) {
    const width = this.pen.value * 2 * FINE * this.size / 28;
    Object.assign(this.context, { strokeStyle: this.rub.checked ? "#000" : "#fff", lineWidth: width, lineCap: "round", lineJoin: "round" });
    this.context.beginPath();
    this.context.moveTo(...this.at);
    this.context.lineTo(...to);
    this.context.stroke();
    this.at = to;
  }

  key(event) {
    const step = this.canvas.width / 28;
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    this.hideCursor();
    if (move) {
      const to = this.at.map((v, i) => Math.min(this.canvas.width, Math.max(0, v + move[i])));
      if (this.down) this.line(to); else this.at = to;
    } else {
      this.down = !this.down;
      if (this.down) this.line(this.at);
    }
    clearTimeout(this.waiting);
    if (this.down || event.key === " ") this.waiting = setTimeout(() => this.send(), PATIENCE_MS);
    this.showCursor();
  }

  // The keyboard's pen is a ring on top of the picture, which is never sent with the ring.
  showCursor() {
    this.kept = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    this.context.beginPath();
    this.context.arc(...this.at, FINE * this.size / 28, 0, 2 * Math.PI);
    Object.assign(this.context, { strokeStyle: this.down ? "#f97316" : "#94a3b8", lineWidth: 3 });
    this.context.stroke();
  }

  hideCursor() {
    if (this.kept) this.context.putImageData(this.kept, 0, 0);
    this.kept = null;
  }

  clear() {
    clearTimeout(this.waiting);
    this.wipe();
    this.tell("pixels", "");
  }

  // The mean of every FINE x FINE block, as bytes in base64; empty if nothing is drawn.
  send() {
    const { width } = this.canvas, n = this.size;
    const fine = (this.kept ?? this.context.getImageData(0, 0, width, width)).data;
    let text = "", any = false;
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        let sum = 0;
        for (let j = 0; j < FINE; j++) for (let i = 0; i < FINE; i++) sum += fine[4 * ((y * FINE + j) * width + x * FINE + i)];
        const gray = Math.round(sum / FINE / FINE);
        any ||= gray > 0;
        text += String.fromCharCode(gray);
      }
    }
    this.tell("pixels", any ? btoa(text) : "");
  }

  restore(pixels) {
    let bytes;
    try { bytes = atob(pixels); } catch { return; }
    if (bytes.length !== this.size * this.size) return;
    for (let i = 0; i < bytes.length; i++) {
      const gray = bytes.charCodeAt(i);
      if (!gray) continue;
      this.context.fillStyle = `rgb(${gray},${gray},${gray})`;
      this.context.fillRect((i % this.size) * FINE, Math.floor(i / this.size) * FINE, FINE, FINE);
    }
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) pads.set(parentElement, (pad = new Pad(parentElement)));
  pad.update(data, setStateValue);
  return () => { clearTimeout(pad.waiting); pads.delete(parentElement); };
}
