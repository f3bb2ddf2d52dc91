"""Choose the networks: a run or a generator that comes with the app, its step and its class."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from gan import glossary
from gan.explore.models import model_sources, pretrained
from gan.inside.files import NEWEST, Networks, network_files, saved_at
from gan.runs.run import Run
from gan.runs.states import AT_WORK, RunState
from ui.components.visitor import visitor
from ui.next_step import offer
from ui.page_files import EXPLORE, NEW_RUN, TRAIN
from ui.pick import missing, options, pick
from ui.text import plain
from ui.workshop import manager

LOOK_EVERY_S = 3.0  # for newer networks, while the run trains
BOTH = ".pt"  # the ending of a file with both networks


@dataclass(frozen=True)
class Chosen:
    """What to look at.

    Attributes:
        name: a run's id, or the name of a generator that comes with the app.
        files: see network_files().
        step: one of their keys.
        grows: whether the run is active, so newer networks will come.
    """

    name: str
    files: Mapping[str, Path]
    step: str
    grows: bool = False

    def file(self, both: bool) -> Path:
        """The file to open. both: if the newest file has only a generator, take the newest with both networks."""
        whole = [path for path in self.files.values() if path.suffix == BOTH]
        return whole[-1] if both and whole and self.step == NEWEST else self.files[self.step]


def choose() -> Chosen | None:
    """The run, or the shipped generator, and the step; None with the reason on the page."""
    everyones = manager().runs()
    runs = options(everyones)
    names = runs | {name: name for name in sorted(pretrained(manager().root)) if name not in runs}
    if not names:
        st.info("There are no networks yet. Train one first.", icon=":material/lightbulb:")
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return None
    missing("run", {NEWEST, NEW_RUN, *names})
    left, right = st.columns(2)
    first = newest(everyones) or next(name for name in (*pretrained(manager().root), *names))
    # "newest" is an option of its own, so that the address of a run keeps its meaning when another one begins.
    name = pick(
        "Run, or generator that comes with the app",
        {NEWEST: f"{NEWEST}: {names[first]}"} | names,
        "run",
        NEWEST,
        "Runs come first, the newest on top. A generator that comes with the app has no discriminator.",
        left,
    )
    name = name if name in names else first
    try:
        files = network_files(manager().root, name)
    except KeyError:
        st.warning(f"The run {plain(names[name])} has just been deleted.", icon=":material/search_off:")
        return None
    grows = any(run.id == name and run.state in AT_WORK for run in everyones)
    if grows:
        st.fragment(follow, run_every=LOOK_EVERY_S)(name, saved_at(manager().root, name))
    if not files:
        st.info(
            "This run has not saved its networks yet. It saves them after its first step, and this page shows them then."
            if grows
            else "This run ended before it saved its networks.",
            icon=":material/hourglass_empty:",
        )
        return None
    step = NEWEST
    if len(files) > 1:
        step = right.select_slider(
            "After step",
            list(files),
            NEWEST,
            key="at",
            bind="query-params",
            help="Checkpoints hold both networks; snapshots hold only the generator.",
        )
    return Chosen(name, files, step, grows)


def follow(name: str, shown: tuple[object, ...]) -> None:
    """Draws the page again when the run has saved newer networks, or has ended."""
    try:
        at_work = manager().get(name).state in AT_WORK
    except KeyError:  # deleted
        at_work = False
    if not at_work or saved_at(manager().root, name) != shown:
        st.rerun()


def newest(runs: Sequence[Run]) -> str | None:
    """The newest run that can be looked at: the visitor's own, or one that has ended; None if there is neither."""
    me = visitor().id
    own = [run for run in runs if me and run.owner_id == me]
    ended = [run for run in runs if run.state in (RunState.FINISHED, RunState.STOPPED)]
    for run in (*own, *ended):
        with suppress(KeyError):  # just deleted
            if network_files(manager().root, run.id):
                return run.id
    return None


def class_number(networks: Networks, label: str, help: str) -> int:
    """The chosen class; 0 for networks without classes."""
    names = list(networks.class_names)
    if not names:
        return 0
    if st.session_state.get("class") not in names:  # another run's
        st.session_state.pop("class", None)
    return names.index(st.selectbox(label, names, key="class", bind="query-params", help=help, width=320))


def missing_discriminator(name: str, path: Path) -> None:
    """Why D's side cannot be shown."""
    files = network_files(manager().root, name)
    states = [step for step, file in files.items() if file.suffix == BOTH]
    if path.parent.name != name:
        said = "A generator that comes with the app has no discriminator. Choose a run instead."
    elif states:
        said = f"This step has only the generator. The discriminator is saved at step {', '.join(states)}."
    else:
        said = "This run has no checkpoint yet. It saves one after its first step, every half minute, and when it ends."
    st.info(said, icon=":material/info:")


def about(chosen: Chosen, networks: Networks) -> None:
    """A caption that names these networks."""
    which = "Both networks" if networks.discriminator else "The generator"
    said = f"{which} of {chosen.name} after step {networks.step:,}. The generator is the EMA generator, which draws the samples."
    if chosen.grows and chosen.step == NEWEST:
        said += " The run is still training: newer networks appear here."
    st.caption(said, help=glossary.explain("EMA generator"))


def explore_it(chosen: Chosen) -> None:
    """The next step: into the latent space of the same generator, if Explore has it."""
    if chosen.name in model_sources(manager().root):
        text = "you know what its layers do. Now move through its latent space."
        offer(text, "Explore", ":material/explore:", EXPLORE, {"from": chosen.name})
