// Passes the steps at which findings began to the live view, which draws them on its charts (run_charts.js), and asks for the
// fragment around it again when the live view reports new findings.
const panels = new WeakMap();
const PATIENCE_MS = 3000;  // of two fragments that are asked for in the same moment Streamlit may run only one
const TRIES = 3;

class Panel {
  constructor() {
    this.hear = ({ detail }) => {
      if (detail.run === this.data.run && detail.version !== this.data.version) this.request(detail.version, TRIES, this.data.after_ms);
    };
    document.addEventListener("workshop-told", this.hear);
  }

  // Asks for the fragment after a moment, and again until it comes.
  request(version, tries, wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.ask("again", version);
      if (tries > 1) this.request(version, tries - 1, PATIENCE_MS);
    }, wait);
  }

  update(data, ask) {
    clearTimeout(this.timer);
    Object.assign(this, { data, ask });
    window.__workshopFindings = data;
    document.dispatchEvent(new CustomEvent("workshop-findings"));
  }

  destroy() {
    clearTimeout(this.timer);
    document.removeEventListener("workshop-told", this.hear);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) panels.set(parentElement, (panel = new Panel()));
  panel.update(data, setTriggerValue);
  return () => { panel.destroy(); panels.delete(parentElement); };
}
