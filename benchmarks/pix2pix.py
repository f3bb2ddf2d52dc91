"""What each part of pix2pix's loss does: outlines to faces with both parts, with L1 alone and with the adversarial loss alone.

    python -m benchmarks.pix2pix                              # half an hour: three runs of 10 minutes
    python -m benchmarks.pix2pix --seconds 60 --seeds 0       # a quick look
    python -m benchmarks.pix2pix --seeds 0,1,2 --only both    # one of them, with several seeds

The recipe `pix2pix` on the set `sketches`. All variants have the same networks, the same data and the same time. Images that training never
sees are translated by the EMA generator and compared with their targets: L1 (share of the range of pixels), SSIM, and FD in the features of
the faces-CNN. The rows below the runs are what the inputs themselves get, and the mean of all training targets. The claims: held-out L1 of
`both` at most 0.6 of `adversarial`, and FD at most 0.6 of `L1`.
"""

import argparse
import statistics
from dataclasses import dataclass
from typing import Any

import torch

from gan.config import TrainConfig, parse_setting
from gan.data import datasets
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.devices import choose_device, describe_device
from gan.judging import similarity
from gan.judging.judge import Judge, JudgeCache
from gan.networks.sampling import translate
from gan.networks.translation import Translator
from gan.progress import drain
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import TrainState, new_state

VARIANTS: dict[str, dict[str, Any]] = {"both": {}, "L1": {"adversarial_weight": 0.0}, "adversarial": {"l1_weight": 0.0}}
LEAST = 0.6  # what the claims allow


@dataclass(frozen=True)
class Scores:
    """Of one set of images: L1 and SSIM to the targets, and the Fréchet distance to faces."""

    l1: float
    ssim: float
    fd: float

    def __str__(self) -> str:
        return f"L1 {self.l1:.4f}   SSIM {self.ssim:.3f}   FD {self.fd:7.2f}"


def trained(config: TrainConfig, dataset: ImageDataset, device: torch.device) -> TrainState:
    """A run to its end."""
    state = new_state(config, device, execution=choose_execution(config, device))
    for _ in train(state, dataset):
        pass
    return state


def scored(images: torch.Tensor, held_out: ImageDataset, judge: Judge) -> Scores:
    """The scores of uint8 images (N, C, H, W) that should be the held-out targets."""
    return Scores(similarity.l1(images, held_out.images), similarity.ssim(images, held_out.images), judge.distance(images.numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0", help="seeds of the runs, joined by commas")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--only", choices=VARIANTS, help="train only this variant")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting of all variants")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    base = recipe("pix2pix").config.change(
        duration=arguments.seconds, duration_unit="seconds", log_every=100, grid_every=1_000_000, snapshot_every=1_000_000
    )
    base = base.change(**dict(parse_setting(text) for text in arguments.set))
    dataset = drain(datasets.load_for(base))
    held_out = dataset.held_out
    assert held_out is not None and held_out.inputs is not None
    judge = drain(JudgeCache().get(base.data, *Form.of(base)))
    print(f"{describe_device(device)}, {arguments.seconds:g} s each, {len(held_out):,} held-out pairs", flush=True)
    found: dict[str, list[Scores]] = {}
    for name in [arguments.only] if arguments.only else VARIANTS:
        for seed in map(int, arguments.seeds.split(",")):
            state = trained(base.change(seed=seed, **VARIANTS[name]), dataset, device)
            assert isinstance(state.averaged, Translator)
            scores = scored(translate(state.averaged, held_out.inputs), held_out, judge)
            found.setdefault(name, []).append(scores)
            print(f"{name:>12} seed {seed}: {scores}   ({state.images_seen:,} images)", flush=True)
    mean = dataset.images[:2000].float().mean(0, keepdim=True).round().to(torch.uint8).expand_as(held_out.images)
    for name, images in (("the inputs", held_out.inputs), ("the mean", mean)):
        print(f"{name:>12}        : {scored(images, held_out, judge)}")
    print(f"{'real faces':>12}        : FD {judge.floor(judge.judged(len(held_out))):.2f}")
    if not arguments.only:
        l1, fd = ({name: statistics.mean(getattr(s, what) for s in of) for name, of in found.items()} for what in ("l1", "fd"))
        for said, ratio in (
            ("L1 of both / adversarial", l1["both"] / l1["adversarial"]),
            ("FD of both / L1", fd["both"] / fd["L1"]),
        ):
            print(f"{said}: {ratio:.3f} ({'holds' if ratio <= LEAST else 'FAILS'}: at most {LEAST})")


if __name__ == "__main__":
    main()
