// A small chart of lines over steps, with a mark at one step.
export class Lines {
  // low, high: bounds of the values; values beyond are drawn at the bound. ticks: values with a label. log: a logarithmic scale.
  constructor(canvas, { low, high, ticks, log = false }) {
    Object.assign(this, { canvas, context: canvas.getContext("2d"), low, high, ticks, log });
  }

  // lines: [{ steps, values, color, dots, faint }]. last: the step at the right edge. at: the marked step. ink: the color of text.
  draw(lines, last, at, ink) {
    const { canvas, context } = this, ratio = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(canvas.clientWidth * ratio) || 300, height = Math.round(canvas.clientHeight * ratio) || 110;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.clearRect(0, 0, width, height);
    const { low, high } = this, place = this.log ? Math.log : (value) => value;
    const top = 14 * ratio, bottom = height - 16 * ratio, left = 34 * ratio, right = width - 6 * ratio;
    const x = (step) => left + (right - left) * step / last;
    const share = (value) => (place(value) - place(low)) / (place(high) - place(low));
    const y = (value) => bottom - (bottom - top) * Math.min(1, Math.max(0, share(value)));
    Object.assign(context, { font: `${11 * ratio}px ${getComputedStyle(canvas).fontFamily}`, fillStyle: ink, strokeStyle: ink, lineWidth: ratio });
    context.textAlign = "right";
    for (const tick of this.ticks) context.fillText(String(tick), left - 5 * ratio, y(tick) + 4 * ratio);
    context.fillText(`${last} steps`, right, height - 3 * ratio);
    context.globalAlpha = 0.35;
    for (const value of this.ticks) this.line([[left, y(value)], [right, y(value)]]);
    context.setLineDash([3 * ratio, 3 * ratio]);
    context.globalAlpha = 0.8;
    this.line([[x(at), top - 8 * ratio], [x(at), bottom]]);
    context.setLineDash([]);
    context.globalAlpha = 1;
    for (const { steps, values, color, dots, faint } of lines) {
      const points = steps.flatMap((step, i) => Number.isFinite(values[i]) ? [[x(step), y(values[i])]] : []);
      Object.assign(context, { strokeStyle: color, fillStyle: color, lineWidth: 1.8 * ratio, globalAlpha: faint ? 0.5 : 1 });
      context.setLineDash(faint ? [4 * ratio, 4 * ratio] : []);
      this.line(points);
      if (dots) for (const [px, py] of points) { context.beginPath(); context.arc(px, py, 2.6 * ratio, 0, 2 * Math.PI); context.fill(); }
    }
  }

  line(points) {
    this.context.beginPath();
    points.forEach((point, i) => this.context[i ? "lineTo" : "moveTo"](...point));
    this.context.stroke();
  }
}
