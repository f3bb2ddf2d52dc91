"""Image files -> decoded images in the cache, on one scale. Knows nothing about where the files are."""

import functools
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gan.data import cache
from gan.data.archives import Member
from gan.data.decoding import NEEDS_SCALE, decode, measure
from gan.data.form import Form
from gan.data.intensity import Scale, Tally, darkness
from gan.data.leftout import LeftOut
from gan.data.pairs import Both, Content
from gan.data.parts import Choice
from gan.events import Progress

BATCH = 16  # files that are decoded in parallel and held in memory undecoded
LARGEST_BATCH = 64 * 2**20  # bytes of these files, unless a single one is larger
MOST_MEASURED = 2000  # deep images that a set's scale is measured on

T = TypeVar("T")


def decode_all(
    where: str,
    choice: Choice,
    read: Callable[[Member], Content | Both],
    form: Form,
    writer: cache.Writer,
) -> Generator[Progress, None, None]:
    """Decodes files in parallel into the writer.

    Sets of 8-bit images are read once. The first deep image (16 bits, floats, ...) starts a pass that measures the range of all deep
    images, which gives their one scale. 8-bit images in the same set stay unchanged. All parts of a set share the scale.

    Args:
        where: names the set in error messages.
        choice: the files and their classes.
        read: returns a file's path or content, or those of a pair's two files, or why there is none.
        form: of the result.
        writer: takes the images, the labels and what was left out.

    Raises:
        ValueError: no image can be used.
    """
    left_out, labels, members = LeftOut(), [], choice.members
    scale: Scale | None = None
    notes, brightest = [], 0
    with _Pool(read) as pool:
        for start, part in _batches(members):
            yield Progress("Reading the images", start, len(members))

            def decoded(source: Path | bytes | Both, scale: Scale | None) -> np.ndarray | str:
                return _decoded(source, form, scale)

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


def _decoded(source: Path | bytes | Both, form: Form, scale: Scale | None) -> np.ndarray | str:
    """decode(), also for a pair in two files: the target first."""
    if not isinstance(source, tuple):
        return decode(source, *form, scale, True)
    a, b = (decode(part, *form.single, scale, True) for part in source)
    if isinstance(a, str) or isinstance(b, str):
        return a if isinstance(a, str) else b
    return np.concatenate([b, a] if form.pairs == "a_to_b" else [a, b])


def _measured(source: Path | bytes | Both) -> Tally | str | None:
    """measure(), also for a pair in two files."""
    if not isinstance(source, tuple):
        return measure(source)
    results = [measure(part) for part in source]
    tallies = [result for result in results if isinstance(result, Tally)]
    if not tallies:
        return next((result for result in results if result is not None), None)
    for other in tallies[1:]:
        tallies[0].merge(other)
    return tallies[0]


class _Pool:
    """Threads that work on files in parallel. Use it in a `with`."""

    def __init__(self, read: Callable[[Member], Content | Both]) -> None:
        self._read = read
        self._threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="decode")

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def each(self, work: Callable[[Any], T | str], members: list[Member]) -> list[T | str]:
        """The result of the work for each file, or why a file cannot be read."""
        sources = [self._read(member) for member in members]
        with warnings.catch_warnings(action="ignore"):  # Pillow warns about every oddity in a file
            return list(self._threads.map(lambda source: source if isinstance(source, str) else work(source), sources))


def _batches(members: list[Member]) -> Iterator[tuple[int, list[Member]]]:
    """Files that may be in memory together, and the index of the first one."""
    start = 0
    while start < len(members):
        end, size = start + 1, members[start].size
        while end < min(start + BATCH, len(members)) and size + members[end].size <= LARGEST_BATCH:
            size += members[end].size
            end += 1
        yield start, members[start:end]
        start = end


def _scale_of(pool: _Pool, members: list[Member]) -> Generator[Progress, None, tuple[Scale, str]]:
    """The one scale of all deep images in a set, and a sentence about it."""
    step = -(-len(members) // MOST_MEASURED)
    some = members[::step]
    tally, plain = Tally(), 0
    for start, part in _batches(some):
        yield Progress("Measuring the range of values", start, len(some))
        for measured in pool.each(_measured, part):
            if isinstance(measured, Tally):
                tally.merge(measured)
            plain += measured is None
    scale = tally.scale()
    note = scale.sentence()
    if step > 1:
        note += f"; measured on {len(some):,} of {len(members):,} images"
    if plain:
        note += "; 8-bit images stay unchanged"
    return scale, note
