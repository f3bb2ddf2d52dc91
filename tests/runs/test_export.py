import ast
import csv
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from gan import latent
from gan.config import TrainConfig
from gan.data.imageset import ImageDataset
from gan.events import Intervention, Metrics
from gan.images import enlarge, png, tile
from gan.networks.generator_file import CheckpointError, load_generator
from gan.networks.sampling import sample
from gan.recipes import RECIPES
from gan.runs import export as exports
from gan.runs.export import HOLD_S, event_file, export_name, sample_script, tensorboard_zip, training_gif, zip_run
from gan.runs.folder import METRICS, RunFolder, save_generator
from gan.runs.record import record, write_status
from gan.runs.states import RunState
from gan.training.loop import Control
from gan.training.state import new_state
from tests.conftest import Recorded, finish
from tests.films import frames
from tests.test_command_line import call

CPU = torch.device("cpu")
SEEDS = "7,0-4"


@pytest.fixture
def folder(tmp_path: Path, config: TrainConfig, blobs: ImageDataset, recorded: Recorded) -> RunFolder:
    """A run of 12 steps in which a learning rate was changed, with metrics of steps 5 and 10: each test has a copy of its own."""

    def train(folder: RunFolder) -> None:
        folder.path.mkdir()
        folder.write_config(config, "quick-digits")
        write_status(folder, RunState.RUNNING)
        control = Control()
        control.change("lr_g", 0.01)
        state = new_state(config, CPU)
        for _ in record(folder, state, blobs, control):
            pass
        write_status(folder, RunState.FINISHED, state)

    return recorded.copy(tmp_path / "tiny-1", train)


def exported(export: Callable[..., Any], folder: RunFolder, **options: Any) -> bytes:
    file = io.BytesIO()
    finish(export(folder, file, **options))
    return file.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def events(content: bytes) -> list[Event]:
    """The events of an event file: each is length, checksum, content, checksum."""
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert struct.unpack("<I", content[8:12])[0] == masked_crc32c(content[:8])
        body, check, content = content[12 : 12 + length], content[12 + length : 16 + length], content[16 + length :]
        assert struct.unpack("<I", check)[0] == masked_crc32c(body)
        found.append(Event.FromString(body))
    return found


def scalars(found: list[Event], tag: str) -> dict[int, float]:
    return {e.step: v.simple_value for e in found for v in e.summary.value if v.tag == tag}


def lively(config: TrainConfig, path: Path, class_names: tuple[str, ...] = ()) -> None:
    """Saves a generator whose every number is drawn at random, so that each layer shows in its images."""
    state = new_state(config, CPU, class_names=class_names)
    rng = torch.Generator().manual_seed(5)
    for name, tensor in state.averaged.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=rng)
            tensor.copy_(drawn + 0.5 if name.endswith("running_var") else (drawn - 0.5) * 2 / max(1, tensor[0].numel()) ** 0.2)
    save_generator(path, state)


SWITCHES = {
    "resize": {"generator_upsampling": "resize", "image_size": 32},
    "resize-28": {"generator_upsampling": "resize"},
    "mixed": {"generator_upsampling": "mixed", "image_size": 64, "channels": 3},
    "components": {"principal_components": 1, "latent_distribution": "uniform", "conditional": True},
    "without-norm": {"generator_norm": "none", "generator_extra_layers": 2},
    "uniform-color": {"latent_distribution": "uniform", "channels": 3, "generator_order": "activation_first"},
    "mlp-without-norm": {"networks": "mlp", "generator_norm": "none", "conditional": True, "generator_activation": "leaky_relu"},
    "residual": {"networks": "residual", "image_size": 64, "conditional": True, "generator_activation": "leaky_relu"},
    "residual-components": {"networks": "residual", "principal_components": 1, "channels": 3, "conditional": True},
    "spectral": {"generator_spectral_norm": True, "generator_extra_layers": 1},
    "spectral-resize": {"generator_spectral_norm": True, "generator_upsampling": "resize", "image_size": 32},
    "biggan": {"networks": "biggan", "latent_dim": 9, "image_size": 32, "channels": 3},
    "stylegan": {"networks": "stylegan", "image_size": 28, "conditional": True},
    # The longest scripts.
    "biggan-most": {"networks": "biggan", "conditional": True, "generator_spectral_norm": True, "self_attention": True},
    "most": {"image_size": 128, "channels": 3, "conditional": True, "generator_extra_layers": 4, "generator_upsampling": "resize"},
}
ODD_NAMES = ('"""; raise SystemExit', "50%\n\\")
# All scripts in one process, since torch takes seconds to start: folders, each with a script and the arguments that follow it.
DRIVER = """
import json, runpy, sys
for stranger in ("gan", "safetensors", "numpy", "PIL"):
    sys.modules[stranger] = None
for folder, *arguments in json.loads(sys.argv[1]):
    sys.argv = ["sample.py", *arguments, "--out", folder + "/drawn.png"]
    try:
        runpy.run_path(folder + "/sample.py", run_name="__main__")
    except SystemExit as end:
        print(folder, end.code)
"""


