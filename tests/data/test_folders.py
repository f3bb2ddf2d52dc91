"""A folder on the server: links are followed, loops end, and files that are left out are named and counted."""

import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from gan.data import datasets, imagefiles
from gan.data.datasets import load
from gan.data.decoding import SUFFIXES_OF_FILES, decode
from gan.data.drawn import DRAWN
from gan.data.folders import look
from gan.data.leftout import LeftOut
from tests.conftest import finish


def save(path: Path, color: str = "red", **options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), color).save(path, **options)


def names(folder: Path) -> tuple[list[str], LeftOut]:
    listing = finish(look(folder, SUFFIXES_OF_FILES))
    return ["/".join(member.parts) for member in listing.members], listing.left_out


def test_what_is_left_out_is_named_and_counted(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "pets" / f"{i}.jpg")
    for i in range(50):
        (tmp_path / "pets" / f"{i}.HEIC").write_bytes(b"x")
    (tmp_path / "pets" / "notes.txt").write_text("x")
    (tmp_path / "pets" / "@eaDir").mkdir()
    (tmp_path / "pets" / "@eaDir" / "1.jpg").write_bytes(b"x")
    (tmp_path / "pets" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "pets" / "Thumbs.db").write_bytes(b"x")
    pets = finish(load(str(tmp_path / "pets"), 28, 1))
    assert len(pets) == 3 and pets.skipped_count == 53
    assert pets.left_out[0] == ("is a HEIC photo", 50)
    assert set(pets.left_out[1:]) == {("ends in .txt, not like an image", 1), ("is a system folder", 1), ("is hidden", 1)}
    assert any(line.startswith("0.HEIC: is a HEIC photo; convert it to JPEG or PNG") for line in pets.skipped)
    again = finish(load(str(tmp_path / "pets"), 28, 1))  # from the cache
    assert (again.skipped, again.left_out) == (pets.skipped, pets.left_out)


