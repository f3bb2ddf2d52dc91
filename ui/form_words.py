"""Errors about settings in the words of the form: its labels instead of the settings' names."""

import re

from gan.config import SettingsError, TrainConfig
from gan.runs.run import explain

_TITLES = {name: str(info.title) for name, info in TrainConfig.model_fields.items()}
# One-word names are also ordinary words: they count as names only at the beginning and after these words.
_LONG = "|".join(sorted((name for name in _TITLES if "_" in name or name in ("r1", "r2")), key=len, reverse=True))
_SHORT = "|".join(name for name in _TITLES if "_" not in name)
_NAMES = re.compile(rf"\b({_LONG})\b|(?:^|(?<=with )|(?<=but )|(?<=turn )|(?<=multiple of ))({_SHORT})\b(?! set)")
_RULES = (
    ("less than or equal to", "at most"),
    ("greater than or equal to", "at least"),
    ("less than", "below"),
    ("greater than", "above"),
    ("discriminator_norm 'none'", "discriminator_norm set to none"),
)
_NUMBER = re.compile(r"\b(got|at most|at least|above|below) (\d{1,16})(\.0)?(?![\w'-]|\.\d)")


def in_form_words(text: str) -> str:
    """What is wrong with settings, as a sentence in the form's words; plain text.

    "batch_size must be less than or equal to 1024; got 5000" -> "Batch size must be at most 1,024; got 5,000".
    """
    for rule, words in _RULES:
        text = text.replace(rule, words)
    text = _NAMES.sub(lambda found: _TITLES[found[1] or found[2]], text)
    return _NUMBER.sub(lambda found: f"{found[1]} {int(found[2]):,}", text)


def faults_of(error: ValueError) -> list[tuple[str, str]]:
    """(field, sentence in the form's words) for each thing that is wrong; the field is empty if no single one is at fault."""
    faults = error.faults if isinstance(error, SettingsError) else [("", str(error))]
    return [(field, words[:1].upper() + words[1:]) for field, sentence in faults if (words := in_form_words(sentence))]


def refusal(error: BaseException) -> str:
    """Why something was refused, in the form's words."""
    return in_form_words(explain(error))
