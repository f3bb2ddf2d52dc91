"""What a hostile client can do to the server: addresses, half-open requests, many pages, abandoned pictures, forged
messages, and uploads that no page asked for.

    python -m benchmarks.attack [--descriptors 256] [--only half-open pages pictures addresses scripts messages uploads]

Starts its own server on 127.0.0.1 with an active run, attacks it in a limited number of ways, and prints a table: for each
attack the number of requests, the number of falls, how far the run trained meanwhile, and the most files that the server
had open. A fall is a status of 500 or more that is not a 503 with Retry-After, an answer that did not come, a page that shows an
exception or Streamlit's own error, or a trace in the server's log (but for forged messages, whose traces are Streamlit's). The run must
train through all of it, or pause and continue
by itself. With any fall, the exit status is 1.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import resource
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.serving import Workshop
from gan.explore.models import list_models
from ui.held import MOST_A_SESSION
from ui.held import UPLOADS as UPLOADS_PATH

PATIENCE_S = 30.0
AT_ONCE = 8
LASTS_S = 900.0  # of the run: longer than all attacks
HALF_OPEN, PAGE_LOADS, ABANDONED, MESSAGES = 1_100, 200, 1_500, 200
HELD_S = 3.0  # for which half-open requests and pages stay
UPLOADS, UPLOAD = 7, 150 * 2**20  # how many, and the bytes of each
PICTURE_WITHIN_S = 0.3  # limit for the next visitor's picture, after the abandoned ones
MOST_LOG = 200_000  # bytes that an attack may make the server write
RESTS_WITHIN_S = 20.0  # a run that found no descriptor tries again within this time

NONSENSE = [
    *(
        "",
        "0",
        "-1",
        "1e999",
        "nan",
        "-inf",
        "99999999999999999999999",
        "1.5",
        "0x10",
        "٣",
        "²",
        "NULL",
        "true",
        "[]",
        "{}",
        "..",
        "../../etc/passwd",
    ),
    *(
        "..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "C:\\boot.ini",
        "a\x00b",
        "\ud7ff",
        "\u202egnp",
        "🙂" * 20,
        "é" * 100,
        "<script>alert(1)</script>",
    ),
    *(
        "' OR 1=1 --",
        "${7*7}",
        "{{7*7}}",
        "%s%n%x",
        "a" * 3_000,
        ",".join(["1"] * 800),
        ";;;",
        "1-",
        "0-999999999",
        "1,,2",
        ",",
        " ",
        "\r\nX: y",
    ),
]
PAGES = ["", "data", "train", "compare", "inside", "explore", "evaluate", "nowhere"]
# Every parameter that any page reads: a page must survive the parameters of the others, too.
PARAMETERS = [
    *("run", "runs", "at", "set", "from", "view", "class", "place", "seed", "seeds", "noise", "cells", "along", "image", "look", "layer"),
    *("everything", "a", "b", "c", "times", "jitter", "closed", "frames", "fps", "pace", "count", "psi", "held_out", "step", "corners"),
    *("directions", "sefa", "pca", "random", "sefa_names", "mode", "easing", "rows", "memory_seeds", "training", "smoothing", "every"),
    *("samples", "any_class", "visitor", "embed", "embed_options"),
]


@dataclass
class Attack:
    """One kind of attack, and its results."""

    name: str
    requests: int = 0
    falls: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    most_open: int = 0
    steps: int = 0


async def ask(port: int, target: str, method: str = "GET", headers: str = "") -> tuple[int, str, bytes]:
    """Sends one request on its own connection -> status, head, body (at most 1 MB).

    Raises:
        OSError, TimeoutError, asyncio.IncompleteReadError: no complete answer came.
    """
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            body = await reader.read(1_000_000) if "text/event-stream" not in head else b""
            return int(head.split()[1]), head, body
        finally:
            writer.close()


def targets(run_id: str, model_id: str) -> list[str]:
    """Hostile addresses in the form in which they are sent."""
    ids = [*NONSENSE, run_id, model_id]
    found = [f"{path}{quote(text, safe=safe)}{rest}" for path, rest in ROUTES for text in ids for safe in ("", "/.%")]
    known = [f"/api/runs/{quote(run_id)}/events", f"/api/models/{quote(model_id)}/image.png"]
    names = ["since", "seeds", "u", "v", "z", "scale", "class", "visitor", "x" * 500]
    found += [f"{path}?{urlencode({name: text})}" for path in known for name in names for text in NONSENSE]
    found += [f"/api/runs/{quote(run_id)}/samples/{quote(text, safe='')}.png" for text in NONSENSE]
    found += [f"/{page}?{urlencode({name: text})}" for page in PAGES for name in PARAMETERS[::3] for text in NONSENSE[::4]]
    return [target for target in dict.fromkeys(found) if target.isascii() and not set(target) & set(" \r\n\0")]


ROUTES = [
    *(("/api/runs/", ""), ("/api/runs/", "/events?since=0"), ("/api/runs/", "/samples/1.png"), ("/api/models/", "/image.png")),
    *(("/api/models/", ""), ("/api/", ""), ("/assets/", ""), ("/assets/plotly/", ""), ("/static/", ""), ("/", ""), ("/media/", "")),
    *(("/_stcore/", ""), ("/component/", "/index.html"), ("//", ""), ("/app/", "")),
]


async def addresses(port: int, run_id: str, model_id: str, attack: Attack) -> None:
    """All hostile addresses with GET, and some with other methods and headers."""
    odd = [
        ("POST", "/api/runs", ""),
        ("DELETE", f"/api/runs/{run_id}", ""),
        ("PUT", "/api/nothing", ""),
        ("OPTIONS", "/", ""),
        ("HEAD", "/api/runs", ""),
    ]
    odd += [("GET", f"/api/runs/{run_id}", f"X-Workshop-Visitor: {quote(text)}\r\n") for text in NONSENSE]
    odd += [("GET", f"/api/runs/{run_id}/events", f"Last-Event-ID: {quote(text)}\r\n") for text in NONSENSE]
    wanted = [("GET", target, "") for target in targets(run_id, model_id)] + odd

    async def one(method: str, target: str, headers: str) -> None:
        status, head, body = await ask(port, target, method, headers)
        if status >= 500 and not (status == 503 and "retry-after" in head.lower()):
            attack.falls[f"status {status} for {method} {target[:60]}"] += 1
        if target.startswith("/api/") and status in (404, 405) and method != "HEAD":
            json.loads(body)["error"]  # 400 for ".." in a path is Streamlit's own, in plain text

    await each(attack, [lambda t=target: one(*t) for target in wanted])  # type: ignore[misc]


async def half_open(port: int, attack: Attack) -> None:
    """Connections that start a request and never finish it; meanwhile someone else must get an answer."""
    sockets = []
    for number in range(HALF_OPEN):
        half = socket.socket()
        half.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            half.connect(("127.0.0.1", port))
        sockets.append(half)
        if number % 20 == 19:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.5)
    for half in sockets:
        with contextlib.suppress(OSError):  # closed by the server already
            half.send(b"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    attack.requests += len(sockets)
    await asyncio.sleep(HELD_S)
    start = time.perf_counter()
    await each(attack, [lambda: answered(port, attack, "/api/runs")])
    attack.notes.append(f"someone else's answer meanwhile: {1000 * (time.perf_counter() - start):.0f} ms")
    for half in sockets:
        half.close()


async def answered(port: int, attack: Attack, target: str) -> None:
    status, _, _ = await ask(port, target)
    if status != 200:
        attack.falls[f"status {status} for {target[:60]}"] += 1


class Session:
    """A page's session over its websocket."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self.id = ""  # known once a script ran

    async def script(self, page: str, query: str, message: BackMsg | None = None) -> str:
        """Runs the page's script; returns what is wrong with the result, or nothing."""
        message = message or BackMsg()
        message.rerun_script.query_string, message.rerun_script.page_name = query, page
        await self._websocket.send(message.SerializeToString())
        wrong = ""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = ForwardMsg.FromString(bytes(await self._websocket.recv(decode=False)))
                kind = told.WhichOneof("type")
                if kind == "new_session":
                    self.id = told.new_session.initialize.session_id
                if kind == "delta" and told.delta.new_element.WhichOneof("type") == "exception":
                    wrong = f"an exception: {told.delta.new_element.exception.message[:200]}"
                if kind == "delta" and "ran into a problem" in told.delta.new_element.alert.body:
                    wrong = f"an error: {told.delta.new_element.alert.body[:200]}"
                if kind == "script_finished" and told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return wrong


