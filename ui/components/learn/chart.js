// A small chart of both losses over all steps: when it is full, neighbors become their mean.
const MOST = 240;  // points of a line

export class LossChart {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.measure();
    this.clear();
  }

  // Reads the size on the page, which is too slow to do for each picture.
  measure() {
    const { canvas } = this, scale = (this.scale = Math.min(2, devicePixelRatio || 1));
    const width = Math.round(canvas.clientWidth * scale) || 300, height = Math.round(canvas.clientHeight * scale) || 90;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.font = getComputedStyle(canvas).fontFamily;
    this.drawn = null;
  }

  clear() {
    this.bins = [];  // [mean of D's loss, mean of G's]
    this.width = 1;  // steps a bin
    this.open = [0, 0, 0];  // sums and number of steps in the bin that is not full yet
    this.drawn = null;  // what the last picture shows
  }

  add(d, g) {
    if (!Number.isFinite(d) || !Number.isFinite(g)) return;
    const { open } = this;
    open[0] += d;
    open[1] += g;
    if (++open[2] < this.width) return;
    this.bins.push([open[0] / open[2], open[1] / open[2]]);
    open.fill(0);
    this.drawn = null;
    if (this.bins.length < MOST) return;
    this.bins = Array.from({ length: MOST / 2 }, (_, i) => [0, 1].map((k) => (this.bins[2 * i][k] + this.bins[2 * i + 1][k]) / 2));
    this.width *= 2;
  }

  // colors: of D's line and of G's. levels: where they rest when the generator draws as the data does; [] for none.
  draw(colors, levels, ink) {
    const shown = `${colors} ${levels} ${ink}`;
    if (this.drawn === shown) return;  // no new bin, and all else is the same
    this.drawn = shown;
    const { canvas: { width, height }, context, bins, scale } = this;
    context.clearRect(0, 0, width, height);
    if (!bins.length) return;
    const all = [...bins.flat(), ...levels].sort((a, b) => a - b);
    // A few steps far out must not press all others flat.
    const low = Math.min(all[Math.floor(0.01 * all.length)], ...levels), high = Math.max(all[Math.ceil(0.99 * all.length) - 1], ...levels);
    const span = Math.max(high - low, 0.1), pad = 12 * scale;
    const y = (value) => pad + (height - 2 * pad) * (1 - Math.min(1, Math.max(0, (value - low) / span)));
    context.font = `${11 * scale}px ${this.font}`;
    context.fillStyle = ink;
    context.fillText(high.toFixed(1), 2 * scale, pad - 2 * scale);
    context.fillText(low.toFixed(1), 2 * scale, height - 1 * scale);
    [0, 1].forEach((k) => {
      context.strokeStyle = colors[k];
      if (levels.length) {
        context.globalAlpha = 0.5;
        context.setLineDash([4 * scale, 4 * scale]);
        context.lineWidth = scale;
        context.beginPath();
        context.moveTo(0, y(levels[k]));
        context.lineTo(width, y(levels[k]));
        context.stroke();
        context.setLineDash([]);
        context.globalAlpha = 1;
      }
      context.lineWidth = 1.5 * scale;
      context.beginPath();
      bins.forEach((bin, i) => context[i ? "lineTo" : "moveTo"](bins.length > 1 ? i / (bins.length - 1) * width : 0, y(bin[k])));
      context.stroke();
    });
  }
}
