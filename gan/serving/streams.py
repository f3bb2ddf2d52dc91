"""Event streams: what happens in a run, as server-sent events, for any number of viewers.

All streams look at the same moments, twice a second, and the news of a run is computed once for all of them, because each look
interrupts the training threads for a moment.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from gan.doctor.checkup import Checkup, Checkups
from gan.judging.judgements import Judgement, best_of
from gan.judging.verdict import too_few
from gan.networks.generator_file import CheckpointError
from gan.runs.manager import RunManager
from gan.runs.run import History, Run, explain
from gan.runs.states import RunState

POLL_S = 0.5  # between two looks at a run
HEARTBEAT_S = 15.0  # a comment when there is no news, so that proxies keep the stream open
STATUS_EVERY_S = 1.0  # between two progress reports of a run; a change of state is sent at once
COUNTERS = ("step", "images_seen", "elapsed_s", "progress", "eta_s", "starts_in_s")
MOST_JUDGED = 1000  # the most scorings in one event

Reading = tuple[History, list[int], list[dict[str, Any]], list[Judgement], dict[str, Any]]  # a Look's history to status


@dataclass(frozen=True)
class Look:
    """A run at one moment.

    Attributes:
        at: number of the moment, which rises.
        run: the run.
        history: its metrics.
        samples: the steps of its grids.
        changes: its changed settings.
        judged: its scorings.
        status: its state, its place in the queue, and how far it is.
        gist: the status without what changes at every step.
        texts: events already computed, by where they begin.
    """

    at: int
    run: Run
    history: History
    samples: list[int]
    changes: list[dict[str, Any]]
    judged: list[Judgement]
    status: dict[str, Any]
    gist: dict[str, Any]
    texts: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)

    def metrics(self, since: int) -> tuple[str, int]:
        """The event with what was logged after a step, and its last step; an empty text if there is nothing new."""
        key = ("metrics", since)
        if key not in self.texts:
            columns = self.history.since(self.history.after(since))
            for name in ("augmentation", "distance"):
                if columns[name] and columns[name][-1] is None:  # as in most runs: nothing for a browser to read
                    del columns[name]
            last = columns["step"][-1] if columns["step"] else since
            self.texts[key] = (event("metrics", columns, last) if columns["step"] else "", last)
        return self.texts[key]

    def judgements(self, first: int) -> str:
        """The event with the scorings from number `first` on."""
        key = ("judged", first)
        if key not in self.texts:
            self.texts[key] = (event("judged", judged_columns(self.judged, first)), 0)
        return self.texts[key][0]


class Streams:
    """The event streams of one server. Use it only from the server's event loop."""

    def __init__(self, manager: RunManager, checkups: Checkups) -> None:
        self._manager, self._checkups = manager, checkups
        self._looks: dict[str, Look] = {}  # the newest look at each run
        self._readings: dict[str, asyncio.Task[Reading]] = {}  # runs that are being read from their folders
        self._examined: dict[str, asyncio.Task[Any]] = {}  # runs that the doctor is checking

    async def follow(self, run_id: str, since: int, request: Request) -> AsyncIterator[str]:
        """Server-sent events: new metrics and scorings as columns; the steps of all grids, all changed settings, the status and the
        version of the doctor's findings whenever they change.

        The run is looked up each time: a resumed run continues in the same stream.

        Args:
            run_id: of the run; if it is deleted, the stream ends with that state.
            since: metrics after this step are sent.
            request: the stream ends when it ends.
        """
        sent_status: dict[str, Any] = {}
        sent_gist: dict[str, Any] = {}
        sent_samples, sent_changes, sent_judged, sent_findings, sent_s, quiet_s = -1, -1, 0, -1, 0.0, 0.0
        while not self._manager.closing.is_set() and not await request.is_disconnected():
            news = []
            try:
                look = await self._look(run_id)
            except KeyError:
                yield event("status", {"state": "deleted"})
                return
            except (CheckpointError, OSError) as error:  # its files cannot be read: ends this stream only
                yield event("status", {"state": RunState.FAILED, "error": explain(error)})
                return
            text, since = look.metrics(since)
            if text:
                news.append(text)
            if len(look.samples) != sent_samples:
                sent_samples = len(look.samples)
                news.append(event("samples", {"steps": look.samples}))
            if len(look.changes) != sent_changes:
                sent_changes = len(look.changes)
                news.append(event("intervention", {"changes": look.changes}))
            if len(look.judged) != sent_judged:
                if len(look.judged) < sent_judged:  # the run was resumed from before
                    sent_judged = 0
                if look.judged:
                    news.append(look.judgements(sent_judged))
                sent_judged = len(look.judged)
            due = time.monotonic() - sent_s > STATUS_EVERY_S
            if look.gist != sent_gist or (due and look.status != sent_status):
                sent_gist, sent_status, sent_s = look.gist, look.status, time.monotonic()
                news.append(event("status", look.status))
            if (version := self._findings(look.run)) != sent_findings:
                sent_findings = version
                news.append(event("findings", {"version": version}))
            quiet_s = 0.0 if news else quiet_s + POLL_S
            if quiet_s >= HEARTBEAT_S:
                quiet_s = 0.0
                news.append(": still here\n\n")
            if news:
                yield "".join(news)
            await asyncio.sleep(POLL_S - time.monotonic() % POLL_S)

    async def _look(self, run_id: str) -> Look:
        """The run now, or as another stream saw it at this moment.

        Raises:
            KeyError: there is no such run.
        """
        at = int(time.monotonic() / POLL_S)
        run = self._manager.get(run_id)

        def known() -> Look | None:
            look = self._looks.get(run_id)
            return look if look is not None and look.at == at and look.run is run else None

        if look := known():
            return look
        # A run in a thread of this process is all in memory. Other runs are read from their folders, off the event loop.
        reading = self._reading_of(run) if run.in_memory else await self._read(run)
        if look := known():  # from another stream that waited for the same read
            return look
        gist = {name: value for name, value in reading[-1].items() if name not in COUNTERS}
        look = self._looks[run_id] = Look(at, run, *reading, gist)
        for other in [name for name, old in self._looks.items() if old.at < at - 1]:  # nobody is looking anymore
            del self._looks[other]
        return look

    async def _read(self, run: Run) -> Reading:
        reading = self._readings.get(run.id)
        if reading is None:
            reading = self._readings[run.id] = asyncio.create_task(run_in_threadpool(self._reading_of, run))
            reading.add_done_callback(lambda _: self._readings.pop(run.id, None))
        return await asyncio.shield(reading)  # one reader may leave while others wait for the same result

    def _reading_of(self, run: Run) -> Reading:
        return run.history, run.sample_steps, run.interventions, run.folder.read_judged(), status_of(self._manager, run)

    def _findings(self, run: Run) -> int:
        """The version of the doctor's findings. While the run trains, and after late scores, this starts the next check, off the event loop."""
        checkup = self._checkups.of(run)
        if (run.state is RunState.RUNNING or run.scored_late) and not checkup.fresh and run.id not in self._examined:
            self._examined[run.id] = asyncio.create_task(self._examine(run.id, checkup))
        return checkup.version

    async def _examine(self, run_id: str, checkup: Checkup) -> None:
        try:
            await run_in_threadpool(checkup.findings)
        except CheckpointError:
            pass  # its settings cannot be read: the page says so
        finally:
            del self._examined[run_id]


def status_of(manager: RunManager, run: Run) -> dict[str, Any]:
    """A run's state, its progress, and its place in the queue."""
    position, starts_in_s = manager.place(run)
    return {**run.status(), "position": position, "starts_in_s": starts_in_s}


def event(name: str, data: object, number: int | None = None) -> str:
    """One server-sent event. number: what a reconnecting reader will send."""
    return (f"id: {number}\n" if number is not None else "") + f"event: {name}\ndata: {json.dumps(data)}\n\n"


def judged_columns(rows: list[Judgement], first: int) -> dict[str, Any]:
    """Scorings from number `first` on as columns, thinned if there are many, and the best of all."""
    every = max(1, -(-(len(rows) - first) // MOST_JUDGED))
    shown, last = rows[first + (len(rows) - first - 1) % every :: every], rows[-1]
    best = best_of(rows)
    return {
        "first": first,
        "step": [row.step for row in shown],
        "fd": [row.fd for row in shown],
        "error": [row.fd_error for row in shown],
        "floor": last.fd_floor,
        "features": str(last.features),
        "too_few": too_few(last.fd_floor, last.diversity_real),
        "best": asdict(best) if best else None,
    }
