"""Scores a run while it trains: every few seconds, between two steps, without changing the run.

The judge is prepared in a background thread while the run starts at once; until it is ready, there are no scores.
"""

import atexit
import copy
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from gan import latent
from gan.config import TrainConfig
from gan.data.datasets import ImageDataset
from gan.data.form import Form
from gan.events import Progress
from gan.files import in_words, without_folders
from gan.images import to_float, to_uint8
from gan.judging import metrics
from gan.judging.judge import Judge, JudgeCache
from gan.judging.judgements import Judgement
from gan.networks.layers import Chance
from gan.networks.sampling import sample
from gan.networks.translation import Translator
from gan.runs.translation_scores import translation_scores
from gan.training.learning import autocast
from gan.training.state import TrainState
from gan.training.step import as_shown

log = logging.getLogger(__name__)

SAMPLES = 500  # images per scoring
ASKED = 256  # images of each kind for D's answers: whole batches, at least one
REST = 25  # pause after a scoring, as a multiple of its duration: at most 1 / 26 of the time goes into scoring
LEAST_S = 3.0  # of training between two scorings


def switched_on() -> bool:
    """Whether to score runs while they train: not with WORKSHOP_JUDGE=0.

    Raises:
        ValueError: the variable is neither 0 nor 1.
    """
    text = os.environ.get("WORKSHOP_JUDGE") or "1"
    if text not in ("0", "1"):
        raise ValueError(f"WORKSHOP_JUDGE must be 0 or 1; got {text!r}")
    return text == "1"


class Preparation:
    """A judge in preparation. Only its threads write here, one at a time.

    Attributes:
        judge: once it is ready.
        stage: the current stage of the preparation, with its percentage if that is known; empty before the first.
        refused: why there will be no judge, in a sentence.
        ended: whether nothing more happens.
        hurried: whether someone waits for it.
        turn: held by the thread that works.
        work: what they work on, one step at a time.
    """

    def __init__(self, work: Generator[Progress, None, Judge] | None = None) -> None:
        self.judge: Judge | None = None
        self.stage = ""
        self.refused = ""
        self.ended = False
        self.hurried = False
        self.turn = threading.Lock()
        self.work = work


class Judges:
    """Prepares judges in the background for the runs that need them, on low-priority threads. Safe to use from any thread."""

    def __init__(self, cache: JudgeCache) -> None:
        self.cache = cache
        self._closing = threading.Event()
        self._at_work: dict[tuple[str, Form], Preparation] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def prepare(self, config: TrainConfig) -> Preparation:
        """The judge for a run's images: at once, or after up to two minutes if its data set has never been used for scoring."""
        key = (config.data, Form.of(config))
        with self._lock:
            if key not in self._at_work:
                self._at_work[key] = Preparation(self._ready(key))
                self._start(key)
            return self._at_work[key]

    def hurry(self) -> None:
        """Continues all preparation in threads with the caller's priority, because someone waits for a judge.

        On Linux, a thread inherits its priority, and without special rights it cannot raise it. So another thread takes over.
        """
        with self._lock:
            for key, preparation in self._at_work.items():  # all of them, because each waits for the one before
                if not preparation.hurried and not self._closing.is_set():
                    preparation.hurried = True
                    self._start(key)

    def _start(self, key: tuple[str, Form]) -> None:
        thread = threading.Thread(target=self._work, args=(key, self._at_work[key]), name="judge", daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        # A thread inside torch while the interpreter shuts down would abort the whole process.
        atexit.unregister(self.close)
        atexit.register(self.close, math.inf)
        thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self, timeout_s: float = 2.0) -> None:
        """Ends all preparations, and waits for them at most this long; the process ends only after all of them."""
        self._closing.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if timeout_s == math.inf else max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            atexit.unregister(self.close)

    def _work(self, key: tuple[str, Form], found: Preparation) -> None:
        """Prepares a judge to the end, or until a thread that was started later takes over."""
        hurried = found.hurried
        if not hurried:
            _step_back()
        with found.turn:
            if found.ended or not self._drain(key, found, hurried):
                return
            found.ended = True
            with self._lock:
                del self._at_work[key]

    def _drain(self, key: tuple[str, Form], found: Preparation, hurried: bool) -> bool:
        """Works on a judge; False if another thread should continue."""
        assert found.work is not None
        try:
            while not self._closing.is_set():
                if found.hurried and not hurried:
                    return False
                progress = next(found.work)
                share = f", {100 * progress.done // progress.total}%" if progress.total else ""
                found.stage = progress.task + share
            found.stage = "Ended before it was ready"
            found.work.close()
        except StopIteration as stop:
            found.judge = stop.value
        except Exception as error:  # a run does not fail for lack of a judge: its status says why there is none
            log.warning("no judge for %s: %s", key[0], error, exc_info=not isinstance(error, ValueError | OSError))
            sentence = in_words(error) if isinstance(error, OSError) else str(error) if isinstance(error, ValueError) else ""
            found.refused = without_folders(sentence or f"{type(error).__name__}: {error}")
        return True

    def _ready(self, key: tuple[str, Form]) -> Generator[Progress, None, Judge]:
        judge = yield from self.cache.get(key[0], *key[1])
        judge.glance_floor(SAMPLES)
        return judge


