// Two normal densities on a line, and what a perfect discriminator makes of them.
// A density is { mean, deviation }. Integrals are sums over a fine even grid (the trapezoid rule).

const CELLS = 4000;
const FAR = 10;  // standard deviations beyond which nothing is left

export function logDensity({ mean, deviation }, x) {
  const z = (x - mean) / deviation;
  return -0.5 * z * z - Math.log(deviation) - 0.5 * Math.log(2 * Math.PI);
}

export function density(of, x) {
  return Math.exp(logDensity(of, x));
}

// D*(x) = p_data(x) / (p_data(x) + p_g(x)), through logarithms: far out both densities are 0 in floating point.
export function bestAnswer(data, generated, x) {
  const difference = logDensity(generated, x) - logDensity(data, x);
  return difference > 0 ? Math.exp(-difference) / (1 + Math.exp(-difference)) : 1 / (1 + Math.exp(difference));
}

// The function integrated over all places where one of the densities is not 0.
function integrate(data, generated, value) {
  const both = [data, generated];
  const from = Math.min(...both.map(({ mean, deviation }) => mean - FAR * deviation));
  const to = Math.max(...both.map(({ mean, deviation }) => mean + FAR * deviation));
  const step = (to - from) / CELLS;
  let sum = 0;
  for (let i = 0; i <= CELLS; i++) sum += value(from + i * step, step) * (i === 0 || i === CELLS ? 0.5 : 1);
  return sum * step;
}

// log(1 + e^-d), where d is the log of a ratio of densities: minus the log of D* or of 1 - D*.
const surprise = (d) => Math.max(-d, 0) + Math.log1p(Math.exp(-Math.abs(d)));

// V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))] for the best D.
export function bestValue(data, generated) {
  return integrate(data, generated, (x) => {
    const p = logDensity(data, x), q = logDensity(generated, x);
    return -Math.exp(p) * surprise(p - q) - Math.exp(q) * surprise(q - p);
  });
}

// The same for any D, a function of x with answers between 0 and 1.
export function value(data, generated, answer) {
  return integrate(data, generated, (x) => {
    const d = answer(x), p = density(data, x), q = density(generated, x);
    return (p && p * Math.log(d)) + (q && q * Math.log(1 - d));
  });
}

// The Jensen-Shannon divergence in nats, from 0 to ln 2: V(D*, G) = -2 ln 2 + 2 JS.
export function jensenShannon(data, generated) {
  return Math.min(Math.LN2, Math.max(0, bestValue(data, generated) / 2 + Math.LN2));
}

// The Wasserstein-1 distance: the area between the distribution functions.
export function wasserstein(data, generated) {
  let gap = 0, before = 0;
  return integrate(data, generated, (x, step) => {
    const difference = density(data, x) - density(generated, x);
    gap += (before + difference) / 2 * step;
    before = difference;
    return Math.abs(gap);
  });
}

// The slopes of G's two losses at D's answer D(G(z)) = answer, by D's logit: log(1 - D) (minimax) stalls where D is sure, -log D does not.
export function generatorSlopes(answer) {
  return { minimax: -answer, nonSaturating: answer - 1 };
}
