import dataclasses
import io
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data import cache, datasets, decoding, imagefiles, imageset, parts
from gan.data.datasets import load
from gan.data.drawn import DRAWN
from gan.data.faces import ATTRIBUTES, draw_face
from gan.data.form import Form
from tests.conftest import finish


def test_mnist_is_embedded_and_whole() -> None:
    mnist = finish(load("mnist", 28, 1, "all"))
    assert mnist.images.shape == (70_000, 1, 28, 28) and mnist.images.dtype == torch.uint8
    assert torch.bincount(mnist.labels).tolist() == [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958]
    assert mnist.labels[:5].tolist() == [5, 0, 4, 1, 9]  # the first training digits, as published
    assert mnist.images[:60_000].float().mean().item() == pytest.approx(0.1307 * 255, abs=0.013)  # the mean as published, to four digits
    assert len(finish(load("mnist", 28, 1))) == 60_000


def test_mnist_is_resized_and_colored() -> None:
    images = imageset.resize(torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8), Form(64, 3))
    assert images.shape == (5, 3, 64, 64) and torch.equal(images[:, 0], images[:, 2])


def test_a_face_is_the_same_at_every_call_and_faces_differ() -> None:
    one, facts = draw_face(3, 32)
    again, _ = draw_face(3, 32)
    assert one.shape == (3, 32, 32) and one.dtype == np.uint8 and facts.shape == (len(ATTRIBUTES),)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, draw_face(4, 32)[0])


def test_faces_are_cached_and_a_cut_cache_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRAWN, "faces", replace(DRAWN["faces"], train=12))
    first = finish(load("faces", 32, 3))
    assert first.images.shape == (12, 3, 32, 32) and first.class_names == ("no glasses", "glasses")
    assert torch.equal(first.labels.bool(), first.attributes[:, 0])
    cached = next((datasets.data_root() / "cache").glob("*-32-3")) / "images.npy"
    stamp = cached.stat().st_mtime_ns
    assert finish(load("faces", 32, 3)).fingerprint() == first.fingerprint()
    assert cached.stat().st_mtime_ns == stamp
    assert finish(load("faces", 32, 1)).images.shape == (12, 1, 32, 32)
    cached.write_bytes(cached.read_bytes()[:1000])
    assert finish(load("faces", 32, 3)).fingerprint() == first.fingerprint()
    assert cached.stat().st_size > 1000


