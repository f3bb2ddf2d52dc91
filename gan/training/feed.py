"""A data set's images in the order that seed and epoch define, as batches for training steps."""

import contextlib

import torch

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import free_memory
from gan.draws import own
from gan.images import to_float
from gan.training import augment
from gan.training.state import TrainState

# What pairs look like, for error messages.
PAIRS = "images of A and B side by side in one file, or folders A and B with files of the same names"


def largest_batch(config: TrainConfig, images: int) -> int | None:
    """The largest batch_size up to the config's for this number of images and the other settings; None if there is none."""
    for size in range(min(images, config.batch_size), 0, -1):
        with contextlib.suppress(ValueError):
            return config.change(batch_size=size).batch_size
    return None


def too_few(config: TrainConfig, images: int) -> str:
    """What is wrong with a set that has fewer images than a batch, and what to do about it."""
    size = largest_batch(config, images)
    smaller = f", or set batch_size to {size} or less" if size else ""
    each = "pair" if config.networks == "pix2pix" else "image"
    return f"{images} {each}{'' if images == 1 else 's'}, fewer than one batch of {config.batch_size}: add {each}s{smaller}"


def epoch_images(config: TrainConfig, dataset: ImageDataset) -> int:
    """Images in one pass over the set; see TrainConfig.images_per_epoch().

    Raises:
        ValueError: the set does not fit the config: another shape, fewer images than a batch, or labels or pairs missing.
    """
    shape = (config.channels, config.image_size, config.image_size)
    if tuple(dataset.images.shape[1:]) != shape:
        raise ValueError(
            f"the data set {dataset.name} has images of shape {tuple(dataset.images.shape[1:])}, but the settings need {shape}"
        )
    per_epoch = config.images_per_epoch(len(dataset))
    if per_epoch is None:
        raise ValueError(f"the data set {dataset.name} holds {too_few(config, len(dataset))}")
    if config.conditional and dataset.labels is None:
        raise ValueError(
            f"the data set {dataset.name} has no labels, but conditional needs them: choose another data set, or turn conditional off"
        )
    if config.networks == "pix2pix" and dataset.inputs is None:
        raise ValueError(f"the data set {dataset.name} has no pairs of images, but networks pix2pix need them: {PAIRS}")
    if config.networks == "cyclegan" and (dataset.labels is None or len(dataset.class_names) != 2):
        raise ValueError(
            f"the data set {dataset.name} has {len(dataset.class_names) or 'no'} classes, but networks cyclegan translate between two: "
            "put the images of either kind into a folder of its own"
        )
    if config.networks == "cyclegan":
        _refuse_lone_images(dataset)
    return per_epoch


def _refuse_lone_images(dataset: ImageDataset) -> None:
    """
    Raises:
        ValueError: training, or the images that it never sees, lack one of the classes.
    """
    for part in (dataset, dataset.held_out if dataset.held_out is not None else dataset):
        for kind, name in enumerate(part.class_names):
            if part.labels is None or not (part.labels == kind).any():
                raise ValueError(
                    f"the data set {dataset.name} has too few images of the class {name}: networks cyclegan need at least two, one to "
                    "learn from and one to show"
                )


