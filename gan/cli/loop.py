"""A run in a terminal: drains record(), shows progress, halts on signals, and says how it ended."""

import errno
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import torch
from tqdm import tqdm

from gan import progress as terminal
from gan.cli.common import say_how_read
from gan.cli.options import RunFailed
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.doctor.checkup import Checkups
from gan.doctor.rounds import Rounds
from gan.events import THREADS, Intervention, Judged, Metrics, Samples, ThreadChange
from gan.files import without_folders
from gan.judging.judge import JudgeCache
from gan.networks.generator_file import CheckpointError
from gan.runs.folder import RunFolder
from gan.runs.record import never_judged, prepare, record, write_status
from gan.runs.run import PASSING, Run, explain, wait_for_room
from gan.runs.states import RunState
from gan.runs.watch import Judges, Watch, switched_on
from gan.training.feed import epoch_images
from gan.training.loop import Control
from gan.training.state import TrainState

if TYPE_CHECKING:
    from gan.distributed.group import Group

LINE_EVERY_S = 10.0  # between two lines of progress without a terminal


@contextmanager
def halt_on_signals(control: Control, patient: bool = False) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal halt the loop after its step; a second signal ends the process at once.

    Signals that the process was started to ignore (nohup) stay ignored.

    patient: whether later signals are ignored. torchrun may pass one press of Ctrl-C on twice, and itself ends what takes too long.
    """
    received: list[int] = []

    def halt(number: int, frame: object) -> None:
        received.append(number)
        control.halt()
        if not patient:
            signal.signal(number, before[signal.Signals(number)])

    heard = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: handler for number in heard if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, halt)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Shows a run's progress as a bar, lines or JSON. If the output is closed, the run stops and is saved."""

    def __init__(self, folder: RunFolder, state: TrainState, control: Control, received: list[int], bar: tqdm, as_json: bool) -> None:
        self.metrics: Metrics | None = None
        self._folder, self._state, self._control, self._received = folder, state, control, received
        self._bar, self._as_json = bar, as_json
        self._said_s = state.elapsed_s

    def tell(self, event: object) -> None:
        if isinstance(event, Metrics):
            self.metrics = event
        try:
            if self._as_json:
                _print_json(event, self._folder)
            elif isinstance(event, Metrics):
                self._show(event)
        except OSError as error:  # the pipe or the terminal is closed; a signal may follow, or not
            if not self._received:
                self._received.append(signal.SIGPIPE if error.errno == errno.EPIPE else signal.SIGHUP)
            self._control.halt()
            terminal.let_go()

    def _show(self, event: Metrics) -> None:
        if not self._bar.disable:
            self._bar.set_postfix_str(_in_words(event), refresh=False)
            self._bar.update(min(_done(self._state), self._bar.total) - self._bar.n)
        elif self._state.elapsed_s - self._said_s >= LINE_EVERY_S:
            self._said_s = self._state.elapsed_s
            click.echo(f"step {event.step}, {event.elapsed_s:.0f} s, {_in_words(event)}", err=True)


def _done(state: TrainState) -> int:
    """How far a run is, in the units of its bar."""
    return {"steps": state.step, "seconds": round(state.elapsed_s), "epochs": state.images_seen}[state.config.duration_unit]


def train_in_terminal(
    folder: RunFolder,
    config: TrainConfig,
    dataset: ImageDataset,
    where: torch.device,
    as_json: bool,
    judged: bool,
    script: list[Intervention] | None = None,
    threads: int | None = None,
    ranks: "Group | None" = None,
) -> None:
    """Drains record(), showing progress; the folder can be resumed afterward. Call it while holding the folder's lock.

    judged: whether to score the images while it trains, unless the environment turns this off.
    script: changes to make while it trains.
    ranks: those that train with this process; None if it trains alone.
    """
    say_how_read(dataset)
    control = Control()
    judges = Judges(JudgeCache()) if judged and switched_on() else None
    state = None
    run = Run(folder)
    reasons: list[str] = []

    def stop(run: Run, reason: str) -> None:
        reasons.append(reason)
        control.halt()

    with halt_on_signals(control, patient=ranks is not None) as received, judges or nullcontext(), Rounds(Checkups(), lambda: [run], stop):
        try:
            state = prepare(folder, config, dataset, where, control, ranks.threads if ranks else threads)
            if ranks:
                from gan.distributed.start import lead  # torch.distributed is only for runs that need it

                lead(state, dataset, ranks)
            run.began_step = state.step
            if script is not None:
                control.repeat(script[state.changes :], until=round(config.duration))
            watch = Watch(judges.prepare(config)) if judges else None
            write_status(folder, RunState.RUNNING, state, error=None, reason=None, judge=None, stuck=None)
            if not as_json:
                terminal.say(f"{folder.path}: {len(dataset):,} images, {state.execution.precision}, {where}{_of_ranks(state)}")
            began_images, began_s = state.images_seen, state.elapsed_s
            with _bar(config, dataset, state, as_json) as bar:
                teller = _Teller(folder, state, control, received, bar, as_json)
                _drain(folder, state, dataset, control, watch, teller)
            ended = RunState.STOPPED if received or reasons or control.halted else RunState.FINISHED
            why = never_judged(folder, watch)  # before the judges are closed
            write_status(folder, ended, state, judge=why, reason=reasons[0] if reasons else None)
        except (Exception, KeyboardInterrupt) as error:
            sentence = (
                explain(error, folders=True) if isinstance(error, Exception) else "interrupted at once; the last saved state is intact"
            )
            if isinstance(error, CheckpointError) and state is None:
                raise
            try:
                write_status(folder, RunState.FAILED, state, error=without_folders(sentence))
            except OSError:
                sentence += " (The status could not be written either.)"
            raise RunFailed(sentence) from error
    rate = (state.images_seen - began_images) / max(1e-9, state.elapsed_s - began_s)
    if as_json:
        end = {"step": state.step, "images_seen": state.images_seen, "elapsed_s": state.elapsed_s, "images_per_s": rate}
        terminal.say(json.dumps({"event": "end", "state": ended, **end}), err=False)
    else:
        if reasons:
            terminal.say(reasons[0])
        _say_the_end(folder, state, ended, rate, teller.metrics, why)
    if received:
        terminal.let_go()
        raise SystemExit(128 + received[0])


