"""Pairs of images: side by side, in two folders, drawn; and what training never sees."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.data import datasets, pairs, parts
from gan.data.archives import Member
from gan.data.datasets import ImageDataset
from gan.data.decoding import decode
from gan.data.drawn import DRAWN
from gan.data.faces import draw_face
from gan.data.pairing import looks_paired
from gan.data.sketches import draw_pair
from gan.data.translation import with_held_out
from gan.progress import drain
from gan.training.feed import epoch_images

RED, BLUE = (200, 0, 0), (0, 0, 200)


def picture(path: Path, color: tuple[int, int, int], width: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, 16), color).save(path)


def side_by_side(path: Path, left: int = 0) -> None:
    """A red image next to a blue one, with a gradient in the red one's green channel to see how it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = RED, BLUE
    pixels[:, :16, 1] = np.arange(16) * 10 + left
    Image.fromarray(pixels).save(path)


def loaded(name: str, paired: str = "a_to_b", split: str = "train") -> ImageDataset:
    return drain(datasets.load(name, 28, 3, split, paired=paired), quiet=True)  # type: ignore[arg-type]


def member(path: str) -> Member:
    return Member(tuple(path.split("/")), 1, 1, path)


def test_an_outline_belongs_to_its_avatar_and_only_has_lines() -> None:
    pair, attributes = draw_pair(3, 64)
    face, same = draw_face(3, 64)
    assert pair.shape == (6, 64, 64) and np.array_equal(pair[:3], face) and np.array_equal(attributes, same)
    outline = draw_pair(3, 256)[0][3:]
    assert set(np.unique(outline)) > {0, 255} and np.array_equal(outline[0], outline[1])
    assert 0.02 < (outline < 128).mean() < 0.2


@pytest.fixture
def few_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("faces", "sketches"):
        monkeypatch.setitem(DRAWN, name, dataclasses.replace(DRAWN[name], train=6, tests=4))


@pytest.mark.usefixtures("few_drawings")
def test_sketches_are_pairs_in_either_direction() -> None:
    config = TrainConfig(networks="pix2pix", data="sketches", image_size=28, channels=3)
    for changes, at in (({}, 0), ({"direction": "b_to_a"}, 3)):
        dataset = drain(datasets.load_for(config.change(**changes), "test"), quiet=True)
        pair = draw_pair(6, 28)[0]
        assert dataset.inputs is not None and len(dataset.inputs) == len(dataset) == 4
        assert np.array_equal(dataset.images[0], pair[at : at + 3]) and np.array_equal(dataset.inputs[0], pair[3 - at : 6 - at])


@pytest.mark.parametrize("fit", ["crop", "pad", "squeeze"])
def test_a_file_with_both_images_is_cut_in_the_middle(tmp_path: Path, fit: str) -> None:
    side_by_side(tmp_path / "1.png")
    for direction, red in (("a_to_b", 3), ("b_to_a", 0)):
        pair = decode(tmp_path / "1.png", 16, 3, fit, "#ffffff", direction)  # type: ignore[arg-type]
        assert isinstance(pair, np.ndarray) and pair.shape == (6, 16, 16)
        assert (pair[red] == 200).all() and (pair[5 - red] == 200).all() and (pair[red + 2] == 0).all()  # nothing of one in the other
        assert pair[red + 1, 0].tolist() == [10 * i for i in range(16)]


def test_files_of_another_shape_are_left_out_by_name(tmp_path: Path) -> None:
    for i in range(3):
        side_by_side(tmp_path / "own" / f"{i}.png", i)
    picture(tmp_path / "own" / "odd.png", RED, 40)
    dataset = loaded(str(tmp_path / "own"))
    assert len(dataset) == 3 and dataset.inputs is not None and dataset.labels is None
    assert dataset.skipped == ("odd.png: has 40 x 16 pixels; a file with A and B side by side is twice as wide as high",)
    assert (dataset.inputs[:, 0] == 200).all() and (dataset.images[:, 2] == 200).all()
    again = loaded(str(tmp_path / "own"))
    assert again.fingerprint() == dataset.fingerprint() != loaded(str(tmp_path / "own"), "b_to_a").fingerprint()


@pytest.mark.parametrize("pair", [("A", "B"), ("trainA", "trainB"), ("set/train/a", "set/train/b")])
def test_two_folders_pair_files_of_the_same_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    for name in ("x/1.png", "x/2.png"):
        picture(tmp_path / "own" / pair[0] / name, RED)
        picture(tmp_path / "own" / pair[1] / name.replace("2.png", "2.bmp"), BLUE)
    picture(tmp_path / "own" / pair[0] / "3.png", RED)
    picture(tmp_path / "own" / pair[1] / "4.png", BLUE)
    packed = tmp_path / "own.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted((tmp_path / "own").rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path / "own"))
    for name in (str(tmp_path / "own"), str(packed)):
        dataset = loaded(name)
        assert len(dataset) == 2 and dataset.inputs is not None
        assert (dataset.inputs[:, 0] == 200).all() and (dataset.images[:, 2] == 200).all()
        assert [s.rpartition("/")[2] for s in dataset.skipped] == [
            "3.png: has no partner of the same name in folder B",
            "4.png: has no partner of the same name in folder A",
        ]
        assert dataset.notes[0] == "2 pairs have the same name in folders A and B"


