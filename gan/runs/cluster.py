"""Machines on which runs train, as the manager and the pages see them. gan/cluster has the only kind so far: Ray's."""

from dataclasses import dataclass
from typing import Protocol

from gan.runs.workplace import Workplace


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: the cluster's id of it.
        name: of the machine.
        address: its IP address.
        cpus, gpus: what it offers to the cluster.
        memory: bytes that it offers.
        fault: why no run can train there, as a sentence about "it"; empty if runs can.
    """

    id: str
    name: str
    address: str
    cpus: float
    gpus: float
    memory: float
    fault: str = ""


@dataclass(frozen=True)
class AtWork:
    """A worker.

    Attributes:
        run_id: the run that it trains.
        node: the id of its node.
        pid: its process there.
        device: what computes, in words.
        step: of its newest letter.
        memory: bytes that the process takes.
    """

    run_id: str
    node: str
    pid: int
    device: str
    step: int = 0
    memory: int = 0


class Cluster(Protocol):
    """Safe to use from any thread."""

    def room(self) -> int:
        """How many runs can train at once; changes when machines come and go."""

    def most_memory(self) -> float:
        """Bytes of memory that the machine with the most has for a run; infinite if unknown."""

    def is_here(self) -> bool:
        """Whether runs can train on the server's own machine."""

    def workplace(self, run_id: str) -> Workplace:
        """Where a run will train."""

    def nodes(self) -> list[Node]:
        """The machines that are there now."""

    def at_work(self) -> list[AtWork]:
        """The workers of this server's runs."""

    def delays(self) -> tuple[float, float] | None:
        """How long news of runs takes to the server, in seconds: median and 95th percentile. None if there is none.

        The difference between the machines' clocks is part of it.
        """

    def close(self) -> None:
        """Leaves the cluster and ends this process's workers there."""
