// What the components of the lessons' figures share. The modules lie in learn/ and come from a route, which browsers keep: this script
// would travel with each message.
const figures = new WeakMap();

// The component whose root matches a selector, with a class that a module exports: new (root), update(data, tell), destroy().
function figure(selector, module, name) {
  return ({ data, parentElement, setStateValue }) => {
    const root = parentElement.querySelector(selector), tell = (report) => setStateValue("report", report);
    const entry = figures.get(parentElement) ?? {};
    figures.set(parentElement, entry);
    Object.assign(entry, { data, tell });  // the newest, also for a figure whose module is still loading
    entry.figure?.update(data, tell);
    entry.loading ??= import(new URL(`${base(data.page)}assets/learn/${module}`, location.href).href).then((exports) => {
      if (figures.get(parentElement) !== entry) return;  // gone meanwhile
      entry.figure = root.figure = new exports[name](root);
      entry.figure.update(entry.data, entry.tell);
      root.classList.add("figure-ready");
    }).catch((error) => { root.querySelector("[role=alert]").textContent = `The figure cannot be loaded: reload the page. (${error.message})`; });
    return () => { entry.figure?.destroy(); figures.delete(parentElement); };
  };
}