@contextlib.asynccontextmanager
async def session(port: int) -> AsyncIterator[Session]:
    uri, origin = f"ws://127.0.0.1:{port}/_stcore/stream", f"http://127.0.0.1:{port}"
    async with connect(uri, origin=origin, subprotocols=["streamlit"], max_size=None) as websocket:  # type: ignore[arg-type, list-item]
        yield Session(websocket)


async def pages(port: int, run_id: str, attack: Attack) -> None:
    """Many visitors at once. Turning some of them away is fine; the others must work."""
    loaded = 0

    async def one(number: int) -> None:
        nonlocal loaded
        await asyncio.sleep(0.02 * number)
        try:
            await ask(port, "/train")
            async with session(port) as page:
                wrong = await page.script("train", f"run={run_id}")
                await asyncio.sleep(HELD_S)
        except (OSError, asyncio.IncompleteReadError, WebSocketException):
            return
        loaded += not wrong
        if wrong:
            attack.falls[wrong] += 1

    attack.requests += PAGE_LOADS
    await asyncio.gather(*(one(number) for number in range(PAGE_LOADS)), return_exceptions=False)
    attack.notes.append(f"{loaded} of {PAGE_LOADS} pages at once were shown; the others were turned away")
    if not loaded:
        attack.falls["no page at all was shown"] += 1


