"""How a run begins on several ranks: rank 0 hands its state out, and every rank takes its part of each batch."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.distributed.group import Group
from gan.distributed.norm import normalize_whole_batches
from gan.draws import RankGenerator
from gan.networks.layers import Chance, MinibatchDiscrimination, OverRanks
from gan.training.begin import begin_with_images
from gan.training.loop import Control, train
from gan.training.ranks import refuse_settings
from gan.training.state import Execution, TrainState, new_state


def lead(state: TrainState, dataset: ImageDataset, group: Group) -> None:
    """On rank 0: sends settings and state to the other ranks, and makes the state that of a rank."""
    begin_with_images(state, dataset)
    about = {
        "config": state.config.model_dump(),
        "class_names": state.class_names,
        "precision": state.execution.precision,
        "channels_last": state.execution.channels_last,
        "images": dataset.fingerprint(),
    }
    group.from_leader(json.dumps(about).encode())
    packed = io.BytesIO()
    torch.save(state.state_dict(), packed)
    group.from_leader(packed.getvalue())
    _take_part(state, group)


def follow(group: Group, load: Callable[[TrainConfig], ImageDataset]) -> tuple[TrainState, ImageDataset]:
    """On the other ranks: the state that rank 0 hands out, and the data set, read on this rank's own machine.

    load: reads a data set. Rank 0 has read it before, so ranks on one machine find it decoded.

    Raises:
        ValueError: the data set is missing here, or holds other images than rank 0's.
    """
    about = json.loads(group.from_leader(None))
    stored = group.from_leader(None)
    config = TrainConfig(**about["config"])
    dataset = load(config)
    if dataset.fingerprint() != about["images"]:
        raise ValueError(f"the data set {config.data} holds other images on this machine than on rank 0's: copy rank 0's")
    execution = Execution(about["precision"], about["channels_last"], group.threads)
    state = new_state(config, group.device, class_names=tuple(about["class_names"]), execution=execution, threads=group.threads)
    state.load_state_dict(torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True))
    _take_part(state, group)
    return state, dataset


def train_along(group: Group, load: Callable[[TrainConfig], ImageDataset], control: Control) -> None:
    """On the other ranks: trains with rank 0 until it needs this rank no longer.

    Rank 0 may begin training several times with one state: after a full disk, and after that to write what is missing.

    Arguments and errors as in follow(); see also train().
    """
    group.over = False
    state, dataset = follow(group, load)
    while not group.over:
        for _ in train(state, dataset, control):
            pass


def _take_part(state: TrainState, group: Group) -> None:
    """Makes a state that of one of several ranks, in place."""
    config = state.config
    refuse_settings(config, group.count)
    group.divide(config)
    state.ranks = group
    state.execution, state.most_threads = replace(state.execution, threads=group.threads), group.threads
    rng = RankGenerator(state.device)
    rng.set_state(state.rng.get_state())
    rng.part, state.rng = group.part, rng
    for module in (*state.generator.modules(), *state.discriminator.modules()):
        if isinstance(module, Chance):
            module.rng = rng
        if isinstance(module, OverRanks):
            module.whole_mean = group.whole_mean
        if isinstance(module, MinibatchDiscrimination):
            module.whole_rows = group.whole_rows
    if config.batch_norm_over == "batch":
        for network in (state.generator, state.discriminator):
            normalize_whole_batches(network, group)
