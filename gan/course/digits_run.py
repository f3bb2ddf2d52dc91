"""The digits run that comes with the app: its generators at three steps, and the discriminators of the same steps.

    python -m gan.course.digits_run       # records it again: two minutes on one processor core

Each discriminator is the one that the generator of its step played against. It has no batch normalization, so its answer to an image
depends on that image alone. While both learn, D swings between calling everything real and everything fake. So within each of
WINDOWS, this takes the step at which D is right most often about held-out real images and images of the averaged generator.
"""

import copy
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gan import latent
from gan import progress as terminal
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.form import Form
from gan.data.imageset import ImageDataset
from gan.devices import one_thread
from gan.files import write_atomically
from gan.images import to_float
from gan.judging import features, reals
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.generator_file import (
    LoadedDiscriminator,
    LoadedGenerator,
    load_discriminator,
    load_generator,
    write_discriminator,
    write_generator,
)
from gan.networks.sampling import sample
from gan.recipes import RECIPES
from gan.runs.start import Origin
from gan.training.loop import Control, train
from gan.training.state import Execution, TrainState, new_state
from gan.untrusted import is_whole, read_json

DIGITS_RUN = "digits-run"  # its name where a run starts from its networks
SHIPPED = Path(__file__).parent / "digits"
WINDOWS = (range(60, 121, 10), range(200, 301, 10), range(800, 1001, 20))  # steps to choose from
CONFIG = RECIPES["quick-digits"].config.change(discriminator_norm="none", precision="fp32", seed=1)
THREADS = 1  # another number of threads changes the last bits
TRIED = 300  # real images that D is asked about, and as many generated ones
ABOUT = "about.json"  # in the folder: the steps, and for each digit seeds that the last generator turns into it
OF_EACH = 8  # of these seeds per digit
LOOKED_AT = 1000  # seeds to search
SURE = 0.99  # probability that a digit classifier must give the digit


def generator_file(step: int, folder: Path = SHIPPED) -> Path:
    return folder / f"generator-{step:06d}.safetensors"


def discriminator_file(step: int, folder: Path = SHIPPED) -> Path:
    return folder / f"discriminator-{step:06d}.safetensors"


@dataclass(frozen=True)
class About:
    """What about.json says.

    Attributes:
        steps: of the saved networks, one per window.
        seeds: for each digit, OF_EACH seeds that the last generator turns into it.
    """

    steps: tuple[int, ...]
    seeds: Mapping[str, tuple[int, ...]]


@functools.cache
def about() -> About:
    """
    Raises:
        ValueError, OSError: the file cannot be used.
    """
    found = read_json(SHIPPED / ABOUT)
    try:
        steps, seeds = found["steps"], found["seeds"].items()
        read = About(tuple(steps), {str(digit): tuple(those) for digit, those in seeds})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{ABOUT} must have steps, and seeds by digit: {error!r}") from None
    if len(read.steps) != len(WINDOWS) or any(len(those) != OF_EACH for those in read.seeds.values()):
        raise ValueError(f"{ABOUT} must have {len(WINDOWS)} steps, and {OF_EACH} seeds for each digit")
    if not all(is_whole(number) for number in (*read.steps, *(seed for those in read.seeds.values() for seed in those))):
        raise ValueError(f"the steps and seeds in {ABOUT} must be whole numbers from 0 on")
    return read


@functools.cache
def generator(number: int) -> LoadedGenerator:
    """The averaged generator of a window, 0 to 2.

    Raises:
        ValueError, OSError: a file of the run cannot be used.
    """
    return load_generator(generator_file(about().steps[number]))


@functools.cache
def discriminator(number: int) -> LoadedDiscriminator:
    """The discriminator that this generator played against.

    Raises:
        ValueError, OSError: a file of the run cannot be used.
    """
    return load_discriminator(discriminator_file(about().steps[number]))


def digits_origin(step: int | str | None = None) -> Origin:
    """The networks of the saved step nearest to `step`, for a run to start from. By default, and for "best": those of the last step.

    Raises:
        ValueError, OSError: a file of the run cannot be used.
    """
    steps = about().steps
    number = min(range(len(steps)), key=lambda i: abs(steps[i] - step)) if isinstance(step, int) else len(steps) - 1
    averaged, judge = generator(number).network.state_dict(), discriminator(number).network.state_dict()
    # Only the averaged generator is saved: it is the better one to begin with.
    return Origin(
        DIGITS_RUN, steps[number], generator(number).config, {"generator": averaged, "averaged": averaged, "discriminator": judge}
    )


