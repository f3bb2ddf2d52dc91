"""The mathematics of the lessons' figures, which runs in browsers, compared with torch and with numeric integration."""

import base64
import copy
import json
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from playwright.sync_api import Browser, Page

from benchmarks.plane import serve_modules
from gan import latent
from gan.course import digits_run, space_pictures
from gan.course.batch_norm_network import network_file
from gan.explore.models import SHIPPED
from gan.networks.generator_file import load_generator
from gan.training.losses import discriminator_loss, generator_loss, zero_centered_penalty

ADDRESS = "http://learn.test"
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-8}  # double precision on both sides: only the order of sums differs


@pytest.fixture(scope="module")
def script(browser: Browser) -> Iterator[Page]:
    """An empty page that can import the modules, without a server."""

    page = browser.new_page()
    page.route(f"{ADDRESS}/**", serve_modules)
    page.goto(ADDRESS)
    yield page
    page.close()


def run(script: Page, module: str, body: str, **values: Any) -> Any:
    """What a function body returns, with a module's exports as `m` and plain values as `v`."""
    code = f"async (text) => {{ const v = JSON.parse(text), m = await import('{ADDRESS}/{module}.js'); {body} }}"
    return script.evaluate(code, json.dumps(values))


# The game on the plane.

LATENT, HIDDEN, BATCH = 3, 7, 8


def sizes(packing: int) -> tuple[list[int], list[int]]:
    return [LATENT, HIDDEN, HIDDEN, 2], [2 * packing, HIDDEN, HIDDEN, 1]


def length(layers: list[int]) -> int:
    return sum((a + 1) * b for a, b in pairwise(layers))


def mlp(values: torch.Tensor, layers: list[int], x: torch.Tensor) -> torch.Tensor:
    """The network that mlp.js describes, from its flat parameters."""
    at = 0
    for i, (inputs, outputs) in enumerate(pairwise(layers)):
        weights = values[at : at + inputs * outputs].view(outputs, inputs)
        at += inputs * outputs
        x = F.linear(x, weights, values[at : at + outputs])
        at += outputs
        if i < len(layers) - 2:
            x = F.leaky_relu(x, 0.2)
    return x


GRADIENTS = """
  const game = new m.Game({...v.settings}, null);
  game.g.values.set(v.g); game.d.values.set(v.d); game.noise.set(v.noise);
  game.points.set(v.real);
  game.points.set(game.g.forward(game.noise, v.settings.batch), v.real.length);
  game.gradientsD();
  const d = {loss: game.lossD, penalty: game.penalty, gradients: [...game.d.gradients]};
  game.gradientsG();
  return {d, g: {loss: game.lossG, gradients: [...game.g.gradients], pull: [...game.pull]}};
"""


@pytest.mark.parametrize("loss", ["bce", "minimax", "hinge", "wasserstein", "relativistic"])
@pytest.mark.parametrize("packing", [1, 2, 4])
def test_losses_and_gradients_are_those_of_autograd(script: Page, loss: str, packing: int) -> None:
    rng = torch.Generator().manual_seed(packing)
    layers_g, layers_d = sizes(packing)
    packs = BATCH // packing
    for r1, r2 in ((0.0, 0.0), (0.7, 0.0), (0.0, 0.4), (0.7, 0.4)):
        g = torch.randn(length(layers_g), generator=rng, dtype=torch.double).requires_grad_()
        d = torch.randn(length(layers_d), generator=rng, dtype=torch.double).requires_grad_()
        noise = torch.randn(BATCH, LATENT, generator=rng, dtype=torch.double)
        real = torch.randn(BATCH, 2, generator=rng, dtype=torch.double)
        settings = {"loss": loss, "packing": packing, "r1": r1, "r2": r2, "latent": LATENT, "hidden": HIDDEN, "batch": BATCH}
        got = run(
            script,
            "game",
            GRADIENTS,
            settings=settings,
            g=g.tolist(),
            d=d.tolist(),
            noise=noise.flatten().tolist(),
            real=real.flatten().tolist(),
        )

        # D: the loss and the penalties, whose gradients are of second order.
        inputs = [real.view(packs, -1).requires_grad_(), mlp(g, layers_g, noise).detach().view(packs, -1).requires_grad_()]
        answers = [mlp(d, layers_d, x)[:, 0] for x in inputs]
        kind = "bce" if loss == "minimax" else loss
        loss_d = discriminator_loss(answers[0], answers[1], kind)
        slopes = [torch.autograd.grad(a.sum(), x, create_graph=True)[0] for a, x in zip(answers, inputs, strict=True)]
        penalty = r1 * zero_centered_penalty(slopes[0]) + r2 * zero_centered_penalty(slopes[1])
        (expected,) = torch.autograd.grad(loss_d + penalty, d)
        np.testing.assert_allclose(got["d"]["loss"], loss_d.item(), **CLOSE)
        np.testing.assert_allclose(got["d"]["penalty"], penalty.item(), **CLOSE)
        np.testing.assert_allclose(got["d"]["gradients"], expected.numpy(), **CLOSE)

        # G, and the gradient at each of its points.
        points = mlp(g, layers_g, noise)
        fake = mlp(d, layers_d, points.view(packs, -1))[:, 0]
        loss_g = -F.softplus(fake).mean() if loss == "minimax" else generator_loss(fake, kind, answers[0].detach())
        pull, expected = torch.autograd.grad(loss_g, (points, g))
        np.testing.assert_allclose(got["g"]["loss"], loss_g.item(), **CLOSE)
        np.testing.assert_allclose(got["g"]["pull"], pull.flatten().numpy(), **CLOSE)
        np.testing.assert_allclose(got["g"]["gradients"], expected.numpy(), **CLOSE)


