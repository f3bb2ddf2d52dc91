"""The data set of a run that translates images: what it trains on, and what it never sees. Pure."""

import dataclasses

import torch

from gan.data.imageset import ImageDataset

PART = 10  # one image in so many is held out of a set without test images
MOST_HELD_OUT = 1000  # images


def with_held_out(training: ImageDataset, test: ImageDataset | None) -> ImageDataset:
    """A set with the images that training never sees: its test images, or else every tenth image of each class.

    A class with a single image has none to hold out. training: all training images. test: the test images, if the set has any; they
    count if they show all classes.
    """
    if test is not None and test.class_names == training.class_names and _kinds(test) == _kinds(training):
        return dataclasses.replace(training, held_out=test)
    held_out = torch.zeros(len(training), dtype=torch.bool)
    labels = training.labels if training.labels is not None else torch.zeros(len(training), dtype=torch.int64)
    for number in range(int(labels.max()) + 1 if len(labels) else 0):
        rows = (labels == number).nonzero().flatten()
        if len(rows) > 1:
            held_out[rows[:: max(PART, -(-len(rows) // MOST_HELD_OUT))]] = True
    return dataclasses.replace(_rows(training, ~held_out), held_out=_rows(training, held_out))


def _kinds(dataset: ImageDataset) -> set[int]:
    """The classes that have images."""
    return set() if dataset.labels is None else set(dataset.labels.unique().tolist())


def _rows(dataset: ImageDataset, rows: torch.Tensor) -> ImageDataset:
    labels, attributes, inputs = (None if of is None else of[rows] for of in (dataset.labels, dataset.attributes, dataset.inputs))
    return dataclasses.replace(dataset, images=dataset.images[rows], labels=labels, attributes=attributes, inputs=inputs)
