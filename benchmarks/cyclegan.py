"""Does CycleGAN put glasses on and take them off, and change nothing else? An independent network says so about held-out faces.

    python -m benchmarks.cyclegan                             # 20 minutes
    python -m benchmarks.cyclegan --seconds 120 --seed 100    # a quick look
    python -m benchmarks.cyclegan --set cycle_weight=0 --set identity_weight=0    # without what keeps the rest

The recipe `cyclegan` on the avatars without glasses and with glasses, 64 pixels. The referee is the one of `benchmarks.glasses`: it learned
the avatars' attributes from other weights than any network that scores runs. Faces count that it reads rightly before: without glasses before
and with glasses after a translation, or the other way round. "Unchanged" is the share of all other attributes of all faces that it reads as
before; next to it is the share of faces with no change at all. The rows of `identity` and `mean` are what unchanged images and the mean image of the
other class get. The claims: at least 80% put on and 80% taken off, other attributes unchanged in at least 85%, after at most 20 minutes.
"""

import argparse

import numpy as np
import torch

from benchmarks.glasses import Referee
from gan.config import parse_setting
from gan.data import datasets
from gan.devices import choose_device, describe_device
from gan.judging import similarity
from gan.networks.sampling import translate
from gan.networks.translation import TwoGenerators
from gan.progress import drain
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import new_state

CHANGED, UNCHANGED = 0.80, 0.85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--faces", type=int, default=200, help="held-out faces of each kind")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    config = recipe("cyclegan").config.change(
        duration=arguments.seconds,
        duration_unit="seconds",
        seed=arguments.seed,
        log_every=100,
        grid_every=1_000_000,
        snapshot_every=1_000_000,
    )
    config = config.change(**dict(parse_setting(text) for text in arguments.set))
    dataset = drain(datasets.load_for(config))
    held_out = dataset.held_out
    assert held_out is not None and held_out.labels is not None and dataset.labels is not None
    referee = Referee(dataset)
    place = dataset.attribute_names.index("glasses")
    others = [i for i in range(len(dataset.attribute_names)) if i != place]
    print(
        f"{describe_device(device)}; referee: {referee.accuracy[place]:.1%} right about glasses, {referee.accuracy.mean():.1%} on average"
    )

    state = new_state(config, device, class_names=dataset.class_names, execution=choose_execution(config, device))
    for _ in train(state, dataset):
        pass
    print(f"{state.step:,} steps, {state.images_seen:,} images of each kind, {state.elapsed_s:.0f} s", flush=True)
    assert isinstance(state.averaged, TwoGenerators)
    holds = True
    for kind, said in ((0, "put on"), (1, "taken off")):
        images = held_out.images[(held_out.labels == kind).nonzero().flatten()]
        images = images[torch.from_numpy(referee.judge(images.numpy())[:, place] == bool(kind))][: arguments.faces]
        before = referee.judge(images.numpy())
        there = translate(state.averaged, images, back=kind == 1)
        back = translate(state.averaged, there, back=kind == 0)
        other = dataset.images[(dataset.labels == 1 - kind).nonzero().flatten()[:2000]]
        mean = other.float().mean(0, keepdim=True).round().to(torch.uint8).expand_as(images)
        for name, outputs in (("cyclegan", there), ("identity", images), ("mean", mean)):
            after = referee.judge(np.ascontiguousarray(outputs.numpy()))
            changed = float((after[:, place] != before[:, place]).mean())
            same = after[:, others] == before[:, others]
            print(
                f"{name:>9}: glasses {said} on {changed:.1%} of {len(images)} faces; other attributes unchanged {same.mean():.1%}, "
                f"all of them on {same.all(1).mean():.1%} of the faces"
            )
            if name == "cyclegan":
                holds &= changed >= CHANGED and float(same.mean()) >= UNCHANGED
        print(f"{'':>9}  there and back: L1 {similarity.l1(back, images):.4f}; there: {similarity.l1(there, images):.4f}")
    print(f"{'holds' if holds else 'FAILS'}: at least {CHANGED:.0%} changed, at least {UNCHANGED:.0%} of other attributes unchanged")


if __name__ == "__main__":
    main()
