"""Tar files of images, plain and packed, and Parquet files."""

import contextlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data import datasets, tars
from gan.data.datasets import load
from tests.conftest import finish


def picture(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


def make(path: Path, entries: Sequence[tuple[str, bytes | str]], mode: Literal["w", "w:gz"] = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                file.addfile(info)
            else:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return path


ENTRIES = [("pets/dogs/1.png", picture("blue")), ("pets/cats/2.png", picture()), ("pets/cats/1.png", picture())]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_a_tar_is_the_same_set_as_its_folder(tmp_path: Path, name: str, mode: Literal["w", "w:gz"]) -> None:
    path = make(tmp_path / name, ENTRIES, mode)
    for file, content in ENTRIES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    packed, folder = finish(load(str(path), 32, 3)), finish(load(str(tmp_path / "pets"), 32, 3))
    assert torch.equal(packed.images, folder.images) and packed.class_names == folder.class_names == ("cats", "dogs")
    assert packed.labels.tolist() == folder.labels.tolist() == [0, 0, 1] and not packed.skipped


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz")])
def test_what_a_tar_holds_besides_is_told_and_nothing_leaves_it(tmp_path: Path, name: str, mode: Literal["w", "w:gz"]) -> None:
    odd: list[tuple[str, bytes | str]] = [
        ("../evil.png", picture()),
        ("/etc/x.png", picture()),
        ("link.png", "/etc/passwd"),
        ("notes.txt", b"x"),
        ("__MACOSX/._1.png", b"x"),
    ]
    path = make(tmp_path / name, [*ENTRIES, *odd, ("pets/broken/1.png", b"x")], mode)
    for _ in range(2):  # decoded, then from the cache
        found = finish(load(str(path), 28, 1))
        assert len(found) == 3
        assert [line.split(": ")[0] for line in found.skipped] == ["../evil.png", "etc/x.png", "link.png", "notes.txt", "pets/broken/1.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "data"])


def test_a_tar_with_parts(tmp_path: Path) -> None:
    entries = [(f"{part}/{name}/{i}.png", picture()) for part in ("train", "test") for name in ("cats", "dogs") for i in range(2)]
    path = make(tmp_path / "a.tar.gz", entries, "w:gz")
    train, test = (finish(load(str(path), 28, 1, split)) for split in ("train", "test"))
    assert len(train) == len(test) == 4 and train.tests == 4 and train.class_names == test.class_names == ("cats", "dogs")
    assert finish(load(str(path), 28, 1)).notes == train.notes != ()  # from the cache


def test_a_packed_tar_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "a.tar.gz", [("a.png", bytes(2**20))], "w:gz")
    monkeypatch.setattr(tars, "LARGEST_UNPACKED", 2**19)
    with pytest.raises(ValueError, match="unpack it, and use the folder"):
        finish(load(str(path), 28, 1))
    assert list((datasets.data_root() / "cache").iterdir()) == []


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz")])
def test_damage_in_a_tar_is_a_sentence(tmp_path: Path, name: str, mode: Literal["w", "w:gz"]) -> None:
    whole = make(tmp_path / name, ENTRIES, mode).read_bytes()
    for content in (b"", b"no tar" * 200, whole[: len(whole) // 2] if name.endswith("gz") else whole[:300]):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} "):
            finish(load(str(tmp_path / name), 28, 1))
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(damaged)
        with contextlib.suppress(ValueError):
            finish(load(str(tmp_path / name), 28, 1))


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MOST_ENTRIES", 2)
    with pytest.raises(ValueError, match="holds more than 2 files"):
        finish(load(str(make(tmp_path / "a.tar", ENTRIES)), 28, 1))


def parquet(path: Path, names: list[str] | None = None, kind: str = "struct") -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    files = [picture("red"), picture("blue"), b"broken", picture("red")]
    values = [{"bytes": file, "path": "x.png"} for file in files] if kind == "struct" else files
    table = pyarrow.table({"image": values, "label": [0, 1, 1, 0]})
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    writer.write_table(table, path, row_group_size=2)
    return path


@pytest.mark.parametrize("kind", ["struct", "bytes"])
def test_a_parquet_file_in_hugging_faces_form(tmp_path: Path, kind: str) -> None:
    found = finish(load(str(parquet(tmp_path / "a.parquet", ["cat", "dog"], kind)), 28, 3))
    assert found.class_names == ("cat", "dog") and found.labels.tolist() == [0, 1, 0]
    assert found.images[:, :, 14, 14].tolist() == [[255, 0, 0], [0, 0, 255], [255, 0, 0]]
    assert found.skipped == ("row 1-0: cannot be read as an image",)
    assert finish(load(str(parquet(tmp_path / "b.parquet")), 28, 3)).class_names == ("0", "1")


def test_other_parquet_files_are_sentences(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    writer.write_table(pyarrow.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"holds no column of image files \(its columns: text, n\)"):
        finish(load(str(tmp_path / "a.parquet"), 28, 1))
    whole = parquet(tmp_path / "b.parquet").read_bytes()
    for content in (b"", b"PAR1 not", whole[: len(whole) // 2]):
        (tmp_path / "b.parquet").write_bytes(content)
        with pytest.raises(ValueError, match="is not a Parquet file, or is cut short or damaged"):
            finish(load(str(tmp_path / "b.parquet"), 28, 1))
