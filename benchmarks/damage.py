"""Damaged run folders and damaged saved states, and what they do to the lists, the pages and the process.

    python -m benchmarks.damage [--folders 1400] [--states 360] [--pages 20] [--seed 0]

A small run trains once. Each folder is a copy of it with one file damaged (cut, emptied, flipped bits, fields of other types, NaN, huge
numbers, half characters, deep lists, a folder, link or pipe in its place, odd names) next to a healthy copy; then everything that lists or
shows runs looks at both. Each state is a copy of state.pt with one kind of damage; a separate process reads it, forks from it, looks
inside, resumes and trains two steps. A fall is an exception instead of a sentence, an answer of 500, a healthy run that is no longer
listed, a look that never ends, or a process that dies. The same seed causes the same damage.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.doctor.checkup import Checkups
from gan.explore.models import ModelCache, best_step, list_models, model_sources
from gan.inside.files import load_networks, network_files
from gan.inside.norms import read_norms
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.fork import fork
from gan.runs.manager import RunManager
from gan.runs.record import record
from gan.runs.run import Run
from gan.serving import routes as server
from gan.serving import streams
from gan.training.loop import Control, train
from gan.training.state import Diverged, new_state
from ui.comparison import look_at

GOOD, BAD = "good", "bad"
STEPS = 12
PATIENCE_S = 20  # limit for all looks at a folder
CONFIG = TrainConfig(
    data="blobs",
    latent_dim=4,
    generator_filters=4,
    discriminator_filters=4,
    batch_size=8,
    duration=STEPS,
    duration_unit="steps",
    precision="fp32",
    log_every=2,
    snapshot_every=10,
)
# Values that are mostly not allowed in a field, as JSON text, which allows more than Python's writer.
ODD = [
    *("null", "true", "-1", "0.5", "1e999", "-1e999", "NaN", "-Infinity", "9" * 400, "99999999999999999999", "1e300", '""', '"text"'),
    *('"\\ud800"', '"\\u0000"', "[]", "{}", '["a", 1]', '{"a": {"b": 1}}', "[" * 900 + "]" * 900),
]
MARK = "@@@"  # placeholder for the value while the rest is written as JSON

Damage = Callable[[Path, random.Random], None]


def blobs() -> ImageDataset:
    """50 random images."""
    images = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageDataset("blobs", images)


def make_run(path: Path, config: TrainConfig = CONFIG) -> RunFolder:
    """A small run with every file that a run can have."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.write_config(config, "quick-digits", blobs(), "Ada", "a" * 16)
    state, control = new_state(config, torch.device("cpu")), Control()
    control.change("lr_g", 0.001)
    for _ in record(folder, state, blobs(), control):
        pass
    folder.keep_state(state)
    for step, fd in ((4, 9.0), (8, 5.0), (12, 6.0)):
        folder.append_judged({"step": step, "images": 100, "fd": fd, "fd_error": 0.5, "fd_floor": 1.0, "shares": [0.5, 0.5], "missing": []})
    folder.flush()
    content = json.loads(folder.config_file.read_text(encoding="utf-8"))
    content["parent"] = {"run": "older", "step": 2, "changes": 0, "settings": {"lr_d": [0.002, 0.001]}}
    folder.write_json(folder.config_file, content)
    folder.write_status(
        state="finished", step=STEPS, images_seen=96, elapsed_s=1.0, error=None, started=1.7e9, ended=1.7e9 + 5, best_step=8
    )
    (path / ".lock").touch()
    return folder


# Damages of a folder.


