"""Every script that Explore gives away is run, and draws what the view draws."""

from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.explore import attributes, directions, mixing, vectors
from gan.explore.attributes import Contrast, Mean
from gan.explore.models import Model, ModelCache, find_model
from gan.explore.projection import project
from gan.explore.vectors import LatentVector
from gan.images import png
from gan.judging.judge import JudgeCache
from gan.networks import dcgan
from gan.networks.sampling import sample_as_in_training
from gan.networks.stylegan import split_of_styles
from gan.runs.folder import RunFolder, save_generator
from gan.training.state import new_state
from tests.conftest import finish
from ui.explore import snippets

CLASSES = ("cats", 'it\'s "quoted"\n\\')


def found_means(draw: Callable[..., torch.Tensor], config: TrainConfig) -> Generator[Any, None, Any]:
    yield from ()
    assert draw(torch.zeros(3, config.latent_dim)).shape[0] == 3
    one, two = (Mean(f"{word} a 'hat'", torch.full((config.latent_dim,), size), (1,)) for word, size in (("with", 0.5), ("without", -0.5)))
    return [Contrast("hat", one, two, 1.0, 1.0)]


def kept_judge(
    self: JudgeCache, name: str, image_size: int, channels: int, fit: str, background: str, *rest: object
) -> Generator[Any, None, Any]:
    yield from ()
    images = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(20, channels, image_size, image_size)
    part = SimpleNamespace(dataset=SimpleNamespace(images=images), images=images.numpy)

    def neighbors(images: np.ndarray, k: int) -> Any:
        return None, np.arange(len(images) * k).reshape(-1, k) % 20, None

    return SimpleNamespace(reals=SimpleNamespace(learned=part, held_out=part), neighbors=neighbors, network=None)


@pytest.fixture
def root(folders: Path, config: TrainConfig) -> Path:
    root = folders / "checkpoints"
    for name, made in (("digits", config), ("uniform", config.change(latent_distribution="uniform", channels=3))):
        save_generator(root / "pretrained" / f"{name}.safetensors", new_state(made, torch.device("cpu")))
    styled = new_state(config.change(networks="stylegan", conditional=True), torch.device("cpu"), class_names=CLASSES)
    save_generator(root / "pretrained" / "styles.safetensors", styled)
    animals = new_state(config.change(conditional=True), torch.device("cpu"), class_names=CLASSES)
    folder = RunFolder(root / "a-run")
    for step in (1, 2, 4):
        animals.step = step
        with torch.no_grad():
            next(animals.averaged.parameters()).mul_(-1.5)
        folder.save_generator(animals)
    return root


def styled_scripts(cache: ModelCache, model: Model) -> dict[str, tuple[str, np.ndarray]]:
    """Scripts for a generator with styles, and what they should draw."""
    network = cache.styled(model)
    w = cache.styles(model, model.z([1, 2, 8, 9]), 1)
    short = network.truncated(w, 0.5)
    table = mixing.mixed(short[:2], short[2:], *split_of_styles(model.config.image_size)["middle"], network.styles_count)
    in_w = directions.find_styles(network, "pca", 4, label=1)
    in_z = directions.find(network, "raw", 4, label=1)
    number = in_z.numbers[0]
    moved_z = cache.styles(model, model.z([1]) + 2 * in_z.vectors[0], 1)
    return {
        "mixing": (
            snippets.mixing("styles", [1, 2], [8, 9], "middle", 0.5, False, CLASSES[1]),
            cache.images_of_styles(model, table.flatten(0, 1), noise=False),
        ),
        "sliders_w": (
            snippets.sliders("styles", 1, "pca", 4, {1: 1.5, 2: -1.0}, 0.7, 1, CLASSES[1], ("w", True)),
            cache.images_of_styles(model, network.truncated(w[:1] + 1.5 * in_w.vectors[0] - in_w.vectors[1], 0.7)),
        ),
        "sliders_z": (
            snippets.sliders("styles", 1, "raw", 4, {number: 2.0}, 0.7, 1, CLASSES[1], ("z", False)),
            cache.images_of_styles(model, network.truncated(moved_z, 0.7), noise=False),
        ),
    }