def in_a_sentence(stage: str) -> str:
    """A stage of the preparation, to follow a colon."""
    return stage[:1].lower() + stage[1:]


def _step_back() -> None:
    """Gives the threads of runs priority: a run on two threads waits for both at every operation."""
    if sys.platform == "linux":  # on other systems the whole process would get a lower priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


class Watch:
    """Scores one run, in the thread that trains it.

    Attributes:
        kept: the steps whose generators were saved only because they were the best.
    """

    def __init__(self, preparation: Preparation, clock: Callable[[], float] = time.perf_counter) -> None:
        self.kept: list[int] = []
        self._preparation = preparation
        self._clock = clock
        self._failed = ""
        self._next_s: float | None = None  # of training
        self._judged_step = -1
        self._noise: tuple[torch.Tensor, torch.Tensor | None] | None = None

    @property
    def reason(self) -> str:
        """Why nothing is scored, in a sentence; empty if it is."""
        if self.refused:
            return f"The images get no scores: {self.refused.rstrip('.')}."
        stage = in_a_sentence(self._preparation.stage)
        return "" if self._preparation.judge else f"Getting ready to score the images{f': {stage}' if stage else ''}…"

    @property
    def preparing(self) -> str:
        """The current stage of the judge's preparation; empty if there is a judge, or there will be none."""
        return "" if self._preparation.judge or self.refused or self._preparation.ended else self._preparation.stage or "Starting"

    @property
    def refused(self) -> str:
        """Why nothing will be scored; empty if it will."""
        return self._failed or self._preparation.refused

    def due(self, state: TrainState, at_the_end: bool = False) -> bool:
        """Whether to score the images now. at_the_end: the run has ended, so nothing waits for the scoring."""
        if self._next_s is None:
            self._next_s = state.elapsed_s + LEAST_S
        if self._preparation.judge is None or self._failed or state.step == self._judged_step:
            return False
        return at_the_end or state.elapsed_s >= self._next_s

    def forget(self) -> None:
        """The last scoring could not be saved, so it may be repeated."""
        self._judged_step = -1

    @contextmanager
    def paying(self, state: TrainState) -> Iterator[None]:
        """Everything that scoring costs is spent in here."""
        began = self._clock()
        try:
            yield
        finally:
            cost = self._clock() - began
            self._next_s = state.elapsed_s + cost + max(LEAST_S, REST * cost)

    def look(self, state: TrainState, dataset: ImageDataset, halted: Callable[[], bool] = lambda: False) -> Judgement | None:
        """Scores the images that the networks would draw now: a line of judge.jsonl. The state does not change.

        The latent vectors are the same at every call, so two scorings differ only by what the networks have learned.

        Args:
            state: between two steps.
            dataset: the training set.
            halted: whether the run should stop now: then there is no scoring.

        Returns:
            None if it was halted, or the images cannot be scored: reason says why.
        """
        judge, began = self._preparation.judge, self._clock()
        assert judge is not None
        try:
            row = self._look(judge, state, dataset, halted)
        except Exception as error:  # the run itself is fine
            log.exception("the images of a run cannot be scored")
            self._failed = without_folders(f"{type(error).__name__}: {error}")
            return None
        if row is None:
            return None
        self._judged_step = state.step
        row = {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}
        return Judgement({"step": state.step, **row, "elapsed_s": round(self._clock() - began, 4), "features": judge.network.name})

    def _look(self, judge: Judge, state: TrainState, dataset: ImageDataset, halted: Callable[[], bool]) -> dict[str, Any] | None:
        if isinstance(state.averaged, Translator):
            return None if halted() else translation_scores(judge, state, dataset, SAMPLES)
        if self._noise is None:
            n, config = judge.judged(SAMPLES), state.config
            labels = torch.tensor(judge.labels(n, state.class_names)) if state.class_names else None
            self._noise = latent.from_seeds(range(n), config.latent_dim, config.latent_distribution), labels
        z, labels = self._noise
        images = []
        for start in range(0, len(z), 128):
            if halted():
                return None
            part = slice(start, start + 128)
            images.append(sample(state.averaged, z[part], labels[part] if labels is not None else None))
        answers = _answers(judge, state, dataset)
        return None if halted() else judge.glance(np.concatenate(images)) | answers