def test_a_new_file_that_is_left_out_is_told_and_nothing_is_decoded_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "pets" / "1.png")
    finish(load(str(tmp_path / "pets"), 28, 1))
    monkeypatch.setattr(imagefiles, "decode", None)  # calling it would fail
    (tmp_path / "pets" / "2.heic").write_bytes(b"x")
    assert finish(load(str(tmp_path / "pets"), 28, 1)).skipped_count == 1


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "dogs" / "1.png")
    save(tmp_path / "elsewhere" / "one.png")
    save(tmp_path / "pets" / "cats" / "1.png")
    os.symlink(tmp_path / "elsewhere" / "dogs", tmp_path / "pets" / "dogs")
    os.symlink(tmp_path / "elsewhere" / "one.png", tmp_path / "pets" / "cats" / "2.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "pets" / "cats" / "3.png")
    pets = finish(load(str(tmp_path / "pets"), 28, 3))
    assert pets.class_names == ("cats", "dogs") and pets.labels.tolist() == [0, 0, 1]
    assert pets.skipped == ("cats/3.png: is a link to nothing",)


def test_a_folder_of_links_alone_is_a_set_and_its_copy_gives_the_same(tmp_path: Path) -> None:
    for name, color in (("cats", "red"), ("dogs", "blue")):
        save(tmp_path / "real" / name / "1.png", color)
        (tmp_path / "links").mkdir(exist_ok=True)
        os.symlink(tmp_path / "real" / name, tmp_path / "links" / name)
    real, linked = (finish(load(str(tmp_path / folder), 28, 3)) for folder in ("real", "links"))
    assert torch.equal(real.images, linked.images) and real.class_names == linked.class_names and real.fingerprint() == linked.fingerprint()


def test_loops_end_and_are_told(tmp_path: Path) -> None:
    save(tmp_path / "pets" / "cats" / "1.png")
    save(tmp_path / "outside.png")
    os.symlink(tmp_path / "pets", tmp_path / "pets" / "cats" / "loop")
    os.symlink(tmp_path, tmp_path / "pets" / "up")
    os.symlink(tmp_path / "pets" / "cats", tmp_path / "pets" / "again")
    found, left_out = names(tmp_path / "pets")
    assert found == ["cats/1.png"]
    assert sorted(left_out.sentences) == [
        "again: is a link to a folder that was already read",
        "cats/loop: is a link to a folder that was already read",
        "up: is a link to a folder that contains the data set",
    ]


def test_a_thousand_links_in_a_ladder_are_read_once_each(tmp_path: Path) -> None:
    for i in range(12):  # 2 ^ 12 ways lead to the last
        (tmp_path / "ladder" / str(i)).mkdir(parents=True)
    for i in range(11):
        for name in ("a", "b"):
            os.symlink(tmp_path / "ladder" / str(i + 1), tmp_path / "ladder" / str(i) / name)
    save(tmp_path / "ladder" / "11" / "1.png")
    found, left_out = names(tmp_path / "ladder")
    assert found == ["11/1.png"] and len(left_out) == 22


def test_what_is_not_a_regular_file_is_not_opened(tmp_path: Path) -> None:
    save(tmp_path / "pets" / "1.png")
    os.mkfifo(tmp_path / "pets" / "2.png")
    found, left_out = names(tmp_path / "pets")
    assert found == ["1.png"] and left_out.sentences == ["2.png: is not a regular file"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "pets" / "cats" / "1.png")
    (tmp_path / "pets" / "dogs").mkdir()
    real = os.scandir

    def scandir(path: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:  # root, who may run the tests, ignores permissions
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, left_out = names(tmp_path / "pets")
    assert found == ["cats/1.png"] and left_out.sentences == ["dogs: is a folder that cannot be read (Permission denied)"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    save(tmp_path / "pets" / "1.png")
    (tmp_path / "pets" / "dogs").mkdir(mode=0)
    assert "cannot be read" in names(tmp_path / "pets")[1].sentences[0]
    (tmp_path / "pets" / "dogs").chmod(stat.S_IRWXU)


def test_a_folder_without_images_says_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("1.heic", "2.HEIC", "3.txt", "README"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"holds no images: its files end in \.heic \(2\), \.txt \(1\), none \(1\); 1\.heic: is a HEIC photo"
    ):
        finish(load(str(folder), 28, 1))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images: it is empty; supported endings are"):
        finish(load(str(tmp_path / "empty"), 28, 1))


def test_other_endings_of_jpeg_and_newer_formats_are_read(tmp_path: Path) -> None:
    for name, form in (("a.jfif", "JPEG"), ("b.jpe", "JPEG")):
        save(tmp_path / "pets" / name, format=form)
    expected = 2
    for name, feature in (("c.avif", "avif"), ("d.jp2", "jpg_2000")):
        if features.check(feature):
            save(tmp_path / "pets" / name)
            expected += 1
    pets = finish(load(str(tmp_path / "pets"), 28, 3))
    assert len(pets) == expected and not pets.skipped
    middle = pets.images[:, :, 14, 14].int()
    assert (middle[:, 0] > 240).all() and (middle[:, 1:] < 20).all()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_an_avif_is_read_as_the_hosts_file_and_not_from_an_archive(tmp_path: Path) -> None:
    """Its header can say 64 x 64 pixels while it holds 16,384 x 16,384, so its memory cannot be bounded before decoding."""
    save(tmp_path / "pets" / "a.avif")
    content = (tmp_path / "pets" / "a.avif").read_bytes()
    assert isinstance(decode(tmp_path / "pets" / "a.avif", 28, 3), np.ndarray)
    assert decode(content, 28, 3) == "cannot be read as an image"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.avif", content)
        file.writestr("called.png", content)
    with pytest.raises(ValueError, match=r"none of the 1 images in the file \S+a.zip can be used, the first because: called.png"):
        finish(load(str(tmp_path / "a.zip"), 28, 1))


def test_a_folder_of_long_or_odd_names_keeps_its_classes(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path / "pets")
    for name in (b"x" * 70 + b"1", b"x" * 70 + b"2", b"caf\xe9", b"caf\xe8"):
        try:
            os.makedirs(raw + b"/" + name)
        except OSError:
            pytest.skip("this file system takes UTF-8 alone")
        Image.new("L", (40, 40)).save(os.fsdecode(raw + b"/" + name + b"/1.png"))
    pets = finish(load(str(tmp_path / "pets"), 28, 1))
    assert len(set(pets.class_names)) == 4 and sorted(pets.labels.tolist()) == [0, 1, 2, 3]


def test_train_and_test_folders_are_parts_of_a_set(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("test", 2)):
        for name, color in (("cats", "red"), ("dogs", "blue")):
            for i in range(count):
                save(tmp_path / "pets" / part / name / f"{i}.png", color)
    train, test, every = (finish(load(str(tmp_path / "pets"), 28, 3, split)) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(every)) == (6, 4, 10)
    assert train.class_names == test.class_names == every.class_names == ("cats", "dogs")
    assert test.labels.tolist() == [0, 0, 1, 1] and train.tests == 4 and "test images in test/ (4)" in train.notes[0]


def test_a_folder_called_like_a_built_in_set_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRAWN, "faces", replace(DRAWN["faces"], train=4))
    save(tmp_path / "data" / "faces" / "1.png")
    save(tmp_path / "here" / "faces" / "1.png")
    save(tmp_path / "here" / "faces" / "2.png")
    monkeypatch.chdir(tmp_path / "here")
    assert datasets.available() == [*datasets.NAMED, "own:faces"]
    assert len(finish(load("faces", 32, 3))) == 4
    assert len(finish(load("own:faces", 32, 3))) == 1
    assert len(finish(load("./faces", 32, 3))) == 2
    assert datasets.shadowed("faces") == (
        f"faces is the built-in data set; the folder {tmp_path}/data/faces is called own:faces and the folder faces in this directory is called ./faces"
    )
    assert datasets.shadowed("mnist") == "" and datasets.shadowed("own:faces") == ""


def test_a_path_is_a_path_and_a_name_is_looked_for_below_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "data" / "pets" / "1.png")
    save(tmp_path / "here" / "pets" / "1.png")
    save(tmp_path / "here" / "pets" / "2.png")
    monkeypatch.chdir(tmp_path / "here")
    assert len(finish(load("pets", 28, 1))) == 1
    assert len(finish(load("./pets", 28, 1))) == 2
    assert len(finish(load(str(tmp_path / "here" / "pets"), 28, 1))) == 2
