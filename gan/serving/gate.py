"""Who may ask this server, and what its answers forbid a browser: two ASGI middlewares. Know nothing of runs or pages."""

import ipaddress
import logging
import os
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_HOST = re.compile(r"(\[[^\[\]]{2,64}\]|[^:\[\]]{1,253})(:\d{1,5})?")
# What Streamlit's own pages need. Its icons, charts and components use inline scripts and styles, blobs and eval, so the policy
# cannot forbid those: it is no help against a script that got into a page. It does keep pages from loading anything from
# elsewhere or sending anything there.
_CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors "
)


def allowed_hosts() -> frozenset[str]:
    """The names under which browsers may reach this server, besides its addresses in numbers; "*" for any.

    WORKSHOP_HOSTS adds to localhost, this machine's own name and a Space's (SPACE_HOST): names with commas between, or
    *.example.org for all below one.
    """
    own = socket.gethostname().lower()
    given = f"{os.environ.get('WORKSHOP_HOSTS', '')},{os.environ.get('SPACE_HOST', '')}"
    return frozenset(
        {"localhost", own, f"{own.partition('.')[0]}.local"} | {name.strip().lower() for name in given.split(",") if name.strip()}
    )


def is_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether a Host header names this server.

    An address in numbers always does: it takes a name of the attacker's to make a browser take this server for another site
    (DNS rebinding), and a browser sends the name that it was given.
    """
    allowed = set(allowed)
    if "*" in allowed:
        return True
    parts = _HOST.fullmatch(host.strip())
    if parts is None:
        return False
    name = parts[1].lower().rstrip(".")
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        above = name.split(".")
        return name in allowed or any("*." + ".".join(above[i:]) in allowed for i in range(1, len(above)))
    return True


class Hosts:
    """Refuses requests and websockets to a host that is not this server's."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] in ("http", "websocket") else None
        if host is None or is_allowed(host, self.allowed):  # without the header it is no browser
            await self.app(scope, receive, send)
            return
        log.warning("refused a request for the host %r: add it to WORKSHOP_HOSTS if it is this server's name", host[:100])
        if scope["type"] == "websocket":
            await receive()  # the connection's announcement
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = "This server does not know that name. Its host can add the name to WORKSHOP_HOSTS.\n"
        await PlainTextResponse(refused, 421)(scope, receive, send)


def frame_ancestors() -> str:
    """The sites that may show the app in a frame, as the policy says it: itself, WORKSHOP_FRAMES, and the page around a Space."""
    around = ["https://huggingface.co"] if os.environ.get("SPACE_HOST") else []
    given = [site for site in os.environ.get("WORKSHOP_FRAMES", "").split() if re.fullmatch(r"https?://[\w.*\-:\[\]]{1,253}", site)]
    return " ".join(["'self'", *around, *given])


class SafeHeaders:
    """Adds to every answer what browsers should not do with it, where nothing is said of that yet."""

    def __init__(self, app: ASGIApp, ancestors: str) -> None:
        self.app = app
        self.headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # addresses name runs
            "Content-Security-Policy": _CONTENT + ancestors,
        }
        if ancestors == "'self'":  # the older header knows no list
            self.headers["X-Frame-Options"] = "SAMEORIGIN"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)
