"""How close a projection comes to an image that was not trained on.

    python -m benchmarks.projection [--model digits] [--images 50] [--random 10000]

For held-out images of the generator's data set: the distance of their projections, and of the nearest of many random
samples, in the features of that set's network.
"""

import argparse
import statistics
import time

import numpy as np

from gan import progress as terminal
from gan.data.form import Form
from gan.explore.models import ModelCache, find_model
from gan.explore.projection import project
from gan.judging import metrics
from gan.judging.judge import JudgeCache
from gan.runs.run import checkpoints_root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits", help="the name of a generator that comes with the app, or RUN@STEP")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--random", type=int, default=10_000)
    given = parser.parse_args()
    cache = ModelCache(checkpoints_root())
    model = find_model(cache.root, given.model)
    config = model.config
    judge = terminal.drain(JudgeCache().get(config.data, *Form.of(config)))
    held_out = judge.reals.held_out.some(given.images).images()
    print(f"{len(held_out)} held-out images of {config.data}, {model.id}; distances in the features of {judge.network.name}, medians")
    wanted = judge.network.features(held_out)
    seeds = list(range(given.random))
    nearest = np.full(len(held_out), np.inf)
    for start in range(0, given.random, 1000):
        part = seeds[start : start + 1000]
        labels = judge.labels(len(part), model.class_names, start) if model.class_names else 0
        found = judge.network.features(cache.images(model, model.z(part), labels))
        nearest = np.minimum(nearest, metrics.nearest(wanted, found)[0][:, 0])
    print(f"nearest of {given.random:,} random samples: {np.median(nearest):.2f}")
    print(f"nearest training image: {np.median(metrics.nearest(wanted, judge.training)[0]):.2f}")
    features, pixels, processor_s = [], [], []
    for image in held_out:
        began = time.thread_time()
        projected = terminal.drain(project(cache.get(model), image, judge.network), quiet=True).found
        processor_s.append(time.thread_time() - began)
        features.append(projected.features)
        pixels.append(projected.pixels)
    closer = np.mean(np.array(features) < nearest)
    print(
        f"projection: {statistics.median(features):.2f} ({min(features):.2f} to {max(features):.2f}); nearer than every random sample in {closer:.0%}"
    )
    print(f"its pixels: {statistics.median(pixels):.1f} of 255 apart; {statistics.median(processor_s):.1f} s on one core")


if __name__ == "__main__":
    main()