def test_every_script_draws_what_its_view_draws(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ModelCache(root)
    digits, uniform, animals = (find_model(root, name) for name in ("digits", "uniform", "a-run@4"))
    kept = [LatentVector(3), LatentVector(z=(0.1, 0.2, 0.3, -0.4)), LatentVector(9)]
    (tmp_path / "kept.json").write_bytes(vectors.write(kept))
    seeds = [5, 6, 7, 20]

    def between(model: Model, u: float, v: float) -> torch.Tensor:
        corners = model.z(seeds)
        top, bottom = (latent.slerp(corners[i : i + 1], corners[i + 1 : i + 2], torch.tensor(u)) for i in (0, 2))
        return latent.slerp(top, bottom, torch.tensor(v))

    def network(model: Model) -> dcgan.Generator:
        return cache.get(model).network

    def slid(model: Model, method: str, label: int | None = None) -> torch.Tensor:
        found = directions.find(network(model), method, 4, model.config.latent_distribution, label)
        z = model.z([5]) + 1.5 * found.vectors[0] - found.vectors[1]
        return 0.7 * (z.clamp(-1, 1) if model.config.latent_distribution == "uniform" else z)

    def summed(model: Model, difference: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        jitter = 0.25 * attributes.jitter(4)
        around = torch.cat([jitter[:4], torch.zeros(1, 4), jitter[4:]])
        z = c + around + 1.5 * difference
        return z.clamp(-1, 1) if model.config.latent_distribution == "uniform" else z

    def found_again(model: Model, image: np.ndarray, label: int | None = None) -> np.ndarray:
        return finish(project(cache.get(model), image, None, label)).found.image[None]

    side = digits.config.image_size
    own = np.tile(np.arange(side, dtype=np.uint8) * 8, (1, side, 1))
    (tmp_path / "image.png").write_bytes(png(own, 1))
    raw = directions.find(network(digits), "raw", 4)
    way = latent.walk(uniform.z(seeds), 13, "lerp", True, "smooth")
    numbers = latent.walk(vectors.points(kept, 4), 7, "slerp")
    expected = {
        "pad": (snippets.pad("digits", seeds, 0.3, 0.75), cache.images(digits, between(digits, 0.3, 0.75))),
        "pad_class": (snippets.pad(animals.id, seeds, 0.0, 1.0, CLASSES[1]), cache.images(animals, between(animals, 0.0, 1.0), 1)),
        "grid": (snippets.grid("uniform", seeds), cache.images(uniform, uniform.z(seeds))),
        "grid_class": (snippets.grid(animals.id, seeds, CLASSES[1]), cache.images(animals, animals.z(seeds), 1)),
        "grid_classes": (
            snippets.grid(animals.id, seeds, None, 2),
            cache.images(animals, animals.z(seeds).repeat_interleave(2, 0), [0, 1] * 4),
        ),
        "grid_training": (snippets.grid("digits", seeds, in_training=True), sample_as_in_training(network(digits), digits.z(seeds))),
        "sliders": (snippets.sliders("uniform", 5, "sefa", 4, {1: 1.5, 2: -1.0}, 0.7), cache.images(uniform, slid(uniform, "sefa"))),
        "sliders_class": (
            snippets.sliders(animals.id, 5, "sefa", 4, {1: 1.5, 2: -1.0}, 0.7, 1, CLASSES[1]),
            cache.images(animals, slid(animals, "sefa", 1), 1),
        ),
        "sliders_raw": (
            snippets.sliders("digits", 5, "raw", 4, {raw.numbers[0]: 2.0}, 1.0),
            cache.images(digits, digits.z([5]) + 2 * raw.vectors[0]),
        ),
        "walk": (snippets.walk("uniform", seeds, 13, "lerp", "smooth", True, 25), cache.images(uniform, way)),
        "walk_numbers": (
            snippets.walk(animals.id, None, 7, "slerp", "linear", False, 2, CLASSES[0], "kept.json"),
            cache.images(animals, numbers, 0),
        ),
        "arithmetic": (
            snippets.arithmetic("uniform", ([5, 6], [7], ()), 1.5, 0.25),
            cache.images(uniform, summed(uniform, uniform.z([5, 6]).mean(0) - uniform.z([7])[0], torch.zeros(4))),
        ),
        "arithmetic_means": (
            snippets.arithmetic(animals.id, ("with a 'hat'", "without a 'hat'", [8]), 1.5, 0.25, 1, CLASSES[1]),
            cache.images(animals, summed(animals, torch.ones(4), animals.z([8])[0]), 1),
        ),
        "nearest": (snippets.nearest(animals.id, seeds, 3, CLASSES[1]), cache.images(animals, animals.z(seeds), 1)),
        "projection": (snippets.projection("digits", 7, None, False), found_again(digits, np.full((1, side, side), 7, np.uint8))),
        "projection_own": (snippets.projection(animals.id, None, 1), found_again(animals, own, 1)),
        "time": (
            snippets.through_time("a-run", [1, 4], seeds, 5, CLASSES[1]),
            np.stack([cache.images(find_model(root, f"a-run@{step}"), animals.z(seeds), 1) for step in (1, 4)]),
        ),
    }
    expected |= styled_scripts(cache, find_model(root, "styles"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(attributes, "find", found_means)
    monkeypatch.setattr(JudgeCache, "get", kept_judge)
    for name, (script, images) in expected.items():
        names: dict[str, Any] = {"__name__": "__main__"}  # each in a namespace of its own
        exec(compile(script, name, "exec"), names)
        found = names["images"]
        assert found.shape == images.shape and found.dtype == np.uint8, name
        # Layers may be laid out otherwise in memory: the last bit of a sum differs.
        assert np.abs(found.astype(int) - images).max() <= 1 and images.std() > 0, name
    for file in ("picture.png", "grid.png", "walk.gif", "learning.gif"):
        assert (tmp_path / file).stat().st_size > 100, file
    assert not np.array_equal(expected["time"][1][0], expected["time"][1][1])


def test_what_is_filled_in_is_quoted() -> None:
    evil = "'); import os; os.abort()  #\n"
    for script in (
        snippets.pad(evil, [1, 2, 3, 4], 0.5, 0.5, evil),
        snippets.grid(evil, [1], evil),
        snippets.sliders(evil, 1, evil, 4, {1: 1.0}, 1.0, 0, evil),
        snippets.sliders(evil, 1, evil, 4, {1: 1.0}, 0.5, 0, evil, ("w", True)),
        snippets.mixing(evil, [1], [2], evil, 0.5, True, evil),
        snippets.walk(evil, None, 9, evil, evil, True, 25, evil, evil),
        snippets.through_time(evil, [1], [1], 5, evil),
        snippets.arithmetic(evil, (evil, [1], ()), 1.0, 0.1, 0, evil),
        snippets.nearest(evil, [1], 5, evil),
        snippets.projection(evil, 3),
    ):
        compile(script, "snippet", "exec")
        assert repr(evil) in script and evil not in script