def test_folders_say_what_is_for_testing() -> None:
    members = [member(f"{folder}/{i}.png") for folder in ("testA", "testB", "trainA", "trainB") for i in range(2)]
    chosen = {split: [m.parts for m in pairs.choose(members, split).members] for split in ("train", "test", "all")}
    assert chosen["train"] == [("trainA", "0.png"), ("trainA", "1.png")] and chosen["test"] == [("testA", "0.png"), ("testA", "1.png")]
    assert len(chosen["all"]) == 4 and pairs.choose(members, "train").tests == 2
    beside = [member(f"facades/{part}/{i}.jpg") for part in ("test", "train", "val") for i in range(2)]
    assert [m.parts[1] for m in pairs.choose(beside, "test").members] == ["test", "test", "val", "val"]


def test_published_folders_are_two_classes_with_their_parts() -> None:
    members = [member(f"horses/{folder}/{i}.jpg") for folder in ("testA", "testB", "trainA", "trainB") for i in range(2)]
    train, test = (parts.choose(members, split) for split in ("train", "test"))
    assert train.classes == test.classes == ["A", "B"] and train.numbers == test.numbers == [0, 0, 1, 1]
    assert {m.parts[1] for m in train.members} == {"trainA", "trainB"} and train.tests == 4
    assert parts.choose(members[:4], "train").classes == ["testA", "testB"]


def test_a_set_without_pairs_says_so(tmp_path: Path) -> None:
    picture(tmp_path / "own" / "A" / "1.png", RED)
    picture(tmp_path / "own" / "B" / "2.png", RED)
    with pytest.raises(ValueError, match=r"holds no pairs: A/1.png: has no partner of the same name in folder B"):
        loaded(str(tmp_path / "own"))


def test_without_test_images_every_tenth_of_each_class_is_held_out() -> None:
    images = torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1)
    labels = torch.tensor([0] * 25 + [1] * 25)
    dataset = with_held_out(ImageDataset("own", images, labels, ("a", "b"), inputs=images + 100), None)
    assert dataset.held_out is not None and dataset.held_out.inputs is not None and dataset.inputs is not None
    assert dataset.held_out.images.flatten().tolist() == [0, 10, 20, 25, 35, 45]
    assert len(dataset) == 44 and not {*dataset.images.flatten().tolist()} & {*dataset.held_out.images.flatten().tolist()}
    assert torch.equal(dataset.inputs, dataset.images + 100) and torch.equal(dataset.held_out.inputs, dataset.held_out.images + 100)


def test_test_images_of_one_class_alone_do_not_count_and_a_lone_image_is_not_held_out() -> None:
    images, labels = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1), torch.tensor([0] * 15 + [1] * 15)
    training, test = ImageDataset("own", images, labels, ("a", "b")), ImageDataset("own", images[:5], labels[:5], ("a", "b"))
    dataset = with_held_out(training, test)
    assert dataset.held_out is not None and dataset.held_out.images.flatten().tolist() == [0, 10, 15, 25] and len(dataset) == 26
    both = with_held_out(training, ImageDataset("own", images[10:20], labels[10:20], ("a", "b")))
    assert both.held_out is not None and len(both.held_out) == 10 and len(both) == 30
    lone = with_held_out(ImageDataset("own", images[:16], labels[:16], ("a", "b")), None)
    assert lone.held_out is not None and lone.held_out.images.flatten().tolist() == [0, 10] and len(lone) == 14
    config = TrainConfig(networks="cyclegan", image_size=28, batch_size=2)
    wide = dataclasses.replace(lone, images=torch.zeros(14, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match="the data set own has too few images of the class b"):
        epoch_images(config, wide)


@pytest.mark.usefixtures("few_drawings")
def test_the_avatars_test_images_are_held_out() -> None:
    config = TrainConfig(networks="cyclegan", data="faces", image_size=28, channels=3)
    dataset = drain(datasets.load_for(config), quiet=True)
    assert dataset.held_out is not None and (len(dataset), len(dataset.held_out)) == (6, 4)
    assert drain(datasets.load_for(TrainConfig(data="faces", image_size=28, channels=3)), quiet=True).held_out is None


def test_what_looks_like_pairs_is_guessed_from_names_and_shapes(tmp_path: Path) -> None:
    for i in range(4):
        side_by_side(tmp_path / "wide" / f"{i}.png")
        picture(tmp_path / "single" / f"{i}.png", RED)
        for folder in ("apart/A", "apart/B", "published/trainA", "published/trainB"):
            picture(tmp_path / folder / f"{i}.png", RED)
        picture(tmp_path / "unpaired" / "A" / f"{i}.png", RED)
        picture(tmp_path / "unpaired" / "B" / f"b{i}.png", BLUE)
        picture(tmp_path / "animals" / "panda" / f"{i}.png", RED)
        picture(tmp_path / "animals" / "lamb" / f"{i}.png", BLUE)
    side_by_side(tmp_path / "mixed" / "0.png")
    picture(tmp_path / "mixed" / "1.png", RED)
    side_by_side(tmp_path / "lonely" / "0.png")
    assert {path.name for path in tmp_path.iterdir() if drain(looks_paired(str(path)))} == {"wide", "apart", "published"}
    assert not drain(looks_paired("mnist"))
