"""Inside the networks: files, layers, filters, answers, norms."""

import base64
import copy
import json
import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.inside import files as inside_files
from gan.inside import layers as inside
from gan.inside import norms as inside_norms
from gan.inside import pictures as inside_pictures
from gan.inside.files import NetworkCache, Networks, load_networks, network_files
from gan.inside.layers import activations, answers
from gan.networks.build import new_discriminator, new_generator, new_networks
from gan.networks.generator_file import CheckpointError
from gan.networks.sampling import sample
from gan.recipes import RECIPES
from gan.runs.folder import RunFolder, save_generator
from gan.training.loop import layer_norms, train
from gan.training.state import TrainState, new_state
from tests.runs.test_checkpoint import Bomb
from ui.components.sketchpad import read_pixels
from ui.norm_charts import norm_chart, norm_words

CPU = torch.device("cpu")


def made(config: TrainConfig, classes: tuple[Any, ...] | list[str] = ()) -> Networks:
    """Untrained networks."""
    torch.manual_seed(0)
    generator, discriminator = new_generator(config, len(classes)), new_discriminator(config, len(classes))
    for network in (generator, discriminator):
        network.eval().requires_grad_(False)
    return Networks(generator, discriminator, config, 0, tuple(classes) if config.conditional else ())


def images(config: TrainConfig, count: int = 3) -> np.ndarray:
    shape = (count, config.channels, config.image_size, config.image_size)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def as_floats(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).float() / 127.5 - 1


@pytest.fixture
def state(config: TrainConfig, blobs: ImageDataset) -> TrainState:
    state = new_state(config.change(duration=5), CPU)
    list(train(state, blobs))
    return state


@pytest.fixture
def folder(state: TrainState, tmp_path: Path) -> RunFolder:
    """A run's folder with a saved state."""
    folder = RunFolder(tmp_path / "checkpoints" / "one")
    folder.path.mkdir(parents=True)
    folder.write_config(state.config, "quick-digits")
    folder.save_state(state)
    return folder


# Layers


def test_activations_are_those_of_a_pass_by_hand(config: TrainConfig) -> None:
    networks = made(config)
    z = networks.z(3)
    found = activations(networks.generator, z)
    by_hand = z
    for name, module in networks.generator.layers.named_children():
        by_hand = module(by_hand.clone())  # activations work in place
        assert np.allclose(found[name].maps, by_hand[0].numpy(), atol=1e-6), name
    assert np.allclose(found["tanh"].maps, networks.generator(z)[0].numpy(), atol=1e-6)
    assert list(found) == [name for name, _ in networks.generator.layers.named_children()]
    assert (found["conv7"].kind, found["conv7"].size) == ("transposed convolution", "8 maps of 7 x 7")
    assert not networks.generator.layers.get_submodule("conv7")._forward_hooks

    picture = as_floats(images(config, 1))
    found = activations(networks.discriminator, picture)
    by_hand = picture
    for name, module in networks.discriminator.layers.named_children():
        by_hand = module(by_hand.clone())
        assert name.startswith("drop") or np.allclose(found[name].maps, by_hand[0].numpy(), atol=1e-6), name
    assert found["logit"].maps.item() == pytest.approx(networks.discriminator(picture).item(), abs=1e-5)
    assert (found["logit"].size, found["conv14"].size) == ("1 number", "4 maps of 14 x 14")


DRAWING = [name for name, recipe in RECIPES.items() if not recipe.config.translates]
SWITCHES = {
    "packed": TrainConfig(packing=2, minibatch_std=True, spectral_norm=True, generator_upsampling="resize", generator_extra_layers=1),
    "packed mlp": TrainConfig(packing=4, networks="mlp", generator_norm="none", data="cifar10", image_size=32, channels=3),
    "packed residual": TrainConfig(networks="residual", packing=2, minibatch_std=True, spectral_norm=True, image_size=64),
    "compared": TrainConfig(networks="biggan", minibatch_discrimination=True, packing=2, image_size=32, channels=3),
    "bare": TrainConfig(discriminator_norm="none", generator_norm="none", generator_order="activation_first"),
}


