import json
from typing import Any

import pytest
import torch

from gan import latent
from gan.explore import vectors
from gan.explore.vectors import LatentVector

LIST = [
    LatentVector(7, name="Ada"),
    LatentVector(latent.LARGEST_SEED, locked=True),
    LatentVector(z=(0.1, -2.0, 1e-7, 3.5), name="of a photo"),
]


def test_a_list_comes_back_from_its_file_as_it_was() -> None:
    content = vectors.write(LIST)
    assert vectors.read(content, 4) == LIST
    assert json.loads(content)["vectors"][0] == {"name": "Ada", "seed": 7}


def test_points_are_the_seeds_noise_and_the_numbers_themselves() -> None:
    points = vectors.points(LIST, 4, "uniform")
    assert torch.equal(points[:2], latent.from_seeds([7, latent.LARGEST_SEED], 4, "uniform"))
    assert torch.equal(points[2], torch.tensor([0.1, -2.0, 1e-7, 3.5]))
    with pytest.raises(ValueError, match="of a photo has 4 numbers; this generator takes 5"):
        vectors.points(LIST, 5)
    assert [vector.fits(5) for vector in LIST] == [True, True, False]


def test_what_stands_for_numbers_tells_them_apart() -> None:
    a, b = LatentVector(z=(1.0, 2.0)), LatentVector(z=(1.0, 2.000001), name="b")
    assert a.ref != b.ref and a.ref == LatentVector(z=(1.0, 2.0), name="other").ref and LatentVector(1).ref == ""


def test_names_are_shown_on_one_line() -> None:
    assert LatentVector(1, name="  a\nb\x00\u202e" + "c" * 100).name == "a b" + "c" * 37


@pytest.mark.parametrize(
    "row, said",
    [
        ({}, "vector 1: a latent vector must have a seed, or its numbers"),
        ({"seed": 1, "z": [1, 2, 3, 4]}, "a seed, or its numbers"),
        ({"seed": -1}, "between 0 and 2\\^63 - 1; got -1"),
        ({"seed": 2**63}, "must fit in 64 bits"),
        ({"seed": 1.5}, "whole number; got '1.5'"),
        ({"seed": True}, "whole number"),
        ({"seed": "7"}, "whole number"),
        ({"z": [1, 2, 3]}, "has 3 numbers; this generator takes 4"),
        ({"z": [1, 2, 3, "4"]}, "list of finite numbers"),
        ({"z": [1, 2, 3, float("nan")]}, "JSON has no NaN"),
        ({"z": [1, 2, 3, float("inf")]}, "JSON has no Infinity"),
        ({"z": [1, 2, 3, 10**400]}, "must fit in 64 bits"),
        ({"z": [1, 2, 3, -101]}, "between -100 and 100; got -101"),
        ({"z": [0] * 5000}, "at most 1024 numbers"),
        ({"z": "1,2,3,4"}, "list of finite numbers"),
        ({"seed": 1, "name": 5}, "a name must be text"),
        ({"seed": 1, "locked": "yes"}, "locked true or false"),
        ([], "an entry must have a seed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(row: dict[str, Any] | list[Any], said: str) -> None:
    content = json.dumps({"format": vectors.FORMAT, "vectors": [row]}).encode()
    with pytest.raises(ValueError, match=said) as refused:
        vectors.read(content, 4)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "not JSON"),
        (b"\x80\x04K\x01.", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "no list of latent vectors"),
        (b'{"vectors": [{"seed": 1}]}', "no list of latent vectors"),
        (json.dumps({"format": vectors.FORMAT, "vectors": []}).encode(), "1 to 24 latent vectors; got 0"),
        (json.dumps({"format": vectors.FORMAT, "vectors": [{"seed": 1}] * 25}).encode(), "got 25"),
        (b" " * (vectors.LARGEST_FILE + 1), "at most 1 MiB"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        vectors.read(content)