def folder_damages(base: Path) -> dict[str, Damage]:
    """All kinds of damage to a run's folder, by name."""
    damages: dict[str, Damage] = {}
    newest = RunFolder(base).generator_steps()[-1]
    files = ["config.json", "status.json", "metrics.jsonl", "interventions.jsonl", "norms.jsonl", "judge.jsonl", "state.pt", ".lock"]
    files += [f"samples/{STEPS:06d}.png", f"generator-{newest:06d}.safetensors", f"states/{STEPS:06d}.pt", "samples", "states"]
    for name in files:
        damages |= {f"{name}: {what}": damage for what, damage in _of_a_file(name, (base / name).is_dir())}
    for name in ("config.json", "status.json"):
        damages |= _of_json(name, json.loads((base / name).read_text(encoding="utf-8")))
    for name in ("metrics.jsonl", "interventions.jsonl", "norms.jsonl", "judge.jsonl"):
        damages |= _of_json(name, json.loads((base / name).read_text(encoding="utf-8").splitlines()[-1]))
    for place, ending in (("samples/", ".png"), ("generator-", ".safetensors"), ("states/", ".pt")):
        for odd in ("²²²²²²", "٣٣٣٣٣٣", "4", "-00001", "+00002", "9" * 200, "1_0000", "", "a", "000004.5", " 00004"):
            damages[f"{place}{odd}{ending}"] = _odd_name(f"{place}{odd}{ending}")
    damages |= _of_metadata(f"generator-{newest:06d}.safetensors", base)
    return damages


def _of_a_file(name: str, is_folder: bool) -> Iterator[tuple[str, Damage]]:
    def write(change: Callable[[bytes, random.Random], bytes]) -> Damage:
        def damage(run: Path, rng: random.Random) -> None:
            content = (run / name).read_bytes()
            (run / name).unlink()
            (run / name).write_bytes(change(content, rng))

        return damage

    def replace(make: Callable[[Path], object]) -> Damage:
        def damage(run: Path, rng: random.Random) -> None:
            shutil.rmtree(run / name) if is_folder else (run / name).unlink()
            make(run / name)

        return damage

    yield "missing", replace(lambda path: None)
    yield "a folder", replace(lambda path: path.mkdir())
    yield "a pipe", replace(lambda path: os.mkfifo(path))
    yield "a link to nothing", replace(lambda path: path.symlink_to("nowhere"))
    yield "a link to itself", replace(lambda path: path.symlink_to(path.name))
    yield "a link to a device", replace(lambda path: path.symlink_to("/dev/zero"))
    yield "a link to its folder", replace(lambda path: path.symlink_to(path.parent))
    yield "unreadable", lambda run, rng: (run / name).chmod(0)
    yield "a file", replace(lambda path: path.write_bytes(b"?"))
    if is_folder:
        return
    yield "empty", write(lambda content, rng: b"")
    yield "spaces", write(lambda content, rng: b"  \n\n ")
    yield "zeros", write(lambda content, rng: bytes(len(content)))
    yield "noise", write(lambda content, rng: rng.randbytes(max(20, len(content))))
    yield "UTF-16", write(lambda content, rng: content.decode("latin-1").encode("utf-16"))
    yield "a byte order mark", write(lambda content, rng: b"\xef\xbb\xbf" + content)
    yield "half a character", write(lambda content, rng: b'{"a": "\xed\xa0\x80"}\n' + content)
    yield "twice", write(lambda content, rng: content + content)
    yield "deep", write(lambda content, rng: b"[" * 200_000)
    yield "a long line", write(lambda content, rng: b'{"a": "' + b"x" * (8 << 20) + b'"}\n')
    for part in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        yield f"cut at {part}", write(lambda content, rng, part=part: content[: int(len(content) * part)])  # type: ignore[misc]
    for number in range(20):
        yield f"flipped bits {number}", write(_flipped)


