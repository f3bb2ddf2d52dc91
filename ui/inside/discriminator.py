"""D's answers to all kinds of images, and one image's way through its layers."""

from pathlib import Path
from typing import Literal

import numpy as np
import streamlit as st

from gan import glossary
from gan.data import datasets
from gan.data.form import Form
from gan.images import enlarge
from gan.inside.files import Networks
from gan.inside.layers import COMPANY, activations, affordable, answers, as_input, draw
from gan.runs.run import explain
from ui.inside.choose import class_number
from ui.judging import why_missing
from ui.layer_view import layer_view
from ui.own_image import drawing, own_image
from ui.pictures import inline
from ui.progress import Canceled, drain
from ui.text import plain
from ui.workshop import network_cache

REAL, GENERATED, UPLOADED, DRAWN = "Real", "Generated", "Your own", "Drawn"
ALONE, AMONG_REAL, AMONG_FAKES = "Alone", "Among real", "Among generated"
CHOICE = 12  # images to choose from
REFERENCE = 8  # generated images whose answers are compared with an image's


@st.cache_data(show_spinner="Asking the discriminator…", max_entries=100)
def judge(path: Path, stamp: int, images: np.ndarray, labels: list[int], company: np.ndarray | None) -> list[float]:
    """answers() of a file's networks. stamp: the file's modification time, so a newer file is asked again."""
    return answers(network_cache().get(path), images, labels, company)


@st.cache_data(show_spinner=False, max_entries=30)
def drawn(path: Path, stamp: int, seeds: list[int], label: int) -> np.ndarray:
    """draw() of a file's generator."""
    return draw(network_cache().get(path), seeds, label)


def another_draw() -> None:
    st.session_state["real_draw"] = st.session_state.get("real_draw", 0) + 1


