"""Two ASGI middlewares: which hosts the server answers to, and what its answers forbid browsers. They know nothing about runs or pages."""

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
# Allows what Streamlit's own pages need. Its icons, charts and components use inline scripts and styles, blobs and eval, so the
# policy cannot forbid those and does not stop a script that got into a page. It does keep pages from loading anything from other
# sites or sending anything there.
_CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors "
)


def allowed_hosts() -> frozenset[str]:
    """The names under which browsers may reach this server, besides IP addresses; "*" for any.

    WORKSHOP_HOSTS adds to localhost, this machine's own name and a Space's (SPACE_HOST): names separated by commas, or
    *.example.org for all subdomains.
    """
    own = socket.gethostname().lower()
    given = f"{os.environ.get('WORKSHOP_HOSTS', '')},{os.environ.get('SPACE_HOST', '')}"
    return frozenset(
        {"localhost", own, f"{own.partition('.')[0]}.local"} | {name.strip().lower() for name in given.split(",") if name.strip()}
    )


def is_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether a Host header names this server.

    An IP address always does: DNS rebinding (making a browser mistake this server for another site) needs a name of the
    attacker's, and the browser sends that name.
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
    """Refuses requests and websockets for a host that is not this server."""

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] in ("http", "websocket") else None
        if host is None or is_allowed(host, self.allowed):  # without the header it is not a browser
            await self.app(scope, receive, send)
            return
        log.warning("refused a request for the host %r: add it to WORKSHOP_HOSTS if it is this server's name", host[:100])
        if scope["type"] == "websocket":
            await receive()  # the connection's first message
            await send({"type": "websocket.close", "code": 1008})
            return
        refused = "This server does not know that name. Its host can add the name to WORKSHOP_HOSTS.\n"
        await PlainTextResponse(refused, 421)(scope, receive, send)


def frame_ancestors() -> str:
    """The sites that may show the app in a frame, in the policy's syntax: itself, WORKSHOP_FRAMES, and the page around a Space."""
    around = ["https://huggingface.co"] if os.environ.get("SPACE_HOST") else []
    given = [site for site in os.environ.get("WORKSHOP_FRAMES", "").split() if re.fullmatch(r"https?://[\w.*\-:\[\]]{1,253}", site)]
    return " ".join(["'self'", *around, *given])


class SafeHeaders:
    """Adds the headers that restrict browsers to every answer that does not have them yet."""

    def __init__(self, app: ASGIApp, ancestors: str) -> None:
        self.app = app
        self.headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # addresses contain the names of runs
            "Content-Security-Policy": _CONTENT + ancestors,
        }
        if ancestors == "'self'":  # the older header cannot hold a list
            self.headers["X-Frame-Options"] = "SAMEORIGIN"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, marked if scope["type"] == "http" else send)
