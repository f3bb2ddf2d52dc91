"""Real sockets against a real uvicorn server, whose budget is tiny."""

import asyncio
import contextlib
import errno
import socket
import subprocess
import sys
from asyncio.streams import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from tests.forked import Forked
from tests.serving.test_server import in_a_loop
from ui import connections
from ui.connections import EACH, FEWEST, RESERVE, bound_connections, budget, send_at_once


def test_connections_get_what_the_rest_leaves() -> None:
    for descriptors in (256, 1024, 8192):
        afforded = budget(descriptors)
        assert EACH * afforded.connections + RESERVE <= descriptors and FEWEST <= afforded.queued <= afforded.connections
        assert EACH * (afforded.connections + 1) + RESERVE > descriptors
    assert budget(10).connections == FEWEST


def test_the_limit_is_raised_as_far_as_allowed() -> None:
    said = "import resource; from ui.connections import raise_limit; resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {1}));"
    said += "print(raise_limit(500), resource.getrlimit(resource.RLIMIT_NOFILE))"
    for soft, hard, most in ((100, 300, 300), (100, 600, 500), (550, 600, 550)):
        done = subprocess.run([sys.executable, "-c", said.format(soft, hard)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f"{most} ({most}, {hard})"


@contextlib.asynccontextmanager
async def served(most: int, within_s: float, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, connections.Gate, asyncio.Event]]:
    """A server with a budget of so many connections, each with so much time for its headers -> its port and gate."""
    slow = asyncio.Event()

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def wait(request: Request) -> PlainTextResponse:
        await slow.wait()
        return PlainTextResponse("late")

    async def count(request: Request) -> PlainTextResponse:
        app.state.asked = getattr(app.state, "asked", 0) + 1
        return PlainTextResponse(f"asked: {app.state.asked}")

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    app = Starlette(routes=[Route("/", hello), Route("/wait", wait), Route("/count", count), WebSocketRoute("/talk", talk)])
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    config.load()
    server = uvicorn.Server(config)
    monkeypatch.setattr(connections, "budget", lambda descriptors: connections.Budget(most, 16))
    gate = bound_connections(server.handle_exit, 0)
    gate.within_s = within_s
    task = asyncio.create_task(server._serve(None))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], gate, slow
    finally:
        server.should_exit = True
        slow.set()
        await task


async def opened(port: int, text: bytes = b"") -> tuple[StreamReader, StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    return reader, writer


async def ended(reader: StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read()


HALF, WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_oldest_half_open_request_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with served(4, 60, monkeypatch) as (port, _, _):
            halves = []
            for _ in range(10):
                halves.append(await opened(port, HALF))
                await asyncio.sleep(0.01)
            for reader, _ in halves[:6]:
                assert not await ended(reader)
            reader, writer = await opened(port, WHOLE)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            for _, half in halves:
                half.close()
            writer.close()

    in_a_loop(check())


def test_headers_that_do_not_come_end_a_connection_and_work_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with served(100, 0.2, monkeypatch) as (port, gate, slow):
            silent, half, busy = await opened(port), await opened(port, HALF), await opened(port, WHOLE.replace(b"/ ", b"/wait "))
            second = await opened(port, WHOLE)
            await second[0].readuntil(b"hello")
            second[1].write(HALF)  # the next one on the same connection
            for reader, _ in (silent, half, second):
                assert not await ended(reader)
            async with connect(f"ws://127.0.0.1:{port}/talk") as websocket:
                while gate.waiting:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
                await websocket.send("still here")
                assert await websocket.recv() == "still here"
            slow.set()
            assert b"late" in await busy[0].readuntil(b"late")
            for _, writer in (silent, half, second, busy):
                writer.close()

    in_a_loop(check())


def test_with_all_at_work_a_new_connection_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with served(2, 60, monkeypatch) as (port, gate, slow):
            busy = [await opened(port, WHOLE.replace(b"/ ", b"/wait ")) for _ in range(2)]
            while gate.waiting:
                await asyncio.sleep(0.01)
            late = await opened(port)
            assert not await ended(late[0])
            slow.set()
            for reader, _ in busy:
                assert b"late" in await reader.readuntil(b"late")
            for _, writer in (*busy, late):
                writer.close()

    in_a_loop(check())


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells at once that a client has left")
def test_clients_that_leave_at_once_cost_nobody_a_place_and_are_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def flood(port: int) -> socket.socket:
        """Clients that come, ask and leave while the server is busy; the last one stays."""
        for _ in range(15):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(WHOLE.replace(b"/ ", b"/count "))
        return socket.create_connection(("127.0.0.1", port))

    async def check() -> None:
        async with served(3, 60, monkeypatch) as (port, gate, _):
            half = await opened(port, HALF)  # a place that a flood must not take
            while not gate.waiting:
                await asyncio.sleep(0.01)
            stays = flood(port)  # in this thread, so that the server cannot accept any of them meanwhile
            stays.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=stays)
            writer.write(WHOLE)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            half[1].write(b"\r\n")
            assert (await half[0].readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            again = await opened(port, WHOLE.replace(b"/ ", b"/count "))
            assert (await again[0].readuntil(b"asked: 1")).startswith(b"HTTP/1.1 200")
            for one in (writer, half[1], again[1]):
                one.close()

    in_a_loop(check())


def test_a_transport_without_a_tcp_socket_counts_as_there() -> None:
    class Transport:
        def __init__(self, connection: socket.socket | None) -> None:
            self.connection = connection

        def get_extra_info(self, name: str) -> socket.socket | None:
            return self.connection

    with socket.socket(socket.AF_UNIX) as unix:
        assert not connections.has_left(Transport(unix)) and not connections.has_left(Transport(None))


@pytest.mark.parametrize("handler", [None, print, "text"])
def test_a_server_that_is_not_known_is_left_alone_and_said(
    handler: Callable[..., Any] | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert bound_connections(handler, 1000) is None and "not limited" in caplog.text


STARVED = """
import os, resource, sys, time
from pathlib import Path
import torch
from gan.recipes import recipe
from gan.runs import run as runs
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager

def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (run.state, run.status())
        time.sleep(0.01)

runs.ROOM_EVERY_S = 0.05
folder = Path(sys.argv[1]) / "runs"
manager = RunManager(folder)
smallest = dict(generator_filters=8, discriminator_filters=8, batch_size=8, duration=10**6, duration_unit="steps", snapshot_every=10, log_every=1)
run = manager.submit(recipe("quick-digits").config.change(**smallest))
wait_for(lambda: run.status()["step"] > 10)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for _ in range(2):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # what is open stays open; nothing else can be opened
    wait_for(lambda: run.state == "paused")
    said, before = run.status()["error"], run.status()["step"]
    try:
        os.open(folder, os.O_RDONLY)
    except OSError as error:
        missing = error.errno
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: run.status()["step"] > before + 10 and run.state == "running")
    assert run.status()["error"] is None
manager.shutdown()
rows, _ = run.folder.read_metrics()
steps = [row["step"] for row in rows]
assert steps == sorted(set(steps)), steps
print(missing, run.state, said)
"""


def test_a_run_that_finds_no_file_free_pauses_and_continues_by_itself(tmp_path: Path) -> None:
    with Forked(["-c", STARVED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        said, errors = process.communicate(200)
        assert process.returncode == 0, errors
    assert said.startswith(f"{errno.EMFILE} stopped The server has too many files open. The run waits"), said


def test_small_answers_leave_at_once() -> None:
    with socket.socket() as listening, socket.socket() as client:  # as Streamlit makes it: without the protocol's name
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        send_at_once()
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    send_at_once()  # what is closed does not matter
