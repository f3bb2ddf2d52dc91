"""The recorded digits run, and what the lessons draw with it."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan import latent
from gan.course import digits_run, quiz
from gan.course.digits_run import WINDOWS
from gan.course.real_or_fake import IMAGES, ROUNDS
from gan.data.imageset import ImageDataset
from gan.networks.generator_file import load_discriminator, load_generator
from gan.networks.sampling import sample
from gan.recipes import RECIPES

LARGEST = 3 * 2**20  # bytes of all files


def test_the_run_is_small_and_whole_and_a_quick_digits_run() -> None:
    assert sum(path.stat().st_size for path in digits_run.SHIPPED.iterdir()) < LARGEST
    assert len(WINDOWS) == ROUNDS
    for number, (step, window) in enumerate(zip(digits_run.about().steps, WINDOWS, strict=True)):
        drawn_by, judged_by = digits_run.generator(number), digits_run.discriminator(number)
        assert drawn_by.step == judged_by.step == step and step in window
        assert drawn_by.config == judged_by.config == digits_run.CONFIG
        changed = RECIPES["quick-digits"].config.model_dump().items() ^ digits_run.CONFIG.model_dump().items()
        assert {name for name, _ in changed} == {"discriminator_norm", "precision", "seed"}


def test_each_seed_draws_its_digit() -> None:
    """The digits-CNN named the digits when the run was recorded. This test only asks whether seeds of one digit look alike."""
    seeds = digits_run.about().seeds
    assert list(seeds) == [str(digit) for digit in range(10)]
    every = [seed for those in seeds.values() for seed in those]
    assert len(set(every)) == len(every) == 80
    images = sample(digits_run.generator(2).network, latent.from_seeds(every, 64)).reshape(10, 8, -1) / 255
    means = images.mean(1)
    nearest = np.abs(images[:, :, None] - means[None, None]).mean(-1).argmin(-1)  # (digit, seed) -> digit
    assert (nearest == np.arange(10)[:, None]).mean() > 0.7


def test_rounds_become_harder_and_d_judges_sensibly() -> None:
    rights = []
    for number in range(ROUNDS):
        got = quiz.quiz_round(number)
        picture = Image.open(io.BytesIO(base64.b64decode(got["sheet"].partition(",")[2])))
        assert picture.format == "PNG" and picture.size == (12 * 28, 2 * quiz.POOL // 12 * 28)
        assert got["step"] == digits_run.about().steps[number] and got["images"] == IMAGES
        answers = np.array(got["answers"])
        assert len(answers) == 2 * got["real"] and answers.min() >= 0 and answers.max() <= 1
        truth = np.arange(len(answers)) < got["real"]
        rights.append(((answers > 0.5) == truth).mean())
    assert rights[0] > rights[1] > rights[2] > 0.6
    with pytest.raises(ValueError, match="from 0 to 2; got 3"):
        quiz.quiz_round(3)


def test_no_image_of_one_round_comes_in_another() -> None:
    held_out = np.concatenate([quiz._held_out(digits_run.CONFIG, number) for number in range(ROUNDS)])
    assert len(np.unique(held_out.reshape(len(held_out), -1), axis=0)) == ROUNDS * quiz.POOL


def test_the_recorder_keeps_the_best_step_of_each_window(blobs: ImageDataset, tmp_path: Path) -> None:
    """The same settings give the same networks, and each file holds D as it was at its step."""
    config = digits_run.CONFIG.change(generator_filters=4, discriminator_filters=4, latent_dim=4, batch_size=8)
    held_out = blobs.images[:20].numpy()
    found = list(digits_run.record(tmp_path, config, ((1, 2), (3, 5)), blobs, held_out))
    again = list(digits_run.record(tmp_path / "again", config, ((1, 2), (3, 5)), blobs, held_out))
    (early, _), (late, _) = found
    assert found == again and early in (1, 2) and late in (3, 5)
    for step, right in found:
        for file in (digits_run.generator_file, digits_run.discriminator_file):
            assert file(step, tmp_path).read_bytes() == file(step, tmp_path / "again").read_bytes()
        judged_by, drawn_by = (
            load_discriminator(digits_run.discriminator_file(step, tmp_path)),
            load_generator(digits_run.generator_file(step, tmp_path)),
        )
        assert (judged_by.step, drawn_by.step) == (step, step)
        fakes = sample(drawn_by.network, latent.from_seeds(range(20), 4))
        real, fake = (np.array(digits_run.answers(judged_by.network, images)) for images in (held_out, fakes))
        assert ((real > 0.5).mean() + (fake <= 0.5).mean()) / 2 == pytest.approx(right, abs=0.1)  # weights were rounded


def test_a_damaged_description_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits_run, "SHIPPED", tmp_path)
    digits_run.about.cache_clear()
    eight = str(list(range(8)))
    for text in ("[]", '{"steps": [1, 2, 3]}', '{"steps": [1, 2], "seeds": {}}', '{"steps": [1, 2, -3], "seeds": {}}'):
        (tmp_path / digits_run.ABOUT).write_text(text)
        with pytest.raises(ValueError, match=r"about\.json"):
            digits_run.about()
    for seeds in ("[1]", eight.replace("7", '"7"'), "7"):
        (tmp_path / digits_run.ABOUT).write_text(f'{{"steps": [1, 2, 3], "seeds": {{"0": {seeds}}}}}')
        with pytest.raises(ValueError, match=r"about\.json"):
            digits_run.about()
    (tmp_path / digits_run.ABOUT).unlink()
    with pytest.raises(OSError):
        digits_run.about()


def test_seeds_of_a_digit_that_is_too_rare_are_refused() -> None:
    class Network:
        """Says that every image is a zero."""

        about = type("About", (), {"outputs": ("0", "1")})

        def features(self, images: np.ndarray) -> np.ndarray:
            return images

        def probabilities(self, features: np.ndarray) -> np.ndarray:
            return np.tile([1.0, 0.0], (len(features), 1))

    with pytest.raises(ValueError, match="give the digits 1: take another"):
        digits_run.find_seeds(digits_run.generator(0), Network())  # type: ignore[arg-type]
    assert not torch.is_inference_mode_enabled()