@pytest.mark.parametrize(
    ("made", "rival"),
    [
        ("new m.Adam(4, 0.3, 0.9)", lambda values: torch.optim.Adam([values], lr=0.05, betas=(0.3, 0.9))),
        ("new m.RmsProp(4)", lambda values: torch.optim.RMSprop([values], lr=0.05)),
    ],
    ids=["adam", "rmsprop"],
)
def test_optimizers_are_those_of_torch(script: Page, made: str, rival: Any) -> None:
    rng = torch.Generator().manual_seed(1)
    start, gradients = torch.randn(4, generator=rng, dtype=torch.double), torch.randn(6, 4, generator=rng, dtype=torch.double)
    body = f"const values = new Float64Array(v.start), o = {made}; for (const g of v.gradients) o.step(values, g, 0.05); return [...values]"
    got = run(script, "optimizers", body, start=start.tolist(), gradients=gradients.tolist())
    values = start.clone().requires_grad_()
    optimizer = rival(values)
    for gradient in gradients:
        values.grad = gradient
        optimizer.step()
    np.testing.assert_allclose(got, values.detach().numpy(), **CLOSE)


def test_matrix_products_of_all_shapes(script: Page) -> None:
    """Whole blocks, and every remainder of rows and columns."""
    rng = np.random.default_rng(0)
    for rows, columns, depth in [(1, 1, 1), (2, 4, 3), (3, 5, 2), (5, 7, 4), (4, 6, 1), (2, 3, 5)]:
        a, b = rng.normal(size=(rows, depth)), rng.normal(size=(depth, columns))
        body = """const out = new Float64Array(v.rows * v.columns).fill(1);
          m.product(out, v.a, v.depth, 1, v.b, 1, v.columns, v.rows, v.columns, v.depth, v.add);
          return [...out];"""
        values = {"a": a.flatten().tolist(), "b": b.flatten().tolist(), "rows": rows, "columns": columns, "depth": depth}
        np.testing.assert_allclose(run(script, "matrix", body, add=False, **values), (a @ b).flatten(), **CLOSE)
        np.testing.assert_allclose(run(script, "matrix", body, add=True, **values), (a @ b).flatten() + 1, **CLOSE)


