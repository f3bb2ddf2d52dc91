"""A run's health in one line, for lists of runs: the doctor's verdict, and what to try first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan.config import TrainConfig
from gan.doctor.summary import Outlook
from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.text import plain
from ui.workshop import checkups

SIGNS = {  # of an outlook: icon and color
    Outlook.ALARM: (":material/error:", "red"),
    Outlook.WARNING: (":material/warning:", "orange"),
    Outlook.RECOVERING: (":material/trending_up:", "gray"),
    Outlook.TOO_EARLY: (":material/hourglass_top:", "gray"),
    Outlook.UNSURE: (":material/visibility:", "orange"),
    Outlook.HEALTHY: (":material/check_circle:", "green"),
    Outlook.GOOD: (":material/explore:", "green"),
}
WRONG = frozenset({Outlook.ALARM, Outlook.WARNING, Outlook.RECOVERING})


@dataclass(frozen=True)
class Health:
    """A run's health.

    Attributes:
        outlook: which kind.
        text: one sentence without a period, as plain text.
        remedy: what to try first, as plain text; empty if there is nothing to try, or the run is getting better by itself.
    """

    outlook: Outlook
    text: str
    remedy: str = ""

    @property
    def wrong(self) -> bool:
        return self.outlook in WRONG

    @property
    def line(self) -> str:
        """The text as Markdown, with an icon in front."""
        icon, color = SIGNS[self.outlook]
        advice = f" Try: {plain(self.remedy)}." if self.remedy else ""
        return f":{color}[{icon} {plain(self.text)}.]{advice}"


def health(run: Run) -> Health | None:
    """A run's health; None for one that has not begun, or whose files cannot be read."""
    if run.state in (RunState.QUEUED, RunState.PREPARING):
        return None
    checkup = checkups().of(run)
    try:
        checkup.findings()
        config = run.live_config
    except CheckpointError:
        return None
    verdict = checkup.verdict
    first = verdict.finding.remedies[0] if verdict.finding and verdict.finding.remedies else None
    advice = changes_text(config, first.changes) if first and verdict.outlook is not Outlook.RECOVERING else ""
    return Health(verdict.outlook, verdict.text, advice)


def health_line(run: Run) -> str:
    """What is wrong with a run and what to try first, as one line of Markdown; empty if nothing is known to be wrong."""
    about = health(run)
    return about.line if about and about.wrong else ""


def changes_text(config: TrainConfig, changes: Mapping[str, Any]) -> str:
    """What a remedy changes: "Discriminator learning rate 0.01 → 0.0005"."""
    fields = TrainConfig.model_fields
    return "; ".join(f"{fields[name].title} {value_words(getattr(config, name))} → {value_words(value)}" for name, value in changes.items())


def value_words(value: object) -> str:
    """A setting's value in the words of remedies."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
