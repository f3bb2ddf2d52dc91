// What real points come from: shapes on the plane, from -1.5 to 1.5 in both directions.
export const REACH = 1.5;

const FAR = 3;  // standard deviations from a mode within which a point belongs to it
const SHARE = 1 / 4;  // of its fair share of points: with fewer, a mode is not found

// Gaussians of equal weight around the modes.
function mixture(modes, deviation) {
  return {
    modes,
    deviation,
    draw(random, out, rows) {
      for (let r = 0; r < rows; r++) {
        const [x, y] = modes[random.below(modes.length)];
        out[2 * r] = x + deviation * random.normal();
        out[2 * r + 1] = y + deviation * random.normal();
      }
    },
  };
}

// A curve: place(t, side) for t in [0, 1], with noise. side: 0 or 1, for shapes of two parts.
function curve(place, deviation) {
  return {
    modes: [],
    deviation,
    draw(random, out, rows) {
      for (let r = 0; r < rows; r++) {
        const [x, y] = place(random.uniform(), random.below(2));
        out[2 * r] = x + deviation * random.normal();
        out[2 * r + 1] = y + deviation * random.normal();
      }
    },
  };
}

const turn = (share) => [Math.cos(2 * Math.PI * share), Math.sin(2 * Math.PI * share)];

export const SHAPES = {
  ring: mixture(Array.from({ length: 8 }, (_, i) => turn(i / 8)), 0.05),
  grid: mixture(Array.from({ length: 25 }, (_, i) => [(i % 5) / 2 - 1, Math.floor(i / 5) / 2 - 1]), 0.04),
  line: curve((t) => [2 * t - 1, 0.6 * (2 * t - 1)], 0.04),
  spiral: curve((t) => { const root = Math.sqrt(t); return turn(1.5 * root).map((v) => 1.15 * root * v); }, 0.03),
  moons: curve((t, side) => {
    const [x, y] = turn(t / 2);
    return side ? [0.35 - 0.75 * x, 0.25 - 0.9 * y] : [0.75 * x - 0.35, 0.9 * y - 0.25];
  }, 0.05),
};

// A distribution that someone drew: dots [x, y], each as likely as any other.
export function drawn(dots, deviation = 0.04) {
  return { ...mixture(dots, deviation), modes: [] };
}

// How many modes the points reach, and the share of points at a mode. counts: the points at each mode.
export function countModes(points, rows, { modes, deviation }) {
  const counts = new Array(modes.length).fill(0);
  let close = 0;
  for (let r = 0; r < rows; r++) {
    for (let m = 0; m < modes.length; m++) {
      if (Math.hypot(points[2 * r] - modes[m][0], points[2 * r + 1] - modes[m][1]) > FAR * deviation) continue;
      counts[m]++;
      close++;
      break;  // the modes are further apart
    }
  }
  const enough = SHARE * rows / modes.length;
  return { counts, found: counts.filter((count) => count >= enough).length, of: modes.length, close: close / rows };
}
