"""Several runs next to each other: settings that differ, progress, grids that belong together.

Reads runs; knows nothing about pages or about how charts are drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gan.config import TrainConfig
from gan.events import Intervention
from gan.judging.judgements import Best, Judgement
from gan.runs.folder import is_run_name
from gan.runs.run import Run
from gan.runs.stored import Status, StoredRun
from gan.untrusted import is_number, is_whole
from ui.charts import AXES, Curve, changed, positions, setting_title, value_text

MOST_RUNS = 6
MOST_POINTS = 600  # of a curve: a chart is about as many pixels wide
MOST_ROWS = 4000  # of a history, to find out when a grid was drawn

Row = tuple[str, list[str]]  # its name, and one text per run


@dataclass(frozen=True)
class Parent:
    """Where a run was forked: from which run, at which step.

    Attributes:
        changes: how many of the run's interventions are its parent's; its settings include these.
        settings: what was changed by the fork: field -> [old, new].
    """

    run: str
    step: int
    changes: int = 0
    settings: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """The data of a run for the comparison, at one moment.

    Attributes:
        grids: the steps of its saved sample grids, rising.
        columns: its history, thinned to MOST_POINTS rows; `rows` to MOST_ROWS.
    """

    id: str
    name: str
    config: TrainConfig
    stored: StoredRun
    status: Status
    columns: dict[str, list[Any]]
    rows: dict[str, list[Any]]
    grids: list[int]
    changes: list[Intervention]
    parent: Parent | None
    judged: list[Judgement] = field(default_factory=list)  # the scores while it trained
    best: Best | None = None

    def positions(self, axis: str) -> list[float]:
        """The positions of its grids along an axis (one of ui.charts.AXES)."""
        # The last grid may be later than the last line of the history; the status knows its position.
        ends = {name: [*self.rows[name], self.status.get(name)] for name in AXES}
        return [float(x) for x in positions(ends, axis, self.grids)]


def look_at(run: Run, name: str = "") -> Compared:
    """The current data of a run.

    Raises:
        CheckpointError: its settings cannot be read.
    """
    config, stored, history = run.config, run.stored, run.history
    return Compared(
        run.id,
        name or run.id,
        config,
        stored,
        run.status(),
        history.since(0, MOST_POINTS),
        history.since(0, MOST_ROWS),
        list(run.sample_steps),
        [Intervention(**change) for change in run.interventions],
        parent_of(stored),
        thinned(run.folder.read_judged()),
        run.folder.best(),
    )


def thinned(rows: list[Judgement]) -> list[Judgement]:
    """Judgements with a distance, evenly thinned to MOST_POINTS; the last stays."""
    known = [row for row in rows if row.fd is not None]
    every = max(1, -(-len(known) // MOST_POINTS))
    return known[(len(known) - 1) % every :: every] if known else []


def curve(run: Compared, names: dict[str, str] | None = None) -> Curve:
    """A run as the charts need it. names: names of runs by id, for the parent's name."""
    fork = None
    if run.parent:
        settings = ", ".join(changed(name, old, new) for name, (old, new) in run.parent.settings.items())
        said = f"forked from {(names or {}).get(run.parent.run, run.parent.run)}" + (f": {settings}" if settings else "")
        fork = (run.parent.step, said)
    judged = [(row.step, row.fd) for row in run.judged if row.fd is not None]
    features = str(run.judged[-1].features) if judged else ""
    return Curve(run.name, run.columns, run.config.has_scores, run.changes, fork, judged, features)


def parent_of(stored: StoredRun) -> Parent | None:
    """The fork of a run, from its config.json; None if it is not a fork, or the entry is invalid."""
    if not isinstance(stored.parent, dict):
        return None
    run, step, changes, settings = (stored.parent.get(key) for key in ("run", "step", "changes", "settings"))
    if not (isinstance(run, str) and is_run_name(run) and is_whole(step)):
        return None
    pairs = settings.items() if isinstance(settings, dict) else ()
    known = {name: pair for name, pair in pairs if isinstance(pair, list) and len(pair) == 2}
    return Parent(run, step, changes if is_whole(changes) else 0, known)


def differences(runs: Sequence[Compared], names: dict[str, str] | None = None) -> list[Row]:
    """Different settings: one row per setting that differs between runs, or that was changed in a run.

    Also data set, recipe, parent, networks to start from, and device, if they differ. names: names of runs by id.
    """
    names = names or {}
    rows: list[Row] = []

    def row(title: str, tell: Callable[[Compared], str]) -> None:
        texts = [tell(run) for run in runs]
        if len(set(texts)) > 1:
            rows.append((title, texts))

    row("Recipe", lambda run: run.stored.recipe or "own settings")
    row("Forked from", lambda run: f"{names.get(run.parent.run, run.parent.run)}, step {run.parent.step:,}" if run.parent else "–")
    row("Started from", _origin)
    for name, info in TrainConfig.model_fields.items():
        unit = info.json_schema_extra["unit"] if isinstance(info.json_schema_extra, dict) else ""
        if name == "duration":
            row(setting_title(name), lambda run: f"{value_text(run.config.duration)} {run.config.duration_unit}")
        elif name != "duration_unit":
            row(f"{info.title} ({unit})" if unit else str(info.title), lambda run, name=name: _setting(run, name))  # type: ignore[misc]
        if name == "data":
            row("Images in the data set", _images)
    row("Computed in", lambda run: ", ".join(filter(None, (run.status.precision, run.status.device))) or "–")
    return rows