@pytest.mark.parametrize("has_vectors", [True, False])
def test_a_workspace_multiplies_as_the_plain_product_does(script: Page, has_vectors: bool) -> None:
    """The same bits, with WebAssembly and where it is refused."""
    body = f"""
      const {{ product }} = await import('{ADDRESS}/matrix.js'), Memory = WebAssembly.Memory, same = [];
      if (!v.has_vectors) WebAssembly.Memory = function () {{ throw new RangeError("no memory is left"); }};
      try {{
        for (const [rows, columns, depth] of v.sizes) {{
          const space = new m.Workspace(depth * (rows + columns) + rows * columns + 1);
          if (!!space.kernels !== v.has_vectors) throw new Error("the other kind of product");
          const [a, b, out, after] = [rows * depth, depth * columns, rows * columns, 1].map((length) => space.array(length));
          a.forEach((_, i) => {{ a[i] = Math.sin(i + 1); }});
          b.forEach((_, i) => {{ b[i] = Math.cos(3 * i); }});
          const expected = new Float64Array(rows * columns), fits = () => !after[0] && out.every((value, i) => Object.is(value, expected[i]));
          space.product(out, a, depth, 1, b, columns, rows, columns, depth);
          product(expected, a, depth, 1, b, 1, columns, rows, columns, depth);
          same.push(fits());
          space.product(out, a, 1, rows, b, columns, rows, columns, depth);  // the same numbers as a matrix of depth x rows
          product(expected, a, 1, rows, b, 1, columns, rows, columns, depth);
          same.push(fits());
        }}
      }} finally {{ WebAssembly.Memory = Memory; }}
      return same;
    """
    sizes = [(1, 1, 1), (2, 4, 3), (3, 5, 2), (5, 7, 4), (4, 6, 1), (7, 3, 5), (64, 32, 32)]
    assert run(script, "workspace", body, sizes=sizes, has_vectors=has_vectors) == [True] * 2 * len(sizes)


def test_arrays_that_do_not_fit_are_refused(script: Page) -> None:
    body = "try { new m.Workspace(3).array(8193) } catch (error) { return error.name }"  # a page of WebAssembly's memory has 8,192 numbers
    assert run(script, "workspace", body) == "RangeError"


# After 300 steps with seed 1, before products used WebAssembly: both losses, and the sums of the absolute values of G's and D's parameters.
RECORDED = {
    "default": (1.34922727844, 0.704554051552, 266.29678825, 249.908896866),
    "regular": (0.665819335833, 0.716209123043, 270.419115525, 250.943582978),
    "wasserstein": (-0.0084846244285, 0.0146711994413, 276.702735804, 93.5996956869),
}


@pytest.mark.parametrize("preset", RECORDED)
def test_three_hundred_steps_lead_where_they_did_before(script: Page, preset: str) -> None:
    """Faster code must not change the game: the claims on its presets were measured with these steps."""
    body = f"""
      const {{ PRESETS }} = await import('{ADDRESS}/presets.js'), {{ SHAPES }} = await import('{ADDRESS}/points.js');
      const game = new m.Game({{ ...PRESETS[v.preset].settings, seed: 1 }}, SHAPES.ring), size = (values) => values.reduce((sum, x) => sum + Math.abs(x), 0);
      for (let i = 0; i < 300; i++) game.step();
      return [game.lossD, game.lossG, size(game.g.values), size(game.d.values)];
    """
    np.testing.assert_allclose(run(script, "game", body, preset=preset), RECORDED[preset], rtol=1e-6)


PLAY = f"""
  const {{ SHAPES }} = await import('{ADDRESS}/points.js');
  const game = new m.Game(v.settings, SHAPES.ring);
  for (let i = 0; i < v.steps; i++) game.step();
  return {{d: [...game.d.values], g: [...game.g.values], broken: game.broken}};
"""


def test_a_seed_fixes_the_game(script: Page) -> None:
    first, again, other = (run(script, "game", PLAY, settings={"seed": seed}, steps=3) for seed in (1, 1, 2))
    assert first == again != other and not first["broken"]


def test_the_critic_is_clipped(script: Page) -> None:
    values = np.array(run(script, "game", PLAY, settings={"loss": "wasserstein", "clip": 0.03}, steps=2)["d"])
    assert np.abs(values).max() == 0.03


def test_numbers_without_end_are_noticed(script: Page) -> None:
    assert run(script, "game", PLAY, settings={"loss": "wasserstein", "clip": 1e308, "dRate": 1e308, "gRate": 1e308}, steps=3)["broken"]


def test_points_that_cannot_be_packed_are_refused(script: Page) -> None:
    body = "try { new m.Game({batch: 10, packing: 4}, null) } catch (error) { return error.message }"
    assert run(script, "game", body) == "a batch of 10 points cannot be divided into packs of 4"


