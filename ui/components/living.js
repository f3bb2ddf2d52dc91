// A wall of images that turn into each other, from one sheet of frames; or a run's newest images. Streamlit calls the
// function again on new data, so every call starts from what the element already holds.
const living = new WeakMap();
const ROWS = 3, COLUMNS = 6;  // images on the wall
const FRAMES_PER_S = 7;  // of the film; each frame fades into the next

class Living {
  constructor(element) {
    this.find = (selector) => element.querySelector(selector);
    this.canvas = this.find("canvas");
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.at = 0;  // frames into the film
    this.find("button").onclick = () => { this.still = !this.still; this.run(); };
    this.seen = new IntersectionObserver(([entry]) => { this.visible = entry.isIntersecting; this.run(); });
    this.seen.observe(this.canvas);
  }

  update(data) {
    const other = data.sheet !== this.data?.sheet;
    this.data = data;
    this.find("figcaption span").textContent = data.caption;
    this.canvas.hidden = this.find("button").hidden = !data.sheet;
    this.find("img").hidden = !!data.sheet;
    if (data.sheet) {
      this.canvas.setAttribute("aria-label", data.alt);
      if (!other) return;
      const sheet = new Image();
      sheet.onload = () => { if (this.data.sheet === data.sheet) { this.sheet = sheet; this.run(); } };
      sheet.src = data.sheet;
      this.canvas.width = COLUMNS * data.size;
      this.canvas.height = ROWS * data.size;
    } else {
      const address = `${base(data.page)}api/runs/${encodeURIComponent(data.run)}/samples/${data.step}.png`, next = new Image();
      next.onload = () => { if (this.data.run === data.run && this.data.step === data.step) Object.assign(this.find("img"), { src: address, alt: data.alt }); };
      next.src = address;  // shown once it is there
    }
  }

  run() {
    cancelAnimationFrame(this.frame);
    this.find("button").textContent = this.still ? "Play" : "Pause";
    if (!this.sheet || !this.data.sheet) return;
    this.draw();
    this.before = undefined;
    if (this.still || !this.visible) return;
    const turn = (now) => {
      if (this.before !== undefined) this.at = (this.at + FRAMES_PER_S * Math.min(0.1, (now - this.before) / 1000)) % this.data.frames;
      this.before = now;
      this.draw();
      this.frame = requestAnimationFrame(turn);
    };
    this.frame = requestAnimationFrame(turn);
  }

  draw() {
    const { frames, columns, size } = this.data, context = this.canvas.getContext("2d");
    const copies = ROWS * COLUMNS;
    for (let copy = 0; copy < copies; copy++) {
      // Neighbors are far apart in the film, so they do not look alike.
      const at = (this.at + frames * ((copy * 7) % copies) / copies) % frames, first = Math.floor(at);
      for (const [number, opacity] of [[first, 1], [(first + 1) % frames, at - first]]) {
        context.globalAlpha = opacity;
        context.drawImage(this.sheet, number % columns * size, Math.floor(number / columns) * size, size, size,
          copy % COLUMNS * size, Math.floor(copy / COLUMNS) * size, size, size);
      }
    }
    context.globalAlpha = 1;
    this.canvas.dataset.at = this.at.toFixed(2);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.seen.disconnect();
  }
}

export default function ({ data, parentElement }) {
  let view = living.get(parentElement);
  if (!view) living.set(parentElement, (view = new Living(parentElement)));
  view.update(data);
  return () => { view.destroy(); living.delete(parentElement); };
}
