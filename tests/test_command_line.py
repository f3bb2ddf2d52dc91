import errno
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan import __main__ as command_line
from gan.cli import suggest as suggestions
from gan.cli import train as train_commands
from gan.config import TrainConfig
from gan.data.decoding import decode
from gan.data.drawn import DRAWN
from gan.data.imageset import ImageDataset
from gan.devices import one_thread
from gan.events import Intervention, Progress
from gan.judging import features
from gan.judging.judge import JudgeCache
from gan.networks.generator_file import load_generator, load_translator
from gan.networks.sampling import translate
from gan.recipes import recipe
from gan.runs import record as recording
from gan.runs import run as runs
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.training import bench, execution
from gan.training import loop as training
from gan.training import state as training_state
from gan.training.state import new_state
from tests.films import frames
from tests.forked import Forked

TINY = [
    "--set",
    "generator_filters=4",
    "--set",
    "discriminator_filters=4",
    "--set",
    "batch_size=8",
    "--set",
    "precision=fp32",
    "--set",
    "log_every=5",
]


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    """Runs a command in this process: (exit status, standard output, standard error)."""
    monkeypatch.setattr(sys, "argv", ["gan", *map(str, arguments)])
    status: Any = 0
    try:
        command_line.main()
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


@pytest.fixture
def gan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no")
    return folder


