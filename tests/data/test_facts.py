"""A quick look at each kind of data set."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from gan.data.examples import examples
from gan.data.facts import Facts, look_at
from tests.conftest import finish


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacked archives need a folder for data."""
    monkeypatch.setenv("WORKSHOP_DATA", str(tmp_path_factory.mktemp("data")))


def picture(color: tuple[int, int, int], size: tuple[int, int] = (40, 50)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


FILES = {"cats/1.png": picture((200, 30, 30)), "cats/2.png": picture((30, 200, 30)), "dogs/3.png": picture((90, 90, 90), (60, 30))}


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Path]:
    """The same three images in each kind of set."""
    for name, content in FILES.items():
        write(tmp_path / "folder", name, content)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    for ending, mode in ((".tar", "w"), (".tar.gz", "w:gz")):
        with tarfile.open(tmp_path / f"set{ending}", mode) as tar:  # type: ignore[call-overload]
            tar.add(tmp_path / "folder", arcname="set")
    labels = [name.partition("/")[0] for name in FILES]
    parquet.write_table(pyarrow.table({"image": list(FILES.values()), "label": labels}), tmp_path / "set.parquet")
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("kind", ["folder", "set.zip", "set.tar", "set.tar.gz", "set.parquet"])
def test_the_same_facts_and_examples_from_every_kind_of_set(kind: str, sets: dict[str, Path]) -> None:
    name = str(sets[kind])
    assert finish(look_at(name)) == Facts(name, 3, 40, True, {"cats": 2, "dogs": 1})
    assert len(finish(examples(name, 4))) == 3  # none is square


def test_gray_images_saved_in_color_are_gray(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path, f"{i}.png", picture((i * 10, i * 10 + 2, i * 10)))
    assert finish(look_at(str(tmp_path))) == Facts(str(tmp_path), 20, 40, False, {})
    for i in range(20, 23):  # a few color images make it a color set
        write(tmp_path, f"{i}.png", picture((250, 20, 20)))
    assert finish(look_at(str(tmp_path))).color


def test_named_sets_are_known_without_looking() -> None:
    assert finish(look_at("mnist")) == Facts("mnist", 60_000, 28, False, dict.fromkeys("0123456789", 6000))
    faces = finish(look_at("faces"))
    assert (faces.images, faces.side, faces.color, list(faces.classes)) == (5000, 256, True, ["no glasses", "glasses"])


def test_arrays_are_looked_at_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 48, 48, 3), dtype=np.uint8)
    np.savez(tmp_path / "colored.npz", images=images, labels=np.arange(12) % 3)
    np.save(tmp_path / "gray.npy", rng.random((9, 30, 40)))
    name = str(tmp_path / "colored.npz")
    assert finish(look_at(name)) == Facts(name, 12, 48, True, {"0": 4, "1": 4, "2": 4})
    name = str(tmp_path / "gray.npy")
    assert finish(look_at(name)) == Facts(name, 9, 30, False, {})


def test_what_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no data set 'nothing': choose one of mnist, "):
        finish(look_at("nothing"))
    write(tmp_path, "broken.png", b"no picture")
    with pytest.raises(ValueError, match=r"none of the 1 images tried in .* can be used; the last one cannot be read as an image"):
        finish(look_at(str(tmp_path)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no images to train on"):
        finish(look_at(str(tmp_path / "empty")))
    write(tmp_path, "text.txt", b"words")
    with pytest.raises(ValueError, match="is neither a folder of images nor an archive, an array or a table of images"):
        finish(look_at(str(tmp_path / "text.txt")))


@pytest.mark.parametrize("holes, found", [(0, 0), (1, 1), (30, 4)])
def test_square_images_with_an_alpha_channel_but_no_transparent_pixel_are_no_examples(holes: int, found: int, tmp_path: Path) -> None:
    for number in range(30):
        image = Image.new("RGBA", (40, 40), (200, 30, 30, 255))
        if number < holes:
            image.paste((0, 0, 0, 0), (0, 0, 20, 20))
        image.save(tmp_path / f"{number:02}.png")
    assert len(finish(examples(str(tmp_path), 4))) == found


def arrow(to_the_left: bool, seed: int) -> Image.Image:
    """A triangle on a ground of any color, with noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(rng.integers(60, 180, 3), 20, (40, 40, 3))
    rows, columns = np.indices((40, 40))
    pixels[np.abs(rows - 20) < columns / 2] += 60
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image if to_the_left else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@pytest.mark.parametrize("files", [True, False], ids=["files", "an array"])
@pytest.mark.parametrize("turned, few, expected", [(0, 30, True), (2, 30, True), (15, 30, False), (0, 8, False)])
def test_images_that_look_to_one_side(files: bool, turned: int, few: int, expected: bool, tmp_path: Path) -> None:
    arrows = [arrow(number >= turned, number) for number in range(few)]
    name = str(tmp_path if files else tmp_path / "arrows.npy")
    if files:
        for number, image in enumerate(arrows):
            image.save(tmp_path / f"{number * 7 % few}.png")
    else:
        np.save(name, np.stack([np.asarray(image) for image in arrows]))
    assert finish(look_at(name)).one_sided is expected


def test_images_that_are_their_own_mirror_images_look_to_no_side(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.full((20, 32, 32, 3), 90, np.uint8))
    assert not finish(look_at(str(tmp_path / "flat.npy"))).one_sided


@pytest.mark.parametrize("factor", [1, 1e300, np.nan, np.inf])
def test_values_of_any_size_and_holes_are_looked_at_without_a_fault(factor: float, tmp_path: Path) -> None:
    images = np.tile(np.arange(1, 41.0) / 40, (20, 40, 1))
    images[0, 0] *= factor
    np.save(tmp_path / "values.npy", images)
    assert finish(look_at(str(tmp_path / "values.npy"))).one_sided is (factor != 1e300)
