"""Whether a data set looks like pairs of images: a guess from names and shapes. Decodes no pixels."""

from collections.abc import Generator
from contextlib import ExitStack

from gan.data import pairs
from gan.data.decoding import PAIR_TOLERANCE, shape_of
from gan.data.sources import open_source, spread
from gan.events import Progress

LOOKED_AT = 12  # files, evenly spread
FEWEST = 2  # pairs
MOSTLY = 0.5  # share of the files in folders A and B that must have a partner


def looks_paired(name: str) -> Generator[Progress, None, bool]:
    """Whether a set seems to hold pairs: files with A and B side by side, or folders A and B with files of the same names.

    Args:
        name: as for datasets.load().

    Yields:
        Progress.

    Raises:
        ValueError: the archive or table cannot be read.
        OSError: the folder is gone.
    """
    with ExitStack() as stack:
        source = yield from open_source(name, stack)
        if source is None:
            return False
        members = source.choice.members
        found = sum(isinstance(pair.source, tuple) for pair in pairs.choose(members, "train").members)
        if found >= FEWEST and 2 * found >= MOSTLY * len(members):
            return True
        shapes = [shape_of(content) for member in spread(members, LOOKED_AT) if not isinstance(content := source.read(member), str)]
    wide = [abs(shape.width - 2 * shape.height) <= PAIR_TOLERANCE * shape.height for shape in shapes if not isinstance(shape, str)]
    return len(wide) >= FEWEST and all(wide)
