"""How images of other shapes fit into the square, and what is behind transparent areas: files, arrays, and the cache."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.data import decoding, imageset
from gan.data.datasets import load, load_for
from gan.data.decoding import decode
from gan.data.examples import examples
from gan.data.form import Form
from tests.conftest import finish

RED, WHITE = [255, 0, 0], [255, 255, 255]


def halves(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Black on the left or on top, white behind it."""
    values = np.zeros((height, width), np.uint8)
    values[:, width // 2 :] = 255
    if height > width:
        values[:] = 0
        values[height // 2 :] = 255
    return Image.fromarray(values).convert(mode)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def decoded(picture: Image.Image, **form: Any) -> np.ndarray:
    array = decode(png(picture), **{"image_size": 32, "channels": 3, **form})
    assert isinstance(array, np.ndarray) and array.dtype == np.uint8
    return array


def test_a_run_has_the_form_of_its_settings() -> None:
    assert Form.of(TrainConfig()) == Form(28, 1)
    config = TrainConfig(image_size=64, channels=3, fit="pad", background="#102030")
    assert Form.of(config) == Form(64, 3, "pad", "#102030") and Form.of(config).color == (16, 32, 48)
    assert TrainConfig(background="#ABCDEF").background == "#abcdef", "one color has one name"
    for wrong in ("white", "#fff", "#12345g", "#1234567", "#ffffff\n", ""):
        with pytest.raises(ValueError, match="background"):
            TrainConfig(background=wrong)


def test_forms_have_different_names_and_the_usual_one_its_old_name() -> None:
    """The cache finds what older versions decoded."""
    assert Form(28, 1).name == "28-1"
    forms = [Form(28, 1, fit, color) for fit in ("crop", "pad", "mirror", "squeeze") for color in ("#ffffff", "#000000")]
    assert len({form.name for form in forms}) == len(forms)


@pytest.mark.parametrize("width, height", [(96, 32), (100, 37), (33, 32), (8, 300)])
def test_padding_keeps_all_of_it_in_the_middle(width: int, height: int) -> None:
    """The picture is blue, so what is not blue is border."""
    array = decoded(Image.new("RGB", (width, height), (0, 0, 255)), fit="pad", background="#ff0000")
    inside = (array == np.array([0, 0, 255])[:, None, None]).all(0)
    rows, columns = inside.any(1).sum(), inside.any(0).sum()
    assert (columns, rows) == (max(1, round(32 * width / max(width, height))), max(1, round(32 * height / max(width, height))))
    assert inside.sum() == rows * columns and (array[:, ~inside] == np.array(RED)[:, None]).all()
    before, after = inside.any(0).argmax(), inside.any(0)[::-1].argmax()
    assert 0 <= after - before <= 1, "in the middle"


def test_mirroring_continues_the_picture_at_its_edges() -> None:
    array = decoded(halves(32, 64), fit="mirror")  # 16 columns wide in the square
    assert (array[:, :15] < 30).all() and (array[:, 17:] > 225).all()
    gradient = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (128, 1)))
    row = decoded(gradient, fit="mirror", channels=1)[0, 0].astype(int)
    assert np.array_equal(row[:8], row[8:16][::-1]) and np.array_equal(row[24:], row[16:24][::-1])


def test_squeezing_keeps_all_of_it_and_scales_the_sides_separately() -> None:
    array = decoded(halves(96, 32), fit="squeeze")
    assert (array[:, :, :15] < 30).all() and (array[:, :, 17:] > 225).all()


def test_square_images_are_the_same_in_every_fit() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))
    crop = decoded(picture)
    assert all(np.array_equal(crop, decoded(picture, fit=fit)) for fit in ("pad", "mirror", "squeeze"))


@pytest.mark.parametrize("fit", ["crop", "pad", "mirror", "squeeze"])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "16 bits"])
def test_the_background_shows_through_transparent_areas(kind: str, fit: str) -> None:
    picture = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    array: Any = picture if kind == "RGBA" else picture.convert("LA") if kind == "LA" else picture
    if kind == "P":
        array = Image.new("P", (64, 32), 3)
        array.putpalette([0] * 768)
        buffer = io.BytesIO()
        array.save(buffer, "PNG", transparency=3)
        source = buffer.getvalue()
    elif kind == "16 bits":
        from tests.data.test_decoding import png as deep_png

        source = deep_png(np.zeros((32, 64, 4), np.uint16), 6)
    else:
        source = png(array)
    result = decode(source, 32, 3, fit, "#ff0000")  # type: ignore[arg-type]
    assert isinstance(result, np.ndarray) and (result == np.array(RED)[:, None, None]).all()
    gray = decode(source, 32, 1, fit, "#ff0000")  # type: ignore[arg-type]
    assert isinstance(gray, np.ndarray) and (gray == 76).all(), "luma of red: 0.299 x 255"