def drawn(*calls: Any) -> tuple[str, str]:
    """Runs scripts with arguments; what was printed, and the errors."""
    command = [sys.executable, "-I", "-W", "ignore", "-c", DRIVER, json.dumps([[str(part) for part in call] for call in calls])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def far(picture_file: Path, images: np.ndarray) -> int:
    """By how many gray levels a picture differs from the grid that `sample` makes of images, at most."""
    ours = png(tile(enlarge(images, max(1, 64 // images.shape[-1])), gap=2))
    with Image.open(picture_file) as picture, Image.open(io.BytesIO(ours)) as grid:
        assert picture.mode == grid.mode and picture.size == grid.size
        return int(np.abs(np.asarray(picture, dtype=int) - np.asarray(grid, dtype=int)).max())


def scripted(folder: Path, config: TrainConfig, class_names: tuple[str, str]) -> str:
    """A folder with a generator and its script, which is returned."""
    folder.mkdir()
    lively(config, folder / "generator-000003.safetensors", class_names)
    script = sample_script(folder / "generator-000003.safetensors")
    (folder / "sample.py").write_text(script)
    return script


def test_the_script_draws_with_torch_alone_what_sample_draws(tmp_path: Path) -> None:
    configs = {name: recipe.config for name, recipe in RECIPES.items() if not recipe.config.translates}
    configs |= {name: TrainConfig().change(**cast(dict[str, Any], fields)) for name, fields in SWITCHES.items()}
    tiny = {"generator_filters": 4, "discriminator_filters": 4, "precision": "fp32"}
    for name, config in configs.items():
        script = scripted(tmp_path / name, config.change(**tiny), ODD_NAMES)
        assert len(script.splitlines()) <= (75 if config.networks == "biggan" else 60) and max(map(len, script.splitlines())) <= 140, name
        nodes = list(ast.walk(ast.parse(script)))
        imported = {n.names[0].name for n in nodes if isinstance(n, ast.Import)} | {
            n.module for n in nodes if isinstance(n, ast.ImportFrom)
        }
        assert {module.split(".")[0] for module in imported} - sys.stdlib_module_names == {"torch"}
        assert not {"exec", "eval"} & {n.id for n in nodes if isinstance(n, ast.Name)}
    for name in ("one-class", "no-such-class"):
        scripted(tmp_path / name, TrainConfig(conditional=True, **tiny), ("cat", "dog"))
    calls = [(tmp_path / name, "--seeds", SEEDS) for name in configs]
    said, errors = drawn(*calls, (tmp_path / "one-class", "--seeds", "3", "--class", "dog"), (tmp_path / "no-such-class", "--class", "cow"))
    assert said == f"{tmp_path / 'no-such-class'} 2\n" and "invalid choice: 'cow'" in errors
    for name in [*configs, "one-class"]:
        loaded = load_generator(tmp_path / name / "generator-000003.safetensors")
        seeds = latent.parse_seeds(SEEDS) if name in configs else [3]
        labels = torch.arange(len(seeds)) % 2 if name in configs else torch.tensor([1])
        z = latent.from_seeds(seeds, loaded.config.latent_dim, loaded.config.latent_distribution)
        images = sample(loaded.network, z, labels if loaded.class_names else None)
        assert images.std() > 10, name  # otherwise any picture would pass
        assert far(tmp_path / name / "drawn.png", images) <= 1, name


def test_the_zip_holds_the_run(folder: RunFolder) -> None:
    files = unpacked(exported(zip_run, folder))
    grids = {f"tiny-1/samples/{step:06d}.png": folder.samples_file(step).read_bytes() for step in folder.sample_steps()}
    names = ["config.json", "status.json", "metrics.csv", "interventions.csv", "norms.jsonl", "sample.py", "README.txt"]
    assert files.keys() == {*(f"tiny-1/{name}" for name in names), "tiny-1/generator-000012.safetensors", *grids}
    assert grids.items() <= files.items()
    assert files["tiny-1/generator-000012.safetensors"] == folder.generator_file(12).read_bytes()
    assert json.loads(files["tiny-1/config.json"]) == json.loads(folder.config_file.read_bytes())
    assert json.loads(files["tiny-1/status.json"])["state"] == "finished"
    rows = list(csv.DictReader(io.StringIO(files["tiny-1/metrics.csv"].decode())))
    assert tuple(rows[0]) == METRICS and [row["step"] for row in rows] == ["5", "10"]
    assert float(rows[1]["loss_d"]) == folder.read_metrics()[0][1]["loss_d"]
    made = list(csv.DictReader(io.StringIO(files["tiny-1/interventions.csv"].decode())))
    assert made == [{"step": "0", "field": "lr_g", "old": "0.002", "new": "0.01"}]
    assert files["tiny-1/sample.py"].decode() == sample_script(folder.generator_file(12))
    assert "up to step 12" in files["tiny-1/README.txt"].decode() and "evenly" not in files["tiny-1/README.txt"].decode()


def test_what_was_judged_is_in_the_zip(folder: RunFolder) -> None:
    folder.append_judged({"step": 10, "images": 500, "fd": 4.5, "kid": None, "features": "digits-CNN", "shares": [0.5, 0.5]})
    folder.flush()
    files = unpacked(exported(zip_run, folder))
    (row,) = csv.DictReader(io.StringIO(files["tiny-1/judge.csv"].decode()))
    assert (row["step"], row["fd"], row["kid"], row["features"]) == ("10", "4.5", "", "digits-CNN") and "shares" not in row
    assert "judge.csv" in files["tiny-1/README.txt"].decode()


def test_the_zip_holds_the_generator_that_is_named_and_as_many_grids_as_there_is_room_for(folder: RunFolder) -> None:
    size = sum(folder.samples_file(step).stat().st_size for step in folder.sample_steps())
    files = unpacked(exported(zip_run, folder, step=4, most_bytes=size // 2))
    assert [name for name in files if name.endswith(".safetensors")] == ["tiny-1/generator-000004.safetensors"]
    assert "generator-000004" in files["tiny-1/sample.py"].decode()
    steps = folder.sample_steps()
    packed = sorted(int(name[-10:-4]) for name in files if name.endswith(".png"))
    assert len(packed) == len(steps) // 2 and packed[-1] == steps[-1] and packed[0] == steps[0]
    assert f"{len(packed)} of {len(steps)}, evenly spaced" in files["tiny-1/README.txt"].decode()
    with pytest.raises(CheckpointError, match="no generator at step 7"):
        exported(zip_run, folder, step=7)


def test_a_run_that_has_only_begun_is_exported_too(tmp_path: Path, config: TrainConfig) -> None:
    folder = RunFolder(tmp_path / "new")
    folder.path.mkdir()
    with pytest.raises(CheckpointError, match="holds no run"):
        exported(zip_run, folder)
    folder.write_config(config, "")
    write_status(folder, RunState.QUEUED)
    assert {name.removeprefix("new/") for name in unpacked(exported(zip_run, folder))} == {
        "config.json",
        "status.json",
        "metrics.csv",
        "interventions.csv",
        "README.txt",
    }
    with pytest.raises(CheckpointError, match="the run new has drawn no grid yet"):
        exported(training_gif, folder)
    with pytest.raises(CheckpointError, match="the run new has logged no metrics yet"):
        exported(event_file, folder)


def test_a_file_that_went_away_or_is_damaged_is_a_sentence(folder: RunFolder) -> None:
    work = zip_run(folder, io.BytesIO())
    next(work)
    folder.samples_file(0).unlink()
    with pytest.raises(CheckpointError, match=r"000000.png of the run tiny-1 was deleted during the export"):
        finish(work)
    folder.samples_file(1).write_bytes(b"no")
    for export in (training_gif, event_file):
        with pytest.raises(CheckpointError, match=r"the grid 000001.png cannot be read"):
            exported(export, folder)
    Image.new("L", (9000, 1)).save(folder.samples_file(1))
    with pytest.raises(CheckpointError, match=r"000001.png is larger than a grid can be: 9000 x 1 pixels"):
        exported(training_gif, folder)
    folder.generator_file(12).write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"generator-000012.safetensors is not a generator file"):
        exported(zip_run, folder)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gif_plays_the_training_and_stays_at_its_end(folder: RunFolder, channels: int) -> None:
    rng = np.random.default_rng(0)
    for step in range(0, 20):  # the newest in another arrangement, as a fork's may be
        folder.save_samples(step, rng.integers(0, 256, (64 if step == 19 else 16, channels, 28, 28), dtype=np.uint8))
    with Image.open(io.BytesIO(exported(training_gif, folder, frames=6))) as film:
        assert frames(film) == 6 and film.info["duration"] == 100 and film.info["loop"] == 0
        assert film.size == (8 * 58 - 2, 8 * 58 - 2 + 22)
        film.seek(5)
        assert film.info["duration"] == (1 + HOLD_S * 10) * 100
        last = np.asarray(film.convert("RGB"), dtype=int)
    with Image.open(folder.samples_file(19)) as grid:
        apart = np.abs(last[:462] - np.asarray(grid.convert("RGB"), dtype=int)).mean()
    assert apart == 0 if channels == 1 else apart < 30
    assert last[462:].min() < 128 < last[462:].max()


def test_large_grids_are_made_smaller_for_the_film(folder: RunFolder) -> None:
    folder.save_samples(13, np.zeros((64, 1, 128, 128), dtype=np.uint8))
    with Image.open(io.BytesIO(exported(training_gif, folder))) as film:
        assert film.size == (519, 519 + 22)


def test_the_event_file_reads_back(folder: RunFolder) -> None:
    folder.append_intervention(Intervention(0, "dropout", 0.0, 0.3))
    folder.append_metrics(Metrics(15, 120, 3.0, 40.0, float("nan"), 1.0, 0.5, 0.5, 0.5))
    folder.append_norms(10, {"weights": {"generator": {"conv4": 2.5}}, "gradients": {"generator": {"conv4": None}}})
    folder.append_judged({"step": 10, "images": 500, "fd": 4.5, "kid": None, "features": "digits-CNN"})
    folder.flush()
    started = folder.read_status()["started"]
    found = events(exported(event_file, folder))
    assert found[0].file_version == "brain.Event:2"
    rows = folder.read_metrics()[0]
    groups = {"loss": "losses", "d_": "answers"}
    for name in METRICS[1:]:
        tag = next((f"{group}/{name}" for start, group in groups.items() if name.startswith(start)), f"progress/{name}")
        assert scalars(found, tag) == pytest.approx({row["step"]: row[name] for row in rows if row[name] is not None}), name
    assert 15 not in scalars(found, "losses/loss_d") and 15 in scalars(found, "losses/loss_g")
    assert scalars(found, "judge/fd") == {10: 4.5} and not scalars(found, "judge/kid")
    assert scalars(found, "weights/generator.conv4") == {10: 2.5} and not scalars(found, "gradients/generator.conv4")
    times = {e.step: e.wall_time - started for e in found if any(v.tag == "losses/loss_g" for v in e.summary.value)}
    assert times == pytest.approx({row["step"]: row["elapsed_s"] for row in rows}, abs=1e-3)
    texts = {v.tag: v.tensor.string_val[0].decode() for e in found for v in e.summary.value if v.tag.endswith("text_summary")}
    assert texts["interventions/text_summary"] == "lr_g: 0.002 → 0.01\n\ndropout: 0.0 → 0.3"
    assert json.loads(texts["settings/text_summary"]) == folder.read_config()[0].model_dump()
    images = {e.step: v.image for e in found for v in e.summary.value if v.tag == "samples"}
    assert len(images) == min(10, len(folder.sample_steps())) and max(images) == 12
    with Image.open(io.BytesIO(images[12].encoded_image_string)) as grid:
        assert grid.size == (images[12].width, images[12].height)


def test_long_curves_are_thinned_evenly_and_keep_their_end_and_times(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.append_metrics(Metrics(15, 120, 3.0, 40.0, 1.0, 1.0, 0.5, 0.5, 0.5))
    folder.flush()
    whole = {e.step: e.wall_time for e in events(exported(event_file, folder)) if any(v.tag == "losses/loss_g" for v in e.summary.value)}
    monkeypatch.setattr(exports, "MOST_EVENTS", 2)
    thin = {e.step: e.wall_time for e in events(exported(event_file, folder)) if any(v.tag == "losses/loss_g" for v in e.summary.value)}
    assert list(whole) == [5, 10, 15] and list(thin) in ([5, 15], [10, 15]) and thin.items() <= whole.items()


def test_times_of_a_fork_are_counted_from_its_own_start(folder: RunFolder) -> None:
    stored = json.loads(folder.config_file.read_text()) | {"parent": {"run": "older", "step": 5}}
    folder.config_file.write_text(json.dumps(stored))
    found, rows = events(exported(event_file, folder)), folder.read_metrics()[0]
    times = {e.step: e.wall_time for e in found if any(v.tag == "losses/loss_g" for v in e.summary.value)}
    assert times[5] == pytest.approx(folder.read_status()["started"], abs=1e-3)
    assert times[10] - times[5] == pytest.approx(rows[1]["elapsed_s"] - rows[0]["elapsed_s"], abs=1e-3)


def test_the_event_files_folder_is_called_as_the_run(folder: RunFolder) -> None:
    (name, content), *others = unpacked(exported(tensorboard_zip, folder)).items()
    assert name == "tiny-1/events.out.tfevents.tiny-1" and not others and len(events(content)) > 3


def test_names_that_a_machine_may_not_take_are_left_out(tmp_path: Path) -> None:
    assert export_name(RunFolder(tmp_path / "mine")) == "mine"
    assert export_name(RunFolder(tmp_path / "a b\n")) == "run"


def test_the_command_line_exports_by_the_ending(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def export(*arguments: Any) -> tuple[int, str, str]:
        return call(monkeypatch, capsys, "export", *arguments)

    for ending, first in ((".zip", b"PK"), (".gif", b"GIF89a"), (".tfevents", b"\x18\0\0\0")):
        out = tmp_path / "out" / f"run{ending}"
        status, output, _ = export(folder.path, "--out", out)
        assert status == 0 and output == f"tiny-1 in {out}\n" and out.read_bytes().startswith(first)
    assert export(folder.path, "--step", 4, "--out", tmp_path / "out" / "run.zip")[0] == 0
    assert "tiny-1/generator-000004.safetensors" in unpacked((tmp_path / "out" / "run.zip").read_bytes())
    before = sorted((tmp_path / "out").iterdir())
    for arguments, words in (
        ([folder.path, "--out", tmp_path / "x.tar"], "--out must end in .zip, .gif or .tfevents; got"),
        ([folder.path, "--step", 4, "--out", tmp_path / "out" / "x.gif"], "--step only applies to a .zip"),
        ([folder.path, "--step", 7, "--out", tmp_path / "out" / "x.zip"], "no generator at step 7"),
        ([folder.generator_file(12), "--out", tmp_path / "out" / "x.zip"], "is a single generator"),
        ([tmp_path, "--out", tmp_path / "out" / "x.zip"], "holds no run"),
        (["nothing", "--out", tmp_path / "out" / "x.zip"], "no run or checkpoint nothing"),
        ([folder.path], "--out"),
    ):
        status, _, errors = export(*arguments)
        assert status == 2 and words in errors and errors.count("\n") == 1, (arguments, errors)
    assert sorted((tmp_path / "out").iterdir()) == before
