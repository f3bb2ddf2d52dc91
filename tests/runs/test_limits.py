import os
from pathlib import Path
from typing import Any

import pytest

from gan.config import TrainConfig
from gan.runs.limits import NO_LIMITS, Limits, folder_size, span, steps_of
from gan.runs.manager import RunManager


def test_without_variables_there_are_few_limits(config: TrainConfig) -> None:
    limits = Limits.from_environment()
    assert limits == Limits(waiting=10, grace_s=600) and limits.describe() == ""
    limits.refuse(config.change(duration=1e6, image_size=128))
    assert NO_LIMITS.reached(10**9, 1e9, 10**15) == ""


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("WORKSHOP_MAX_STEPS", ("0", "-1", "1.5", "many", "²"), "a whole number of at least 1"),
        ("WORKSHOP_MAX_IMAGE_SIZE", ("0", "big"), "a whole number of at least 1"),
        ("WORKSHOP_MAX_WAITING", ("0", "x"), "a whole number of at least 1"),
        ("WORKSHOP_MAX_MINUTES", ("0", "-3", "nan", "inf", "ten"), "a number above 0"),
        ("WORKSHOP_MAX_MEMORY_GB", ("0", "2G"), "a number above 0"),
        ("WORKSHOP_MAX_DISK_MB", ("0", "x"), "a number above 0"),
        ("WORKSHOP_GRACE_S", ("0", "-1", "soon"), "a number above 0"),
    ],
)
def test_a_bad_variable_is_named_with_its_value_and_the_rule(
    name: str, values: tuple[Any, ...], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in values:
        monkeypatch.setenv(name, value)
        with pytest.raises(ValueError, match=f"{name} must be {rule}; got {value!r}"):
            RunManager()
    monkeypatch.setenv(name, "")
    assert RunManager().limits == Limits(waiting=10, grace_s=600)


def test_what_goes_beyond_is_refused_in_one_sentence(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STEPS": 1000, "MINUTES": 10, "IMAGE_SIZE": 32, "MEMORY_GB": 0.5, "DISK_MB": 100}.items():
        monkeypatch.setenv(f"WORKSHOP_MAX_{name}", str(value))
    limits = Limits.from_environment()
    limits.refuse(config.change(duration=1000))
    limits.refuse(config.change(duration=1000, duration_unit="epochs"))  # nobody knows yet how many steps that are
    limits.refuse(config.change(duration=1500, duration_unit="seconds"), step=5, elapsed_s=900)  # ten minutes more
    for settings, behind, words in (
        ({"duration": 1001}, {}, "1,000 steps in all; these settings ask for 1,001"),
        ({"duration": 200, "duration_unit": "epochs"}, {"per_epoch": 48}, "1,000 steps in all; these settings ask for 1,200"),
        ({"duration": 2000}, {"step": 1000}, "1,000 steps in all, and this run has reached them"),
        ({"duration": 900, "duration_unit": "seconds"}, {}, "10 minutes at a stretch; these settings ask for 15 minutes"),
        ({"image_size": 64}, {}, "images of up to 32 pixels; got image_size 64"),
        (
            {"generator_filters": 256, "discriminator_filters": 256, "batch_size": 1024},
            {},
            "0.5 GiB of memory, but these settings need about",
        ),
        ({}, {"disk": 101 * 2**20}, "100 MiB on disk, but this one has 101"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            limits.refuse(config.change(**settings), **behind)
        assert "\n" not in str(caught.value)
    assert limits.describe() == (
        "Limits of this server: 10 minutes of training at a stretch, 1,000 steps in all, images of 32 pixels, "
        "0.5 GiB of memory, 100 MiB on disk."
    )


def test_what_is_reached_while_it_trains_is_a_sentence() -> None:
    limits = Limits(steps=1000, minutes=0.5, disk_mb=1)
    assert limits.reached(999, 29.9, 2**20) == ""
    assert limits.reached(1000, 0) == "This server lets a run train for 1,000 steps in all."
    assert limits.reached(0, 30) == "This server lets a run train for 30 seconds at a stretch: resume it to continue."
    assert limits.reached(0, 0, 2**21) == "This server lets a run keep 1 MiB on disk, but this one has 2."


def test_steps_times_and_sizes(config: TrainConfig, tmp_path: Path) -> None:
    assert steps_of(config, None) == 12 and steps_of(config.change(duration_unit="seconds"), 48) is None
    assert steps_of(config.change(duration=1.5, duration_unit="epochs", d_steps=2), 48) == 5
    assert [span(s) for s in (1, 30, 60, 90, 3600, 5400)] == ["1 second", "30 seconds", "1 minute", "1.5 minutes", "1 hour", "1.5 hours"]
    (tmp_path / "samples").mkdir()
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "samples" / "b").write_bytes(b"x" * 11)
    os.symlink(tmp_path / "nowhere", tmp_path / "c")
    assert folder_size(tmp_path) == 111


def test_a_new_run_is_shortened_to_what_is_allowed(config: TrainConfig) -> None:
    limits = Limits(steps=1000, minutes=10)
    for settings, per_epoch, duration, unit in (
        ({"duration": 1000, "duration_unit": "steps"}, None, 1000, "steps"),  # fits
        ({"duration": 1001, "duration_unit": "steps"}, None, 1000, "steps"),
        ({"duration": 200, "duration_unit": "epochs"}, 48, 1000, "steps"),
        ({"duration": 200, "duration_unit": "epochs"}, None, 200, "epochs"),  # nobody can tell how many steps that is
        ({"duration": 600, "duration_unit": "seconds"}, None, 600, "seconds"),
        ({"duration": 900, "duration_unit": "seconds"}, None, 600, "seconds"),
    ):
        shortened = limits.shorten(config.change(**settings), per_epoch)
        assert (shortened.duration, shortened.duration_unit) == (duration, unit)
        assert shortened.change(duration=config.duration, duration_unit=config.duration_unit) == config  # nothing else changes
        limits.refuse(shortened, per_epoch=per_epoch)
    long = config.change(duration=10**6)
    assert NO_LIMITS.shorten(long) == long
