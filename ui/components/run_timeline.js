// The moments of one run's live view (run_view.js): a slider through all steps, the grid at each, and the changed settings.
// The index of the last number of a rising list that is not beyond `x`; -1 if all are.
function lastUntil(list, x) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= x) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function clock(seconds) {
  if (seconds == null) return "–";
  const s = Math.round(seconds), pad = (n) => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

class Timeline {
  // moved: called when another moment is selected, or something was changed. fork: called with the step to fork from.
  constructor(element, moved, fork) {
    Object.assign(this, { element, moved });
    this.find = (selector) => element.querySelector(selector);
    this.slider = this.find("input");
    this.slider.oninput = () => { this.follow = +this.slider.value === +this.slider.max; this.showMoment(); };
    this.find(".rv-newest").onclick = () => this.jump(Infinity);
    this.find(".rv-fork").onclick = () => fork(this.moment());
  }

  // Another run: nothing is known about it yet.
  clear() {
    Object.assign(this, { columns: { step: [] }, grids: [], timeline: [], changes: [], follow: true });
    this.find("img").removeAttribute("src");
    this.find(".rv-step").textContent = this.find(".rv-reading").textContent = "";
    this.listChanges();
  }

  // New measurements, as columns.
  extend(columns) {
    for (const [key, values] of Object.entries(columns)) (this.columns[key] ||= []).push(...values);
    this.grow();
  }

  // All changed settings so far.
  change(changes) {
    this.changes = changes;
    this.listChanges();
    this.moved();
  }

  // The moments to select: every logged step and every grid.
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
    this.labelFork();
    this.slider.setAttribute("aria-valuetext", `Step ${step}`);
    this.find(".rv-step").textContent = `Step ${step.toLocaleString("en")}${this.follow ? ", the newest" : ""}: drag to go back through training`;
    const row = lastUntil(this.columns.step, step);
    const value = (key) => this.columns[key]?.[row];
    this.find(".rv-reading").textContent = this.follow || row < 0 ? "" : [clock(value("elapsed_s")),
      `${value("images_seen").toLocaleString("en")} images`,
      ...Object.values(CHARTS).flatMap((chart) => chart.traces).map(([key, , , short]) => `${short} ${value(key)?.toFixed(2) ?? "–"}`)].join(" · ");
    for (const item of this.find(".rv-changes ol").children) item.classList.toggle("rv-later", +item.dataset.step >= step);
    this.showGrid(this.grids[Math.max(0, lastUntil(this.grids, step))]);
    this.moved();
  }

  // The step at which a fork would start: checkpoints exist only at some steps.
  labelFork() {
    const step = this.moment(), told = window.__workshopFindings;
    if (step === undefined) return;
    const states = told?.run === this.data.run ? told.states : [];
    const nearest = states.reduce((best, at) => (best == null || Math.abs(at - step) < Math.abs(best - step) ? at : best), null);
    const from = (nearest ?? step).toLocaleString("en");
    this.find(".rv-fork").textContent = this.follow ? "Fork from the newest state"
      : `Fork from step ${from}${nearest == null || nearest === step ? "" : ", the nearest saved state"}`;
  }

  showGrid(step) {
    if (step === undefined) return;
    const image = this.find("img");
    const address = `${this.root}api/runs/${encodeURIComponent(this.data.run)}/samples/${step}.png`;
    if (image.getAttribute("src") === address) return;
    image.onerror = () => {
      image.removeAttribute("src");  // avoids the browser's broken-image icon
      this.find(".rv-frame span").textContent = `The images of step ${step.toLocaleString("en")} cannot be shown: the file is damaged or gone.`;
    };
    image.src = address;
    image.alt = `Grid of generated images at step ${step}`;
  }

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
}
