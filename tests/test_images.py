import io

import numpy as np
import pytest
import torch
from PIL import Image

from gan.images import enlarge, gif, png, tile, to_float, to_uint8
from tests.films import frames


def test_numbers_to_pixels_and_back() -> None:
    assert to_uint8(torch.tensor([[[[-1.0, 0.0, 1.0, -9.0, 9.0]]]])).tolist() == [[[[0, 128, 255, 0, 255]]]]
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert np.array_equal(to_uint8(to_float(every)), every.numpy())


def test_tiles_lie_in_rows() -> None:
    images = np.stack([np.full((1, 2, 2), i, dtype=np.uint8) for i in range(5)])
    grid = tile(images, columns=3, gap=1)
    assert grid.shape == (1, 5, 8)
    assert grid[0, 0].tolist() == [0, 0, 128, 1, 1, 128, 2, 2]
    assert grid[0, 4].tolist() == [3, 3, 128, 4, 4, 128, 128, 128]
    assert tile(images[:4], gap=0).shape == (1, 4, 4)


def test_enlarging_repeats_pixels() -> None:
    assert enlarge(np.array([[[1, 2]]], dtype=np.uint8), 2).tolist() == [[[1, 1, 2, 2], [1, 1, 2, 2]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    opened = np.asarray(Image.open(io.BytesIO(png(image))))
    assert np.array_equal(opened, image[0] if channels == 1 else image.transpose(1, 2, 0))


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_has_every_frame_and_plays_for_ever(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, channels, 8, 8), dtype=np.uint8)
    opened = Image.open(io.BytesIO(gif(images, 25)))
    assert (frames(opened), opened.info["duration"], opened.info["loop"]) == (6, 40, 0)
