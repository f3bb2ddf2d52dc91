"""Arrays of images in common file formats. Nothing in them is executed, and their sizes are limited."""

import contextlib
import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan.data import arrays, datasets
from gan.data.datasets import load
from gan.data.imageset import ImageDataset
from tests.conftest import finish

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (20, 28, 28, 3), dtype=np.uint8)
CLASSES = np.arange(20) % 3


def loaded(path: Path, channels: int = 1, split: str = "train") -> ImageDataset:
    return finish(load(str(path), 28, channels, split))


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as info:
        loaded(path)
    assert str(path) in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(
    "images",
    [GRAY, GRAY[..., None], GRAY[:, None], GRAY.reshape(20, 784), GRAY.astype(np.int64), GRAY.astype(np.float32), GRAY.astype(">u2")],
    ids=["NHW", "NHW1", "N1HW", "flat", "int64", "float32", "big-endian"],
)
def test_gray_images_are_read_bit_for_bit(tmp_path: Path, images: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", images)
    assert np.array_equal(loaded(tmp_path / "a.npy").images[:, 0].numpy(), GRAY)


def test_color_images_are_read_with_channels_last_or_first(tmp_path: Path) -> None:
    expected = torch.from_numpy(COLOR.transpose(0, 3, 1, 2).copy())
    for images in (COLOR, COLOR.transpose(0, 3, 1, 2).copy(), np.concatenate([COLOR, np.full((20, 28, 28, 1), 255, np.uint8)], -1)):
        np.save(tmp_path / "a.npy", images)
        assert torch.equal(loaded(tmp_path / "a.npy", 3).images, expected)
    np.save(tmp_path / "clear.npy", np.zeros((4, 28, 28, 4), np.uint8))
    assert loaded(tmp_path / "clear.npy", 3).images.min() == 255  # laid on white


def test_oblong_images_are_cut_to_their_middle_square(tmp_path: Path) -> None:
    wide = np.zeros((3, 28, 48), np.uint8)
    wide[:, :, 10:38] = GRAY[:3]
    np.save(tmp_path / "a.npy", wide)
    assert np.array_equal(loaded(tmp_path / "a.npy").images[:, 0].numpy(), GRAY[:3])


def test_numbers_get_one_scale_for_the_whole_set_and_it_is_told(tmp_path: Path) -> None:
    def scaled(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        np.save(tmp_path / "a.npy", values)
        found = loaded(tmp_path / "a.npy")
        return found.images[:, 0].numpy(), found.notes

    images, notes = scaled(GRAY / np.float32(255))
    assert np.array_equal(images, GRAY) and notes == ("values 0 to 1 scaled to 0 to 255",)
    images, notes = scaled(GRAY / 127.5 - 1)
    assert np.array_equal(images, GRAY) and notes == ("values -1 to 1 scaled to 0 to 255",)
    images, notes = scaled(GRAY > 127)
    assert np.array_equal(images, np.where(GRAY > 127, 255, 0)) and notes
    twelve = GRAY.astype(np.uint16) * 16
    images, notes = scaled(twelve)
    assert notes == (f"values {twelve.min()} to {twelve.max():,} scaled to 0 to 255",)
    assert np.abs(images.astype(int) - GRAY).max() <= 1
    holes = GRAY / np.float32(255)
    holes[3, 4, 5] = np.nan
    images, notes = scaled(holes)
    assert images[3, 4, 5] == 0 and notes == ("values 0 to 1 scaled to 0 to 255; pixels without a finite number become black",)
    assert np.array_equal(images[4:], GRAY[4:])
    images, notes = scaled(np.full((4, 28, 28), 300, np.int32))
    assert not images.any() and notes[0].startswith("all values are 300, so the images are black") and "nearly black" in notes[1]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_with_labels(tmp_path: Path, save: Callable[..., None]) -> None:
    for names in (("images", "labels"), ("x", "y"), ("X", "Y"), ("arr_0", "arr_1"), ("data", "target")):
        save(tmp_path / "a.npz", **dict(zip(names, (GRAY, CLASSES), strict=True)))
        found = loaded(tmp_path / "a.npz")
        assert np.array_equal(found.images[:, 0].numpy(), GRAY), names
        assert found.labels.tolist() == CLASSES.tolist() and found.class_names == ("0", "1", "2"), names


def test_an_npz_with_parts(tmp_path: Path) -> None:
    np.savez(tmp_path / "keras.npz", x_train=GRAY[:15], y_train=CLASSES[:15], x_test=GRAY[15:], y_test=CLASSES[15:])
    medmnist: dict[str, Any] = {"train_images": GRAY[:10], "val_images": GRAY[10:15], "test_images": GRAY[15:]}
    np.savez(
        tmp_path / "med.npz", **medmnist, train_labels=CLASSES[:10, None], val_labels=CLASSES[10:15, None], test_labels=CLASSES[15:, None]
    )
    for name, train in (("keras", 15), ("med", 10)):
        path = tmp_path / f"{name}.npz"
        found = {split: loaded(path, 1, split) for split in ("train", "test", "all")}
        assert {split: len(one) for split, one in found.items()} == {"train": train, "test": 20 - train, "all": 20}
        assert found["all"].labels.tolist() == CLASSES.tolist() and found["train"].tests == 20 - train
        assert np.array_equal(found["test"].images[:, 0].numpy(), GRAY[train:])


def test_labels_as_words_and_as_one_hot_rows_and_labels_that_do_not_fit(tmp_path: Path) -> None:
    words = np.array(["cat", "dog", "owl"])[CLASSES]
    for labels in (words, words.astype("S")):
        np.savez(tmp_path / "a.npz", images=GRAY, labels=labels)
        assert loaded(tmp_path / "a.npz").class_names == ("cat", "dog", "owl")
    np.savez(tmp_path / "a.npz", images=GRAY, labels=np.eye(3)[CLASSES])
    assert loaded(tmp_path / "a.npz").labels.tolist() == CLASSES.tolist()
    for labels in (CLASSES[:7], np.linspace(0, 1, 20), RNG.random((20, 5))):
        np.savez(tmp_path / "a.npz", images=GRAY, labels=labels)
        found = loaded(tmp_path / "a.npz")
        assert found.labels is None and "the labels labels are not used" in found.notes[0]


def test_our_own_samples_are_a_set(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "samples.npz", images=GRAY[:, None], seeds=np.arange(20))
    found = loaded(tmp_path / "samples.npz")
    assert np.array_equal(found.images[:, 0].numpy(), GRAY) and found.notes == ("unused arrays in the file: seeds",)


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_pickles_are_refused_and_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    assert "could run code" in refused(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", images=np.array([Evil()], dtype=object))
    assert "could run code" in refused(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", images=GRAY, labels=np.array([Evil()], dtype=object))
    assert "could run code" in loaded(tmp_path / "b.npz").notes[0]
    (tmp_path / "a.pkl").write_bytes(b"x")
    assert "could run code when opened" in refused(tmp_path / "a.pkl")


def test_an_absurd_shape_is_refused_from_the_header(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    assert "the limit is 8 GiB" in refused(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", header.getvalue())
    assert "the limit is 8 GiB" in refused(tmp_path / "a.npz")
    (tmp_path / "a-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**16, 2**16))
    assert "is" in refused(tmp_path / "a-idx3-ubyte")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_what_is_cut_or_damaged_is_a_sentence_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "a.npy", GRAY)
    np.savez_compressed(tmp_path / "a.npz", images=GRAY)
    whole = (tmp_path / name).read_bytes()
    for share in (0.0, 0.01, 0.5, 0.99):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match=r"cut|damaged|array that cannot be read"):
            loaded(tmp_path / name)
    assert list((datasets.data_root() / "cache").iterdir()) == []
    for _ in range(300):
        damaged = bytearray(whole)
        for at in RNG.integers(0, RNG.choice([200, len(whole)]), 3):
            damaged[at] = RNG.integers(0, 256)
        (tmp_path / name).write_bytes(damaged)
        with contextlib.suppress(ValueError):
            loaded(tmp_path / name)


@pytest.mark.parametrize("shape", [(5,), (4, 4, 4), (2, 3, 4, 5, 6), (10, 17), (784, 784), (28, 28, 5, 5)])
def test_arrays_that_are_no_images_say_what_images_are(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    assert "holds an array of" in refused(tmp_path / "a.npy")


def test_an_npz_without_images_lists_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.zeros((3, 3)), bias=np.zeros(3))
    assert "holds no array of images (weights: 3 x 3, bias: 3): name the array images or x_train" in refused(tmp_path / "a.npz")


def idx(path: Path, array: np.ndarray) -> None:
    content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_with_their_labels_and_test_images(tmp_path: Path, ending: str) -> None:
    labels = CLASSES.astype(np.uint8)
    idx(tmp_path / f"train-images-idx3-ubyte{ending}", GRAY[:15])
    alone = loaded(tmp_path / f"train-images-idx3-ubyte{ending}")
    assert np.array_equal(alone.images[:, 0].numpy(), GRAY[:15]) and alone.labels is None and not alone.tests
    idx(tmp_path / f"train-labels-idx1-ubyte{ending}", labels[:15])
    idx(tmp_path / f"t10k-images-idx3-ubyte{ending}", GRAY[15:])
    idx(tmp_path / f"t10k-labels-idx1-ubyte{ending}", labels[15:])
    train, test = (loaded(tmp_path / f"train-images-idx3-ubyte{ending}", 1, split) for split in ("train", "test"))
    assert train.labels.tolist() == CLASSES[:15].tolist() and test.labels.tolist() == CLASSES[15:].tolist() and train.tests == 5
    assert np.array_equal(test.images[:, 0].numpy(), GRAY[15:])


def table(path: Path, rows: np.ndarray, header: str = "", label_first: bool = True) -> None:
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")


def test_tables_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.data.csvs.LINES", 3)
    flat = GRAY.reshape(20, 784)
    with_labels = np.concatenate([CLASSES[:, None], flat], axis=1)
    titles = ",".join(f"pixel{i}" for i in range(784))
    table(tmp_path / "kaggle.csv", with_labels, "label," + titles)
    table(tmp_path / "bare.csv", with_labels)
    table(tmp_path / "last.csv", np.roll(with_labels, -1, axis=1), titles + ",class")
    for name in ("kaggle", "bare", "last"):
        found = loaded(tmp_path / f"{name}.csv")
        assert np.array_equal(found.images[:, 0].numpy(), GRAY) and found.labels.tolist() == CLASSES.tolist(), name
    table(tmp_path / "pixels.csv", flat)
    assert loaded(tmp_path / "pixels.csv").labels is None
    assert not [path for path in (datasets.data_root() / "cache").iterdir() if path.is_file()]  # nothing is left of what was parsed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name,price\ncat,3\n", "is not a table of pixels"),
        ("", "is not a table of pixels"),
        ("1,2,3,4,5,6,7\n" * 3, "has 7 columns"),
        (",".join(["1"] * 784) + "\n" + "1,2\n", "cannot be read as a table of numbers"),
    ],
)
def test_other_tables_are_sentences(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert reason in refused(tmp_path / "a.csv")


def test_rows_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", GRAY.astype(np.float32) / 255)
    rows = arrays._npy("a.npy", lambda: (tmp_path / "a.npy").open("rb"))
    assert [len(piece) for piece in rows.pieces(7000)] == [2] * 10
    assert np.array_equal(loaded(tmp_path / "a.npy").images[:, 0].numpy(), GRAY)
    assert finish(load(str(tmp_path / "a.npy"), 28, 1)).fingerprint() == loaded(tmp_path / "a.npy").fingerprint()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("photo.jpg", "is a single image, but networks learn from many"),
        ("photo.heic", "convert your photos to JPEG or PNG"),
        ("set.7z", "unpack it and choose the folder"),
        ("set.tar.xz", "unpack it and choose the folder"),
        ("set.h5", "save the images as .npz"),
        ("set.exe", "is not a data set: choose a folder"),
    ],
)
def test_any_other_file_gets_a_sentence_that_says_what_to_do(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert what in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a-idx3-ubyte"])
def test_a_cut_file_of_bytes_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("ubyte"):
        idx(path, GRAY)
        path.write_bytes(path.read_bytes()[:-5])
    elif name.endswith(".npy"):
        np.save(path, GRAY)
        path.write_bytes(path.read_bytes()[:-5])
    else:
        header = io.BytesIO()
        np.save(header, GRAY)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("images.npy", header.getvalue()[:-5])
    assert "is cut" in refused(path)


def test_arrays_without_any_number_are_said_to_be_black(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((20, 28, 28), np.nan))
    dataset = loaded(tmp_path / "a.npy")
    assert dataset.images.max() == 0 and "so the images are black" in dataset.notes[0]
