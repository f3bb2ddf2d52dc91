"""A table of images: seeds across and down, and in each cell the image that mixes their styles."""

from collections.abc import Sequence

from ui.components.component import component

_HTML = """
<section class="stt" aria-label="Style mixing">
  <table class="stt-table"></table>
  <p class="stt-reading" aria-live="polite"></p>
</section>
"""

_component = component("style_table", _HTML)


def style_table(sheet: str, columns: Sequence[int], rows: Sequence[int], split: str) -> None:
    """Draws the table.

    Args:
        sheet: the address of one picture with all images: len(rows) + 1 rows of len(columns) + 1 images without gaps; the first of each
            are the seeds' own images.
        columns, rows: seeds.
        split: which styles come from the rows: "coarse", "middle" or "fine".
    """
    _component(key="style_table", data={"sheet": sheet, "columns": list(columns), "rows": list(rows), "split": split})
