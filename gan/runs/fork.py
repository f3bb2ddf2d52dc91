"""Forks: a new run that continues from another run's saved state, with some settings changed."""

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gan.config import TrainConfig
from gan.events import Done
from gan.files import claimed
from gan.judging.judgements import Judgement, best_of
from gan.networks.generator_file import CheckpointError, first_line
from gan.runs.folder import RunFolder, interventions, link_or_copy, save_whole
from gan.runs.jsonlines import JsonLines
from gan.runs.states import RunState
from gan.training.loop import extend
from gan.training.saved_state import live_settings


def fork(
    parent: RunFolder,
    path: Path,
    wanted: int,
    changes: dict[str, Any],
    unit: str | None = None,
    amount: float | None = None,
    owner: str = "",
    owner_id: str = "",
) -> RunFolder:
    """Makes a new run's folder that continues from the parent's saved state nearest to a step, with some settings changed.

    It also gets the parent's logs up to there, so its curves continue the parent's. config.json names the parent: run, step, how many
    of the logged changes are the parent's, and the settings that changed, each with its old and its new value.

    Args:
        parent: the run to fork from.
        path: of the new run; must not exist.
        wanted: a step; the state nearest to it is used.
        changes: settings; `duration` counts from the parent's start.
        unit, amount: how much longer it trains; by default, up to its settings' duration.
        owner, owner_id: the new run's owner, not the parent's.

    Raises:
        CheckpointError: the parent has no saved state, it cannot be read, or `path` exists.
        ValueError: the settings do not fit together, or would need other networks.
    """
    step, file = nearest_state(parent, wanted)
    stored = parent.read_state(file)
    config, parents = parent.read_config()
    about = dict(parents)
    live = live_settings(stored["config"])
    try:
        before = config.change(**live)
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be forked from: {first_line(error)}") from None
    after = before.change(**changes)
    if fixed := [name for name in TrainConfig.fixed_fields() if getattr(before, name) != getattr(after, name)]:
        raise ValueError(f"{', '.join(fixed)} cannot change in a fork, because it continues from trained weights: start a new run instead")
    same_data = (after.data, after.data_split) == (before.data, before.data_split)
    images = about.get("data_images") if same_data else None
    if unit == "epochs" and not images:
        raise ValueError("give the duration in steps or seconds: the epochs of the fork's new data set have an unknown length")
    done = Done.of(stored)
    after = extend(after, unit, amount, done, after.images_per_epoch(images))
    stored["config"] = after.model_dump()
    if after.seed != before.seed:  # different random numbers from here on
        stored["rng"], stored["device"] = torch.Generator().manual_seed(after.seed + 1 + step).get_state(), "cpu"
    if after.precision not in ("auto", stored["precision"]):
        stored["precision"] = after.precision
    if not same_data:
        about |= {**dict.fromkeys(("data_fingerprint", "data_labels", "data_images")), "data_skipped": [], "data_skipped_count": 0}
    changed = {name: [getattr(before, name), value] for name, value in after if name in changes and value != getattr(before, name)}
    script = parent.read_script()[: int(stored["changes"])]
    origin = {"run": parent.path.name, "step": step, "changes": len(interventions(script)), "settings": changed}
    about |= {"owner": owner, "owner_id": owner_id, "seed": after.seed, "data": after.data, "config": after.model_dump(), "parent": origin}

    if path.exists():
        raise CheckpointError(f"the run {path.name} already exists: give the fork another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = RunFolder(path.with_name(f".{path.name}.part"))
    with claimed(part.path):  # fails if it exists: it belongs to someone else and stays
        try:
            part.write_json(part.config_file, about)
            part.write_status(state=RunState.QUEUED, **asdict(done), started=time.time(), ended=None, error=None)
            _copy_history(parent, part, step, int(stored["changes"]), judged=same_data)
            save_whole(stored, part.fork_file)
            link_or_copy(part.fork_file, part.state_file)
            part.path.rename(path)
        except BaseException:
            shutil.rmtree(part.path, ignore_errors=True)
            raise
    return RunFolder(path)


def nearest_state(parent: RunFolder, wanted: int) -> tuple[int, Path]:
    """The saved state nearest to a step, and that state's step.

    Raises:
        CheckpointError: there is none, or none can be read; the message says why.
    """
    files = parent.usable_states()
    if not files:
        saved = [parent.state_file, *(parent.kept_state_file(at) for at in parent.state_steps())]
        if unusable := next((file for file in saved if file.exists()), None):
            parent.read_state(unusable)  # says what is wrong with it
        raise CheckpointError(f"the run {parent.path.name} has no saved state yet: the first one is saved after its first step")
    step = min(files, key=lambda at: abs(at - wanted))
    return step, files[step]


def _copy_history(parent: RunFolder, child: RunFolder, step: int, changes: int, judged: bool) -> None:
    """Copies what the parent logged and drew up to a step. judged: also its scores, which only apply to the same images."""
    logged_until = parent.logged_until(step, changes)
    if not judged:
        logged_until[parent.judge_file] = []
    for logged, rows in logged_until.items():
        JsonLines(child.path / logged.name).rewrite(rows)
    for shown in parent.sample_steps():
        if shown <= step:
            link_or_copy(parent.samples_file(shown), child.samples_file(shown))
    best = best_of(map(Judgement.of, logged_until[parent.judge_file]))
    for kept in parent.generator_steps():
        if kept == step or (best and kept == best.step):
            link_or_copy(parent.generator_file(kept), child.generator_file(kept))
