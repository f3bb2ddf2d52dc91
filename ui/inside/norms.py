"""Norms of weights and gradients over time."""

import streamlit as st

from gan.glossary import explain
from gan.inside.files import NETWORKS
from gan.inside.norms import read_norms
from gan.runs.folder import RunFolder
from ui.norm_charts import KINDS, norm_chart, norm_words
from ui.text import plain
from ui.workshop import manager


def norms_view(name: str) -> None:
    """Norms of weights and gradients over time."""
    norms = read_norms(RunFolder(manager().root / name))
    if norms is None:
        st.info(
            "These networks have no norms. Only runs record them, while they train.",
            icon=":material/info:",
        )
        return
    st.markdown(
        "The norm of each layer's weights and gradients. A layer with vanishing gradients learns nothing; exploding gradients ruin it.",
        help=explain("norm"),
    )
    everything = st.toggle("Show biases and normalization layers", key="everything", bind="query-params")
    words = []
    for network in NETWORKS:
        for column, kind in zip(st.columns(2, gap="medium"), KINDS, strict=True):
            said = norm_words(norms, network, kind, everything)
            figure = norm_chart(norms, network, kind, everything)
            column.plotly_chart(figure, key=f"{network}_{kind}", alt=said, config={"displaylogo": False})
            words.append(said)
    with st.expander("The charts in words"):
        for said in words:
            st.markdown(plain(said))
