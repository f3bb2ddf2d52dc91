// The live view of one run. Streamlit calls the function at the end again on new data or another theme, so every call starts from
// what the element already holds. Its parts have their own scripts: run_stream.js, run_timeline.js, run_charts.js.
const views = new WeakMap();
const ASK_AGAIN_MS = 4000;
const ENDED = ["finished", "stopped", "failed", "interrupted"];

// When a waiting run starts, if that is known.
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
    this.timeline = new Timeline(element, () => this.charts.overlays(), (step) => this.changed("fork", step));
    this.charts = new Charts(element, this.timeline, (text) => this.fault(text));
    this.stream = new Stream(() => `${this.root}api/runs/${encodeURIComponent(this.data.run)}/events?since=${this.last}`, {
      metrics: (columns) => this.extend(columns),
      samples: ({ steps }) => { this.timeline.grids = steps; this.timeline.grow(); this.showBegun(); },
      intervention: ({ changes }) => this.timeline.change(changes),
      judged: (told) => { this.charts.judge(told); this.showJudged(); },
      findings: (told) => document.dispatchEvent(new CustomEvent("workshop-told", { detail: { run: this.data.run, ...told } })),
      status: (status) => this.status(status),
    }, (text) => (text || this.charts.ready) && this.fault(text));
  }

  update(data, changed) {
    this.changed = changed;
    const other = data.run !== this.data?.run;
    this.data = this.timeline.data = this.charts.data = data;
    this.told = data.state;
    this.root = this.timeline.root = base(data.page);
    if (other) {
      this.stream.close();
      this.last = 0;
      this.latest = undefined;
      this.charts.clear();
      this.timeline.clear();
      this.showJudged();
      for (const fact of this.element.querySelectorAll("[data-fact]")) fact.textContent = "–";
      this.say("");
      this.task = this.unscored = undefined;
    }
    this.find(".rv-fork").hidden = !data.fork;
    this.find(".rv-latent").hidden = data.translates;
    this.find(".rv-rows").hidden = !data.translates;
    this.find(".rv-rows").textContent = data.rows;
    this.find(".rv-verdict a").textContent = data.translates ? "Translate with the best" : "Explore the best";
    this.showParent(data.parent);
    // A run that has not started has nothing to draw: its charts are made when it starts.
    this.find(".run-view").classList.toggle("rv-waiting", data.waiting);
    this.showBegun();
    this.showJudged();
    this.undrawn ||= other;
    if (!data.waiting) {
      this.charts.draw(this.root, this.undrawn);
      this.undrawn = false;
    }
    this.find(".run-view").classList.add("rv-ready");
    this.stream.open();
  }

  // The run that a fork continues.
  showParent(parent) {
    this.find(".rv-parent").hidden = !parent;
    if (!parent) return;
    const link = this.find(".rv-parent a");
    link.textContent = parent.name;
    link.href = `${this.root}train?run=${encodeURIComponent(parent.run)}`;
    const settings = Object.entries(parent.settings ?? {}).filter(([field]) => !field.startsWith("duration"));
    this.find(".rv-parent span").textContent = parent.step.toLocaleString("en") +
      (settings.length ? ` with ${settings.map(([field, [old, now]]) => this.timeline.said(field, old, now)).join("; ")}` : "");
  }

  // Shows what there is so far. Empty places say when their content comes. A run that ended before its first step has nothing to show.
  showBegun() {
    const over = ENDED.includes(this.told), preparing = this.told === "preparing";
    const images = this.timeline.timeline.length > 0, curves = this.last > 0;
    this.find(".run-view").classList.toggle("rv-nothing", over && !images && !curves);
    this.find(".rv-samples").classList.toggle("rv-unseen", this.timeline.timeline.length < 2);
    this.find(".rv-charts").classList.toggle("rv-undrawn", !curves);
    if (!images) this.find(".rv-frame span").textContent = preparing ? "The images appear here when training begins." : "The first images appear in a moment.";
    this.find(".rv-soon").textContent = preparing ? "The curves begin when training begins." : "The curves begin after a few steps.";
  }

  // A task of the preparation in words: how far it is, and the time left if it can be estimated.
  working({ task, done, total }) {
    if (!total) return `${task}…`;
    const now = performance.now(), share = done / total;
    if (this.task?.name !== task) this.task = { name: task, since: now, share };
    const gone = share - this.task.share;
    const left = gone > 0.05 ? (1 - share) / gone * (now - this.task.since) / 1000 : null;
    return `${task}: ${Math.round(100 * share)}%${left > 3 ? `, about ${left < 90 ? `${Math.ceil(left / 5) * 5} s` : `${Math.round(left / 60)} min`} to go` : ""}`;
  }

  extend(columns) {
    const fresh = columns.step.findIndex((step) => step > this.last);
    if (fresh < 0) return;
    this.last = columns.step.at(-1);
    const part = Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values.slice(fresh)]));
    this.charts.extend(part);
    this.timeline.extend(part);
    this.showBegun();
    this.fact("speed", Math.round(columns.images_per_s.at(-1)).toLocaleString("en"));
    this.fact("step", this.last.toLocaleString("en"));
    this.fact("elapsed", clock(columns.elapsed_s.at(-1)));
  }

  // In words: the best scoring, and for how long none was better.
  showJudged() {
    const best = this.charts.judged?.best, ended = ENDED.includes(this.told);
    const shown = this.charts.judged || (this.data.judged && !ended);
    for (const part of [".rv-verdict", ".rv-fd", "[data-chart=quality]"]) this.find(part).hidden = !shown;
    if (!best) {
      this.find(".rv-verdict span").textContent = this.unscored ?? "The first score comes soon. On a new data set, the judge learns its features first.";
      this.find(".rv-verdict a").hidden = true;
      return;
    }
    const at = best.step.toLocaleString("en"), since = best.since.toLocaleString("en");
    const floor = ` (lower is better${best.floor == null ? "" : `; real images: ${short(best.floor)}`})`;
    this.find(".rv-verdict span").textContent = `${ended ? "Best" : "Best so far"}: FD ${short(best.fd)} ± ${short(best.error, 2)} at step ${at}${floor}` +
      (best.since ? `; no better for ${since} ${best.since === 1 ? "step" : "steps"}.` : ".") +
      (this.charts.judged.too_few ? " The data set has few images to compare with, so chance plays a large part in this score." : "");
    const link = this.find(".rv-verdict a");
    link.hidden = false;
    link.href = `${this.root}${this.data.translates ? "translate" : "explore"}?from=${encodeURIComponent(this.data.run)}&step=best`;
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
    this.unscored = status.judge ?? undefined;
    this.say(status.preparing ? this.working(status.preparing)
      : status.judge && !this.charts.judged && !this.data.judged ? status.judge
      : status.position ? `Waiting: number ${status.position} in the queue${inAbout(status.starts_in_s)}.` : "");
    this.latest = status.state;
    if (status.state !== this.told) { this.told = status.state; this.showBegun(); this.ask(); }
    this.showJudged();
    if (status.state === "deleted") this.stream.close();
  }

  fact(name, text) { this.find(`[data-fact=${name}]`).textContent = text; }
  say(text) { this.find(".rv-note").textContent = text; }
  fault(text) { this.find(".rv-fault").textContent = text; }

  // Asks for a rerun of the page's script until the page shows the run's state: a request may get lost among those of fragments.
  ask() {
    clearTimeout(this.asking);
    if (this.latest === undefined || this.latest === this.data.state) return;
    this.changed("changed", this.latest);
    this.asking = setTimeout(() => this.ask(), ASK_AGAIN_MS);
  }

  destroy() {
    clearTimeout(this.asking);
    this.stream.destroy();
    this.charts.destroy();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new View(parentElement)));
  view.update(data, setTriggerValue);
  return () => { view.destroy(); views.delete(parentElement); };
}
