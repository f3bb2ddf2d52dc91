"""The images of the lesson "Real or fake?": real digits and generated ones for each round, with the discriminator's answers."""

import base64
from typing import Any

import numpy as np
import torch

from gan import latent
from gan.config import TrainConfig
from gan.course.digits_run import TRIED, answers, discriminator, generator
from gan.course.real_or_fake import IMAGES, ROUNDS
from gan.data import datasets
from gan.devices import one_thread
from gan.images import png, tile
from gan.networks.sampling import sample
from gan.progress import drain

POOL = 48  # real images of a round, and generated ones: the browser picks IMAGES of these at random
COLUMNS = 12  # of the sheet


class NoDigits(ValueError):
    """The data set with the real digits cannot be loaded, say because this machine is offline. The message says so to visitors."""


@one_thread()
def quiz_round(number: int) -> dict[str, Any]:
    """What the browser needs for a round, as plain values.

    Args:
        number: 0 to ROUNDS - 1.

    Returns:
        sheet: a data URI of a PNG with 2 * POOL images in rows of `columns`, the real ones first; size: pixels of an image's side;
        answers: the discriminator's, 0 to 1, one per image; real: how many of the images are real; images: of a round;
        step: how many steps both networks had trained.

    Raises:
        NoDigits: the real digits cannot be loaded.
        ValueError, OSError: there is no such round, or a file of the run cannot be used.
    """
    if not 0 <= number < ROUNDS:
        raise ValueError(f"rounds are numbered from 0 to {ROUNDS - 1}; got {number}")
    judge, drawn_by = discriminator(number).network, generator(number)
    config = drawn_by.config
    seeds = range(number * POOL, (number + 1) * POOL)
    fakes = sample(drawn_by.network, latent.from_seeds(seeds, config.latent_dim, config.latent_distribution))
    images = np.concatenate([_held_out(config, number), fakes])
    content = base64.b64encode(png(tile(images, COLUMNS, gap=0))).decode()
    return {
        "sheet": f"data:image/png;base64,{content}",
        "size": config.image_size,
        "columns": COLUMNS,
        "answers": [round(answer, 4) for answer in answers(judge, images)],
        "real": POOL,
        "images": IMAGES,
        "step": drawn_by.step,
    }


def _held_out(config: TrainConfig, number: int) -> np.ndarray:
    """Real images of a round, uint8 (POOL, channels, size, size): no network was trained on them, and no step was chosen by them."""
    try:
        images = drain(datasets.load_for(config, "test"), quiet=True).images[TRIED:]
    except (ValueError, OSError) as error:
        reason = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error).rstrip(".")  # without a path
        raise NoDigits(f"the data set {config.data} cannot be loaded: {reason}") from error
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[number * POOL : (number + 1) * POOL]
    found: np.ndarray = images[order].numpy()
    return found
