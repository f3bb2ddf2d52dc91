"""What stands in the project is what torchvision has: published sets, sizes and channels. Importing it takes longer than all of these tests."""

import pytest
import torch

from gan.data import published
from gan.images import resized, with_channels
from tests.data.test_published import FASHION_RESOURCES

SHAPES = [(1, 1, 28, 28), (3, 3, 90, 61), (2, 1, 5, 70), (1, 3, 300, 200), (1, 3, 64, 1)]


def test_names_and_checksums() -> None:
    # Imported here, as below: every test process reads this file.
    from torchvision.datasets import CIFAR10, FashionMNIST

    assert list(published.FASHION_CLASSES) == FashionMNIST.classes
    assert FashionMNIST.resources == FASHION_RESOURCES and published.FASHION_URL in FashionMNIST.mirrors
    assert list(published.CIFAR_PYTHON.items()) == [(name, md5) for name, md5 in (*CIFAR10.train_list, *CIFAR10.test_list)]
    assert (CIFAR10.base_folder, CIFAR10.filename) == (published.CIFAR_PYTHON_FOLDER, published.CIFAR_PYTHON_ARCHIVE)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_another_size_and_other_channels_are_equal_to_the_bit(shape: tuple[int, ...], floats: bool, channels_last: bool) -> None:
    from torchvision.transforms.v2 import functional as transforms

    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = images / 127.5 - 1 if floats else images
    images = images.contiguous(memory_format=torch.channels_last) if channels_last else images
    for channels, theirs in ((1, transforms.rgb_to_grayscale), (3, transforms.grayscale_to_rgb)):
        expected = theirs(images)
        assert torch.equal(with_channels(images, channels), expected)
        for size in ((28, 28), (64, 64), (17, 90), (2, 1)):
            assert torch.equal(resized(expected, *size), transforms.resize(expected, list(size), antialias=True)), size
