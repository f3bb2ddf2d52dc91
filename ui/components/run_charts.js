// The charts of one run's live view (run_view.js): losses, the discriminator's answers and the Fréchet distance, with their overlays.
const TOO_NEAR = 0.04;  // share of a chart's width that the label of a change needs
const MOST_MARKS = 60;  // changed settings that a chart shows; the list under it has all

const CHARTS = {
  loss: {
    title: "Losses (nats)",
    scoreTitle: "Losses",
    traces: [["loss_d", "Discriminator", "discriminator", "loss D"], ["loss_g", "Generator", "generator", "loss G"]],
    lines: (e) => [[e.loss_d, "discriminator"], [e.loss_g, "generator"]],
    spikes: true,
  },
  score: {
    title: "Discriminator's answers (1 = real)",
    scoreTitle: "Critic's scores (higher = more real)",
    traces: [["d_real", "D(x), real", "real", "D(x)"], ["d_fake", "D(G(z)) before", "generator", "D(G(z))"],
      ["d_fake_after", "D(G(z)) after", "generator", "after D's step", "dot"]],
    lines: (e) => [[e.score, "score"]],
    range: [0, 1],
  },
  augmentation: {
    title: "Augmentation: probability of each change",
    traces: [["augmentation", "Probability", "score", "probability"]],
    lines: () => [],
    only: "adaptive",
  },
  distance: {
    title: "Distance to the target, or of there and back",
    traces: [["distance", "Share of the range of pixels", "score", "distance"]],
    lines: () => [],
    only: "translates",
  },
};

const TICKS = [-2, -1, 0, 1, 2, 3].flatMap((power) => [1, 2, 5].map((digit) => +`${digit}e${power}`));  // of a logarithmic axis

// A level of the equilibrium in the papers' words, if it has any.
function level(value) {
  const known = [[2 * Math.LN2, "2 ln 2"], [Math.LN2, "ln 2"], [0.5, "1/2"]].find(([v]) => Math.abs(v - value) < 1e-6);
  return known ? known[1] : value.toFixed(2);
}

function short(value, digits = 3) { return String(+value.toPrecision(digits)); }

class Charts {
  // timeline: knows the changed settings and the current moment. fault: reports what is wrong.
  constructor(element, timeline, fault) {
    Object.assign(this, { element, timeline, fault });
    this.find = (selector) => element.querySelector(selector);
    this.onFindings = () => { if (this.data) { this.explain(); this.timeline.labelFork(); this.overlays(); } };
    document.addEventListener("workshop-findings", this.onFindings);
    this.axes = new Axes(element);
    this.resized = followWidth(this.find(".rv-charts"), () => element.querySelectorAll(".rv-chart"));
  }

  // Another run: nothing is known about it yet.
  clear() {
    Object.assign(this, { points: [], ready: false, judged: null });
    Object.assign(this.axes, { zoom: null, end: 1 });
  }

  // The charts that this run has.
  own() { return Object.entries(CHARTS).filter(([, chart]) => !chart.only || this.data[chart.only]); }

  colors() {
    const style = getComputedStyle(this.element);
    const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    const series = read("--st-chart-categorical-colors", "#c2410c,#0f766e,#1d4ed8,#7c3aed").split(",").map((c) => c.trim());
    return {
      text: read("--st-text-color", "#222"),
      grid: read("--st-border-color", "#ddd"),
      series: Object.fromEntries(Object.entries(ROLES).map(([role, i]) => [role, series[i % series.length]])),
      font: read("--st-font", "sans-serif"),
      alarm: read("--st-red-text-color", "#b91c1c"),
      warning: read("--st-orange-text-color", "#b45309"),
    };
  }

