"""What browsers fetch next to the pages: Plotly's script, the lessons' modules and pictures, and each page's shell."""

import functools
import gzip
import hashlib
import importlib.resources
import logging
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gan.course.quiz import NoDigits
from gan.files import in_words
from ui.learn.material import material
from ui.page_files import NAMES

log = logging.getLogger(__name__)

_CACHE = "public, max-age=86400"
_MODULES = Path(__file__).parent / "components" / "learn"


@functools.cache
def _plotly() -> tuple[bytes, str]:
    """The script, compressed, and its ETag. Computed once: for each visitor it would take 0.2 s of the server's event loop."""
    content = gzip.compress((importlib.resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes(), 6)
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


async def _answer(request: Request) -> Response:
    content, tag = await run_in_threadpool(_plotly)
    headers = {"ETag": tag, "Cache-Control": _CACHE, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(content, media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})
    return Response(await run_in_threadpool(gzip.decompress, content), media_type="text/javascript", headers=headers)


@functools.cache
def _modules() -> dict[str, tuple[bytes, str]]:
    """The lessons' modules by name, each with its ETag."""
    contents = {path.name: path.read_bytes() for path in _MODULES.glob("*.js")}
    return {name: (content, f'"{hashlib.sha256(content).hexdigest()[:16]}"') for name, content in contents.items()}


async def _answer_module(request: Request) -> Response:
    """One module. Browsers ask each time whether it has changed: modules of two versions might not fit together."""
    module = _modules().get(request.path_params["name"])
    if module is None:
        return Response(status_code=404)
    return _unless_known(request, *module, "text/javascript")


async def _answer_course(request: Request) -> Response:
    """A file for a lesson's figure. It changes with the app, so browsers ask each time, as for the modules."""
    try:
        found = await run_in_threadpool(material, request.path_params["name"])
    except NoDigits as error:
        log.warning("the lesson's file %s cannot be made: %s", request.path_params["name"][:80], error)
        return Response(str(error), 503, media_type="text/plain")
    except (ValueError, OSError) as error:  # an installation that lacks a file
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        log.warning("the lesson's file %s cannot be made: %s", request.path_params["name"][:80], reason)
        return Response("a file that comes with the app is missing or damaged", 503, media_type="text/plain")
    if found is None:
        return Response(status_code=404)
    return _unless_known(request, found.content, found.tag, found.media_type)


def _unless_known(request: Request, content: bytes, tag: str, media_type: str) -> Response:
    """The content, or 304 if the browser has it."""
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


@functools.cache
def _shell() -> str:
    """Streamlit's page with the script and the style of shell.js and shell.css before its own."""
    page = (importlib.resources.files("streamlit") / "static" / "index.html").read_text(encoding="utf-8")
    script, style = ((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("shell.js", "shell.css"))
    return page.replace("<head>", f"<head><script>{{\n{script}}}</script><style>{style}</style>", 1)


async def _page(request: Request) -> Response:
    return Response(_shell(), media_type="text/html", headers={"Cache-Control": "no-cache"})


def routes(prefix: str = "") -> list[Route]:
    """GET {prefix}/assets/plotly/plotly.min.js, {prefix}/assets/learn/NAME.js, {prefix}/assets/course/NAME, and the pages; Home is {prefix}/."""
    return [
        Route(f"{prefix}/assets/plotly/plotly.min.js", _answer),
        Route(f"{prefix}/assets/learn/{{name}}", _answer_module),
        Route(f"{prefix}/assets/course/{{name}}", _answer_course),
        *(Route(f"{prefix}/{name}", _page) for name in ("", *NAMES)),
    ]