@pytest.mark.parametrize("fit", ["crop", "pad", "mirror", "squeeze"])
def test_images_read_in_strips_come_out_as_whole_ones(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).integers(0, 256, (9, 14, 4), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
    source = png(Image.fromarray(values, "RGBA"))
    whole = decode(source, 32, 3, fit, "#00ff00")
    monkeypatch.setattr(decoding, "LARGEST_WHOLE", 100)
    monkeypatch.setattr(decoding, "STRIP", 700)
    strips = decode(source, 32, 3, fit, "#00ff00")
    assert isinstance(whole, np.ndarray) and isinstance(strips, np.ndarray)
    assert np.abs(whole.astype(int) - strips).max() <= 3, "Pillow may choose the other order of the two directions"


def test_arrays_fit_as_files_do(tmp_path: Path) -> None:
    blue = np.zeros((5, 32, 64, 4), np.uint8)
    blue[..., 2:] = 255
    blue[..., :16, 3] = 0  # the left quarter is transparent
    np.savez(tmp_path / "set.npz", images=blue)
    images = {
        fit: finish(load(str(tmp_path / "set.npz"), 32, 3, "train", fit, "#ff0000")).images  # type: ignore[arg-type]
        for fit in ("crop", "pad", "mirror", "squeeze")
    }
    assert all(set_.shape == (5, 3, 32, 32) for set_ in images.values())
    assert (images["crop"][0, 2] == 255).all(), "the transparent quarter is cut off"
    assert images["pad"][0, :, 0, 0].tolist() == RED and images["pad"][0, :, 16, 30].tolist() == [0, 0, 255]
    assert images["pad"][0, :, 16, 2].tolist() == RED and images["squeeze"][0, :, 0, 2].tolist() == RED
    assert torch.equal(images["mirror"][0, :, :8], images["mirror"][0, :, 8:16].flip(1))


def test_a_folder_is_kept_in_the_cache_once_per_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_DATA", str(tmp_path / "data"))
    folder = tmp_path / "wide"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.png").write_bytes(png(halves(64, 32)))
    config = TrainConfig(data=str(folder), image_size=32, channels=3, fit="pad", background="#ff0000")
    padded = finish(load_for(config))
    assert padded.images[0, :, 0, 0].tolist() == RED
    assert finish(load_for(config.change(background="#ffffff"))).images[0, :, 0, 0].tolist() == WHITE
    assert finish(load_for(config.change(fit="squeeze"))).images[0, :, 0, 0].tolist() == [0, 0, 0]
    assert finish(load_for(config)).fingerprint() == padded.fingerprint()
    assert len(list((tmp_path / "data" / "cache").glob("*-32-3*"))) == 3


def test_named_sets_are_square_in_every_fit() -> None:
    digits = finish(load("mnist", 28, 1, "test"))
    assert torch.equal(finish(load("mnist", 28, 1, "test", "pad", "#000000")).images, digits.images)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_examples_are_the_files_that_a_form_changes(kind: str, tmp_path: Path) -> None:
    files = {"a.png": png(halves(32, 32)), "b.png": b"no image", "c.png": png(Image.new("RGBA", (16, 16))), "d.png": png(halves(64, 32))}
    path = tmp_path / "set.zip" if kind == "zip" else tmp_path
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
    chosen = finish(examples(str(path), 4))
    assert [source if isinstance(source, bytes) else source.read_bytes() for source in chosen] == [files["c.png"], files["d.png"]]
    assert len(finish(examples(str(path), 1))) == 1 and finish(examples("mnist", 4)) == []


def test_images_that_take_long_to_decode_are_no_examples(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(Image.new("1", (4001, 4000))))
    (tmp_path / "b.png").write_bytes(png(Image.new("1", (40, 30))))
    assert finish(examples(str(tmp_path), 4)) == [tmp_path / "b.png"]


def test_resizing_tensors_fits_them() -> None:
    wide = torch.full((2, 1, 10, 20), 7, dtype=torch.uint8)
    padded = imageset.resize(wide, Form(20, 1, "pad", "#ffffff"))
    assert padded.shape == (2, 1, 20, 20) and (padded[:, :, :5] == 255).all() and (padded[:, :, 5:15] == 7).all()
