// Follows one run over its event stream. Streamlit calls the function again on new data or another theme, so every
// call starts from what the element already holds.
const views = new WeakMap();
const RETRY_MS = 3000;

// The server's address, whatever prefix it lives behind: this page's, without the page's own name.
function base(page) {
  const path = location.pathname.replace(/\/+$/, "");
  return path.endsWith("/" + page) ? path.slice(0, -page.length) : path + "/";
}

function loadPlotly(root) {
  return (window.__workshopPlotly ||= window.Plotly ? Promise.resolve(window.Plotly) : new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = root + "assets/plotly/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { window.__workshopPlotly = undefined; reject(new Error("Plotly could not be loaded")); };
    document.head.appendChild(script);
  }));
}

const CHARTS = {
  loss: {
    title: "Losses (nats)",
    scoreTitle: "Losses",
    traces: [["loss_d", "Discriminator", 0], ["loss_g", "Generator", 1]],
    lines: (e) => [[e.loss_d, 0], [e.loss_g, 1]],
  },
  score: {
    title: "Discriminator's answers (1 = real)",
    scoreTitle: "Critic's scores (higher = more real)",
    traces: [["d_real", "D(x), real", 2], ["d_fake", "D(G(z)) before", 0], ["d_fake_after", "D(G(z)) after", 1]],
    lines: (e) => [[e.score, 3]],
    range: [0, 1],
  },
};

// A level of rest in the words of the papers, where it has them.
function level(value) {
  const known = [[2 * Math.LN2, "2 ln 2"], [Math.LN2, "ln 2"], [0.5, "1/2"]].find(([v]) => Math.abs(v - value) < 1e-6);
  return known ? known[1] : value.toFixed(2);
}

