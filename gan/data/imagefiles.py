"""Image files -> decoded images in the cache, on one scale. Knows nothing about where the files lie."""

import functools
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from gan.data import cache
from gan.data.archives import Member
from gan.data.decoding import NEEDS_SCALE, decode, measure
from gan.data.intensity import Scale, Tally, darkness
from gan.data.leftout import LeftOut
from gan.data.parts import Choice
from gan.events import Progress

BATCH = 16  # files that are decoded side by side, and lie in memory undecoded
LARGEST_BATCH = 64 * 2**20  # bytes of them, unless a single one is larger
MOST_MEASURED = 2000  # deep images that the scale of a set is worked out over

T = TypeVar("T")


def decode_all(
    where: str,
    choice: Choice,
    read: Callable[[Member], Path | bytes | str],
    image_size: int,
    channels: int,
    writer: cache.Writer,
) -> Generator[Progress, None, None]:
    """Decodes files side by side into the writer; read gives a file's path or content, or why there is none.

    Sets of 8-bit images are gone through once. The first deep image (16 bits, floats, ...) has the range of all of them measured,
    and that is their one scale; 8-bit images among them stay as they are.
    The scale is the same for all parts of the set.

    Args:
        where: names the set where it is refused.
        choice: which files, and their classes.
        read: gives a file's path or content, or why there is none.
        image_size, channels: of the result.
        writer: where images, labels and what was left out go.

    Raises:
        ValueError: no image can be used.
    """
    left_out, labels, members = LeftOut(), [], choice.members
    scale: Scale | None = None
    notes, brightest = [], 0
    with _Pool(read) as pool:
        for start, part in _batches(members):
            yield Progress("Reading the images", start, len(members))

            def decoded(source: Path | bytes, scale: Scale | None) -> np.ndarray | str:
                return decode(source, image_size, channels, scale, True)

            results = pool.each(functools.partial(decoded, scale=scale), part)
            if scale is None and any(result is NEEDS_SCALE for result in results):
                scale, note = yield from _scale_of(pool, choice.whole or members)
                notes.append(note)
                results = pool.each(functools.partial(decoded, scale=scale), part)
            for i, (member, result) in enumerate(zip(part, results, strict=True), start):
                if isinstance(result, str):
                    left_out.add(member.parts, result)
                else:
                    writer.add(result[None])
                    labels.append(choice.numbers[i])
                    brightest = max(brightest, int(result.max()))
    if not labels:
        raise ValueError(f"none of the {len(members)} images in {where} can be used, the first because: {left_out.sentences[0]}")
    notes += [note] if (note := darkness(brightest)) else []
    writer.about |= {"class_names": choice.classes, "left_out": left_out.as_json(), "notes": notes}
    writer.labels = np.array(labels, dtype=np.int64) if choice.classes else None


class _Pool:
    """Threads that do something with files side by side. Use it in a `with`."""

    def __init__(self, read: Callable[[Member], Path | bytes | str]) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode")

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def each(self, work: Callable[[Path | bytes], T | str], members: list[Member]) -> list[T | str]:
        """What the work makes of each file, or why a file cannot be read."""
        sources = [self._read(member) for member in members]
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of every oddity in a file
            return list(self._threads.map(lambda source: source if isinstance(source, str) else work(source), sources))


def _batches(members: list[Member]) -> Iterator[tuple[int, list[Member]]]:
    """Files that may lie in memory together, and the place of the first of them."""
    start = 0
    while start < len(members):
        end, size = start + 1, members[start].size
        while end < min(start + BATCH, len(members)) and size + members[end].size <= LARGEST_BATCH:
            size += members[end].size
            end += 1
        yield start, members[start:end]
        start = end


def _scale_of(pool: _Pool, members: list[Member]) -> Generator[Progress, None, tuple[Scale, str]]:
    """The one scale of all deep images in a set, and the sentence that says it."""
    step = -(-len(members) // MOST_MEASURED)
    some = members[::step]
    tally, plain = Tally(), 0
    for start, part in _batches(some):
        yield Progress("Measuring the range of values", start, len(some))
        for found in pool.each(measure, part):
            if isinstance(found, Tally):
                tally.merge(found)
            plain += found is None
    scale = tally.scale()
    note = scale.sentence()
    if step > 1:
        note += f"; measured on {len(some):,} of {len(members):,} images"
    if plain:
        note += "; 8-bit images stay unchanged"
    return scale, note