@pytest.mark.parametrize("name", [*DRAWING, *SWITCHES])
def test_every_recipe_can_be_looked_into(name: str) -> None:
    config = RECIPES[name].config if name in RECIPES else SWITCHES[name]
    config = config.change(generator_filters=4, discriminator_filters=4)
    networks = made(config, ["a", "b", "c"])
    size, label = config.image_size, 2 if config.conditional else 0
    found = activations(networks.generator, networks.z(1), networks.labels(label))
    assert list(found.values())[-1].maps.shape == (config.channels, size, size)
    some = images(config, 18)
    company = some[2:] if networks.depends_on_company else None
    looked = activations(networks.discriminator, as_floats(some[:1]), networks.labels(label), company)
    assert looked["logit"].maps.shape == (1, 1, 1)
    for layer in (*found.values(), *looked.values()):
        assert layer.about and np.isfinite(layer.maps).all() and layer.maps.dtype == np.float32
        assert layer.kind[0].islower() or layer.kind == "ReLU"
    chosen = inside.choose_maps(found, 3)
    assert chosen.keys() == found.keys() and all(len(picks) <= 3 for picks in chosen.values())
    (answer,) = answers(networks, some[:1], [label], company)
    answer = answer if config.has_scores else math.log(answer / (1 - answer))
    if not config.conditional:  # there the class adds its own part
        assert answer == pytest.approx(looked["logit"].maps.item(), abs=1e-3)
    first, last = inside_pictures.first_filters(networks), inside_pictures.last_filters(networks)
    kernel = {"mlp": size, "dcgan": 4, "residual": 1, "stylegan": 1, "biggan": 3}[config.networks]
    assert first.shape[1:] == (config.channels, kernel, kernel * config.packing)
    assert last.shape[1] == config.channels and last.shape[0] == (16 if config.networks == "mlp" else 4)
    assert inside_pictures.paint_filters(first).shape == (len(first), 3, *first.shape[2:])
    assert 1 <= inside.affordable(networks, 12, True) <= 12


def test_dense_layers_before_an_image_lie_as_the_image_does() -> None:
    config = RECIPES["mlp"].config.change(generator_filters=4)
    found = activations(made(config).generator, made(config).z(0))
    assert found["dense4"].maps.shape == (3, 64, 64) and "unflatten" not in found
    assert np.allclose(np.tanh(found["dense4"].maps), found["tanh"].maps, atol=1e-6)


def test_a_block_shows_the_same_maps_all_along(config: TrainConfig) -> None:
    found = activations(made(config).generator, made(config).z(0))
    assert [[layer.name for layer in block] for block in inside.blocks(found)][1:] == [
        ["conv7", "norm7", "act7"],
        ["conv14", "norm14", "act14"],
        ["conv28", "tanh"],
    ]
    chosen = inside.choose_maps(found, 2)
    assert chosen["conv14"] == chosen["act14"]
    strongest = found["act14"].maps.var(axis=(1, 2))
    assert chosen["act14"] == sorted(range(4), key=lambda i: -strongest[i])[:2]


# Answers


def test_an_answer_depends_on_the_image_alone_or_on_its_company(config: TrainConfig) -> None:
    networks = made(config)
    some = images(config, 20)
    with torch.no_grad():
        expected = torch.sigmoid(networks.discriminator(as_floats(some))).tolist()
    assert answers(networks, some) == pytest.approx(expected, abs=1e-5)
    before = copy.deepcopy(networks.discriminator.state_dict())
    among = answers(networks, some[:2], company=some[4:])
    training = copy.deepcopy(networks.discriminator).train()
    for i, answer in enumerate(among):
        with torch.no_grad():
            batch = as_floats(np.concatenate([some[i : i + 1], some[5:]]))
            assert answer == pytest.approx(torch.sigmoid(training(batch))[0].item(), abs=1e-5)
    assert among != pytest.approx(expected[:2], abs=1e-4)
    assert all(torch.equal(t, before[name]) for name, t in networks.discriminator.state_dict().items())


def test_many_visitors_at_once_get_what_each_would_get_alone(config: TrainConfig) -> None:
    networks = made(config)
    some = images(config, 18)

    def look(i: int) -> tuple[np.ndarray, list[float]]:
        maps = activations(networks.discriminator, as_floats(some[i : i + 1]), company=some[2:] if i else None)
        return maps["act7"].maps, answers(networks, some[:2], company=some[2:] if i else None)

    alone = [look(0), look(1)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(look, [0, 1] * 8))
    for i, (maps, told) in enumerate(together):
        assert np.array_equal(maps, alone[i % 2][0]) and told == alone[i % 2][1]
    assert not networks.discriminator.layers.get_submodule("conv7")._forward_hooks