def _origin(run: Compared) -> str:
    """Whose trained networks a run began with."""
    origin = run.stored.origin
    return f"{origin.get('run')}, step {origin.get('step')}" if origin else "new networks"


def _setting(run: Compared, name: str) -> str:
    """A setting's initial value, and its changes."""
    text = value_text(getattr(run.config, name))
    own = run.changes[run.parent.changes if run.parent else 0 :]
    changes = [change for change in own if change.field == name]
    if not changes:
        return text
    last = f"{text} → {value_text(changes[-1].new)}"
    return (
        f"{last} (step {changes[-1].step:,})"
        if len(changes) == 1
        else f"{last} ({len(changes)} changes, the last at step {changes[-1].step:,})"
    )


def _images(run: Compared) -> str:
    """Which images: two sets of one name may not be the same."""
    count, fingerprint = run.stored.data_images, run.stored.data_fingerprint
    return f"{count:,} ({fingerprint[:6]})" if count is not None and fingerprint else "not known yet"


def outcomes(runs: Sequence[Compared]) -> list[Row]:
    """Each run's progress, speed and last measurements."""
    rows: list[Row] = []

    def row(title: str, tell: Callable[[Compared], str]) -> None:
        rows.append((title, [tell(run) for run in runs]))

    row("State", lambda run: run.status.state.shown)
    row("Step", lambda run: f"{run.status.step:,}")
    row("Images seen", lambda run: f"{run.status.images_seen:,}")
    row("Trained for", lambda run: clock(run.status.elapsed_s))
    row("Images/s, on average", _speed)
    for key, title in (("loss_d", "Discriminator's loss"), ("loss_g", "Generator's loss"), ("d_real", "D(x)"), ("d_fake", "D(G(z))")):
        row(f"{title}, last", lambda run, key=key: _last(run, key))  # type: ignore[misc]
    if any(run.best for run in runs):
        row("Best FD", _best)
    return rows


def _best(run: Compared) -> str:
    return f"{run.best.fd:.3g} ± {run.best.error:.2g} at step {run.best.step:,}" if run.best else "–"


def _speed(run: Compared) -> str:
    seconds = run.status.elapsed_s
    return f"{run.status.images_seen / seconds:,.0f}" if seconds else "–"


def _last(run: Compared, key: str) -> str:
    value = run.rows[key][-1] if run.rows[key] else None
    if not is_number(value):
        return "–"
    return f"{value:.3g}" + (" (score)" if key.startswith("d_") and run.config.has_scores else "")


def clock(seconds: float) -> str:
    """75.2 -> "1:15"; 3675 -> "1:01:15"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def same_features(runs: Sequence[Compared]) -> bool:
    """Whether the scores of all runs that have some come from the same network, so that they can be compared."""
    return len({run.judged[-1].features for run in runs if run.judged}) <= 1


def remarks(runs: Sequence[Compared]) -> list[str]:
    """Warnings about what cannot be compared; one sentence each."""
    sentences = []
    scores = [run.name for run in runs if run.config.has_scores]
    if scores and len(scores) < len(runs):
        sentences.append(f"{_several(scores)}: the discriminator gives unbounded scores, not probabilities, so they have their own charts.")
    signs = ["◆ a setting was changed"] * any(run.changes for run in runs) + ["○ forked from another run"] * any(run.parent for run in runs)
    if signs:
        sentences.append(f"On the curves: {', '.join(signs)}. Point at one, or tap it, for details.")
    if not same_features(runs):
        sentences.append("The distances (FD) are in the features of different networks: they cannot be compared.")
    losses = {(run.config.loss, run.config.feature_matching, run.config.mean_loss_d) for run in runs}
    if len(losses) > 1:
        sentences.append("These runs use different losses: compare their trends, not their levels.")
    return sentences


def grid_remarks(runs: Sequence[Compared]) -> list[str]:
    """Whether the grids show the same latent vectors at the same places: one sentence per reason why not."""
    sentences = []
    if len({(run.config.latent_dim, run.config.latent_distribution) for run in runs}) > 1:
        sentences.append("These runs differ in latent size or distribution: their grids show different latent vectors.")
    counts = sorted({run.config.grid_images for run in runs})
    if len(counts) > 1:
        sentences.append(f"The grids differ in the number of images: the first {counts[0]} latent vectors, row by row, are in all of them.")
    if any(run.config.translates for run in runs):
        sentences.append("Runs that translate images show held-out images and their translations, not latent vectors.")
    if len({run.config.conditional for run in runs}) > 1:
        sentences.append("Some of these runs are conditional, others are not.")
    return sentences


def _several(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
