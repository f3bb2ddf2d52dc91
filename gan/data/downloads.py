"""One file from the network: whole, checked, or not there at all. Knows nothing about data sets."""

import hashlib
import http.client
import urllib.request
from collections.abc import Generator
from pathlib import Path

from gan.events import Progress
from gan.files import write_atomically

CHUNK = 2**18  # bytes between two Progress events
TIMEOUT_S = 20.0  # without a byte
LARGEST = 2**30  # bytes: no set that is offered comes near it


def download(url: str, path: Path, md5: str, task: str) -> Generator[Progress, None, None]:
    """Fetches a file to `path`; it appears there once it is complete and has the checksum.

    Args:
        url: where it is.
        path: where it goes.
        md5: its published checksum, 32 hex digits.
        task: what the Progress events say.

    Yields:
        Progress in bytes; closing the generator at any of them leaves nothing behind.

    Raises:
        OSError: it could not be fetched or written, or is not what was published.
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
    except (http.client.HTTPException, ValueError) as error:  # what a broken server or proxy answers
        raise OSError(f"the server's answer cannot be read: {error!r}") from error
