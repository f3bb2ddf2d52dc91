"""All runs as small cards: newest images, progress, and what is wrong. A button adds a run to the comparison."""

from collections.abc import Mapping, Sequence

import streamlit as st

from gan.networks.generator_file import CheckpointError
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from ui.compare.choose import in_words, select
from ui.comparison import MOST_RUNS
from ui.health import health
from ui.text import plain
from ui.workshop import manager

REFRESH_S = 5.0  # while one of the runs is active
SHOWN = 24  # the newest runs
FEW, HEIGHT = 6, 480  # with more runs than FEW, the wall scrolls and is HEIGHT pixels high
SIDE = 84  # pixels of a run's images
OPEN = "wall_begins_open"  # in the session


def wall(names: Mapping[str, str], chosen: Sequence[str]) -> None:
    """Draws the wall: open in a session that begins with no runs to compare, until someone closes it.

    Args:
        names: of all runs by id, in their order.
        chosen: the ids of the runs in the comparison.
    """
    first = st.session_state.setdefault(OPEN, not chosen)  # a value that changes would close it while someone adds runs
    place = st.expander("All runs", icon=":material/grid_view:", expanded=first, on_change="rerun", key="wall")
    if place.open:
        runs = [run for run in manager().runs() if run.id in names]
        working = any(run.state in AT_WORK for run in runs)
        with place:
            st.fragment(_cards, run_every=REFRESH_S if working else None)(runs, names, chosen)


def _cards(runs: Sequence[Run], names: Mapping[str, str], chosen: Sequence[str]) -> None:
    with st.container(height=HEIGHT if len(runs) > FEW else "content", border=False):  # the charts below must stay within reach
        with st.grid("auto", min_column_width=310, gap="small"):
            for run in runs[:SHOWN]:
                if not run.gone:
                    _card(run, names[run.id], chosen)
        if len(runs) > SHOWN:
            st.caption(f"{len(runs) - SHOWN:,} older runs are in the list above.")


def _card(run: Run, name: str, chosen: Sequence[str]) -> None:
    """One run: its images, and next to them its name, its progress and its health."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, gap="small"):
            _images(run, name)
            with st.container(gap="xxsmall", width="stretch"):
                st.markdown(f"**{plain(name)}**")
                st.caption(plain(in_words(run)))
        if run.fault:
            st.markdown(":red[:material/error: Its files are damaged.]")
        elif about := health(run):
            st.markdown(about.line)
        there = run.id in chosen
        if st.button(
            "Remove" if there else "Add",
            key=f"wall_{run.id}",
            icon=":material/remove:" if there else ":material/add:",
            disabled=not there and len(chosen) >= MOST_RUNS,
            help=None if there or len(chosen) < MOST_RUNS else f"You can compare {MOST_RUNS} runs at once.",
            on_click=select,
            args=([i for i in chosen if i != run.id] if there else [*chosen, run.id],),
        ):
            st.rerun()  # the whole page: the choice is above this fragment


def _images(run: Run, name: str) -> None:
    if not run.sample_steps:
        return
    try:
        st.image(run.folder.read_samples(run.sample_steps[-1]), alt=f"Newest images of {name}", output_format="PNG", width=SIDE)
    except CheckpointError:
        st.markdown(":material/broken_image:")
