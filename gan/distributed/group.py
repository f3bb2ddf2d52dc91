"""The ranks of one run: how they find each other, add up numbers, and notice that one of them is gone. Started by torchrun.

https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import itertools
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F

from gan.config import TrainConfig
from gan.devices import choose_device, cores
from gan.distributed.control import SharedControl
from gan.draws import Part
from gan.networks.generator_file import first_line
from gan.training.loop import Control
from gan.training.ranks import RankLost
from gan.training.state import Diverged

log = logging.getLogger(__name__)

# How long a rank waits for another one. Long, because rank 0 may decode a data set or wait for room on a disk. A rank that has ended is
# noticed at once: its connections close.
PATIENCE = timedelta(days=1)
MEETING = timedelta(minutes=10)  # for all ranks to appear
ROLL_CALL_S = 2.0  # for the ranks that are left to say so, after one has ended
_FAULT = "fault"  # the key under which a rank that ends says why


class Group:
    """The ranks of a run, seen from one of them; see gan.training.ranks.Ranks.

    Attributes:
        rank: this one's number, from 0.
        count: how many there are.
        threads: processor threads of each rank on this machine.
        over: whether rank 0 has said that the run needs the other ranks no longer.
    """

    def __init__(self, rank: int, count: int, device: torch.device, store: dist.Store, threads: int) -> None:
        self.rank, self.count, self.device, self.threads, self.over = rank, count, device, threads, False
        self._store = store
        self._on_device: dist.ProcessGroup | None = None  # None: the default group, over gloo
        self._flat: dict[int, torch.Tensor] = {}  # by size: memory for the gradients of a network

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def join(self) -> None:
        """Connects to the other ranks.

        Raises:
            RankLost: they did not all come, or some of them have a GPU and some have none.
        """
        try:
            dist.init_process_group("gloo", store=self._store, rank=self.rank, world_size=self.count, timeout=PATIENCE)
        except RuntimeError as error:
            raise RankLost(f"not all of the {self.count} ranks could be reached: {first_line(error)}") from error
        gpu = self.device.type == "cuda"
        some_gpu, some_cpu = self.agreed([gpu, not gpu])
        if some_gpu and some_cpu:
            raise RankLost("some ranks have a GPU and some have none: choose one kind with --device")
        if gpu:
            torch.cuda.set_device(self.device)
            self._on_device = dist.new_group(backend="nccl")

    def divide(self, config: TrainConfig) -> None:
        """Gives each rank its part of every batch. See refuse_settings() in gan/training/ranks.py."""
        packs = config.batch_size // config.packing
        borders = [packs * rank // self.count for rank in range(self.count + 1)]
        self.part = Part(borders[self.rank], borders[self.rank + 1], packs, config.packing)
        parts = [(after - before) / packs for before, after in itertools.pairwise(borders)]
        self.shares = torch.tensor(parts, device=self.device)[:, None]  # (ranks, 1)

    # What ranks compute together

    def added(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in place."""
        with self._together():
            dist.all_reduce(numbers, group=self._on_device)
        return numbers

    def gathered(self, numbers: torch.Tensor) -> torch.Tensor:
        """(n,) of each rank -> (ranks, n)."""
        every = numbers.new_empty(self.count, len(numbers))
        with self._together():
            dist.all_gather(list(every.unbind()), numbers, group=self._on_device)
        return every

    def whole_mean(self, mean: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = _Sum.apply(mean * self.part.share, self)  # type: ignore[no-untyped-call]
        return result

    def whole_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """This rank's rows (packs, n) of a batch -> those of the whole batch. Differentiable, twice."""
        padded = F.pad(rows, (0, 0, self.part.begin, self.part.whole - self.part.end))
        result: torch.Tensor = _Sum.apply(padded, self)  # type: ignore[no-untyped-call]
        return result

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        learned = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
        views = [_in_memory_order(gradient, parameter) for parameter, gradient in learned]
        sizes = [view.numel() for view in views]
        flat = self._flat.setdefault(sum(sizes), torch.empty(sum(sizes), device=self.device))
        places = [place.view_as(view) for place, view in zip(flat.split(sizes), views, strict=True)]
        torch._foreach_copy_(places, views)
        self.added(flat)
        torch._foreach_copy_(views, places)

    # What ranks agree on, over gloo: a GPU need not wait for it

    def share_control(self, control: Control) -> Control:
        return SharedControl(control, self)

    def agreed(self, numbers: Sequence[float]) -> list[float]:
        """The largest of all ranks' numbers at each place."""
        vector = torch.tensor(numbers, dtype=torch.float64)
        with self._together():
            dist.all_reduce(vector, dist.ReduceOp.MAX)
        return vector.tolist()

    def from_leader(self, message: bytes | None) -> bytes:
        """What rank 0 says. message: None on the other ranks."""
        size = torch.tensor([len(message) if message is not None else 0])
        with self._together():
            dist.broadcast(size, 0)
            content = torch.frombuffer(bytearray(message), dtype=torch.uint8) if message else torch.empty(int(size), dtype=torch.uint8)
            if int(size):
                dist.broadcast(content, 0)
        return content.numpy().tobytes()

    # How it ends

    def report(self, sentence: str, diverged: bool, code: int) -> None:
        """Tells the other ranks why this one ends, and disconnects from them. The first report counts. code: its exit status."""
        fault = {"rank": self.rank, "sentence": sentence, "diverged": diverged, "code": code}
        try:
            self._store.compare_set(_FAULT, "", json.dumps(fault))
        except RuntimeError as error:  # the process that kept this is gone, too
            log.info("the other ranks could not be told: %s", first_line(error))
        self.leave()

    def leave(self) -> None:
        """Disconnects from the other ranks."""
        if dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Around what all ranks do at once.

        Raises:
            RankLost, Diverged: another rank has ended.
        """
        try:
            yield
        except RuntimeError as error:
            raise self._why(error) from error

    def _why(self, error: RuntimeError) -> Exception:
        """Why the others cannot be reached: what one of them said, or the ranks that say nothing."""
        try:
            left = self._roll_call()
            if self._store.check([_FAULT]):
                fault = json.loads(self._store.get(_FAULT))
                kind = Diverged if fault["diverged"] else RankLost
                return kind(fault["sentence"] if fault["rank"] == 0 else f"rank {fault['rank']}: {fault['sentence']}")
        except (RuntimeError, ValueError) as unknown:  # the process that kept the store is gone
            log.info("the other ranks cannot be asked: %s", first_line(unknown))
            return RankLost(f"another of the {self.count} ranks has ended, or its machine cannot be reached")
        gone = [rank for rank in range(self.count) if rank not in left]
        if not gone:
            return RankLost(f"the connection between the {self.count} ranks broke: {first_line(error)}")
        which = f"rank {gone[0]}" if len(gone) == 1 else f"ranks {', '.join(map(str, gone))}"
        return RankLost(f"{which} of {self.count} ended without a word: killed, or the machine cannot be reached")

    def _roll_call(self) -> set[int]:
        """The ranks that are still there. Ends early if one of them has said why it ended."""
        self._store.set(f"left {self.rank}", "")
        until = time.monotonic() + ROLL_CALL_S
        while True:
            left = {rank for rank in range(self.count) if self._store.check([f"left {rank}"])}
            if len(left) == self.count or self._store.check([_FAULT]) or time.monotonic() > until:
                return left
            time.sleep(0.05)

    def speaks(self) -> bool:
        """After a fault: whether this rank tells the user, because rank 0 and all ranks before it are gone."""
        if self.leads:
            return True
        try:
            if self._store.check([_FAULT]):
                return False
            return not any(self._store.check([f"left {rank}"]) for rank in range(self.rank))
        except RuntimeError:
            return True


def join(name: str) -> Group:
    """Joins the run's other ranks, as torchrun's environment variables describe them.

    name: auto, cpu or cuda. Each rank takes the GPU with its number on this machine.

    Raises:
        ValueError: the device cannot be used.
        RankLost: the other ranks cannot be reached.
    """
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    device = choose_device(name)
    if device.type == "cuda":
        device = choose_device(f"cuda:{local}")
    try:
        store, rank, count = next(dist.rendezvous("env://", timeout=MEETING))
    except RuntimeError as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise RankLost(f"the other ranks could not be met at {where}: {first_line(error)}") from error
    group = Group(rank, count, device, store, max(1, cores() // here))
    group.join()
    return group


class _Sum(torch.autograd.Function):
    """The sum over all ranks. So is its gradient, since every rank's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, numbers: torch.Tensor, group: Group) -> torch.Tensor:
        ctx.group = group
        return group.added(numbers.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return _Sum.apply(gradient, ctx.group), None  # type: ignore[no-untyped-call]


def _in_memory_order(gradient: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A view of a gradient with its axes in the order in which its parameter lies in memory, where both usually are without gaps."""
    strides = parameter.stride()
    return gradient.permute(sorted(range(parameter.dim()), key=lambda axis: (-strides[axis], axis)))
