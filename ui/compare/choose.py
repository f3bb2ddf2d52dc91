"""Which runs to compare: the choice on the page, and the same in the address."""

import streamlit as st

from gan.runs.names import SEPARATOR, listed
from gan.runs.run import Run
from gan.runs.states import AT_WORK
from ui.comparison import MOST_RUNS
from ui.pick import say_missing
from ui.text import plain


def asked() -> list[str]:
    """The ids of the runs to compare.

    The address decides when the page is opened, or when someone goes back in the browser; from then on, the choice on the
    page does. The address holds plain ids, because the options' texts change while runs train.
    """
    state, address = st.session_state, ",".join(st.query_params.get_all("runs"))
    told = state.get("compared_in_address", "")
    if "compared" in state and address == told:
        # The browser names options by their texts, perhaps by a text that has just been replaced.
        return [state["compared_texts"].get(i, i) for i in state["compared"]]
    if "compared" not in state and not address:  # back from another page
        address = told
    return list(dict.fromkeys(part for part in address.split(",") if part))


def select(ids: list[str]) -> None:
    """Chooses other runs; call it before the choice is drawn, or from a callback."""
    st.session_state["compared"] = ids


def in_words(run: Run) -> str:
    """A run's state and how far it is: "finished, step 1,000"."""
    status = run.status()
    return f"{status.state.shown}, step {status.step:,}"


def option(run: Run, name: str) -> str:
    """A run in the list: its name, how far it is, and its id, so you can search for it."""
    # An active run shows only its state, as the table below does: the page is drawn again when that changes.
    state = run.state
    return listed(f"{name}{SEPARATOR}{state.shown if state in AT_WORK else in_words(run)}", run.id)


def choose(runs: dict[str, Run], names: dict[str, str]) -> list[str]:
    """The runs to compare. The page says which runs in the address do not exist."""
    wanted = asked()
    unknown = [i for i in wanted if i not in runs]
    known = [i for i in wanted if i in runs]
    say_missing("runs", unknown, runs)
    if len(known) > MOST_RUNS:
        left_out = ", ".join(plain(names[i]) for i in known[MOST_RUNS:])
        st.warning(f"You can compare {MOST_RUNS} runs at once. Left out: {left_out}.", icon=":material/filter_6:")
    texts = {i: option(run, names[i]) for i, run in runs.items()}
    st.session_state.setdefault("compared_texts", {}).update({text: i for i, text in texts.items()})
    st.session_state["compared"] = known[:MOST_RUNS]  # set in each script run, so that the browser gets the current texts
    chosen = st.multiselect(
        f"Runs, up to {MOST_RUNS}",
        list(runs),
        format_func=texts.__getitem__,
        key="compared",
        max_selections=MOST_RUNS,
        placeholder="Choose two or more runs",
        help="Newest first.",
        select_all=False,
    )
    address = ",".join(chosen)
    if address:
        st.query_params["runs"] = address
    elif "runs" in st.query_params:
        del st.query_params["runs"]
    st.session_state["compared_in_address"] = address
    return chosen