class Feed:
    """The data set's images in the order that seed and epoch define, as the networks' input."""

    def __init__(self, state: TrainState, dataset: ImageDataset) -> None:
        self._state = state
        config, device = state.config, state.device
        self._n, self._batch, self._seed = len(dataset), config.batch_size, config.seed
        self._per_epoch = epoch_images(config, dataset)
        # Half of the free memory is left to the networks. A larger set stays on the CPU, and its batches are copied.
        size = dataset.images.numel() * (2 if config.pairs else 1)
        fits = device.type == "cpu" or size < free_memory(device) // 2
        self._place = device if fits else dataset.images.device  # device of images, classes and order: batches are selected there
        self._images = dataset.images.to(self._place)
        self._labels = dataset.labels.to(self._place) if dataset.labels is not None and config.conditional else None
        self._inputs = dataset.inputs.to(self._place) if dataset.inputs is not None and config.networks == "pix2pix" else None
        self._streams: tuple[_Stream, ...] = ()  # of the two classes, each on its own
        if config.networks == "cyclegan" and dataset.labels is not None:
            rows = [(dataset.labels == kind).nonzero().flatten() for kind in range(2)]
            self._streams = tuple(_Stream(of, config.seed, kind, self._place) for kind, of in enumerate(rows))
        self._order, self._epoch = torch.empty(0), -1
        self._layout = torch.channels_last if state.execution.channels_last else torch.contiguous_format

    def next(self, images_seen: int, batches: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The images after the first `images_seen`, (batches * batch_size, C, H, W) in [-1, 1], and their classes.

        For a run that translates images, images of B, and of A in the same form instead of classes. On one of several ranks, only those
        that it takes of each batch.
        """
        if self._streams:
            return self._both_classes(images_seen, batches)
        picks = torch.cat([self._picks(images_seen + i * self._batch) for i in range(batches)]) if batches > 1 else self._picks(images_seen)
        labels = _sent(self._labels[picks], self._state.device) if self._labels is not None else None
        real = to_float(_sent(self._images[picks], self._state.device))
        if self._inputs is not None:
            pairs = torch.cat([real, to_float(_sent(self._inputs[picks], self._state.device))], 1)
            if self._state.config.horizontal_flip:
                pairs = augment.mirror(pairs, self._state.rng)  # both images of a pair alike
            outputs, inputs = (part.contiguous(memory_format=self._layout) for part in pairs.chunk(2, 1))
            return outputs, inputs
        if self._state.config.horizontal_flip:
            real = augment.mirror(real, self._state.rng)
        if self._state.config.color_jitter:
            real = augment.jitter(real, self._state.config.color_jitter, self._state.rng)
        return real.contiguous(memory_format=self._layout), labels

    def _both_classes(self, images_seen: int, batches: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch of each class: of B, of A."""
        results = []
        for stream in self._streams[::-1]:
            picks = torch.cat([own(stream.rows(images_seen + i * self._batch, self._batch), self._state.rng) for i in range(batches)])
            images = to_float(_sent(self._images[picks], self._state.device))
            if self._state.config.horizontal_flip:
                images = augment.mirror(images, self._state.rng)
            results.append(images.contiguous(memory_format=self._layout))
        return results[0], results[1]

    def _picks(self, images_seen: int) -> torch.Tensor:
        """Indices of the batch after the first `images_seen` images.

        An epoch's order depends only on seed and epoch, so it is not saved.
        """
        epoch, position = divmod(images_seen, self._per_epoch)
        position -= position % self._batch  # a fork may have another batch size than its parent
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._order, self._epoch = _sent(torch.randperm(self._n, generator=rng), self._place), epoch
        picks = self._order[position : position + self._batch]
        return own(picks, self._state.rng)


class _Stream:
    """The rows of one class, again and again, each time in another order, which depends only on the seed and how often they came."""

    def __init__(self, rows: torch.Tensor, seed: int, kind: int, place: torch.device) -> None:
        self._rows, self._seed, self._kind, self._place = rows, seed, kind, place
        self._orders: dict[int, torch.Tensor] = {}

    def rows(self, first: int, count: int) -> torch.Tensor:
        """So many rows after the first `first`."""
        n = len(self._rows)
        parts, at = [], first
        while at < first + count:
            turn, position = divmod(at, n)
            parts.append(self._order(turn)[position : position + first + count - at])
            at += len(parts[-1])
        return torch.cat(parts)

    def _order(self, turn: int) -> torch.Tensor:
        if turn not in self._orders:
            rng = torch.Generator().manual_seed((self._seed * 1_000_003 + turn) * 2 + self._kind)
            order = self._rows[torch.randperm(len(self._rows), generator=rng)]
            self._orders = {turn: _sent(order, self._place)}  # only the newest: a batch never needs an earlier one again
        return self._orders[turn]


def _sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device, without waiting. torch keeps the pinned memory until the copy, which is queued like a kernel, is done."""
    if tensor.device == device:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
