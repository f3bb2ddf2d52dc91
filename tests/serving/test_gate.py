from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from gan.serving.gate import Hosts, SafeHeaders, allowed_hosts, frame_ancestors, is_allowed


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("WORKSHOP_HOSTS", "workshop.example.org, *.school.example")

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello", headers={"Referrer-Policy": "no-referrer"})

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    middleware = [Middleware(Hosts, allowed=allowed_hosts()), Middleware(SafeHeaders, ancestors=frame_ancestors())]
    app = Starlette(routes=[Route("/", hello), WebSocketRoute("/talk", talk)], middleware=middleware)
    with TestClient(app, base_url="http://localhost:8501") as client:
        yield client


OURS = [
    "localhost",
    "LOCALHOST:8501",
    "localhost.",
    "127.0.0.1:8501",
    "[::1]:8501",
    "[::1]",
    "192.168.1.20:8501",
    "workshop.example.org",
    "a.b.school.example",
]
OTHERS = [
    *("evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.nip.example", "school.example", "aschool.example"),
    *("workshop.example.org.evil.example", "", "localhost:port", "[::1", "a b", "[]", "x" * 1000, "localhost,evil.example", "127.1.evil"),
]


@pytest.mark.parametrize("host", OURS)
def test_the_servers_own_names_and_addresses_are_served(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).text == "hello"
    with client.websocket_connect("/talk", headers={"Host": host}) as websocket:
        assert websocket.receive_text() == "hello"


@pytest.mark.parametrize("host", OTHERS)
def test_other_names_are_refused_for_requests_and_websockets(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 421 and "WORKSHOP_HOSTS" in answer.text and "hello" not in answer.text
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk", headers={"Host": host}):
        pass


def test_a_star_allows_every_host_and_a_space_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_allowed("evil.example", {"*"}) and not is_allowed("evil.example", {"localhost"})
    monkeypatch.delenv("WORKSHOP_HOSTS", raising=False)
    monkeypatch.setenv("SPACE_HOST", "ada-workshop.hf.space")
    assert is_allowed("ada-workshop.hf.space", allowed_hosts()) and not is_allowed("bob-workshop.hf.space", allowed_hosts())


def test_answers_forbid_guesses_of_types_frames_and_other_sites(client: TestClient) -> None:
    headers = client.get("/").headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "SAMEORIGIN"
    policy = dict(rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";"))
    assert policy["frame-ancestors"] == "'self'" and policy["default-src"] == "'self'" and policy["object-src"] == "'none'"
    assert headers["Referrer-Policy"] == "no-referrer"  # what a route says itself stays


def test_sites_that_may_frame_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_FRAMES", "https://course.example http://*.school.example:8080 javascript:alert(1) x;script-src")
    assert frame_ancestors() == "'self' https://course.example http://*.school.example:8080"
    monkeypatch.setenv("SPACE_HOST", "ada-workshop.hf.space")
    assert "https://huggingface.co" in frame_ancestors()