def _flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content or b"\0")
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _of_json(name: str, content: dict[str, Any]) -> dict[str, Damage]:
    """Each field of a document, or of a log's last line, missing or with each odd value."""
    damages: dict[str, Damage] = {}

    def put(changed: Any, value: str | None) -> Damage:
        text = json.dumps(changed) if value is None else json.dumps(changed).replace(f'"{MARK}"', value)

        def damage(run: Path, rng: random.Random) -> None:
            if name.endswith(".json"):
                (run / name).write_text(text, encoding="utf-8")
            else:
                with (run / name).open("a", encoding="utf-8") as file:
                    file.write(text + "\n")

        return damage

    def fields(part: dict[str, Any], around: Callable[[dict[str, Any]], Any], where: str) -> None:
        for key in part:
            rest = {other: value for other, value in part.items() if other != key}
            damages[f"{name}: {where}{key} missing"] = put(around(rest), None)
            for value in ODD:
                damages[f"{name}: {where}{key} = {value[:24]}"] = put(around({**part, key: MARK}), value)

    fields(content, lambda part: part, "")
    for key, inner in content.items():
        if isinstance(inner, dict) and key in ("parent", "weights"):
            fields(inner, lambda part, key=key: {**content, key: part}, f"{key}.")  # type: ignore[misc]
    if "config" in content:
        some = {key: content["config"][key] for key in ("data", "image_size", "latent_dim", "lr_g", "seed", "duration", "duration_unit")}
        fields(some, lambda part: {**content, "config": {**content["config"], **part}}, "config.")
    return damages


def _odd_name(name: str) -> Damage:
    def damage(run: Path, rng: random.Random) -> None:
        with contextlib.suppress(OSError):  # a name that this file system does not accept
            (run / name).write_bytes(b"?")

    return damage


def _of_metadata(name: str, base: Path) -> dict[str, Damage]:
    """Damage to a generator's metadata."""
    damages: dict[str, Damage] = {}
    content = (base / name).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    (key,) = header["__metadata__"]
    about = json.loads(header["__metadata__"][key])

    def put(text: str) -> Damage:
        changed = json.dumps({**header, "__metadata__": {key: text}}).encode()

        def damage(run: Path, rng: random.Random) -> None:
            (run / name).unlink()
            (run / name).write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])

        return damage

    for value in ODD:
        damages[f"{name}: itself = {value[:24]}"] = put(value)
        for field in ("step", "images_seen", "config", "class_names"):
            damages[f"{name}: {field} = {value[:24]}"] = put(json.dumps({**about, field: MARK}).replace(f'"{MARK}"', value))
        for field in ("latent_dim", "image_size", "conditional"):
            text = json.dumps({**about, "config": {**about["config"], field: MARK}}).replace(f'"{MARK}"', value)
            damages[f"{name}: config.{field} = {value[:24]}"] = put(text)
    return damages


# Looking at a folder.


class _Hung(BaseException):
    """The looks at a folder took too long."""


def _alarm(*_: object) -> None:
    raise _Hung


class _OneLook:
    """A reader of an event stream that leaves after the first message."""

    async def is_disconnected(self) -> bool:
        return False


def look(root: Path) -> list[str]:
    """Runs everything that lists or shows runs, on a folder with a damaged and a healthy run. Returns the falls: where, and what."""
    falls: list[str] = []

    @contextlib.contextmanager
    def at(place: str) -> Iterator[None]:
        try:
            yield
        except CheckpointError as error:
            if "\n" in str(error) or not str(error):
                falls.append(f"{place}: not one sentence: {error!r}")
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            falls.append(f"{place}: {type(error).__name__} in {Path(last.filename).name}:{last.name}: {str(error)[:80]}")

    manager = RunManager(root, device="cpu")
    models = ModelCache(root)
    with at("manager.runs()"):
        if GOOD not in [run.id for run in manager.runs()]:
            falls.append("manager.runs(): the healthy run is missing")
    with at("models"):
        sources = model_sources(root)
        if GOOD not in sources or GOOD not in [model.run for model in list_models(root)]:
            falls.append("models: the healthy run's are missing")
    with contextlib.suppress(KeyError):  # a folder that is no longer a run
        _look_at_one(root, manager.get(BAD), at)
    _ask(Starlette(routes=server.routes(manager, models, Checkups())), root, falls, at)
    manager.shutdown()
    return falls


