// The event stream of one run's live view (run_view.js), open while the page is visible.
const RETRY_MS = 3000;

class Stream {
  // address: of the run's stream, from the last known step on. hear: name of an event -> handler of its data.
  // fault: reports what is wrong; "" clears it.
  constructor(address, hear, fault) {
    Object.assign(this, { address, hear, fault });
    this.onVisibility = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  open() {
    if (document.hidden || this.source) return;
    clearTimeout(this.retry);
    this.source = new EventSource(this.address());
    for (const [name, hear] of Object.entries(this.hear)) this.source.addEventListener(name, (event) => hear(JSON.parse(event.data)));
    this.source.onerror = () => {
      if (this.source?.readyState === EventSource.CLOSED) {  // refused or closed for good: try again from the current step
        this.fault("The connection was lost. Trying again…");
        this.close();
        this.retry = setTimeout(() => this.open(), RETRY_MS);
      }
    };
    this.source.onopen = () => this.fault("");
  }

  close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  destroy() {
    this.close();
    document.removeEventListener("visibilitychange", this.onVisibility);
  }
}
