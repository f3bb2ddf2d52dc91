"""How many files and connections the server holds open, and how its sockets send: the only module that knows uvicorn's internals.

Every connection takes a file descriptor, and so does every file that a run writes. A server without free descriptors cannot
write a run's metrics. So connections get a share of the descriptors, and a connection that sends no request is closed.
"""

import asyncio
import logging
import os
import socket
import stat
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

WANTED = 8192  # descriptors; macOS begins with 256, Linux with 1,024, and both allow more on request
RESERVE = 96  # descriptors for runs, data sets, libraries and the server itself
EACH = 4  # descriptors per page: its websocket, and three for the event loop that Streamlit makes for its scripts
FEWEST, MOST_QUEUED = 16, 512
_CLOSED, _CLOSED_BY_CLIENT = 7, 8  # Linux's TCP_CLOSE and TCP_CLOSE_WAIT
HEADERS_WITHIN_S = 10.0  # from the connection, or the first byte of a request, to the end of the request's header


@dataclass(frozen=True)
class Budget:
    """The share of the descriptors for connections.

    connections: at once. queued: accepted in one go before any of them is handled.
    """

    connections: int
    queued: int


def budget(descriptors: int) -> Budget:
    """The connections that a process with this many descriptors can afford."""
    connections = max(FEWEST, (descriptors - RESERVE) // EACH)
    return Budget(connections, max(FEWEST, min(MOST_QUEUED, connections // 2)))


def raise_limit(wanted: int = WANTED) -> int:
    """Raises this process's limit of open files as far as the system allows; returns the limit."""
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError) as error:  # macOS: more than the kernel allows per process
        log.warning("the server may open only %d files; raising the limit to %d failed: %s", soft, most, error)
        return soft
    return most


class Gate:
    """The open connections, and those that have not sent a complete request yet. Use it only from the event loop."""

    def __init__(self, most: int, within_s: float = HEADERS_WITHIN_S) -> None:
        self.most, self.within_s = most, within_s
        self.waiting: OrderedDict[Any, asyncio.TimerHandle] = OrderedDict()  # protocols, longest wait first

    def opened(self, protocol: Any, number: int) -> None:
        """A new connection. number: all open ones, including it. At the limit, the connection that has waited longest is closed."""
        self.wait(protocol)
        if number > self.most:
            oldest = next(iter(self.waiting))
            log.warning("more than %d connections: closing the one that has waited longest without a request", self.most)
            self.close(oldest)

    def wait(self, protocol: Any) -> None:
        """This connection must send a request; does nothing if it is already waiting for one."""
        if protocol not in self.waiting:
            self.waiting[protocol] = asyncio.get_running_loop().call_later(self.within_s, self.close, protocol)

    def done(self, protocol: Any) -> None:
        """A request came, or the connection ended."""
        if timer := self.waiting.pop(protocol, None):
            timer.cancel()

    def close(self, protocol: Any) -> None:
        """Ends a connection at once; its descriptor is free after the event loop's next iteration."""
        self.done(protocol)
        protocol.transport.abort()


def has_left(transport: Any) -> bool:
    """Whether the client has already closed its side, although its data have not been read yet.

    The event loop learns this only after reading everything, when the request is already being answered. Linux knows at once;
    elsewhere the answer is False. As in uvicorn, a client that closes only its own direction counts as gone.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in (_CLOSED, _CLOSED_BY_CLIENT)
    except OSError:  # not a TCP connection
        return False


class Bounded:
    """A mixin for uvicorn's HTTP protocol that tells the gate when connections open and close."""

    gate: Gate

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        if has_left(transport):  # a flood of these must not take the places of others
            self.connections.discard(self)  # type: ignore[attr-defined]
            transport.abort()
            return
        self.gate.opened(self, len(self.connections))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if has_left(self.transport):  # type: ignore[attr-defined]
            self.gate.close(self)
            return
        super().data_received(data)  # type: ignore[misc]
        cycle = self.cycle  # type: ignore[attr-defined]
        upgraded = self.transport.get_protocol() is not self  # type: ignore[attr-defined]
        if upgraded or (cycle is not None and not cycle.response_complete):
            self.gate.done(self)
        elif not self.transport.is_closing():  # type: ignore[attr-defined]
            self.gate.wait(self)

    def on_response_complete(self) -> None:
        self.gate.done(self)  # on a kept-alive connection, uvicorn itself waits for the first byte of the next request
        super().on_response_complete()  # type: ignore[misc]

    def connection_lost(self, error: Exception | None) -> None:
        self.gate.done(self)
        super().connection_lost(error)  # type: ignore[misc]


def bound_connections(handler: object, descriptors: int) -> Gate | None:
    """Makes a uvicorn server respect the budget. Call it while the server starts, before it listens.

    Args:
        handler: the server's signal handler, one of its methods: an application has no other way to reach the server.
        descriptors: how many files the process may open.

    Returns:
        The gate; None, with a line in the log, if this is not a uvicorn server that we know.
    """
    config = getattr(getattr(handler, "__self__", None), "config", None)
    protocol = getattr(config, "http_protocol_class", None)
    known = all(hasattr(protocol, name) for name in ("connection_made", "data_received", "on_response_complete", "connection_lost"))
    if config is None or not isinstance(protocol, type) or not known:
        log.warning("connections are not limited: this is not a uvicorn server that we know")
        return None
    afforded = budget(descriptors)
    gate = Gate(afforded.connections)
    config.http_protocol_class = type("BoundedProtocol", (Bounded, protocol), {"gate": gate})
    config.backlog = afforded.queued
    log.info("up to %d connections at once (%d files may be open)", afforded.connections, descriptors)
    return gate


def send_at_once() -> None:
    """Sends small answers at once. Otherwise a body waits up to 40 ms until the browser has confirmed the headers (Nagle 1984).

    asyncio does this only for sockets whose protocol is named; Streamlit's listening socket does not name it. Accepted sockets
    inherit the option from the listening socket. Call this in the serving process, once that socket is bound.
    """
    folder = Path("/dev/fd")
    for name in os.listdir(folder) if folder.is_dir() else []:  # Windows has no such folder
        with suppress(OSError):  # not a socket, or closed by now
            descriptor = os.dup(int(name))
            try:
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    continue
                with socket.socket(fileno=os.dup(descriptor)) as listening:
                    internet = listening.family in (socket.AF_INET, socket.AF_INET6) and listening.type == socket.SOCK_STREAM
                    if internet and listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            finally:
                os.close(descriptor)
