"""What viewers cost training, and what they get: event streams and page sessions on a real server while one run trains.

    python -m benchmarks.load [--viewers 40] [--sessions 10] [--seconds 60] [--rounds 3]
    python -m benchmarks.load --lesson plane [--sessions 40] [--seconds 60] [--rounds 3]

Three kinds of periods: nobody watching; `--viewers` event streams; the same and `--sessions` visitors. A visitor does what a
browser does on the Train page: it loads the page, opens Streamlit's websocket and runs the page's script, follows the event
stream, fetches each new grid, presses something about every ten seconds, which runs the script again, and runs the page's
fragments as often as they ask for it. Each round has one period of each kind, every other round in reverse order, so a machine
that slows down steadily favors none. Other work on the same cores slows training many times over, so stop it first. Arrivals are
not measured: a period starts a few seconds after its viewers have arrived.

Speed is the run's images_seen / elapsed_s, from metrics.jsonl. The delay of an event is the time from when a row of metrics
existed in the run's thread to its arrival here. The former is the row's elapsed_s plus the run's start, which the server's process
reports on the machine's common clock, to about a millisecond. Rows from before a stream was opened do not count. All clients run in
this process. Its processor time, which the server does not get, is printed, and its own delays count, too. An error is a refused
request, a stream or websocket that ended, a row missing from a stream, a silent stream, a page that shows an exception, or a trace
in the server's log; with any error, the exit status is 1.

With --lesson there is no run: `--sessions` visitors have opened a lesson of the page Learn, whose figure computes in their browsers. Each
runs the page's script again every 140 s, as when the figure reports a goal (three in seven minutes). The result is the server's processor
time with these visitors, minus that with nobody.
"""

import argparse
import asyncio
import gzip
import itertools
import json
import math
import random
import re
import resource
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.serving import ROOT, STARTS_WITHIN_S, Workshop
from gan.course.lessons import LESSONS
from ui.learn.material import NAMES

MODULES = ROOT / "ui" / "components" / "learn"
ARRIVE_S = 4.0  # from the first arrival to the measured part of a period
PRESS_EVERY_S = 10.0  # of one visitor
PATIENCE_S = 30.0  # for an answer, and for a page's script
SILENT_S = 5.0  # a stream without a row for this long counts as silent
REPORT_EVERY_S = 140.0  # between two reports of one visitor: a lesson of seven minutes has three goals
LESSON_TARGET = 0.01  # of a core, for all visitors together
MOST = {"viewers": 500, "sessions": 100, "seconds": 3600, "rounds": 50}
KINDS = ("nobody", "viewers", "viewers and sessions")
TARGETS = {"viewers": 0.97, "viewers and sessions": 0.90}  # of the speed with nobody watching
DELAY_TARGET_S = 1.0
GROWTH_TARGET = 0.05


class Refused(RuntimeError):
    """The server's answer is not what a browser should get."""


@dataclass
class Tally:
    """The results of a period's clients."""

    delays: list[float] = field(default_factory=list)  # seconds
    scripts: list[float] = field(default_factory=list)  # seconds from a press to the end of the page's script
    fragments: list[float] = field(default_factory=list)  # of parts of it that ask to be run again and again
    images: int = 0
    newest: dict[str, float] = field(default_factory=dict)  # by stream: elapsed_s of its newest row
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class Period:
    """One measured stretch; times are time.perf_counter()'s."""

    kind: str
    start: float
    end: float
    cpu_s: float  # that the clients took
    resident: tuple[int | None, int | None]  # the server's, at start and end
    tally: Tally
    speed: float = 0.0  # images/s