@torch.inference_mode()
def _answers(judge: Judge, state: TrainState, dataset: ImageDataset) -> dict[str, float | None]:
    """D's answers to training images, held-out images and fakes, as in training: batch by batch, normalized by the batch.

    A copy of D answers, so batch normalization's averages do not change. It uses no dropout, but the noise and augmentation of
    training, from its own random generator. The fakes come from the generator that learns, not from the EMA generator.
    """
    config, batch = state.config, state.config.batch_size
    generator = _copied(state.generator, state)
    discriminator = _copied(state.discriminator, state)
    rng = torch.Generator(state.device).manual_seed(0)
    n = min(max(batch, ASKED // batch * batch), len(dataset) // batch * batch)

    def ask(images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        parts = images.split(batch)
        label_parts = labels.to(state.device).split(batch) if labels is not None else (None,) * len(parts)
        layout = torch.channels_last if state.execution.channels_last else torch.contiguous_format
        with autocast(state):
            answers = [
                discriminator(as_shown(state, part.to(state.device), rng).contiguous(memory_format=layout), label)
                for part, label in zip(parts, label_parts, strict=True)
            ]
        return torch.cat(answers).float().cpu()

    def ask_reals(of: ImageDataset, rows: np.ndarray) -> torch.Tensor:
        labels = of.labels[torch.from_numpy(rows)] if of.labels is not None and state.class_names else None
        return ask(to_float(of.images[torch.from_numpy(rows)]), labels)

    on_train = ask_reals(dataset, _some(len(dataset), n))
    z = latent.from_seeds(range(n), config.latent_dim, config.latent_distribution).to(state.device)
    labels = torch.tensor(judge.labels(n, state.class_names), device=state.device) if state.class_names else None
    with autocast(state):
        fakes = [
            generator(part, part_labels)
            for part, part_labels in zip(z.split(batch), labels.split(batch) if labels is not None else (None,) * (n // batch), strict=True)
        ]
    on_fakes = ask(torch.cat(fakes).float(), labels)
    raw = np.concatenate([to_uint8(part) for part in fakes])
    answers: dict[str, float | None] = {
        "d_accuracy": float(torch.cat([on_train > 0, on_fakes < 0]).float().mean()),
        "d_train": float(on_train.mean()),
        "d_held_out": None,
        "d_fake": float(on_fakes.mean()),
        "sign_train": float(on_train.sign().mean()),
        "sign_held_out": None,
        "raw_diversity": metrics.diversity(judge.network.features(raw)),
    }
    held_out = judge.reals.held_out
    same_classes = not state.class_names or held_out.dataset.class_names == state.class_names
    # Only a set with test images holds images out of training; in other sets the networks have seen all images.
    if judge.reals.new and config.data_split == "train" and same_classes and len(held_out) >= batch:
        rows = held_out.rows[_some(len(held_out), min(n, len(held_out) // batch * batch))]
        on_held_out = ask_reals(held_out.dataset, rows)
        answers |= {"d_held_out": float(on_held_out.mean()), "sign_held_out": float(on_held_out.sign().mean())}
    return answers


def _some(n: int, wanted: int) -> np.ndarray:
    """`wanted` of n rows at random, the same at every call, in random order: many sets are sorted by class."""
    rows: np.ndarray = np.random.default_rng(0).permutation(n)[:wanted]
    return rows


def _copied(network: nn.Module, state: TrainState) -> Any:
    """A copy of a network, in training mode except for what depends on chance.

    A network that is built without memory and filled would load PyTorch's compiler, which takes two seconds, if it has spectral
    normalization or an embedding.
    """
    copied = copy.deepcopy(network, {id(state.rng): state.rng})  # of dropout, say: unused, so it need not be copied
    copied.train()
    for module in copied.modules():
        if isinstance(module, Chance):
            module.eval()
    return copied
