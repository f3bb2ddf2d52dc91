"""A - B + C with latent vectors: three groups of pictures, and the result among eight close variants."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st
import torch

from gan.explore import attributes
from gan.explore.models import Model
from gan.latent import deviation, usual_lengths
from ui.components.component import component
from ui.components.latent_sliders import rounded

STRONGEST = 6.0  # times the difference of A and B
MOST_JITTER = 1.0
SENT = 12  # seeds of a large group that are sent to the browser, which shows some

_HTML = """
<section class="ar" aria-label="Arithmetic">
  <div class="ar-sum">
    <div class="ar-groups"></div>
    <div class="ar-right">
      <span class="ar-equals">=</span>
      <div class="ar-result" role="img" aria-label="The result, in the middle of eight that differ from it a little"></div>
      <p class="ar-reading"></p>
      <p class="ar-fault" role="alert"></p>
      <label class="ar-strength" title="How many times A − B is added to C."><span>Strength <output></output></span>
        <input type="range" class="even-range" aria-label="Strength" min="0" max="STRONGEST" step="0.1"></label>
      <label class="ar-jitter" title="How far each number of z differs, at random, in the eight pictures around the middle.">
        <span>Jitter <output></output></span><input type="range" class="even-range" aria-label="Jitter" min="0" max="MOST_JITTER" step="0.05"></label>
    </div>
  </div>
  <fieldset class="ar-which" aria-label="Which group a click puts a picture into">
    <span>A click puts a picture into</span>
    <label><input type="radio" name="ar-group" value="a" checked> A</label>
    <label><input type="radio" name="ar-group" value="b"> B</label>
    <label><input type="radio" name="ar-group" value="c"> C</label>
    <button type="button" class="ar-more">Other pictures</button>
  </fieldset>
  <div class="ar-grid"></div>
</section>
"""
_HTML = _HTML.replace("MOST_JITTER", f"{MOST_JITTER:g}").replace("STRONGEST", f"{STRONGEST:g}")
_HTML = _HTML.replace('little"></div>', f'little">{"<canvas></canvas>" * 9}</div>')

_component = component("arithmetic", _HTML, "follower", "even_range")
KEY = "arithmetic"


@dataclass(frozen=True)
class Group:
    """Some samples, and their mean.

    Attributes:
        title: what they are.
        vector: (latent_dim,), the mean of their latent vectors.
        seeds: their seeds.
        picked: whether they were chosen one by one, not by a shared attribute.
    """

    title: str
    vector: torch.Tensor
    seeds: tuple[int, ...]
    picked: bool


def arithmetic(
    model: Model,
    class_name: str | None,
    groups: list[Group],
    strength: float,
    jitter: float,
    round: int,
    on_picked: Callable[[], None],
) -> tuple[float, float]:
    """Draws the groups, the result, and pictures to choose from.

    Args:
        model: the generator.
        class_name: the class to draw, of a conditional generator.
        groups: A, B, C.
        strength, jitter: initial values of their sliders: 0 to STRONGEST times the difference; up to MOST_JITTER on each number of z.
        round: another number resets the sliders.
        on_picked: called before the script runs, when a picture was added to a group or removed from it; see picked().

    Returns:
        The last strength and jitter.
    """
    config = model.config
    data = {
        "model": model.id,
        "label": class_name,
        "page": "explore",
        "size": config.image_size,
        "groups": [
            {
                "letter": letter,
                "title": group.title,
                "seeds": list(group.seeds if group.picked else group.seeds[:SENT]),
                "count": len(group.seeds),
                "picked": group.picked,
                "vector": rounded(group.vector),
                "picture": rounded(group.vector if group.picked else _as_noise(group.vector, config.latent_distribution)),
            }
            for letter, group in zip("abc", groups, strict=True)
        ],
        "bound": 1.0 if config.latent_distribution == "uniform" else None,
        "known": usual_lengths(config.latent_dim, config.latent_distribution),
        "noise": [rounded(noise) for noise in attributes.jitter(config.latent_dim)],
        "strength": strength,
        "jitter": jitter,
        "round": round,
    }
    told = _component(key=KEY, data=data, default={"at": None, "picked": None}, on_at_change=lambda: None, on_picked_change=on_picked)
    if not isinstance(told.at, Mapping) or told.at.get("round") != round:  # the sliders have not been moved yet
        return strength, jitter
    return bounded(told.at.get("strength"), STRONGEST, strength), bounded(told.at.get("jitter"), MOST_JITTER, jitter)


def _as_noise(vector: torch.Tensor, distribution: str) -> torch.Tensor:
    """A vector scaled to the usual length of z: means of many are near zero, where generators were hardly trained."""
    long = vector / vector.norm().clamp_min(1e-12) * (len(vector) ** 0.5 * deviation(distribution))
    return long.clamp(-1, 1) if distribution == "uniform" else long


def picked() -> dict[str, str]:
    """The seeds of the last changed group, by its letter, from the browser: untrusted."""
    told = st.session_state.get(KEY, {}).get("picked")
    return {letter: str(told[letter]) for letter in "abc" if isinstance(told, Mapping) and letter in told}


def bounded(value: object, most: float, otherwise: float) -> float:
    """A number from a browser or an address, clamped to 0 to `most`; `otherwise` if it is not a number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return otherwise
    return otherwise if math.isnan(number) else min(most, max(0.0, number))
