"""The recipe `quick-images` on sets of your own, next to the same with other settings and to `dcgan`, in equal time.

    python -m benchmarks.own_images FOLDER ...                                # recipe and dcgan: three seeds, three minutes each
    python -m benchmarks.own_images FOLDER --only recipe,changed --set instance_noise=0.1 --set beta1_g=0 --seeds 0

FD is the Fréchet distance of images of the EMA generator to held-out images, in the features of a CNN that is trained on the set;
the floor is that of as many real images. Look at the images, too (--out): the FD hardly sees a fine pattern.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from gan import latent
from gan.config import TrainConfig, parse_setting
from gan.data import datasets
from gan.data.form import Form
from gan.devices import choose_device, describe_device
from gan.images import png, tile
from gan.judging.judge import JudgeCache
from gan.networks.sampling import sample
from gan.progress import drain
from gan.recipes import recipe
from gan.training.execution import choose_execution
from gan.training.loop import train
from gan.training.state import new_state

NEVER = 1_000_000  # steps
JUDGED = 2000  # images for an FD
SHOWN = 64  # images in a file of --out
VARIANTS = ("recipe", "changed", "dcgan")


def configs(data: str, image_size: int, seconds: float, seed: int, changes: dict[str, Any]) -> dict[str, TrainConfig]:
    """The settings of each variant, by name. changes: of the recipe."""
    common: dict[str, Any] = {"data": data, "image_size": image_size, "duration": seconds, "duration_unit": "seconds", "seed": seed}
    common |= {"log_every": 100, "grid_every": NEVER, "grid_images": 16, "snapshot_every": NEVER}
    base = recipe("quick-images").config.change(**common)
    return {"recipe": base, "changed": base.change(**changes), "dcgan": recipe("dcgan").config.change(**common)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="folders of images, or names of data sets")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the runs, joined by commas")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--only", default="recipe,dcgan", help=f"variants, joined by commas: {', '.join(VARIANTS)}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--set", action="append", type=parse_setting, default=[], metavar="FIELD=VALUE", help="change a setting of the recipe"
    )
    parser.add_argument("--out", type=Path, help="a folder for a grid of images of each run")
    given = parser.parse_args()
    only = given.only.split(",")
    if unknown := set(only) - set(VARIANTS):
        parser.error(f"--only: there is no variant {', '.join(sorted(unknown))}; choose from {', '.join(VARIANTS)}")
    device, judges = choose_device(given.device), JudgeCache()
    print(f"{describe_device(device)}; {given.seconds:g} s each")
    for data in given.data:
        name, found = Path(data).name, dict[str, list[float]]()
        for seed in map(int, given.seeds.split(",")):
            variants = configs(data, given.image_size, given.seconds, seed, dict(given.set))
            for variant in only:
                config = variants[variant]
                dataset, judge = drain(datasets.load_for(config)), drain(judges.get(config.data, *Form.of(config)))
                state = new_state(config, device, execution=choose_execution(config, device))
                began = time.perf_counter()
                for _ in train(state, dataset):
                    pass
                seconds = time.perf_counter() - began
                z = latent.from_seeds(range(judge.judged(JUDGED)), config.latent_dim, config.latent_distribution)
                images = sample(state.averaged, z)
                found.setdefault(variant, []).append(judge.distance(images))
                print(
                    f"{name}, seed {seed}, {variant}: FD {found[variant][-1]:.2f}, floor {judge.floor(JUDGED):.2f}, "
                    f"{state.images_seen / seconds:.0f} images/s, {state.execution.precision}",
                    flush=True,
                )
                if given.out:
                    given.out.mkdir(parents=True, exist_ok=True)
                    (given.out / f"{name}-{variant}-{seed}.png").write_bytes(png(tile(images[:SHOWN], 8, 2), 1))
        means = {variant: statistics.mean(values) for variant, values in found.items()}
        print(f"{name}: " + ", ".join(f"{variant} {mean:.2f}" for variant, mean in means.items()), flush=True)


if __name__ == "__main__":
    main()