function clock(seconds) {
  if (seconds == null) return "–";
  const s = Math.round(seconds), pad = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

class View {
  constructor(element) {
    this.element = element;
    this.find = (selector) => element.querySelector(selector);
    this.slider = this.find("input");
    this.slider.oninput = () => { this.follow = +this.slider.value === +this.slider.max; this.showGrid(); };
    this.onVisibility = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  update(data, changed) {
    this.changed = changed;
    const other = data.run !== this.data?.run;
    this.data = data;
    this.told = data.state;
    this.root = base(data.page);
    if (other) {
      this.close();
      Object.assign(this, { last: 0, points: [], steps: [], follow: true, ready: false });
      this.find("img").removeAttribute("src");
      this.find(".rv-step").textContent = "";
      for (const fact of this.element.querySelectorAll("[data-fact]")) fact.textContent = "–";
      this.say("");
    }
    this.draw(other);
    this.open();
  }

  colours() {
    const style = getComputedStyle(this.element);
    const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return {
      text: read("--st-text-color", "#222"),
      grid: read("--st-border-color", "#ddd"),
      series: read("--st-chart-categorical-colors", "#c2410c,#0f766e,#1d4ed8,#7c3aed").split(",").map((c) => c.trim()),
      font: read("--st-font", "sans-serif"),
    };
  }

  layout(chart) {
    const c = this.colours();
    const axis = { gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.grid, automargin: true };
    const lines = chart.lines(this.data.equilibrium).filter(([y]) => y != null);
    const scores = this.data.scores;  // without bounds
    return {
      title: { text: scores ? chart.scoreTitle : chart.title, font: { size: 14 }, x: 0, xref: "paper", y: 0.98 },
      font: { color: c.text, family: c.font, size: 12 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 40, r: 44, t: 52, b: 36 },
      legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom" },
      hovermode: "x unified", hoverlabel: { bgcolor: c.grid, font: { color: c.text } },
      xaxis: { ...axis, title: { text: "Step", standoff: 4 }, rangemode: "tozero" },
      yaxis: { ...axis, rangemode: scores ? "normal" : "tozero", ...(chart.range && !scores ? { range: chart.range } : {}) },
      shapes: lines.map(([y, i]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, opacity: 0.7,
        line: { color: c.series[i], width: 1, dash: "dash" } })),
      annotations: lines.map(([y, i]) => ({ xref: "paper", x: 1, xanchor: "left", xshift: 4, y, yanchor: "middle",
        showarrow: false, text: level(y), font: { color: c.series[i], size: 11 } })),
      uirevision: this.data.run,
    };
  }

  async draw(anew) {
    let Plotly;
    const run = this.data.run;
    try { Plotly = await loadPlotly(this.root); } catch (error) { this.fault(`${error.message}. Reload the page to try again.`); return; }
    if (run !== this.data.run) return;  // overtaken by another run
    const { series } = this.colours();
    for (const [name, chart] of Object.entries(CHARTS)) {
      const element = this.find(`[data-chart=${name}]`);
      const layout = this.layout(chart);
      if (anew || !this.ready) {
        const traces = chart.traces.map(([key, label, colour]) => ({ x: [], y: [], name: label, mode: "lines",
          line: { color: series[colour], width: 2 }, hovertemplate: "%{y:.3f}" }));
        Plotly.newPlot(element, traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
      } else {
        const kept = { "xaxis.gridcolor": layout.xaxis.gridcolor, "yaxis.gridcolor": layout.yaxis.gridcolor, "font.color": layout.font.color,
          shapes: layout.shapes, annotations: layout.annotations, hoverlabel: layout.hoverlabel };
        Plotly.update(element, { "line.color": chart.traces.map(([, , i]) => series[i]) }, kept);
      }
    }
    this.ready = true;
    this.find(".rv-rest").hidden = Object.values(CHARTS).every((chart) => chart.lines(this.data.equilibrium).every(([y]) => y == null));
    for (const columns of this.points.splice(0)) this.plot(columns);
  }

  open() {
    if (document.hidden || !this.data || this.source) return;
    clearTimeout(this.retry);
    this.source = new EventSource(`${this.root}api/runs/${encodeURIComponent(this.data.run)}/events?since=${this.last}`);
    this.source.addEventListener("metrics", (event) => this.extend(JSON.parse(event.data)));
    this.source.addEventListener("samples", (event) => this.grids(JSON.parse(event.data).steps));
    this.source.addEventListener("status", (event) => this.status(JSON.parse(event.data)));
    this.source.onerror = () => {
      if (this.source?.readyState === EventSource.CLOSED) {  // refused, or gone for good: try again from where we are
        this.fault("The connection was lost. Trying again…");
        this.close();
        this.retry = setTimeout(() => this.open(), RETRY_MS);
      }
    };
    this.source.onopen = () => this.ready && this.fault("");
  }

  close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  extend(columns) {
    const fresh = columns.step.findIndex((step) => step > this.last);
    if (fresh < 0) return;
    this.last = columns.step.at(-1);
    const part = Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values.slice(fresh)]));
    if (this.ready) this.plot(part); else this.points.push(part);  // Plotly may still be loading
    this.fact("speed", Math.round(columns.images_per_s.at(-1)).toLocaleString("en"));
    this.fact("step", this.last.toLocaleString("en"));
    this.fact("elapsed", clock(columns.elapsed_s.at(-1)));
  }

  plot(columns) {
    for (const [name, chart] of Object.entries(CHARTS)) {
      const element = this.find(`[data-chart=${name}]`);
      const keys = chart.traces.map(([key]) => key);
      window.Plotly.extendTraces(element, { x: keys.map(() => columns.step), y: keys.map((key) => columns[key]) }, keys.map((_, i) => i));
      const said = chart.traces.map(([key, label]) => `${label} ${columns[key].at(-1)?.toFixed(3)}`).join(", ");
      element.setAttribute("aria-label", `${element.layout.title.text} at step ${columns.step.at(-1)}: ${said}`);
    }
  }

  grids(steps) {
    this.steps = steps;
    if (!steps.length) return;
    this.slider.max = steps.length - 1;
    if (this.follow) this.slider.value = this.slider.max;
    this.showGrid();
  }

  showGrid() {
    const step = this.steps[+this.slider.value];
    if (step === undefined) return;
    const image = this.find("img");
    const address = `${this.root}api/runs/${encodeURIComponent(this.data.run)}/samples/${step}.png`;
    this.find(".rv-step").textContent = `Step ${step.toLocaleString("en")}${this.follow ? ", the newest" : ""}: drag to go back through training`;
    if (image.getAttribute("src") === address) return;
    image.src = address;
    image.alt = `Grid of generated images at step ${step}`;
  }

  status(status) {
    const names = { preparing: "preparing", running: status.stopping ? "stopping…" : "training" };
    this.fact("state", names[status.state] ?? status.state);
    const percent = Math.round(100 * (status.progress ?? 0));
    this.find(".rv-progress i").style.width = `${percent}%`;
    this.find(".rv-progress").setAttribute("aria-valuenow", percent);
    this.fact("eta", ["running", "paused"].includes(status.state) ? clock(status.eta_s) : "–");
    if (status.elapsed_s) this.fact("elapsed", clock(status.elapsed_s));
    if (status.step) this.fact("step", status.step.toLocaleString("en"));
    const work = status.preparing;
    this.say(work ? `${work.task}${work.total ? `: ${Math.round(100 * work.done / work.total)} %` : "…"}`
      : status.position ? `Waiting: number ${status.position} in the queue.` : "");
    if (status.state !== this.told) { this.told = status.state; this.changed("changed", status.state); }
    if (status.state === "deleted") this.close();
  }

  fact(name, text) { this.find(`[data-fact=${name}]`).textContent = text; }
  say(text) { this.find(".rv-note").textContent = text; }
  fault(text) { this.find(".rv-fault").textContent = text; }

  destroy() {
    this.close();
    document.removeEventListener("visibilitychange", this.onVisibility);
    for (const chart of this.element.querySelectorAll(".rv-chart")) window.Plotly?.purge(chart);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new View(parentElement)));
  view.update(data, setTriggerValue);
  return () => { view.destroy(); views.delete(parentElement); };
}