def test_a_packed_discriminator_sees_an_image_several_times(config: TrainConfig) -> None:
    networks = made(config.change(packing=2))
    (one,) = images(config, 1)
    with torch.no_grad():
        expected = torch.sigmoid(networks.discriminator(as_floats(np.stack([one, one])))).item()
    assert answers(networks, one[None]) == pytest.approx([expected], abs=1e-5)


def test_a_class_changes_the_answer(config: TrainConfig) -> None:
    networks = made(config.change(conditional=True), ["cats", "dogs"])
    (one,) = images(config, 1)
    cat, dog = answers(networks, np.stack([one, one]), [0, 1])
    assert cat != dog
    drawn = inside.draw(networks, [1, 2], 1)
    assert drawn.shape == (2, 1, 28, 28)
    labels = torch.tensor([1, 1])
    assert (drawn == sample(networks.generator, torch.cat([networks.z(1), networks.z(2)]), labels)).all()


def test_large_networks_are_asked_less_at_a_time() -> None:
    small, large = made(TrainConfig()), made(TrainConfig(image_size=64, discriminator_filters=128, generator_filters=4))
    assert inside.affordable(small, 12, True) == 12
    assert 1 <= inside.affordable(large, 12, True) < inside.affordable(large, 12) <= 12


# Files


def test_a_saved_state_holds_both_networks(folder: RunFolder, state: TrainState) -> None:
    networks = load_networks(folder.state_file)
    z = networks.z(5)
    assert (sample(networks.generator, z) == sample(state.averaged, z)).all()
    one = images(state.config, 1)
    state.discriminator.eval()
    assert networks.discriminator and not networks.discriminator.training
    assert torch.equal(networks.discriminator(as_floats(one)), state.discriminator(as_floats(one)))
    assert (networks.config, networks.step, networks.class_names) == (state.config, 5, ())


def test_a_conditional_run_takes_the_names_of_its_classes_from_its_generator(config: TrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "named")
    folder.path.mkdir()
    state = new_state(config.change(conditional=True), CPU, class_names=("cats", "dogs"))
    folder.write_config(state.config, "")
    folder.save_state(state)
    assert load_networks(folder.state_file).class_names == ("class 0", "class 1")
    folder.save_generator(state)
    assert load_networks(folder.state_file).class_names == ("cats", "dogs")
    folder.generator_file(0).write_bytes(b"broken")
    assert load_networks(folder.state_file).class_names == ("class 0", "class 1")


