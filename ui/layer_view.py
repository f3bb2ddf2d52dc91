"""A network's layers for one input: one card each, and one opened large."""

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from gan.glossary import explain
from gan.images import enlarge, tile, to_uint8
from gan.inside.layers import Layer, blocks, choose_maps
from gan.inside.pictures import as_map, paint
from ui.pictures import inline

IN_A_CARD, LARGE = 16, 64  # maps of a layer
NARROW = "\u00a0x\u00a0"  # keeps a size on one line
CARD, MAP = 240, 96  # pixels of a card's picture and of a map that is opened, at least


def layer_view(layers: dict[str, Layer], name: str, picture: np.ndarray, key: str) -> None:
    """Draws the path of one input through a network.

    Args:
        layers: from activations().
        name: of the input.
        picture: of the input, uint8 (C, H, W).
        key: of the widget that opens a layer; its name in the address.
    """
    chosen = choose_maps(layers, LARGE)
    titles = {layer.name: f"{number} {layer.kind}" for number, layer in enumerate(layers.values(), 1)}
    with st.container(horizontal=True, gap="small", key=f"{key}_layers"):
        with _block(1, f"{key}_input"):
            _picture(picture, name, CARD)
            st.markdown(f":small[**{name}**]")
        for number, block in enumerate(blocks(layers)):
            with _block(len(block), f"{key}_{number}"):
                for layer in block:
                    with st.container(gap="xsmall"):
                        _picture(_overview(layer, chosen[layer.name]), f"{titles[layer.name]}, {layer.size}", CARD)
                        st.markdown(f":small[**{titles[layer.name]}**]", help=layer.about)
                        st.caption(f"{layer.size.replace(' x ', NARROW)}  \n{_range(layer.maps)}")
    st.caption(
        f"Each layer shows at most {IN_A_CARD} maps: those that vary most. Each map has its own scale, from black to white. "
        "In layers with negative values, blue is below 0 and red is above.",
        help=explain("feature map"),
    )
    options = {title: layers[name] for name, title in titles.items()}
    if st.session_state.get(key) not in options:  # another network's
        st.session_state.pop(key, None)
    sizes = [0 if layer.kind == "resizing" else layer.maps.size for layer in layers.values()]
    largest = sizes.index(max(sizes))  # most to see
    opened = st.selectbox("Open a layer", list(options), largest, key=key, bind="query-params", width=320)
    _large(options[opened], chosen[options[opened].name])


def _block(count: int, key: str) -> DeltaGenerator:
    """A frame around layers that belong together, side by side. theme.css enlarges it on a projector, by the count in its key."""
    return st.container(border=True, width=140 * count + 32, key=f"{key}_block_of_{count}").grid(
        count, min_column_width=64, wrap=False, gap="small"
    )


def _large(layer: Layer, chosen: list[int]) -> None:
    """One layer: what it does, and its maps with their ranges."""
    st.markdown(layer.about)
    if layer.maps.shape[1:] == (1, 1):
        _picture(_overview(layer, chosen), layer.size, 448, width=448)
        st.caption(f"{layer.size}, {_range(layer.maps)}, arranged in rows.")
        return
    pictures = paint(layer.maps[chosen], bool(layer.maps.min() < 0))
    count = len(layer.maps)
    if count > len(chosen):
        st.caption(f"The {len(chosen)} maps that vary most, of {count}. Below each: its number and range of values.")
    with st.grid("auto", min_column_width=84, gap="xsmall"):
        for number, picture in zip(chosen, pictures, strict=True):
            _picture(picture, f"Map {number}", MAP, caption=f"{number}: {_range(layer.maps[number])}")


def _overview(layer: Layer, chosen: list[int]) -> np.ndarray:
    """A layer as one picture, uint8 (3 or C, H, W)."""
    if layer.kind in ("tanh", "image"):
        return to_uint8(torch.from_numpy(layer.maps))
    signed = bool(layer.maps.min() < 0) or layer.maps.size == 1
    if layer.maps.shape[1:] == (1, 1):
        return paint(as_map(layer.maps), signed)[0]
    pictures = paint(layer.maps[chosen[:IN_A_CARD]], signed)
    return tile(enlarge(pictures, max(1, CARD // 4 // pictures.shape[-1])), gap=2)


def _range(maps: np.ndarray) -> str:
    low, high = float(maps.min()), float(maps.max())
    return f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"


def _picture(image: np.ndarray, alt: str, size: int, caption: str | None = None, width: int | str = "stretch") -> None:
    """A small picture, its pixels enlarged to about `size`."""
    st.image(
        inline(enlarge(image, max(1, size // image.shape[-1]))),
        alt=alt,
        caption=caption,
        width=width,  # type: ignore[arg-type]
    )
