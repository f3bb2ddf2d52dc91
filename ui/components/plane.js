// The figure of the lesson "The game on a plane". Its modules lie in learn/ and come from a route, which browsers keep: this script
// would travel with each message.
const figures = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".plane"), fault = root.querySelector(".plane-fault");
  const tell = (report) => setStateValue("report", report);
  const entry = figures.get(parentElement) ?? {};
  figures.set(parentElement, entry);
  entry.figure?.update(data, tell);
  if (!entry.loading) {
    entry.loading = import(new URL(`${base(data.page)}assets/learn/plane.js`, location.href).href).then(({ Plane }) => {
      if (figures.get(parentElement) !== entry) return;  // gone meanwhile
      entry.figure = root.figure = new Plane(root);
      entry.figure.update(data, tell);
      root.classList.add("plane-ready");
    }).catch((error) => { fault.textContent = `The figure cannot be loaded: reload the page. (${error.message})`; });
  }
  return () => { entry.figure?.destroy(); figures.delete(parentElement); };
}
