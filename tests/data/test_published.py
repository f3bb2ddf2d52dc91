"""Fashion-MNIST and CIFAR-10 from tiny files in the published formats."""

import gzip
import hashlib
import io
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import TrainConfig
from gan.data import cache, datasets, published
from gan.data.datasets import load
from gan.events import Progress
from gan.runs.manager import RunManager
from tests.conftest import finish
from tests.waiting import ended, wait_for

FASHION_RESOURCES = list(published.FASHION_FILES.items())  # (name, MD5)


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine has no copy of Fashion-MNIST, and no test uses the network."""

    def refuse(url: str, *rest: Path | str) -> Iterator[Progress]:
        yield from ()
        raise OSError(f"no route to {url.split('/')[2]}")

    monkeypatch.setattr(published, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(published, "download", refuse)


@pytest.fixture
def root(folders: Path) -> Path:
    return folders / "data"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def fashion(folder: Path, train: int = 12, test: int = 4, pack: Callable[[bytes], bytes] = gzip.compress) -> np.ndarray:
    """Writes the four files; returns all images."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    everything = []
    for (images, _), (labels, _), n in zip(FASHION_RESOURCES[::2], FASHION_RESOURCES[1::2], (train, test), strict=True):
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        everything.append(pixels)
        for name, array in ((images, pixels), (labels, np.arange(n, dtype=np.uint8) % 10)):
            (folder / (name if pack is gzip.compress else name.removesuffix(".gz"))).write_bytes(pack(idx(array)))
    return np.concatenate(everything)[:, None]


@pytest.mark.parametrize(
    ("where", "pack"), [("data/FashionMNIST/raw", gzip.compress), ("data/FashionMNIST/raw", bytes), ("system", gzip.compress)]
)
def test_fashion_mnist_is_found_where_torchvision_and_debian_put_it(folders: Path, where: str, pack: Callable[[bytes], bytes]) -> None:
    pixels = fashion(folders / where, pack=pack)
    assert datasets.to_download("fashion-mnist") == 0
    found = finish(load("fashion-mnist", 28, 1))
    assert np.array_equal(found.images.numpy(), pixels[:12]) and found.labels.tolist() == [*range(10), 0, 1]
    assert found.class_names[0] == "T-shirt/top" and len(found.class_names) == 10
    assert np.array_equal(finish(load("fashion-mnist", 28, 1, "all")).images.numpy(), pixels)


def test_a_resized_set_is_kept_and_a_changed_one_is_made_anew(root: Path) -> None:
    fashion(root / "FashionMNIST" / "raw")
    first = finish(load("fashion-mnist", 32, 3))
    assert first.images.shape == (12, 3, 32, 32)
    (folder,) = (root / "cache").iterdir()
    stamp = (folder / "images.npy").stat().st_mtime_ns
    again = finish(load("fashion-mnist", 32, 3))
    assert again.fingerprint() == first.fingerprint() == datasets.ImageDataset("x", first.images.clone()).fingerprint()
    assert (folder / "images.npy").stat().st_mtime_ns == stamp
    for path in (root / "FashionMNIST" / "raw").iterdir():
        path.unlink()
    (root / "FashionMNIST" / "raw").rmdir()
    fashion(root / "FashionMNIST" / "raw", train=11)
    assert len(finish(load("fashion-mnist", 32, 3))) == 11


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b\x08 no", gzip.compress(b"no"), gzip.compress(idx(np.zeros((4, 28, 28), np.uint8)))[:30]],
    ids=["empty", "damaged", "other", "cut"],
)
def test_a_damaged_file_is_a_sentence_that_names_it(root: Path, content: bytes) -> None:
    fashion(root / "FashionMNIST" / "raw")
    (root / "FashionMNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz cannot be read .*: delete it, or put"):
        finish(load("fashion-mnist", 28, 1))


def test_labels_beyond_the_classes_are_refused(root: Path) -> None:
    fashion(root / "FashionMNIST" / "raw")
    (root / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.full(12, 10, np.uint8))))
    with pytest.raises(ValueError, match="does not hold fashion-mnist: found 12 images and 12 labels of 10 classes"):
        finish(load("fashion-mnist", 28, 1))


@pytest.mark.parametrize(("name", "file"), [("fashion-mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-binary.tar.gz")])
def test_offline_the_sentence_says_what_to_do(root: Path, name: str, file: str) -> None:
    assert datasets.to_download(name) > 30_000_000
    with pytest.raises(
        ValueError, match=rf"the data set {name} could not be downloaded from http\S+ \(no route .*put {file} into {root}"
    ) as info:
        finish(load(name, 32, 3))
    assert "\n" not in str(info.value)


def test_an_installation_without_the_digits_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "EMBEDDED", tmp_path)
    with pytest.raises(ValueError, match="files of the data set mnist are missing from this installation"):
        finish(published.obtain("mnist", tmp_path))


def test_only_missing_files_are_downloaded_and_then_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = fashion(root / "FashionMNIST" / "raw")
    labels = root / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    labels.unlink()
    asked = []

    def fetch(url: str, path: Path, md5: str, task: str) -> Iterator[Progress]:
        asked.append((url.rpartition("/")[2], md5))
        yield datasets.Progress(task, 0, 10)
        path.write_bytes(content)

    monkeypatch.setattr(published, "download", fetch)
    loading = load("fashion-mnist", 28, 1)
    assert next(loading) == datasets.Progress("Downloading fashion-mnist", 0, 10)
    assert np.array_equal(finish(loading).images.numpy(), pixels[:12])
    assert asked == [FASHION_RESOURCES[3]]


def cifar(n: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """Six batches: (pixels, labels)."""
    rng = np.random.default_rng(1)
    return [(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, n, dtype=np.uint8)) for _ in range(6)]


