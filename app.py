"""The server: `streamlit run app.py` starts it. Streamlit's pages, the HTTP routes, and runs that outlive both."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import anyio.to_thread
import streamlit as st
from starlette.middleware import Middleware
from streamlit import runtime

from gan.doctor.rounds import Rounds
from gan.owners import refuse_weak_admin_token
from gan.serving.gate import Hosts, SafeHeaders, allowed_hosts, frame_ancestors
from gan.serving.logs import bound_logs
from gan.serving.routes import routes
from ui import assets, held
from ui.connections import bound_connections, raise_limit, send_at_once
from ui.sessions import sweep
from ui.warm_up import warm_up
from ui.workshop import checkups, manager, models

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
try:
    refuse_weak_admin_token()
    manager()  # reads the environment: limits, devices, the cluster
except ValueError as error:
    raise SystemExit(str(error)) from None


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
    """SIGTERM, Ctrl-C and a closed terminal end here: every run is stopped and saved, so you can resume it.

    The server first waits for every open connection, and an event stream stays open until it learns of the end. So the
    streams get the signal before the server does.
    """

    def tell(number: int, frame: FrameType | None) -> None:
        manager().closing.set()
        before = handlers[number]
        if not callable(before):  # nobody else hears of a hangup: it ends the server as SIGTERM does
            before = handlers.get(signal.SIGTERM)
        if callable(before):
            before(number, frame)

    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup: stays ignored
                handlers[number] = signal.signal(number, tell)
        bound_connections(handlers[signal.SIGTERM], raise_limit())
    bound_logs()
    send_at_once()
    warm_up()
    await anyio.to_thread.run_sync(manager().remove_leftovers)
    sweeping = asyncio.create_task(sweep(runtime.get_instance()))
    with Rounds(checkups(), manager().unfinished):
        yield {}
    sweeping.cancel()
    for caught, before in handlers.items():
        if signal.getsignal(caught) is tell:
            signal.signal(caught, before)
    await anyio.to_thread.run_sync(manager().shutdown)


_base = (st.get_option("server.baseUrlPath") or "").strip("/")
_prefix = f"/{_base}" if _base else ""

app = st.App(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "ui", "navigation.py"),
    routes=[
        *routes(manager(), models(), checkups(), _prefix),
        *assets.routes(_prefix),
    ],
    middleware=[
        Middleware(Hosts, allowed=allowed_hosts()),
        Middleware(SafeHeaders, ancestors=frame_ancestors()),
        Middleware(held.BoundUploads),
    ],
    lifespan=lifespan,
)
