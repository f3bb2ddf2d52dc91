// Named settings of the game on the plane. A preset changes the settings that it names; the others go back to their defaults.
import { DEFAULTS } from "./game.js";

const start = (changes) => ({ ...DEFAULTS, ...changes });

export const PRESETS = {
  default: { label: "Cross entropy", settings: start({}) },
  regular: { label: "Relativistic, R1 and R2", settings: start({ loss: "relativistic", r1: 0.03, r2: 0.03, beta1: 0, gRate: 0.001, dRate: 0.001 }) },
  // G learns seven times as fast as D, and Adam's long memory carries both past the balance: G runs from mode to mode.
  collapse: { label: "Collapse", settings: start({ beta1: 0.9, gRate: 0.007, dRate: 0.001 }) },
  wasserstein: {
    label: "Wasserstein",
    settings: start({ loss: "wasserstein", optimizer: "rmsprop", dSteps: 5, dRate: 0.001, gRate: 0.001 }),
  },
};

// Fixes for the collapse while it runs. With the first, all 8 modes came back within 4,000 steps (10 of 10 seeds); with the
// second most came back, and some were lost again (python -m benchmarks.plane --cures).
export const CURES = {
  regular: {
    label: "Equal rates, no momentum, relativistic, R1 and R2",
    settings: { loss: "relativistic", r1: 0.03, r2: 0.03, beta1: 0, gRate: 0.001, dRate: 0.001 },
  },
  balance: { label: "Equal rates, less momentum", settings: { beta1: 0.5, gRate: 0.002, dRate: 0.002 } },
};
