// Passes the steps at which findings began to the live view, which draws them on its charts (run_charts.js), and asks for a
// new panel when the live view reports new findings.
const panels = new WeakMap();

class Panel {
  constructor() {
    this.hear = ({ detail }) => {
      if (detail.run === this.data.run && detail.version !== this.data.version) this.ask("again", detail.version);
    };
    document.addEventListener("workshop-told", this.hear);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) panels.set(parentElement, (panel = new Panel()));
  Object.assign(panel, { data, ask: setTriggerValue });
  window.__workshopFindings = data;
  document.dispatchEvent(new CustomEvent("workshop-findings"));
  return () => { document.removeEventListener("workshop-told", panel.hear); panels.delete(parentElement); };
}