def test_two_drawn_sets_share_no_cache_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def dot(index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((3, size, size), index, np.uint8), np.array([index % 2 == 1])

    few = replace(DRAWN["faces"], train=12)
    monkeypatch.setitem(DRAWN, "faces", few)
    monkeypatch.setitem(DRAWN, "dots", replace(few, draw=dot, attribute_names=("odd",), class_names=("even", "odd")))
    finish(load("faces", 32, 3))
    dots = finish(load("dots", 32, 3))
    assert dots.class_names == ("even", "odd") and dots.images[:, 0, 0, 0].tolist() == list(range(12))


def test_faces_vary_and_half_wear_glasses() -> None:
    attributes = np.stack([draw_face(i, 16)[1] for i in range(300)])
    assert 0.4 < attributes[:, 0].mean() < 0.6
    assert all(0.02 < share < 0.9 for share in attributes.mean(axis=0))


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def test_a_folder_with_class_subfolders(tmp_path: Path) -> None:
    for name, color in (("cats", "red"), ("dogs", "blue")):
        for i in range(3):
            save(tmp_path / "pets" / name / "deeper" / f"{i}.png", Image.new("RGB", (40, 30), color))
    pets = finish(load(str(tmp_path / "pets"), 32, 3))
    assert pets.images.shape == (6, 3, 32, 32)
    assert pets.class_names == ("cats", "dogs") and pets.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert pets.images[0, :, 16, 16].tolist() == [255, 0, 0] and pets.images[5, :, 16, 16].tolist() == [0, 0, 255]


def test_every_kind_of_image_is_read_and_bad_ones_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    ramp = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    save(folder / "gray16.png", Image.fromarray(ramp))
    save(folder / "gray.png", Image.new("L", (40, 40), 100))
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
    assert sorted(line.split(":")[0] for line in mixed.skipped) == ["broken.png", "cut.jpg", "notes.txt", "tiny.png"]
    assert any("3 x 3 pixels; it needs at least 8 x 8" in line for line in mixed.skipped)
    by_name = dict(
        zip(
            sorted(["gray16.png", "gray.png", "palette.gif", "clear.png", "wide.jpg", "cmyk.jpg", "one_bit.png"]), mixed.images, strict=True
        )
    )
    assert by_name["clear.png"].min() == 255  # laid on white
    assert by_name["gray.png"].unique().tolist() == [100]
    assert by_name["gray16.png"].max() > 245 and 110 < by_name["gray16.png"].float().mean() < 145
    assert by_name["one_bit.png"].min() == 255


def test_an_image_of_absurd_size_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGEST_IMAGE", 1000)
    save(tmp_path / "big" / "a.png", Image.new("L", (100, 100)))
    with pytest.raises(ValueError, match=r"none of the 1 images.*100 x 100 pixels; the limit is 1,000"):
        finish(load(str(tmp_path / "big"), 28, 1))


def test_an_empty_folder_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        finish(load(str(tmp_path / "empty"), 28, 1))
    with pytest.raises(ValueError, match="no data set 'nowhere'"):
        finish(load("nowhere", 28, 1))


def test_folders_below_the_data_folder_can_be_chosen_by_name(tmp_path: Path) -> None:
    save(tmp_path / "data" / "mine" / "a.png", Image.new("L", (40, 40)))
    for name in ("cache", "FashionMNIST", "cifar-10-batches-py", ".upload-1"):
        (tmp_path / "data" / name).mkdir()
    assert datasets.available() == [*datasets.NAMED, "mine"]
    assert len(finish(load("mine", 28, 1))) == 1


def test_a_fingerprint_tells_sets_apart(blobs: datasets.ImageDataset) -> None:
    other = blobs.images.clone()
    other[3, 0, 5, 5] ^= 1
    assert blobs.fingerprint() != datasets.ImageDataset("blobs", other).fingerprint()
    assert blobs.fingerprint() == datasets.ImageDataset("other name", blobs.images.clone()).fingerprint()


def pets(folder: Path, side: int = 40) -> None:
    for name, color in (("cats", "red"), ("dogs", "blue")):
        for i in range(3):
            save(folder / name / f"{i}.png", Image.new("RGB", (side, side), color))


def zipped(folder: Path, path: Path, around: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for found in folder.rglob("*.*"):
            file.write(found, around + str(found.relative_to(folder)))
    return path


def decoded_files(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that are decoded from here on."""
    seen = []
    real = decoding.decode

    def decode(source: object, *rest: Any) -> object:
        seen.append(source)
        return real(source, *rest)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(imagefiles, "decode", decode)
    return seen


def test_a_folder_is_decoded_once_for_each_size_and_anew_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pets"
    pets(folder)
    first = finish(load(str(folder), 32, 3))
    seen = decoded_files(monkeypatch)
    again = finish(load(str(folder), 32, 3))
    assert seen == [] and torch.equal(again.images, first.images) and again.labels.tolist() == first.labels.tolist()
    assert again.class_names == first.class_names and again.fingerprint() == first.fingerprint()
    finish(load(str(folder), 28, 1))
    assert len(seen) == 6
    save(folder / "dogs" / "1.png", Image.new("RGB", (40, 41), "green"))
    changed = finish(load(str(folder), 32, 3))
    assert len(seen) == 12 and changed.fingerprint() != first.fingerprint()
    (folder / "cats" / "0.png").unlink()
    assert len(finish(load(str(folder), 32, 3))) == 5


def test_a_cached_set_has_the_fingerprint_of_its_pixels_and_new_images_another(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    finish(load(str(tmp_path / "pets"), 32, 3))
    cached = finish(load(str(tmp_path / "pets"), 32, 3))
    assert cached.fingerprint() == datasets.ImageDataset("x", cached.images.clone()).fingerprint()
    changed = dataclasses.replace(cached, images=cached.images[1:])
    assert changed.fingerprint() != cached.fingerprint()


def test_what_was_left_out_is_remembered_with_the_cache(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    (tmp_path / "pets" / "cats" / "broken.png").write_bytes(b"no")
    assert [finish(load(str(tmp_path / "pets"), 32, 3)).skipped for _ in range(2)] == [("cats/broken.png: cannot be read as an image",)] * 2


def test_loading_can_be_ended_between_any_two_events_and_leaves_nothing(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    for path in (str(tmp_path / "pets"), str(zipped(tmp_path / "pets", tmp_path / "pets.zip"))):
        steps = 0
        while True:
            loading = load(path, 32, 3)
            try:
                for _ in range(steps + 1):
                    next(loading)
            except StopIteration:
                break
            loading.close()
            root = datasets.data_root() / "cache"
            assert not root.exists() or not [p for p in root.iterdir() if p.name.startswith(".") or not (p / "about.json").exists()]
            steps += 1
        assert steps >= 2


def test_a_zip_is_the_same_set_as_its_folder(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    folder = finish(load(str(tmp_path / "pets"), 32, 3))
    for around in ("", "all/of/my pets/"):
        packed = finish(load(str(zipped(tmp_path / "pets", tmp_path / "pets.zip", around)), 32, 3))
        assert torch.equal(packed.images, folder.images) and packed.labels.tolist() == folder.labels.tolist()
        assert packed.class_names == folder.class_names == ("cats", "dogs")


def test_a_zip_is_decoded_once_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pets(tmp_path / "pets")
    path = zipped(tmp_path / "pets", tmp_path / "pets.zip")
    first = finish(load(str(path), 32, 3))
    path.rename(tmp_path / "other.ZIP")
    seen = decoded_files(monkeypatch)
    assert finish(load(str(tmp_path / "other.ZIP"), 32, 3)).fingerprint() == first.fingerprint() and seen == []
    pets(tmp_path / "pets", side=41)
    finish(load(str(zipped(tmp_path / "pets", tmp_path / "pets.zip")), 32, 3))
    assert len(seen) == 6


def test_a_zip_without_usable_images_is_a_sentence(tmp_path: Path) -> None:
    def refused(*entries: tuple[str, str]) -> str:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            for name, content in entries:
                file.writestr(name, content)
        with pytest.raises(ValueError) as info:
            finish(load(str(tmp_path / "a.zip"), 28, 1))
        assert not (datasets.data_root() / "cache").exists() or not list((datasets.data_root() / "cache").iterdir())
        return str(info.value)

    assert refused().endswith("a.zip holds no usable images")
    assert refused(("notes.txt", "x")).endswith("the first of 1 other files: notes.txt: ends in .txt, not like an image")
    assert refused(("b.txt", "x"), ("a.png", "x")).endswith(
        "none of the 1 images in the file " + str(tmp_path / "a.zip") + " can be used, the first because: a.png: cannot be read as an image"
    )


def test_the_first_folder_that_tells_files_apart_is_the_class() -> None:
    def classes(*names: str) -> tuple[list[str], list[int]]:
        return parts._classes([datasets.Member(tuple(name.split("/")), 0, 0, None) for name in names])

    assert classes("a.png", "b.png") == ([], [0, 0])
    assert classes("photos/a.png", "photos/b.png") == ([], [0, 0])
    assert classes("photos/a/1.png") == ([], [0])
    assert classes("a/1.png", "b/2.png", "a/3.png") == (["a", "b"], [0, 1, 0])
    assert classes("x/y/b/1.png", "x/y/a/deep/2.png") == (["a", "b"], [1, 0])
    assert classes("x/1.png", "x/b/1.png", "x/a/1.png") == ([], [0, 0, 0])


def test_only_known_formats_are_decoded_whatever_the_name_says(tmp_path: Path) -> None:
    eps = io.BytesIO()
    Image.new("RGB", (40, 40)).save(eps, "EPS")
    assert decoding.decode(eps.getvalue(), 28, 1) == "cannot be read as an image"
    png = io.BytesIO()
    Image.new("RGB", (40, 40), "white").save(png, "PNG")
    decoded = decoding.decode(png.getvalue(), 28, 1)
    assert isinstance(decoded, np.ndarray) and decoded.min() == 255


def test_damage_anywhere_in_an_image_is_a_sentence_or_pixels() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        whole = io.BytesIO()
        picture.save(whole, form)
        for _ in range(60):
            damaged = bytearray(whole.getvalue())
            for at in rng.integers(0, min(len(damaged), 300), 4):
                damaged[at] = rng.integers(0, 256)
            with warnings.catch_warnings(action="ignore"):
                result = decoding.decode(bytes(damaged), 28, 3)
            assert isinstance(result, str) or result.shape == (3, 28, 28)


def test_a_set_that_does_not_fit_on_the_disk_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pets(tmp_path / "pets")
    monkeypatch.setattr(cache, "LARGEST_CACHE", 1000)
    with pytest.raises(ValueError, match=r"the data set \S+pets takes 0.0 GiB once decoded"):
        finish(load(str(tmp_path / "pets"), 32, 3))


@pytest.mark.parametrize("name", ["own:", "own:../elsewhere", "own:nothing"])
def test_own_names_a_folder_of_the_data_folder_and_nothing_else(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_DATA", str(tmp_path / "data"))
    for folder in ("data/mine", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / folder / "1.png")
    assert len(finish(load("own:mine", 32, 3))) == 1
    with pytest.raises(ValueError, match="there is no data set"):
        finish(load(name, 32, 3))