async def pictures(port: int, model_id: str, attack: Attack) -> None:
    """Requests for pictures whose clients leave at once; then a visitor who stays."""
    target = f"/api/models/{quote(model_id)}/image.png"
    await answered(port, attack, f"{target}?seeds=1")  # the generator is loaded

    async def one(number: int) -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {target}?seeds={number}&scale=8 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            await asyncio.sleep(0)
            writer.close()

    attack.requests += ABANDONED
    for first in range(0, ABANDONED, 100):
        await asyncio.gather(*(one(number) for number in range(first, first + 100)))
    start, tries = time.perf_counter(), 1
    while (await ask(port, f"{target}?seeds=7"))[0] == 503:
        tries += 1
        await asyncio.sleep(0.05)
    took = time.perf_counter() - start
    attack.notes.append(f"the next visitor's picture: {1000 * took:.0f} ms, {tries} tries")
    if took > PICTURE_WITHIN_S:
        attack.falls["the next visitor's picture came too late"] += 1


async def scripts(port: int, run_id: str, model_id: str, attack: Attack) -> None:
    """Each page's script with nonsense in each parameter, each in its own session."""
    queries = [
        (page, {name: text}) for page in PAGES[:-1] for name in PARAMETERS for text in random.Random(page + name).sample(NONSENSE, 3)
    ]
    queries += [
        ("explore", {"view": view, name: text})
        for view in VIEWS
        for name in PARAMETERS
        for text in random.Random(view + name).sample(NONSENSE, 2)
    ]
    queries += [("inside", {"run": run_id, name: text}) for name in PARAMETERS for text in random.Random(name).sample(NONSENSE, 3)]

    async def some(mine: list[tuple[str, dict[str, str]]]) -> None:
        for page, query in mine:
            try:
                async with session(port) as shown:
                    if wrong := await shown.script(page, urlencode(query)):
                        attack.falls[f"{page}?{urlencode(query)[:60]}: {wrong}"] += 1
            except (OSError, TimeoutError, WebSocketException) as error:
                attack.falls[f"{page}?{urlencode(query)[:60]}: {type(error).__name__}"] += 1
            attack.requests += 1

    await asyncio.gather(*(some(queries[i::4]) for i in range(4)))


VIEWS = ["pad", "grid", "sliders", "arithmetic", "walk", "time", "memory", "image"]  # pages/explore.py


