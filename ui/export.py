"""The menu that exports a run: each file is made on request, in a thread, so the page stays live."""

import io
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import streamlit as st

from gan.events import Progress
from gan.runs.export import export_name, tensorboard_zip, training_gif, zip_run
from gan.runs.folder import RunFolder
from gan.runs.run import Run, explain
from ui.progress import PATIENCE_S
from ui.text import plain

LARGEST_GRIDS = 64 * 2**20  # bytes of grids in a zip: the file waits in the server's memory until it is downloaded
LOOK_EVERY_S = 0.5

_turn = threading.Lock()  # one export at a time on the server: each takes a core from the runs


@dataclass(frozen=True)
class _Kind:
    """A kind of export."""

    label: str
    icon: str
    noun: str
    help: str
    ending: str
    mime: str
    write: Callable[[RunFolder, BinaryIO], Generator[Progress, None, None]]


KINDS = {
    "zip": _Kind(
        "Everything (zip)",
        ":material/folder_zip:",
        "the zip",
        "Settings, metrics and changes as CSV, grids, the newest generator, and a short script that draws with it and needs only PyTorch.",
        ".zip",
        "application/zip",
        partial(zip_run, most_bytes=LARGEST_GRIDS),
    ),
    "gif": _Kind(
        "Training (GIF)",
        ":material/animated_images:",
        "the GIF",
        "An animation of the same latent vectors during training.",
        ".gif",
        "image/gif",
        training_gif,
    ),
    "tensorboard": _Kind(
        "Metrics (TensorBoard)",
        ":material/monitoring:",
        "the event files",
        "All curves (thinned to 50,000 points), norms and changes as a zip of event files. Unpack several in one folder to compare them.",
        "-tensorboard.zip",
        "application/zip",
        tensorboard_zip,
    ),
}


class _Job:
    """One file being made. The thread never calls Streamlit; the page reads the job's fields."""

    def __init__(self, run: Run, kind: str) -> None:
        self.run_id, self.kind = run.id, kind
        self.name = export_name(run.folder) + KINDS[kind].ending
        self.progress = Progress("Waiting for another export", 0, 0)
        self.content: bytes | None = None
        self.error = ""
        self._folder = run.folder
        self._canceled = threading.Event()
        thread = threading.Thread(target=self._work, name=f"export-{run.id}", daemon=True)
        thread.start()
        thread.join(PATIENCE_S)

    @property
    def done(self) -> bool:
        return self.content is not None or bool(self.error)

    def cancel(self) -> None:
        """Asks it to end; nobody looks at it anymore."""
        self._canceled.set()

    def _work(self) -> None:
        try:
            while not _turn.acquire(timeout=LOOK_EVERY_S):
                if self._canceled.is_set():
                    return
            try:
                file = io.BytesIO()
                with closing(KINDS[self.kind].write(self._folder, file)) as work:
                    for self.progress in work:
                        if self._canceled.is_set():
                            return
                self.content = file.getvalue()
            finally:
                _turn.release()
        except Exception as error:
            self.error = explain(error)


def _start(run: Run, kind: str) -> None:
    _drop()
    st.session_state["export"] = _Job(run, kind)


def _drop() -> None:
    job = st.session_state.pop("export", None)
    if job:
        job.cancel()


def export_menu(run: Run) -> None:
    """A popover with a button for each file."""
    # The key keeps it open when a button next to it appears or disappears.
    with st.popover("Export", icon=":material/download:", key="export_menu"):
        for name, kind in KINDS.items():
            st.button(kind.label, icon=kind.icon, help=kind.help, key=f"export_{name}", width="stretch", on_click=_start, args=(run, name))
        job: _Job | None = st.session_state.get("export")
        if job is None:
            return
        if job.run_id != run.id:
            _drop()
        elif job.error:
            st.error(f"{KINDS[job.kind].label}: {plain(job.error)}", icon=":material/error:")
        elif job.content is None:
            _watch(job)
        else:
            kind, size = KINDS[job.kind], len(job.content)
            label = f"Save {kind.noun}, {f'{size / 1e6:,.1f} MB' if size > 1e5 else f'{size / 1e3:,.0f} kB'}"
            icon = ":material/save:"
            st.download_button(label, job.content, job.name, kind.mime, type="primary", icon=icon, width="stretch", on_click="ignore")


@st.fragment(run_every=LOOK_EVERY_S)
def _watch(job: _Job) -> None:
    """A job's progress, and a Cancel button; reruns the page when it is done."""
    if job.done:
        st.rerun()
    event = job.progress
    share = min(1.0, event.done / event.total) if event.total else 0.0
    st.progress(share, f"{plain(event.task)}: {share:.0%}" if event.total else f"{plain(event.task)}…")
    if st.button("Cancel", icon=":material/close:", key="cancel_export", on_click=_drop):
        st.rerun()
