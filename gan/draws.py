"""Random numbers for the images of a batch, so a run on several ranks uses the same ones as a run on one.

Each rank holds a part of every batch, but draws for the whole batch and takes its own rows. So all ranks' generators stay equal, and
rank 0 saves the one that the run continues with, on any number of ranks. A plain torch.Generator draws for its images alone, as ever.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Part:
    """A rank's part of each batch, in packs: as many images as the discriminator sees at once (TrainConfig.packing).

    Attributes:
        begin, end: its first pack, and the one after its last.
        whole: packs in a batch.
        packing: images in a pack.
    """

    begin: int
    end: int
    whole: int
    packing: int = 1

    @property
    def images(self) -> int:
        """Its images in each batch."""
        return (self.end - self.begin) * self.packing

    @property
    def share(self) -> float:
        """Its share of each batch, 0 to 1."""
        return (self.end - self.begin) / self.whole

    def whole_of(self, n: int, packed: bool) -> int:
        """How many rows the whole batches have if this rank holds n of them. packed: rows are packs, not images."""
        own = (self.end - self.begin) * (1 if packed else self.packing)
        return n // own * self.whole * (1 if packed else self.packing)

    def own_of(self, drawn: torch.Tensor, packed: bool, dim: int = 0) -> torch.Tensor:
        """This rank's rows of one or more whole batches, which follow each other along `dim`."""
        unit = 1 if packed else self.packing
        begin, end, whole = self.begin * unit, self.end * unit, self.whole * unit
        batches = [batch.narrow(dim, begin, end - begin) for batch in drawn.split(whole, dim)]
        return batches[0] if len(batches) == 1 else torch.cat(batches, dim)


class RankGenerator(torch.Generator):
    """The random generator of a run on several ranks: it knows the rank's part of each batch."""

    part: Part


def whole(n: int, rng: torch.Generator | None, packed: bool = False) -> int:
    """How many rows to draw for n of this rank's: those of the whole batch. See Part.whole_of()."""
    return rng.part.whole_of(n, packed) if isinstance(rng, RankGenerator) else n


def own(drawn: torch.Tensor, rng: torch.Generator | None, packed: bool = False, dim: int = 0) -> torch.Tensor:
    """What this rank takes of numbers drawn for whole() rows. See Part.own_of()."""
    return rng.part.own_of(drawn, packed, dim) if isinstance(rng, RankGenerator) else drawn


def normal_like(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Numbers from N(0, 1) in 32 bits, in the images' shape (N, ...) and layout in memory, which has no gaps."""
    # Drawn as one row in the order of memory: on a CPU, torch takes eight times as long for images with channels last.
    shape, strides = (whole(len(images), rng), *images.shape[1:]), torch.empty_like(images, dtype=torch.float32).stride()
    drawn = torch.empty(math.prod(shape), device=images.device).normal_(generator=rng)
    return own(drawn.as_strided(shape, (math.prod(shape[1:]), *strides[1:])), rng)
