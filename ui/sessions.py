"""Cleans up sessions that ended: the only module that knows Streamlit's session storage.

A session whose browser left is kept for two minutes, in case the browser comes back. Meanwhile it holds an event loop with three
descriptors, and what has expired is dropped only when the next session comes, and shut down only when Python's collector finds it.
"""

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)

EVERY_S = 5.0
# Streamlit logs this when a browser comes back and a loop is created again, which is intended here.
EXPECTED = "The session-owned script event loop is closed."


class Sweep:
    """Closes what ended sessions hold. Use it only from Streamlit's event loop."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._kept: dict[str, Any] = {}  # sessions whose browsers have left

    def once(self) -> None:
        """Closes the loops of sessions that wait for their browsers, and shuts down those that have waited in vain."""
        stored = {info.session.id: info.session for info in self._manager._session_storage.list()}
        for session in stored.values():
            if session._scriptrunner is None and not session._script_event_loop.is_closed():
                session._script_event_loop.close()
        for name in self._kept.keys() - stored.keys():
            if not self._manager.is_active_session(name):
                self._kept[name].shutdown()
        self._kept = stored


async def sweep(runtime: Any) -> None:
    """Sweeps every few seconds until it is canceled. If this Streamlit stores sessions in another way, it does nothing and logs that."""
    logging.getLogger("streamlit.runtime.app_session").addFilter(lambda record: not str(record.msg).startswith(EXPECTED))
    try:
        sweeping = Sweep(runtime._session_mgr)
        while True:
            sweeping.once()
            await asyncio.sleep(EVERY_S)
    except Exception:
        log.exception("what ended sessions hold cannot be closed: this Streamlit keeps them in another way")
