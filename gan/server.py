"""The HTTP routes over runs and models, read only. Imported by app.py alone.

Every refused request gets a 4xx with one sentence as JSON: {"error": "..."}.
"""

import asyncio
import json
import math
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import torch
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gan import latent
from gan.checkpoint import CheckpointError
from gan.images import enlarge, png
from gan.judgements import best_of
from gan.manager import RunManager
from gan.models import Model, ModelCache, find_model, list_models, model_sources
from gan.owners import is_visitor_id
from gan.runs import Run

POLL_S = 0.5  # how often a stream looks for news; each look takes the training threads off their cores for a moment
HEARTBEAT_S = 15.0  # a comment when there is no news, so that proxies keep the stream open
STATUS_EVERY_S = 1.0  # between two words on how far a run is; a change of state is told at once
COUNTERS = ("step", "images_seen", "elapsed_s", "progress", "eta_s", "starts_in_s")
RENDERS_AT_ONCE = 2
LONGEST_QUERY = 16_000  # characters
LARGEST_SCALE = 8
MOST_JUDGED = 1000  # judgements that are told at once

Handler = Callable[[Request], Awaitable[Response]]


class BadRequest(ValueError):
    """A request that asks for something that cannot be."""


def routes(manager: RunManager, models: ModelCache, prefix: str = "") -> list[Route]:
    """GET {prefix}/api/..., as docs/architecture.md lists them. prefix: a path that the server lives behind, as "/workshop"."""
    renders = anyio.CapacityLimiter(RENDERS_AT_ONCE)  # a limit of their own: they must not use up the server's threads

    async def list_runs(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(lambda: [_summary(run) for run in manager.runs()]))

    async def show_run(request: Request) -> Response:
        run = _run(manager, request)
        if who := request.query_params.get("visitor"):  # the owner of a run tells so that they are still there
            if not is_visitor_id(who):
                raise BadRequest(f"visitor must be 16 hexadecimal digits; got {who[:40]!r}")
            manager.seen(who)

        def details() -> dict[str, Any]:
            return {"id": run.id, "config": run.stored, "status": _status(manager, run)}

        return JSONResponse(await run_in_threadpool(details))

    async def events(request: Request) -> Response:
        run = _run(manager, request)
        since = _whole(request.headers.get("last-event-id") or request.query_params.get("since", "0"), "since", 0, 2**53)
        stream = _events(manager, run.id, since, request)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})

    async def samples(request: Request) -> Response:
        run = _run(manager, request)
        path = run.folder.samples_file(_whole(request.path_params["step"], "step", 0, 10**12))
        if not path.is_file():
            raise KeyError(f"the run {run.id} has no grid at that step")
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "max-age=3600"})

    async def show_models(request: Request) -> Response:
        def listed() -> list[dict[str, Any]]:
            steps = {ids[-1]: ids for ids in model_sources(models.root).values()}
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
                for m in list_models(models.root)
            ]

        return JSONResponse(await run_in_threadpool(listed))

    async def image(request: Request) -> Response:
        if len(request.url.query) > LONGEST_QUERY:
            raise BadRequest(f"a query may have {LONGEST_QUERY} characters; got {len(request.url.query)}")
        model = await run_in_threadpool(find_model, models.root, request.path_params["id"])
        z = _latent(model, request)
        scale = _whole(request.query_params.get("scale", "1"), "scale", 1, LARGEST_SCALE)
        label = _label(model, request)

        def render() -> bytes:
            return png(enlarge(models.images(model, z, label)[0], scale), compress_level=1)

        content = await anyio.to_thread.run_sync(render, limiter=renders)
        return Response(content, media_type="image/png", headers={"Cache-Control": "max-age=60"})

    return [
        Route(f"{prefix}/api/runs", _answer(list_runs)),
        Route(f"{prefix}/api/runs/{{id}}", _answer(show_run)),
        Route(f"{prefix}/api/runs/{{id}}/events", _answer(events)),
        Route(f"{prefix}/api/runs/{{id}}/samples/{{step}}.png", _answer(samples)),
        Route(f"{prefix}/api/models", _answer(show_models)),
        Route(f"{prefix}/api/models/{{id}}/image.png", _answer(image)),
    ]


def send_at_once() -> None:
    """Lets small answers leave at once; without, a body waits up to 40 ms until the browser has confirmed the headers (Nagle 1984).

    asyncio sees to that only for sockets that were made with the protocol named; Streamlit's listening socket is not. What is
    accepted inherits the option from the socket that listens. Call it when that is bound, in the process that serves.
    """
    folder = Path("/dev/fd")
    for name in os.listdir(folder) if folder.is_dir() else []:  # Windows has no such folder
        with suppress(OSError):  # not a socket, or closed by now
            descriptor = os.dup(int(name))
            try:
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    continue
                with socket.socket(fileno=os.dup(descriptor)) as listening:
                    internet = listening.family in (socket.AF_INET, socket.AF_INET6) and listening.type == socket.SOCK_STREAM
                    if internet and listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            finally:
                os.close(descriptor)


