"""A picture that lives: a wall of generated images that turn into each other, or the newest images of a run."""

from collections.abc import Callable
from typing import Any

from ui.components.component import component

_component: Callable[..., Any] = component(
    "living",
    """
<figure class="living">
  <div class="lv-frame"><canvas role="img" aria-label="Images that change"></canvas><img alt=""></div>
  <figcaption><span></span><button type="button" class="lv-pause">Pause</button></figcaption>
</figure>
""",
)


def wall(sheet: str, frames: int, columns: int, size: int, caption: str, alt: str) -> None:
    """Draws a closed film of one image many times, each copy at another moment of it. Still for who prefers no motion.

    Args:
        sheet: the address of a picture with the film's frames, row by row.
        frames: how many there are.
        columns: frames in a row of the sheet.
        size: pixels of a frame's side.
        caption: below it, as plain text.
        alt: what it shows.
    """
    _component(key="living", data={"sheet": sheet, "frames": frames, "columns": columns, "size": size, "caption": caption, "alt": alt})


def newest(run_id: str, step: int, page: str, caption: str, alt: str) -> None:
    """Draws the images that a run drew at a step; the next ones take their place without a flicker.

    page: the page's url_path, from which the component finds the address of the server behind any prefix.
    """
    _component(key="living", data={"run": run_id, "step": step, "page": page, "caption": caption, "alt": alt})
