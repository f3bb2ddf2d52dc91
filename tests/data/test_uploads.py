"""Sets that visitors upload: stored completely, or refused without a trace."""

import io
import os
import threading
import zipfile

import pytest
from PIL import Image

from gan.data import datasets, imagefiles, uploads
from gan.data.datasets import load
from tests.conftest import ADA, finish


def picture(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), color).save(buffer, "PNG")
    return buffer.getvalue()


def packed(*entries: tuple[str, bytes | str]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries:
            file.writestr(name, content)
    buffer.seek(0)
    return buffer


def pets(*more: tuple[str, bytes | str]) -> io.BytesIO:
    return packed(("pets/cats/1.png", picture()), ("pets/dogs/1.png", picture("blue")), *more)


def left() -> list[str]:
    """Everything below the data folder except finished cache entries."""
    root = datasets.data_root()
    if not root.exists():
        return []
    return sorted(
        p.name for folder in (root, root / "cache") if folder.exists() for p in folder.iterdir() if not (p / "about.json").exists()
    )


def test_an_uploaded_set_can_be_chosen_like_any_other() -> None:
    name = finish(uploads.add(pets(("../evil.png", picture()), ("notes.txt", "x")), "my-pets", "My pets.zip", visitor=ADA))
    assert name == "my-pets" and datasets.available() == [*datasets.NAMED, "my-pets"]
    dataset = finish(load("my-pets", 28, 3))
    assert dataset.class_names == ("cats", "dogs") and dataset.labels.tolist() == [0, 1]
    assert [line.partition(":")[0] for line in dataset.skipped] == ["../evil.png", "notes.txt"]
    about = uploads.about("my-pets")
    assert (about["file"], about["owner"]) == ("My pets.zip", "Ada") and about["uploaded"] > 1e9
    assert left() == ["cache", "my-pets"]
    assert sorted(os.listdir(datasets.data_root() / "my-pets")) == ["images.zip", "upload.json"]


def test_what_is_shown_after_an_upload_was_decoded_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = finish(uploads.add(pets(), "pets", "pets.zip"))
    monkeypatch.setattr(imagefiles, "decode", None)
    assert len(finish(load(name, *datasets.native(name)))) == 2


@pytest.mark.parametrize("name", ["", "-a", "_a", "../a", "a/b", "a b", "ä", ".a", "a" * 41, "a\n", "cache/../x"])
def test_names_are_checked_before_anything_is_written(name: str) -> None:
    with pytest.raises(ValueError, match="a data set's name must have 1 to 40 letters"):
        finish(uploads.add(pets(), name, "pets.zip"))
    assert left() == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("My pets (2).zip", "My-pets-2"),
        ("../../x.zip", "x"),
        ("ä.zip", "images"),
        (".zip", "zip"),
        ("a" * 99 + ".zip", "a" * 40),
        ("", "images"),
    ],
)
def test_a_name_comes_from_the_files(file: str, name: str) -> None:
    assert uploads.name_from(file) == name
    uploads.check_name(name)


def test_no_set_is_overwritten() -> None:
    (datasets.data_root() / "Folder").mkdir(parents=True)
    names = [finish(uploads.add(pets(), name, "x.zip")) for name in ("pets", "PETS", "mnist", "Cache", "folder", "pets-2")]
    assert names == ["pets", "PETS-2", "mnist-2", "Cache-2", "folder-2", "pets-2-2"]
    assert uploads.free_name("a" * 40) == "a" * 40
    (datasets.data_root() / ("a" * 40)).mkdir()
    assert uploads.free_name("a" * 40) == "a" * 38 + "-2"