def _look_at_one(root: Path, run: Run, at: Callable[[str], Any]) -> None:
    folder = RunFolder(root / BAD)
    looks: dict[str, Callable[[], Any]] = {
        "run.status()": run.status,
        "run.stored": lambda: json.dumps(dict(run.stored), allow_nan=False).encode(),
        "run.history": lambda: run.history.since(0),
        "run.live_config": lambda: run.live_config,
        "compare": lambda: look_at(run),
        "doctor": lambda: Checkups().of(run).findings(),
        "best generator": lambda: best_step(root, BAD),
        "norms": lambda: read_norms(folder),
        "look inside": lambda: [load_networks(path) for path in network_files(root, BAD).values()],
        "fork": folder.fork_steps,
    }
    if hasattr(folder, "read_samples"):
        looks["newest grid"] = lambda: [folder.read_samples(step) for step in run.sample_steps[-1:]]
    for place, what in looks.items():
        with at(place):
            what()


def _ask(app: Starlette, root: Path, falls: list[str], at: Callable[[str], Any]) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:

        def ask(place: str, address: str) -> Any:
            answer = client.get(address)
            if answer.status_code >= 500:
                falls.append(f"GET {place}: {answer.status_code}")
            return answer

        for place, key in (("/api/runs", "id"), ("/api/models", "run")):
            answer = ask(place, place)
            if answer.status_code != 200 or GOOD not in [row[key] for row in answer.json()]:
                falls.append(f"GET {place}: the healthy run is missing")
        ask("/api/runs/ID", f"/api/runs/{BAD}")
        ask("/api/runs/ID/samples", f"/api/runs/{BAD}/samples/{STEPS}.png")
        with at("models"):
            for name in model_sources(root).get(BAD, [])[-1:]:
                ask("/api/models/ID/image.png", f"/api/models/{name}/image.png?seeds=1")

    async def listen() -> None:
        stream = streams.Streams(RunManager(root, device="cpu"), Checkups()).follow(BAD, 0, _OneLook())  # type: ignore[arg-type]
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]

    with at("event stream"):
        asyncio.run(listen())


def _look_at_damaged(root: Path, base: Path, damage: Damage, rng: random.Random) -> list[str]:
    """Damages a copy of a run next to a healthy one, and looks at both; returns the falls."""
    shutil.copytree(base, root / GOOD)
    shutil.copytree(base, root / BAD)
    damage(root / BAD, rng)
    signal.alarm(PATIENCE_S)
    try:
        fell = look(root)
    except _Hung:
        fell = [f"a look did not come back within {PATIENCE_S} s"]
        _free(root)
    finally:
        signal.alarm(0)
    for left in root.rglob("*"):
        if not left.is_symlink() and left.is_file():
            left.chmod(0o600)
    shutil.rmtree(root)
    return fell


def damaged_folders(count: int, seed: int, work: Path) -> tuple[int, dict[str, list[str]]]:
    """Looks at this many damaged folders. Returns their number, and the falls by damage."""
    base = make_run(work / "base" / GOOD).path
    found = folder_damages(base)
    rng = random.Random(seed)
    names = list(found)
    extra = [name for name in names if "flipped bits" in name]
    if count < len(names):
        names = rng.sample(names, count)
    else:  # more of the kinds that differ each time
        names += [extra[i % len(extra)] for i in range(count - len(names))]
    falls: dict[str, list[str]] = {}
    before = signal.signal(signal.SIGALRM, _alarm)
    try:
        with _bounded_memory():
            for number, name in enumerate(names):
                if fell := _look_at_damaged(work / "roots" / f"{number}", base, found[name], random.Random(f"{seed}-{number}")):
                    falls[f"{number} {name}"] = fell
    finally:
        signal.signal(signal.SIGALRM, before)
    return len(names), falls


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Nothing here needs 2 GiB more: endless reads should fail without taking the machine down."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        now = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (2 << 30), before[1]))
    try:
        yield
    finally:  # a browser that this process starts later could not run with this limit
        resource.setrlimit(resource.RLIMIT_AS, before)


