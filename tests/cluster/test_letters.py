"""What a worker sends arrives unchanged, and nothing in it can run code."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gan.cluster.letters import Letter, pack_letters, packed, unpack_letters, unpacked
from gan.cluster.mirror import CPU, Mirror
from gan.cluster.version import difference, version
from gan.cluster.worker import answer
from gan.config import TrainConfig
from gan.events import Intervention, Metrics, Samples, Snapshot, ThreadChange
from gan.training.state import new_state

AT = {"step": 3, "images_seen": 24, "elapsed_s": 0.1 + 0.2}


def test_letters_arrive_as_they_were_sent() -> None:
    metrics = Metrics(3, 24, 1 / 3, 100.0, 0.1, 0.2, 0.3, 0.4, 0.5, scores=True)
    letters = [
        Letter(AT, metrics, norms={"weights": {"generator": {"a": 1.5, "b": None}}}, heard=2, waiting=("lr_g",)),
        Letter(AT, Intervention(3, "lr_g", 0.1, 0.2), weights=b"all of it"),
        Letter(AT, ThreadChange(3, 2, 1)),
        Letter(AT, Snapshot(3), generator=b"one network"),
        Letter(AT, end=True, error=("Diverged", "too far", "trace")),
    ]
    assert unpack_letters(pack_letters(letters)) == letters


def test_images_arrive_as_they_were_sent() -> None:
    images = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)[:, ::-1]
    sent = Letter(AT, Samples(3, images), weights=b"behind the images")
    (arrived,) = unpack_letters(pack_letters([sent]))
    assert isinstance(arrived.event, Samples) and np.array_equal(arrived.event.images, images)
    assert arrived.weights == b"behind the images"


@pytest.mark.parametrize(
    "parcel", [b"", b"\xff\xff\xff\xff", b"\x02\0\0\0[]", b"\x02\0\0\0{}", b"\x03\0\0\0[1]", b'\x0f\0\0\0[{"lengths":[]}]']
)
def test_a_damaged_parcel_is_refused_or_empty(parcel: bytes) -> None:
    try:
        assert unpack_letters(parcel) == []
    except ValueError as error:
        assert type(error) is not ValueError or "cannot be read" in str(error)


def test_weights_keep_every_bit_and_their_layout() -> None:
    weights = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    arrived = unpacked(packed({"w": weights, "step": 3}))
    assert torch.equal(arrived["w"], weights) and arrived["w"].stride() == weights.stride()


def test_a_parcel_with_code_in_it_is_not_read() -> None:
    with pytest.raises(pickle.UnpicklingError):
        unpacked(packed({"w": Harmful()}))


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("this must never run",)


def test_a_mirror_refuses_weights_of_another_run(config: TrainConfig) -> None:
    mirror = Mirror.of(new_state(config, CPU, threads=1), ("a GPU", "cuda"))
    other = new_state(config.change(generator_filters=8), CPU, threads=1)
    with pytest.raises(ValueError, match="has shape"):
        mirror.take(other.state_dict())
    assert (mirror.where, mirror.kind) == ("a GPU", "cuda")


def test_versions_that_differ_are_named() -> None:
    ours = version()
    assert difference(ours, ours) == ""
    assert difference(ours, ours | {"python": "3.9"}).startswith("it has Python 3.9, but the server has ")
    assert "this project 0.1" in difference(ours, ours | {"project": "0.1"})
    assert "copy of this project differs" in difference(ours, ours | {"code": "0"})


def test_an_answer_carries_the_error() -> None:
    assert answer(lambda: [1, 2]) == b'{"result": [1, 2]}'
    assert b"ZeroDivisionError" in answer(lambda: 1 // 0)


def test_a_letter_is_a_value() -> None:
    assert replace(Letter(AT), heard=1) != Letter(AT)
