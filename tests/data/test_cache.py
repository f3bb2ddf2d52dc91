import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gan.data import cache

SHAPE = (1, 4, 4)


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *SHAPE), dtype=np.uint8)


def store(folder: Path, n: int = 6, seed: int = 0, **rest: dict[str, list[str]] | np.ndarray) -> cache.Entry | None:
    with cache.writing(folder, SHAPE, 10, "the data set x") as writer:
        for part in np.array_split(images(n, seed), 2):
            writer.add(part)
        for name, value in rest.items():
            setattr(writer, name, value)
    return writer.entry


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_stored_is_read_back_mapped(tmp_path: Path) -> None:
    labels, attributes = np.arange(6), np.eye(6, 3, dtype=bool)
    stored = store(tmp_path / "c" / "a", labels=labels, attributes=attributes, about={"class_names": ["x", "ö"]})
    read = cache.read(tmp_path / "c" / "a")
    for entry in (stored, read):
        assert np.array_equal(entry.images, images(6)) and isinstance(entry.images, np.memmap)
        assert np.array_equal(entry.labels, labels) and np.array_equal(entry.attributes, attributes)
        assert entry.about["class_names"] == ["x", "ö"] and entry.about["fingerprint"] == cache.fingerprint(images(6))
    assert torch.equal(torch.from_numpy(read.images), torch.from_numpy(images(6)))  # without a warning
    assert names(tmp_path / "c") == ["a"]


def test_an_entry_that_goes_is_still_there_for_who_reads_it(tmp_path: Path) -> None:
    entry = store(tmp_path / "c" / "a")
    cache.drop(tmp_path / "c" / "a")
    assert np.array_equal(entry.images, images(6)) and cache.read(tmp_path / "c" / "a") is None


def test_an_interrupted_entry_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), cache.writing(tmp_path / "c" / "a", SHAPE, 10, "x") as writer:
        writer.add(images(3))
        raise KeyboardInterrupt
    assert names(tmp_path / "c") == []


def cut(folder: Path) -> None:
    os.truncate(folder / "images.npy", 150)


def pickled(folder: Path) -> None:
    np.save(folder / "images.npy", np.array([{}], dtype=object), allow_pickle=True)


def bare_pickle(folder: Path) -> None:
    (folder / "images.npy").write_bytes(pickle.dumps([1]))


def another_shape(folder: Path) -> None:
    np.save(folder / "images.npy", np.zeros((6, 4), np.uint8))


def other_labels(folder: Path) -> None:
    np.save(folder / "labels.npy", np.zeros(5, np.int64))


def no_json(folder: Path) -> None:
    (folder / "about.json").write_text("{")


def other_json(folder: Path) -> None:
    (folder / "about.json").write_text("[]")


def no_images(folder: Path) -> None:
    (folder / "images.npy").unlink()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


@pytest.mark.parametrize(
    "damage", [cut, pickled, bare_pickle, another_shape, other_labels, no_json, other_json, no_images, a_file], ids=lambda f: f.__name__
)
def test_a_damaged_or_foreign_entry_is_none_and_is_replaced(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "c" / "a"
    store(folder)
    damage(folder)
    assert cache.read(folder) is None
    store(folder, seed=1)
    assert np.array_equal(cache.read(folder).images, images(6, 1))
    assert names(tmp_path / "c") == ["a"]


def test_the_first_of_two_loaders_stays_and_both_have_their_images(tmp_path: Path) -> None:
    folder = tmp_path / "c" / "a"
    with cache.writing(folder, SHAPE, 10, "x") as slow:
        slow.add(images(6))
        fast = store(folder)
    assert np.array_equal(slow.entry.images, fast.images) and names(tmp_path / "c") == ["a"]


def test_without_a_folder_to_keep_it_in_a_set_is_decoded_each_time(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("in the way")
    with pytest.warns(UserWarning, match="cannot be saved in .*they will be decoded again"):
        entry = store(tmp_path / "c" / "a")
    assert np.array_equal(entry.images, images(6))


def test_the_entries_not_used_for_longest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, name in enumerate("abc"):
        store(tmp_path / name)
        os.utime(tmp_path / name / "about.json", (i, i))
    cache.read(tmp_path / "a")  # used just now
    (tmp_path / ".part-abandoned").mkdir()
    os.utime(tmp_path / ".part-abandoned", (0, 0))
    (tmp_path / ".part-at-work").mkdir()
    size = sum(f.stat().st_size for f in (tmp_path / "a").iterdir())
    monkeypatch.setattr(cache, "LARGEST_CACHE", 2 * size + 10 * 16)
    store(tmp_path / "d")
    assert names(tmp_path) == [".part-at-work", "a", "c", "d"]


def test_a_set_without_room_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "old")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=cache.DISK_RESERVE + 100))
    with pytest.raises(ValueError, match=r"the data set x takes 0.0 GiB once decoded, but only 0.0 GiB are free on the disk"):
        store(tmp_path / "new")
    assert names(tmp_path) == []
    monkeypatch.setattr(cache, "LARGEST_CACHE", 50)
    with pytest.raises(ValueError, match="the cache holds 0 GiB: choose smaller images"):
        store(tmp_path / "new")
    assert names(tmp_path) == []
