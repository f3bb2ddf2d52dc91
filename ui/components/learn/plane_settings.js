// The settings of the game on the plane as form fields: what can be chosen, and what it is called.

const RATES = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.007, 0.01, 0.02];
const named = (values) => Object.fromEntries(values.map((value) => [value, String(value)]));

export const DATA = { ring: "Ring of 8", grid: "Grid of 25", line: "Line", spiral: "Spiral", moons: "Two moons", drawn: "Draw your own" };

// name -> [label, choices: value -> text, when it matters (all settings -> boolean; always if missing)]
export const FIELDS = {
  loss: ["Loss", {
    bce: "Cross entropy (non-saturating)", minimax: "Cross entropy (minimax)", hinge: "Hinge", wasserstein: "Wasserstein, clipped",
    relativistic: "Relativistic",
  }],
  r1: ["R1 penalty", named([0, 0.03, 0.1, 0.3, 1])],
  r2: ["R2 penalty", named([0, 0.03, 0.1, 0.3, 1])],
  clip: ["Clip D's weights at", named([0.01, 0.03, 0.1, 0.3]), ({ loss }) => loss === "wasserstein"],
  dRate: ["D's learning rate", named(RATES)],
  gRate: ["G's learning rate", named(RATES)],
  dSteps: ["Steps of D", named([1, 2, 5])],
  gSteps: ["Steps of G", named([1, 2, 5])],
  optimizer: ["Optimizer", { adam: "Adam", rmsprop: "RMSprop" }],
  beta1: ["Adam's β1", named([0, 0.5, 0.9]), ({ optimizer }) => optimizer === "adam"],
  packing: ["Points in a pack", named([1, 2, 4])],
  latent: ["Latent size", named([1, 2, 8, 32])],
  distribution: ["Latent distribution", { normal: "Normal", uniform: "Uniform" }],
  hidden: ["Hidden units", named([8, 16, 32, 64])],
  seed: ["Seed", named([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])],
};

// Fields in a container, which call change(name, value). Returns what shows settings in them.
export function makeFields(container, change) {
  const selects = {};
  for (const [name, [label, choices]] of Object.entries(FIELDS)) {
    const field = document.createElement("label"), select = document.createElement("select");
    field.append(label, select);
    select.name = name;
    for (const [value, text] of Object.entries(choices)) select.add(new Option(text, value));
    const isNumber = Object.keys(choices).every((value) => !Number.isNaN(Number(value)));
    select.onchange = () => change(name, isNumber ? Number(select.value) : select.value);
    container.append(field);
    selects[name] = select;
  }
  return (settings) => {
    for (const [name, select] of Object.entries(selects)) {
      select.value = String(settings[name]);
      select.disabled = !(FIELDS[name][2]?.(settings) ?? true);
    }
  };
}
