"""The pictures of the lesson on the space of images."""

import base64
import io

import pytest
import torch
from PIL import Image

from gan import latent
from gan.course import space_pictures
from gan.course.space import ALIKE, SHORT
from gan.course.space_pictures import EXAMPLES, FACES, PARTS, PLACES, PSIS, STRENGTHS, TRUNCATED
from gan.explore import contrast_file
from gan.explore.models import SHIPPED
from gan.networks.generator_file import load_generator

PATH = SHIPPED / "faces.safetensors"


def test_straight_lines_leave_the_usual_lengths_and_great_circles_do_not() -> None:
    z, about = space_pictures.ways(load_generator(PATH), PATH)
    assert len(z) == 2 * PLACES * len(about["pairs"])
    for number, pair in enumerate(about["pairs"]):
        line, circle = pair["lengths"]
        assert line[0] == circle[0] and line[-1] == circle[-1] and len(line) == PLACES
        assert min(line) < SHORT - 1 and about["low"] < min(circle) and max(circle) < about["high"]
        ends = latent.from_seeds(pair["seeds"], 64)
        rows = z[2 * PLACES * number :]
        assert torch.equal(rows[0], ends[0]) and torch.allclose(rows[PLACES - 1], ends[1]) and torch.allclose(rows[PLACES], ends[0])
        assert line[3] == pytest.approx(float(rows[3].norm()), abs=1e-3)


def test_the_sums_are_faces_plus_differences_of_means() -> None:
    z, about = space_pictures.arithmetic(load_generator(PATH), PATH)
    found = {contrast.name: contrast for contrast in contrast_file.read(PATH, load_generator(PATH).config)}
    assert not any(seed in contrast.present.seeds for seed in FACES for contrast in found.values()), "faces without any attribute"
    per = 2 * EXAMPLES + len(FACES) * len(STRENGTHS)
    assert len(z) == per * len(about["samples"])
    for number, (name, (present, absent)) in enumerate(about["samples"].items()):
        contrast, rows = found[name], z[per * number :]
        assert (present, absent) == (len(contrast.present.seeds), len(contrast.absent.seeds))
        assert torch.equal(rows[:EXAMPLES], latent.from_seeds(contrast.present.seeds[:EXAMPLES], 64))
        face = latent.from_seeds(FACES, 64)[2]
        at = 2 * EXAMPLES + 2 * len(STRENGTHS) + STRENGTHS.index(1)
        assert torch.allclose(rows[at], face + contrast.strength * (contrast.present.vector - contrast.absent.vector), atol=1e-5)


def test_truncated_faces_become_alike() -> None:
    got = space_pictures.part("truncation")
    variety = got["variety"]
    assert variety[0] == 0 and variety == sorted(variety) and variety[PSIS.index(ALIKE)] < variety[PSIS.index(1)] / 3
    picture = Image.open(io.BytesIO(base64.b64decode(got["sheet"].partition(",")[2])))
    assert picture.format == "WEBP" and got["size"] == 64 and got["faces"] == TRUNCATED
    assert picture.width // 64 * (picture.height // 64) >= TRUNCATED * len(PSIS) == len(variety) * TRUNCATED


def test_other_generators_without_attributes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast_file, "read", lambda path, config: None)
    with pytest.raises(ValueError, match=r"faces\.attributes\.json lacks glasses, long hair, curly hair"):
        PARTS["arithmetic"](load_generator(PATH), PATH)