def _of_ranks(state: TrainState) -> str:
    return f", {state.ranks.count} ranks" if state.ranks else ""


def _bar(config: TrainConfig, dataset: ImageDataset, state: TrainState, as_json: bool) -> tqdm:
    """A run's progress bar on standard error; disabled for JSON, or without a terminal."""
    total = round(config.duration * (epoch_images(config, dataset) if config.duration_unit == "epochs" else 1))
    unit = {"steps": "step", "seconds": "s", "epochs": "image"}[config.duration_unit]
    quiet = as_json or not sys.stderr.isatty()
    return tqdm(total=total, unit=unit, disable=quiet, initial=_done(state), file=terminal.Lasting(sys.stderr))


def _drain(folder: RunFolder, state: TrainState, dataset: ImageDataset, control: Control, watch: Watch | None, teller: _Teller) -> None:
    """Drains record(). If the disk is full, waits with the networks in memory until there is room or a signal comes."""
    while True:
        try:
            for event in record(folder, state, dataset, control, watch=watch):
                teller.tell(event)
            return
        except OSError as error:
            if error.errno not in PASSING or control.halted:
                raise
            terminal.say(f"{PASSING[error.errno]} The run waits at step {state.step:,} and continues when there is room. Ctrl-C stops it.")
        with suppress(OSError):
            write_status(folder, RunState.PAUSED, state)
        while not wait_for_room(folder, state, lambda: control.halted):
            pass


def _say_the_end(folder: RunFolder, state: TrainState, ended: str, rate: float, metrics: Metrics | None, why: str | None) -> None:
    """Says how a run ended, and how to continue it."""
    so_far = f"{ended} at step {state.step}: {state.images_seen:,} images in {state.elapsed_s:.1f} s, {rate:,.0f} images/s."
    terminal.say(f"{so_far} {_in_words(metrics) if metrics else ''}", err=False)
    if best := folder.best():
        floor = f"; real images get {best.floor:.3g}" if best.floor is not None else ""
        terminal.say(f"best at step {best.step}: FD {best.fd:.3g} ± {best.error:.2g}{floor}", err=False)
    elif why:
        terminal.say(why)
    if ended is RunState.STOPPED:
        start = f"torchrun --nproc-per-node={state.ranks.count} -m gan" if state.ranks else "python -m gan"
        terminal.say(f"continue with: {start} resume {folder.path}", err=False)


def _in_words(metrics: Metrics) -> str:
    answers = f"D(x) {metrics.d_real:.2f}, D(G(z)) {metrics.d_fake:.2f}"
    return f"{metrics.images_per_s:,.0f} images/s, loss D {metrics.loss_d:.3f}, G {metrics.loss_g:.3f}, {answers}"


def _print_json(event: object, folder: RunFolder) -> None:
    if isinstance(event, Metrics):
        click.echo(json.dumps({"event": "metrics", **asdict(event)}))
    elif isinstance(event, ThreadChange):
        click.echo(json.dumps({"event": THREADS, **asdict(event)}))
    elif isinstance(event, Intervention):
        click.echo(json.dumps({"event": "intervention", **asdict(event)}))
    elif isinstance(event, Judged):
        click.echo(json.dumps({"event": "judged", **event.row}))
    elif isinstance(event, Samples):
        click.echo(json.dumps({"event": "samples", "step": event.step, "file": str(folder.samples_file(event.step))}))
