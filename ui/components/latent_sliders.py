"""Sliders along directions of the latent space, with a picture that follows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gan.explore.directions import Directions
from gan.explore.models import Model
from gan.glossary import explain
from gan.latent import usual_lengths
from ui.components.component import component

FURTHEST = 3.0  # range of a slider to either side, in standard deviations of z
LONGEST_NAME = 40  # characters
_HTML = """
<section class="ls" aria-label="Sliders">
  <figure class="ls-figure">
    <canvas class="ls-picture" role="img" aria-label="The picture of the sliders"></canvas>
    <figcaption class="ls-reading"></figcaption>
    <div class="ls-base">
      <canvas class="ls-start" role="img" aria-label="The seed's own picture"></canvas><span class="ls-start-text"></span>
      <button type="button" class="ls-back">Back to the seed</button>
    </div>
    <p class="ls-fault" role="alert"></p>
  </figure>
  <div>
    <label class="ls-psi" title="TRUNCATION">
      <span>Truncation <output></output></span><input type="range" class="even-range" aria-label="Truncation" min="0" max="1" step="0.01">
    </label>
    <div class="ls-list"></div>
  </div>
</section>
"""

_HTML = _HTML.replace("TRUNCATION", explain("truncation"))
_component = component("latent_sliders", _HTML, "follower", "even_range")


@dataclass(frozen=True)
class Place:
    """The positions of the sliders.

    Attributes:
        values: standard deviations along each moved direction, by the direction's number.
        psi: truncation: the factor for all of z, or for the distance of w from its mean, 0 to 1.
        names: names that a person gave to directions, by their numbers.
    """

    values: dict[int, float] = field(default_factory=dict)
    psi: float = 1.0
    names: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Where:
    """What the sliders of a generator with styles move.

    Attributes:
        space: "w" or "z".
        start: the seed's vector there.
        center: the mean of w, toward which truncation goes.
        usual: the usual distances of w from it in training, shortest and longest.
        noise: whether images have noise.
    """

    space: str
    start: list[float]
    center: list[float]
    usual: tuple[float, float]
    noise: bool


def latent_sliders(
    model: Model,
    class_name: str | None,
    seed: int,
    directions: Directions,
    about: list[tuple[str, str]],
    strips: list[str],
    place: Place,
    kind: str,
    where: Where | None = None,
) -> Place:
    """Draws the sliders.

    Args:
        model: the generator.
        class_name: the class to draw, of a conditional generator.
        seed: names the latent vector that the sliders change.
        directions: at most gan.directions.MOST.
        about: name and a sentence for each of them.
        strips: the address of a strip for each: five pictures from -FURTHEST to FURTHEST.
        place: their initial positions.
        kind: of directions; names are stored by generator and kind.
        where: for a generator with styles.

    Returns:
        The last positions.
    """
    config = model.config
    whose = f"{model.id}:{class_name or ''}:{kind}"
    data = {
        "model": model.id,
        "label": class_name,
        "page": "explore",
        "size": config.image_size,
        "seed": seed,
        "z": rounded(model.z([seed])[0]),
        "bound": 1.0 if config.latent_distribution == "uniform" else None,
        "known": usual_lengths(config.latent_dim, config.latent_distribution),
        "directions": [
            {"number": number, "name": name, "about": words, "vector": rounded(vector), "strip": strip}
            for number, (name, words), vector, strip in zip(directions.numbers, about, directions.vectors, strips, strict=True)
        ],
        "values": place.values,
        "psi": place.psi,
        "names": place.names,
        "memory": f"workshop:names:{whose}",
    }
    if where:
        data |= {"styled": True, "noise": where.noise}
    if where and where.space == "w":
        data |= {"z": where.start, "center": where.center, "bound": None, "known": where.usual}
    told = _component(key=f"sliders:{whose}", data=data, default={"at": None}, on_at_change=lambda: None)
    return place if told.at is None else checked(told.at.get("values"), told.at.get("psi"), told.at.get("names"))


def checked(values: object, psi: object, names: object) -> Place:
    """A place from a browser or an address, without invalid parts."""
    return Place(
        {number: moved for key, value in _items(values) if (number := _number(key)) is not None and (moved := _within(value, FURTHEST))},
        1.0 if (kept := _within(psi, 1.0)) is None else max(0.0, kept),
        {
            number: name
            for key, value in _items(names)
            if (number := _number(key)) is not None and isinstance(value, str) and (name := value.strip()[:LONGEST_NAME])
        },
    )


def _items(value: object) -> list[tuple[object, object]]:
    return list(value.items())[:1000] if isinstance(value, Mapping) else []


def _number(text: object) -> int | None:
    """A direction's number."""
    return int(str(text)) if str(text).isascii() and str(text).isdigit() and len(str(text)) < 5 else None


def _within(value: object, most: float) -> float | None:
    """A number clamped to +-most; None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else round(min(most, max(-most, number)), 2)


def rounded(vector: torch.Tensor) -> list[float]:
    """A vector in the form that is sent to browsers."""
    return [round(value, 4) for value in vector.tolist()]
