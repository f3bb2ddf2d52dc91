"""Identifies this session's visitor. There are no accounts: the browser keeps a secret token and a name, and sends them to its sessions."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from gan.owners import LONGEST_NAME, STRANGER, NotAllowed, Visitor, clean_name, guest, is_personal, recognise
from ui.components.component import component
from ui.text import plain
from ui.workshop import guesses, manager, tickets

KEY = "visitor"  # of the component; shell.css knows it
# In the session: the visitor, the name that was given in it, whether they are the host, what was wrong with the token that was given.
WHO, NAME, HOST, FAULT = "visitor_who", "visitor_given", "visitor_host", "visitor_fault"
NAME_KEY, TOKEN_KEY = "visitor_name", "visitor_token"  # of the fields
BEAT_S = 60.0  # between two signs of life of a browser with an active run; a hidden tab sends none more often
LONGEST_LABEL = 20

_component = component("visitor", "<span></span>\n")


def listen() -> None:
    """Takes the browser's answer to ask(), if there is one; called in each run of the script before the page.

    In a session's first run there is no answer yet: visitor() is then a stranger, and the script reruns in a moment.
    """
    _learn(st.session_state.get(KEY))
    manager().seen(visitor().id)


def ask(page: str) -> None:
    """Asks the browser who it is; called in each run of the script after the page.

    Not before it: the answer makes the script rerun, and the page should not be interrupted in its first run.

    page: the page's url_path, from which the component finds the address of the server behind any prefix.
    """
    known = visitor()
    run = manager().unfinished_run(known)
    grace_s = manager().limits.grace_s or BEAT_S
    data = {"id": known.id, "name": st.session_state.get(NAME), "page": page, "host": st.session_state.get(HOST, "")}
    data |= {"run": run.id if run else "", "every": min(BEAT_S, grace_s / 3)}
    _learn(_component(key=KEY, data=data, on_who_change=lambda: None))


def _learn(state: Any) -> None:
    """Takes the browser's answer. It may be anything: only a token makes a visitor."""
    who = state.get("who") if isinstance(state, Mapping) else None
    if isinstance(who, Mapping):
        st.session_state[WHO] = recognise(who.get("token"), who.get("name"))
        if HOST not in st.session_state and tickets().valid(ticket := who.get("host"), st.session_state[WHO].id):
            st.session_state[HOST] = ticket  # the tab was reloaded


def visitor() -> Visitor:
    """The visitor, as far as known; also for callbacks."""
    who: Visitor = st.session_state.get(WHO, STRANGER)
    if not who.known:
        return STRANGER
    given = st.session_state.get(NAME)
    return Visitor(who.name if given is None else given or guest(who.id), who.id, bool(st.session_state.get(HOST)))


def heading(text: str) -> None:
    """A page's title, and next to it the visitor's name, which the visitor can change there."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="page_heading"):
        st.title(text, anchor=False, width="content")
        who = visitor()
        name = who.name if len(who.name) <= LONGEST_LABEL else who.name[: LONGEST_LABEL - 1] + "…"
        label = f"You: {plain(name)}{' (host)' if who.admin else ''}" if who.known else "You"
        with st.popover(label, icon=":material/person:", disabled=not who.known, width="content", key="you"):
            if who.known:
                _introduce(who)


def _introduce(who: Visitor) -> None:
    st.session_state[NAME_KEY] = who.name if who.named else ""
    st.text_input(
        "Your name",
        key=NAME_KEY,
        max_chars=LONGEST_NAME,
        placeholder=guest(who.id),
        on_change=_rename,
        help="Everyone can see it next to your runs.",
    )
    st.caption("No password: your runs belong to this browser, and only it can control them.")
    if is_personal():
        return
    if who.admin:
        st.caption("You are the host in this tab: you can control and delete everything.")
        st.button("Stop being host", on_click=_stop_being_host)
        return
    st.text_input("The host's token", key=TOKEN_KEY, type="password", on_change=_become_host, help="For the person who runs the workshop.")
    if fault := st.session_state.pop(FAULT, ""):
        st.error(fault, icon=":material/error:")


def _rename() -> None:
    st.session_state[NAME] = clean_name(st.session_state[NAME_KEY])


def _become_host() -> None:
    """For this tab alone; the token is forgotten at once."""
    given = st.session_state[TOKEN_KEY]
    st.session_state[TOKEN_KEY] = ""
    if not given:
        return
    try:
        if guesses().try_token(given, _address()):
            st.session_state[HOST] = tickets().issue(visitor().id)
        else:
            st.session_state[FAULT] = "That is not the host's token."
    except NotAllowed as error:
        st.session_state[FAULT] = str(error)


def _stop_being_host() -> None:
    tickets().give_back(st.session_state.pop(HOST))


def _address() -> str:
    """The browser's IP address; empty if Streamlit does not say, as on the same machine."""
    address = st.context.ip_address
    return address if isinstance(address, str) else ""
