"""The read-only HTTP routes over runs and models. Only app.py imports them.

Every refused request gets a 4xx with one sentence as JSON: {"error": "..."}.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import torch
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gan import latent
from gan.doctor.checkup import Checkups
from gan.explore.models import Model, ModelCache, find_model, list_models, model_sources
from gan.explore.strokes import LARGEST_START, as_pixels, drawing, read_strokes
from gan.explore.translators import TranslatorCache, find_translator
from gan.files import without_folders
from gan.images import enlarge, png
from gan.networks.generator_file import CheckpointError
from gan.owners import recognise
from gan.runs.manager import RunManager
from gan.runs.names import label
from gan.runs.run import Run
from gan.serving.streams import Streams, status_of

RENDERS_AT_ONCE = 2
MOST_WAITING = 128  # pictures; forty browsers ask for at most eighty, two each
RETRY_AFTER_S = 1
LONGEST_QUERY = 16_000  # characters
LARGEST_SCALE = 8
# Pause between pictures on each of a page's two request slots while a run trains here. A picture costs the run twice its time: the
# thread that it displaces, and the thread that waits for that one. 20 pictures a second in all.
PICTURE_EVERY_MS = 100

VISITOR_HEADER = "X-Workshop-Visitor"  # a browser's secret token; not in the address, because proxies log addresses
EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Handler = Callable[[Request], Awaitable[Response]]


class BadRequest(ValueError):
    """A request for something impossible."""


class Anything(Convertor[str]):
    """The rest of an address; Starlette's own `path` does not match line breaks."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class Busy(RuntimeError):
    """More requests are waiting than the server can answer in acceptable time."""


class Nobody(RuntimeError):
    """The client has left, so no answer can reach it."""


