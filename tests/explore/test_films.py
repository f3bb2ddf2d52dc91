import io
import subprocess
import zipfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.events import Progress
from gan.explore import films
from gan.explore.films import FilmError
from gan.images import to_float
from gan.networks.sampling import sample
from gan.runs.folder import RunFolder
from gan.training.state import new_state
from gan.training.step import train_step
from tests.conftest import finish


def frames(n: int, channels: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, channels, height, width), dtype=np.uint8)


def test_many_points_are_drawn_a_few_at_a_time() -> None:
    z = torch.arange(40.0)[:, None]
    sizes = []

    def images_of(part: torch.Tensor) -> np.ndarray:
        sizes.append(len(part))
        return part.numpy().astype(np.uint8)[:, :, None, None]

    work = films.draw(images_of, z)
    assert next(work) == Progress("Drawing", 0, 40) and next(work) == Progress("Drawing", 16, 40)
    assert sizes == [16]
    images = finish(films.draw(images_of, z))
    assert images.shape == (40, 1, 1, 1) and images.flatten().tolist() == list(range(40))


@pytest.mark.parametrize(
    "channels, height, width, factor, size", [(1, 28, 28, 4, (112, 112)), (3, 27, 31, 1, (32, 28)), (3, 9, 9, 3, (28, 28))]
)
def test_an_mp4_has_every_frame_at_even_sizes(
    tmp_path: Path, channels: int, height: int, width: int, factor: int, size: tuple[int, int]
) -> None:
    shown = np.full((12, channels, height, width), 200, np.uint8)
    shown[6:] = 40
    path = tmp_path / "film.mp4"
    path.write_bytes(films.mp4(shown, 10, factor))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    found = subprocess.run(command, capture_output=True, check=True)
    said = found.stderr.decode()
    assert "h264" in said and f"{size[0]}x{size[1]}" in said and "10 fps" in said and "Duration: 00:00:01.20" in said
    pictures = np.frombuffer(found.stdout, np.uint8).reshape(12, size[1], size[0], 3)
    for picture, gray in ((pictures[0], 200), (pictures[-1], 40)):
        assert abs(picture[2 : height * factor - 2, 2 : width * factor - 2].astype(int) - gray).max() <= 4


def test_a_film_that_ffmpeg_refuses_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FilmError, match="ffmpeg could not make the film"):
        films.mp4(frames(2, 1, 8, 8), 0)

    def missing() -> None:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(FilmError, match="No ffmpeg exe could be found"):
        films.mp4(frames(2, 1, 8, 8))

    monkeypatch.undo()

    def hangs(*arguments: list[str], timeout: int, **rest: bool | bytes) -> None:
        raise subprocess.TimeoutExpired("ffmpeg", timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(FilmError, match="timed out after 120 seconds"):
        films.mp4(frames(2, 1, 8, 8))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_sequence_has_every_pixel(channels: int) -> None:
    film = frames(3, channels, 5, 4)
    with zipfile.ZipFile(io.BytesIO(films.png_sequence(film, 2))) as archive:
        assert archive.namelist() == ["0001.png", "0002.png", "0003.png"]
        for frame, name in zip(film, archive.namelist(), strict=True):
            found = np.asarray(Image.open(io.BytesIO(archive.read(name)))).reshape(10, 8, channels)
            assert np.array_equal(found[::2, ::2].transpose(2, 0, 1), frame) and np.array_equal(found[1::2], found[::2])


def test_through_time_each_generator_draws_the_same_noise(
    tmp_path: Path, config: TrainConfig, blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    state = new_state(config, torch.device("cpu"))
    z = torch.randn(3, 4)
    expected = {}
    for step in (1, 2, 3):
        train_step(state, to_float(blobs.images[:8]))
        folder.save_generator(state)
        expected[step] = sample(state.averaged, z)
    files = {step: folder.generator_file(step) for step in (1, 2, 3)}
    drawn = finish(films.through_time(files, z))
    assert [step for step, _ in drawn] == [1, 2, 3]
    for (step, _), images in drawn.items():
        assert np.abs(images.astype(int) - expected[step]).max() <= 1

    # What was drawn before is not drawn again; a rewritten file is, and a broken or missing one is left out.
    folder.generator_file(2).write_bytes(b"broken")
    folder.generator_file(3).unlink()
    asked = []
    original = films.load_generator

    def load_generator(path: Path) -> object:
        asked.append(path)
        return original(path)

    monkeypatch.setattr(films, "load_generator", load_generator)
    again = finish(films.through_time(files, z, known=drawn))
    assert [step for step, _ in again] == [1] and asked == [folder.generator_file(2)]
