"""A zip of images from the visitor's machine, added as a data set."""

import streamlit as st

from gan.data import uploads
from gan.runs.run import explain
from ui import held
from ui.components.visitor import visitor
from ui.progress import drain
from ui.text import plain


def upload() -> bool:
    """Checks a zip from the visitor's machine and stores it under a name. Whether a zip waits for that: its button is then the page's main one."""
    number = st.session_state.setdefault("uploads", 0)  # a new key empties the uploader, and frees the server's memory
    file = st.file_uploader(
        "Upload a zip of images",
        "zip",
        key=f"upload_{number}",
        max_upload_size=uploads.LARGEST_UPLOAD // 2**20,
        help="Folders in the zip become classes. Everyone on this server can see and use the set.",
    )
    if file is None:
        if held.room() < uploads.LARGEST_UPLOAD:
            st.caption("The server is busy with uploads. If yours is refused, try again later.")
        return False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name of the set",
            uploads.free_name(uploads.name_from(file.name)),
            max_chars=uploads.LONGEST_NAME,
            key=f"upload_name_{number}_{file.file_id}",  # another file has another name
            help="Letters, digits, - and _. A space becomes a -.",
        )
        name = "-".join(name.split())
        wanted = st.button("Add the set", type="primary", icon=":material/add:", disabled=not visitor().known)
    if not wanted:
        return True
    try:
        given = drain(uploads.add(file, name, file.name, visitor()), "cancel_upload")
    except (ValueError, OSError) as error:
        st.error(f"The zip was not added: {plain(explain(error).rstrip('.'))}.", icon=":material/error:")
        return True
    note = f"There was a set {plain(name)} already, so yours is called {plain(given)}." if given != name else f"{plain(given)} is ready."
    st.session_state.update(uploads=number + 1, next_set=given, data_note=note)
    st.rerun()
