"""Images of many points, drawn a few at a time, and films of them: MP4, PNG sequence. Knows nothing about pages."""

import io
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch

from gan.devices import one_thread
from gan.events import Progress
from gan.images import enlarge, png
from gan.networks.generator_file import CheckpointError, load_generator
from gan.networks.sampling import sample

AT_ONCE = 16  # images between two events: a fraction of a second, even with a large generator
FFMPEG_S = 120  # the longest time that a film may take


class FilmError(RuntimeError):
    """A film could not be made."""


def draw(images_of: Callable[[torch.Tensor], np.ndarray], z: torch.Tensor) -> Generator[Progress, None, np.ndarray]:
    """Images for z (N, latent_dim), N at least 1, drawn a few at a time: uint8 (N, C, H, W).

    images_of: draws the images of some latent vectors.
    """
    parts = []
    for start in range(0, len(z), AT_ONCE):
        yield Progress("Drawing", start, len(z))
        parts.append(images_of(z[start : start + AT_ONCE]))
    return np.concatenate(parts)


def through_time(
    files: dict[int, Path], z: torch.Tensor, label: int = 0, known: dict[tuple[int, int], np.ndarray] | None = None
) -> Generator[Progress, None, dict[tuple[int, int], np.ndarray]]:
    """The images of the same z from each of a run's generators.

    Each file is loaded, used and dropped, because a run has hundreds. A file that was deleted meanwhile or cannot be read is left out.

    Args:
        files: step -> the generator of that step.
        z: (N, latent_dim).
        label: the class to draw, for conditional generators.
        known: images drawn earlier.

    Returns:
        (step, modification time of its file in ns) -> uint8 (N, C, H, W), in rising order of steps.
    """
    known, drawn = known or {}, {}
    for i, (step, path) in enumerate(sorted(files.items())):
        try:
            key = (step, path.stat().st_mtime_ns)
            if key not in known:
                yield Progress("Drawing", i, len(files))
                loaded = load_generator(path)
                labels = torch.full((len(z),), label) if loaded.class_names else None
                with one_thread():
                    drawn[key] = sample(loaded.network, z, labels)
            else:
                drawn[key] = known[key]
        except (CheckpointError, OSError):
            continue
    return drawn


def mp4(frames: np.ndarray, frames_per_s: float = 25, factor: int = 1) -> bytes:
    """uint8 (N, C, H, W), C 1 or 3 -> MP4 file (H.264, 4:2:0, which plays everywhere), every pixel repeated factor x factor times.

    A film of odd height or width gets an extra black row or column.

    Raises:
        FilmError: there is no ffmpeg for this machine, or it fails.
    """
    import imageio_ffmpeg  # only films need it

    _, channels, height, width = frames.shape
    taken = "gray" if channels == 1 else "rgb24"
    take = ["-f", "rawvideo", "-pix_fmt", taken, "-s", f"{width}x{height}", "-r", f"{frames_per_s:g}", "-i", "-", "-an"]
    shape = ["-vf", f"scale={width * factor}:{height * factor}:flags=neighbor,pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    # One thread, so a run that trains meanwhile keeps its cores. faststart: it plays before it is completely downloaded.
    give = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p", "-threads", "1", "-movflags", "+faststart"]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "film.mp4"  # a pipe cannot be rewound to the start of the file
        try:
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *take, *shape, *give, str(path)]
            made = subprocess.run(command, input=frames.transpose(0, 2, 3, 1).tobytes(), capture_output=True, timeout=FFMPEG_S)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            raise FilmError(f"ffmpeg could not make the film: {error}") from None
        if made.returncode:
            raise FilmError(f"ffmpeg could not make the film: {made.stderr.decode(errors='replace').strip()[:300]}")
        return path.read_bytes()


def png_sequence(frames: np.ndarray, factor: int = 1) -> bytes:
    """uint8 (N, C, H, W), C 1 or 3 -> a zip of numbered PNG files, 0001.png first, every pixel repeated factor x factor times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed already
        for number, frame in enumerate(frames, 1):
            archive.writestr(f"{number:04d}.png", png(enlarge(frame, factor), 1))
    return file.getvalue()
