"""Runs on a disk of 30 MB that fills up: each pauses, and continues by itself when there is room.

    python -m benchmarks.full_disk [--times 5] [--megabytes 30] [--seed 0]

A small file system is mounted in memory (Linux; as root, or with `unshare -rm` before the command). A run trains on it, and at a
random step a file takes all the room that is left. The run must then say that it is paused because the disk is full, each of its files
must be complete, and it must wait. Once the file is gone, it must continue by itself and end like a run that always had
room: weights, random numbers, logs, grids and generators are equal bit for bit. Runs save far more often than usual, so
the disk fills in the middle of every kind of file.
"""

import argparse
import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.kills import PICTURES, Case, References, damaged, differences, draw_pictures, workers
from gan.recipes import recipe
from gan.runs import record as recording
from gan.runs import run as runs

LIMIT_S = 120.0  # to wait for anything
OFTEN = {"STATE_EVERY_S": 0.05, "KEPT_EVERY_S": 0.2, "FLUSH_EVERY_S": 0.02, "ROOM_EVERY_S": 0.2}


def _home(name: str) -> Any:
    """The module that has one of these constants."""
    return recording if hasattr(recording, name) else runs


class NotPermitted(Exception):
    """No file system can be mounted here."""


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder with its own file system.

    Raises:
        NotPermitted: see the class.
    """
    with tempfile.TemporaryDirectory(prefix="full-disk-") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        try:
            subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip()
            raise NotPermitted(f"no file system of {megabytes} MB can be mounted here: {said}") from None
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def case(steps: int = 400) -> Case:
    """A small run that writes a few megabytes."""
    config = recipe("quick-digits").config.change(
        data=PICTURES,
        duration=steps,
        duration_unit="steps",
        precision="fp32",
        generator_filters=16,
        discriminator_filters=16,
        batch_size=8,
        log_every=1,
        grid_images=16,
        grid_every=20,
        snapshot_every=100,
    )
    return Case("quick-digits", config, config.lr_g, 0.0)


def trial(case: Case, disk: Path, rng: random.Random, references: References) -> tuple[list[str], str]:
    """One run on a disk that fills up and empties again: returns the faults, and what happened in a few words."""
    manager = workers(disk / "checkpoints")
    try:
        run, filler, faults = manager.submit(case.config, case.name), disk / "filler", []
        at_step = rng.randrange(1, int(0.8 * case.config.duration))
        wait(lambda: run.status()["step"] >= at_step or not run.at_work)
        with filler.open("wb", buffering=0) as file:
            wait(lambda: fill(file.write) and (run.state == "paused" or not run.at_work))
            paused_at, said = run.status()["step"], run.status()["error"]
        if run.state != "paused" or "disk is full" not in str(said):
            faults.append(f"with a full disk the run is {run.state}, and says {said}")
        faults += damaged(run.folder)
        filler.unlink()
        wait(lambda: not run.at_work)
        if run.state != "finished" or run.status()["error"]:
            faults.append(f"with room again the run ends as {run.state}, and says {run.status()['error']}")
        else:
            faults += differences(run.folder, references.folder(case, False), case.config) + damaged(run.folder)
        faults += [f"{part.name} was left behind" for part in run.folder.path.rglob("*.part")]
        return faults, f"filled from step {at_step}, paused at step {paused_at}, {run.state} at step {run.status()['step']}"
    finally:
        manager.shutdown()


def fill(write: Callable[[bytes], int | None]) -> bool:
    """Writes until there is no room for a byte."""
    for size in (2**20, 2**12, 1):
        with contextlib.suppress(OSError):
            while write(b"\0" * size) == size:
                pass
    return True


def wait(condition: Callable[[], bool]) -> None:
    """
    Raises:
        TimeoutError: the condition does not come true.
    """
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited too long")
        time.sleep(0.002)


@contextmanager
def saving_often() -> Iterator[None]:
    """Runs in this process save all the time."""
    before = {name: getattr(_home(name), name) for name in OFTEN}
    try:
        for name, value in OFTEN.items():
            setattr(_home(name), name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(_home(name), name, value)


def fill_up(times: int, megabytes: int, folder: Path, rng: random.Random, steps: int = 400) -> list[str]:
    """Runs on such a disk; prints one line per run, and returns all faults. WORKSHOP_DATA must hold draw_pictures()'s set.

    Raises:
        NotPermitted: no file system can be mounted here.
    """
    (folder / "references").mkdir()
    references, faults = References(folder / "references"), []
    for number in range(1, times + 1):
        with small_disk(megabytes) as disk, saving_often():
            found, what = trial(case(steps), disk, rng, references)
        print(f"run {number}: {what}: {'; '.join(found) or 'ok, equal to a run that always had room'}", flush=True)
        faults += [f"run {number}: {fault}" for fault in found]
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="full-disk-") as folder:
        os.environ |= {"WORKSHOP_DATA": f"{folder}/data", "WORKSHOP_JUDGE": "0"}
        draw_pictures(Path(folder) / "data", 400)
        try:
            faults = fill_up(options.times, options.megabytes, Path(folder), random.Random(options.seed))
        except NotPermitted as error:
            raise SystemExit(str(error)) from None
    print(f"{options.times - len({fault.partition(':')[0] for fault in faults})} of {options.times} runs paused and continued")
    for fault in faults:
        print(f"  {fault}")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
