"""Modes of the ring of 8 that the game on the plane finds in Chromium, by preset and seed, and the time of a step.

    python -m benchmarks.plane                          # ten seeds of each preset, 12,000 steps: ten minutes of one core
    python -m benchmarks.plane --only collapse          # one preset
    python -m benchmarks.plane --cures                  # after the collapse, each cure for 4,000 steps

The page Learn trains the same modules. A mode is found if it gets a quarter of its fair share of 1,000 generated points. "ms" is a
step's time in the fastest of 100 stretches of 5 steps: other work on the machine hardly changes it.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

from benchmarks.app import CHROMIUM_FLAGS

MODULES = Path(__file__).parent.parent / "ui" / "components" / "learn"
ADDRESS = "http://learn.test"
COUNTS = 6  # of modes, at even distances
CURE_STEPS = 4000
PLAY = f"""async (text) => {{
  const {{ preset, seed, steps, counts, cures, cureSteps }} = JSON.parse(text);
  const [{{ Game, drawLatent }}, {{ PRESETS, CURES }}, {{ SHAPES, countModes }}, {{ Mlp }}, {{ Random }}] = await Promise.all(
    ["game", "presets", "points", "mlp", "random"].map((name) => import(`{ADDRESS}/${{name}}.js`)));
  const found = (game) => {{
    const count = 1000, {{ latent, distribution }} = game.settings, network = new Mlp(game.g.sizes, count);
    const latents = new Float64Array(count * latent);
    network.values.set(game.g.values);
    drawLatent(new Random(7), distribution, latents, count * latent);
    return countModes(network.forward(latents, count), count, SHAPES.ring).found;
  }};
  const play = (game, steps, counts) => Array.from({{ length: counts }}, () => {{
    for (let i = 0; i < steps / counts; i++) game.step();
    return found(game);
  }});
  const game = new Game({{ ...PRESETS[preset].settings, seed }}, SHAPES.ring);
  const result = {{ modes: play(game, steps, counts), ms: Infinity, cured: {{}} }};
  for (const name of cures ? Object.keys(CURES) : []) {{
    const again = new Game({{ ...PRESETS[preset].settings, seed }}, SHAPES.ring);
    again.g.values.set(game.g.values);
    again.d.values.set(game.d.values);
    again.change(CURES[name].settings);
    result.cured[name] = play(again, cureSteps, 4);
  }}
  for (let i = 0; i < 100; i++) {{
    const begun = performance.now();
    for (let j = 0; j < 5; j++) game.step();
    result.ms = Math.min(result.ms, (performance.now() - begun) / 5);
  }}
  return result;
}}"""


def serve_modules(route: Route) -> None:
    """Modules from the checkout; an empty page for everything else."""
    path = MODULES / Path(route.request.url).name
    if path.suffix == ".js":
        route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def measure(page: Page, preset: str, seeds: int, steps: int, cures: bool) -> None:
    """Prints a line per seed, and one for the preset."""
    last, fastest = [], float("inf")
    for seed in range(1, seeds + 1):
        asked = {"preset": preset, "seed": seed, "steps": steps, "counts": COUNTS, "cures": cures, "cureSteps": CURE_STEPS}
        result: dict[str, Any] = page.evaluate(PLAY, json.dumps(asked))
        last.append(result["modes"][-1])
        fastest = min(fastest, result["ms"])
        cured = "".join(f"   {name}: {' '.join(map(str, modes))}" for name, modes in result["cured"].items())
        print(f"{preset:12} seed {seed:2}: {' '.join(map(str, result['modes']))}{cured}", flush=True)
    print(f"{preset:12} all 8 modes: {last.count(8)} of {seeds}; at most 2: {sum(n <= 2 for n in last)} of {seeds}; {fastest:.2f} ms\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--only", choices=["default", "regular", "collapse", "wasserstein"])
    parser.add_argument("--cures", action="store_true")
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.route(f"{ADDRESS}/**", serve_modules)
        page.goto(ADDRESS)
        for preset in [args.only] if args.only else ["collapse"] if args.cures else ["default", "regular", "collapse"]:
            measure(page, preset, args.seeds, args.steps, args.cures)
        browser.close()


if __name__ == "__main__":
    main()
