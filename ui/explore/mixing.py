"""Explore's style mixing: a table of images, each with some styles of its row's seed and the rest of its column's."""

import streamlit as st
import torch

from gan.explore.mixing import mixed
from gan.explore.models import Model, find_model
from gan.glossary import explain
from gan.images import tile, webp
from gan.networks.stylegan import split_of_styles
from ui.components.style_table import style_table
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import NOISE_HELP, read_seeds, stamp
from ui.explore.share import share
from ui.pictures import data_url
from ui.workshop import models

MOST_COLUMNS, MOST_ROWS = 8, 6
SPLITS = {"coarse": "Coarse", "middle": "Middle", "fine": "Fine"}
DEFAULT = "coarse"


@st.fragment
def view(model: Model, label: int) -> None:
    """Rows and columns of seeds; the rows' styles in coarse, middle or fine layers."""
    splits = split_of_styles(model.config.image_size)
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    with first.container(horizontal=True, vertical_alignment="bottom"):
        across = st.text_input(
            "Columns", "1-5", key="columns", bind="query-params", help="Seeds of the images that give all other styles.", width=160
        )
        down = st.text_input(
            "Rows", "11-14", key="rows", bind="query-params", help="Seeds of the images that give the chosen styles.", width=160
        )
        seeds_dice({"columns": MOST_COLUMNS, "rows": MOST_ROWS})
    split = second.segmented_control(
        "Styles from the rows",
        list(SPLITS),
        default=DEFAULT,
        format_func=SPLITS.__getitem__,
        key="split",
        bind="query-params",
        required=True,
        help=explain("style mixing"),
    )
    split = split or DEFAULT  # ?split= clears even what is required
    with st.container(horizontal=True, vertical_alignment="center"):
        psi = float(
            st.slider("Truncation", 0.0, 1.0, 1.0, 0.05, key="truncation", bind="query-params", help=explain("truncation"), width=320)
        )
        noise = st.toggle("Noise", True, key="noise", bind="query-params", help=NOISE_HELP)
    columns, rows = read_seeds(across, 1, MOST_COLUMNS), read_seeds(down, 1, MOST_ROWS)
    if not columns or not rows:
        return
    sheet = drawn(model.id, stamp(model), columns, rows, split, psi, noise, label)
    style_table(sheet, columns, rows, split)
    start, end = splits[split]
    st.caption(f"Rows give the {split} styles, {start + 1} to {end} of {splits['fine'][1]}, columns the rest.")
    share(snippets.mixing(model.id, columns, rows, split, psi, noise, model.class_names[label] if model.class_names else None))


@st.cache_data(show_spinner=False, max_entries=200)
def drawn(model_id: str, stamp: int, columns: list[int], rows: list[int], split: str, psi: float, noise: bool, label: int) -> str:
    """One picture with all images, as a data URL: the columns' own images in the first row, the rows' own in the first column.

    stamp: the file's modification time, so a newer file is drawn again.
    """
    model = find_model(models().root, model_id)
    network = models().styled(model)
    w = network.truncated(models().styles(model, model.z([*columns, *rows]), label), psi)
    of_columns, of_rows = w[: len(columns)], w[len(columns) :]
    inside = mixed(of_columns, of_rows, *split_of_styles(model.config.image_size)[split], network.styles_count)
    alone = w[:, None].expand(-1, network.styles_count, -1)
    above = torch.cat([network.mean_w.expand(1, network.styles_count, -1), alone[: len(columns)]])  # the corner is not shown
    table = [above, *(torch.cat([own[None], row]) for own, row in zip(alone[len(columns) :], inside, strict=True))]
    images = models().images_of_styles(model, torch.cat(table), noise)
    return data_url(webp(tile(images, columns=len(columns) + 1, gap=0)), "webp")
