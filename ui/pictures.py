"""Pictures that travel with the page, as data URLs. For small ones: even a page with a hundred is complete at once.

Streamlit serves the bytes given to st.image() at a separate address, and drops it as soon as the session shows another page. A
browser that was still loading the pictures of the page before got a 404 for each.
"""

import base64

import numpy as np

from gan.images import png


def data_url(content: bytes, kind: str = "png") -> str:
    """A picture file as a URL that holds it. kind: the second half of its MIME type."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def inline(image: np.ndarray) -> str:
    """uint8 (C, H, W), C 1 or 3 -> for st.image()."""
    return data_url(png(image, 1))