  layout(chart) {
    const c = this.colors();
    // The margins stay: charts below one another have one x-axis.
    const axis = { gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.grid, tickformat: "~g" };
    const scores = this.data.scores;  // unbounded
    return {
      title: { text: scores && chart.scoreTitle ? chart.scoreTitle : chart.title, font: { size: fontSize() + 2 }, x: 0, xref: "paper", y: 0.98 },
      font: { color: c.text, family: c.font, size: fontSize() },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 40, r: 52, t: 52, b: 40 }, dragmode: dragmode(),
      legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom" },
      hovermode: "x unified", hoverlabel: { bgcolor: c.grid, font: { color: c.text } },
      xaxis: { ...axis, tickformat: ",d", title: { text: "Step", standoff: 4 }, range: this.axes.zoom ?? [0, this.axes.end] },
      yaxis: { ...axis, rangemode: scores ? "normal" : "tozero", ...(chart.range && !scores ? { range: chart.range } : {}) },
      ...this.overlay(chart),
      uirevision: this.data.run,
    };
  }

  // Overlays of a chart: equilibrium levels, changed settings, the start of a fork, and the current moment.
  overlay(chart) {
    const c = this.colors();
    const rest = chart.lines(this.data.equilibrium).filter(([y]) => y != null);
    const upright = (x, line) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line });
    const flag = (x, text, hovertext) => ({ x, yref: "paper", y: 1, yanchor: "top", showarrow: false, text, hovertext, borderpad: 2,
      font: { color: c.text, size: 11 }, bgcolor: c.grid, opacity: 0.9 });
    const marks = this.timeline.marks().slice(-MOST_MARKS);
    const shapes = rest.map(([y, role]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, opacity: 0.7,
      line: { color: c.series[role], width: 1, dash: "dash" } }));
    const highest = Math.max(...rest.map(([y]) => y));
    // Over the highest line and under the others: they never touch, however low the lines lie.
    const annotations = rest.map(([y, role]) => ({ xref: "paper", x: 1, xanchor: "left", xshift: 4, y,
      yanchor: rest.length < 2 ? "middle" : y === highest ? "bottom" : "top", showarrow: false, text: level(y), font: { color: c.series[role], size: fontSize() - 1 } }));
    for (const { step } of marks) shapes.push(upright(step, { color: c.text, width: 1, dash: "dot" }));
    const [left, right] = this.axes.zoom ?? [0, this.axes.end];
    for (const group of neighbors(marks, TOO_NEAR * (right - left))) {
      const first = group[0], last = group.at(-1), alone = group.length === 1;
      annotations.push(flag(first.step, alone ? `${first.number}` : `${first.number}–${last.number}`,
        group.map(({ number, said }) => (alone ? said.join("<br>") : `${number}: ${said.join("; ")}`)).join("<br>")));
    }
    if (this.data.parent) {
      shapes.push(upright(this.data.parent.step, { color: c.text, width: 1, dash: "dashdot" }));
      annotations.push(flag(this.data.parent.step, "fork", "The fork starts here"));
    }
    for (const { step, name, severity } of this.findings()) {
      const color = { alarm: c.alarm, warning: c.warning }[severity] ?? c.text;
      shapes.push(upright(step, { color: color, width: 2 }));
      annotations.push({ ...flag(step, severity === "information" ? "i" : "!", `${name}, since step ${step.toLocaleString("en")}${severity === "over" ? ": getting better" : ""}`), y: 0, yanchor: "bottom",
        font: { color: color, size: 13, weight: "bold" } });
    }
    if (!this.timeline.follow && this.timeline.moment() != null) shapes.push(upright(this.timeline.moment(), { color: c.text, width: 2 }));
    return { shapes, annotations };
  }

  // Redraws changed overlays, at most once per frame, because each redraw ends a zoom in progress.
  overlays() {
    const shown = JSON.stringify([this.timeline.changes.length, this.timeline.follow ? null : this.timeline.moment(), this.findings()]);
    if (!this.ready || this.waiting || shown === this.shown) return;
    this.shown = shown;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      for (const [name, chart] of this.own()) plotly().relayout(this.find(`[data-chart=${name}]`), this.overlay(chart));
      this.quality();
    });
  }

  async draw(root, fresh) {
    let Plotly;
    const run = this.data.run;
    try { Plotly = await loadPlotly(root); } catch (error) { this.fault(`${error.message}. Reload the page to try again.`); return; }
    if (run !== this.data.run) return;  // overtaken by another run
    const { series } = this.colors();
    for (const [name, chart] of Object.entries(CHARTS)) this.find(`[data-chart=${name}]`).hidden = !!chart.only && !this.data[chart.only];
    for (const [name, chart] of this.own()) {
      const element = this.find(`[data-chart=${name}]`);
      const layout = this.layout(chart);
      if (fresh || !this.ready) {
        const traces = chart.traces.map(([key, label, role, , dash]) => ({ x: [], y: [], name: label, mode: "lines",
          line: { color: series[role], width: 2, dash: dash ?? "solid" }, hovertemplate: "%{y:.3f}" }));
        this.shown = undefined;
        Plotly.newPlot(element, traces, layout, PLOTLY);
        this.axes.add(element, chart.spikes || (this.data.scores && !!chart.scoreTitle));
        element.removeAllListeners("plotly_click");
        element.on("plotly_click", ({ points }) => points.length && this.timeline.jump(points[0].x));
      } else {
        const kept = { "xaxis.gridcolor": layout.xaxis.gridcolor, "yaxis.gridcolor": layout.yaxis.gridcolor, "font.color": layout.font.color,
          shapes: layout.shapes, annotations: layout.annotations, hoverlabel: layout.hoverlabel };
        Plotly.update(element, { "line.color": chart.traces.map(([, , role]) => series[role]) }, kept);
      }
    }
    this.ready = true;
    this.quality(fresh);
    this.overlays();
    this.explain();
    for (const columns of this.points.splice(0)) this.plot(columns);
  }

  // The meaning of the dashed lines; while something is wrong, they are not a sign of equilibrium.
  explain() {
    const none = Object.values(CHARTS).every((chart) => chart.lines(this.data.equilibrium).every(([y]) => y == null));
    const astray = window.__workshopFindings?.run === this.data.run && window.__workshopFindings.alarm;
    this.find(".rv-rest").hidden = none || astray;
    this.find(".rv-astray").hidden = none || !astray;
  }

  // New measurements; those that come before Plotly is loaded are drawn with it.
  extend(columns) {
    if (!this.ready) { this.points.push(columns); return; }
    this.plot(columns);
  }

  plot(columns) {
    for (const [name, chart] of this.own()) {
      const element = this.find(`[data-chart=${name}]`);
      const keys = chart.traces.map(([key]) => key);
      plotly().extendTraces(element, { x: keys.map(() => columns.step), y: keys.map((key) => columns[key]) }, keys.map((_, i) => i));
      const said = chart.traces.map(([key, label]) => `${label} ${columns[key].at(-1)?.toFixed(3)}`).join(", ");
      element.setAttribute("aria-label", `${element.layout.title.text} at step ${columns.step.at(-1)}: ${said}`);
    }
    this.axes.fit(columns.step.at(-1));
  }

  // Scorings as columns, from number `first` on; all of them if the run or the connection is new.
  judge(told) {
    const columns = ["step", "fd", "error"];
    const before = told.first && this.judged ? this.judged : { step: [], fd: [], error: [] };
    this.judged = { ...told, ...Object.fromEntries(columns.map((key) => [key, [...before[key], ...told[key]]])) };
    if (this.ready) this.quality();
  }

  // The chart of the Fréchet distance, redrawn with each scoring: they are seconds apart.
  quality(fresh = false) {
    const element = this.find("[data-chart=quality]"), judged = this.judged;
    if (!judged || !this.ready) { if (fresh) removeChart(element); return; }
    const { step, fd, error, floor, best } = judged, c = this.colors(), color = c.series.score;
    const side = (sign) => fd.map((value, i) => (value == null ? null : value + sign * (error[i] ?? 0)));
    const hidden = { x: step, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    const traces = [
      { ...hidden, y: side(-1) },
      { ...hidden, y: side(1), fill: "tonexty", fillcolor: /^#[0-9a-f]{6}$/i.test(color) ? `${color}40` : color },
      { x: step, y: fd, name: "FD", mode: step.length < 40 ? "lines+markers" : "lines", line: { color: color, width: 2 }, marker: { size: 5 },
        customdata: error, hovertemplate: "%{y:.3g} ± %{customdata:.2g}", showlegend: false },
    ];
    if (best) traces.push({ x: [best.step], y: [best.fd], name: "Best", mode: "markers", marker: { symbol: "star", size: 13, color: color },
      hovertemplate: "%{y:.3g}", showlegend: false });
    const layout = this.layout({ lines: () => [], title: `FD, lower is better (${judged.features})` });
    layout.margin = { ...layout.margin, t: 34 };
    layout.yaxis = { ...layout.yaxis, type: "log", rangemode: "normal", tickvals: TICKS, ticktext: TICKS.map(String) };
    if (floor > 0) {
      traces.push({ x: [0, Math.max(step.at(-1), this.axes.end)], y: [floor, floor], mode: "lines", line: { color: c.text, width: 1, dash: "dot" }, opacity: 0.7,
        hoverinfo: "skip", showlegend: false });
      layout.annotations.push({ xref: "paper", x: 1, xanchor: "left", xshift: 4, y: Math.log10(floor), yanchor: "middle", showarrow: false,
        text: "real", font: { color: c.text, size: 11 } });
    }
    clearTimeout(element.leaving);
    plotly().react(element, traces, layout, PLOTLY);
    this.axes.add(element, false);
    element.removeAllListeners("plotly_click");
    element.on("plotly_click", ({ points }) => points.length && this.timeline.jump(points[0].x));
    const words = best ? `Best ${short(best.fd)} at step ${best.step}. ` : "";
    element.setAttribute("aria-label", `${layout.title.text}. ${words}At step ${step.at(-1)}: ${fd.at(-1) == null ? "none" : short(fd.at(-1))}`);
  }

  // The doctor's findings, from ui/components/findings.js.
  findings() { return window.__workshopFindings?.run === this.data?.run ? window.__workshopFindings.marks : []; }

  destroy() {
    cancelAnimationFrame(this.waiting);
    document.removeEventListener("workshop-findings", this.onFindings);
    this.resized.disconnect();
    this.axes.destroy();
    for (const chart of this.element.querySelectorAll(".rv-chart")) removeChart(chart);
  }
}
