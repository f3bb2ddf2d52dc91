"""A small canvas to draw on, with finger, mouse or keyboard; the drawing comes back as gray pixels."""

import base64
import binascii

import numpy as np
import streamlit as st

from ui.components.component import component

_HTML = """
<section class="sketchpad">
  <canvas tabindex="0" role="img" aria-describedby="sketchpad-keys"
    aria-label="Canvas to draw on: arrow keys move the pen, the space bar puts it down and lifts it"></canvas>
  <div class="sp-tools">
    <label>Pen <input type="range" min="0.5" max="4" step="0.25" value="1.25" aria-label="Width of the pen"></label>
    <label class="sp-rub"><input type="checkbox"> Erase</label>
    <button type="button">Clear</button>
  </div>
  <p class="sp-keys" id="sketchpad-keys">By keyboard: arrow keys move the pen, the space bar puts it down and lifts it.</p>
</section>
"""

_component = component("sketchpad", _HTML)


def sketchpad(size: int, key: str) -> np.ndarray | None:
    """Draws the canvas, white on black like MNIST's digits.

    Args:
        size: height and width of the picture in pixels.
        key: the widget's.

    Returns:
        uint8 (1, size, size), or None while nothing is drawn.

    Raises:
        ValueError: the browser sent something else.
    """
    memory = f"{key}_{size}"  # Streamlit forgets a widget that is not shown, and with it the drawing
    result = _component(
        key=f"{memory}_canvas", data={"size": size, "pixels": st.session_state.get(memory, "")}, on_pixels_change=lambda: None
    )
    if result.pixels is not None:
        st.session_state[memory] = result.pixels
    return read_pixels(st.session_state.get(memory, ""), size)


def read_pixels(text: object, size: int) -> np.ndarray | None:
    """size * size gray values in base64 -> uint8 (1, size, size); None for an empty text.

    Raises:
        ValueError: it is anything else.
    """
    if text == "":
        return None
    if not isinstance(text, str) or len(text) != -(-size * size // 3) * 4:
        raise ValueError(f"a drawing must be {size} x {size} gray values in base64")
    try:
        content = base64.b64decode(text, validate=True)
        return np.frombuffer(bytearray(content), np.uint8).reshape(1, size, size)
    except (binascii.Error, ValueError):
        raise ValueError(f"a drawing must be {size} x {size} gray values in base64") from None
