"""What a worker sends about the run that it trains. Nothing in it can run code.

A letter is one piece of news: an event, how far the run is, and sometimes weights. A parcel is the bytes of several letters, sent together.
It has the length of its head (4 bytes, little-endian), the head as JSON, and the letters' blobs one after another: images as bytes,
weights as torch.save() writes them, which are read with weights_only=True.
"""

import io
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from gan.events import Event, Intervention, Metrics, Samples, Snapshot, ThreadChange

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Metrics, Intervention, ThreadChange, Samples, Snapshot)}
BLOBS = ("images", "weights", "generator")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Letter:
    """One piece of news from a worker.

    Attributes:
        at: how far the state is: step, images_seen, elapsed_s, changes, execution, launch, noise, `settings` (the live ones), and the worker's
            `memory` in bytes.
        event: what happened; None in the last letter.
        weights: the whole state (packed()) at that moment, if it goes along.
        generator: the EMA generator's tensors (packed()) at that moment, if they go along.
        norms: layer_norms(), if they were measured.
        heard: number of the last message with changes that the worker had received.
        waiting: settings whose changes it had received but not made yet.
        end: training has returned; it continues with another order.
        error: why it ended: the kind of error, its message, and the trace; empty if nothing is wrong.
        sent: the worker's clock, seconds since the epoch; for measurements only.
    """

    at: dict[str, Any]
    event: Event | None = None
    weights: bytes = b""
    generator: bytes = b""
    norms: dict[str, Any] | None = None
    heard: int = 0
    waiting: tuple[str, ...] = ()
    end: bool = False
    error: tuple[str, ...] = ()
    sent: float = 0.0


def pack_letters(letters: Sequence[Letter]) -> bytes:
    """Letters as one parcel."""
    head: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for letter in letters:
        entry = {field.name: getattr(letter, field.name) for field in fields(letter) if field.name not in ("event", *BLOBS)}
        images, entry["event"] = b"", None
        if isinstance(letter.event, Samples):
            pixels = np.ascontiguousarray(letter.event.images)
            images, entry["event"] = pixels.tobytes(), {"kind": "Samples", "step": letter.event.step, "shape": pixels.shape}
        elif letter.event is not None:
            entry["event"] = {"kind": type(letter.event).__name__, **asdict(letter.event)}  # type: ignore[call-overload]
        parts = (images, letter.weights, letter.generator)
        head.append(entry | {"lengths": [len(part) for part in parts]})
        blobs += parts
    text = json.dumps(head).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *blobs])


def unpack_letters(parcel: bytes) -> list[Letter]:
    """The letters in a parcel.

    Raises:
        ValueError: it is not a parcel of letters.
    """
    try:
        (length,) = _LENGTH.unpack_from(parcel)
        place = _LENGTH.size + length
        letters = []
        for entry in json.loads(parcel[_LENGTH.size : place]):
            blobs: dict[str, Any] = {}
            for name, size in zip(BLOBS, entry.pop("lengths"), strict=True):
                blobs[name], place = parcel[place : place + size], place + size
            told, images = entry.pop("event"), blobs.pop("images")
            event = _event(told, images) if told else None
            letters.append(Letter(**entry | {"waiting": tuple(entry["waiting"]), "error": tuple(entry["error"])}, **blobs, event=event))
    except (KeyError, TypeError, struct.error, AttributeError) as error:
        raise ValueError(f"a worker's parcel cannot be read: {type(error).__name__}: {error}") from None
    return letters


def _event(told: dict[str, Any], images: bytes) -> Event:
    kind = KINDS[told.pop("kind")]
    if kind is Samples:
        return Samples(told["step"], np.frombuffer(images, dtype=np.uint8).reshape(told["shape"]))
    return kind(**told)


def packed(content: dict[str, Any]) -> bytes:
    """Tensors and plain values as bytes, with the tensors' layout in memory."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def unpacked(content: bytes) -> Any:
    """What packed() packed, on the CPU. Executes nothing."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