class Crowd:
    """The clients: everything that sends requests to the server."""

    def __init__(self, workshop: Workshop, log_every: int) -> None:
        self.port, self.run, self.began, self.log_every = workshop.port, workshop.run_id, workshop.began, log_every
        self.tally = Tally()

    async def request(self, path: str, accept: str = "*/*") -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, str]]:
        """Sends a GET on its own connection -> the stream of the body, and the headers.

        Raises:
            Refused: the status is not 200.
            OSError, asyncio.IncompleteReadError: there is no connection, or it broke.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {accept}\r\nAccept-Encoding: gzip\r\n\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(PATIENCE_S):
                status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            if status.split()[1] != "200":
                raise Refused(f"status {status.split()[1]} for {re.sub('[0-9]+', '0', path.partition('?')[0])}")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        except BaseException:
            writer.close()
            raise
        return reader, writer, headers

    async def fetch(self, path: str) -> bytes:
        """The body of a complete answer."""
        reader, writer, headers = await self.request(path)
        try:
            async with asyncio.timeout(PATIENCE_S):
                if "content-length" in headers:
                    body = await reader.readexactly(int(headers["content-length"]))
                else:
                    body = b"".join([chunk async for chunk in chunks(reader)])
        finally:
            writer.close()
        return gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body

    async def follow(self, name: str, on_samples: Callable[[list[int]], None] | None = None) -> None:
        """Reads the run's event stream until it is canceled, or ends, which is an error."""
        reader, writer, _ = await self.request(f"/api/runs/{self.run}/events?since=0", "text/event-stream")
        opened, before, rest = time.perf_counter(), None, b""
        try:
            async for chunk in chunks(reader):
                *events, rest = (rest + chunk).split(b"\n\n")
                for event in events:
                    if b"event: metrics\n" in event:
                        columns = json.loads(event[event.index(b"data: ") + 6 :])
                        before = self._take(name, columns, opened, before)
                    elif on_samples and b"event: samples\n" in event:
                        on_samples(json.loads(event[event.index(b"data: ") + 6 :])["steps"])
        finally:
            writer.close()
        raise Refused("an event stream ended")

    def _take(self, name: str, columns: dict[str, list[Any]], opened: float, before: int | None) -> int:
        """Records the rows of one event; returns the last row's step. before: the step of the previous row."""
        now = time.perf_counter()
        for step, elapsed_s in zip(columns["step"], columns["elapsed_s"], strict=True):
            born = self.began + elapsed_s
            if born > opened:
                self.tally.delays.append(now - born)
                if before is not None and step != before + self.log_every:
                    self.tally.errors["a row that a stream left out or sent twice"] += 1
            before = step
        self.tally.newest[name] = columns["elapsed_s"][-1]
        return int(columns["step"][-1])

    async def visit(self, name: str, rng: random.Random) -> None:
        """A browser on the Train page, until it is canceled."""
        address = f"/train?run={self.run}"
        html = (await self.fetch(address)).decode()
        for asset in re.findall(r'(?:src|href)="\.?/?(static/[^"]+)"', html):
            await self.fetch(f"/{asset}")
        uri, origin = f"ws://127.0.0.1:{self.port}/_stcore/stream", f"http://127.0.0.1:{self.port}"
        async with connect(uri, origin=origin, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[arg-type, list-item]
            page = Page(socket, "train", f"run={self.run}", self)
            await page.script()
            await self.fetch("/assets/plotly/plotly.min.js")
            wanted: asyncio.Queue[int] = asyncio.Queue()
            shown = -1

            def on_samples(steps: list[int]) -> None:
                nonlocal shown
                if steps and steps[-1] != shown:
                    shown = steps[-1]
                    wanted.put_nowait(shown)

            async def show() -> None:
                while True:
                    await self.fetch(f"/api/runs/{self.run}/samples/{await wanted.get()}.png")
                    self.tally.images += 1

            async def stay() -> None:
                press = time.perf_counter() + rng.uniform(0, PRESS_EVERY_S)
                while True:
                    due, fragment = min([(press, ""), *((page.due[asks], asks) for asks in page.due)])
                    await asyncio.sleep(due - time.perf_counter())
                    await page.script(fragment)
                    if not fragment:
                        press = time.perf_counter() + PRESS_EVERY_S * rng.uniform(0.8, 1.2)

            async with asyncio.TaskGroup() as group:
                group.create_task(self.follow(name, on_samples))
                group.create_task(show())
                group.create_task(stay())

    async def learn(self, lesson: str, rng: random.Random) -> None:
        """A browser in a lesson of the page Learn, until it is canceled."""
        await asyncio.sleep(rng.uniform(0, ARRIVE_S / 2))
        html = (await self.fetch(f"/learn?lesson={lesson}")).decode()
        for asset in re.findall(r'(?:src|href)="\.?/?(static/[^"]+)"', html):
            await self.fetch(f"/{asset}")
        uri, origin = f"ws://127.0.0.1:{self.port}/_stcore/stream", f"http://127.0.0.1:{self.port}"
        async with connect(uri, origin=origin, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[arg-type, list-item]
            page = Page(socket, "learn", f"lesson={lesson}", self)
            await page.script()
            for module in MODULES.glob("*.js"):
                await self.fetch(f"/assets/learn/{module.name}")
            for name in NAMES:
                if name.startswith(lesson):
                    await self.fetch(f"/assets/course/{name}")
            await asyncio.sleep(rng.uniform(0, REPORT_EVERY_S))
            while True:
                await page.script()
                await asyncio.sleep(REPORT_EVERY_S)

    async def there(self, name: str, rng: random.Random) -> None:
        """One client, from its arrival within half of ARRIVE_S until it is canceled; errors are counted."""
        kind = name.split()[0]
        self.tally.newest[name] = -math.inf
        await asyncio.sleep(rng.uniform(0, ARRIVE_S / 2))
        try:
            await (self.follow(name) if kind == "viewer" else self.visit(name, rng))
        except* (Refused, OSError, asyncio.IncompleteReadError, TimeoutError, WebSocketException) as group:
            self.tally.newest[name] = math.inf  # so its silence is not a second error
            for error in leaves(group):
                self.tally.errors[f"{kind}: {error}" if isinstance(error, Refused) else f"{kind}: {type(error).__name__}: {error}"] += 1


class Page:
    """A page's script, run as by a browser's websocket.

    Attributes:
        due: perf_counter() at which each fragment must run again, by its id.
    """

    def __init__(self, socket: ClientConnection, name: str, query: str, crowd: "Crowd") -> None:
        """name: the page's url_path. query: of its address."""
        self.due: dict[str, float] = {}
        self._socket, self._name, self._query, self._crowd = socket, name, query, crowd
        self._cached: set[str] = set()  # messages that need not be sent again
        self._every: dict[str, float] = {}

    async def script(self, fragment: str = "") -> None:
        """Runs the page's script, as any widget does, or one fragment of it, as a timer does.

        Raises:
            Refused: the page shows an error.
        """
        start = time.perf_counter()
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.page_name = self._name
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        message.rerun_script.cached_message_hashes.extend(self._cached)
        if not fragment:
            self.due, self._every = {}, {}
        await self._socket.send(message.SerializeToString())
        kept = set()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                received = await self._socket.recv(decode=False)
                told = ForwardMsg.FromString(bytes(received))
                kind = told.WhichOneof("type")
                if told.metadata.cacheable or kind == "ref_hash":
                    kept.add(told.ref_hash if kind == "ref_hash" else told.hash)
                if kind == "page_not_found":
                    raise Refused("the page was not found")
                if kind == "delta" and told.delta.new_element.WhichOneof("type") == "exception":
                    raise Refused(f"the page shows an exception: {told.delta.new_element.exception.message[:200]}")
                if kind == "delta" and "ran into a problem" in told.delta.new_element.alert.body:  # ui/navigation.py
                    raise Refused(f"the page shows an error: {told.delta.new_element.alert.body[:200]}")
                if kind == "auto_rerun":
                    self._every[told.auto_rerun.fragment_id] = told.auto_rerun.interval
                    self.due.setdefault(told.auto_rerun.fragment_id, start + told.auto_rerun.interval)
                if kind == "script_finished":
                    if told.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                        raise Refused("the page's script does not compile")
                    if told.script_finished in (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
                        break
        now = time.perf_counter()
        if fragment:
            self.due[fragment] = max(now, start + self._every[fragment])
            self._crowd.tally.fragments.append(now - start)
        else:
            self._cached = kept
            self._crowd.tally.scripts.append(now - start)


def leaves(group: BaseExceptionGroup) -> list[BaseException]:
    return [leaf for error in group.exceptions for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])]


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The pieces of a chunked body, until its end."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]


async def period(workshop: Workshop, crowd: Crowd, kind: str, viewers: int, sessions: int, seconds: float, rng: random.Random) -> Period:
    """Lets the clients of one kind of period arrive, watches them for some seconds, and sends them away."""
    crowd.tally = tally = Tally()
    names = [f"viewer {i}" for i in range(viewers if kind != "nobody" else 0)]
    names += [f"visitor {i}" for i in range(sessions if kind == "viewers and sessions" else 0)]
    tasks = [asyncio.create_task(crowd.there(name, rng)) for name in names]
    await asyncio.sleep(ARRIVE_S)
    tally.delays.clear()
    tally.scripts.clear()
    tally.fragments.clear()
    tally.images = 0
    start, cpu_s, resident = time.perf_counter(), time.process_time(), workshop.resident()
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    measured = Period(kind, start, end, time.process_time() - cpu_s, (resident, workshop.resident()), tally)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return measured


def read_rows(workshop: Workshop) -> tuple[np.ndarray, np.ndarray]:
    """The run's elapsed_s and images_seen at each row of metrics."""
    file = workshop.run_folder / "metrics.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return np.array([row["elapsed_s"] for row in rows]), np.array([row["images_seen"] for row in rows], float)


async def judge(done: Period, workshop: Workshop, crowd: Crowd) -> None:
    """Waits for the first row after a period's end; then records its speed, and the silent streams."""
    start, end = done.start - workshop.began, done.end - workshop.began
    deadline = time.perf_counter() + PATIENCE_S
    while (rows := read_rows(workshop))[0][-1] < end and time.perf_counter() < deadline:
        await asyncio.sleep(0.5)
    elapsed_s, images = rows
    if elapsed_s[-1] < end:
        status = json.loads(await crowd.fetch(f"/api/runs/{workshop.run_id}"))["status"]
        done.tally.errors[f"the run no longer logs anything; it is {status['state']} at step {status['step']} ({status['error']})"] += 1
    done.speed = float(np.diff(np.interp([start, end], elapsed_s, images))[0]) / (end - start)
    due = elapsed_s[elapsed_s < end - SILENT_S].max(initial=-math.inf)
    if silent := sum(newest < due for newest in done.tally.newest.values()):
        done.tally.errors[f"a stream that was more than {SILENT_S:g} s behind"] += silent


async def measure(workshop: Workshop, viewers: int, sessions: int, seconds: float, rounds: int, log_every: int) -> list[Period]:
    """All rounds; prints one line per period."""
    crowd, rng, periods = Crowd(workshop, log_every), random.Random(0), []
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not len(read_rows(workshop)[0]):
            await asyncio.sleep(0.5)
    print(f"warming up; {viewers} viewers, {sessions} sessions, periods of {seconds:g} s", flush=True)
    # Once before anything is measured: what is loaded only for the first visitor does not count as growth.
    warm_up = await period(workshop, crowd, KINDS[-1], viewers, sessions, min(seconds, 10.0), rng)
    for number in range(rounds):
        for kind in KINDS if number % 2 == 0 else reversed(KINDS):
            done = await period(workshop, crowd, kind, viewers, sessions, seconds, rng)
            await judge(done, workshop, crowd)
            periods.append(done)
            print(f"round {number + 1}, {line(done)}", flush=True)
    periods[0].tally.errors.update(warm_up.tally.errors)
    return periods


async def measure_lesson(workshop: Workshop, lesson: str, sessions: int, seconds: float, rounds: int) -> bool:
    """Prints the server's processor time with nobody and with visitors in a lesson, by round; returns whether nothing failed."""
    rng, added = random.Random(0), []
    for number in range(rounds + 1):
        crowd, shares = Crowd(workshop, 0), []
        for count in (0, sessions):
            tasks = [asyncio.create_task(crowd.learn(lesson, rng)) for _ in range(count)]
            # By then everyone has arrived, which takes forty scripts one after the other.
            await asyncio.sleep(ARRIVE_S + 0.5 * count)
            start, cpu_s = time.perf_counter(), workshop.cpu_s()
            await asyncio.sleep(seconds)
            shares.append((workshop.cpu_s() - cpu_s) / (time.perf_counter() - start))
            failed = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            if failed:
                print(f"{len(failed)} of {count} visitors failed: {next(o for o in outcomes if isinstance(o, Exception))}")
                return False
        if number:  # the first round is a warm-up: what is loaded only once does not count
            added.append(shares[1] - shares[0])
            scripts = len(crowd.tally.scripts) - sessions
            print(f"round {number}: nobody {shares[0]:.2%} of a core, {sessions} visitors {shares[1]:.2%}, {scripts} reports", flush=True)
    print(f"{sessions} visitors in the lesson {lesson}: {statistics.median(added):+.2%} of a core (aim: below {LESSON_TARGET:.0%})")
    return True


def line(done: Period) -> str:
    """A period in one line."""
    said = f"{done.kind}: {done.speed:,.0f} images/s"
    if done.tally.delays:
        said += f", events {quantiles(done.tally.delays)} after the row ({len(done.tally.delays):,})"
    if done.tally.scripts:
        said += f", page scripts {quantiles(done.tally.scripts)} ({len(done.tally.scripts)}), {done.tally.images} grids"
    if done.tally.fragments:
        said += f", fragments {quantiles(done.tally.fragments)} ({len(done.tally.fragments)})"
    said += f", clients {done.cpu_s / (done.end - done.start):.0%} of a core"
    before, after = done.resident
    if before and after:
        said += f", server {after / 2**20:,.0f} MiB ({after / before - 1:+.1%})"
    return said + (f", errors: {dict(done.tally.errors)}" if done.tally.errors else "")


def quantiles(values: list[float]) -> str:
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return f"p50 {p50:.2f} s, p95 {p95:.2f} s"


def table(periods: list[Period]) -> str:
    """The summary, next to the targets."""
    rows = [("", "images/s", "of nobody's, by round", "aim", "event delay", "aim")]
    by_kind = {kind: [p for p in periods if p.kind == kind] for kind in KINDS}
    for kind, its in by_kind.items():
        ratios = [p.speed / alone.speed for p, alone in zip(its, by_kind["nobody"], strict=True)]
        delays = list(itertools.chain.from_iterable(p.tally.delays for p in its))
        watched = kind != "nobody"
        rows.append(
            (
                kind,
                f"{statistics.median(p.speed for p in its):,.0f}",
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})" if watched else "",
                f">= {TARGETS[kind]:.2f}" if watched else "",
                quantiles(delays) if delays else "",
                f"p95 < {DELAY_TARGET_S:g} s" if watched else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first, last = periods[0].resident[0], periods[-1].resident[1]
    if first and last:
        grown = [(p.resident[1] or 0) / p.resident[0] - 1 for p in periods if p.resident[0]]
        lines.append(
            f"the server's memory: {first / 2**20:,.0f} MiB at the start, {last / 2**20:,.0f} MiB at the end ({last / first - 1:+.1%}); "
            f"most in a period {max(grown):+.1%} (aim: at most {GROWTH_TARGET:.0%} in five minutes)"
        )
    errors: Counter[str] = sum((p.tally.errors for p in periods), Counter())
    lines += [f"{count} errors: {what}" for what, count in errors.items()] or ["no errors"]
    return "\n".join(lines)


def bounded(name: str, kind: type, low: float) -> Callable[[str], Any]:
    """An argument's type, within bounds."""

    def read(text: str) -> Any:
        value = kind(text)
        if not low <= value <= MOST[name]:
            raise argparse.ArgumentTypeError(f"must be between {low:g} and {MOST[name]}; got {text}")
        return value

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=bounded("viewers", int, 1), default=40)
    parser.add_argument("--sessions", type=bounded("sessions", int, 0), help="10; with --lesson 40")
    parser.add_argument("--lesson", choices=list(LESSONS), help="visitors in a lesson, without a run")
    parser.add_argument("--seconds", type=bounded("seconds", float, 1), default=60)
    parser.add_argument("--rounds", type=bounded("rounds", int, 1), default=3)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    if options.lesson:
        with Workshop(0) as workshop:
            sessions = 40 if options.sessions is None else options.sessions
            good = asyncio.run(measure_lesson(workshop, options.lesson, sessions, options.seconds, options.rounds))
            if "Traceback" in (log := workshop.end()):
                print(log[-4000:])
                good = False
        raise SystemExit(not good)
    if options.sessions is None:
        options.sessions = 10
    whole = (options.rounds * len(KINDS) + 1) * (options.seconds + ARRIVE_S + 10) + 120
    with Workshop(whole) as workshop:
        config = json.loads((Path(workshop.run_folder) / "config.json").read_text(encoding="utf-8"))["config"]
        work = measure(workshop, options.viewers, options.sessions, options.seconds, options.rounds, config["log_every"])
        periods = asyncio.run(work)
        if "Traceback" in (log := workshop.end()):
            print(log[-4000:])
            periods[-1].tally.errors["a trace in the server's log"] += 1
    print(table(periods))
    raise SystemExit(any(p.tally.errors for p in periods))


if __name__ == "__main__":
    main()
