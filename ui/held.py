"""A limit on the files that Streamlit holds in memory for pages. The only module that knows how it holds them.

Streamlit takes a file for any session that is alive, whether its page has an uploader or not, and keeps it until the page releases
it or the session ends. Streamlit limits each file, but neither a session nor the total.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime

MOST_A_SESSION = 256 * 2**20  # bytes; one upload of the largest size and an image
MOST_IN_ALL = 2**30  # bytes, all sessions together
UPLOADS = "/_stcore/upload_file/"  # the path continues with the session and the file


def held() -> dict[str, int]:
    """Bytes that Streamlit holds for each session."""
    if not runtime.exists():
        return {}
    storage: Mapping[str, Mapping[str, Any]] = getattr(runtime.get_instance().uploaded_file_mgr, "file_storage", {})
    # Copies: other threads add and remove files meanwhile.
    return {session: sum(len(file.data) for file in list(files.values())) for session, files in list(storage.items())}


def room() -> int:
    """Bytes that may still be uploaded, all sessions together."""
    return MOST_IN_ALL - sum(held().values())


class BoundUploads:
    """ASGI middleware that refuses an upload, with one sentence, before its content arrives, if it would be too much."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: Counter[str] = Counter()  # bytes on their way, by session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT" or UPLOADS not in scope["path"]:
            await self._app(scope, receive, send)
            return
        session = scope["path"].partition(UPLOADS)[2].partition("/")[0]
        length = Headers(scope=scope).get("content-length", "")
        if status := self._refusal(session, length):
            await JSONResponse({"error": status[1]}, status[0])(scope, receive, send)
            return
        size = int(length)  # the server ends a request that sends more
        self._arriving[session] += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._arriving[session] -= size
            if not self._arriving[session]:
                del self._arriving[session]

    def _refusal(self, session: str, length: str) -> tuple[int, str] | None:
        """A status and a sentence; None if the upload is allowed."""
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            return 411, "an upload must say how long it is"
        by_session, size = held(), int(length)
        if by_session.get(session, 0) + self._arriving[session] + size > MOST_A_SESSION:
            return 413, f"one page may hold {MOST_A_SESSION // 2**20} MiB of uploads: reload it to release them"
        if sum(by_session.values()) + self._arriving.total() + size > MOST_IN_ALL:
            return 503, "the server holds too many uploads: try again in a few minutes"
        return None
