"""Norms of weights and gradients over a run's time, read from its folder."""

import re
from dataclasses import dataclass
from typing import Any

from gan.inside.files import NETWORKS
from gan.runs.folder import RunFolder
from gan.untrusted import is_number


@dataclass(frozen=True)
class Norms:
    """The norms of weights and gradients while a run trained.

    Attributes:
        steps: at which they were measured.
        weights, gradients: network -> parameter -> one value per step, None if there was none.
    """

    steps: list[int]
    weights: dict[str, dict[str, list[float | None]]]
    gradients: dict[str, dict[str, list[float | None]]]


def read_norms(folder: RunFolder, most: int = 1000) -> Norms | None:
    """A run's norms.jsonl, thinned to about `most` steps; None if there is none. Damaged lines are left out."""
    rows = folder.norms.thinned(most)
    if not rows:
        return None
    rows.sort(key=lambda row: row["step"])

    def columns(kind: str, network: str) -> dict[str, list[float | None]]:
        parts = [_dict(_dict(row.get(kind)).get(network)) for row in rows]
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: [_number(part.get(name)) for part in parts] for name in names}

    kinds = ({network: columns(kind, network) for network in NETWORKS} for kind in ("weights", "gradients"))
    return Norms([row["step"] for row in rows], *kinds)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    """The value if it is a positive finite number, which a logarithmic axis can show, else None."""
    return float(value) if is_number(value) and 0 < value < 1e30 else None


def parameter_title(name: str) -> str:
    """A parameter's name in words: "layers.conv7.weight" -> "convolution at 7 x 7"."""
    short = name.removeprefix("layers.").replace("parametrizations.weight.original", "weight")
    module, _, part = short.rpartition(".")
    if match := re.fullmatch(r"(to|of)_([ab])\.(.+)", short):  # CycleGAN has two of either network
        return f"{match[1]} {match[2].upper()}: {parameter_title(match[3])}"
    for pattern, words in (
        (r"conv(\d+)", "convolution at {0} x {0}"),
        (r"extra(\d+)", "extra convolution {0}"),
        (r"norm([123])", "normalization {0}"),  # of dense networks
        (r"norm(\d+)", "normalization at {0} x {0}"),
        (r"norm_extra(\d+)", "normalization of extra convolution {0}"),
        (r"dense(\d*)", "dense layer {0}"),
        (r"block(\d+)\.norm(\d)\.(\w+)", "block at {0} x {0}, {2}s of normalization {1}"),  # of BigGAN's networks
        (r"attention(\d+)\.(\w+)", "attention at {0} x {0}, {1}"),
        (r"attention(\d+)", "attention at {0} x {0}"),
        (r"norm", "last normalization"),
        (r"to_pixels", "last convolution"),
        (r"minibatch_discrimination.compared", "minibatch discrimination"),
        (r"block(\d+)\.(\w+)", "block at {0} x {0}, {1}"),  # of residual networks, as the next three
        (r"mapping\.dense(\d+)", "mapping layer {0}"),  # of networks with styles, as the next ones
        (r"constant", "constant"),
        (r"conv(\d+)\.conv", "styled convolution at {0} x {0}"),
        (r"up(\d+)\.conv", "enlarging convolution to {0} x {0}"),
        (r"conv(\d+)\.conv\.affine", "styles of the convolution at {0} x {0}"),
        (r"up(\d+)\.conv\.affine", "styles of the convolution to {0} x {0}"),
        (r"up(\d+)", "convolution to {0} x {0}"),
        (r"image(\d+)\.conv", "colors at {0} x {0}"),
        (r"image(\d+)\.conv\.affine", "styles of the colors at {0} x {0}"),
        (r"head\.conv4", "convolution after the blocks"),
        (r"head\.dense", "dense layer after the blocks"),
        (r"basis", "patterns"),
        (r"blurred", "blurred picture"),
        (r"pixels", "first convolution"),
        (r"image", "last convolution"),
        (r"logit|answer", "last layer"),
        (r"patch_conv(\d+)", "convolution {0}"),  # of networks that translate images, as all below
        (r"patch_norm(\d+)", "normalization {0}"),
        (r"(encoder|decoder)\.(\d+)\.conv", "{0}, convolution {1}"),
        (r"(encoder|decoder)\.(\d+)\.norm", "{0}, normalization {1}"),
        (r"blocks\.(\d+)\.conv(\d)", "block {0}, convolution {1}"),
        (r"down(\d)", "halving {0}"),
        (r"up(\d)", "doubling {0}"),
        (r"(first|last)", "{0} convolution"),
        (r"embedding", "class embedding"),
    ):
        if match := re.fullmatch(pattern, module):
            title = words.format(*match.groups()).strip()
            normalization = "norm" in module and not module.endswith((".gain", ".shift"))
            parts = {
                "weight": ", scale" if normalization else "",
                "bias": ", shift" if normalization else ", bias",
                "strength": ", strength" if module.startswith("attention") else ", noise",
            }
            return title + parts.get(part, "")
    return name


def is_main_parameter(name: str) -> bool:
    """Whether it is the weight of a convolution, a dense layer or an embedding: neither a bias nor of a normalization or style."""
    return not name.endswith(("bias", "strength", "affine.weight")) and "norm" not in name.removeprefix("layers.").rpartition(".")[0]
