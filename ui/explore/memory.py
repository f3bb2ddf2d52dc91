"""Does it copy its training images? The training images nearest to what a generator draws, compared with how near new real images come."""

from collections.abc import Generator

import numpy as np
import streamlit as st

from gan.events import Progress
from gan.explore.models import Model
from gan.images import enlarge, tile
from gan.judging.judge import COPIES, Judge
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import read_seeds, stamp
from ui.explore.share import share
from ui.judging import judge_for, real_ones
from ui.pictures import inline
from ui.progress import drain, in_its_place
from ui.text import plain
from ui.workshop import models

NEIGHBORS = 5
MOST_SEEDS = 24
SURVEYED, SHOWN = 1000, 12  # images that are compared, and those of them that are shown
SIDE = 84  # pixels of an image, at least
CHOSEN, CLOSEST = "chosen", "closest"
WHICH = {CHOSEN: "These seeds", CLOSEST: f"The closest of {SURVEYED:,}"}

Survey = tuple[
    list[int], float, int
]  # the closest seeds; the median share of real images that are farther away; how many images are as close as a copy


def view(model: Model, label: int) -> None:
    """Samples, the training images nearest to each, and their distances."""
    st.markdown(
        "Does the generator create new images, or copy its training images? Next to each image are the training images closest to it."
    )
    which = st.segmented_control(
        "Images",
        list(WHICH),
        default=CHOSEN,
        format_func=WHICH.__getitem__,
        key="memory",
        bind="query-params",
        required=True,
        help=f"Seeds of your choice, or the {SHOWN} that come closest to the training set among the seeds 0 to {SURVEYED - 1}.",
    )
    which = which or CHOSEN  # ?memory= clears even what is required
    seeds: list[int] | None = None
    if which == CHOSEN:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            text = st.text_input("Seeds", "0-7", key="memory_seeds", bind="query-params", help="As in 1,2,10-13.")
            seeds_dice({"memory_seeds": MOST_SEEDS})
        seeds = read_seeds(text, 1, MOST_SEEDS)
        if not seeds:
            return
    judge = judge_for(model.config)
    if judge is None:
        return
    real = real_ones(judge, model.config)
    survey = closest(model, label, judge) if which == CLOSEST else known_survey(model, label, judge)
    if which == CLOSEST and survey:
        seeds = survey[0]
        st.markdown(in_words(survey, real))
    chance = survey is not None and not more_than_chance(survey)  # also of seeds that were picked from the closest
    assert seeds
    images = models().images(model, model.z(seeds), label)
    distances, rows, farther = judge.neighbors(images, NEIGHBORS)
    with st.grid("auto", min_column_width=320, gap="small"):
        for seed, image, row, near, rank in zip(seeds, images, rows, distances, farther, strict=True):
            with st.container(gap="xsmall"):
                st.image(
                    inline(strip(image, judge.reals.learned.dataset.images[row].numpy())),
                    alt=f"The image of seed {seed}, next to the {NEIGHBORS} closest training images",
                    width="stretch",
                )
                # Some real images are as close, too. If chance explains how many there are, none is called a copy.
                note = " :material/content_copy: **As close as a copy.**" if rank >= COPIES and not chance else ""
                st.caption(
                    f"**Seed {seed}** is closer to a training image than {percent(rank)} of {real}.{note}",
                    help=f"Distance to the closest training image: {near[0]:.2f}. The median of {real} is {np.median(judge.distances):.2f}.",
                )
    share(snippets.nearest(model.id, seeds, NEIGHBORS, model.class_names[label] if model.class_names else None))
    with st.expander("How this is measured"):
        st.markdown(explanation(judge, model, real))


@in_its_place
def closest(model: Model, label: int, judge: Judge) -> Survey:
    """Looks through many seeds, once for each generator and class in a session."""
    if known := known_survey(model, label, judge):
        return known

    def cancel() -> None:
        st.session_state["memory"] = CHOSEN

    survey = drain(look_through(model, label, judge), "cancel_survey", cancel)
    st.session_state["memory_survey"] = (_surveyed(model, label, judge), survey)
    return survey


def known_survey(model: Model, label: int, judge: Judge) -> Survey | None:
    """What closest() found earlier in this session; None if it was not asked for."""
    what, survey = st.session_state.get("memory_survey", (None, None))
    return survey if what == _surveyed(model, label, judge) else None


def _surveyed(model: Model, label: int, judge: Judge) -> tuple[object, ...]:
    return model.id, stamp(model), label, judge.reals.learned.dataset.fingerprint()


def look_through(model: Model, label: int, judge: Judge) -> Generator[Progress, None, Survey]:
    """Draws many images, and finds those that come closest to the training set."""
    parts = []
    for start in range(0, SURVEYED, 100):
        yield Progress("Looking through images", start, SURVEYED)
        seeds = list(range(start, min(start + 100, SURVEYED)))
        distances, _, farther = judge.neighbors(models().images(model, model.z(seeds), label))
        parts.append(np.column_stack([distances[:, 0], farther]))
    distances, farther = np.concatenate(parts).T
    order = np.argsort(distances, kind="stable")[:SHOWN]
    return [int(seed) for seed in order], float(np.median(farther)), int((farther >= COPIES).sum())


def more_than_chance(survey: Survey) -> bool:
    """Whether more images are as close as copies than among as many real ones, by three standard deviations."""
    expected = (1 - COPIES) * SURVEYED
    return survey[2] > expected + 3 * expected**0.5


def in_words(survey: Survey, real: str) -> str:
    """Sentences about the closest of many images."""
    _, typical, copies = survey
    expected = (1 - COPIES) * SURVEYED
    chance = f"chance explains (about {expected:.0f})"
    verdict = f"**That is more than {chance}: look at the pairs.**" if more_than_chance(survey) else f"That is no more than {chance}."
    return (
        f"Of {SURVEYED:,} images, {copies} are closer to the training set than {percent(COPIES)} of {real}. {verdict} "
        f"The median image is closer to the training set than {percent(typical)} of {real}; 50% would be usual."
    )


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def strip(image: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """An image and its neighbors in a row, uint8 (C, H, W); the gap after the first is wider."""
    factor = max(1, -(-SIDE // image.shape[-1]))
    first, others = enlarge(image, factor), tile(enlarge(neighbors, factor), columns=len(neighbors), gap=2)
    ground = np.full((*first.shape[:2], 8), 128, np.uint8)
    return np.concatenate([first, ground, others], axis=2)


def explanation(judge: Judge, model: Model, real: str) -> str:
    """How distances are measured, and what they are compared with."""
    name = plain(model.config.data)
    learned = {"classes": "its classes", "attributes": "its attributes", "nothing": "its images alone"}[judge.network.about.kind]
    said = (
        f"Distances use the {judge.held_out.shape[1]} features of a small network trained on {name} with {learned} "
        f"({plain(judge.network.name)}): images that look alike are close, even if their pixels differ. "
        f"There are {len(judge.reals.training):,} training images of {name}. A copy has a distance near 0, but real images can be close to "
        f"training images too. So each distance is compared with those of {len(judge.distances):,} {real}. The distance of a "
        "new image falls in their middle on average. A distance smaller than nearly all of them suggests a copy, and one larger than nearly all "
        "of them suggests an image that does not look real."
    )
    if not judge.reals.new:
        said += f" {name} has no test images: a fifth is held out here, although the generator trained on it."
    elif model.config.data_split != "train":
        said += " This generator also trained on the test images that it is compared with here."
    return said
