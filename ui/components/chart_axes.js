// Axes of charts: one x-axis for charts of one run, and a y-axis that a few huge values do not flatten.
const CROWD = 0.95;  // of the values decide what the y-axis shows
const DWARFED = 3;  // times as high as those: higher values would hide them
const FEWEST = 20;  // values: with fewer, spikes cannot be told from the rest

// What the y-axis shows when a few values dwarf the others; null when none do.
function crowdRange(values) {
  const known = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (known.length < FEWEST) return null;
  const low = Math.min(0, known[Math.floor((1 - CROWD) * (known.length - 1))]), high = Math.max(0, known[Math.ceil(CROWD * (known.length - 1))]);
  const height = high - low;
  if (!height || (known.at(-1) <= low + DWARFED * height && known[0] >= high - DWARFED * height)) return null;
  return [low && low - 0.25 * height, high && high + 0.25 * height];
}

// Keeps charts as wide as their column: Plotly follows only the window. charts: those there are now; a hidden one has no width.
function followWidth(column, charts) {
  const observer = new ResizeObserver(() => { for (const chart of charts()) if (chart.data && chart.offsetParent) plotly().Plots.resize(chart); });
  observer.observe(column);
  return observer;
}

// Takes a chart away once Plotly has finished what it is drawing: it draws in several steps, and the rest would fail without the chart.
function removeChart(chart) { chart.leaving = setTimeout(() => plotly()?.purge(chart)); }

// Marks, in the order of their steps, in groups whose labels would lie on top of each other. near: steps from a group's first mark.
function neighbors(marks, near) {
  const groups = [];
  for (const mark of marks) {
    if (groups.length && mark.step - groups.at(-1)[0].step < near) groups.at(-1).push(mark);
    else groups.push([mark]);
  }
  return groups;
}

class Axes {
  constructor(element) {
    this.element = element;
    this.charts = new Map();  // -> whether its y-axis may leave out spikes
    this.zoom = null;  // of x, for all charts
    this.end = 1;
    this.element.addEventListener("pointerdown", this.hold = () => { this.held = true; });
    addEventListener("pointerup", this.release = () => { this.held = false; });
    addEventListener("pointercancel", this.release);
  }

  // A chart that was just redrawn.
  add(chart, spikes) {
    this.charts.set(chart, { spikes, all: false, zoomed: false });
    chart.removeAllListeners("plotly_relayout");
    chart.on("plotly_relayout", (change) => this.changed(chart, change));
    chart.removeAllListeners("plotly_doubleclick");
    chart.on("plotly_doubleclick", () => this.reset());
    this.fit();
  }

  reset() {
    this.zoom = null;
    for (const state of this.charts.values()) state.zoomed = false;
    this.fit();
  }

  // After a zoom by hand: zooming along x applies to every chart.
  changed(chart, change) {
    if (this.own) return;
    if (change["xaxis.autorange"] || change["yaxis.autorange"]) { this.charts.get(chart).all = true; this.reset(); return; }
    if ("xaxis.range[0]" in change) this.zoom = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if ("yaxis.range[0]" in change) this.charts.get(chart).zoomed = true;
    this.held = false;
    this.fit();
  }

  // Brings every chart to the shared x-axis that ends at `end`; not while a zoom is being drawn, which that would end.
  fit(end = this.end) {
    this.end = Math.max(1, end);
    if (this.held) return;
    const x = this.zoom ?? [0, this.end];
    for (const [chart, state] of this.charts) {
      const layout = chart._fullLayout;
      if (!layout?.xaxis) continue;
      const change = {};
      if (String(layout.xaxis.range) !== String(x)) change["xaxis.range"] = [...x];
      if (state.spikes && !state.zoomed) {
        const crowd = crowdRange(chart._fullData.flatMap((trace) => Array.from(trace.y ?? [])));
        const y = state.all ? null : crowd;
        if (y ? String(layout.yaxis.range) !== String(y) : !layout.yaxis.autorange) change[y ? "yaxis.range" : "yaxis.autorange"] = y ?? true;
        this.offer(chart, state, crowd);
      }
      if (!Object.keys(change).length) continue;
      this.own = true;
      plotly().relayout(chart, change).finally(() => { this.own = false; });
    }
  }

  // One press back to all values, and one to most of them.
  offer(chart, state, crowd) {
    let button = chart.nextElementSibling?.matches(".chart-all") ? chart.nextElementSibling : null;
    if (!button) {
      button = Object.assign(document.createElement("button"), { type: "button", className: "chart-all" });
      button.onclick = () => { const now = this.charts.get(chart); now.all = !now.all; now.zoomed = false; this.fit(); };
      chart.after(button);
    }
    button.hidden = !crowd;
    button.textContent = state.all ? "Leave out spikes" : "Show spikes";
  }

  destroy() {
    this.element.removeEventListener("pointerdown", this.hold);
    removeEventListener("pointerup", this.release);
    removeEventListener("pointercancel", this.release);
  }
}
