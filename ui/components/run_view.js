// Follows one run over its event stream. Streamlit calls the function again on new data or another theme, so every
// call starts from what the element already holds.
const views = new WeakMap();
const RETRY_MS = 3000;
const MOST_MARKS = 60;  // changed settings that a chart shows; the list under it has all

const CHARTS = {
  loss: {
    title: "Losses (nats)",
    scoreTitle: "Losses",
    traces: [["loss_d", "Discriminator", 0, "loss D"], ["loss_g", "Generator", 1, "loss G"]],
    lines: (e) => [[e.loss_d, 0], [e.loss_g, 1]],
  },
  score: {
    title: "Discriminator's answers (1 = real)",
    scoreTitle: "Critic's scores (higher = more real)",
    traces: [["d_real", "D(x), real", 2, "D(x)"], ["d_fake", "D(G(z)) before", 0, "D(G(z))"], ["d_fake_after", "D(G(z)) after", 1, "after D's step"]],
    lines: (e) => [[e.score, 3]],
    range: [0, 1],
  },
};


const TICKS = [-2, -1, 0, 1, 2, 3].flatMap((power) => [1, 2, 5].map((digit) => +`${digit}e${power}`));  // of a logarithmic axis

// The index of the last number of a rising list that is not beyond `x`; -1 where all are.
function lastUntil(list, x) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= x) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// A level of rest in the words of the papers, where it has them.
function level(value) {
  const known = [[2 * Math.LN2, "2 ln 2"], [Math.LN2, "ln 2"], [0.5, "1/2"]].find(([v]) => Math.abs(v - value) < 1e-6);
  return known ? known[1] : value.toFixed(2);
}

function short(value, digits = 3) { return String(+value.toPrecision(digits)); }