def real_images(networks: Networks) -> tuple[np.ndarray, list[int]] | None:
    """CHOICE + COMPANY of the run's training images, and their classes; None with the reason on the page."""
    config = networks.config
    number = st.session_state.get("real_draw", 0)
    key = (config.data, *Form.of(config), config.data_split, networks.class_names, number)
    kept = st.session_state.get("real_images")
    if kept and kept[0] == key:
        return kept[1]
    name = plain(config.data)
    if reason := why_missing(config, "run", "Choose Generated above, or draw an image."):
        st.info(reason, icon=":material/info:")
        return None
    cancel = Canceled("canceled", key)
    if cancel.waits(f"Loading the data set {name} was canceled.", "Load the real images", ":material/photo_library:"):
        return None
    try:
        dataset = drain(datasets.load_for(config), "cancel_load", cancel)
    except (ValueError, OSError) as error:
        st.error(f"The data set {name} cannot be read: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None
    which = np.random.default_rng(number).choice(len(dataset), CHOICE + COMPANY, replace=len(dataset) < CHOICE + COMPANY)
    labels = []
    if networks.class_names:
        if dataset.class_names != networks.class_names or dataset.labels is None:
            st.error(f"The data set {name} has other classes than when the run began.", icon=":material/error:")
            return None
        labels = dataset.labels[which].tolist()
    kept = (key, (dataset.images[which].numpy(), labels))
    st.session_state["real_images"] = kept
    return kept[1]


def as_text(networks: Networks, answer: float) -> str:
    """A probability or a score as text."""
    return f"{answer:.3g}" if networks.config.has_scores else f"{answer:.2f}"


def pick(number: int) -> None:
    st.session_state["picked"] = number


def pick_one(networks: Networks, images: np.ndarray, numbers: list[float], what: str) -> int:
    """A row of images with D's answer on a button below each; returns the image whose button was pressed last."""
    st.caption("D's answer is below each image. Press one to open that image.")
    picked = min(st.session_state.get("picked", 0), len(images) - 1)
    small = enlarge(images, max(1, 84 // images.shape[-1]))
    with st.grid("auto", min_column_width=68, gap="xsmall"):
        for i, (image, number) in enumerate(zip(small, numbers, strict=True)):
            with st.container(gap="xsmall"):
                st.image(inline(image), alt=f"{what} {i + 1}", width="stretch")
                kind: Literal["primary", "secondary"] = "primary" if i == picked else "secondary"
                st.button(as_text(networks, number), key=f"pick{i}", type=kind, on_click=pick, args=(i,), width="stretch")
    return picked


def discriminator_view(networks: Networks, path: Path) -> None:
    """From an image to an answer: D's answers to all kinds of images, and the way of one of them."""
    config = networks.config
    st.markdown("See how the discriminator answers an image, layer by layer.")
    with st.container(horizontal=True, gap="medium"):
        kinds = [REAL, GENERATED, UPLOADED] + ([DRAWN] if config.channels == 1 else [])
        if st.session_state.get("image", REAL) not in kinds:
            st.session_state.pop("image", None)
        kind = st.segmented_control("Image", kinds, default=REAL, key="image", bind="query-params", required=True, wrap=True)
        kind = kind or REAL  # ?image= clears even what is required
        judged = ALONE
        if networks.depends_on_company:
            judged = st.segmented_control(
                "Batch",
                [ALONE, AMONG_REAL, AMONG_FAKES],
                default=AMONG_FAKES if config.compares_images else ALONE,
                key="judged",
                bind="query-params",
                required=True,
                wrap=True,
                help="Batch normalization makes D's answer depend on the other images in the batch. Alone uses the averages from training.",
            )
            judged = judged or (AMONG_FAKES if config.compares_images else ALONE)  # ?judged= clears even what is required
    needs_real = kind == REAL or judged == AMONG_REAL
    real = real_images(networks) if needs_real else None
    if needs_real and real is None:
        return
    label = 0 if kind == REAL else class_number(networks, "Class", "D gets this class with the image, and G draws it.")
    stamp = path.stat().st_mtime_ns
    company = None
    if judged == AMONG_FAKES:
        company = drawn(path, stamp, list(range(1000, 1000 + COMPANY)), label)
    elif judged == AMONG_REAL and real:
        company = real[0][CHOICE:]

    def ask(images: np.ndarray, labels: list[int]) -> list[float]:
        return judge(path, stamp, images, labels if networks.class_names else [], company)

    count = affordable(networks, CHOICE, company is not None)
    if kind in (REAL, GENERATED):
        if kind == REAL:
            assert real is not None
            images, labels = real[0][:count], real[1][:count] or [0] * count
            st.button("Other images", icon=":material/shuffle:", on_click=another_draw)
        else:
            images = drawn(path, stamp, list(range(100, 100 + count)), label)
            labels = [label] * count
        picked = pick_one(networks, images, ask(images, labels), "Real image" if kind == REAL else "Generated image")
        image, label = images[picked], labels[picked]
        left, right = st.columns([1, 2], gap="medium")
    else:
        first, left, right = st.columns(3, gap="medium")
        with first:
            own = own_image(config) if kind == UPLOADED else drawing(config)
        if own is None:
            left.caption("D's answer appears here.")
            return
        image = own
    (answer,) = ask(image[None], [label])
    left.image(
        inline(enlarge(image, max(1, 224 // config.image_size))),
        alt="The image as the discriminator sees it",
        caption=f"What D sees: {config.image_size} x {config.image_size} pixels",
        width=224,
    )
    with right:
        verdict(networks, answer)
        few = drawn(path, stamp, list(range(affordable(networks, REFERENCE, company is not None))), label)
        mean = float(np.mean(ask(few, [label] * len(few))))
        st.caption(f"{len(few)} generated images, asked in the same way, get {as_text(networks, mean)} on average.")
        for note in notes(networks, kind, label):
            st.caption(note)
    st.subheader("Layer by layer", help=None if config.has_scores else f"The last number is a logit. {glossary.explain('logit')}")
    assert networks.discriminator is not None
    layers = activations(networks.discriminator, as_input(image), networks.labels(label), company)
    layer_view(layers, "The image", image, "d_layer")


def verdict(networks: Networks, answer: float) -> None:
    """D's answer to one image, in words and as a number."""
    if networks.config.has_scores:
        st.metric("D's score", as_text(networks, answer), help=glossary.explain("critic"))
        return
    st.metric(
        "D's answer", as_text(networks, answer), help="D's probability that the image is real: 0 is surely generated, 1 is surely real."
    )
    said = "D thinks it is generated." if answer < 0.4 else "D thinks it is real." if answer > 0.6 else "D cannot tell."
    st.markdown(said)


def notes(networks: Networks, kind: str, label: int) -> list[str]:
    """Notes on how D was asked."""
    config, said = networks.config, []
    if networks.class_names:
        said.append(f"D gets the class {plain(networks.class_names[label])}, which adds its own part to the last number.")
    if config.packing > 1:
        said.append(f"This discriminator sees {config.packing} images at once; here they are copies of this image.")
    if config.compares_images:
        said.append(
            "This discriminator also checks how much the images of a batch differ. A single image looks like a generator that repeats itself."
        )
    if config.instance_noise or config.diffaugment != "off" or config.dropout:
        said.append("In training, D sees noisy images or drops features. Here it sees the clean image.")
    if kind == DRAWN:
        said.append("Draw as large, bold and centered as the real images.")
    return said
