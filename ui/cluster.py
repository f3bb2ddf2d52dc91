"""The host's view of a cluster: its machines, what each offers, and which runs train where."""

import streamlit as st

from gan.owners import is_personal
from gan.runs.cluster import AtWork, Cluster, Node
from gan.runs.names import label
from ui.components.visitor import visitor
from ui.page_files import TRAIN
from ui.text import plain
from ui.workshop import manager

REFRESH_S = 2.0


def may_look() -> bool:
    """Whether the visitor may see the machines: the host, or anyone on a server without one."""
    return visitor().admin or is_personal()


def machines(cluster: Cluster) -> None:
    """Draws the current state of the cluster."""
    nodes, workers = cluster.nodes(), cluster.at_work()
    with st.container(horizontal=True):
        st.metric("Machines", len(nodes), border=True)
        st.metric("Runs training", f"{len(workers)} of {cluster.room()}", border=True, help="Runs training now, of those that fit.")
        waiting = len(manager().unfinished()) - len(workers)
        st.metric("Runs waiting", max(0, waiting), border=True)
        delays = cluster.delays()
        text = f"{1000 * delays[0]:,.0f} ms" if delays else "none yet"
        about = f" 95% take less than {1000 * delays[1]:,.0f} ms." if delays else ""
        st.metric("Update delay", text, border=True, help=f"From a worker to this server, median.{about}")
    if not nodes:
        st.warning("No machine is in the cluster now. Runs wait until one joins.", icon=":material/warning:")
    for node in nodes:
        _machine(node, [worker for worker in workers if worker.node == node.id])
    st.caption("Other programs on the same cluster are not listed here.")


def _machine(node: Node, workers: list[AtWork]) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(node.name)}** :gray[{plain(node.address)}]  \n{_offers(node)}")
        if node.fault:
            st.warning(f"No run can train here: {plain(node.fault)}.", icon=":material/warning:")
        for worker in workers:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(TRAIN, label=_name(worker.run_id), icon=":material/monitoring:", query_params={"run": worker.run_id})
                memory = f", {worker.memory / 2**30:.1f} GiB" if worker.memory else ""
                st.markdown(f":gray[step {worker.step:,}{memory}, process {worker.pid}]", width="content")
        if not workers and not node.fault:
            st.caption("No run is training here.")


def _offers(node: Node) -> str:
    gpus = f"{node.gpus:g} GPU{'' if node.gpus == 1 else 's'}, " if node.gpus else ""
    return f"{gpus}{node.cpus:g} processor core{'' if node.cpus == 1 else 's'}, {node.memory / 2**30:.0f} GiB of memory"


def _name(run_id: str) -> str:
    try:
        return plain(label(manager().get(run_id)))
    except KeyError:  # deleted meanwhile
        return plain(run_id)
