"""Downloads from a server on this machine's own loopback."""

import email.message
import errno
import hashlib
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from gan.data import downloads
from gan.data.downloads import download, why

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path == "/cut" else CONTENT)

    def log_message(self, *arguments: str | int) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["file", "unsized"])
def test_a_file_comes_whole_and_says_how_far_it_is(server: str, tmp_path: Path, name: str) -> None:
    events = list(download(f"{server}/{name}", tmp_path / "a" / "file", MD5, "Fetching"))
    assert (tmp_path / "a" / "file").read_bytes() == CONTENT
    total = len(CONTENT) if name == "file" else 0
    assert events[0].done == 0 and (events[-1].task, events[-1].done, events[-1].total) == ("Fetching", len(CONTENT), total)
    assert [e.done for e in events] == sorted(e.done for e in events) and len(events) == 5


def test_an_interrupted_download_leaves_what_was_there(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    loading = download(f"{server}/file", tmp_path / "file", MD5, "x")
    for _ in range(3):
        next(loading)
    loading.close()
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("address", "md5", "reason"),
    [
        ("/file", "0" * 32, "not the published file"),
        ("/cut", MD5, "the 1,000 downloaded bytes are not the published file"),
        ("/missing", MD5, "404"),
    ],
)
def test_what_is_not_the_file_is_refused_and_nothing_stays(server: str, tmp_path: Path, address: str, md5: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason):
        list(download(f"{server}{address}", tmp_path / "file", md5, "x"))
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers_and_too_much_comes(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="refused"):
        list(download("http://127.0.0.1:9/file", tmp_path / "file", MD5, "x"))
    monkeypatch.setattr(downloads, "LARGEST", 1000)
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        list(download(f"{server}/file", tmp_path / "file", MD5, "x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HTTPError("http://x", 404, "Not Found", email.message.Message(), None), "the other server answered 404 Not Found"),
        (URLError(socket.gaierror(-2, "Name or service not known")), "is there a connection to the internet?"),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "refused or broke the connection"),
        (URLError(TimeoutError("timed out")), "did not answer within 20 seconds"),
        (TimeoutError("The read operation timed out"), "did not answer within 20 seconds"),
        (URLError(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "no secure connection"),
        (URLError("unknown url type: x"), "unknown url type: x"),
        (OSError(errno.ENOSPC, "No space left on device"), "he disk is full: free some space"),
        (OSError("the server sent more than 3 bytes"), "the server sent more than 3 bytes"),
    ],
)
def test_why_a_download_failed_is_said_in_words(error: OSError, words: str) -> None:
    assert words in why(error) and "rrno" not in why(error) and "<" not in why(error)


def test_a_server_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError) as caught:
        list(download(f"http://127.0.0.1:{port}/x", tmp_path / "x", MD5, "x"))
    assert why(caught.value) == "the other server refused or broke the connection"