@one_thread()
@torch.inference_mode()
def answers(network: Discriminator, images: np.ndarray) -> list[float]:
    """The probabilities of "real" that a discriminator gives uint8 images (N, C, H, W): 0 to 1."""
    found: list[float] = network(to_float(torch.from_numpy(images))).sigmoid().tolist()
    return found


def record(
    folder: Path, config: TrainConfig, windows: Sequence[Sequence[int]], data: ImageDataset, held_out: np.ndarray
) -> Iterator[tuple[int, float]]:
    """Trains, and saves both networks at the best step of each window. Weights are rounded to 16 bits, which halves the size of the files.

    Args:
        folder: for the files.
        config: the run's settings.
        windows: steps to choose from, rising.
        data: what it trains on.
        held_out: real images that it does not train on, uint8 (N, C, H, W).

    Yields:
        For each window, the step and the share of right answers that D gives there.
    """
    state = new_state(config, torch.device("cpu"), execution=Execution("fp32", True, THREADS))
    control = Control()
    control.repeat([], until=windows[-1][-1])  # a run that follows a script does not pick its own number of threads
    z = latent.from_seeds(range(len(held_out)), config.latent_dim, config.latent_distribution)
    assert isinstance(state.averaged, Generator) and isinstance(state.discriminator, Discriminator)
    for window in windows:
        best = (0, -1.0)
        for step in window:
            state.config = config.change(duration=step, duration_unit="steps")
            for _ in train(state, data, control):
                pass
            if (right := _right(state, held_out, z)) <= best[1]:
                continue
            best = (step, right)
            kept = copy.deepcopy((state.averaged, state.discriminator)), state.images_seen
        (averaged, discriminator), images_seen = kept
        write_generator(generator_file(best[0], folder), averaged, config, best[0], images_seen, half=True)
        write_discriminator(discriminator_file(best[0], folder), discriminator, config, best[0], images_seen, half=True)
        yield best


def _right(state: TrainState, held_out: np.ndarray, z: torch.Tensor) -> float:
    """The share of right answers that D gives about real images, and as many images of the averaged generator."""
    assert isinstance(state.averaged, Generator) and isinstance(state.discriminator, Discriminator)
    real, fake = (np.array(answers(state.discriminator, images)) for images in (held_out, sample(state.averaged, z)))
    return float(((real > 0.5).mean() + (fake <= 0.5).mean()) / 2)


def find_seeds(loaded: LoadedGenerator, network: features.FeatureNetwork) -> dict[str, list[int]]:
    """The first seeds that the generator turns into each digit, according to a classifier of digits.

    Raises:
        ValueError: a digit is too rare.
    """
    images = sample(loaded.network, latent.from_seeds(range(LOOKED_AT), loaded.config.latent_dim, loaded.config.latent_distribution))
    sure = network.probabilities(network.features(images)) > SURE
    found = {name: np.flatnonzero(sure[:, place])[:OF_EACH].tolist() for place, name in enumerate(network.about.outputs)}
    rare = [name for name, seeds in found.items() if len(seeds) < OF_EACH]
    if rare:
        raise ValueError(f"fewer than {OF_EACH} of {LOOKED_AT} seeds give the digits {', '.join(rare)}: take another training seed")
    return found


def main() -> None:
    """Records the run into the package."""
    data, test = (terminal.drain(datasets.load_for(CONFIG, split)) for split in ("train", "test"))
    for path in (*SHIPPED.glob("*.safetensors"), SHIPPED / ABOUT):
        path.unlink(missing_ok=True)
    steps = []
    for step, right in record(SHIPPED, CONFIG, WINDOWS, data, test.images[:TRIED].numpy()):
        print(f"step {step}: D is right about {right:.1%}", flush=True)
        steps.append(step)
    known = terminal.drain(reals.load(CONFIG.data, Form.of(CONFIG)))
    seeds = find_seeds(load_generator(generator_file(steps[-1])), terminal.drain(features.network_for(known)))
    with write_atomically(SHIPPED / ABOUT) as file:
        file.write((json.dumps({"steps": steps, "seeds": seeds}) + "\n").encode())
    for path in sorted(SHIPPED.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
