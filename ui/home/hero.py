"""Home's first screen: one moving picture, and one button."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from gan import latent
from gan.course.lessons import LESSONS
from gan.explore.models import find_model, pretrained
from gan.files import without_folders
from gan.glossary import explain
from gan.images import tile, webp
from gan.networks.generator_file import CheckpointError
from gan.owners import Visitor
from gan.runs.names import label
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from ui.components.living import newest, wall
from ui.page_files import EXPLORE, LEARN, TRAIN
from ui.pictures import data_url
from ui.text import plain
from ui.train.guide import GUIDE
from ui.workshop import course_progress, models

STOPS, FRAMES, COLUMNS = 16, 112, 14  # seeds along the film, its frames, and frames per row of the sheet
FAVORITE = "faces"  # the pretrained generator that Home shows, if it exists
REFRESH_S = 2.0  # between two checks for newer images of an active run


@dataclass(frozen=True)
class Sheet:
    """The frames of a closed film in one picture.

    Attributes:
        address: a data URI of a WebP.
        size: pixels of a frame's side.
    """

    address: str
    size: int


def hero(runs: Sequence[Run], who: Visitor) -> None:
    """What the app is in two sentences, the start button, and a moving picture.

    runs: of this visitor, newest first.
    """
    at_work = next((run for run in runs if run.state in AT_WORK and run.at_work), None)
    said, shown = st.columns([2, 3], gap="large", vertical_alignment="center")
    with said:
        st.markdown(
            "Two networks play a game. The **generator** draws images from random numbers; the **discriminator** tells them from "
            "real ones. Train such a pair here and watch both learn.",
            help=explain("GAN"),
        )
        if at_work:
            if st.button("Watch your run", type="primary", icon=":material/monitoring:", key="start"):
                st.switch_page(TRAIN, query_params={"run": at_work.id})
        elif st.button(
            "Train another network" if runs else "Train your first network", type="primary", icon=":material/model_training:", key="start"
        ):
            st.switch_page(TRAIN, query_params={} if runs else {GUIDE: "1"})
        if not runs:
            st.caption("Train: 2 minutes, and a guide says what to look at.")
        if course := _course(who, has_runs=bool(runs)):
            st.page_link(LEARN, label=course, icon=":material/school:")
        st.page_link(EXPLORE, label="Or explore one that is trained already", icon=":material/explore:")
    with shown:
        if at_work:
            st.fragment(_newest, run_every=REFRESH_S)(at_work, who)
        else:
            _shipped()


def _course(who: Visitor, has_runs: bool) -> str:
    """The label of the link to the course; empty for a visitor who has runs and has not begun it."""
    met = course_progress().read(who.id)
    passed = sum(lesson.is_passed(met.get(lesson.id, frozenset())) for lesson in LESSONS.values())
    if 0 < passed < len(LESSONS):
        return f"Continue the course: {passed} of {len(LESSONS)} lessons passed"
    if passed:
        return f"You passed all {len(LESSONS)} lessons of the course"
    if has_runs:
        return ""
    return f"New to GANs? Learn: {sum(lesson.minutes for lesson in LESSONS.values())} minutes, {len(LESSONS)} short lessons"


def _newest(run: Run, who: Visitor) -> None:
    """The newest images of the visitor's run; until there are some, a pretrained generator's."""
    steps = run.sample_steps
    if run.state not in AT_WORK:
        st.rerun()
    if not steps:
        _shipped()
        return
    newest(run.id, steps[-1], "", f"Your run at step {steps[-1]:,}", f"Newest images of {label(run)}, step {steps[-1]}")


def _shipped() -> None:
    names = sorted(pretrained(models().root), key=lambda name: (name != FAVORITE, name))
    for name in names:
        try:
            sheet = film(name, pretrained(models().root)[name].stat().st_mtime_ns)
        except (CheckpointError, KeyError, OSError) as error:
            st.warning(f"A generator cannot be used: {plain(without_folders(str(error)))}.", icon=":material/error:")
            continue
        wall(
            sheet.address,
            FRAMES,
            COLUMNS,
            sheet.size,
            "None of these is a photo: a generator draws them.",
            f"Images by the generator {name}",
        )
        return


@st.cache_data(show_spinner=False)
def film(name: str, changed_ns: int) -> Sheet:
    """A closed walk through a pretrained generator's latent space. changed_ns: modification time of its file."""
    model = find_model(models().root, name)
    images = models().images(model, latent.walk(model.z(list(range(STOPS))), FRAMES, closed=True))
    content = webp(tile(images, COLUMNS, gap=0), quality=80)
    return Sheet(data_url(content, "webp"), images.shape[-1])
