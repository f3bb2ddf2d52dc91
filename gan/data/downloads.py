"""One file from the network: whole and checked, or not there at all. Knows nothing about data sets."""

import hashlib
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path

from gan.events import Progress
from gan.files import in_words, write_atomically

CHUNK = 2**18  # bytes between two Progress events
TIMEOUT_S = 20.0  # without a byte
LARGEST = 2**30  # bytes: far above any set on offer


def download(url: str, path: Path, md5: str, task: str) -> Generator[Progress, None, None]:
    """Downloads a file to `path`. It appears there once it is complete and its checksum is right.

    Args:
        url: where it is.
        path: where to put it.
        md5: its published checksum, 32 hex digits.
        task: the task of the Progress events.

    Yields:
        Progress in bytes. Closing the generator leaves nothing behind.

    Raises:
        OSError: it could not be downloaded or written, or is not the published file.
    """
    digest, done = hashlib.md5(usedforsecurity=False), 0
    request = urllib.request.Request(url, headers={"User-Agent": "dcgan-workshop"})
    yield Progress(task, 0, 0)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response, write_atomically(path) as file:
            total = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > LARGEST:
                    raise OSError(f"the server sent more than {LARGEST:,} bytes")
                yield Progress(task, done, total)
            if digest.hexdigest() != md5:
                raise OSError(f"the {done:,} downloaded bytes are not the published file: their MD5 is {digest.hexdigest()}, not {md5}")
    except (http.client.HTTPException, ValueError) as error:  # answers of a broken server or proxy
        raise OSError(f"the server's answer cannot be read: {error!r}") from error


def why(error: OSError) -> str:
    """Why a download failed, in words, without error numbers."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the other server answered {error.code} {error.reason}".rstrip()
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the other server's address cannot be found: is there a connection to the internet?"
    if isinstance(cause, TimeoutError):
        return f"the other server did not answer within {TIMEOUT_S:g} seconds"
    if isinstance(cause, ssl.SSLError):
        return "no secure connection to the other server could be made"
    if isinstance(cause, ConnectionError):
        return "the other server refused or broke the connection"
    return in_words(cause) if isinstance(cause, OSError) else str(cause)
