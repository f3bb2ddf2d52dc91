"""The faces run that comes with the app: networks that already draw in color, for a run on one's own images to start from.

    python -m gan.course.faces_run        # records it again: half an hour on one processor core

Like the digits run of the lessons, it has only what a new run needs: the averaged generator and the discriminator.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

import torch

from gan import progress as terminal
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.generator_file import load_discriminator, load_generator, write_discriminator, write_generator
from gan.recipes import RECIPES
from gan.runs.start import Origin
from gan.training.loop import Control, train
from gan.training.state import Execution, new_state

FACES_RUN = "faces-run"  # its name where a run starts from its networks
SHIPPED = Path(__file__).parent / "faces"
GENERATOR, DISCRIMINATOR = "generator.safetensors", "discriminator.safetensors"
STEPS = 10_000
CONFIG = RECIPES["quick-images"].config.change(
    data="faces", horizontal_flip=True, principal_components=0, precision="fp32", duration=STEPS, duration_unit="steps"
)
THREADS = 1  # another number of threads changes the last bits
SAID_EVERY = 500  # steps


@functools.cache
def faces_origin(step: int | str | None = None) -> Origin:
    """Its networks, for a run to start from; whatever step is asked for, they are those of its end.

    Raises:
        ValueError, OSError: a file of the run cannot be used.
    """
    drawn, judging = load_generator(SHIPPED / GENERATOR), load_discriminator(SHIPPED / DISCRIMINATOR)
    # Only the averaged generator is saved: it is the better one to begin with.
    averaged = drawn.network.state_dict()
    networks = {"generator": averaged, "averaged": averaged, "discriminator": judging.network.state_dict()}
    return Origin(FACES_RUN, STEPS, drawn.config, networks)


def record(folder: Path, config: TrainConfig, data: ImageDataset, said_every: int = SAID_EVERY) -> Iterator[int]:
    """Trains, and saves both networks. Weights are rounded to 16 bits, which halves the size of the files. Yields each so many steps."""
    state = new_state(config, torch.device("cpu"), execution=Execution("fp32", True, THREADS))
    control, steps = Control(), int(config.duration)
    control.repeat([], until=steps)  # a run that follows a script does not pick its own number of threads
    for target in (*range(said_every, steps, said_every), steps):
        state.config = config.change(duration=target)
        for _ in train(state, data, control):
            pass
        yield state.step
    assert isinstance(state.averaged, Generator) and isinstance(state.discriminator, Discriminator)
    write_generator(folder / GENERATOR, state.averaged, config, state.step, state.images_seen, half=True)
    write_discriminator(folder / DISCRIMINATOR, state.discriminator, config, state.step, state.images_seen, half=True)


def main() -> None:
    """Records the run into the package."""
    for step in record(SHIPPED, CONFIG, terminal.drain(datasets.load_for(CONFIG))):
        print(f"step {step:,} of {STEPS:,}", flush=True)
    for path in sorted(SHIPPED.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
