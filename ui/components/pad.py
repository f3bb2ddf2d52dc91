"""The pad: four latent vectors at the corners of a square, and the picture between them follows the finger."""

from gan.explore.models import Model
from ui.components.component import component

_HTML = """
<section class="pad" aria-label="Pad">
  <div class="pad-square" tabindex="0" role="group" aria-roledescription="two-dimensional slider"
    aria-label="Between the latent vectors at the corners. Arrow keys move the point; with Shift they move the map.">
    <canvas class="pad-map"></canvas>
    <span class="pad-corner"></span><span class="pad-corner"></span><span class="pad-corner"></span><span class="pad-corner"></span>
    <i class="pad-dot"></i>
  </div>
  <figure class="pad-figure">
    <canvas class="pad-picture" role="img" aria-label="The picture at the point"></canvas>
    <figcaption class="pad-reading"></figcaption>
    <p class="pad-fault" role="alert"></p>
    <p class="pad-buttons">
      <button type="button" class="pad-pan" aria-pressed="false" title="Drag the map instead of the point, as with Shift">Move the map</button>
      <button type="button" class="pad-home">Back to the first corners</button>
    </p>
    <p class="pad-hint" role="status"></p>
  </figure>
</section>
"""

_component = component("pad", _HTML, "follower")


def pad(
    model: Model, seeds: list[int], class_name: str | None, place: tuple[float, float, float, float], cells: int, page: str
) -> list[float]:
    """Draws the pad.

    Args:
        model: the generator.
        seeds: the first four corners: top left, top right, bottom left, bottom right. Every other crossing of the endless
            grid has its own fixed seed.
        class_name: the class to draw, of a conditional generator.
        place: initial position: the map's left and top edge, and the point, in cells of the grid.
        cells: number of cells across the map.
        page: the page's url_path, from which the component finds the address of the server behind any prefix.

    Returns:
        The last place.
    """
    data = {"model": model.id, "seeds": seeds, "label": class_name, "place": list(place), "cells": cells, "page": page}
    data |= {"size": model.config.image_size}
    told = _component(key="pad", data=data, default={"place": list(place)}, on_place_change=lambda: None)
    return [float(value) for value in told.place]