def _free(root: Path) -> None:
    """Releases readers that wait for a pipe."""
    for path in root.rglob("*"):
        if path.is_fifo():
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


# Damages of a state.

VALUES: list[Any] = [None, True, -1, 0.5, float("nan"), float("inf"), 10**30, "text", [], {}, [1, 2], torch.zeros(3), torch.zeros(())]


def state_damages(stored: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """All damaged states made from a healthy one, by name. Each call makes a new one."""
    damages: dict[str, Callable[[], Any]] = {}

    def changed(path: tuple[Any, ...], value: Any, drop: bool = False) -> Callable[[], Any]:
        def make() -> Any:
            copied = _copied(stored)
            part = copied
            for key in path[:-1]:
                part = part[key]
            if drop:
                del part[path[-1]]
            else:
                part[path[-1]] = value(part[path[-1]]) if callable(value) else value
            return copied

        return make

    for key in stored:
        damages[f"{key} missing"] = changed((key,), None, drop=True)
        for number, value in enumerate(VALUES):
            damages[f"{key} = {_named(value)} {number}"] = changed((key,), value)
    for name in ("generator", "discriminator", "averaged"):
        for key in stored[name]:
            damages |= {f"{name}.{key} {what}": changed((name, key), change) for what, change in _of_tensor().items()}
            damages[f"{name}.{key} missing"] = changed((name, key), None, drop=True)
    for name in ("optimizer_g", "optimizer_d"):
        for key in stored[name]["param_groups"][0]:
            damages[f"{name} group {key} missing"] = changed((name, "param_groups", 0, key), None, drop=True)
            for number, value in enumerate(VALUES[:-2]):
                damages[f"{name} group {key} = {_named(value)} {number}"] = changed((name, "param_groups", 0, key), value)
        for number in stored[name]["state"]:
            damages[f"{name} moments {number} missing"] = changed((name, "state", number), None, drop=True)
            for key in stored[name]["state"][number]:
                path = (name, "state", number, key)
                damages |= {f"{name} {number} {key} {what}": changed(path, change) for what, change in _of_tensor().items()}
                damages[f"{name} {number} {key} missing"] = changed(path, None, drop=True)
                damages[f"{name} {number} {key} text"] = changed(path, "text")
    for key in ("rng", "sums"):
        damages |= {f"{key} {what}": changed((key,), change) for what, change in _of_tensor().items()}
    return damages


def _of_tensor() -> dict[str, Callable[[torch.Tensor], Any]]:
    return {
        "shorter": lambda t: t.flatten()[: max(0, t.numel() - 1)].clone(),
        "one number": lambda t: t.flatten()[:1].clone(),
        "empty": lambda t: t.flatten()[:0].clone(),
        "longer": lambda t: torch.cat([t.flatten(), t.flatten()]),
        "huge": lambda t: torch.zeros(1, dtype=t.dtype).expand(10**6, 10**4),
        "one number for all": lambda t: torch.zeros((), dtype=t.dtype).expand(t.shape),
        "64 bits": lambda t: t.double(),
        "16 bits": lambda t: t.bfloat16(),
        "whole numbers": lambda t: t.long(),
        "complex": lambda t: t.to(torch.complex64),
        "sparse": lambda t: t.float().to_sparse(),
        "without memory": lambda t: t.to("meta"),
        "NaN": lambda t: torch.full_like(t, float("nan")) if t.is_floating_point() else torch.full_like(t, 255),
        "a list": lambda t: t.flatten()[:5].tolist(),
    }


def _named(value: Any) -> str:
    return f"tensor {tuple(value.shape)}" if isinstance(value, torch.Tensor) else str(value)[:20]


def _copied(part: Any) -> Any:
    """New dictionaries and lists; tensors are shared, because they are only read."""
    if isinstance(part, dict):
        return {key: _copied(value) for key, value in part.items()}
    return [_copied(value) for value in part] if isinstance(part, list) else part


def write_states(count: int, seed: int, work: Path) -> list[tuple[str, Path]]:
    """Writes this many damaged copies of a run with its state; the first two are healthy."""
    rng = random.Random(seed)
    made: list[tuple[str, Path]] = []
    for kind in ("adam", "rmsprop"):
        base = make_run(work / kind, CONFIG.change(optimizer=kind)).path
        content = (base / "state.pt").read_bytes()
        damages: dict[str, Callable[[], Any]] = dict(state_damages(torch.load(base / "state.pt", weights_only=True)))
        for number in range(40):
            damages[f"file flipped bits {number}"] = lambda content=content, rng=rng: _flipped(content, rng)  # type: ignore[misc]
        for number in range(12):
            damages[f"file cut {number}"] = lambda content=content, rng=rng: content[: rng.randrange(len(content))]  # type: ignore[misc]
        damages["file empty"] = lambda: b""
        damages["file noise"] = lambda rng=rng: rng.randbytes(5000)  # type: ignore[misc]
        share = count * 3 // 4 if kind == "adam" else count - count * 3 // 4
        chosen = rng.sample(sorted(damages), min(share, len(damages)))
        for name in ["sound", *chosen]:
            path = work / "states" / f"{len(made):05d}"
            path.mkdir(parents=True)
            for needed in ("config.json", "status.json"):
                shutil.copy(base / needed, path)
            found: Any = content if name == "sound" else damages[name]()
            if isinstance(found, bytes):
                (path / "state.pt").write_bytes(found)
            else:
                torch.save(found, path / "state.pt")
            made.append((f"{kind}: {name}", path))
    return made


def try_state(path: Path) -> str:
    """Uses a state in every way. Returns the result: "resumed", "refused: ..." or "fall: ..."."""
    folder = RunFolder(path)
    for place, use in (
        ("state_step", folder.state_step),
        ("look inside", lambda: load_networks(folder.state_file)),
        ("fork", lambda: fork(folder, path.with_name(f"{path.name}-fork"), STEPS, {"lr_g": 0.003})),
    ):
        try:
            use()
        except CheckpointError as error:
            if "\n" in str(error):
                return f"fall: {place}: more than a sentence"
        except Exception as error:
            return f"fall: {place}: {type(error).__name__}: {str(error)[:80]}"
    try:
        config = folder.read_config()[0]
        state = folder.load_state(config.change(duration=STEPS + 2), torch.device("cpu"))
        for _ in train(state, blobs()):
            pass
    except CheckpointError as error:
        return f"refused: {error}" if "\n" not in str(error) else "fall: resume: more than a sentence"
    except Diverged:
        return "resumed, and diverged"
    except Exception as error:
        return f"fall: resume: {type(error).__name__}: {str(error)[:80]}"
    return "resumed"


def damaged_states(count: int, seed: int, work: Path) -> list[tuple[str, str]]:
    """Tries this many states, and two healthy ones, in a process that may crash. Returns damage and outcome."""
    made = write_states(count, seed, work)
    outcomes: list[str] = []
    while len(outcomes) < len(made):
        rest = [str(path) for _, path in made[len(outcomes) :]]
        command = [sys.executable, "-m", "benchmarks.damage", "--try"]
        done = subprocess.run(
            command, input="\n".join(rest), capture_output=True, text=True, encoding="utf-8", cwd=Path(__file__).parent.parent
        )
        outcomes += done.stdout.splitlines()[: len(rest)]
        if len(outcomes) < len(made):
            outcomes.append(f"fall: the process ended with {done.returncode}")
    return [(name, outcome) for (name, _), outcome in zip(made, outcomes, strict=True)]


# Pages.


def damaged_pages(count: int, seed: int, work: Path) -> tuple[int, list[str]]:
    """Opens every page that lists runs on folders with many damaged runs. Returns the number of scripts run, and the falls."""
    from streamlit.testing.v1 import AppTest

    base = make_run(work / "base" / GOOD).path
    found = folder_damages(base)
    rng = random.Random(seed)
    kinds = ("config.json", "status.json", "samples", "generator", "metrics", "judge", "norms", "interventions", "states", "state.pt")
    names = [name for kind in kinds for name in rng.sample([n for n in found if n.startswith(kind)], -(-count // len(kinds)))][:count]
    root = work / "checkpoints"
    os.environ["WORKSHOP_CHECKPOINTS"] = str(root)
    shutil.copytree(base, root / GOOD)
    for number, name in enumerate(names):
        shutil.copytree(base, root / f"bad-{number}")
        found[name](root / f"bad-{number}", random.Random(number))
    entry = Path(__file__).parent.parent / "ui" / "navigation.py"
    falls, scripts = [], 0
    pages = {"home": "", "compare": "runs", "inside": "run", "explore": "from", "evaluate": "from", "train": "run"}
    for page, parameter in pages.items():
        for run in [GOOD, *(f"bad-{number}" for number in range(len(names)))] if parameter else [GOOD]:
            at = AppTest.from_file(str(entry), default_timeout=60)
            if parameter:
                at.query_params[parameter] = f"{GOOD},{run}" if page == "compare" else run
            at.run()
            if page != "home":
                at.switch_page(f"../pages/{page}.py")
                at.run()
            scripts += 1
            what = "" if run == GOOD else names[int(run.removeprefix("bad-"))]
            falls += [f"{page} {what}: {error.message[:120]}" for error in at.exception]
    return scripts, falls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=1400)
    parser.add_argument("--states", type=int, default=360)
    parser.add_argument("--pages", type=int, default=20, help="damaged folders that pages are opened over")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--try", action="store_true", dest="trying", help=argparse.SUPPRESS)  # in the process that may crash
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if arguments.trying:
        for line in sys.stdin.read().splitlines():
            print(try_state(Path(line)).replace("\n", " "), flush=True)
        return
    torch.set_num_threads(1)
    os.environ["WORKSHOP_JUDGE"] = "0"
    fallen = 0
    with tempfile.TemporaryDirectory() as work:
        if arguments.folders:
            count, falls = damaged_folders(arguments.folders, arguments.seed, Path(work) / "folders")
            fallen += len(falls)
            print(f"damaged folders: {len(falls)} falls of {count}", flush=True)
            _table(Counter(place for fell in falls.values() for place in {text.split(":")[0] for text in fell}))
            for name, fell in list(falls.items())[:25]:
                print(f"    {name}: {fell[0]}")
        if arguments.states:
            outcomes = damaged_states(arguments.states, arguments.seed, Path(work) / "states")
            bad = [
                (name, outcome)
                for name, outcome in outcomes
                if outcome.startswith("fall") or (name.endswith("sound") and outcome != "resumed")
            ]
            fallen += len(bad)
            print(f"damaged states: {len(bad)} falls of {len(outcomes) - 2}, and 2 healthy ones", flush=True)
            _table(Counter(outcome.split(":")[0] if not outcome.startswith("fall") else outcome[:60] for _, outcome in outcomes))
            for name, outcome in bad[:25]:
                print(f"    {name}: {outcome}")
        if arguments.pages:
            scripts, fell = damaged_pages(arguments.pages, arguments.seed, Path(work) / "pages")
            fallen += len(fell)
            print(f"pages: {len(fell)} falls of {scripts} scripts", flush=True)
            for text in fell[:25]:
                print(f"    {text}")
    sys.stdout.flush()
    os._exit(1 if fallen else 0)  # a thread may still wait for a pipe


def _table(counts: Counter[str]) -> None:
    for what, count in counts.most_common():
        print(f"  {count:5}  {what}")


if __name__ == "__main__":
    main()