def test_two_at_once_do_not_collide() -> None:
    together = [uploads.add(pets((f"pets/cats/more {i}.png", picture())), "pets", "pets.zip") for i in range(6)]
    names = []
    threads = [threading.Thread(target=lambda work=work: names.append(finish(work))) for work in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["pets", *(f"pets-{i}" for i in range(2, 7))]
    assert all(len(finish(load(name, 28, 1))) == 3 for name in names)


def test_one_upload_is_decoded_at_a_time_and_the_others_say_that_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TURN_S", 0.001)
    first, second = (uploads.add(pets(), name, "x.zip") for name in ("one", "two"))
    while next(first).task != "Reading the images":
        pass
    told = [next(second).task for _ in range(4)]
    assert told == ["Copying the zip", *["Waiting for another upload to be decoded"] * 3]
    first.close()  # the visitor has left
    assert finish(second) == "two" and left() == ["cache", "two"]
    assert finish(uploads.add(pets(), "three", "x.zip")) == "three"


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (io.BytesIO(b"no zip"), "the file x.zip is not a zip file, or is cut short or damaged"),
        (io.BytesIO(pets().getvalue()[:-30]), "is not a zip file, or is cut short or damaged"),
        (packed(), "holds no usable images"),
        (packed(("a.png", "no")), "none of the 1 images in the file x.zip can be used"),
    ],
)
def test_a_refused_upload_is_one_sentence_and_leaves_nothing(file: io.BytesIO, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as info:
        finish(uploads.add(file, "x", "x.zip"))
    assert "\n" not in str(info.value) and left() in (["cache"], [])


def test_bounds_of_one_and_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST_TOTAL", 600)
    finish(uploads.add(pets(), "one", "x.zip"))
    with pytest.raises(ValueError, match="uploaded data sets have nearly reached their limit of 0 GiB"):
        finish(uploads.add(pets(), "two", "x.zip"))
    monkeypatch.setattr(uploads, "LARGEST_UPLOAD", 100)
    with pytest.raises(ValueError, match=r"the file x\.zip has 0 MiB; the limit is 0 MiB"):
        finish(uploads.add(pets(), "two", "x.zip"))
    assert left() == ["cache", "one"]


def test_an_upload_can_be_ended_between_any_two_events() -> None:
    steps = 0
    while True:
        work = uploads.add(pets(), "pets", "pets.zip")
        try:
            for _ in range(steps + 1):
                next(work)
        except StopIteration:
            break
        work.close()
        assert left() in (["cache"], [])
        steps += 1
    assert steps == 3 and left() == ["cache", "pets"]


def test_what_a_killed_process_left_is_removed_in_time() -> None:
    for name in (".upload-old", ".upload-new"):
        (datasets.data_root() / name).mkdir(parents=True)
    os.utime(datasets.data_root() / ".upload-old", (0, 0))
    finish(uploads.add(pets(), "pets", "pets.zip"))
    assert left() == [".upload-new", "cache", "pets"]


def test_only_uploaded_sets_that_no_run_needs_can_be_deleted() -> None:
    name = finish(uploads.add(pets(), "pets", "pets.zip"))
    finish(load(name, 28, 1))
    (datasets.data_root() / "folder").mkdir()
    for other in ("mnist", "folder", "nothing", "../data", ""):
        with pytest.raises(ValueError, match="was not uploaded, so it cannot be deleted"):
            uploads.delete(other, [])
    with pytest.raises(ValueError, match="a run trains on the data set pets: stop it first"):
        uploads.delete(name, {"pets"})
    assert len(os.listdir(datasets.data_root() / "cache")) == 2
    uploads.delete(name, {"mnist"})
    assert left() == ["cache", "folder"] and os.listdir(datasets.data_root() / "cache") == []


def test_a_damaged_note_still_marks_an_upload_and_a_damaged_zip_can_be_deleted() -> None:
    name = finish(uploads.add(pets(), "pets", "pets.zip"))
    (datasets.data_root() / name / "upload.json").write_text("[")
    (datasets.data_root() / name / "images.zip").write_bytes(b"")
    assert uploads.about(name) == {"file": "", "owner": "", "owner_id": None, "uploaded": 0.0}
    with pytest.raises(ValueError, match="is not a zip file"):
        finish(load(name, 28, 1))
    uploads.delete(name, [])
    assert uploads.about(name) is None