def test_the_files_of_a_run_by_step_with_states_before_generators(folder: RunFolder, state: TrainState, tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    assert network_files(root, "one") == {"newest": folder.state_file}
    folder.save_generator(state)
    state.step = 40
    folder.save_generator(state)
    folder.keep_state(state)
    folder.state_file.unlink()
    files = network_files(root, "one")
    assert files == {"5": folder.generator_file(5), "40": folder.kept_state_file(40), "newest": folder.kept_state_file(40)}
    assert load_networks(files["40"]).step == 40
    alone = load_networks(files["5"])
    assert alone.discriminator is None and alone.step == 5
    # While a run trains, its newest file may be a generator; state.pt is then one of the earlier steps.
    state.step = 30
    folder.save_state(state)
    state.step = 64
    folder.save_generator(state)
    files = network_files(root, "one")
    assert list(files) == ["5", "30", "40", "64", "newest"]
    assert files["30"] == folder.state_file and files["newest"] == folder.generator_file(64)
    folder.state_file.write_bytes(b"broken")
    assert list(network_files(root, "one")) == ["5", "40", "64", "newest"]
    save_generator(root / "pretrained" / "shipped.safetensors", state)
    assert list(network_files(root, "shipped")) == ["newest"]
    (root / "empty").mkdir()
    (root / "empty" / "config.json").write_text("{}")
    assert network_files(root, "empty") == {}
    for name in ("gone", "../one", "", "pretrained"):
        with pytest.raises(KeyError):
            network_files(root, name)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_states_are_refused_in_one_sentence(folder: RunFolder, state: TrainState, tmp_path: Path) -> None:
    good = folder.state_file.read_bytes()
    plain = state.state_dict()
    infinite = copy.deepcopy(plain)
    infinite["averaged"]["layers.conv7.weight"][0] = math.inf
    short = copy.deepcopy(plain)
    short["discriminator"]["layers.conv7.weight"] = torch.zeros(1, 2)
    cases: dict[str, list[Any]] = {
        "cannot be opened": [good[:-2000], good[:100], b"", {}, [1, 2], {**plain, "averaged": 7}, {**plain, "step": "x" * 5}],
        "layers.conv7.weight has shape (1, 2), not (8, 4, 4, 4)": [short],
        "a weight that is not a number": [infinite],
        "more than tensors": [{"averaged": Bomb(tmp_path / "ran")}],
        "": [pickle.dumps(Bomb(tmp_path / "ran"))],
    }
    for words, wrongs in cases.items():
        for wrong in wrongs:
            folder.state_file.write_bytes(wrong) if isinstance(wrong, bytes) else torch.save(wrong, folder.state_file)
            with pytest.raises(CheckpointError) as caught:
                load_networks(folder.state_file)
            assert words in str(caught.value) and "\n" not in str(caught.value), (words, caught.value)
    assert not (tmp_path / "ran").exists()
    folder.state_file.write_bytes(good)
    folder.write_config(state.config.change(generator_filters=8), "")
    with pytest.raises(CheckpointError, match="has shape"):
        load_networks(folder.state_file)
    folder.write_config(state.config.change(conditional=True), "")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        load_networks(folder.state_file)
    folder.config_file.write_text("{")
    with pytest.raises(CheckpointError, match="JSON"):
        load_networks(folder.state_file)
    folder.state_file.unlink()
    folder.write_config(state.config, "")
    with pytest.raises(CheckpointError, match="no such saved state"):
        load_networks(folder.state_file)


def test_networks_too_large_to_look_into_are_refused(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside_files, "LARGEST_NETWORKS", 1000)
    with pytest.raises(CheckpointError, match="GiB"):
        load_networks(folder.state_file)


def test_the_cache_keeps_few_and_sees_that_a_file_has_changed(folder: RunFolder, state: TrainState) -> None:
    cache = NetworkCache(most=2)
    first = cache.get(folder.state_file)
    assert cache.get(folder.state_file) is first
    os.utime(folder.state_file, ns=(1, 1))
    assert cache.get(folder.state_file) is not first and len(cache) == 1
    for step in (1, 2, 3):
        state.step = step
        folder.save_generator(state)
        cache.get(folder.generator_file(step))
    assert len(cache) == 2
    with pytest.raises(CheckpointError, match="no longer exists"):
        cache.get(folder.path / "states" / "000007.pt")


# Pictures


def test_maps_are_painted_on_scales_of_their_own() -> None:
    maps = np.array([[[-2.0, 0.0], [1.0, np.nan]], [[0.0, 0.0], [0.0, 0.0]]])
    first, flat = inside_pictures.paint(maps, signed=True)
    assert first[:, 0, 0].tolist() == [33, 102, 172] and first[:, 0, 1].tolist() == [247] * 3 and first[:, 1, 1].tolist() == [128] * 3
    assert first[0, 1, 0] > first[2, 1, 0] and (flat == 247).all()
    # A single number is a logit: 0.015 is nearly undecided, 6 is sure.
    unsure, sure = (inside_pictures.paint(np.full((1, 1, 1), logit), signed=True)[0, :, 0, 0].tolist() for logit in (0.015, 6.0))
    assert min(unsure) > 240 and max(np.subtract(sure, [178, 24, 43])) < 5
    gray = inside_pictures.paint(np.array([[[1.0, 3.0]], [[5.0, 5.0]]]), signed=False)
    assert gray[0, :, 0].tolist() == [[0, 255]] * 3 and (gray[1] == 0).all()
    colors = inside_pictures.paint_filters(np.array([[[[1.0]], [[0.0]], [[-0.5]]], [[[0.0]], [[0.0]], [[0.0]]]]))
    assert colors[:, :, 0, 0].tolist() == [[255, 128, 64], [128, 128, 128]]


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (64, (8, 8)), (32, (4, 8)), (512, (16, 32)), (7, (3, 3)), (12288, (96, 128))])
def test_numbers_without_a_place_are_laid_out_in_rows(count: int, shape: tuple[int, int]) -> None:
    (rows,) = inside_pictures.as_map(np.arange(count).reshape(-1, 1, 1))
    assert rows.shape == shape and rows.reshape(-1)[:count].tolist() == list(range(count)) and np.isnan(rows.reshape(-1)[count:]).all()


# Norms