def test_every_mode_of_the_data_is_found_in_the_data(script: Page) -> None:
    body = f"""
      const {{ Random }} = await import('{ADDRESS}/random.js');
      const shape = m.SHAPES[v.name], out = new Float64Array(8000);
      shape.draw(new Random(3), out, 4000);
      return {{...m.countModes(out, 4000, shape), largest: Math.max(...out.map(Math.abs))}};
    """
    for name, modes in (("ring", 8), ("grid", 25), ("line", 0), ("spiral", 0), ("moons", 0)):
        got = run(script, "points", body, name=name)
        assert got["found"] == got["of"] == modes and got["largest"] < 1.5
        if modes:  # 1 - exp(-9 / 2) of a Gaussian on the plane lies within 3 standard deviations
            assert got["close"] == pytest.approx(0.989, abs=0.006)


def test_modes_that_hardly_anyone_reaches_are_not_found(script: Page) -> None:
    """A quarter of its fair share, 25 of 800 points at 8 modes, makes a mode found."""
    body = """
      const shape = m.SHAPES.ring, out = new Float64Array(1600);
      for (let r = 0; r < 800; r++) { const [x, y] = shape.modes[r < v.few ? 1 : 0]; out[2 * r] = x; out[2 * r + 1] = y + v.off; }
      return m.countModes(out, 800, shape);
    """
    assert run(script, "points", body, few=24, off=0)["found"] == 1
    assert run(script, "points", body, few=25, off=0)["found"] == 2
    assert run(script, "points", body, few=25, off=0.2) == {"counts": [0] * 8, "found": 0, "of": 8, "close": 0}


def test_random_numbers_have_the_moments_of_their_distributions(script: Page) -> None:
    body = """const r = new m.Random(5), n = 20000;
      return {uniform: Array.from({length: n}, () => r.uniform()), normal: Array.from({length: n}, () => r.normal())}"""
    got = run(script, "random", body)
    uniform, normal = np.array(got["uniform"]), np.array(got["normal"])
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean() == pytest.approx(1 / 2, abs=0.01) and uniform.var() == pytest.approx(1 / 12, abs=0.003)
    assert normal.mean() == pytest.approx(0, abs=0.03) and normal.var() == pytest.approx(1, abs=0.04)
    assert (normal**4).mean() == pytest.approx(3, abs=0.25)


# Transposed convolution.

TRANSPOSED = """
  return v.cases.map(({size, values, weights, setting}) => {
    const fault = m.refusal(size, setting);
    if (fault) return {fault};
    const input = {size, values}, one = m.spread(input, weights, setting), two = m.slide(input, weights, setting);
    return {size: one.size, values: [...one.values], writes: [...one.writes], other: [...two.values], formula: m.outputSize(size, setting)};
  });
"""


def by_torch(case: dict[str, Any], values: list[float], weights: list[float]) -> torch.Tensor:
    """(size, size); a RuntimeError for settings that torch refuses."""
    n, k, s = case["size"], case["setting"]["kernel"], case["setting"]
    x, w = torch.tensor(values, dtype=torch.double).view(1, 1, n, n), torch.tensor(weights, dtype=torch.double).view(1, 1, k, k)
    return F.conv_transpose2d(x, w, stride=s["stride"], padding=s["padding"], output_padding=s["outputPadding"])[0, 0]


