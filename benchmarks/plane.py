"""Modes of the ring of 8 that the game on the plane finds in Chromium, by preset and seed; the time of a step and of a picture.

    python -m benchmarks.plane                          # seeds 1 to 10 of each preset, 12,000 steps: ten minutes of one core
    python -m benchmarks.plane --first 100 --seconds 60 # seeds 100 to 109, as on the page for a minute each: half an hour
    python -m benchmarks.plane --only collapse          # one preset
    python -m benchmarks.plane --cures                  # after the collapse, each cure for 4,000 steps
    python -m benchmarks.plane --redraws                # pictures a second of the running figure, and steps in each

The page Learn trains the same modules. A mode is found if it gets a quarter of its fair share of 1,000 generated points. "ms" is a
step's time in the fastest of 100 stretches of 5 steps: other work on the machine hardly changes it. With --seconds and --redraws the
lesson's own figure runs at its own pace and draws everything, without a GPU: leave the machine idle.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

from benchmarks.browser import launch
from gan.course.plane import FEW, SETTLED
from ui.components.plane import HTML

COMPONENTS = Path(__file__).parent.parent / "ui" / "components"
MODULES = COMPONENTS / "learn"
ADDRESS = "http://learn.test"
COUNTS = 6  # of modes, at even distances
CURE_STEPS = 4000
# found(game): modes that the generator reaches.
_FOUND = f"""const [{{ Game, drawLatent }}, {{ PRESETS, CURES }}, {{ SHAPES, countModes }}, {{ Mlp }}, {{ Random }}] = await Promise.all(
    ["game", "presets", "points", "mlp", "random"].map((name) => import(`{ADDRESS}/${{name}}.js`)));
  const found = (game) => {{
    const count = 1000, {{ latent, distribution }} = game.settings, network = new Mlp(game.g.sizes, count);
    const latents = new Float64Array(count * latent);
    network.values.set(game.g.values);
    drawLatent(new Random(7), distribution, latents, count * latent);
    return countModes(network.forward(latents, count), count, SHAPES.ring).found;
  }};"""
PLAY = f"""async (text) => {{
  {_FOUND}
  const {{ preset, seed, steps, counts, cures, cureSteps }} = JSON.parse(text);
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
# The lesson's own figure, running at its own pace: modes at even times, steps, and the times of frames, steps and pictures in ms.
RUN = f"""async (text) => {{
  const {{ preset, seed, seconds, counts, few, settled }} = JSON.parse(text);
  {_FOUND}
  const {{ Plane }} = await import(`{ADDRESS}/plane.js`), figure = new Plane(document.querySelector(".plane"));
  figure.update({{ few, settled }}, () => {{}});
  figure.apply({{ seed }}, "");
  figure.apply(PRESETS[preset].settings, "", true);
  const frames = [], train = figure.train.bind(figure), show = figure.show.bind(figure);
  figure.train = () => {{
    const steps = figure.game.steps, begun = performance.now();
    train();
    frames.push({{ at: begun, steps: figure.game.steps - steps, train: performance.now() - begun, draw: 0 }});
  }};
  figure.show = () => {{
    const begun = performance.now();
    show();
    if (frames.length) frames.at(-1).draw += performance.now() - begun;
  }};
  const modes = [];
  figure.toggle();
  for (let i = 0; i < counts; i++) {{
    await new Promise((done) => setTimeout(done, 1000 * seconds / counts));
    modes.push(found(figure.game));
  }}
  figure.toggle();
  const steps = figure.game.steps;
  figure.destroy();
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const gaps = frames.slice(1).map((frame, i) => frame.at - frames[i].at);
  const inSecond = new Array(Math.floor((frames.at(-1).at - frames[0].at) / 1000)).fill(0);
  for (const frame of frames) {{
    const second = Math.floor((frame.at - frames[0].at) / 1000);
    if (second < inSecond.length) inSecond[second]++;  // the last second is cut short
  }}
  return {{ modes, steps, inSecond, perSecond: 1000 * gaps.length / gaps.reduce((a, b) => a + b, 0), gap: median(gaps),
    late: gaps.filter((gap) => gap > 25).length / gaps.length, perFrame: median(frames.map((frame) => frame.steps)),
    step: median(frames.map((frame) => frame.train / frame.steps)), draw: median(frames.map((frame) => frame.draw)) }};
}}"""


def serve_modules(route: Route) -> None:
    """Modules from the checkout; an empty page for everything else."""
    path = MODULES / Path(route.request.url).name
    if path.suffix == ".js":
        route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def run(page: Page, preset: str, seed: int, seconds: float) -> dict[str, Any]:
    """Runs the lesson's figure for some seconds; see RUN."""
    page.set_content(f"<!doctype html><style>{(COMPONENTS / 'plane.css').read_text(encoding='utf-8')}</style>{HTML}")
    asked = {"preset": preset, "seed": seed, "seconds": seconds, "counts": COUNTS, "few": FEW, "settled": SETTLED}
    result: dict[str, Any] = page.evaluate(RUN, json.dumps(asked))
    return result


def measure_running(page: Page, preset: str, seeds: range, seconds: float) -> None:
    """Prints a line per seed of the running figure, and one for the preset."""
    last = []
    for seed in seeds:
        result = run(page, preset, seed, seconds)
        last.append(result["modes"][-1])
        print(f"{preset:12} seed {seed:3}: {' '.join(map(str, result['modes']))}   {result['steps']:,} steps in {seconds:g} s", flush=True)
    print(f"{preset:12} all 8 modes: {last.count(8)} of {len(seeds)}; at most 2: {sum(n <= 2 for n in last)} of {len(seeds)}\n")


def measure_redraws(page: Page, preset: str, seconds: float) -> None:
    """Prints how often the running figure draws, also in the better quarter of the seconds, and what it trains meanwhile."""
    result = run(page, preset, 1, seconds)
    best = sorted(result["inSecond"], reverse=True)
    print(
        f"{preset:12} {result['perSecond']:.1f} pictures/s ({result['late']:.1%} later than 25 ms), {best[(len(best) - 1) // 4]} or more in a "
        f"quarter of the seconds, median {result['gap']:.1f} ms; "
        f"{result['perFrame']} steps a picture of {result['step']:.2f} ms; {result['draw']:.2f} ms to draw",
        flush=True,
    )


def measure(page: Page, preset: str, seeds: range, steps: int, cures: bool) -> None:
    """Prints a line per seed, and one for the preset."""
    last, fastest = [], float("inf")
    for seed in seeds:
        asked = {"preset": preset, "seed": seed, "steps": steps, "counts": COUNTS, "cures": cures, "cureSteps": CURE_STEPS}
        result: dict[str, Any] = page.evaluate(PLAY, json.dumps(asked))
        last.append(result["modes"][-1])
        fastest = min(fastest, result["ms"])
        cured = "".join(f"   {name}: {' '.join(map(str, modes))}" for name, modes in result["cured"].items())
        print(f"{preset:12} seed {seed:3}: {' '.join(map(str, result['modes']))}{cured}", flush=True)
    print(
        f"{preset:12} all 8 modes: {last.count(8)} of {len(seeds)}; at most 2: {sum(n <= 2 for n in last)} of {len(seeds)}; {fastest:.2f} ms\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--seconds", type=float, help="run the lesson's figure for so long, instead of --steps")
    parser.add_argument("--only", choices=["default", "regular", "collapse", "wasserstein"])
    parser.add_argument("--cures", action="store_true")
    parser.add_argument("--redraws", action="store_true", help="only pictures a second; 10 s of each preset, or --seconds")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.seeds)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.route(f"{ADDRESS}/**", serve_modules)
        page.goto(ADDRESS)
        for preset in [args.only] if args.only else ["collapse"] if args.cures else ["default", "regular", "collapse"]:
            if args.redraws:
                measure_redraws(page, preset, args.seconds or 10)
            elif args.seconds:
                measure_running(page, preset, seeds, args.seconds)
            else:
                measure(page, preset, seeds, args.steps, args.cures)
        browser.close()


if __name__ == "__main__":
    main()