function clock(seconds) {
  if (seconds == null) return "–";
  const s = Math.round(seconds), pad = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

// When a waiting run starts, where that is known.
function inAbout(seconds) {
  if (seconds == null) return "";
  const minutes = Math.round(seconds / 60);
  const words = [[10, "a moment"], [45, "about half a minute"], [90, "about a minute"], [6000, `about ${minutes} min`]];
  return `, starts in ${words.find(([below]) => seconds < below)?.[1] ?? `about ${Math.round(minutes / 60)} hours`}`;
}

class View {
  constructor(element) {
    this.element = element;
    this.find = (selector) => element.querySelector(selector);
    this.slider = this.find("input");
    this.slider.oninput = () => { this.follow = +this.slider.value === +this.slider.max; this.showMoment(); };
    this.find(".rv-newest").onclick = () => this.jump(Infinity);
    this.find(".rv-fork").onclick = () => this.changed("fork", this.moment());
    this.onVisibility = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", this.onVisibility);
    this.onFindings = () => this.data && this.overlays();
    document.addEventListener("workshop-findings", this.onFindings);
  }

  update(data, changed) {
    this.changed = changed;
    const other = data.run !== this.data?.run;
    this.data = data;
    this.told = data.state;
    this.root = base(data.page);
    if (other) {
      this.close();
      Object.assign(this, { last: 0, points: [], columns: { step: [] }, grids: [], timeline: [], changes: [], follow: true, ready: false,
        judged: null });
      this.showJudged();
      this.find("img").removeAttribute("src");
      this.find(".rv-frame span").textContent = "The first grid appears in a moment.";
      this.find(".rv-step").textContent = this.find(".rv-reading").textContent = "";
      this.listChanges();
      for (const fact of this.element.querySelectorAll("[data-fact]")) fact.textContent = "–";
      this.say("");
    }
    this.find(".rv-fork").hidden = !data.fork;
    const parent = data.parent;
    this.find(".rv-parent").hidden = !parent;
    if (parent) {
      const link = this.find(".rv-parent a");
      link.textContent = parent.run;
      link.href = `${this.root}train?run=${encodeURIComponent(parent.run)}`;
      const settings = Object.entries(parent.settings ?? {}).filter(([field]) => !field.startsWith("duration"));
      this.find(".rv-parent span").textContent = parent.step.toLocaleString("en") +
        (settings.length ? ` with ${settings.map(([field, [old, now]]) => this.said(field, old, now)).join("; ")}` : "");
    }
    this.draw(other);
    this.open();
  }

  colors() {
    const style = getComputedStyle(this.element);
    const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return {
      text: read("--st-text-color", "#222"),
      grid: read("--st-border-color", "#ddd"),
      series: read("--st-chart-categorical-colors", "#c2410c,#0f766e,#1d4ed8,#7c3aed").split(",").map((c) => c.trim()),
      font: read("--st-font", "sans-serif"),
      alarm: read("--st-red-text-color", "#b91c1c"),
      warning: read("--st-orange-text-color", "#b45309"),
    };
  }

  layout(chart) {
    const c = this.colors();
    const axis = { gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.grid, automargin: true };
    const scores = this.data.scores;  // without bounds
    return {
      title: { text: scores && chart.scoreTitle ? chart.scoreTitle : chart.title, font: { size: 14 }, x: 0, xref: "paper", y: 0.98 },
      font: { color: c.text, family: c.font, size: 12 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 40, r: 44, t: 52, b: 36 },
      legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom" },
      hovermode: "x unified", hoverlabel: { bgcolor: c.grid, font: { color: c.text } },
      xaxis: { ...axis, title: { text: "Step", standoff: 4 }, rangemode: "tozero" },
      yaxis: { ...axis, rangemode: scores ? "normal" : "tozero", ...(chart.range && !scores ? { range: chart.range } : {}) },
      ...this.overlay(chart),
      uirevision: this.data.run,
    };
  }

  // What lies over a chart: levels of rest, changed settings, the beginning of a fork, and the moment that is looked at.
  overlay(chart) {
    const c = this.colors();
    const rest = chart.lines(this.data.equilibrium).filter(([y]) => y != null);
    const upright = (x, line) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line });
    const flag = (x, text, hovertext) => ({ x, yref: "paper", y: 1, yanchor: "top", showarrow: false, text, hovertext, borderpad: 2,
      font: { color: c.text, size: 11 }, bgcolor: c.grid, opacity: 0.9 });
    const marks = this.marks().slice(-MOST_MARKS);
    const shapes = rest.map(([y, i]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, opacity: 0.7,
      line: { color: c.series[i], width: 1, dash: "dash" } }));
    const annotations = rest.map(([y, i]) => ({ xref: "paper", x: 1, xanchor: "left", xshift: 4, y, yanchor: "middle",
      showarrow: false, text: level(y), font: { color: c.series[i], size: 11 } }));
    for (const { number, step, said } of marks) {
      shapes.push(upright(step, { color: c.text, width: 1, dash: "dot" }));
      annotations.push(flag(step, String(number), said.join("<br>")));
    }
    if (this.data.parent) {
      shapes.push(upright(this.data.parent.step, { color: c.text, width: 1, dash: "dashdot" }));
      annotations.push(flag(this.data.parent.step, "fork", "The fork starts here"));
    }
    for (const { step, name, severity } of this.findings()) {
      const color = { alarm: c.alarm, warning: c.warning }[severity] ?? c.text;
      shapes.push(upright(step, { color: color, width: 2 }));
      annotations.push({ ...flag(step, severity === "information" ? "i" : "!", `${name}, since step ${step.toLocaleString("en")}`), y: 0, yanchor: "bottom",
        font: { color: color, size: 13, weight: "bold" } });
    }
    if (!this.follow && this.moment() != null) shapes.push(upright(this.moment(), { color: c.text, width: 2 }));
    return { shapes, annotations };
  }

  // Draws the overlays again where they have changed, at most once a frame: each time ends a zoom that is being drawn.
  overlays() {
    const shown = JSON.stringify([this.changes.length, this.follow ? null : this.moment(), this.findings()]);
    if (!this.ready || this.waiting || shown === this.shown) return;
    this.shown = shown;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      for (const [name, chart] of Object.entries(CHARTS)) window.Plotly.relayout(this.find(`[data-chart=${name}]`), this.overlay(chart));
      this.quality();
    });
  }

  async draw(anew) {
    let Plotly;
    const run = this.data.run;
    try { Plotly = await loadPlotly(this.root); } catch (error) { this.fault(`${error.message}. Reload the page to try again.`); return; }
    if (run !== this.data.run) return;  // overtaken by another run
    const { series } = this.colors();
    for (const [name, chart] of Object.entries(CHARTS)) {
      const element = this.find(`[data-chart=${name}]`);
      const layout = this.layout(chart);
      if (anew || !this.ready) {
        const traces = chart.traces.map(([key, label, color]) => ({ x: [], y: [], name: label, mode: "lines",
          line: { color: series[color], width: 2 }, hovertemplate: "%{y:.3f}" }));
        this.shown = undefined;
        Plotly.newPlot(element, traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
        element.removeAllListeners("plotly_click");
        element.on("plotly_click", ({ points }) => points.length && this.jump(points[0].x));
      } else {
        const kept = { "xaxis.gridcolor": layout.xaxis.gridcolor, "yaxis.gridcolor": layout.yaxis.gridcolor, "font.color": layout.font.color,
          shapes: layout.shapes, annotations: layout.annotations, hoverlabel: layout.hoverlabel };
        Plotly.update(element, { "line.color": chart.traces.map(([, , i]) => series[i]) }, kept);
      }
    }
    this.ready = true;
    this.quality(anew);
    this.overlays();
    this.find(".rv-rest").hidden = Object.values(CHARTS).every((chart) => chart.lines(this.data.equilibrium).every(([y]) => y == null));
    for (const columns of this.points.splice(0)) this.plot(columns);
  }

  open() {
    if (document.hidden || !this.data || this.source) return;
    clearTimeout(this.retry);
    this.source = new EventSource(`${this.root}api/runs/${encodeURIComponent(this.data.run)}/events?since=${this.last}`);
    this.source.addEventListener("metrics", (event) => this.extend(JSON.parse(event.data)));
    this.source.addEventListener("samples", (event) => { this.grids = JSON.parse(event.data).steps; this.grow(); });
    this.source.addEventListener("intervention", (event) => {
      this.changes = JSON.parse(event.data).changes;
      this.listChanges();
      this.overlays();
    });
    this.source.addEventListener("judged", (event) => this.judge(JSON.parse(event.data)));
    this.source.addEventListener("findings", (event) => document.dispatchEvent(
      new CustomEvent("workshop-told", { detail: { run: this.data.run, ...JSON.parse(event.data) } })));
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
    for (const [key, values] of Object.entries(part)) (this.columns[key] ||= []).push(...values);
    if (this.ready) this.plot(part); else this.points.push(part);  // Plotly may still be loading
    this.grow();
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

  // Judgements as columns, from the one numbered `first` on; all of them where the run or the connection begins anew.
  judge(told) {
    const columns = ["step", "fd", "error"];
    const before = told.first && this.judged ? this.judged : { step: [], fd: [], error: [] };
    this.judged = { ...told, ...Object.fromEntries(columns.map((key) => [key, [...before[key], ...told[key]]])) };
    this.showJudged();
    if (this.ready) this.quality();
  }

  // In words: which judgement was the best, and for how long none was better.
  showJudged() {
    const best = this.judged?.best;
    for (const part of [".rv-verdict", ".rv-fd", "[data-chart=quality]"]) this.find(part).hidden = !this.judged;
    if (!best) return;
    const ended = ["finished", "stopped", "failed", "interrupted"].includes(this.told);
    const at = best.step.toLocaleString("en"), since = best.since.toLocaleString("en");
    const floor = best.floor == null ? "" : ` (real images: ${short(best.floor)})`;
    this.find(".rv-verdict span").textContent = `${ended ? "Best" : "Best so far"}: FD ${short(best.fd)} ± ${short(best.error, 2)} at step ${at}${floor}` +
      (best.since ? `; no better for ${since} ${best.since === 1 ? "step" : "steps"}.` : ".");
    const link = this.find(".rv-verdict a");
    link.hidden = false;
    link.href = `${this.root}explore?from=${encodeURIComponent(this.data.run)}&step=best`;
  }

  // The chart of the Fréchet distance, drawn anew with each judgement: they are seconds apart.
  quality(anew = false) {
    const element = this.find("[data-chart=quality]"), judged = this.judged;
    if (!judged || !this.ready) { if (anew) window.Plotly?.purge(element); return; }
    const { step, fd, error, floor, best } = judged, c = this.colors(), color = c.series[3 % c.series.length];
    const side = (sign) => fd.map((value, i) => (value == null ? null : value + sign * (error[i] ?? 0)));
    const hidden = { x: step, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    const traces = [
      { ...hidden, y: side(-1) },
      { ...hidden, y: side(1), fill: "tonexty", fillcolor: /^#[0-9a-f]{6}$/i.test(color) ? `${color}40` : color },
      { x: step, y: fd, name: "FD", mode: step.length < 40 ? "lines+markers" : "lines", line: { color: color, width: 2 }, marker: { size: 5 },
        customdata: error, hovertemplate: "%{y:.3g} ± %{customdata:.2g}", showlegend: false },
    ];
    if (best) traces.push({ x: [best.step], y: [best.fd], name: "Best", mode: "markers", marker: { symbol: "star", size: 13, color: c.series[2] },
      hovertemplate: "%{y:.3g}", showlegend: false });
    const layout = this.layout({ lines: () => [], title: `Distance from real images: FD (${judged.features})` });
    layout.margin = { ...layout.margin, t: 34 };
    layout.yaxis = { ...layout.yaxis, type: "log", rangemode: "normal", tickvals: TICKS, ticktext: TICKS.map(String) };
    if (floor > 0) {
      traces.push({ x: [0, step.at(-1)], y: [floor, floor], mode: "lines", line: { color: c.text, width: 1, dash: "dot" }, opacity: 0.7,
        hoverinfo: "skip", showlegend: false });
      layout.annotations.push({ xref: "paper", x: 1, xanchor: "left", xshift: 4, y: Math.log10(floor), yanchor: "middle", showarrow: false,
        text: "real", font: { color: c.text, size: 11 } });
    }
    window.Plotly.react(element, traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
    element.removeAllListeners("plotly_click");
    element.on("plotly_click", ({ points }) => points.length && this.jump(points[0].x));
    const words = best ? `Best ${short(best.fd)} at step ${best.step}. ` : "";
    element.setAttribute("aria-label", `${layout.title.text}. ${words}At step ${step.at(-1)}: ${fd.at(-1) == null ? "none" : short(fd.at(-1))}`);
  }

  // The moments that can be looked at: every logged step and every grid.
  grow() {
    const now = this.moment();
    this.timeline = [...new Set([...this.grids, ...this.columns.step])].sort((a, b) => a - b);
    this.slider.max = Math.max(0, this.timeline.length - 1);
    this.slider.value = this.follow ? this.slider.max : lastUntil(this.timeline, now);
    this.showMoment();
  }

  moment() { return this.timeline[+this.slider.value]; }

  jump(step) {
    this.slider.value = Math.max(0, lastUntil(this.timeline, step));
    this.slider.oninput();
  }

  showMoment() {
    const step = this.moment();
    if (step === undefined) return;
    this.find(".rv-newest").hidden = this.follow;
    this.find(".rv-fork").textContent = this.follow ? "Fork from the newest state" : `Fork from step ${step.toLocaleString("en")}`;
    this.slider.setAttribute("aria-valuetext", `Step ${step}`);
    this.find(".rv-step").textContent = `Step ${step.toLocaleString("en")}${this.follow ? ", the newest" : ""}: drag to go back through training`;
    const row = lastUntil(this.columns.step, step);
    const value = (key) => this.columns[key]?.[row];
    this.find(".rv-reading").textContent = this.follow || row < 0 ? "" : [clock(value("elapsed_s")),
      `${value("images_seen").toLocaleString("en")} images`,
      ...Object.values(CHARTS).flatMap((chart) => chart.traces).map(([key, , , short]) => `${short} ${value(key)?.toFixed(2) ?? "–"}`)].join(" · ");
    for (const item of this.find(".rv-changes ol").children) item.classList.toggle("rv-later", +item.dataset.step >= step);
    this.showGrid(this.grids[Math.max(0, lastUntil(this.grids, step))]);
    this.overlays();
  }

  showGrid(step) {
    if (step === undefined) return;
    const image = this.find("img");
    const address = `${this.root}api/runs/${encodeURIComponent(this.data.run)}/samples/${step}.png`;
    if (image.getAttribute("src") === address) return;
    image.onerror = () => {
      image.removeAttribute("src");  // a browser's sign of a broken image helps nobody
      this.find(".rv-frame span").textContent = `The images of step ${step.toLocaleString("en")} cannot be shown: the file is damaged or gone.`;
    };
    image.src = address;
    image.alt = `Grid of generated images at step ${step}`;
  }

  // What the doctor has found, as ui/components/findings.js tells it.
  findings() { return window.__workshopFindings?.run === this.data?.run ? window.__workshopFindings.marks : []; }

  // Changed settings, those of one step together.
  marks() {
    const steps = [...new Set(this.changes.map((change) => change.step))];
    return steps.map((step, i) => ({ number: i + 1, step,
      said: this.changes.filter((change) => change.step === step).map((change) => this.said(change.field, change.old, change.new)) }));
  }

  said(field, old, now) {
    const words = (value) => (typeof value === "number" ? +value.toPrecision(4) : value);
    return `${this.data.fields[field] ?? field}: ${words(old)} → ${words(now)}`;
  }

  listChanges() {
    const marks = this.marks();
    const box = this.find(".rv-changes");
    box.hidden = !marks.length;
    box.querySelector("summary").textContent = marks.length === 1 ? "1 change while it trained" : `${marks.length} changes while it trained`;
    box.querySelector("ol").replaceChildren(...marks.map(({ step, said }) => {
      const item = document.createElement("li"), button = document.createElement("button");
      item.dataset.step = step;
      button.type = "button";
      button.textContent = `Step ${step.toLocaleString("en")}`;
      button.title = "Look at this moment";
      button.onclick = () => this.jump(step);
      item.append(button, ` ${said.join("; ")}`);
      return item;
    }));
  }

  status(status) {
    const names = { preparing: "preparing", running: status.stopping ? "stopping…" : status.pace_s ? "slow motion" : "training" };
    this.fact("state", names[status.state] ?? status.state);
    const percent = Math.round(100 * (status.progress ?? 0));
    this.find(".rv-progress i").style.width = `${percent}%`;
    this.find(".rv-progress").setAttribute("aria-valuenow", percent);
    this.fact("eta", ["running", "paused"].includes(status.state) ? clock(status.eta_s) : "–");
    if (status.elapsed_s) this.fact("elapsed", clock(status.elapsed_s));
    if (status.step) this.fact("step", status.step.toLocaleString("en"));
    const work = status.preparing;
    this.say(work ? `${work.task}${work.total ? `: ${Math.round(100 * work.done / work.total)}%` : "…"}`
      : status.judge && !this.judged ? status.judge
      : status.position ? `Waiting: number ${status.position} in the queue${inAbout(status.starts_in_s)}.` : "");
    if (status.state !== this.told) { this.told = status.state; this.showJudged(); this.changed("changed", status.state); }
    if (status.state === "deleted") this.close();
  }

  fact(name, text) { this.find(`[data-fact=${name}]`).textContent = text; }
  say(text) { this.find(".rv-note").textContent = text; }
  fault(text) { this.find(".rv-fault").textContent = text; }

  destroy() {
    this.close();
    cancelAnimationFrame(this.waiting);
    document.removeEventListener("visibilitychange", this.onVisibility);
    document.removeEventListener("workshop-findings", this.onFindings);
    for (const chart of this.element.querySelectorAll(".rv-chart")) window.Plotly?.purge(chart);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new View(parentElement)));
  view.update(data, setTriggerValue);
  return () => { view.destroy(); views.delete(parentElement); };
}