@pytest.fixture
def trained(gan: Callable[..., Any], pictures: Path, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    status, output, _ = gan("train", "--data", pictures, "--steps", 10, "--out", out, *TINY)
    assert status == 0 and "finished at step 10: 80 images" in output
    return out


def test_a_zip_of_images_is_trained_on_and_resumed_from_anywhere(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.make_archive("packed", "zip", pictures)
    status, _, errors = gan("train", "--data", "packed.zip", "--steps", 2, "--out", tmp_path / "run", *TINY)
    assert status == 0 and "left out 1 of 21 files; the first: broken.png" in errors
    monkeypatch.chdir("/")
    assert gan("resume", tmp_path / "run", "--steps", 2)[0] == 0
    (tmp_path / "packed.zip").write_bytes(b"no")
    status, _, errors = gan("resume", tmp_path / "run", "--steps", 2)
    assert status == 2 and "packed.zip is not a zip file" in errors and errors.count("\n") == 1


def test_recipes(gan: Callable[..., Any]) -> None:
    status, output, _ = gan("recipes")
    assert status == 0 and "quick-digits" in output and "lecture" in output
    _, output, _ = gan("recipes", "--json")
    assert {json.loads(line)["name"] for line in output.splitlines()} >= {"quick-digits", "lecture", "dcgan"}


def test_suggest_gives_reasons_and_auto_trains_with_its_settings(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "quick_speed", lambda config, device: 10_000.0)
    status, output, _ = gan("suggest", "--data", pictures)
    assert status == 0 and "Image size: 32, Generator filters: 48, Discriminator filters: 32\n    your images have 30" in output
    assert "On this machine, something is recognizable after about 10 seconds, and the images are good after 10 to 20 seconds." in output
    assert output.endswith(f"train with: python -m gan train --recipe auto --data {pictures}\n")
    _, output, _ = gan("suggest", "--data", pictures, "--json")
    found = json.loads(output)
    assert found["config"]["batch_size"] == 5 and found["recipe"] == "quick-images"
    out = tmp_path / "auto"
    status, _, errors = gan("train", "--recipe", "auto", "--data", pictures, "--steps", 2, "--out", out, *TINY[:4], *TINY[-4:])
    assert status == 0 and "something is recognizable" in errors
    config, stored = RunFolder(out).read_config()
    assert stored.recipe == "quick-images" and (config.batch_size, config.image_size, config.generator_filters) == (5, 32, 4)
    assert config.augmentation_target == 0.6 and config.horizontal_flip
    status, _, errors = gan("train", "--recipe", "auto", "--steps", 2)
    assert status == 2 and errors == "error: --recipe auto needs --data: name the data set to suggest settings for\n"


def test_train_says_what_was_left_out_and_json_is_one_object_a_line(gan: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
    status, output, errors = gan("train", "--data", pictures, "--steps", 10, "--seed", 3, "--json", "--out", tmp_path / "r", *TINY)
    assert status == 0 and "left out 1 of 21 files; the first: broken.png" in errors
    lines = [json.loads(line) for line in output.splitlines()]
    assert [m["step"] for m in lines if m["event"] == "metrics"] == [5, 10]
    assert lines[-1]["event"] == "end" and lines[-1]["state"] == "finished" and lines[-1]["step"] == 10
    assert json.loads((tmp_path / "r" / "config.json").read_text())["seed"] == 3


def test_resuming_gives_the_same_weights_bit_for_bit(gan: Callable[..., Any], pictures: Path, tmp_path: Path, trained: Path) -> None:
    out = tmp_path / "part"
    assert gan("train", "--data", pictures, "--steps", 4, "--out", out, *TINY)[0] == 0
    assert gan("resume", out, "--steps", 6)[0] == 0
    name = "generator-000010.safetensors"
    assert (out / name).read_bytes() == (trained / name).read_bytes()
    status, _, errors = gan("resume", out)
    assert status == 2 and "has reached its 10 steps" in errors


def test_the_command_line_says_how_a_set_was_read_and_what_was_left_out(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "test"):
        shutil.copytree(pictures, tmp_path / "set" / part)
    (tmp_path / "set" / "train" / "photo.heic").write_bytes(b"x")
    status, _, errors = gan("train", "--data", tmp_path / "set", "--steps", 2, "--out", tmp_path / "run", *TINY)
    assert status == 0 and "the training images are in train/" in errors and "left out 2 of 22 files; the first: train/photo.heic" in errors
    assert "left out by reason: is a HEIC photo: 1; cannot be read as an image: 1" in errors
    (tmp_path / "faces").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DRAWN, "faces", replace(DRAWN["faces"], train=20))
    status, _, errors = gan("train", "--data", "faces", "--steps", 2, "--out", tmp_path / "drawn", *TINY)
    assert status == 0 and "faces is the built-in data set; the folder faces in this directory is called ./faces" in errors


def test_single_images_are_files_named_by_seed_and_overwrite_nothing(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "singles"
    status, output, _ = gan("sample", trained, "--seeds", "0-4,300", "--out", f"{out}/")
    assert (
        status == 0 and sorted(p.name for p in out.iterdir()) == sorted(f"{i}.png" for i in (0, 1, 2, 3, 4, 300)) and "6 images" in output
    )
    assert gan("sample", trained, "--seeds", "3,300", "--out", tmp_path / "s.npz")[0] == 0
    for image, seed in zip(np.load(tmp_path / "s.npz")["images"], (3, 300), strict=True):
        assert np.array_equal(np.asarray(Image.open(out / f"{seed}.png")), image[0])
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    for given in (f"{out}/", out):
        status, _, errors = gan("sample", trained, "--seeds", "7", "--out", given)
        assert status == 2 and "is not an empty folder" in errors
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    status, _, errors = gan("sample", trained, "--seeds", "7,7", "--out", f"{tmp_path}/twice/")
    assert status == 2 and "a seed is given twice" in errors
    (tmp_path / "empty").mkdir()
    assert gan("sample", trained, "--seeds", "0-1000", "--out", tmp_path / "empty")[0] == 0
    assert len(list((tmp_path / "empty").iterdir())) == 1001


def test_sample_and_walk(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    assert gan("sample", trained, "--seeds", "0-5", "--out", tmp_path / "s.npz")[0] == 0
    with np.load(tmp_path / "s.npz") as stored:
        assert (
            stored["images"].shape == (6, 1, 28, 28) and stored["images"].dtype == np.uint8 and stored["seeds"].tolist() == list(range(6))
        )
        everything = stored["images"]
    assert gan("sample", trained / "generator-000010.safetensors", "--seeds", "3", "--out", tmp_path / "one.npz")[0] == 0
    with np.load(tmp_path / "one.npz") as stored:
        assert np.abs(stored["images"][0].astype(int) - everything[3]).max() <= 1
    assert gan("sample", trained, "--step", 4, "--out", tmp_path / "s.png")[0] == 0
    with Image.open(tmp_path / "s.png") as grid:
        assert grid.size[0] > 400
    assert gan("walk", trained, "--seeds", "1,2,3", "--frames", 12, "--mode", "lerp", "--out", tmp_path / "w.gif")[0] == 0
    with Image.open(tmp_path / "w.gif") as film:
        assert frames(film) == 12
    walk = ("walk", trained, "--seeds", "1,2,3", "--frames", 12, "--easing", "smooth", "--closed", "--out", tmp_path / "w.mp4")
    assert gan(*walk)[0] == 0 and (tmp_path / "w.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_generator_that_comes_with_the_app_is_found_by_name_and_where_it_was_before(
    gan: Callable[..., Any], trained: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders)
    (folders / "shipped").mkdir()
    shutil.copy(RunFolder(trained).generator_file(10), folders / "shipped" / "ours.safetensors")
    for source, out in (("ours", "a.png"), ("checkpoints/pretrained/ours.safetensors", "b.png"), (trained, "c.png")):
        assert gan("sample", source, "--seeds", "1,2", "--out", out)[0] == 0
    assert (folders / "a.png").read_bytes() == (folders / "b.png").read_bytes() == (folders / "c.png").read_bytes()
    status, _, errors = gan("sample", "checkpoints/pretrained/others.safetensors", "--out", "d.png")
    assert status == 2 and "there is no run or checkpoint checkpoints/pretrained/others.safetensors" in errors


def test_images_are_translated_one_by_one_and_what_cannot_be_read_is_said(
    gan: Callable[..., Any], tmp_path: Path, pictures: Path, trained: Path
) -> None:
    for name in ("pix2pix", "cyclegan"):
        config = recipe(name).config.change(generator_filters=4, discriminator_filters=4, image_size=32)
        (folder := RunFolder(tmp_path / name)).write_config(config, name)
        state = new_state(config, torch.device("cpu"), class_names=("cats", "dogs"))
        state.step = 1
        folder.save_generator(state)
    run, out = tmp_path / "cyclegan", tmp_path / "out"
    (pictures / "below").mkdir()
    shutil.copy(pictures / "3.png", pictures / "below" / "3.JPG")
    for name in (".DS_Store", "notes.txt"):
        (pictures / name).write_bytes(b"x")
    status, said, errors = gan("translate", run, pictures, "--out", f"{out}/")
    assert status == 0 and "21 images in" in said and "left out 2 of 23 files" in errors and "cannot be read as an image: 1" in errors
    assert {str(path.relative_to(out)) for path in out.rglob("*.*")} == {f"{i}.png" for i in range(20)} | {str(Path("below", "3.png"))}
    assert (out / "below" / "3.png").read_bytes() == (out / "3.png").read_bytes()
    one = tmp_path / "one.png"
    assert gan("translate", run, pictures / "3.png", "--out", one)[0] == 0 and one.read_bytes() == (out / "3.png").read_bytes()
    assert gan("translate", run, pictures / "3.png", "--back", "--out", one)[0] == 0 and one.read_bytes() != (out / "3.png").read_bytes()
    expected = translate(
        load_translator(folder.generator_file(1)).network, torch.tensor(decode(pictures / "3.png", 32, 3))[None], back=True
    )
    with Image.open(one) as image:
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), expected[0].numpy())

    empty = tmp_path / "empty"
    empty.mkdir()
    for given, reason in (
        ((run, pictures, "--out", f"{out}/"), "is not an empty folder"),
        ((run, pictures, "--out", one), "22 images need a folder"),
        ((run, empty, "--out", f"{tmp_path}/new/"), "has no image files"),
        ((run, pictures / "broken.png", "--out", tmp_path / "new.png"), "none of the images can be read"),
        ((run, pictures / "broken.png", "--out", f"{tmp_path}/new/"), "none of the images can be read"),
        ((run, pictures, pictures / "3.png", "--out", f"{tmp_path}/new/"), "would both become"),
        ((run, pictures / "3.png", "--out", tmp_path / "new.jpg"), "must end in .png, or in / for a folder"),
        ((trained, pictures, "--out", f"{tmp_path}/new/"), "draws from latent vectors and translates no images"),
        ((tmp_path / "pix2pix", pictures, "--back", "--out", f"{tmp_path}/new/"), "only translate from A to B"),
    ):
        status, _, errors = gan("translate", *given)
        assert status == 2 and reason in errors, errors
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.png").exists()


def test_bad_arguments_exit_2_with_one_line_and_leave_nothing(
    gan: Callable[..., Any], tmp_path: Path, pictures: Path, trained: Path
) -> None:
    out = tmp_path / "never"
    empty = tmp_path / "empty"
    empty.mkdir()
    cases: list[tuple[list[Any], str]] = [
        (["train", "--recipe", "nope"], "no recipe 'nope'"),
        (["train", "--data", "nowhere"], "no data set 'nowhere'"),
        (["train", "--data", empty], "holds no images"),
        (["train", "--data", pictures], "20 images, fewer than one batch of 64"),
        (["train", "--set", "size=3"], "size is not a setting"),
        (["train", "--set", "image_size=29"], "image_size must be 28, 32, 64, 128 or 256; got 29"),
        (["train", "--set", "batch_size"], "FIELD=VALUE"),
        (["train", "--steps", "0"], "duration must be greater than 0"),
        (["train", "--steps", "x"], "--steps"),
        (["train", "--steps", "3", "--seconds", "3"], "give only one of"),
        (["train", "--device", "tpu"], "auto, cpu, cuda or cuda:N"),
        (["train", "--nonsense"], "--nonsense"),
    ]
    for arguments, words in cases:
        status, _, errors = gan(*arguments, "--out", out)
        assert status == 2 and words in errors and errors.count("\n") == 1, (arguments, status, errors)
    assert not out.exists()
    others: list[tuple[list[Any], str]] = [
        (["train", "--out", trained], "already holds a run"),
        (["resume", tmp_path / "nothing"], "no run or checkpoint"),
        (["resume", trained, "--steps", "-5"], "more than 0"),
        (["sample", trained, "--out", tmp_path / "x.bmp"], "end in .png or .npz, or in /"),
        (["sample", trained, "--seeds", "a", "--out", tmp_path / "x.png"], "seeds must look like"),
        (["sample", trained, "--step", "7", "--out", tmp_path / "x.png"], "no generator at step 7"),
        (["walk", trained, "--seeds", "1", "--out", tmp_path / "x.gif"], "at least 2"),
        (["walk", trained, "--seeds", "1,2", "--mode", "jump", "--out", tmp_path / "x.gif"], "jump"),
        (["walk", trained, "--seeds", "1,2", "--out", tmp_path / "x.avi"], "end in .gif or .mp4"),
        (["nonsense"], "nonsense"),
    ]
    for arguments, words in others:
        status, _, errors = gan(*arguments)
        assert status == 2 and words in errors and errors.count("\n") == 1, (arguments, status, errors)


def test_a_failed_run_exits_1_and_says_why(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, step: int, images: np.ndarray) -> None:
        raise OSError(errno.EIO, "Input/output error", "grid.png")

    monkeypatch.setattr(RunFolder, "save_samples", broken)
    status, _, errors = gan("train", "--data", pictures, "--steps", 5, "--out", tmp_path / "r", *TINY)
    assert status == 1 and "grid.png: the disk or the terminal does not answer" in errors and "[Errno" not in errors
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "failed"


@pytest.fixture
def start(pictures: Path) -> Iterator[Callable[..., Any]]:
    """Starts an endless run in its own process and waits for its first steps. The run ends with the test.

    real: with an interpreter of its own, as a terminal starts it; otherwise forked.
    """
    started: list[subprocess.Popen | Forked] = []

    def start(out: Path, more: Sequence[str] = (), real: bool = False, **options: Any) -> subprocess.Popen | Forked:
        command = ["-m", "gan", "train", "--data", str(pictures), "--steps", "1000000", "--out", str(out), *TINY, *more]
        process = subprocess.Popen([sys.executable, *command], env=os.environ, **options) if real else Forked(command, **options)
        started.append(process)
        deadline = time.monotonic() + 60
        while not (out / "generator-000004.safetensors").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        return process

    yield start
    for process in started:
        process.kill()
        if isinstance(process, subprocess.Popen):
            with process:  # closes its pipes
                pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_sigterm_and_a_hangup_leave_a_run_that_resumes(
    gan: Callable[..., Any], start: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    real = {"real": True, "text": True} if number == signal.SIGINT else {}
    process = start(out, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **real)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "stopped at step" in output and "continue with: python -m gan resume" in output
    status = json.loads((out / "status.json").read_text())
    assert status["state"] == "stopped"
    assert gan("resume", out, "--steps", 3)[0] == 0
    assert json.loads((out / "status.json").read_text())["step"] == status["step"] + 3


def test_a_terminal_that_closes_leaves_a_run_that_resumes(gan: Callable[..., Any], start: Callable[..., Any], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(tmp_path / "run", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    os.close(ours)  # from here on every write to the terminal fails
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 129
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "stopped" and RunFolder(tmp_path / "run").fork_steps()[-1] == status["step"]
    assert gan("resume", tmp_path / "run", "--steps", 3)[0] == 0


def test_a_reader_that_goes_away_ends_the_run_saved(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(tmp_path / "run", more=["--json"], real=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(30) == 128 + signal.SIGPIPE and process.stderr.read().startswith(b"left out 1 of 21")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "stopped" and RunFolder(tmp_path / "run").fork_steps()[-1] == status["step"]


def test_what_nohup_ignores_stays_ignored(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start(tmp_path / "run", ignored=[signal.SIGHUP])
    step = json.loads((tmp_path / "run" / "status.json").read_text())["step"]
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while json.loads((tmp_path / "run" / "status.json").read_text())["step"] <= step:
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143


def test_a_lost_state_is_refused_and_a_kept_one_is_taken_when_asked_for(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    folder = RunFolder(trained)
    status, _, errors = gan("resume", trained, "--kept", "--steps", 5)
    assert status == 2 and "is intact (step 10): resume it without --kept" in errors
    (trained / "states").mkdir()
    shutil.copyfile(folder.state_file, folder.kept_state_file(10))
    assert gan("resume", trained, "--steps", 5)[0] == 0
    folder.state_file.unlink()
    logged = folder.metrics_file.read_bytes()
    status, _, errors = gan("resume", trained, "--steps", 5)
    assert status == 2 and "has trained 15 steps, and its state.pt is missing. Its newest checkpoint is from step 10" in errors
    assert errors.count("error:") == 1 and folder.metrics_file.read_bytes() == logged
    status, _, errors = gan("resume", trained, "--kept", "--steps", 2)
    assert status == 0 and "goes back to its checkpoint of step 10. Its files of steps 11 to 15 are now in" in errors
    assert folder.read_status()["step"] == 12 and (trained / "set-aside" / "1" / "metrics.jsonl").read_bytes() == logged
    folder.state_file.unlink()
    shutil.rmtree(trained / "states")
    status, _, errors = gan("resume", trained, "--steps", 5)
    assert status == 2 and "it cannot continue: start a new run with its settings" in errors
    status, _, errors = gan("resume", trained, "--kept", "--steps", 5)
    assert status == 2 and "has no checkpoint to continue from" in errors


def test_moved_data_are_named_once(gan: Callable[..., Any], trained: Path, pictures: Path, tmp_path: Path) -> None:
    pictures.rename(tmp_path / "moved")
    for command in (["resume", trained, "--steps", 2], ["replay", trained, "--out", tmp_path / "again"], ["evaluate", trained]):
        status, _, errors = gan(*command)
        assert status == 2 and f"the data set {pictures} is missing" in errors and "--data" in errors, command
    assert json.loads((trained / "status.json").read_text())["state"] == "finished"
    assert gan("resume", trained, "--data", tmp_path / "moved", "--steps", 2)[0] == 0
    assert gan("resume", trained, "--steps", 2)[0] == 0, "from here on it knows the place"
    assert gan("replay", trained, "--data", tmp_path / "moved", "--out", tmp_path / "again")[0] == 0
    name = "generator-000014.safetensors"
    told = [load_generator(out / name).network.state_dict() for out in (trained, tmp_path / "again")]
    assert all((told[0][key] == told[1][key]).all() for key in told[0])
    Image.new("L", (28, 28)).save(tmp_path / "moved" / "more.png")
    before = (trained / "config.json").read_bytes()
    status, _, errors = gan("resume", trained, "--steps", 2)
    assert status == 2 and "(21 images) has changed since the run run began, which held 20 images" in errors and "fork the run" in errors
    status, _, errors = gan("replay", trained, "--out", tmp_path / "third")
    assert status == 2 and "does not hold the images that the run run was trained on" in errors and not (tmp_path / "third").exists()
    assert (trained / "config.json").read_bytes() == before
    assert json.loads((trained / "status.json").read_text())["state"] == "finished"


def test_what_exists_is_not_overwritten(gan: Callable[..., Any], trained: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.png").write_text("mine")
    (tmp_path / "empty").mkdir()
    shutil.copytree(trained, tmp_path / "lost")
    (tmp_path / "lost" / "config.json").unlink()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for name, words in (("file", "is a file"), ("full", "is not empty"), ("lost", "is not empty"), ("run", "already holds a run")):
        commands: list[list[Any]] = [["train", "--data", pictures, "--steps", 2, *TINY], ["replay", trained]]
        for command in commands:
            status, _, errors = gan(*command, "--out", tmp_path / name)
            assert status == 2 and words in errors and "choose" in errors and errors.count("\n") == 1, (command, errors)
    grid = trained / "samples" / "000010.png"
    status, _, errors = gan("sample", trained, "--out", grid)
    assert status == 2 and "choose another --out" in errors
    for words_of, out in ((["sample"], "x.png"), (["walk", "--seeds", "1,2"], "x.gif"), (["export"], "x.zip")):
        (tmp_path / "taken" / out).mkdir(parents=True)
        status, _, errors = gan(words_of[0], trained, *words_of[1:], "--out", tmp_path / "taken" / out)
        assert status == 2 and "is a folder" in errors
    assert {p: p.read_bytes() for p in before} == before
    assert gan("train", "--data", pictures, "--steps", 2, *TINY, "--out", tmp_path / "empty")[0] == 0
    assert gan("sample", trained, "--out", tmp_path / "mine.png")[0] == 0
    assert gan("sample", trained, "--seeds", "0,1", "--out", tmp_path / "mine.png")[0] == 0, "a file that was named is replaced"


def test_of_two_commands_that_were_given_one_folder_the_second_is_refused(
    gan: Callable[..., Any], trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = train_commands.load

    def meanwhile(config: TrainConfig, quiet: bool) -> ImageDataset:
        monkeypatch.setattr(train_commands, "load", load)
        shutil.copytree(trained, tmp_path / "same")  # the other one was faster
        return load(config, quiet)

    monkeypatch.setattr(train_commands, "load", meanwhile)
    before = (trained / "config.json").read_bytes()
    status, _, errors = gan("train", "--data", pictures, "--steps", 2, "--seed", 9, *TINY, "--out", tmp_path / "same")
    assert status == 2 and "already holds a run" in errors and (tmp_path / "same" / "config.json").read_bytes() == before


def test_a_full_disk_is_waited_for(gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "ROOM_EVERY_S", 0)
    original, tries = RunFolder.save_samples, []

    def full(self: Any, step: int, images: np.ndarray) -> None:
        tries.append(step)
        if tries.count(4) == 1 and step == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, step, images)

    monkeypatch.setattr(RunFolder, "save_samples", full)
    status, _, errors = gan("train", "--data", pictures, "--steps", 5, "--out", tmp_path / "r", *TINY)
    assert status == 0 and "The disk is full. The run waits at step 4 and continues when there is room" in errors
    assert RunFolder(tmp_path / "r").sample_steps() == [0, 1, 2, 3, 4, 5] and tries.count(4) == 2


def test_a_run_that_ends_before_its_judge_is_ready_does_not_blame_the_server(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_JUDGE", "1")
    never = threading.Event()

    def slow(self: Any, *key: Any) -> Iterator[Progress]:
        while not never.wait(0.01):
            yield Progress("Getting ready", 0, 1)

    monkeypatch.setattr(JudgeCache, "get", slow)
    status, _, errors = gan("train", "--data", pictures, "--steps", 2, "--out", tmp_path / "r", *TINY)
    assert status == 0 and errors.splitlines()[-1] == "The run ended before its images could be scored."
    assert json.loads((tmp_path / "r" / "status.json").read_text())["judge"] == "The run ended before its images could be scored."


@pytest.mark.parametrize(("images", "advice"), [(1, "add images"), (2, "set batch_size to 2 or less"), (5, "set batch_size to 5 or less")])
def test_a_batch_that_is_possible_is_advised(gan: Callable[..., Any], pictures: Path, tmp_path: Path, images: int, advice: str) -> None:
    for path in list(pictures.iterdir())[images:]:
        path.unlink()
    (pictures / "broken.png").unlink(missing_ok=True)
    for i in range(images):
        Image.new("L", (28, 28), i).save(pictures / f"{i}.png")
    for path in sorted(pictures.iterdir())[images:]:
        path.unlink()
    status, _, errors = gan("train", "--data", pictures, "--steps", 2, "--out", tmp_path / "r", *TINY)
    assert status == 2 and errors.rstrip().endswith(advice), errors


def test_a_replayed_run_is_equal_with_what_was_changed_meanwhile(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    folder = RunFolder(trained)
    folder.append_intervention(Intervention(10, "lr_g", 5e-4, 0.01))  # as the app would have noted it
    folder.flush()
    status, _, _ = gan("resume", trained, "--steps", 5)
    assert status == 0 and [c.step for c in folder.read_interventions()] == [10]
    status, output, _ = gan("replay", trained, "--out", tmp_path / "again", "--json")
    assert status == 0 and '"event": "intervention", "step": 10, "field": "lr_g"' in output
    for a, b in zip(
        load_generator(folder.generator_file(15)).network.parameters(),
        load_generator(tmp_path / "again" / "generator-000015.safetensors").network.parameters(),
        strict=True,
    ):
        assert (a == b).all()
    status, _, errors = gan("replay", trained, "--out", tmp_path / "again")
    assert status == 2 and "already holds a run" in errors


def test_a_replay_repeats_the_numbers_of_threads_and_chooses_none(
    gan: Callable[..., Any], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Restless:
        """Takes the other number of threads after each step."""

        def __init__(self, threads: int, most: int, idle_s: Callable[..., Any]) -> None:
            self.threads = threads

        def after_step(self, now_s: float, step_s: float, cpu_s: float) -> int:
            self.threads = 3 - self.threads
            return self.threads

        def rest(self) -> int:
            return self.threads

    for module in (execution, training, training_state, train_commands):
        monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(training, "ThreadChooser", Restless)
    with one_thread():  # puts back what training sets
        out, again = tmp_path / "run", tmp_path / "again"
        status, output, _ = gan("train", "--data", pictures, "--steps", 5, "--out", out, "--json", *TINY)
        assert status == 0 and '{"event": "threads", "step": 1, "old": 2, "new": 1}' in output
        script = RunFolder(out).read_script()
        assert [(change.step, change.new) for change in script] == [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1)]
        assert json.loads((out / "status.json").read_text())["threads"] == 1
        status, output, _ = gan("replay", out, "--out", again, "--json")
        assert status == 0 and output.count('"event": "threads"') == 4  # the last one belongs to the steps that follow
        a, b = (torch.load(path / "state.pt", weights_only=True) for path in (out, again))
        assert all(torch.equal(a["generator"][name], b["generator"][name]) for name in a["generator"])
        assert RunFolder(again).read_script() == script[:4] and gan("resume", again, "--steps", 1)[0] == 0


def test_a_conditional_generator_draws_the_class_that_is_named(gan: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
    for i, path in enumerate(sorted(pictures.glob("[0-9]*.png"))):
        (pictures / "ab"[i % 2]).mkdir(exist_ok=True)
        path.rename(pictures / "ab"[i % 2] / path.name)
    (pictures / "broken.png").unlink()
    out = tmp_path / "run"
    status, _, _ = gan("train", "--recipe", "conditional", "--data", pictures, "--steps", 5, "--out", out, *TINY)
    assert status == 0
    images = {}
    for name in (None, "a", "b"):
        given = ["--class", name] if name else []
        assert gan("sample", out, "--seeds", "0,1", *given, "--out", tmp_path / "s.npz")[0] == 0
        images[name] = np.load(tmp_path / "s.npz")["images"]
    assert (images[None][0] == images["a"][0]).all() and (images[None][1] == images["b"][1]).all()
    assert not (images["a"] == images["b"]).all()
    assert gan("walk", out, "--seeds", "1,2", "--frames", 3, "--class", "b", "--out", tmp_path / "w.gif")[0] == 0
    status, _, errors = gan("sample", out, "--class", "c", "--out", tmp_path / "s.npz")
    assert status == 2 and "there is no class 'c': choose one of a, b" in errors


def test_a_class_is_refused_where_there_is_none(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    status, _, errors = gan("sample", trained, "--class", "a", "--out", tmp_path / "s.npz")
    assert status == 2 and "this generator is not conditional" in errors
    status, _, errors = gan(
        "train", "--recipe", "conditional", "--data", tmp_path / "pictures", "--steps", 5, "--out", tmp_path / "c", *TINY
    )
    assert status == 2 and "has no labels, but conditional needs them" in errors and not (tmp_path / "c").exists()


def test_bench_measures_each_recipe(gan: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "in_fresh_process", lambda work, *arguments: work(*arguments))  # starting one takes seconds
    status, output, _ = gan("bench", "--recipe", "lecture", "--recipe", "conditional", "--seconds", 0.1, "--json", *TINY)
    assert status == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["recipe"] for line in lines] == ["lecture", "conditional"]
    for line in lines:
        assert line["precision"] == "fp32" and line["images_per_s"] > 0 and 0 < line["share"] < 1 and line["peak_memory_gb"] > 0
    status, output, _ = gan("bench", "--recipe", "lecture", "--seconds", 0.1, *TINY)
    assert status == 0 and "images/s in fp32 on CPU" in output and "of a matrix product's" in output
    status, _, errors = gan("bench", "--recipe", "nope")
    assert status == 2 and "there is no recipe 'nope'" in errors


def test_networks_that_no_memory_holds_are_refused_before_anything_is_made(
    gan: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "free_memory", lambda device: 2**30)
    wide = [f"{name}_filters=256" for name in ("generator", "discriminator")]
    settings = [part for text in (*wide, "batch_size=1024", "image_size=128", "precision=fp32") for part in ("--set", text)]
    status, _, errors = gan("train", *settings, "--out", tmp_path / "huge")
    assert status == 2 and "GiB of memory" in errors and not (tmp_path / "huge").exists()


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 120 pictures, and a feature network that is trained in a moment."""
    monkeypatch.setattr(features.train.__wrapped__, "__defaults__", (1,))  # type: ignore[attr-defined]  # the function under its decorator
    rng = np.random.default_rng(0)
    for i in range(120):
        (folder := tmp_path / "many" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "many"


def test_evaluate_prints_figures_beside_those_of_real_images(gan: Callable[..., Any], trained: Path, many: Path) -> None:
    status, output, errors = gan("evaluate", trained, "--data", many)
    assert status == 0 and not errors
    lines = output.splitlines()
    assert lines[0] == f"24 images at step 10, compared with 24 held-out real images of {many}, in the features of many-CNN"
    assert any(line.startswith("FD (many-CNN)") and line.endswith("lower is better") and line.count("±") == 2 for line in lines)
    status, output, _ = gan("evaluate", trained, "--data", many, "--samples", 12, "--json")
    (found,) = [json.loads(line) for line in output.splitlines()]
    assert (found["features"], found["images"], found["real_unseen"], found["step"]) == ("many-CNN", 12, False, 10)
    assert {"fd", "kid", "precision", "recall", "density", "coverage", "diversity", "kl", "copying", "copies"} == set(found["figures"])
    assert found["figures"]["fd"].keys() == {"name", "value", "spread", "floor", "floor_spread", "better"}
    assert set(found["shares"]) == {"a", "b"}


def test_evaluate_says_what_it_lacks(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    status, _, errors = gan("evaluate", trained)
    assert status == 2 and "has 20 images; scores need at least 100" in errors and errors.count("\n") == 1
    assert gan("evaluate", tmp_path / "none")[0] == 2
    status, _, errors = gan("evaluate", trained, "--samples", 3)
    assert status == 2 and "--samples" in errors


def test_a_run_continues_from_its_state_whatever_the_status_says(gan: Callable[..., Any], trained: Path) -> None:
    status = json.loads((trained / "status.json").read_text())
    for said in ({**status, "step": 900, "images_seen": 7200, "state": "running"}, {**status, "step": 0}, None):  # killed, edited, removed
        if said is None:
            (trained / "status.json").unlink()
        else:
            (trained / "status.json").write_text(json.dumps(said))
        reached = RunFolder(trained).reached().step
        code, output, _ = gan("resume", trained, "--steps", 2)
        assert code == 0 and f"finished at step {reached + 2}:" in output
    assert RunFolder(trained).read_status()["step"] == 16


def test_a_run_without_a_status_is_replayed(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    (trained / "status.json").unlink()
    assert gan("replay", trained, "--out", tmp_path / "again")[0] == 0
    name = "generator-000010.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes()


def test_a_fork_is_replayed_from_where_it_began_or_not_at_all(gan: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    child = fork(RunFolder(trained), tmp_path / "child", 10, {"lr_g": 1e-3}, "steps", 4)
    (child.interventions_file).write_text(json.dumps({"step": 12, "field": "lr_d", "old": 2e-4, "new": 1e-3}) + "\n")
    assert gan("resume", child.path)[0] == 0
    assert gan("replay", child.path, "--out", tmp_path / "again")[0] == 0
    assert gan("replay", tmp_path / "again", "--out", tmp_path / "twice")[0] == 0
    name = "generator-000014.safetensors"
    for replayed in ("again", "twice"):
        assert (tmp_path / replayed / name).read_bytes() == (child.path / name).read_bytes()
        assert RunFolder(tmp_path / replayed).read_config()[1]["parent"]["step"] == 10
        assert RunFolder(tmp_path / replayed).generator_steps()[0] >= 10
    began_with = child.fork_file.read_bytes()
    child.fork_file.write_bytes(began_with[:-100])
    code, _, errors = gan("replay", child.path, "--out", tmp_path / "no")
    assert code == 2 and "fork.pt of the run child cannot be used: it is cut short" in errors
    child.fork_file.unlink()
    code, _, errors = gan("replay", child.path, "--out", tmp_path / "no")
    assert code == 2 and "the run child is a fork, and fork.pt, the checkpoint it started from, is missing" in errors
    assert not (tmp_path / "no").exists()


def test_a_run_that_draws_by_class_needs_the_same_classes_of_the_same_images(gan: Callable[..., Any], tmp_path: Path) -> None:
    images, labels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    np.savez(tmp_path / "other.npz", images=images, labels=1 - labels)
    by_class, plain = tmp_path / "by-class", tmp_path / "plain"
    for run, conditional in ((by_class, "true"), (plain, "false")):
        settings = (*TINY, "--set", f"conditional={conditional}")
        assert gan("train", "--data", tmp_path / "set.npz", "--steps", 2, "--out", run, *settings)[0] == 0
    code, _, errors = gan("resume", by_class, "--data", tmp_path / "other.npz", "--steps", 2)
    assert code == 2 and "have other classes than when" in errors and RunFolder(by_class).read_status()["state"] == "finished"
    code, _, errors = gan("replay", by_class, "--data", tmp_path / "other.npz", "--out", tmp_path / "no")
    assert code == 2 and "have other classes than when" in errors and not (tmp_path / "no").exists()
    assert gan("resume", plain, "--data", tmp_path / "other.npz", "--steps", 2)[0] == 0
    assert gan("resume", by_class, "--steps", 2)[0] == 0


def test_evaluate_says_what_it_left_out(gan: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.train.__wrapped__, "__defaults__", (1,))  # type: ignore[attr-defined]  # the function under its decorator
    rng = np.random.default_rng(0)
    (tmp_path / "others").mkdir()
    for i in range(100):
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(tmp_path / "others" / f"{i}.png")
    (tmp_path / "others" / "photo.heic").write_bytes(b"x")
    code, _, errors = gan("evaluate", trained, "--data", tmp_path / "others", "--samples", 100)
    assert code == 0 and "left out 1 of 101 files; the first: photo.heic" in errors


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes names in UTF-8 only")
def test_a_folder_whose_name_is_not_utf8_gets_a_sentence(gan: Callable[..., Any], pictures: Path, tmp_path: Path) -> None:
    moved = pictures.rename(tmp_path / os.fsdecode(b"caf\xe9"))
    code, _, errors = gan("train", "--data", moved, "--steps", 2, "--out", tmp_path / "run", *TINY)
    assert (
        code == 2
        and "data must be text in UTF-8" in errors
        and "use a link with another name" in errors
        and not (tmp_path / "run").exists()
    )
    os.symlink(moved, tmp_path / "coffee")
    assert gan("train", "--data", tmp_path / "coffee", "--steps", 2, "--out", tmp_path / "run", *TINY)[0] == 2  # links are resolved


@pytest.mark.filterwarnings("default:decoded images")
def test_a_data_folder_that_cannot_be_made_is_told_in_words(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = ["-m", "gan", "train", "--data", str(pictures), "--steps", "2", "--out", str(tmp_path / "run"), "--no-judge", *TINY]
    with Forked(command, {**os.environ, "WORKSHOP_DATA": str(tmp_path / "file")}, stderr=subprocess.PIPE) as process:
        (errors,) = process.communicate(60)
        assert process.returncode == 0 and "decoded images cannot be saved in " in errors and "is a file, not a folder" in errors
    assert "Errno" not in errors and "UserWarning" not in errors and "writing(" not in errors