def binary(batch: tuple[np.ndarray, np.ndarray]) -> bytes:
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(*batch, strict=True))


def python(batch: tuple[np.ndarray, np.ndarray], name: str) -> bytes:
    """A batch as Python 2 pickled it: strings of bytes, and an array put together by numpy's functions."""
    pixels, labels = batch

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    content = (
        b"\x80\x02}("
        + short(b"batch_label")
        + short(name.encode())
        + short(b"labels")
        + b"]("
        + b"".join(b"K" + bytes([x]) for x in labels)
    )
    content += b"e" + short(b"data") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R(K\x01K"
    content += (
        bytes([len(labels)])
        + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + short(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + short(b"|")
        + b"NNNJ\xff\xff\xff\xffJ"
    )
    content += b"\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", pixels.size) + pixels.tobytes() + b"tb"
    return content + short(b"filenames") + b"](" + b"".join(short(b"x_%d.png" % i) for i in range(len(labels))) + b"eu."


def cifar_files(form: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The six batches in one of the two published formats: name -> content. Their checksums replace the published ones."""
    batches = cifar()
    if form == "bin":
        return dict(zip(published.CIFAR_BINARY, map(binary, batches), strict=True))
    files = {name: python(batch, name) for name, batch in zip(published.CIFAR_PYTHON, batches, strict=True)}
    monkeypatch.setattr(published, "CIFAR_PYTHON", {name: hashlib.md5(content).hexdigest() for name, content in files.items()})
    return files


def put(root: Path, form: str, packed: bool, files: dict[str, bytes]) -> None:
    folder = f"cifar-10-batches-{form}"
    if not packed:
        (root / folder).mkdir(parents=True)
        for name, content in files.items():
            (root / folder / name).write_bytes(content)
        return
    root.mkdir(parents=True)
    with tarfile.open(root / {"bin": "cifar-10-binary.tar.gz", "py": "cifar-10-python.tar.gz"}[form], "w:gz") as archive:
        for name, content in [("../evil", b"x"), *reversed(files.items())]:
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("form", ["bin", "py"])
def test_cifar10_is_the_same_from_both_published_forms(root: Path, monkeypatch: pytest.MonkeyPatch, form: str, packed: bool) -> None:
    put(root, form, packed, cifar_files(form, monkeypatch))
    pixels, labels = (np.concatenate(part) for part in zip(*cifar(), strict=True))
    monkeypatch.setattr(pickle, "loads", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    train, both = finish(load("cifar10", 32, 3)), finish(load("cifar10", 32, 3, "all"))
    assert np.array_equal(both.images.numpy(), pixels) and both.labels.tolist() == labels.tolist()
    assert torch.equal(train.images, both.images[:15]) and train.class_names[3] == "cat"
    assert finish(load("cifar10", 28, 1)).images.shape == (15, 1, 28, 28)
    assert datasets.available() == [*datasets.NAMED] and sorted(p.name for p in root.iterdir() if p.name == "evil") == []


def test_the_synthetic_pickle_is_a_pickle_like_the_published(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = cifar()[0]
    content = pickle.loads(python(batch, "data_batch_1"), encoding="latin1")
    assert np.array_equal(content["data"].reshape(-1, 3, 32, 32), batch[0]) and content["labels"] == batch[1].tolist()


def test_an_unknown_pickle_is_not_looked_into(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "py", False, cifar_files("py", monkeypatch))
    (root / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(ValueError, match="data_batch_2: its MD5 is not the published one, and a pickle may hold code"):
        finish(load("cifar10", 32, 3))


def test_an_incomplete_or_odd_cifar10_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cifar_files("bin", monkeypatch)
    del files["data_batch_4.bin"]
    put(root, "bin", True, files)
    with pytest.raises(ValueError, match="holds 4 of the 5 batches"):
        finish(load("cifar10", 32, 3))
    put(root, "bin", False, cifar_files("bin", monkeypatch) | {"data_batch_1.bin": b"12"})
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: 2 bytes are not records of 3,073"):
        finish(load("cifar10", 32, 3))
    assert not list((root / "cache").iterdir())


def test_a_run_shows_its_download_and_a_stop_ends_it(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def slow(url: str, path: Path, md5: str, task: str) -> Iterator[Progress]:
        try:
            while True:
                yield datasets.Progress(task, 1, 4)
        finally:
            closed.append(path.name)

    monkeypatch.setattr(published, "download", slow)
    manager = RunManager()
    run = manager.submit(config.change(data="cifar10"))
    wait_for(lambda: "preparing" in run.status())
    assert run.status()["preparing"] == {"task": "Downloading cifar10", "done": 1, "total": 4}
    manager.stop(run.id)
    wait_for(ended(run))
    assert run.state == "stopped" and closed == ["cifar-10-binary.tar.gz"]


def test_a_run_without_a_network_fails_with_the_sentence(config: TrainConfig) -> None:
    manager = RunManager()
    run = manager.submit(config.change(data="cifar10"))
    wait_for(ended(run))
    assert run.state == "failed" and "could not be downloaded" in run.error and "put cifar-10-binary.tar.gz into" in run.error


def test_a_set_in_its_own_form_is_read_once_and_again_when_its_files_change(root: Path) -> None:
    folder = root / published.FASHION
    images = fashion(folder)
    first, second = (finish(load("fashion-mnist", 28, 1)) for _ in range(2))
    assert first is second and first.fingerprint() == cache.fingerprint(images[:12])
    shutil.rmtree(folder)
    images = fashion(folder, 13)
    third = finish(load("fashion-mnist", 28, 1))
    assert (
        len(third) == 13
        and third.fingerprint() == cache.fingerprint(images[:13])
        and finish(load("fashion-mnist", 28, 1, "test")).images.shape[0] == 4
    )
