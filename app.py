"""The server: `streamlit run app.py` starts it. Streamlit's pages, the HTTP routes, and runs that outlive both."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from gan.server import routes
from ui.workshop import manager, models

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
    """SIGTERM and Ctrl-C end here: every run is stopped and saved, so that it can be resumed."""
    yield {}
    manager().shutdown()


_base = (st.get_option("server.baseUrlPath") or "").strip("/")
_prefix = f"/{_base}" if _base else ""

app = st.App(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "ui", "navigation.py"),
    routes=[
        *routes(manager(), models(), _prefix),
        Mount(f"{_prefix}/assets/plotly", StaticFiles(packages=[("plotly", "package_data")])),
    ],
    lifespan=lifespan,
)
