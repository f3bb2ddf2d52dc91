import os

import numpy as np
import pytest
import torch
from PIL import Image

from gan import datasets
from gan.datasets import load
from gan.faces import ATTRIBUTES, draw_face
from tests.conftest import finish


def test_mnist_is_embedded_and_whole():
    mnist = finish(load("mnist", 28, 1, "all"))
    assert mnist.images.shape == (70_000, 1, 28, 28) and mnist.images.dtype == torch.uint8
    assert torch.bincount(mnist.labels).tolist() == [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958]
    assert mnist.labels[:5].tolist() == [5, 0, 4, 1, 9]  # the first training digits, as published
    assert mnist.images[:60_000].float().mean().item() == pytest.approx(0.1307 * 255, abs=0.013)  # the mean as published, to four digits
    assert len(finish(load("mnist", 28, 1))) == 60_000


def test_mnist_is_resized_and_coloured():
    part = datasets._resize(torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8), 64, 3)
    images = finish(part)
    assert images.shape == (5, 3, 64, 64) and torch.equal(images[:, 0], images[:, 2])


def test_a_face_is_the_same_at_every_call_and_faces_differ():
    one, facts = draw_face(3, 32)
    again, _ = draw_face(3, 32)
    assert one.shape == (3, 32, 32) and one.dtype == np.uint8 and facts.shape == (len(ATTRIBUTES),)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, draw_face(4, 32)[0])


def test_faces_are_cached_and_a_cut_cache_is_drawn_again(monkeypatch):
    monkeypatch.setattr(datasets, "FACES", 12)
    first = finish(load("faces", 32, 3))
    assert first.images.shape == (12, 3, 32, 32) and first.class_names == ("no glasses", "glasses")
    assert torch.equal(first.labels.bool(), first.attributes[:, 0])
    cache = next((datasets.data_root() / "cache").glob("faces-*"))
    stamp = cache.stat().st_mtime_ns
    assert finish(load("faces", 32, 3)).fingerprint() == first.fingerprint()
    assert cache.stat().st_mtime_ns == stamp
    cache.write_bytes(cache.read_bytes()[:1000])
    assert finish(load("faces", 32, 3)).fingerprint() == first.fingerprint()
    assert cache.stat().st_size > 1000


def test_faces_vary_and_half_wear_glasses():
    attributes = np.stack([draw_face(i, 16)[1] for i in range(300)])
    assert 0.4 < attributes[:, 0].mean() < 0.6
    assert all(0.02 < share < 0.9 for share in attributes.mean(axis=0))


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def test_a_folder_with_class_subfolders(tmp_path):
    for name, colour in (("cats", "red"), ("dogs", "blue")):
        for i in range(3):
            save(tmp_path / "pets" / name / "deeper" / f"{i}.png", Image.new("RGB", (40, 30), colour))
    pets = finish(load(str(tmp_path / "pets"), 32, 3))
    assert pets.images.shape == (6, 3, 32, 32)
    assert pets.class_names == ("cats", "dogs") and pets.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert pets.images[0, :, 16, 16].tolist() == [255, 0, 0] and pets.images[5, :, 16, 16].tolist() == [0, 0, 255]


def test_every_kind_of_image_is_read_and_bad_ones_are_named(tmp_path):
    folder = tmp_path / "mixed"
    ramp = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    save(folder / "grey16.png", Image.fromarray(ramp))
    save(folder / "grey.png", Image.new("L", (40, 40), 100))
    save(folder / "palette.gif", Image.new("P", (40, 40), 3))
    save(folder / "clear.png", Image.new("RGBA", (40, 40), (0, 0, 0, 0)))
    save(folder / "wide.jpg", Image.new("RGB", (300, 20), "green"))
    save(folder / "cmyk.jpg", Image.new("CMYK", (40, 40), (0, 0, 0, 0)))
    save(folder / "one_bit.png", Image.new("1", (40, 40), 1))
    save(folder / "tiny.png", Image.new("RGB", (3, 3)))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    (folder / "cut.jpg").write_bytes((folder / "wide.jpg").read_bytes()[:200])
    (folder / "notes.txt").write_text("not an image")
    mixed = finish(load(str(folder), 28, 1))
    assert len(mixed) == 7 and mixed.labels is None
    assert sorted(line.split(":")[0] for line in mixed.skipped) == ["broken.png", "cut.jpg", "tiny.png"]
    assert any("3 x 3 pixels; at least 8 x 8" in line for line in mixed.skipped)
    by_name = dict(
        zip(
            sorted(["grey16.png", "grey.png", "palette.gif", "clear.png", "wide.jpg", "cmyk.jpg", "one_bit.png"]), mixed.images, strict=True
        )
    )
    assert by_name["clear.png"].min() == 255  # laid on white
    assert by_name["grey.png"].unique().tolist() == [100]
    assert by_name["grey16.png"].max() > 245 and 110 < by_name["grey16.png"].float().mean() < 145
    assert by_name["one_bit.png"].min() == 255


def test_an_image_of_absurd_size_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "LARGEST_IMAGE", 1000)
    save(tmp_path / "big" / "a.png", Image.new("L", (100, 100)))
    with pytest.raises(ValueError, match=r"none of the 1 images.*100 x 100 pixels; at most 1,000"):
        finish(load(str(tmp_path / "big"), 28, 1))


def test_an_empty_folder_and_an_unknown_name_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        finish(load(str(tmp_path / "empty"), 28, 1))
    with pytest.raises(ValueError, match="no data set 'nowhere'"):
        finish(load("nowhere", 28, 1))


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    save(tmp_path / "secret" / "a.png", Image.new("L", (40, 40)))
    save(tmp_path / "open" / "b.png", Image.new("L", (40, 40)))
    os.symlink(tmp_path / "secret", tmp_path / "open" / "link")
    os.symlink(tmp_path / "secret" / "a.png", tmp_path / "open" / "c.png")
    assert len(finish(load(str(tmp_path / "open"), 28, 1))) == 1


def test_folders_below_the_data_folder_can_be_chosen_by_name(tmp_path):
    save(tmp_path / "data" / "mine" / "a.png", Image.new("L", (40, 40)))
    (tmp_path / "data" / "cache").mkdir()
    assert datasets.available() == ["mnist", "faces", "mine"]
    assert len(finish(load("mine", 28, 1))) == 1


def test_a_fingerprint_tells_sets_apart(blobs):
    other = blobs.images.clone()
    other[3, 0, 5, 5] ^= 1
    assert blobs.fingerprint() != datasets.ImageDataset("blobs", other).fingerprint()
    assert blobs.fingerprint() == datasets.ImageDataset("other name", blobs.images.clone()).fingerprint()