def _answer(handler: Handler) -> Handler:
    """Turns what a handler raises into an answer of one sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except KeyError as error:
            return JSONResponse({"error": f"not found: {error.args[0]}"}, 404)
        except (BadRequest, CheckpointError) as error:
            return JSONResponse({"error": str(error)}, 400)

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
    """The point (1, latent_dim) that a request names: z itself, one seed, or four corner seeds blended by u and v."""
    query = request.query_params
    if "z" in query:
        parts = query["z"].split(",")
        if len(parts) != model.config.latent_dim:
            raise BadRequest(f"z must be {model.config.latent_dim} numbers; got {len(parts)}")
        return torch.tensor([[_number(part, "each number of z", -100, 100) for part in parts]])
    try:
        corners = model.noise(latent.parse_seeds(query.get("seeds", "0"), most=4))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if len(corners) == 1:
        return corners
    if len(corners) != 4:
        raise BadRequest(f"seeds must be one seed, or the four corners of a square; got {len(corners)}")
    u, v = (_number(query.get(name, "0"), name, 0, 1) for name in ("u", "v"))
    top, bottom = (latent.slerp(corners[i : i + 1], corners[i + 1 : i + 2], torch.tensor(u)) for i in (0, 2))
    return latent.slerp(top, bottom, torch.tensor(v))


def _label(model: Model, request: Request) -> int:
    """The class that a request names, for a conditional generator; its first one where the request names none."""
    name = request.query_params.get("class")
    if name is None:
        return 0
    if name not in model.class_names:
        known = f"must be one of {', '.join(model.class_names)[:400]}" if model.class_names else "cannot be chosen with this generator"
        raise BadRequest(f"class {known}; got {name[:40]!r}")
    return model.class_names.index(name)


def _summary(run: Run) -> dict[str, Any]:
    status = run.status()
    stored = run.stored
    row = {"id": run.id, "name": run.id, "state": status["state"], "step": status.get("step", 0)}
    row |= {"recipe": stored.get("recipe"), "data": stored.get("data")}
    return row | ({"owner": stored["owner"]} if stored.get("owner") else {})


def _status(manager: RunManager, run: Run) -> dict[str, Any]:
    position, starts_in_s = manager.place(run)
    return run.status() | {"position": position, "starts_in_s": starts_in_s}


def _news(
    manager: RunManager, run: Run, since: int
) -> tuple[dict[str, list[Any]], list[int], list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """What there is to tell of a run: metrics beyond a step, the steps of its grids, its changed settings, its judgements, its status."""
    history = run.history
    return history.since(history.after(since)), run.sample_steps, run.interventions, run.folder.read_judged(), _status(manager, run)


def _judged(rows: list[dict[str, Any]], first: int) -> dict[str, Any]:
    """Judgements from the one numbered `first` on as columns, thinned where they are many, and the best of all."""
    every = max(1, -(-(len(rows) - first) // MOST_JUDGED))
    shown, last = rows[first + (len(rows) - first - 1) % every :: every], rows[-1]
    best = best_of(rows)
    return {
        "first": first,
        "step": [row["step"] for row in shown],
        "fd": [row["fd"] for row in shown],
        "error": [row["fd_error"] for row in shown],
        "floor": last["fd_floor"],
        "features": str(last.get("features") or ""),
        "best": asdict(best) if best else None,
    }


async def _events(manager: RunManager, run_id: str, since: int, request: Request) -> AsyncIterator[str]:
    """Server-sent events: metrics and judgements as columns of what is new; all grids' steps, all changed settings, the status when they
    change.

    The run is looked up anew each time: one that is resumed goes on in the same stream.
    """
    said_status: dict[str, Any] = {}
    said_gist: dict[str, Any] = {}
    said_samples, said_changes, said_judged, said_s, quiet_s = -1, -1, 0, 0.0, 0.0
    while not manager.closing.is_set() and not await request.is_disconnected():
        news = []
        try:
            run = manager.get(run_id)
        except KeyError:
            yield _event("status", json.dumps({"state": "deleted"}))
            return
        # A run in a thread of this process is all in memory; any other is read from its folder, off the event loop.
        columns, steps, changes, judged, status = (
            _news(manager, run, since) if run.in_memory else await run_in_threadpool(_news, manager, run, since)
        )
        if columns["step"]:
            since = columns["step"][-1]
            news.append(_event("metrics", json.dumps(columns), since))
        if len(steps) != said_samples:
            said_samples = len(steps)
            news.append(_event("samples", json.dumps({"steps": steps})))
        if len(changes) != said_changes:
            said_changes = len(changes)
            news.append(_event("intervention", json.dumps({"changes": changes})))
        if len(judged) != said_judged:
            if len(judged) < said_judged:  # the run was resumed from before
                said_judged = 0
            if judged:
                news.append(_event("judged", json.dumps(_judged(judged, said_judged))))
            said_judged = len(judged)
        gist = {name: value for name, value in status.items() if name not in COUNTERS}
        if gist != said_gist or (status != said_status and time.monotonic() - said_s > STATUS_EVERY_S):
            said_gist, said_status, said_s = gist, status, time.monotonic()
            news.append(_event("status", json.dumps(status)))
        quiet_s = 0.0 if news else quiet_s + POLL_S
        if quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            news.append(": still here\n\n")
        for text in news:
            yield text
        await asyncio.sleep(POLL_S)


def _event(name: str, data: str, number: int | None = None) -> str:
    return (f"id: {number}\n" if number is not None else "") + f"event: {name}\ndata: {data}\n\n"
