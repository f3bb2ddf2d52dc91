"""A sheet of paper to draw on; a generator's translation of the drawing follows the pen."""

from gan.explore.translators import TranslatorModel
from ui.components.component import component

_HTML = """
<section class="drawing" aria-label="Draw, and the translation follows">
  <div class="dr-part">
    <canvas class="dr-paper" width="512" height="512" tabindex="0" role="img" aria-describedby="drawing-keys"
      aria-label="Paper to draw on: arrow keys move the pen, the space bar puts it down and lifts it"></canvas>
    <p class="dr-buttons">
      <button type="button" class="dr-rub" aria-pressed="false">Erase</button>
      <button type="button" class="dr-undo">Undo</button>
      <button type="button" class="dr-clear">Clear</button>
      <button type="button" class="dr-other">Another outline</button>
    </p>
    <p class="dr-keys" id="drawing-keys">By keyboard: arrow keys move the pen, the space bar puts it down and lifts it.</p>
  </div>
  <figure class="dr-part">
    <canvas class="dr-picture" role="img" aria-label="What the generator makes of the drawing"></canvas>
    <figcaption class="dr-reading"></figcaption>
    <p class="dr-fault" role="alert"></p>
  </figure>
</section>
"""

_component = component("drawing", _HTML, "follower")


def drawing(model: TranslatorModel, start: int | None, page: str) -> None:
    """Draws the paper and the picture next to it.

    Args:
        model: the generator.
        start: the outline on the paper at first; None for generators of other images, which start with empty paper.
        page: the page's url_path, from which the component finds the address of the server behind any prefix.
    """
    _component(key="drawing", data={"model": model.id, "size": model.config.image_size, "start": start, "page": page})
