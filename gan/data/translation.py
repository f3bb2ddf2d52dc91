"""The data set of a run that translates images: what it trains on, and what it never sees. Pure."""

import dataclasses

import torch

from gan.data.imageset import ImageDataset

PART = 10  # one image in so many is held out of a set without test images
MOST_HELD_OUT = 1000  # images


def with_held_out(training: ImageDataset, test: ImageDataset | None) -> ImageDataset:
    """A set with the images that training never sees: its test images, or else every tenth image of each class.

    training: all training images. test: the test images, if the set has any.
    """
    if test is not None:
        return dataclasses.replace(training, held_out=test)
    held_out = torch.zeros(len(training), dtype=torch.bool)
    labels = training.labels if training.labels is not None else torch.zeros(len(training), dtype=torch.int64)
    for number in range(int(labels.max()) + 1 if len(labels) else 0):
        rows = (labels == number).nonzero().flatten()
        held_out[rows[:: max(PART, -(-len(rows) // MOST_HELD_OUT))]] = True
    return dataclasses.replace(_rows(training, ~held_out), held_out=_rows(training, held_out))


def _rows(dataset: ImageDataset, rows: torch.Tensor) -> ImageDataset:
    labels, attributes, inputs = (None if of is None else of[rows] for of in (dataset.labels, dataset.attributes, dataset.inputs))
    return dataclasses.replace(dataset, images=dataset.images[rows], labels=labels, attributes=attributes, inputs=inputs)
