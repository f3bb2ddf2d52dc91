import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from gan import latent
from gan.config import TrainConfig
from gan.data import datasets
from gan.data.imageset import ImageDataset
from gan.doctor.checkup import Checkups
from gan.explore.models import ModelCache, find_model, model_sources
from gan.networks.dcgan import initialize
from gan.networks.generator_file import write_generator
from gan.networks.sampling import sample_styles
from gan.networks.stylegan import StyledConv, StyleGenerator
from gan.owners import recognise
from gan.recipes import recipe
from gan.runs.folder import RunFolder, save_generator
from gan.runs.manager import RunManager
from gan.runs.run import Run
from gan.serving import routes as server
from gan.serving import streams
from gan.training.state import new_state
from tests.conftest import ADA
from tests.waiting import ended, wait_for


@pytest.fixture
def run(manager: RunManager, config: TrainConfig) -> Run:
    run = manager.submit(config, "quick-digits", visitor=ADA)
    wait_for(ended(run))
    return run


@pytest.fixture
def manager(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunManager]:
    def load(*rest: Any) -> Generator[None, None, Any]:
        yield from ()
        return blobs

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "available", lambda: ["blobs"])
    manager = RunManager()
    yield manager
    manager.shutdown()


@pytest.fixture
def client(manager: RunManager) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=server.routes(manager, ModelCache(manager.root), Checkups()))) as client:
        yield client


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a stream's text: (name, data)."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")) for block in text.split("\n\n") if block]
    return [(b["event"], json.loads(b["data"])) for b in blocks if b]


def in_a_loop(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Runs a coroutine in a thread of its own: Playwright's loop may still be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(coroutine, 30)).result()


def read_stream(
    manager: RunManager,
    run_id: str,
    since: int,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., Any] = lambda events: True,
    checkups: Checkups | None = None,
) -> list[tuple[str, Any]]:
    """What a reader gets until it has seen enough; it then disconnects."""
    monkeypatch.setattr(streams, "POLL_S", 0.01)
    got: list[str] = []

    class Request:
        async def is_disconnected(self) -> bool:
            return bool(got) and until(events("".join(got)))

    async def read() -> None:
        async for text in streams.Streams(manager, checkups or Checkups()).follow(run_id, since, Request()):  # type: ignore[arg-type]  # what it asks of a request
            got.append(text)

    in_a_loop(read())
    return events("".join(got))


def test_runs_are_listed_and_shown(client: TestClient, run: Run, config: TrainConfig) -> None:
    (row,) = client.get("/api/runs").json()
    assert row == {
        "id": run.id,
        "name": "Ada · quick-digits · blobs · latent size 4 · generator filters 4 · 2 more",
        "state": "finished",
        "step": 12,
        "recipe": "quick-digits",
        "data": "blobs",
        "owner": "Ada",
    }
    shown = client.get(f"/api/runs/{run.id}").json()
    assert shown["config"]["config"] == config.model_dump()
    assert shown["status"]["state"] == "finished" and shown["status"]["progress"] == 1


