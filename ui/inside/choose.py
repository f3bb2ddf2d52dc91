"""Choose the networks: a run or a generator that comes with the app, its step and its class."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from gan import glossary
from gan.explore.models import pretrained
from gan.inside.files import NEWEST, Networks, network_files
from gan.runs.run import Run
from gan.runs.states import RunState
from ui.components.visitor import visitor
from ui.page_files import NEW_RUN, TRAIN
from ui.pick import missing, options, pick
from ui.text import plain
from ui.workshop import manager


def choose() -> tuple[str, Path] | None:
    """The run, or the shipped generator, and the file that holds its networks at the step that is asked for."""
    found = manager().runs()
    runs = options(found)
    names = runs | {name: name for name in sorted(pretrained(manager().root)) if name not in runs}
    if not names:
        st.info("There are no networks yet. Train one first.", icon=":material/lightbulb:")
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return None
    missing("run", {NEWEST, NEW_RUN, *names})
    left, right = st.columns(2)
    first = newest(found) or next(name for name in (*pretrained(manager().root), *names))
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
    if not files:
        st.info(
            "This run has not saved its networks yet. It saves the generator after the first step, and both networks every minute and when it "
            "stops. Look again in a moment.",
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
    return name, files[step]


def newest(runs: Sequence[Run]) -> str | None:
    """The newest run that can be looked at: the visitor's own, or else one that has ended; None if there is neither."""
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
    states = [step for step, file in files.items() if file.suffix == ".pt"]
    if path.parent.name != name:
        said = "A generator that comes with the app has no discriminator. Choose a run instead."
    elif states:
        said = f"This step has only the generator. The discriminator is saved at step {', '.join(states)}."
    else:
        said = "This run has no checkpoint yet. It saves one every minute and when it ends."
    st.info(said, icon=":material/info:")


def about(name: str, networks: Networks, path: Path) -> None:
    """A caption that names these networks."""
    which = "Both networks" if networks.discriminator else "The generator"
    said = f"{which} of {name} after step {networks.step:,}. It is the EMA generator, which draws the samples."
    if path.parent.name != "pretrained" and name in {run.id for run in manager().runs() if run.at_work}:
        said += " The run is still training: reload the page for a newer state."
    st.caption(said, help=glossary.explain("EMA generator"))