class Api:
    """What each route answers."""

    def __init__(self, manager: RunManager, models: ModelCache, checkups: Checkups) -> None:
        self.manager, self.models = manager, models
        self.translators = TranslatorCache(models.root)
        self.streams, self.pictures = Streams(manager, checkups), Pictures()

    async def list_runs(self, request: Request) -> Response:
        def listed() -> list[dict[str, Any]]:
            return [row for run in self.manager.runs() if (row := _summary(run)) is not None]

        return JSONResponse(await run_in_threadpool(listed))

    async def show_run(self, request: Request) -> Response:
        run = _run(self.manager, request)
        if token := request.headers.get(VISITOR_HEADER):  # a run's owner says that they are still there
            who = recognise(token)
            if not who.known:
                raise BadRequest(f"{VISITOR_HEADER} must be a browser's token: 32 hexadecimal digits")
            self.manager.seen(who.id)

        def details() -> dict[str, Any]:
            return {"id": run.id, "config": dict(run.stored), "status": status_of(self.manager, run)}

        return JSONResponse(await run_in_threadpool(details))

    async def events(self, request: Request) -> Response:
        run = _run(self.manager, request)
        since = _whole(request.headers.get("last-event-id") or request.query_params.get("since", "0"), "since", 0, 2**53)
        stream = self.streams.follow(run.id, since, request)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def samples(self, request: Request) -> Response:
        run = _run(self.manager, request)
        path = run.folder.samples_file(_whole(request.path_params["step"], "step", 0, 10**12))
        if not path.is_file():
            raise KeyError(f"the run {run.id} has no grid at that step")
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "max-age=3600"})

    async def show_models(self, request: Request) -> Response:
        def listed() -> list[dict[str, Any]]:
            steps = {ids[-1]: ids for ids in model_sources(self.models.root).values()}
            return [
                {
                    "id": m.id,
                    "run": m.run or None,
                    "step": m.step,
                    "latent_dim": m.config.latent_dim,
                    "image_size": m.config.image_size,
                    "channels": m.config.channels,
                    "classes": list(m.class_names),
                    "all": steps.get(m.id, [m.id]),
                }
                for m in list_models(self.models.root)
            ]

        return JSONResponse(await run_in_threadpool(listed))

    async def image(self, request: Request) -> Response:
        if len(request.url.query) > LONGEST_QUERY:
            raise BadRequest(f"a query may have at most {LONGEST_QUERY} characters; got {len(request.url.query)}")

        def render() -> bytes:
            model = find_model(self.models.root, request.path_params["id"])
            label, scale = _label(model, request), _whole(request.query_params.get("scale", "1"), "scale", 1, LARGEST_SCALE)
            if request.query_params.keys() & {"w", "psi", "noise"}:
                images = self._styled(model, label, request)
            else:
                images = self.models.images(model, _latent(model, request), label)
            return png(enlarge(images[0], scale), compress_level=1)

        content = await self.pictures.draw(render, request)
        headers = {"Cache-Control": "max-age=60"}
        if self.manager.trains_here():
            headers["X-Picture-Every-Ms"] = str(PICTURE_EVERY_MS)
        return Response(content, media_type="image/png", headers=headers)

    def _styled(self, model: Model, label: int, request: Request) -> np.ndarray:
        """A generator's image of a style, w, or of z with its style truncated, with or without noise."""
        query = request.query_params
        if not model.config.has_styles:
            raise BadRequest(f"w, psi and noise need a generator with styles; {model.id} has none")
        if query.get("noise", "on") not in ("on", "off"):
            raise BadRequest(f"noise must be on or off; got {query['noise'][:40]!r}")
        psi = _number(query.get("psi", "1"), "psi", 0, 1)
        w = _numbers(model, query["w"], "w") if "w" in query else self.models.styles(model, _latent(model, request), label)
        w = self.models.styled(model).truncated(w, psi) if psi != 1 else w
        return self.models.images_of_styles(model, w, query.get("noise", "on") == "on")

    async def translation(self, request: Request) -> Response:
        if len(request.url.query) > LONGEST_QUERY:
            raise BadRequest(f"a query may have at most {LONGEST_QUERY} characters; got {len(request.url.query)}")

        def render() -> bytes:
            model = find_translator(self.models.root, request.path_params["id"])
            try:
                strokes = read_strokes(request.query_params.get("strokes", ""))
            except ValueError as error:
                raise BadRequest(str(error)) from None
            start = request.query_params.get("start", "")
            drawn = drawing(strokes, _whole(start, "start", 0, LARGEST_START) if start else None)
            if request.query_params.get("show") == "drawing":
                return png(as_pixels(drawn, 3, drawn.width)[0], compress_level=1)
            inputs = as_pixels(drawn, model.config.channels, model.config.image_size)
            return png(self.translators.translate(model, inputs)[0], compress_level=1)

        content = await self.pictures.draw(render, request)
        headers = {"Cache-Control": "max-age=60"}
        if self.manager.trains_here():
            headers["X-Picture-Every-Ms"] = str(PICTURE_EVERY_MS)
        return Response(content, media_type="image/png", headers=headers)

    async def unknown(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return JSONResponse({"error": f"{request.method} is not possible: these routes are read-only"}, 405, {"Allow": "GET, HEAD"})
        raise KeyError(f"the address {request.url.path[:200]}")


def routes(manager: RunManager, models: ModelCache, checkups: Checkups, prefix: str = "") -> list[Route]:
    """GET {prefix}/api/..., see docs/http.md. prefix: the server's path prefix, such as "/workshop"."""
    register_url_convertor("anything", Anything())
    api = Api(manager, models, checkups)
    return [
        Route(f"{prefix}/api/runs", _answer(api.list_runs)),
        Route(f"{prefix}/api/runs/{{id}}", _answer(api.show_run)),
        Route(f"{prefix}/api/runs/{{id}}/events", _answer(api.events)),
        Route(f"{prefix}/api/runs/{{id}}/samples/{{step}}.png", _answer(api.samples)),
        Route(f"{prefix}/api/models", _answer(api.show_models)),
        Route(f"{prefix}/api/models/{{id}}/image.png", _answer(api.image)),
        Route(f"{prefix}/api/models/{{id}}/translation.png", _answer(api.translation)),
        *(Route(path, _answer(api.unknown), methods=EVERY_METHOD) for path in (f"{prefix}/api", f"{prefix}/api/{{rest:anything}}")),
    ]


class Pictures:
    """The queue of pictures: a few are drawn at once, a limited number wait, and requests whose clients leave drop out at once."""

    def __init__(self) -> None:
        # A limit of their own, so pictures do not use up the server's threads.
        self._turns, self._threads = anyio.CapacityLimiter(RENDERS_AT_ONCE), anyio.CapacityLimiter(RENDERS_AT_ONCE)

    async def draw(self, render: Callable[[], bytes], request: Request) -> bytes:
        """The result of `render`, called in a thread when it is this request's turn.

        Raises:
            Busy: too many clients are waiting already.
            Nobody: the client left while it waited.
        """
        try:
            self._turns.acquire_on_behalf_of_nowait(request)
        except anyio.WouldBlock:
            if self._turns.statistics().tasks_waiting >= MOST_WAITING:
                raise Busy(f"{MOST_WAITING} pictures are already waiting: ask again in {RETRY_AFTER_S} s") from None
            await self._wait(request)
        try:
            if await request.is_disconnected():
                raise Nobody
            return await anyio.to_thread.run_sync(render, limiter=self._threads)
        finally:
            self._turns.release_on_behalf_of(request)

    async def _wait(self, request: Request) -> None:
        """Returns when it is this request's turn; raises Nobody as soon as its client leaves."""
        has_turn = False

        async def leave() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await self._turns.acquire_on_behalf_of(request)
            has_turn = True
            group.cancel_scope.cancel()
        if not has_turn:
            raise Nobody


def _answer(handler: Handler) -> Handler:
    """Turns a handler's error into an answer of one sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except KeyError as error:
            return JSONResponse({"error": f"not found: {error.args[0]}"}, 404)
        except (BadRequest, CheckpointError) as error:
            return JSONResponse({"error": without_folders(str(error))}, 400)
        except Busy as error:
            return JSONResponse({"error": str(error)}, 503, {"Retry-After": str(RETRY_AFTER_S)})
        except Nobody:
            return Response(status_code=499)  # for logs only

    return answer


def _run(manager: RunManager, request: Request) -> Run:
    return manager.get(request.path_params["id"])


def _whole(text: str, name: str, low: int, high: int) -> int:
    """A whole number from a request, within bounds."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise BadRequest(f"{name} must be a whole number between {low} and {high}; got {text[:40]!r}")
    return int(text)


def _number(text: str, name: str, low: float, high: float) -> float:
    """A finite number from a request, within bounds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadRequest(f"{name} must be a number between {low:g} and {high:g}; got {text[:40]!r}")
    return value


def _latent(model: Model, request: Request) -> torch.Tensor:
    """The latent vector (1, latent_dim) of a request: z itself, one seed, or four corner seeds blended by u and v."""
    query = request.query_params
    if "z" in query:
        return _numbers(model, query["z"], "z")
    try:
        corners = model.z(latent.parse_seeds(query.get("seeds", "0"), most=4))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if len(corners) == 1:
        return corners
    if len(corners) != 4:
        raise BadRequest(f"seeds must be one seed, or the four corners of a square; got {len(corners)}")
    u, v = (_number(query.get(name, "0"), name, 0, 1) for name in ("u", "v"))
    top, bottom = (latent.slerp(corners[i : i + 1], corners[i + 1 : i + 2], torch.tensor(u)) for i in (0, 2))
    return latent.slerp(top, bottom, torch.tensor(v))


def _numbers(model: Model, text: str, name: str) -> torch.Tensor:
    """z or w, as its numbers in a request: (1, latent_dim)."""
    parts = text.split(",")
    if len(parts) != model.config.latent_dim:
        raise BadRequest(f"{name} must be {model.config.latent_dim} numbers; got {len(parts)}")
    return torch.tensor([[_number(part, f"each number of {name}", -100, 100) for part in parts]])


def _label(model: Model, request: Request) -> int:
    """The class of a request for a conditional generator; the first class if the request names none."""
    name = request.query_params.get("class")
    if name is None:
        return 0
    if name not in model.class_names:
        known = f"must be one of {', '.join(model.class_names)[:400]}" if model.class_names else "cannot be chosen with this generator"
        raise BadRequest(f"class {known}; got {name[:40]!r}")
    return model.class_names.index(name)


def _summary(run: Run) -> dict[str, Any] | None:
    """A row of the list of runs, with `error` if its files are damaged; None if the run has been deleted."""
    status = run.status()
    stored = run.stored
    row = {"id": run.id, "name": label(run), "state": status.state, "step": status.step}
    row |= {"recipe": stored.get("recipe"), "data": stored.get("data")}
    if fault := run.fault:
        if run.gone:
            return None
        row["error"] = fault
    return row | ({"owner": stored["owner"]} if stored.get("owner") else {})
