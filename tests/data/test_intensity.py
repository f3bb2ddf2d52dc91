"""Values of any type and range become 0..255 by one scale, and a sentence describes the scale."""

import numpy as np
import pytest

from gan.data.intensity import Scale, Tally, darkness, stretch

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.arange(4096, dtype=np.uint16), "values 0 to 4,095 scaled to 0 to 255"),
        (np.arange(1024, dtype=np.int32), "values 0 to 1,023 scaled to 0 to 255"),
        (np.arange(301, dtype=np.int32), "values 0 to 300 scaled to 0 to 255"),
        (np.linspace(0, 1.0001, 999, dtype=np.float32), "values 0 to 1 scaled to 0 to 255"),
        (np.linspace(-1, 1, 999), "values -1 to 1 scaled to 0 to 255"),
        (np.arange(-2000, 2001, dtype=np.int16), "values -2,000 to 2,000 scaled to 0 to 255"),
        (np.array([0, 2**31, 2**32 - 1], np.uint32), "values 0 to 4,294,967,295 scaled to 0 to 255"),
        (np.array([np.finfo(float).min, 0, np.finfo(float).max]), "values -1.798e+308 to 1.798e+308 scaled to 0 to 255"),
        (np.array([False, True]), "values 0 to 1 scaled to 0 to 255"),
    ],
)
def test_every_type_and_range_fills_0_to_255(values: np.ndarray, sentence: str) -> None:
    result, said = stretch(values)
    assert result.dtype == np.uint8 and result.shape == values.shape and said == sentence
    assert (result[0], result[-1]) == (0, 255) and (np.diff(result.astype(int)) >= 0).all()
    if len(values) % 2:
        assert result[len(values) // 2] in (127, 128)


def test_the_scale_is_one_for_the_whole_set() -> None:
    values = np.stack([np.full((8, 8), top, np.uint16) for top in (0, 1000, 2000)])
    assert stretch(values)[0][:, 0, 0].tolist() == [0, 128, 255]


def test_many_16_bit_values_give_what_few_give() -> None:
    values = RNG.integers(0, 65536, (300, 300), dtype=np.uint16)
    scale = Scale(1234, 50_000)
    assert np.array_equal(scale.apply(values), np.stack([scale.apply(row) for row in values]))


def test_uint8_stays_as_it_is() -> None:
    values = RNG.integers(3, 9, (5, 8, 8), dtype=np.uint8)
    result, said = stretch(values)
    assert result is values and said == ""


def test_numbers_that_are_none_become_black_and_are_said() -> None:
    values = np.linspace(0, 10, 100)
    values[3:6] = np.nan, np.inf, -np.inf
    result, said = stretch(values)
    assert said == "values 0 to 10 scaled to 0 to 255; pixels without a finite number become black"
    assert result[3:6].tolist() == [0, 0, 0] and result[-1] == 255
    nothing, said = stretch(np.full((3, 3), np.nan))
    assert nothing.max() == 0 and "black" in said


def test_a_marker_for_missing_data_does_not_turn_the_rest_white() -> None:
    values = RNG.uniform(0, 1, (200, 200)).astype(np.float32)
    values[0, :20] = -9999
    result, said = stretch(values)
    assert said.startswith("values 0") and said.endswith("scaled to 0 to 255; the few values beyond become black or white")
    assert result[0, :20].max() == 0 and 120 < result[1:].mean() < 135


def test_a_few_bright_pixels_that_leave_the_others_room_are_not_cut() -> None:
    values = RNG.uniform(0, 1, (200, 200))
    values[0, 0] = 10
    assert stretch(values)[1] == "values 5.2e-05 to 10 scaled to 0 to 255".replace("5.2e-05", f"{values.min():,.4g}")


def test_one_value_for_all_is_said() -> None:
    result, said = stretch(np.full((4, 4), 7.5))
    assert result.max() == 0 and said == "all values are 7.5, so the images are black"


def test_blocks_and_merged_tallies_give_the_scale_of_the_whole() -> None:
    values = RNG.normal(0, 1, (3000, 700))  # more than the sample keeps
    tallies = Tally(), Tally()
    for i, row in enumerate(values):
        tallies[i % 2].add(row)
    tallies[0].merge(tallies[1])
    assert tallies[0].scale() == Scale(values.min(), values.max()) == _whole(values)


def _whole(values: np.ndarray) -> Scale:
    tally = Tally()
    tally.add(values)
    return tally.scale()


@pytest.mark.parametrize("values", [np.zeros(3, complex), np.array(["a"]), np.array([None])])
def test_what_is_no_number_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixel values must be real numbers; these are of type"):
        stretch(values)


def test_a_set_below_32_is_dark() -> None:
    assert (
        darkness(31) == "the brightest pixel is 31 of 255: these images are nearly black: brighten them before you train"
        and darkness(32) == ""
    )
