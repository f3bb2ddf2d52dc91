"""Drawings as texts, and generators that translate images, found by id."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data.sketches import draw_pair
from gan.explore.models import find_model, list_models, model_sources, translator_sources
from gan.explore.strokes import Stroke, as_pixels, drawing, read_strokes
from gan.explore.translators import TranslatorCache, find_translator
from gan.inside.files import load_networks, network_files
from gan.networks.generator_file import CheckpointError, Translates, load_translator, write_generator
from gan.recipes import recipe
from gan.runs.folder import RunFolder
from gan.training.state import new_state


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("pix2pix", "cyclegan", "quick-digits"):
        config = recipe(name).config.change(generator_filters=4, discriminator_filters=4, image_size=28, channels=1)
        folder = RunFolder(tmp_path / f"a-{name}")
        folder.write_config(config, name)
        state = new_state(config, torch.device("cpu"), class_names=("cats", "dogs"))
        for state.step in (1, 4):
            folder.save_generator(state)
        folder.save_state(state)
    return tmp_path


def test_runs_that_translate_are_found_apart_from_the_others(root: Path) -> None:
    assert translator_sources(root) == {f"a-{name}": [f"a-{name}@1", f"a-{name}@4"] for name in ("cyclegan", "pix2pix")}
    assert "a-quick-digits" in model_sources(root) and not {"a-pix2pix", "a-cyclegan"} & {*model_sources(root)}
    assert not {m.run for m in list_models(root)} & {"a-pix2pix", "a-cyclegan"}
    with pytest.raises(Translates, match="translates images and has no latent vectors: open it on the page Translate"):
        find_model(root, "a-pix2pix@4")
    with pytest.raises(CheckpointError, match="draws from latent vectors and translates no images: open it on the page Explore"):
        find_translator(root, "a-quick-digits@4")
    with pytest.raises(KeyError):
        find_translator(root, "a-pix2pix@3")
    for path in network_files(root, "a-pix2pix").values():
        with pytest.raises(Translates):
            load_networks(path)


def test_a_generator_translates_both_ways_if_it_can(root: Path) -> None:
    cache, images = TranslatorCache(root), np.zeros((2, 1, 28, 28), np.uint8)
    model = find_translator(root, "a-cyclegan@4")
    assert (model.run, model.step, model.kinds) == ("a-cyclegan", 4, ("cats", "dogs"))
    there, back = cache.translate(model, images), cache.translate(model, images, back=True)
    assert there.shape == back.shape == images.shape and not np.array_equal(there, back)
    with pytest.raises(ValueError, match="only translates from A to B"):
        cache.translate(find_translator(root, "a-pix2pix@1"), images, back=True)


def test_a_drawing_is_lines_of_the_sets_pen_on_paper() -> None:
    strokes = read_strokes("1080f080.e80708090")
    assert strokes == [Stroke(((16, 128), (240, 128)), False), Stroke(((128, 112), (128, 144)), True)]
    pixels = as_pixels(drawing(strokes), 1, 256)[0, 0]
    assert (pixels[128, 20:110] == 0).all() and (pixels[120] == 255).all() and (pixels[128, 122:134] == 255).all()
    assert read_strokes("") == [] and (as_pixels(drawing([]), 3, 64) == 255).all()
    assert as_pixels(drawing(read_strokes("8080")), 1, 256).min() == 0  # a dot
    assert np.array_equal(as_pixels(drawing([], 3), 3, 64)[0], draw_pair(3, 64)[0][3:])


@pytest.mark.parametrize("text", ["80", "808", "zz80", "8080..8080", "e", "80A0", "ee8080", "8080 "])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a stroke must be points of four hex digits each"):
        read_strokes(text)


def test_a_translator_s_settings_must_translate(tmp_path: Path) -> None:
    """A file that claims to translate, with settings of other networks."""
    config = recipe("pix2pix").config.change(generator_filters=4)
    state = new_state(config, torch.device("cpu"))
    write_generator(tmp_path / "odd.safetensors", state.averaged, TrainConfig(), 1, 1)
    with pytest.raises(CheckpointError, match="networks dcgan do not translate images"):
        load_translator(tmp_path / "odd.safetensors")
