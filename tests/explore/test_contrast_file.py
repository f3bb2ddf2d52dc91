"""What samples have in common, computed beforehand: equal to a fresh search, and bound to its generator."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan import latent
from gan.config import TrainConfig
from gan.explore import attributes, contrast_file
from gan.judging import features
from gan.networks.generator_file import load_generator
from gan.networks.sampling import sample
from gan.runs.folder import save_generator
from gan.training.state import new_state
from tests.conftest import finish


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """A small generator's file."""
    path = tmp_path / "small.safetensors"
    config = TrainConfig(latent_dim=8, generator_filters=4, precision="fp32")
    save_generator(path, new_state(config, torch.device("cpu")))
    return path


def found_by_sign(exclusive: bool) -> list[attributes.Contrast]:
    """Contrasts of a judge that looks at the first two numbers of z."""

    def draw(z: torch.Tensor) -> np.ndarray:
        return z.numpy()

    def judge(z: np.ndarray) -> np.ndarray:
        return np.stack([z[:, 0] > 0, z[:, 0] <= 0 if exclusive else z[:, 1] > 0.5], 1).astype(np.float32)

    return finish(attributes.contrasts(draw, judge, ("glasses", "hat"), exclusive, 8))  # type: ignore[no-any-return]


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_read_is_what_was_found(generator: Path, exclusive: bool) -> None:
    found = found_by_sign(exclusive)
    contrast_file.write(generator, found, exclusive)
    read = contrast_file.read(generator, load_generator(generator).config)
    assert read and len(read) == len(found)
    for one, other in zip(read, found, strict=True):
        assert (one.name, one.strength, one.present.name, one.present.seeds) == (
            other.name,
            other.strength,
            other.present.name,
            other.present.seeds,
        )
        assert one.absent.seeds == other.absent.seeds and one.share == pytest.approx(other.share, abs=1e-4)
        torch.testing.assert_close(one.difference, other.difference)


def test_another_generators_file_and_a_damaged_one_count_as_missing(generator: Path, tmp_path: Path) -> None:
    config = load_generator(generator).config
    assert contrast_file.read(generator, config) is None
    contrast_file.write(generator, found_by_sign(False), False)
    place = contrast_file.place(generator)
    whole = json.loads(place.read_text())
    changes: list[dict[str, Any]] = [
        {"generator": "0" * 64},
        {"things": []},
        {"things": [{"name": "hat"}]},
        {"things": [{**whole["things"][0], "shown": "AAAA"}]},
    ]
    for change in changes:
        place.write_text(json.dumps({**whole, **change}))
        assert contrast_file.read(generator, config) is None
    for content in ("[]", "{", ""):
        place.write_text(content)
        assert contrast_file.read(generator, config) is None


@pytest.mark.parametrize(("name", "things"), [("digits", {str(digit) for digit in range(10)}), ("faces", {"glasses", "smiling", "hat"})])
def test_the_shipped_generators_attributes_are_theirs(name: str, things: set[str]) -> None:
    """The file belongs to the generator, and the network that named the samples still agrees with it."""
    path = Path(contrast_file.__file__).parent / "pretrained" / f"{name}.safetensors"
    loaded = load_generator(path)
    found = contrast_file.read(path, loaded.config)
    assert found and things <= {contrast.name for contrast in found}
    assert all(contrast.share > 0.5 for contrast in found if contrast.name in things)
    network = features.load(features.SHIPPED / f"{loaded.config.data}.safetensors")
    seeds = list(range(32))
    answers = network.probabilities(network.features(sample(loaded.network, latent.from_seeds(seeds, loaded.config.latent_dim))))
    seen = np.eye(answers.shape[1], dtype=bool)[answers.argmax(1)] if network.about.kind == "classes" else answers > 0.5
    for contrast in found:
        place = network.about.outputs.index(contrast.name)
        assert [seed in contrast.present.seeds for seed in seeds] == seen[:, place].tolist(), contrast.name


def test_sliders_go_where_the_change_is_wanted() -> None:
    found = found_by_sign(False)
    along = attributes.as_directions(found, 1)
    best = max(found, key=lambda contrast: contrast.share)
    assert len(along) == 1 and found[along.numbers[0] - 1] is best
    torch.testing.assert_close(along.vectors[0] * attributes.WANTED_AT, best.difference * best.strength)
