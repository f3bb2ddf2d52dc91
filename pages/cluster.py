"""Cluster: the machines on which runs train, for the host."""

import streamlit as st

from ui.cluster import REFRESH_S, machines, may_look
from ui.components.visitor import heading
from ui.workshop import manager

heading("Cluster")
if (cluster := manager().cluster) is None:
    st.info("This server trains its runs itself, without a cluster.", icon=":material/info:")
elif not may_look():
    st.info("Only the host sees the cluster. If that is you, enter the host's token under You.", icon=":material/lock:")
else:
    st.fragment(machines, run_every=REFRESH_S)(cluster)
