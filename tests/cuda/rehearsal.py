"""Scenarios on the stand-in for CUDA: `python -m tests.cuda.rehearsal [NAME ...]` prints the result of each, one JSON object per line.

Started by conftest.py, with the stand-in preloaded, all in one process: it takes longer to start than most of them. Its kernels do nothing, so what they would have computed is replaced here: the
metrics that train() reads, and the check that weights are numbers. The project itself knows nothing about it.
"""

import contextlib
import ctypes
import gc
import io
import itertools
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from gan.__main__ import cli
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.devices import choose_device
from gan.events import Metrics
from gan.explore import models
from gan.judging import features, judge, reals
from gan.recipes import RECIPES
from gan.runs import record, watch
from gan.runs import run as runs
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.states import AT_WORK, RunState
from gan.training import execution, graphs
from gan.training import feed as feeds
from gan.training import loop as training
from gan.training.loop import Control, train
from gan.training.state import Execution, TrainState, new_state

runtime = ctypes.CDLL(None)
runtime.stand_in_count.restype = runtime.stand_in_kernels.restype = ctypes.c_long
runtime.stand_in_set_memory.argtypes = [ctypes.c_long]

TINY = TrainConfig(
    data="rehearsal",
    latent_dim=4,
    generator_filters=4,
    discriminator_filters=4,
    batch_size=4,
    duration=3,
    duration_unit="steps",
    log_every=1000,
    grid_every=1000,
    grid_images=16,
    snapshot_every=1000,
    precision="fp32",
)
CRITIC = {"loss": "wasserstein", "discriminator_norm": "none"}
# Together with the recipes, they cover every setting that affects the computation: see test_every_switch_is_rehearsed.
SWITCHES: dict[str, dict[str, Any]] = {
    "unchanged": {},
    "data": {"channels": 3, "horizontal_flip": True, "color_jitter": 0.1},
    "32 pixels": {"image_size": 32},
    "128 pixels": {"image_size": 128},
    "conditional": {"conditional": True},
    "conditional, spectral_norm": {"conditional": True, "spectral_norm": True, "discriminator_norm": "none", "loss": "hinge"},
    "mlp": {"networks": "mlp"},
    "generator": {"generator_activation": "leaky_relu", "generator_order": "activation_first", "latent_distribution": "uniform"},
    "generator, resize": {"generator_norm": "none", "generator_upsampling": "resize", "generator_extra_layers": 1},
    "dense head": {"discriminator_head": "dense", "dropout": 0.3, "initialization": "dcgan"},
    "minibatch_std": {"minibatch_std": True},
    "packing": {"packing": 2, "minibatch_std": True},
    "minibatch_discrimination": {"minibatch_discrimination": True},
    "hinge": {"loss": "hinge"},
    "pix2pix": {
        "networks": "pix2pix",
        "patch": 16,
        "direction": "b_to_a",
        "adversarial_weight": 0.5,
        "l1_weight": 10,
        "horizontal_flip": True,
    },
    "cyclegan": {"networks": "cyclegan", "loss": "least_squares", "cycle_weight": 5, "identity_weight": 1, "image_buffer": 3, "g_steps": 2},
    "wasserstein, clipped": {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop"},
    "wasserstein, gradient_penalty": CRITIC | {"gradient_penalty": 10},
    "wasserstein, spectral_norm": CRITIC | {"spectral_norm": True},
    "relativistic": {"loss": "relativistic", "r1": 1, "r2": 1, "discriminator_norm": "none"},
    "lazy penalties": {"r1": 1, "r2": 1, "penalty_every": 2, "discriminator_norm": "none"},
    "lazy gradient penalty": CRITIC | {"gradient_penalty": 10, "penalty_every": 2},
    "stylegan": {"networks": "stylegan", "style_mixing": 0.5, "minibatch_std": True},
    "stylegan, conditional": {"networks": "stylegan", "style_mixing": 0, "conditional": True, "packing": 1},
    "feature_matching": {"feature_matching": True, "mean_loss_d": True},
    "steps": {"d_steps": 3, "g_steps": 2, "reuse_fakes": False},
    "frozen generator": {"frozen": "generator"},
    "frozen discriminator": {"frozen": "discriminator"},
    "rmsprop": {"optimizer": "rmsprop", "weight_decay": 0.1},
    "adam": {"lr_g": 1e-3, "lr_d": 1e-3, "beta1_g": 0, "beta1_d": 0, "beta2": 0.9, "weight_decay": 0.1, "average_half_life": 100},
    "schedule": {
        "schedule_start": 1,
        "schedule_images": 1_000_000,  # beta 2 has its first value throughout, so one recording is enough
        "schedule": "linear",
        "lr_end": 0.25,
        "penalty_end": 0.1,
        "beta2_end": 0.99,
        "average_half_life_end": 100,
        "discriminator_norm": "none",
        "r1": 1,
    },
    "schedule, rmsprop": {"optimizer": "rmsprop", "schedule_images": 100, "lr_end": 0.25},
    "labels": {"real_label": 0.9, "fake_label": 0.1, "label_flips": 0.1},
    "noise": {"instance_noise": 0.1, "instance_noise_fade": 1000},
    "translation, cutout": {"diffaugment": "translation, cutout"},
    "adaptive augmentation": {"diffaugment": "color, translation, cutout", "augmentation_target": 0.6, "horizontal_flip": True},
    "everything that draws": {
        "diffaugment": "color, translation, cutout",
        "dropout": 0.3,
        "instance_noise": 0.1,
        "label_flips": 0.1,
        "horizontal_flip": True,
        "color_jitter": 0.1,
    },
}


def counted(name: str) -> int:
    return runtime.stand_in_count(name.encode())


def make_up_numbers() -> None:
    """Replaces numbers that kernels would have computed."""
    true_tolist = torch.Tensor.tolist

    def tolist(tensor: torch.Tensor) -> Any:
        values = true_tolist(tensor)  # the copy with its wait is made all the same
        return [[0.7] * 5, [1e9] * 5] if tuple(tensor.shape) == (2, 5) else values

    torch.Tensor.tolist = tolist  # type: ignore[method-assign, assignment]
    TrainState.check_finite = lambda self: None  # type: ignore[method-assign]


def images_for(config: TrainConfig, n: int = 40) -> ImageDataset:
    shape = (n, config.channels, config.image_size, config.image_size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageDataset("rehearsal", pixels, torch.arange(n) % 2, ("even", "odd"), inputs=pixels.flip(0))


def state_for(config: TrainConfig, device: torch.device | None = None) -> TrainState:
    return new_state(config, device or choose_device("cuda"), class_names=("even", "odd"))


def stream() -> int:
    return torch.cuda.current_stream().cuda_stream


def happened(before: dict[str, int]) -> dict[str, int]:
    """The increase of each count since `before`."""
    return {name: counted(name) - n for name, n in before.items()}


def count_now(*names: str) -> dict[str, int]:
    return {name: counted(name) for name in names}


def switches() -> dict[str, Any]:
    """Every recipe, made small, and every switch, in both number formats: how each was launched, and what was recorded."""
    small = {"generator_filters": 4, "discriminator_filters": 4, "latent_dim": 4, "duration": 3, "duration_unit": "steps"}
    cases = {name: recipe.config.change(**small, batch_size=4 * recipe.config.packing) for name, recipe in RECIPES.items()}
    cases |= {name: TINY.change(**changes) for name, changes in SWITCHES.items()}
    seen: dict[str, Any] = {}
    for (name, config), precision in itertools.product(cases.items(), ("fp32", "bf16")):
        config = config.change(precision=precision, log_every=1000, grid_every=1000, snapshot_every=1000, grid_images=16)
        before = count_now("recorded", "replays", "spoiled", "foreign", "errors", "pageable copies recorded")
        state = state_for(config)
        list(train(state, images_for(config)))
        seen[f"{name} in {precision}"] = happened(before) | {"launch": state.launch, "stream": stream()}
        if config.penalizes_lazily:  # steps with penalties have a graph of their own
            seen[f"{name} in {precision}"]["recorded"] -= 1
        del state
    gc.collect()
    turned = {field for config in cases.values() for field in TrainConfig.model_fields if getattr(config, field) != getattr(TINY, field)}
    return {"cases": seen, "turned": sorted(turned), "instances": counted("instances")}


def cheap_judge(dataset: ImageDataset) -> judge.Judge:
    """A judge with an untrained feature network."""
    config = TINY
    network = features.FeatureNetwork(features.About("rehearsal", config.image_size, config.channels, "classes", ("even", "odd")))
    network.eval().requires_grad_(False)
    test = images_for(config, 40)
    return judge.Judge(reals.part(dataset, test), network, network.features(dataset.images.numpy()), network.features(test.images.numpy()))


def pairs() -> dict[str, Any]:
    """Pairs of runs on one GPU, whose knobs are moved, which are judged, and whose generators draw for visitors meanwhile."""
    dataset = images_for(TINY, 120)
    one = cheap_judge(dataset)

    def ready(self: object, *key: object) -> Any:
        yield from ()
        return one

    def loaded(*arguments: object) -> Any:
        yield from ()
        return dataset

    before = count_now("recorded", "spoiled", "foreign", "errors", "instances", "streams recorded on")
    seen: dict[str, Any] = {"runs": [], "drawn": 0, "judged": 0}
    with (
        mock.patch.object(judge.JudgeCache, "get", ready),
        mock.patch.object(runs.datasets, "load", loaded),
        mock.patch.multiple(watch, LEAST_S=0.05, REST=0.0),
        tempfile.TemporaryDirectory() as root,
    ):
        _pair(Path(root), seen)
    made = range(before["recorded"], counted("recorded"))
    return seen | happened(before) | {"kernels": sorted({runtime.stand_in_kernels(i) for i in made})}


def _pair(root: Path, seen: dict[str, Any]) -> None:
    runs_here = RunManager(root, max_runs=2, device="cuda")
    runs_here.judges = watch.Judges(judge.JudgeCache())  # type: ignore[assignment]
    config = TINY.change(data="mnist", duration=60, log_every=1, snapshot_every=10)  # the name alone: see loaded()
    pair = [runs_here.submit(config.change(seed=seed)) for seed in range(2)]
    done = threading.Event()

    def draw() -> None:
        cache = models.ModelCache(root)
        while not done.is_set():
            for model in models.list_models(root):
                seen["drawn"] += len(cache.images(model, model.z([1, 2, 3])))
            done.wait(0.01)

    visitor = threading.Thread(target=draw)
    visitor.start()
    turned = dict.fromkeys(pair, 0)
    while any(run.status()["state"] in AT_WORK for run in pair):
        for run in pair:
            step = run.status()["step"]
            if step >= turned[run] + 6:  # up to ten moved knobs a run
                turned[run] = step
                _turn(run, step)
        done.wait(0.002)
    runs_here.shutdown()
    done.set()
    visitor.join()
    for run in pair:
        status = run.status()
        judged = (run.folder.path / "judge.jsonl").read_text().splitlines() if (run.folder.path / "judge.jsonl").exists() else []
        seen["judged"] += len(judged)
        interventions = len(run.folder.read_interventions())
        seen["runs"].append({"knobs": interventions} | {key: status.get(key) for key in ("state", "step", "error", "launch")})


def _turn(run: runs.Run, step: int) -> None:
    try:
        run.change("lr_g", 1e-4 * (1 + step))
    except ValueError:  # the run has ended meanwhile
        return


def memory() -> dict[str, Any]:
    """A run with 40 moved knobs: bytes that the device holds in between, and after the end."""
    config = TINY.change(duration=60, generator_filters=16, discriminator_filters=16, log_every=1)
    list(train(state_for(config), images_for(config)))  # what a process takes once
    gc.collect()
    graphs.release_memory()
    seen: dict[str, Any] = {"before": counted("bytes"), "while": []}
    state, control = state_for(config), Control()
    knobs = iter(range(40))
    for event in train(state, images_for(config), control):
        if type(event).__name__ == "Metrics" and (knob := next(knobs, None)) is not None:
            control.change("lr_g", 1e-4 * (knob + 2))
            seen["while"].append(counted("bytes"))
            seen["instances"] = counted("instances")
    seen["changes"] = state.changes
    del state, event
    graphs.release_memory()  # and no garbage collection: nothing may hang in a circle of references
    return seen | {"after": counted("bytes"), "instances after": counted("instances"), "graphs after": counted("graphs")}


def fallback() -> dict[str, Any]:
    """A recording that fails because a step waits for the device: the run continues, and the next recording does not fail."""
    true_update = training.update_networks
    waits = True

    def update(*arguments: Any) -> None:
        true_update(*arguments)
        if waits and torch.cuda.is_current_stream_capturing():
            state.sums.sum().item()

    before = count_now("replays")
    config = TINY.change(duration=6, log_every=1)
    state, control = state_for(config), Control()
    seen: dict[str, Any] = {"launches": [], "streams": [], "draws": []}
    with mock.patch.object(training, "update_networks", update):
        for event in train(state, images_for(config), control):
            if isinstance(event, Metrics):
                seen["launches"].append(state.launch)
                seen["streams"].append(stream())
                seen["draws"].append(int.from_bytes(bytes(state.rng.get_state()[8:16].tolist()), "little"))
                if event.step == 3:
                    waits = False
                    control.change("lr_g", 1e-3)
    seen |= {"steps": state.step} | happened(before)

    graphs.release_memory()
    runtime.stand_in_set_memory(counted("bytes") + (1 << 20))  # enough for a step, and not for a recording with memory of its own
    try:
        small = state_for(config)
        list(train(small, images_for(config)))
    finally:
        runtime.stand_in_set_memory(80 << 30)
    return seen | {"small": small.launch, "small steps": small.step, "stream": stream()}


def beta2_moves() -> dict[str, Any]:
    """A schedule that changes beta 2, which a recording holds as a constant, before the second and the third of three steps."""
    before = count_now("recorded", "replays", "spoiled", "errors", "instances")
    state = state_for(TINY.change(schedule_images=12, beta2_end=0.9, lr_end=0.5))
    list(train(state, images_for(TINY)))
    seen = {"betas": state.optimizer_g.param_groups[0]["betas"], "rate": str(state.optimizer_d.param_groups[0]["lr"].device)}
    del state
    return seen | happened(before)


def moves(optimizer: str) -> dict[str, Any]:
    """CPU -> GPU -> CPU through a run's folder."""
    config = TINY.change(optimizer=optimizer, loss="hinge", precision="auto", log_every=1)
    seen: dict[str, Any] = {"status": [], "optimizer": []}
    chosen = Execution("fp32", True, 1)
    with tempfile.TemporaryDirectory() as path, mock.patch.object(execution, "_fastest", lambda *arguments: chosen):
        folder = RunFolder(Path(path))
        folder.write_config(config, "")
        for number, device in enumerate(("cpu", "cuda", "cpu", "cuda:1"), 1):
            longer = config.change(duration=3 * number)
            state = record.prepare(folder, longer, images_for(config), choose_device(device))
            list(record.record(folder, state, images_for(config), Control()))
            record.write_status(folder, RunState.FINISHED, state)
            status = folder.read_status()
            seen["status"].append({key: status.get(key) for key in ("step", "threads", "launch", "device", "precision")})
            tensors = [t for entry in state.optimizer_d.state.values() for t in entry.values() if torch.is_tensor(t)]
            seen["optimizer"].append(sorted({str(t.device) for t in tensors}))
    return seen


def feed() -> dict[str, Any]:
    """Batches of sets that fit on the device, and that do not: what each costs, and that they arrive unchanged."""
    config = TINY.change(horizontal_flip=True, color_jitter=0.1, conditional=True)
    seen: dict[str, Any] = {}
    dataset = images_for(config)
    for name, free in (("fits", 3 * dataset.images.numel()), ("does not fit", dataset.images.numel())):  # half of it is for the networks
        with mock.patch.object(feeds, "free_memory", lambda device, free=free: free):
            seen[name] = _fed(config, dataset)
    # Copies are made late, as by a real device: pinned memory that is used again too early would send other numbers.
    batches = [torch.full((64, 64), i, dtype=torch.uint8) for i in range(40)]
    sent = [feeds._sent(batch, choose_device("cuda")) for batch in batches]
    seen["sent"] = all(torch.equal(batch, there.cpu()) for batch, there in zip(batches, sent, strict=True))
    return seen


def _fed(config: TrainConfig, dataset: ImageDataset) -> dict[str, Any]:
    list(train(state_for(config), dataset))  # what is done once
    waits = []
    for steps in (20, 60):
        state = state_for(config.change(duration=steps))
        before = counted("waits")
        list(train(state, dataset))
        waits.append(counted("waits") - before)
    feeding = feeds.Feed(state, dataset)
    real, labels = feeding.next(0)
    assert labels is not None
    places = {"device": str(real.device), "labels": str(labels.device), "images": str(feeding._images.device)}
    return places | {"waits": waits, "launch": state.launch, "epochs": state.images_seen / len(dataset)}


def second() -> dict[str, Any]:
    """The second GPU: nothing of a run there is done on the first."""
    device = choose_device("cuda:1")
    before = count_now("work on device 0", "work on device 1", "errors", "foreign")
    state = state_for(TINY.change(precision="auto"), device)
    list(train(state, images_for(TINY)))
    seen = happened(before) | {"launch": state.launch, "precision": state.execution.precision}
    same = choose_device("cuda") == torch.ones(1, device="cuda").device
    tf32 = [torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32]
    index = state_for(TINY, torch.device("cuda")).device.index
    return seen | {"index": index, "same": same, "tf32": tf32}


def every_device() -> dict[str, Any]:
    """A server with both GPUs: a run on each, then two on each, and what the GPUs hold after the runs."""
    dataset = images_for(TINY)
    waiting: dict[str, Any] = {}

    def loaded(*arguments: object) -> Any:
        yield from ()
        waiting["places"].append(torch.cuda.current_device())  # the thread's own GPU
        waiting["all"].wait()  # so that all of them are at work at once
        return dataset

    def together(count: int, most: int) -> list[Any]:
        waiting.update(places=[], all=threading.Barrier(count, timeout=60))
        with tempfile.TemporaryDirectory() as root:
            server = RunManager(Path(root), max_runs=most, device="cuda")
            group = [server.submit(TINY.change(data="mnist", duration=20, seed=seed)) for seed in range(count)]
            while any(run.state in AT_WORK for run in group):
                time.sleep(0.002)
            server.shutdown()
            told = [run.folder.read_status() for run in group]
        shown = [[status.state, status.step, status.error, status.launch, status.device] for status in told]
        spare = [torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index) for index in range(2)]
        return [sorted(waiting["places"]), shown, spare, free()]

    def free() -> list[int]:
        """Free memory of each GPU, without what cuBLAS keeps for every thread that used it at once, and without a garbage collection."""
        torch._C._cuda_clearCublasWorkspaces()
        graphs.release_memory()
        return [torch.cuda.mem_get_info(index)[0] for index in range(2)]

    before = count_now("spoiled", "foreign", "errors", "work on device 0", "work on device 1")
    with mock.patch.object(runs.datasets, "load", loaded), mock.patch.dict(os.environ, WORKSHOP_JUDGE="0"):
        return {"free": free(), "pair": together(2, 1), "four": together(4, 2)} | happened(before)


def first_command() -> dict[str, Any]:
    """The first command that someone with a GPU types."""
    said = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as path,
        mock.patch.dict(os.environ, WORKSHOP_DATA=path),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        words = ["train", "--recipe", "quick-digits", "--steps", "2", "--device", "cuda", "--no-judge", "--out", f"{path}/run"]
        cli(words, standalone_mode=False)
        return {"said": said.getvalue(), "launch": RunFolder(Path(path, "run")).read_status().get("launch")}


SCENARIOS: dict[str, Callable[[], dict[str, Any]]] = {
    "fallback": fallback,  # first, while torch holds no memory in reserve
    "second": second,
    "switches": switches,
    "memory": memory,
    "beta 2 moves": beta2_moves,
    "moves, adam": lambda: moves("adam"),
    "moves, rmsprop": lambda: moves("rmsprop"),
    "feed": feed,
    "pairs": pairs,
    "every device": every_device,
    "first command": first_command,
}


def main(names: list[str]) -> None:
    torch.backends.cudnn.enabled = False
    make_up_numbers()
    for name in names or SCENARIOS:
        began = time.perf_counter()
        try:
            seen = SCENARIOS[name]()
        except Exception:  # the others are reported anyway
            seen = {"failed": traceback.format_exc()}
        print(json.dumps({"scenario": name, "seconds": round(time.perf_counter() - began, 1)} | seen), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
