"""What a generator is compared with, on a page: the data set it was trained on, or why there is none."""

import streamlit as st

from gan.config import TrainConfig
from gan.data import datasets
from gan.judging.judge import Judge
from gan.runs.run import explain
from ui.page_files import DATA
from ui.progress import drain
from ui.text import plain
from ui.workshop import judges

CANCELLED = "judge_cancelled"


def judge_for(config: TrainConfig) -> Judge | None:
    """The judge of a generator's own data set; None with the reason on the page.

    The first time for a set it takes some seconds, or, where a network must learn the set first, up to a minute: with a bar and a
    way out.
    """
    name, key = plain(config.data), (config.data, config.image_size, config.channels)
    if config.data not in datasets.available():  # a path, say, which only the command line may name
        st.info("This generator's training images are not on this server. Add them on the Data page to compare.", icon=":material/info:")
        return None
    if datasets.to_download(config.data):
        st.info(f"The data set {name} is not on this server yet. The Data page can download it.", icon=":material/info:")
        st.page_link(DATA, label="Data", icon=":material/photo_library:", query_params={"set": config.data})
        return None
    if st.session_state.get(CANCELLED) == key:
        st.caption(f"The comparison with {name} was canceled.")
        if not st.button("Compare after all", icon=":material/compare:"):
            return None
    st.session_state.pop(CANCELLED, None)

    def cancel() -> None:
        st.session_state[CANCELLED] = key

    try:
        return drain(judges().get(*key), "cancel_judge", cancel)
    except (ValueError, OSError) as error:
        st.error(f"The images cannot be compared: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return None


def real_ones(judge: Judge, config: TrainConfig) -> str:
    """What held-out real images are called next to a generator of these settings: whether it has seen them."""
    return "new real images" if judge.reals.new and config.data_split == "train" else "other real images"