def test_a_stream_tells_metrics_grids_and_status(manager: RunManager, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    got = dict(read_stream(manager, run.id, 0, monkeypatch))
    assert got["metrics"]["step"] == [5, 10] and len(got["metrics"]["loss_d"]) == 2
    assert got["samples"]["steps"][-1] == 12
    assert got["status"]["state"] == "finished"
    assert dict(read_stream(manager, run.id, 5, monkeypatch))["metrics"]["step"] == [10]


def test_a_stream_tells_changed_settings(manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    run = manager.submit(config.change(duration=1_000_000))
    wait_for(lambda: len(run.history) > 1)
    run.change("lr_g", 0.001)
    wait_for(lambda: run.interventions)
    told = read_stream(manager, run.id, 0, monkeypatch, lambda events: any(name == "intervention" for name, _ in events))
    (changes,) = [data["changes"] for name, data in told if name == "intervention"]
    assert changes == run.interventions and changes[0]["field"] == "lr_g" and changes[0]["new"] == 0.001


def test_a_stream_goes_on_while_the_run_trains_and_to_its_end(
    manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = manager.submit(config.change(duration=60))
    got = read_stream(manager, run.id, 0, monkeypatch, until=lambda e: any(n == "status" and d["state"] == "finished" for n, d in e))
    steps = [s for name, data in got if name == "metrics" for s in data["step"]]
    assert steps == list(range(5, 61, 5))


def test_a_stream_tells_what_was_judged_and_the_best(manager: RunManager, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for step, fd in ((5, 9.0), (10, 4.0)):
        run.folder.append_judged({"step": step, "fd": fd, "fd_error": 0.5, "fd_floor": 1.0, "features": "blobs-CNN"})
    run.folder.flush()
    monkeypatch.setattr(streams, "MOST_JUDGED", 2)
    cut: list[Any] = []

    def until(events: list[tuple[str, Any]]) -> bool:
        told = [data for name, data in events if name == "judged"]
        if len(told) == 1 and not cut:
            run.folder.append_judged({"step": 12, "fd": 4.5, "fd_error": 0.5, "fd_floor": 1.0, "features": "blobs-CNN"})
            run.folder.flush()
            cut.append(1)
        elif len(told) == 2 and len(cut) == 1:
            run.folder.truncate(5, 0)
            cut.append(2)
        return len(told) == 3

    first, more, again = [data for name, data in read_stream(manager, run.id, 0, monkeypatch, until) if name == "judged"]
    assert first == {
        **{"first": 0, "step": [5, 10], "fd": [9.0, 4.0], "error": [0.5, 0.5], "floor": 1.0, "features": "blobs-CNN", "too_few": False},
        "best": {"step": 10, "fd": 4.0, "error": 0.5, "floor": 1.0, "since": 0},
    }
    assert (more["first"], more["step"], more["best"]["since"]) == (2, [12], 2)
    assert (again["first"], again["step"], again["best"]["step"]) == (0, [5], 5)


def test_a_stream_over_http_honours_last_event_id(client: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def once(*arguments: Any) -> AsyncIterator[str]:
        yield str(arguments[2])

    monkeypatch.setattr(streams.Streams, "follow", once)
    url = f"/api/runs/{run.id}/events"
    answer = client.get(url, headers={"Last-Event-ID": "7"})
    assert answer.text == "7" and answer.headers["content-type"].startswith("text/event-stream")
    assert client.get(url + "?since=3").text == "3"
    assert client.get(url + "?since=-3").status_code == 400


def test_streams_of_one_run_look_together(manager: RunManager, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, now = [], [10.2]
    monkeypatch.setattr(streams.time, "monotonic", lambda: now[0])
    told = streams.status_of

    def status_of(manager: RunManager, run: Run) -> dict[str, Any]:
        looks.append(run.id)
        return told(manager, run)

    monkeypatch.setattr(streams, "status_of", status_of)
    ours = streams.Streams(manager, Checkups())

    async def look_twice() -> None:
        first, second = await asyncio.gather(ours._look(run.id), ours._look(run.id))
        assert first is second is await ours._look(run.id) and first.metrics(0) is second.metrics(0)
        assert first.metrics(run.history.columns["step"][-1]) == ("", run.history.columns["step"][-1])
        now[0] += streams.POLL_S
        assert await ours._look(run.id) is not first

    in_a_loop(look_twice())
    assert looks == [run.id] * 2


def test_a_stream_tells_that_something_else_was_found(manager: RunManager, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    run = manager.submit(config.change(duration=1_000_000))
    wait_for(lambda: run.state == "running")
    found = iter([[], ["d-winning"], ["d-winning"]])
    checkups = Checkups()
    checkup = checkups.of(run)
    looked = []

    def findings() -> list[str]:
        looked.append(1)
        checkup.version = 1 if len(looked) < 3 else 2
        return next(found, [])

    monkeypatch.setattr(checkup, "findings", findings)
    got = read_stream(manager, run.id, 0, monkeypatch, lambda events: sum(name == "findings" for name, _ in events) == 3, checkups=checkups)
    manager.stop(run.id)
    wait_for(ended(run))
    assert [data["version"] for name, data in got if name == "findings"] == [0, 1, 2]


def test_a_quiet_stream_has_a_heartbeat(manager: RunManager, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.03)
    monkeypatch.setattr(streams, "POLL_S", 0.01)
    got: list[str] = []

    class Request:
        async def is_disconnected(self) -> bool:
            return any(text.startswith(":") for text in got)

    async def read() -> None:
        async for text in streams.Streams(manager, Checkups()).follow(run.id, 0, Request()):  # type: ignore[arg-type]  # what it asks of a request
            got.append(text)

    in_a_loop(read())
    assert got[-1] == ": still here\n\n"


def test_grids_are_served(client: TestClient, run: Run) -> None:
    answer = client.get(f"/api/runs/{run.id}/samples/12.png")
    assert answer.headers["content-type"] == "image/png" and Image.open(io.BytesIO(answer.content)).size == (230, 230)
    assert client.get(f"/api/runs/{run.id}/samples/11.png").status_code == 404


def test_models_are_listed_and_draw(client: TestClient, run: Run, manager: RunManager, config: TrainConfig) -> None:
    pretrained = manager.root / "pretrained"
    pretrained.mkdir()

    save_generator(pretrained / "digits.safetensors", new_state(config, torch.device("cpu")))
    (pretrained / "broken.safetensors").write_bytes(b"nothing")
    models = client.get("/api/models").json()
    assert [m["id"] for m in models] == ["digits", f"{run.id}@12"]
    assert models[1] | {"all": 0} == {
        "id": f"{run.id}@12",
        "run": run.id,
        "step": 12,
        "latent_dim": 4,
        "image_size": 28,
        "channels": 1,
        "classes": [],
        "all": 0,
    }
    assert models[1]["all"] == [f"{run.id}@{s}" for s in (1, 2, 4, 8, 12)]
    url = f"/api/models/{run.id}@12/image.png"
    seed = client.get(url + "?seeds=3")
    assert Image.open(io.BytesIO(seed.content)).size == (28, 28)
    assert Image.open(io.BytesIO(client.get(url + "?seeds=3&scale=4").content)).size == (112, 112)
    z = find_model(manager.root, f"{run.id}@12").z([3])[0].tolist()
    assert client.get(url + "?z=" + ",".join(map(repr, z))).content == seed.content
    for corner, (u, v) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        assert client.get(f"{url}?seeds=3,4,5,6&u={u}&v={v}").content == client.get(f"{url}?seeds={3 + corner}").content
    assert client.get(f"{url}?seeds=3,4,5,6&u=0.5&v=0.5").content != seed.content
    assert client.get("/api/models/broken/image.png").status_code == 400


def test_generators_with_styles_draw_w_truncated_and_without_noise(client: TestClient, manager: RunManager, run: Run) -> None:
    config = recipe("stylegan-small").config.change(generator_filters=4, latent_dim=6)
    generator = StyleGenerator(config)
    initialize(generator, "pytorch", torch.Generator().manual_seed(0))
    with torch.no_grad():
        generator.mean_w.fill_(0.2)
        for layer in generator.layers:
            if isinstance(layer, StyledConv):
                layer.strength.fill_(0.5)
    (manager.root / "pretrained").mkdir(exist_ok=True)
    write_generator(manager.root / "pretrained" / "styles.safetensors", generator, config, 5, 100)
    url = "/api/models/styles/image.png"

    def drawn(query: str) -> np.ndarray:
        answer = client.get(f"{url}?{query}")
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.content))).transpose(2, 0, 1)

    z = latent.from_seeds([7], 6)
    with torch.inference_mode():
        w = generator.eval().styles(z)
        half = generator.truncated(w, 0.5)
    numbers = ",".join(map(str, w[0].tolist()))
    assert (drawn("seeds=7") == drawn("seeds=7&psi=1")).all() and (drawn("seeds=7") == sample_styles(generator, w)[0]).all()
    assert np.abs(drawn(f"w={numbers}").astype(int) - drawn("seeds=7")).max() <= 1
    assert (drawn("seeds=7&psi=0.5") == sample_styles(generator, half)[0]).all()
    assert (drawn("seeds=7&noise=off") == sample_styles(generator, w, noise=False)[0]).all()
    for query, said in (("w=1", "w must be 6 numbers"), ("psi=2", "psi must be"), ("noise=loud", "noise must be on or off")):
        answer = client.get(f"{url}?{query}")
        assert answer.status_code == 400 and said in answer.json()["error"]
    answer = client.get(f"/api/models/{run.id}@12/image.png?psi=0.5")
    assert answer.status_code == 400 and "need a generator with styles" in answer.json()["error"]


def test_who_drags_beside_a_run_is_told_to_ask_less_often(
    client: TestClient, run: Run, manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trains in (False, True):
        monkeypatch.setattr(manager, "trains_here", lambda trains=trains: trains)
        answer = client.get(f"/api/models/{run.id}@12/image.png")
        assert answer.headers.get("X-Picture-Every-Ms") == ("100" if trains else None)


REFUSED = {
    "seeds=": "seeds must look like",
    "seeds=1,2": "one seed, or the four corners",
    "seeds=1-100000": "at most 4",
    "seeds=99999999999999999999999": "2^63",
    "seeds=1,2,3,4&u=nan&v=0": "u must be a number between 0 and 1",
    "seeds=1,2,3,4&u=0&v=1.01": "v must be a number between 0 and 1",
    "z=1,2": "z must be 4 numbers; got 2",
    "z=1,2,3,inf": "each number of z",
    "z=1,2,3,x": "each number of z",
    "scale=0": "scale must be",
    "scale=9": "scale must be",
    "scale=1e3": "scale must be",
    "z=" + "1," * 9000: "a query may have",
}


def test_greedy_and_malformed_image_requests_are_refused_in_a_sentence(client: TestClient, run: Run) -> None:
    for query, words in REFUSED.items():
        answer = client.get(f"/api/models/{run.id}@12/image.png?{query}")
        assert answer.status_code == 400, query
        assert words in answer.json()["error"] and "\n" not in answer.json()["error"], query


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/none",
        "/api/runs/none/events",
        "/api/runs/none/samples/1.png",
        "/api/runs/..%2f..%2fetc/samples/1.png",
        "/api/models/none/image.png",
        "/api/models/..@1/image.png",
        "/api/models/%2e%2e%2fx@1/image.png",
        "/api/models/x@99999999999999999/image.png",
        "/api/models/x@-1/image.png",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/runs/x/y/z", "/api/models/x", "/api/runs/", "/api/%0d%0ax", "/api/models/a%0ab"]
)
def test_unknown_addresses_are_answered_in_json(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and "not found" in answer.json()["error"]


def test_other_methods_are_refused_in_json(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = client.request(method, "/api/runs")
        assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD" and "read-only" in answer.json()["error"]
    assert client.head("/api/runs").status_code == 200


def test_only_the_secret_token_says_that_an_owner_is_here(
    client: TestClient, run: Run, manager: RunManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(manager, "seen", seen.append)
    assert client.get(f"/api/runs/{run.id}?visitor={ADA.id}").status_code == 200 and not seen
    for forged in (ADA.id, "g" * 32, ADA.id * 3):
        answer = client.get(f"/api/runs/{run.id}", headers={server.VISITOR_HEADER: forged})
        assert answer.status_code == 400 and server.VISITOR_HEADER in answer.json()["error"] and forged not in answer.text
    token = "0123456789abcdef" * 2
    assert client.get(f"/api/runs/{run.id}", headers={server.VISITOR_HEADER: token}).status_code == 200
    assert seen == [recognise(token).id]


class Caller:
    """A request for a picture. leave() disconnects its client."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()
        self._messages = [{"type": "http.request", "body": b"", "more_body": False}]

    def leave(self) -> None:
        self._gone.set()

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def is_disconnected(self) -> bool:
        return self._gone.is_set()


def test_no_picture_is_drawn_that_nobody_waits_for_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 3)
    may_draw, drawn = threading.Event(), []

    def render(number: int) -> bytes:
        may_draw.wait()
        drawn.append(number)
        return b"png"

    async def check() -> None:
        pictures = server.Pictures()

        async def ask(number: int, caller: Caller) -> bytes | type[server.Busy] | type[server.Nobody]:
            try:
                return await pictures.draw(lambda: render(number), caller)  # type: ignore[arg-type]  # what it asks of a request
            except (server.Busy, server.Nobody) as error:
                return type(error)

        callers = [Caller() for _ in range(7)]
        asked = []
        for number, caller in enumerate(callers):
            asked.append(asyncio.create_task(ask(number, caller)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*asked[5:]) == [server.Busy, server.Busy]
        for left in callers[:1] + callers[2:4]:
            left.leave()
        assert await asyncio.gather(*asked[2:4]) == [server.Nobody, server.Nobody]  # before anything is drawn
        late = [asyncio.create_task(ask(number, Caller())) for number in (7, 8)]  # those who left made room for these
        may_draw.set()
        assert await asyncio.gather(*asked[:2], asked[4], *late) == [b"png"] * 5
        assert sorted(drawn) == [0, 1, 4, 7, 8]
        gone = Caller()
        gone.leave()
        assert await ask(9, gone) == server.Nobody and await ask(10, Caller()) == b"png" and drawn[-1] == 10

    in_a_loop(check())


def test_a_runs_files_are_sent_as_they_are(client: TestClient, run: Run) -> None:
    """Including unknown fields, null, and the order of fields."""
    for file in (run.folder.config_file, run.folder.status_file):
        content = json.loads(file.read_text())
        file.write_text(json.dumps({"later": {"x": [1]}, **dict(reversed(content.items())), "nothing": None}))
    answer = client.get(f"/api/runs/{run.id}").json()
    assert json.dumps(answer["config"]) == json.dumps(json.loads(run.folder.config_file.read_text()))
    status = json.loads(run.folder.status_file.read_text())
    assert list(answer["status"].items())[: len(status)] == list(status.items())
    assert {"progress", "eta_s", "stopping", "pace_s", "position", "starts_in_s"} == answer["status"].keys() - status.keys()


def test_a_busy_server_says_when_to_ask_again(client: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(self: Any, render: Callable[..., Any], request: Request) -> None:
        raise server.Busy("ask again in 1 s")

    monkeypatch.setattr(server.Pictures, "draw", busy)
    answer = client.get(f"/api/models/{run.id}@12/image.png")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "1" and "ask again" in answer.json()["error"]


def test_sources_are_ordered(run: Run, manager: RunManager) -> None:
    assert list(model_sources(manager.root)) == [run.id]


def test_a_drawing_is_translated_and_anything_else_refused(client: TestClient, manager: RunManager) -> None:
    config = recipe("pix2pix").config.change(image_size=28, channels=1, generator_filters=4, discriminator_filters=4)
    folder = RunFolder(manager.root / "a-pix2pix")
    folder.write_config(config, "pix2pix")
    state = new_state(config, torch.device("cpu"))
    state.step = 4
    folder.save_generator(state)
    address = "/api/models/a-pix2pix@4/translation.png"
    answer = client.get(f"{address}?strokes=1080f080.e80708090&start=7")
    assert answer.status_code == 200 and Image.open(io.BytesIO(answer.content)).size == (28, 28)
    drawing = Image.open(io.BytesIO(client.get(f"{address}?strokes=1080f080&show=drawing").content))
    assert drawing.size == (256, 256) and drawing.getpixel((100, 128)) == (0, 0, 0) and drawing.getpixel((100, 100)) == (255, 255, 255)
    for query, said in (
        ("strokes=xyz", "a stroke must be points of four hex digits each, as in 80a0; got 'xyz'"),
        ("start=-1", "start must be a whole number between 0 and 2147483647; got '-1'"),
        ("strokes=" + "8080" * 5000, "a query may have at most 16000 characters; got 20008"),
    ):
        answer = client.get(f"{address}?{query}")
        assert (answer.status_code, answer.json()["error"]) == (400, said)
    assert client.get("/api/models/a-pix2pix@5/translation.png").status_code == 404
    refused = client.get("/api/models/a-pix2pix@4/image.png?seeds=1")
    assert refused.status_code == 400 and "translates images and has no latent vectors" in refused.json()["error"]
