"""What browsers fetch in addition to the pages."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gan.data import datasets
from gan.events import Progress
from ui import assets
from ui.learn import material
from ui.learn.material import Material
from ui.page_files import HOME, NAMES


def test_plotly_is_compressed_once_and_not_sent_again() -> None:
    client = TestClient(Starlette(routes=assets.routes("/workshop")))
    path = "/workshop/assets/plotly/plotly.min.js"
    first = client.get(path)
    assert first.headers["content-encoding"] == "gzip" and first.headers["content-type"].startswith("text/javascript")
    assert b"plotly.js" in first.content[:200] and int(first.headers["content-length"]) < len(first.content) / 2
    assert assets._plotly() is assets._plotly()
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert plain.content == first.content and "content-encoding" not in plain.headers
    assert client.get("/workshop/assets/plotly/other.js").status_code == 404


def test_the_modules_of_the_lessons_are_sent_when_they_have_changed() -> None:
    client = TestClient(Starlette(routes=assets.routes("/workshop")))
    first = client.get("/workshop/assets/learn/game.js")
    assert first.headers["content-type"].startswith("text/javascript") and "export class Game" in first.text
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/workshop/assets/learn/game.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    for name in ("other.js", "..%2Fplane.py", "%2e%2e/plane.py", ""):
        assert client.get(f"/workshop/assets/learn/{name}").status_code == 404


def test_the_lessons_files_are_made_once_and_sent_when_they_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make() -> Material:
        made.append(1)
        return Material(b"{}", "application/json")

    monkeypatch.setitem(material._MAKE, "test.json", make)
    client = TestClient(Starlette(routes=assets.routes("/workshop")))
    first, second = (client.get("/workshop/assets/course/test.json") for _ in range(2))
    assert first.content == second.content == b"{}" and made == [1]
    assert first.headers["content-type"] == "application/json" and first.headers["cache-control"] == "no-cache"
    assert client.get("/workshop/assets/course/test.json", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    for name in ("other.json", "..%2Fgame.js", ""):
        assert client.get(f"/workshop/assets/course/{name}").status_code == 404
    material._made.drop(lambda name: name == "test.json")


def test_a_damaged_file_of_a_lesson_is_said_without_its_path(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Material:
        raise FileNotFoundError(2, "No such file or directory", "/secret/digits.safetensors")

    monkeypatch.setitem(material._MAKE, "damaged.json", fail)
    answer = TestClient(Starlette(routes=assets.routes(""))).get("/assets/course/damaged.json")
    assert answer.status_code == 503 and answer.text == "a file that comes with the app is missing or damaged"
    assert "damaged.json cannot be made" in caplog.text


def test_digits_that_cannot_be_downloaded_are_not_called_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*rest: object) -> Iterator[Progress]:
        yield Progress("Downloading", 0, 0)
        raise ValueError("mnist cannot be downloaded: this machine is offline.")

    monkeypatch.setattr(datasets, "load_for", offline)
    answer = TestClient(Starlette(routes=assets.routes(""))).get("/assets/course/real-or-fake-2.json")
    assert answer.status_code == 503
    assert answer.text == "the data set mnist cannot be loaded: mnist cannot be downloaded: this machine is offline"


def test_a_page_is_told_where_the_server_is_before_streamlit_asks() -> None:
    client = TestClient(Starlette(routes=assets.routes("/workshop")))
    for name in ("", *NAMES):
        page = client.get(f"/workshop/{name}")
        assert page.headers["content-type"].startswith("text/html") and page.headers["cache-control"] == "no-cache"
        assert "stMainBlockContainer" in page.text, "wide from the start"
        assert 0 < page.text.index("BACKEND_BASE_URL") < page.text.index('<script type="module"')
    assert client.get("/workshop/nothing").status_code == 404


def test_every_page_but_home_is_told() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in HOME.parent.glob("*.py") if path != HOME)
