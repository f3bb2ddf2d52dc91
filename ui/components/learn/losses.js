// The losses of both networks, and their gradients at D's answers. An answer is a logit for the losses of cross entropy, else a score.

export const LOSSES = ["bce", "minimax", "hinge", "wasserstein", "relativistic"];

export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

export function sigmoid(x) {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

// What D makes small. real, fake: arrays of `count` answers each; realSlope and fakeSlope take the gradients. Returns the loss.
export function discriminatorLoss(kind, real, fake, count, realSlope, fakeSlope) {
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const r = real[i], f = fake[i];
    switch (kind) {
      case "hinge":
        loss += Math.max(0, 1 - r) + Math.max(0, 1 + f);
        realSlope[i] = r < 1 ? -1 / count : 0;
        fakeSlope[i] = f > -1 ? 1 / count : 0;
        break;
      case "wasserstein":
        loss += f - r;
        realSlope[i] = -1 / count;
        fakeSlope[i] = 1 / count;
        break;
      case "relativistic":
        loss += softplus(f - r);
        fakeSlope[i] = sigmoid(f - r) / count;
        realSlope[i] = -fakeSlope[i];
        break;
      default:  // cross entropy: -log D(x) - log(1 - D(G(z)))
        loss += softplus(-r) + softplus(f);
        realSlope[i] = -sigmoid(-r) / count;
        fakeSlope[i] = sigmoid(f) / count;
    }
  }
  return loss / count;
}

// What G makes small. real: needed by "relativistic" alone. fakeSlope takes the gradients. Returns the loss.
export function generatorLoss(kind, real, fake, count, fakeSlope) {
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const f = fake[i];
    switch (kind) {
      case "minimax":  // log(1 - D(G(z)))
        loss -= softplus(f);
        fakeSlope[i] = -sigmoid(f) / count;
        break;
      case "hinge":
      case "wasserstein":
        loss -= f;
        fakeSlope[i] = -1 / count;
        break;
      case "relativistic":
        loss += softplus(real[i] - f);
        fakeSlope[i] = -sigmoid(real[i] - f) / count;
        break;
      default:  // -log D(G(z)), which does not saturate
        loss += softplus(-f);
        fakeSlope[i] = -sigmoid(-f) / count;
    }
  }
  return loss / count;
}