def test_transposed_convolution_is_that_of_torch(script: Page) -> None:
    rng = np.random.default_rng(2)
    cases: list[dict[str, Any]] = []
    for _ in range(400):  # about half of them are legal
        n, k, s, p, o = (int(rng.integers(low, high)) for low, high in ((1, 7), (1, 6), (1, 5), (0, 5), (0, 4)))
        setting = {"kernel": k, "stride": s, "padding": p, "outputPadding": o}
        cases.append({"size": n, "values": rng.normal(size=n * n).tolist(), "weights": rng.normal(size=k * k).tolist(), "setting": setting})
    legal = 0
    for case, got in zip(cases, run(script, "transposed", TRANSPOSED, cases=cases), strict=True):
        try:
            expected = by_torch(case, case["values"], case["weights"])
        except RuntimeError:
            assert "fault" in got, case["setting"]
            continue
        assert "fault" not in got, (got, case["setting"])
        legal += 1
        assert got["size"] == got["formula"] == len(expected)
        np.testing.assert_allclose(got["values"], expected.flatten().numpy(), **CLOSE)
        np.testing.assert_allclose(got["other"], expected.flatten().numpy(), **CLOSE)
        written = by_torch(case, [1.0] * case["size"] ** 2, [1.0] * case["setting"]["kernel"] ** 2)
        assert got["writes"] == written.flatten().round().int().tolist()
    assert 200 <= legal <= 300


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stride": 0}, "The stride must be from 1 to 64; got 0."),
        ({"padding": -1}, "The padding must be from 0 to 64; got -1."),
        ({"kernel": 2.5}, "The kernel size must be a whole number; got 2.5."),
        ({"outputPadding": 2}, "The output padding must be smaller than the stride, 2; got 2."),
        ({"padding": 3, "kernel": 1}, "The output would have -1 pixels a side: use less padding or a larger kernel."),
        ({}, None),
    ],
)
def test_settings_that_are_refused_get_a_sentence(script: Page, changes: dict[str, float], sentence: str | None) -> None:
    setting = {"kernel": 4, "stride": 2, "padding": 1, "outputPadding": 0, **changes}
    assert run(script, "transposed", "return m.refusal(3, v.setting)", setting=setting) == sentence


def test_a_kernel_that_the_stride_divides_writes_evenly(script: Page) -> None:
    body = """
      const input = {size: 8, values: new Float64Array(64)}, setting = {kernel: v.k, stride: v.s, padding: 0, outputPadding: 0};
      const {size, writes} = m.spread(input, new Float64Array(v.k * v.k), setting), inner = [];
      for (let y = v.k; y < size - v.k; y++) for (let x = v.k; x < size - v.k; x++) inner.push(writes[y * size + x]);
      return [m.isEven(setting), new Set(inner).size === 1];
    """
    for kernel in range(1, 6):
        for stride in range(1, 5):
            said, counted = run(script, "transposed", body, k=kernel, s=stride)
            assert said == counted == (kernel % stride == 0), (kernel, stride)


# Two densities on a line.


def test_densities_agree_with_numeric_integration(script: Page) -> None:
    rng = np.random.default_rng(4)
    pairs = [[{"mean": m, "deviation": s} for m, s in zip(rng.uniform(-3, 3, 2), rng.uniform(0.2, 2, 2), strict=True)] for _ in range(30)]
    body = """return v.pairs.map(([p, q]) => ({
      answers: v.places.map((x) => m.bestAnswer(p, q, x)), value: m.bestValue(p, q), half: m.value(p, q, () => 0.5),
      own: m.value(p, q, (x) => m.bestAnswer(p, q, x) * 0.8 + 0.1), js: m.jensenShannon(p, q), w: m.wasserstein(p, q)}))"""
    places = [-2.5, -1.0, 0.0, 0.7, 3.0]
    grid = np.linspace(-30, 30, 600_001)
    step = grid[1] - grid[0]
    for pair, got in zip(pairs, run(script, "densities", body, pairs=pairs, places=places), strict=True):
        p, q = (np.exp(-(((grid - d["mean"]) / d["deviation"]) ** 2) / 2) / d["deviation"] / math.sqrt(2 * math.pi) for d in pair)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(p + q > 0, p / (p + q), 0.5)
            value = step * np.nansum(np.where(p > 0, p * np.log(best), 0) + np.where(q > 0, q * np.log(q / (p + q)), 0))
        own = step * (p * np.log(0.8 * best + 0.1) + q * np.log(0.9 - 0.8 * best)).sum()
        np.testing.assert_allclose(got["answers"], np.interp(places, grid, best), rtol=1e-5, atol=1e-7)
        assert got["value"] == pytest.approx(value, rel=1e-5)
        assert got["own"] == pytest.approx(own, rel=1e-5) and got["own"] <= got["value"]
        assert got["half"] == pytest.approx(-2 * math.log(2), rel=1e-6)
        assert got["js"] == pytest.approx(value / 2 + math.log(2), abs=1e-6)
        assert got["w"] == pytest.approx(step * np.abs(np.cumsum(p - q) * step).sum(), rel=1e-4)


