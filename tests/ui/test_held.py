"""Limits on the files that Streamlit holds for pages: per session, and for all sessions together."""

import anyio
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from ui import held


class Runtime:
    def __init__(self) -> None:
        self.uploaded_file_mgr = MemoryUploadedFileManager("/_stcore/upload_file")


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    running = Runtime()
    monkeypatch.setattr(held.runtime, "exists", lambda: True)
    monkeypatch.setattr(held.runtime, "get_instance", lambda: running)
    monkeypatch.setattr(held, "MOST_A_SESSION", 100)
    monkeypatch.setattr(held, "MOST_IN_ALL", 250)
    return running.uploaded_file_mgr


def put(
    storage: MemoryUploadedFileManager, session: str, size: int, length: bytes | str | None = None, method: str = "PUT", prefix: str = ""
) -> int:
    """The status of an upload; Streamlit's own part only keeps the bytes."""
    seen = []

    async def streamlit(scope: Scope, receive: Receive, send: Send) -> None:
        storage.add_file(session, UploadedFileRec(f"file {sum(map(len, storage.file_storage.values()))}", "x", "x", bytes(size)))
        await Response(status_code=204)(scope, receive, send)

    async def send(message: Message) -> None:
        seen.append(message)

    async def receive() -> Message:
        raise AssertionError("a refused upload is not read")

    headers = [] if length == "" else [(b"content-length", str(size if length is None else length).encode())]
    scope: Scope = {"type": "http", "method": method, "path": f"{prefix}/_stcore/upload_file/{session}/1", "headers": headers}
    middleware = held.BoundUploads(streamlit)
    anyio.run(middleware, scope, receive, send)
    assert not middleware._arriving
    return seen[0]["status"]


def test_a_session_and_all_together_are_bounded(storage: MemoryUploadedFileManager) -> None:
    assert [put(storage, "a", 60), put(storage, "a", 40), put(storage, "a", 1)] == [204, 204, 413]
    assert [put(storage, "b", 100), put(storage, "c", 51, prefix="/workshop"), put(storage, "c", 50)] == [204, 503, 204]
    assert held.held() == {"a": 100, "b": 100, "c": 50} and held.room() == 0
    storage.remove_session_files("a")
    assert held.room() == 100 and put(storage, "c", 50) == 204


@pytest.mark.parametrize("length", ["", "-1", "ten", "9" * 30, "²"])
def test_an_upload_that_does_not_say_how_long_it_is_is_refused(storage: MemoryUploadedFileManager, length: str) -> None:
    assert put(storage, "a", 1, length.encode() if not length.isascii() else length) == 411


def test_what_is_still_arriving_counts(storage: MemoryUploadedFileManager) -> None:
    statuses = []

    async def both() -> None:
        arrived = anyio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await arrived.wait()
            await Response(status_code=204)(scope, receive, send)

        middleware = held.BoundUploads(slow)

        async def one(size: int) -> None:
            async def send(message: Message) -> None:
                statuses.append(message.get("status"))

            await middleware(
                {"type": "http", "method": "PUT", "path": "/_stcore/upload_file/a/1", "headers": [(b"content-length", b"%d" % size)]},
                None,
                send,
            )

        async with anyio.create_task_group() as group:
            group.start_soon(one, 60)
            await anyio.lowlevel.checkpoint()
            await one(41)
            arrived.set()

    anyio.run(both)
    assert [status for status in statuses if status] == [413, 204]


def test_other_requests_pass(storage: MemoryUploadedFileManager) -> None:
    assert put(storage, "a", 999, method="DELETE") == 204
