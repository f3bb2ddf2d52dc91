// Curves of several runs, and their grids at one position along the axis. Streamlit calls the function again on new data
// or another theme, so every call starts from what the element already holds.
const views = new WeakMap();

// A position in words.
function told(axis, x) {
  if (axis === "step") return `step ${Math.round(x).toLocaleString("en")}`;
  if (axis === "images_seen") return `${Math.round(x).toLocaleString("en")} images`;
  return `${x.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} s`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

class View {
  constructor(element) {
    this.element = element;
    this.find = (selector) => element.querySelector(selector);
    this.charts = [];
    this.axes = new Axes(element);
    this.stops = [];
    this.slider = this.find("input");
    this.slider.oninput = () => this.moveTo(this.stops[+this.slider.value], +this.slider.value === +this.slider.max);
    this.slider.onchange = () => this.tell();
    this.resized = followWidth(this.find(".cv-charts"), () => this.charts);
  }

  update(data, tell) {
    const before = this.data;
    this.data = data;
    this.tell = () => tell("at", this.follow ? -1 : this.at);
    this.root = base(data.page);
    if (before?.axis !== data.axis) {  // otherwise the slider has the position
      this.at = data.at;
      this.follow = data.at == null;
      this.axes.zoom = null;
    }
    this.stops = [...new Set(data.runs.flatMap((run) => run.at))].sort((a, b) => a - b);
    if (this.at != null && this.stops.length) this.at = Math.min(this.at, this.stops.at(-1));
    this.slider.max = Math.max(0, this.stops.length - 1);
    this.slider.disabled = this.stops.length < 2;
    this.lay();
    const index = this.follow ? this.stops.length - 1 : this.stops.findLastIndex((x) => x <= this.at);
    this.slider.value = Math.max(0, index);
    this.moveTo(this.follow ? this.stops.at(-1) : this.at, this.follow);
    this.find(".cv-notes").replaceChildren(...data.notes.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
    this.draw();
  }

  // A figure for each run; existing figures stay, so no picture blinks.
  lay() {
    const place = this.find(".cv-grids");
    place.style.setProperty("--runs", this.data.runs.length);  // so that two grids stay side by side on a wide screen
    while (place.children.length > this.data.runs.length) place.lastChild.remove();
    this.data.runs.forEach((run, i) => {
      let figure = place.children[i];
      if (!figure) {
        figure = document.createElement("figure");
        figure.innerHTML = '<figcaption><b><i></i><span></span></b><span class="cv-when"></span></figcaption><div class="cv-frame"><img alt=""></div>';
        const image = figure.querySelector("img");  // hard pixels look right when enlarged, but lose whole rows when reduced
        image.onload = () => image.classList.toggle("cv-larger", image.clientWidth * devicePixelRatio >= image.naturalWidth);
        place.append(figure);
      }
      figure.querySelector("i").style.background = run.color;
      figure.querySelector("b span").textContent = run.name;
    });
  }

  // Shows each run's newest grid at or before a position.
  moveTo(x, follow) {
    this.at = x;
    this.follow = follow;
    const { axis, runs } = this.data;
    this.find(".cv-where").textContent = x == null ? "The grids appear with the first steps."
      : `${capital(told(axis, x))}${follow ? ", the newest" : ""}: drag to move through training, or click a chart`;
    this.slider.setAttribute("aria-valuetext", x == null ? "none" : told(axis, x));
    runs.forEach((run, i) => {
      const figure = this.find(".cv-grids").children[i];
      const image = figure.querySelector("img");
      const index = run.at.findLastIndex((at) => at <= x);
      const when = figure.querySelector(".cv-when");
      if (index < 0) {
        image.removeAttribute("src");
        when.textContent = run.steps.length ? `Its first grid is at ${told(axis, run.at[0])}` : "No grid yet";
        return;
      }
      const step = run.steps[index];
      const last = index === run.steps.length - 1 && run.at[index] < x ? (run.atWork ? ", its newest" : ", its last") : "";
      when.textContent = `Step ${step.toLocaleString("en")}${axis === "step" ? "" : `, ${told(axis, run.at[index])}`}${last}`;
      const address = `${this.root}api/runs/${encodeURIComponent(run.id)}/samples/${step}.png`;
      if (image.getAttribute("src") !== address) image.src = address;
      image.alt = `Grid of ${run.name} at step ${step}`;
    });
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.line());
  }

  // Marks the slider's position on every chart.
  shapes() {
    const line = { color: this.colors().text, width: 1, dash: "dot" };
    return this.at == null ? [] : [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: this.at, x1: this.at, opacity: 0.6, line }];
  }

  line() {
    if (!plotly()) return;
    for (const chart of this.charts) if (chart.data) plotly().relayout(chart, { shapes: this.shapes() });
  }

  colors() {
    const style = getComputedStyle(this.element);
    const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return { text: read("--st-text-color", "#222"), grid: read("--st-border-color", "#ddd"), font: read("--st-font", "sans-serif") };
  }

  async draw() {
    const data = this.data;
    let Plotly;
    try { Plotly = await loadPlotly(this.root); } catch (error) { this.fault(`${error.message}. Reload the page to try again.`); return; }
    if (data !== this.data || !this.element.isConnected) return;  // overtaken
    this.fault("");
    const place = this.find(".cv-charts");
    while (this.charts.length > data.figures.length) {
      const chart = this.charts.pop();
      removeChart(chart);
      chart.parentElement.remove();
    }
    while (this.charts.length < data.figures.length) {  // all of them before the first is drawn, because drawing uses the current width
      const chart = Object.assign(document.createElement("div"), { className: "cv-chart" });
      chart.setAttribute("role", "figure");  // not "img": its toolbar can be reached
      const box = Object.assign(document.createElement("div"), { className: "cv-box" });
      box.append(chart);
      place.append(box);
      this.charts.push(chart);
    }
    const c = this.colors();
    data.figures.forEach(({ figure, text }, i) => {
      const chart = this.charts[i];
      chart.setAttribute("aria-label", text);
      const { data: traces, layout } = JSON.parse(figure);
      layout.yaxis ??= {};
      const axis = { gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.grid };
      Object.assign(layout, { font: { color: c.text, family: c.font, size: fontSize() }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        hoverlabel: { bgcolor: c.grid, font: { color: c.text } }, shapes: this.shapes(),
        modebar: { bgcolor: "rgba(0,0,0,0)", color: c.text, activecolor: c.text } });
      layout.title.font = { size: fontSize() + 2 };
      Object.assign(layout.xaxis, axis);
      Object.assign(layout.yaxis, axis);
      for (const trace of traces) if (trace.marker?.line && trace.marker.symbol === "diamond") trace.marker.line.color = c.text;
      const fresh = !chart.data;
      layout.dragmode = dragmode();
      this.axes.end = layout.xaxis.range[1];
      if (this.axes.zoom) layout.xaxis.range = this.axes.zoom;
      Plotly.react(chart, traces, layout, PLOTLY);
      if (fresh) {
        this.axes.add(chart, layout.meta?.spikes);
        chart.on("plotly_click", (event) => this.goTo(event.points[0]?.x));
      }
    });
    this.axes.fit();
  }

  goTo(x) {
    if (x == null || !this.stops.length) return;
    const index = Math.max(0, this.stops.findLastIndex((stop) => stop <= x));
    this.slider.value = index;
    this.moveTo(this.stops[index], index === this.stops.length - 1);
    this.tell();
  }

  fault(text) { this.find(".cv-fault").textContent = text; }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.resized.disconnect();
    this.axes.destroy();
    for (const chart of this.charts) removeChart(chart);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new View(parentElement)));
  view.update(data, setTriggerValue);
  return () => { view.destroy(); views.delete(parentElement); };
}