async def messages(port: int, run_id: str, attack: Attack) -> None:
    """Widget states that no browser sends: for widgets that the page has, and for others.

    Values that Streamlit does not understand may break the page of the session that sent them, which then shows a sentence. The server,
    the run and other sessions must not notice.
    """
    rng = random.Random(0)
    for page in PAGES[:-1]:
        for _ in range(MESSAGES // len(PAGES)):
            forged = BackMsg()
            for name in rng.sample(PARAMETERS, 4):
                widget = forged.rerun_script.widget_states.widgets.add()
                widget.id = rng.choice(
                    [f"$$ID-{'0' * 32}-{name}", name, "visitor", rng.choice(NONSENSE).encode("utf-8", "ignore").decode()]
                )
                kind = rng.choice(["string_value", "int_value", "double_value", "bool_value", "json_value", "trigger_value"])
                value = {"string_value": "x" * 100, "int_value": 2**40, "double_value": float("nan"), "json_value": '{"who": []}'}
                setattr(widget, kind, value.get(kind, True))
            try:
                async with session(port) as shown, session(port) as other:
                    wrong = await shown.script(page, f"run={run_id}", forged)
                    if wrong.startswith("an exception"):
                        attack.falls[f"{page}: {wrong}"] += 1
                    if wrong := await other.script(page, f"run={run_id}"):
                        attack.falls[f"{page}, of someone else: {wrong}"] += 1
            except (OSError, TimeoutError, WebSocketException) as error:
                attack.falls[f"{page}: {type(error).__name__}"] += 1
            attack.requests += 1
    raw = [b"", b"\xff" * 100, b"\x08" * 100_000, bytes(rng.randbytes(1_000))]
    for content in raw:
        uri = f"ws://127.0.0.1:{port}/_stcore/stream"
        with contextlib.suppress(WebSocketException):
            async with connect(uri, origin=f"http://127.0.0.1:{port}", subprotocols=["streamlit"]) as websocket:  # type: ignore[arg-type, list-item]
                await websocket.send(content)
        attack.requests += 1


async def uploads(workshop: Workshop, attack: Attack) -> None:
    """Files for a session whose page has no uploader: the server takes no more than a session may hold, and still takes others' files."""
    port = workshop.port
    before = workshop.resident() or 0
    async with session(port) as greedy, session(port) as other:
        await greedy.script("train", "")
        await other.script("train", "")
        statuses = [await put(port, greedy.id, f"file-{number}", UPLOAD) for number in range(UPLOADS)]
        statuses += await asyncio.gather(*(put(port, greedy.id, f"at-once-{number}", UPLOAD) for number in range(UPLOADS)))
        small = await put(port, other.id, "small", 1000)
        grown = (workshop.resident() or 0) - before
    attack.requests += len(statuses) + 1
    taken = sum(status < 300 for status in statuses)
    attack.notes.append(f"{taken} of {len(statuses)} files of {UPLOAD // 2**20} MiB taken, {grown // 2**20} MiB more memory")
    if taken != MOST_A_SESSION // UPLOAD or set(statuses) - {204, 413, 0}:
        attack.falls[f"statuses {statuses}"] += 1
    if small != 204:
        attack.falls[f"status {small} for someone else's small file"] += 1


async def put(port: int, session_id: str, name: str, size: int) -> int:
    """Uploads a file as a browser does -> the status; 0 if the server ended the connection during the upload."""
    _, head, _ = await ask(port, "/_stcore/health")
    token = next(line.split("=", 1)[1].split(";")[0] for line in head.splitlines() if "_streamlit_xsrf=" in line)
    begin = b'--edge\r\nContent-Disposition: form-data; name="f"; filename="f.zip"\r\nContent-Type: application/zip\r\n\r\n'
    end = b"\r\n--edge--\r\n"
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"PUT {UPLOADS_PATH}{session_id}/{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
            head += f"X-Xsrftoken: {token}\r\nCookie: _streamlit_xsrf={token}\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
            writer.write(f"{head}Content-Length: {len(begin) + size + len(end)}\r\n\r\n".encode() + begin)
            answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            await asyncio.wait([answer], timeout=0.5)  # a refusal comes before the file is sent
            with contextlib.suppress(ConnectionError):  # a refused upload may end while it is being sent
                for sent in range(0, size, 2**20):
                    if answer.done():
                        break
                    writer.write(bytes(min(2**20, size - sent)))
                    await writer.drain()
                else:
                    writer.write(end)
            try:
                return int((await answer).split()[1])
            except (ConnectionError, asyncio.IncompleteReadError):
                return 0
        finally:
            writer.close()


async def each(attack: Attack, requests: list[Callable[[], Awaitable[None]]]) -> None:
    """Makes all requests, a few at once; a missing answer is a fall."""
    queue: Iterator[Callable[[], Awaitable[None]]] = iter(requests)

    async def work() -> None:
        for request in queue:
            attack.requests += 1
            try:
                await request()
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, KeyError, TypeError) as error:
                attack.falls[f"{type(error).__name__}: {error}"[:200]] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def watched(workshop: Workshop, attack: Attack, work: Awaitable[None]) -> None:
    """An attack, what the server holds open meanwhile, and whether the run continues."""
    before, log = step(workshop), len(workshop.log())

    async def look() -> None:
        while True:
            attack.most_open = max(attack.most_open, workshop.descriptors() or 0)
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        await work
    finally:
        looking.cancel()
    during = step(workshop)
    for _ in range(int(RESTS_WITHIN_S)):
        if (after := step(workshop)) > during:
            break
        await asyncio.sleep(1)
    else:
        attack.falls["the run no longer trains"] += 1
    attack.steps = after - before
    written = workshop.log()[log:]
    attack.notes.append(f"{len(written):,} bytes of log")
    if (traces := written.count("Traceback")) and attack.name != "messages":
        attack.falls["traces in the server's log"] += traces
        print(written[-3000:])
    if len(written) > MOST_LOG:
        attack.falls["more log than anyone reads"] += 1


