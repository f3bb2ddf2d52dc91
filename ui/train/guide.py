"""A tour of a first run: a few steps above the charts say what to look at. You can skip it, and open it again."""

from dataclasses import dataclass

import streamlit as st

from gan.runs.run import Run
from gan.runs.states import RunState
from ui.components.visitor import visitor
from ui.workshop import manager

GUIDE = "guide"  # in the address: 1 shows the steps
STEP = "guide_step"  # in the session: which one


@dataclass(frozen=True)
class Step:
    """One step: a title, and two or three short sentences in Markdown."""

    title: str
    text: str


START = Step("Start", "The recipe is ready. Press **Train**: clear digits appear in about half a minute.")
WAIT = Step("Wait", "Your run waits for its turn. Meanwhile, open the Data page to see the images that its networks learn from.")
CURVES = Step(
    "What are the two curves?",
    "**Losses** shows how well each network plays: a low discriminator loss (D) means that D tells generated images from real ones. "
    "A low generator loss (G) means that G fools D. They pull against each other, so neither falls to 0. "
    "At the dashed lines D cannot tell real from generated.",
)
WATCH = Step(
    "What should I watch?",
    "Watch the images, not the losses. Each place in the grid shows the same latent vector at every step: noise turns into digits. "
    "The chart **FD** measures how far they are from real images: lower is better. Drag the slider under the grid to go back.",
)
WATCH_PAIRS = Step(
    "What should I watch?",
    "Watch the images, not the losses. The grid shows images that training never sees, and below them what the generator makes of them. "
    "The chart **FD** measures how far the results are from real images: lower is better. Drag the slider under the grid to go back.",
)
KNOB = Step(
    "Turn one knob",
    "Under **Change settings live**, move **Discriminator learning rate** up to 0.02. The charts get a numbered mark; see how D's loss and the "
    "images follow. Then move it back to 0.002.",
)
NO_KNOB = Step(
    "Turn one knob",
    "You can change settings such as the learning rates while your run trains. This one cannot be changed now: press "
    "**New run with these settings** to try it.",
)
DONE = Step(
    "That was your first run",
    "If anything went wrong, the line above the charts says it, and the doctor below explains it. The next step is at the end of this page.",
)


def steps_of(state: RunState, steerable: bool) -> list[Step]:
    """The tour's steps for a run's state. steerable: it is active here, and the visitor's own."""
    first = [WAIT] if state is RunState.QUEUED else []
    return [*first, CURVES, WATCH, KNOB if steerable else NO_KNOB, DONE]


def is_on() -> bool:
    return st.query_params.get(GUIDE) == "1"


def begin() -> None:
    st.query_params[GUIDE] = "1"
    st.session_state[STEP] = 0


def end() -> None:
    st.query_params.pop(GUIDE, None)
    st.session_state.pop(STEP, None)


def turn(by: int) -> None:
    st.session_state[STEP] = st.session_state.get(STEP, 0) + by


def guide_start() -> None:
    """Above the form of a new run."""
    if is_on():
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="guide_start"):
            st.markdown(f":material/tour: **{START.title}.** {START.text}", width="content")
            st.button("Skip the tour", key="guide_skip", type="tertiary", on_click=end)


def guide(run: Run) -> None:
    """Above the charts of a run: the visitor's step, or a button to open the tour again."""
    if not is_on():
        st.button("Show me around", key="guide_again", icon=":material/tour:", type="tertiary", on_click=begin)
        return
    steerable = run.at_work and run.state in (RunState.RUNNING, RunState.PAUSED) and manager().may_steer(run, visitor())
    steps = steps_of(run.state, steerable)
    if run.config.translates:
        steps = [WATCH_PAIRS if step is WATCH else step for step in steps]
    number = min(max(0, st.session_state.get(STEP, 0)), len(steps) - 1)
    step, last = steps[number], number == len(steps) - 1
    with st.container(border=True, key="guide"):
        st.markdown(f":material/tour: **{number + 1} of {len(steps)}: {step.title}**  \n{step.text}")
        with st.container(horizontal=True):
            if last:
                st.button("Done", key="guide_done", icon=":material/check:", on_click=end)
            else:
                st.button("Next", key="guide_next", icon=":material/arrow_forward:", on_click=turn, args=(1,))
            if number:
                st.button("Back", key="guide_back", on_click=turn, args=(-1,))
            if not last:
                st.button("Skip the tour", key="guide_skip", type="tertiary", on_click=end)
