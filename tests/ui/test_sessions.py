"""Streamlit's own storage and sessions, whose insides ui/sessions.py relies on."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from streamlit.runtime import app_session, memory_session_storage, websocket_session_manager
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo

from ui.sessions import EXPECTED, Sweep


class Session:
    """What the sweep uses of a session."""

    def __init__(self, name: str, busy: bool = False) -> None:
        self.id, self._scriptrunner, self.ended = name, object() if busy else None, False
        self._script_event_loop = asyncio.new_event_loop()

    def shutdown(self) -> None:
        self.ended = True
        self._script_event_loop.close()


def test_what_ended_sessions_hold_is_closed() -> None:
    now = [0.0]
    storage = MemorySessionStorage(ttl_seconds=120)
    cache: Any = storage._cache
    cache._timer = lambda: now[0]
    active: set[str] = set()
    sweep = Sweep(SimpleNamespace(_session_storage=storage, is_active_session=active.__contains__))
    left, busy, back = Session("left"), Session("busy", True), Session("back")
    for session in (left, busy, back):
        storage.save(SessionInfo(client=None, session=cast(AppSession, session)))
    sweep.once()
    assert left._script_event_loop.is_closed() and back._script_event_loop.is_closed() and not busy._script_event_loop.is_closed()
    assert not (left.ended or busy.ended or back.ended)  # their browsers may come back
    storage.delete("back")
    active.add("back")
    sweep.once()
    assert not back.ended
    now[0] = 121.0
    sweep.once()
    assert left.ended and busy.ended and not back.ended and busy._script_event_loop.is_closed()
    sweep.once()


def test_streamlit_has_what_the_sweep_uses() -> None:
    source = Path(app_session.__file__).read_text()
    assert "self._script_event_loop.is_closed()" in source and EXPECTED[:40] in source and "self._scriptrunner = None" in source
    assert "_session_storage" in Path(websocket_session_manager.__file__).read_text() and hasattr(memory_session_storage.TTLCache, "expire")
