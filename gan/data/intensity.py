"""Pixel values of any type and range -> uint8, by one scale for a whole set, and a sentence about it. Knows nothing about files.

Scientific images hold 12 bits in 16, floats around zero, or counts. If their type's full range were shown, they would be black
or white. So a set's values are measured first, and then one scale maps all of its images to 0..255.
"""

from dataclasses import dataclass, field

import numpy as np

SAMPLED = 4096  # values per block from which the percentiles are computed
MOST_SAMPLED = 2**20  # values per set that are kept for that
OUTER = 0.5  # percent of the values at each end that may be outliers
# Outliers are cut if they leave the other values less than this share of the range: a dozen of 256 gray levels.
LEAST_SHARE = 0.05
DARK = 32  # of 255: a set whose brightest pixel is darker looks black
TOO_DARK = "these images are nearly black: brighten them before you train"
BLOCK = 2**20  # values converted at a time, as float64


@dataclass(frozen=True)
class Scale:
    """One linear map from values to 0..255, for all images of a set.

    Attributes:
        low, high: the values that become 0 and 255.
        cut: whether some values are beyond them; these become 0 or 255.
        holes: whether some values are not numbers (NaN or infinite); these become 0.
    """

    low: float
    high: float
    cut: bool = False
    holes: bool = False

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values of any real type and shape -> uint8 of the same shape. It works on copies in float64, so pass blocks."""
        if values.dtype == np.uint16 and values.size > 2**16:  # each value only once
            return self.apply(np.arange(2**16, dtype=np.uint16)).take(values)
        # The bounds of float64 are farther apart than float64 can hold; their halves are not.
        half = values.astype(np.float64) * 0.5 - self.low * 0.5
        with np.errstate(invalid="ignore", over="ignore"):
            share = half / ((self.high * 0.5 - self.low * 0.5) or 1.0)
            levels = np.clip(np.rint(share * 255), 0, 255)
        return np.where(np.isfinite(half), levels, 0).astype(np.uint8)

    def sentence(self) -> str:
        """The scale in words, without a period: "values 0 to 4,095 scaled to 0 to 255"."""
        if self.low == self.high == 0 and self.holes:
            return "no values other than 0 and non-finite numbers, so the images are black"
        if self.low == self.high:
            text = f"all values are {_number(self.low)}, so the images are black"
        else:
            text = f"values {_number(self.low)} to {_number(self.high)} scaled to 0 to 255"
        if self.cut:
            text += "; the few values beyond become black or white"
        if self.holes:
            text += "; pixels without a finite number become black"
        return text


@dataclass
class Tally:
    """Measures the range of a set's values, block by block: call add() for each block, then scale()."""

    low: float = np.inf
    high: float = -np.inf
    holes: bool = False
    _sample: list[np.ndarray] = field(default_factory=list)
    _sampled: int = 0
    _thinned: int = 1

    def add(self, values: np.ndarray) -> None:
        """Adds values of any real type and shape.

        Raises:
            ValueError: they are not real numbers.
        """
        if values.dtype.kind not in "biuf":
            raise ValueError(f"pixel values must be real numbers; these are of type {values.dtype}")
        flat = values.reshape(-1)
        if values.dtype.kind == "f" and not (finite := np.isfinite(flat)).all():
            self.holes, flat = True, flat[finite]
        if not flat.size:
            return
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        stride = max(1, flat.size // SAMPLED) * self._thinned
        some = flat[min(stride, flat.size) // 2 :: stride].astype(np.float64)
        self._sample.append(some)
        self._sampled += some.size
        if self._sampled > MOST_SAMPLED:
            self._sample = [np.concatenate(self._sample)[::2]]
            self._sampled, self._thinned = self._sample[0].size, 2 * self._thinned

    def merge(self, other: "Tally") -> None:
        """Adds what another tally has seen."""
        self.low, self.high, self.holes = min(self.low, other.low), max(self.high, other.high), self.holes or other.holes
        self._sample += other._sample
        self._sampled += other._sampled

    def scale(self) -> Scale:
        """From the lowest to the highest value, without outliers if they would leave almost nothing for the other values."""
        if self.low > self.high:  # no finite value at all
            return Scale(0.0, 0.0, holes=self.holes)
        first, last = (float(value) for value in np.percentile(np.concatenate(self._sample), (OUTER, 100 - OUTER)))
        # Halves, because the bounds of float64 are farther apart than it can hold.
        if 0 < last / 2 - first / 2 < LEAST_SHARE * (self.high / 2 - self.low / 2):
            return Scale(first, last, True, self.holes)
        return Scale(self.low, self.high, False, self.holes)


def stretch(values: np.ndarray) -> tuple[np.ndarray, str]:
    """An array of images -> the same as uint8, by one scale for all, and a sentence about it.

    Args:
        values: any real type, any shape with at least one axis; may be memory-mapped; it is read block by block.

    Returns:
        uint8 of the same shape, and the sentence. uint8 input is returned unchanged, with an empty sentence.

    Raises:
        ValueError: they are not real numbers.
    """
    if values.dtype == np.uint8:
        return values, ""
    rows = max(1, BLOCK // max(1, values[:1].size))
    tally = Tally()
    for start in range(0, len(values), rows):
        tally.add(values[start : start + rows])
    scale = tally.scale()
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), rows):
        result[start : start + rows] = scale.apply(values[start : start + rows])
    return result, scale.sentence()


def darkness(brightest: int) -> str:
    """A sentence, without a period, if a set's brightest pixel (of 255) makes it nearly black; else empty."""
    return f"the brightest pixel is {brightest} of 255: {TOO_DARK}" if brightest < DARK else ""


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e10:
        return f"{int(value):,}"
    return f"{value:,.4g}"