def test_apart_js_is_flat_and_wasserstein_is_the_distance(script: Page) -> None:
    body = "return [m.jensenShannon(v.p, v.q), m.wasserstein(v.p, v.q)]"
    for distance in (0.0, 8.0, 16.0):
        js, w = run(script, "densities", body, p={"mean": 0, "deviation": 0.3}, q={"mean": distance, "deviation": 0.3})
        assert w == pytest.approx(distance, abs=1e-5)
        assert js == pytest.approx(math.log(2) if distance else 0, abs=1e-9)


def test_slopes_of_the_generators_losses(script: Page) -> None:
    """By D's logit l: log(1 - sigmoid(l)) and -log sigmoid(l)."""
    for answer in (0.001, 0.3, 0.5, 0.999):
        logit = torch.tensor(math.log(answer / (1 - answer)), dtype=torch.double, requires_grad=True)
        expected = [torch.autograd.grad(loss, logit)[0].item() for loss in (-F.softplus(logit), F.softplus(-logit))]
        got = run(script, "densities", "return m.generatorSlopes(v.answer)", answer=answer)
        np.testing.assert_allclose([got["minimax"], got["nonSaturating"]], expected, **CLOSE)


# Real or fake.


def test_a_round_is_dealt_by_a_coin_and_no_image_comes_twice(script: Page) -> None:
    body = """const { Random } = await import(`${v.address}/random.js`), random = new Random(1);
      return Array.from({length: 500}, () => m.deal(12, 48, 48, () => random.uniform()))"""
    rounds = np.array(run(script, "real_or_fake", body, address=ADDRESS))
    assert rounds.shape == (500, 12) and rounds.min() == 0 and rounds.max() == 95
    assert all(len(set(one)) == 12 for one in rounds.tolist())
    real = (rounds < 48).sum(1)
    assert real.mean() == pytest.approx(6, abs=0.3) and real.var() == pytest.approx(3, abs=0.6)  # 12 coins


def test_right_answers_are_counted(script: Page) -> None:
    body = "return m.score(['real', 'fake', 'real', 'fake'], ['real', 'real', 'real', 'fake'])"
    assert run(script, "real_or_fake", body) == 3


# The generator that runs in the browser.


FORWARD = """
  const bytes = Uint8Array.from(atob(v.file), (c) => c.charCodeAt(0)), { tensors, metadata } = m.parse(bytes.buffer);
  const { shape: [count, latent], values } = tensors.latents, rows = v.rows.flatMap((i) => [...values.subarray(i * latent, (i + 1) * latent)]);
  const { images, layers } = new m.Generator(tensors).forward(Float32Array.from(rows), v.rows.length, v.trains);
  return { images: [...images], about: JSON.parse(metadata['dcgan-workshop-batch-norm-1']), count,
    layers: layers.map(({ batch, before }) => ({ mean: [...batch.mean], variance: [...batch.variance], first: before[0] })) };
"""


@pytest.fixture(scope="module")
def network() -> str:
    return base64.b64encode(network_file()).decode()


@pytest.mark.parametrize(("rows", "trains"), [([0], True), ([24, 7, 7, 79, 33], True), ([24, 7, 7, 79, 33], False)])
def test_the_generator_draws_what_torch_draws(script: Page, network: str, rows: list[int], trains: bool) -> None:
    """Within a hundredth of a gray level."""
    got = run(script, "generator", FORWARD, file=network, rows=rows, trains=trains)
    about, copied = digits_run.about(), copy.deepcopy(digits_run.generator(2).network).train(trains)
    assert got["about"] == {"digits": list(about.seeds), "of_each": 8} and got["count"] == 80
    seeds = [seed for those in about.seeds.values() for seed in those]
    inputs: list[torch.Tensor] = []
    for module in copied.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda module, given: inputs.append(given[0].clone()))
    with torch.no_grad():
        expected = copied(latent.from_seeds([seeds[row] for row in rows], 64))
    np.testing.assert_allclose(got["images"], expected.flatten().numpy(), atol=1e-4)
    for layer, maps in zip(got["layers"], inputs, strict=True):
        np.testing.assert_allclose(layer["mean"], maps.mean((0, 2, 3)).numpy(), atol=1e-4)
        np.testing.assert_allclose(layer["variance"], maps.var((0, 2, 3), unbiased=False).numpy(), atol=1e-4, rtol=1e-4)