def step(workshop: Workshop) -> int:
    """The run's newest step, from its folder, which works whatever happens to the server."""
    file = workshop.run_folder / "metrics.jsonl"
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(json.loads(file.read_text(encoding="utf-8").splitlines()[-1])["step"])
    return 0


KINDS = ["half-open", "pages", "pictures", "addresses", "scripts", "messages", "uploads"]


async def attack_all(workshop: Workshop, only: list[str]) -> list[Attack]:
    port, run_id, model_id = workshop.port, workshop.run_id, ""
    async with asyncio.timeout(60):
        while not model_id:
            model_id = next((model.id for model in list_models(workshop.checkpoints)), "")
            await asyncio.sleep(0.5)
    kinds: dict[str, Callable[[Attack], Awaitable[None]]] = {
        "half-open": lambda a: half_open(port, a),
        "pages": lambda a: pages(port, run_id, a),
        "pictures": lambda a: pictures(port, model_id, a),
        "addresses": lambda a: addresses(port, run_id, model_id, a),
        "scripts": lambda a: scripts(port, run_id, model_id, a),
        "messages": lambda a: messages(port, run_id, a),
        "uploads": lambda a: uploads(workshop, a),
    }
    made = []
    for name in only or kinds:
        attack = Attack(name)
        await watched(workshop, attack, kinds[name](attack))
        made.append(attack)
        print(f"{name}: {attack.requests:,} requests, {sum(attack.falls.values())} falls; {'; '.join(attack.notes)}", flush=True)
    return made


def table(attacks: list[Attack]) -> str:
    rows = [("attack", "requests", "falls", "steps trained", "most files open")]
    rows += [(a.name, f"{a.requests:,}", str(sum(a.falls.values())), f"{a.steps:,}", str(a.most_open)) for a in attacks]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    falls = itertools.chain.from_iterable((f"{a.name}: {count} x {what}" for what, count in a.falls.most_common(20)) for a in attacks)
    return "\n".join([*lines, *falls])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", type=int, help="most files that the server may open; 64 to 100,000")
    parser.add_argument("--only", nargs="*", default=[], choices=KINDS)
    options = parser.parse_args()
    if options.descriptors is not None and not 64 <= options.descriptors <= 100_000:
        parser.error(f"--descriptors must be between 64 and 100,000; got {options.descriptors}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with Workshop(LASTS_S, descriptors=options.descriptors) as workshop:
        attacks = asyncio.run(attack_all(workshop, options.only))
    print(table(attacks))
    raise SystemExit(any(a.falls for a in attacks))


if __name__ == "__main__":
    main()
