"""One rank of two, started by test_ranks.py: everything that takes two processes, in one pair of them, because starting them costs most.

Usage: python -m tests.distributed.worker FOLDER, with torchrun's environment variables. Results are files in FOLDER.
"""

import functools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from gan.cli.loop import train_in_terminal
from gan.cli.options import RunFailed
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.distributed.control import end
from gan.distributed.group import Group, join
from gan.distributed.start import follow, lead, train_along
from gan.events import Intervention, Metrics
from gan.optimizers import Adam
from gan.runs.folder import RunFolder
from gan.training import state as of_training
from gan.training.loop import Control, train
from gan.training.state import Diverged, Execution, TrainState, new_state

CPU = torch.device("cpu")
STEPS = 5
# Along a gradient that is 0 in exact arithmetic (a bias before a normalization, say), or nearly, Adam takes a full step in the direction of
# the rounding error, which is another one on each kind of processor. With a large epsilon, it hardly moves there.
CALM_ADAM = functools.partial(Adam, eps=1e-2)
BASE = TrainConfig(
    data="blobs",
    latent_dim=4,
    generator_filters=4,
    discriminator_filters=4,
    batch_size=8,
    lr_g=1e-3,
    lr_d=1e-3,
    precision="fp32",
    duration=STEPS,
    duration_unit="steps",
    log_every=2,
    grid_images=16,
)
PLAIN = {"generator_norm": "none", "discriminator_norm": "none"}
# Each is trained by two ranks and by one process.
CONFIGS: dict[str, dict[str, Any]] = {
    "no normalization": PLAIN,
    "batch normalization": {},
    "dense networks": {"networks": "mlp", "d_steps": 2},
    "parts of different size": {"batch_size": 9, "g_steps": 2, "reuse_fakes": False},
    "noise": {"dropout": 0.3, "instance_noise": 0.1, "label_flips": 0.1, "horizontal_flip": True, "color_jitter": 0.1, "d_steps": 2},
    "penalties": {**PLAIN, "r1": 1.0, "r2": 1.0, "minibatch_std": True, "loss": "relativistic"},
    "a critic": {**PLAIN, "loss": "wasserstein", "gradient_penalty": 10.0, "latent_distribution": "uniform"},
    "packs": {"packing": 2, "feature_matching": True, "label_flips": 0.2, "dropout": 0.2, "batch_size": 12},
    "classes": {"conditional": True, "spectral_norm": True, "discriminator_norm": "none", "loss": "hinge"},
    "principal components": {"principal_components": 40, "horizontal_flip": True},
    "biggan": {
        "networks": "biggan",
        "conditional": True,
        "self_attention": True,
        "generator_spectral_norm": True,
        "minibatch_discrimination": True,
        "orthogonal_penalty": 1e-3,
        "loss": "hinge",
        "batch_size": 9,
    },
    "styles": {**PLAIN, "networks": "stylegan", "minibatch_std": True, "r1": 1.0, "penalty_every": 2, "reuse_fakes": False},
    "pairs": {"networks": "pix2pix", "horizontal_flip": True, "d_steps": 2, "l1_weight": 10.0},
    "two classes": {"networks": "cyclegan", "loss": "least_squares", "image_buffer": 0, "batch_size": 9},
    "augmentation": {**PLAIN, "diffaugment": "color, translation, cutout", "augmentation_target": 0.5, "networks": "residual"},
}
CHANGED = Intervention(2, "lr_g", 1e-3, 5e-3)  # in each of them
RUN = BASE.change(dropout=0.2, batch_size=9)  # stopped and resumed


def blobs(config: TrainConfig) -> ImageDataset:
    """40 random images in two classes, the same in every process."""
    size = (40, config.channels, config.image_size, config.image_size)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return ImageDataset("blobs", images, torch.arange(40) % 2, ("a", "b"), inputs=images.flip(0))


def begun(config: TrainConfig) -> TrainState:
    state = new_state(config, CPU, class_names=("a", "b"), execution=Execution("fp32", True, 1), threads=1)
    if config.augmentation_target:
        state.augmentation[0] = 0.5
    return state


def trained(state: TrainState, leads: bool = True) -> dict[str, Any]:
    """Trains a state to its end -> the gradients of its first step, as Adam holds them, its tensors after the last, and what was logged."""
    control, dataset = Control(), blobs(state.config)
    if leads:
        control.repeat([CHANGED])
    config = state.config
    state.config = config.change(duration=1)
    for _ in train(state, dataset, control):
        pass
    gradients = {
        name: torch.cat([held["exp_avg"].flatten() for held in getattr(state, name).state.values()])
        for name in ("optimizer_g", "optimizer_d")
    }
    state.config = state.config.change(duration=STEPS)
    metrics = [vars(event) for event in train(state, dataset, control) if isinstance(event, Metrics)]
    return {"gradients": gradients, "state": state.state_dict(), "metrics": metrics}


def _equal(group: Group, folder: Path) -> None:
    for name, changes in CONFIGS.items():
        config = BASE.change(**changes)
        if group.leads:
            lead(state := begun(config), blobs(config), group)
        else:
            state, _ = follow(group, blobs)
        result = trained(state, group.leads)
        if group.leads:
            torch.save(result, folder / f"{name}.pt")


def _run(group: Group, path: Path, after: int = 0, kill: bool = False) -> None:
    """One run in a folder, as the command line trains it. after: the step after which rank 1 halts the run, or is killed."""
    if group.leads:
        folder = RunFolder(path)
        path.mkdir(exist_ok=True)
        with folder.locked():
            if not folder.config_file.exists():
                folder.write_config(RUN, "")
            train_in_terminal(folder, RUN, blobs(RUN), CPU, True, False, ranks=group)
        end(group)
        return
    control = Control()
    if after:
        agreed, steps = group.agreed, []

        def agree(numbers: Any) -> list[float]:
            steps.append(0)
            if len(steps) == after + 1:
                if kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                numbers = [1, *numbers[1:]]
            return agreed(numbers)

        group.agreed = agree  # type: ignore[method-assign]
    train_along(group, blobs, control)
    if after:
        group.agreed = agreed  # type: ignore[method-assign]


def _diverged(group: Group, folder: Path) -> None:
    """Only rank 0's generator draws something that is not a number, but both ranks stop."""
    if group.leads:
        lead(state := begun(BASE.change(log_every=1)), blobs(BASE), group)
        with torch.no_grad():
            next(state.generator.parameters()).fill_(float("nan"))
    else:
        state, _ = follow(group, blobs)
    try:
        for _ in train(state, blobs(BASE)):
            pass
    except Diverged as error:
        (folder / f"diverged{group.rank}").write_text(str(error))


def main() -> None:
    folder = Path(sys.argv[1])
    of_training.Adam = CALM_ADAM  # type: ignore[assignment, misc]
    group = join("cpu")
    _equal(group, folder)
    _run(group, folder / "whole")
    _run(group, folder / "halves", after=3)
    if group.leads:
        (folder / "half.json").write_text(json.dumps(dict(RunFolder(folder / "halves").read_status())))
        (folder / "half.pt").write_bytes((folder / "halves" / "state.pt").read_bytes())
    _run(group, folder / "halves")
    _diverged(group, folder)
    try:
        _run(group, folder / "killed", after=3, kill=True)
    except RunFailed as error:
        (folder / "killed.txt").write_text(str(error))
    group.leave()


if __name__ == "__main__":
    main()