def test_norms_are_read_thinned_and_damage_is_left_out(folder: RunFolder, state: TrainState) -> None:
    assert inside_norms.read_norms(folder) is None
    folder.lock()
    for step in range(1, 26):
        folder.append_norms(step, layer_norms(state))
    folder.flush()
    folder.unlock()
    norms = inside_norms.read_norms(folder)
    assert norms and norms.steps == list(range(1, 26))
    weight = next(p for name, p in state.generator.named_parameters() if name == "layers.conv7.weight")
    assert norms.weights["generator"]["layers.conv7.weight"] == pytest.approx([weight.norm().item()] * 25)
    assert list(norms.gradients["discriminator"]) == [name for name, _ in state.discriminator.named_parameters()]
    thin = inside_norms.read_norms(folder, most=10)
    assert thin and thin.steps == [1, 4, 7, 10, 13, 16, 19, 22, 25]
    rows = [{"step": 3, "weights": {"generator": {"a": 0, "b": 2, "c": "x"}}, "gradients": []}, [1], {"step": "1"}, {"step": 2}]
    folder.norms_file.write_text("{\n" + "\n".join(map(json.dumps, rows)) + "\n" + "[" * 100_000)
    norms = inside_norms.read_norms(folder)
    assert norms and norms.steps == [2, 3]
    assert norms.weights == {"generator": {"a": [None, None], "b": [None, 2.0], "c": [None, None]}, "discriminator": {}}
    assert norms.gradients == {"generator": {}, "discriminator": {}}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("layers.conv7.weight", "convolution at 7 x 7"),
        ("layers.conv14.parametrizations.weight.original", "convolution at 14 x 14"),
        ("layers.norm14.bias", "normalization at 14 x 14, shift"),
        ("layers.norm2.weight", "normalization 2, scale"),
        ("layers.norm_extra1.weight", "normalization of extra convolution 1, scale"),
        ("layers.dense2.bias", "dense layer 2, bias"),
        ("layers.dense.weight", "dense layer"),
        ("logit.weight", "last layer"),
        ("embedding.weight", "class embedding"),
        ("<b>other", "<b>other"),
    ],
)
def test_parameters_have_names_in_plain_words(name: str, title: str) -> None:
    assert inside_norms.parameter_title(name) == title


@pytest.mark.parametrize("name", RECIPES)
def test_every_parameter_has_a_title_of_its_own(name: str) -> None:
    for network in new_networks(RECIPES[name].config.change(generator_filters=4, discriminator_filters=4), 2):
        names = [parameter for parameter, _ in network.named_parameters()]
        titles = [inside_norms.parameter_title(parameter) for parameter in names]
        assert len(set(titles)) == len(names) and not [title for title in titles if "." in title or "{" in title]


def test_charts_have_a_line_a_layer_and_say_the_same_in_words(folder: RunFolder, state: TrainState) -> None:
    norms = inside_norms.Norms(
        [10, 20],
        {"generator": {"layers.conv4.weight": [1.0, 2.0], "layers.norm4.weight": [3.0, 4.0]}, "discriminator": {}},
        {"generator": {"layers.conv4.weight": [None, 0.5]}, "discriminator": {}},
    )
    figure = norm_chart(norms, "generator", "weights")
    assert [trace.name for trace in figure.data] == ["convolution at 4 x 4"] and figure.layout.yaxis.type == "log"
    assert len(norm_chart(norms, "generator", "weights", everything=True).data) == 2
    assert "convolution at 4 x 4 1 to 2." in norm_words(norms, "generator", "weights")
    assert "0.5 to 0.5" in norm_words(norms, "generator", "gradients") and "none" in norm_words(norms, "discriminator", "weights")


# Drawings


def test_a_drawing_is_exactly_its_pixels_or_refused() -> None:
    pixels = bytes(range(16))
    text = base64.b64encode(pixels).decode()
    drawn = read_pixels(text, 4)
    assert drawn is not None and drawn.tobytes() == pixels and drawn.shape == (1, 4, 4)
    assert read_pixels("", 4) is None
    wrongs: list[Any] = [None, 7, {}, text + "AAAA", text[:-4], "!" * len(text), "=" * len(text), "x" * 10**6]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="4 x 4 gray values"):
            read_pixels(wrong, 4)


def test_only_the_batch_normalization_is_as_in_training(config: TrainConfig) -> None:
    prepared = inside._as_in_training(made(config.change(dropout=0.5)).discriminator)
    training = {type(module) for module in prepared.modules() if module.training}
    assert training == {nn.BatchNorm2d}
