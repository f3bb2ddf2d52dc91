"""A run's name in lists: its owner, then the name that the owner chose, or the recipe and what differs from it.

Knows nothing about pages.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gan.config import TrainConfig
from gan.networks.generator_file import CheckpointError
from gan.owners import clean_name
from gan.recipes import RECIPES
from gan.runs.run import Run
from gan.runs.stored import StoredRun
from gan.untrusted import is_whole

SEPARATOR = " · "
MOST_DIFFERENCES = 3  # settings that a name lists; more are counted
LONGEST_VALUE = 24  # characters of one setting's value
LONGEST_LABEL = 90  # characters
ID_DIGITS = 4  # of a run's id, if two runs would have the same name

# Shorter than the form's labels.
_SHORT = {"lr_g": "G's rate", "lr_d": "D's rate", "seed": "seed"}
_NONE_AT_0 = {"principal_components"}  # a name says "no ..." of these
_UNITS = {"average_half_life": "images", "principal_components": "images"}  # for names that do not say what the number counts
# The duration says little about what a run tries out, and a fork or a limit of the server changes it.
_UNNAMED = {"duration", "duration_unit", "log_every", "grid_every", "grid_images", "snapshot_every", "precision", "seed"}


def label(run: Run) -> str:
    """A run's name in every list, on one line. Everything in it may come from elsewhere: escape it for Markdown and HTML."""
    try:
        config = run.config
    except CheckpointError:
        return run.id
    owner = clean_name(run.stored.owner)
    parts = [run.given_name] if run.given_name else _made_of(config, run.stored)
    return _cut(SEPARATOR.join([owner, *parts] if owner else parts), LONGEST_LABEL)


def labels(runs: Iterable[Run]) -> dict[str, str]:
    """The names of several runs by id, all different: if two would be the same, the end of the id is added."""
    names = {run.id: label(run) for run in runs}
    taken = Counter(names.values())
    ends = {i: name if taken[name] == 1 else f"{name}{SEPARATOR}{i[-ID_DIGITS:]}" for i, name in names.items()}
    taken = Counter(ends.values())
    return {i: name if taken[name] == 1 else f"{names[i]}{SEPARATOR}{i}" for i, name in ends.items()}


def listed(name: str, run_id: str) -> str:
    """A run in a list to choose from: its name and its id, so people can find it by either."""
    return name if run_id in name else f"{name.removesuffix(f'{SEPARATOR}{run_id[-ID_DIGITS:]}')}{SEPARATOR}{run_id}"


def _made_of(config: TrainConfig, stored: StoredRun) -> list[str]:
    """The recipe, the step of the fork, whose networks it began with, and the settings that differ from the recipe's."""
    recipe = RECIPES.get(stored.recipe)
    first = recipe.name if recipe else _cut(clean_name(stored.recipe), LONGEST_VALUE) or "own settings"
    step = stored.parent.get("step") if stored.parent else None
    forked = [f"fork at {step:,}"] if is_whole(step) else []
    origin = stored.origin.get("run") if stored.origin else None
    begun = [f"from {_cut(clean_name(origin), LONGEST_VALUE)}"] if isinstance(origin, str) else []
    base = recipe.config if recipe else TrainConfig(data=config.data)
    changed = [field for field, value in base if field not in _UNNAMED and getattr(config, field) != value]
    if config.seed != base.seed:
        changed.append("seed")  # last: it distinguishes names that are otherwise the same
    if config.augmentation_target and "augmentation_target" in changed and "diffaugment" in changed:
        changed.remove("diffaugment")  # "adaptive augmentation 0.6" says enough
    words = [_setting(field, getattr(config, field)) for field in changed]
    more = len(words) - MOST_DIFFERENCES
    shown = words if more <= 0 else [*words[:MOST_DIFFERENCES], f"{more} more"]
    return [first, *forked, *begun, *shown]


def _setting(name: str, value: object) -> str:
    """One setting in a few words: "D's rate 0.1", "batch size 32", "no mirror at random"."""
    if name == "data":
        return _cut(clean_name(Path(str(value)).name), LONGEST_VALUE) or "own data"
    title = str(TrainConfig.model_fields[name].title)
    words = _SHORT.get(name) or (title if title[:2].isupper() or not title[1:2].islower() else title[0].lower() + title[1:])
    if isinstance(value, bool) or (name in _NONE_AT_0 and not value):
        return words if value else f"no {words}"
    if isinstance(value, int | float):
        unit = f" {_UNITS[name]}" if name in _UNITS and value else ""
        return f"{words} {number(value)}{unit}"
    return f"{words} {_cut(str(value), LONGEST_VALUE)}"


def number(value: float) -> str:
    """A number in a name: "1,000,000", "0.0002"."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