def test_in_eval_mode_an_image_does_not_depend_on_its_companions_at_all(script: Page, network: str) -> None:
    alone, *others = (
        run(script, "generator", FORWARD, file=network, rows=rows, trains=False)["images"] for rows in ([3], [3, 8, 70], [3, 3, 3, 5])
    )
    assert all(images[: 28 * 28] == alone for images in others)


def test_files_are_read_as_safetensors_reads_them(script: Page) -> None:
    values = [0.0, -0.0, 1.0, -2.5, 6.1e-5, 5.96e-8, 65504.0, 0.333251953125, float("inf")]
    file = safetensors.torch.save(
        {"half": torch.tensor([values]).half(), "count": torch.tensor([3]), "single": torch.tensor(values[:3])}, {"a": "b"}
    )
    body = """const bytes = Uint8Array.from(atob(v.file), (c) => c.charCodeAt(0)), { tensors, metadata } = m.parse(bytes.buffer.slice(0, v.end));
      return { names: Object.keys(tensors).sort(), shape: tensors.half.shape, values: [...tensors.half.values].map(String), metadata }"""
    got = run(script, "generator", body, file=base64.b64encode(file).decode(), end=len(file))
    assert got["names"] == ["half", "single"] and got["shape"] == [1, len(values)] and got["metadata"] == {"a": "b"}
    assert [float(text.replace("Infinity", "inf")) for text in got["values"]] == torch.tensor(values).half().tolist()
    for end in (len(file) - 1, 40):
        cut = f"try {{ {body} }} catch (error) {{ return error.message }}"
        assert "cut short" in run(script, "generator", cut, file=base64.b64encode(file).decode(), end=end)


def test_the_great_circle_is_that_of_the_library(script: Page) -> None:
    a, b = latent.from_seeds([1, 2], 64)
    for t in (0.0, 0.3, 1.0):
        expected = latent.slerp(a, b, torch.tensor([t]))
        np.testing.assert_allclose(
            run(script, "generator", "return m.slerp(v.a, v.b, v.t)", a=a.tolist(), b=b.tolist(), t=t), expected.numpy(), atol=1e-5
        )
    assert run(script, "generator", "return m.slerp(v.a, v.a, 0.5)", a=a.tolist()) == a.tolist()


def test_companions_and_how_far_they_move_a_channel(script: Page) -> None:
    body = """const vectors = Array.from({length: 80}, (_, i) => i);
      return { mixed: m.companions(vectors, 8, 9, 'mixed'), same: m.companions(vectors, 8, 9, 4), half: m.difference([-1, 1, 0], [1, 1, 1]),
        shifts: m.shifts({ batch: { mean: [1, -1] }, norm: { mean: [0, 1], variance: [4, 1] } }) }"""
    got = run(script, "batch_norm", body)
    assert got["mixed"] == [8 * digit + 1 for digit in (0, 1, 2, 3, 4, 5, 6)] and got["same"] == [38] * 7
    assert got["half"] == pytest.approx(0.5) and got["shifts"] == pytest.approx([0.5, 2.0], rel=1e-4)


# The space of images.


def test_pictures_are_where_the_server_draws_them(script: Page) -> None:
    """Each picture is cut out of the sheet by its number: the same order on both sides."""
    body = """return { ways: v.ways.flatMap((_, pair) => ['lerp', 'slerp'].flatMap((way) => Array.from({length: v.places}, (_, i) => m.wayAt(pair, way, i, v.places)))),
      sums: Object.keys(v.samples).flatMap((_, attribute) => v.faces.flatMap((_, face) => v.strengths.map((_, i) => m.sumAt(attribute, face, i, v)))) }"""
    loaded = load_generator(SHIPPED / "faces.safetensors")
    (z_ways, ways), (z_sums, sums) = (
        make(loaded, SHIPPED / "faces.safetensors") for make in (space_pictures.ways, space_pictures.arithmetic)
    )
    got = run(script, "space", body, ways=ways["pairs"], places=ways["places"], **sums)
    assert got["ways"] == list(range(len(z_ways)))
    unchanged = z_sums[got["sums"]].view(len(sums["samples"]), len(sums["faces"]), len(sums["strengths"]), 64)[:, :, 0]
    assert torch.equal(unchanged, latent.from_seeds(sums["faces"], 64).expand(3, -1, -1))
