"""Two participants on one server, each with their own browser."""

import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from gan.serving.routes import VISITOR_HEADER
from tests.browser.conftest import ADMIN_TOKEN, fits_a_phone, forget
from tests.browser.steps import visit

KEPT = "() => JSON.parse(localStorage.getItem('dcgan-workshop-visitor'))"
CONTROLS = ("Pause", "Stop", "Resume", "Delete")


@pytest.fixture
def people(fresh: Page, newcomer: Page) -> tuple[Page, Page]:
    """Two browsers that share nothing, the second one a phone."""
    newcomer.set_viewport_size({"width": 390, "height": 844})
    return fresh, newcomer


def call_oneself(page: Page, server: str, name: str) -> None:
    visit(page, f"{server}/train", "Train")
    you = page.get_by_role("button", name=re.compile("You: "))
    before = you.inner_text()
    you.click()
    page.get_by_role("textbox", name="Your name").fill(name)
    page.get_by_role("textbox", name="Your name").press("Enter")
    expect(you).not_to_have_text(before)
    expect(you).not_to_contain_text("Guest")
    page.keyboard.press("Escape")


def launch(page: Page) -> str:
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".run-view")).to_be_visible()
    page.wait_for_url(re.compile("run="))
    return page.url.partition("run=")[2]


def control(page: Page, name: str) -> Locator:
    """A button of the page itself: Streamlit's header has a Stop of its own while a script runs."""
    return page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True)


def ask(address: str, method: str = "GET") -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None


def forge(page: Page, owner_id: str) -> None:
    """From the next load on, the page's browser claims to be someone else, with all that is publicly known of them."""
    claim = {"token": owner_id * 2, "name": "Ada", "id": owner_id, "owner_id": owner_id, "admin": True}
    page.evaluate(f"() => localStorage.setItem('dcgan-workshop-visitor', {json.dumps(json.dumps(claim))})")


def test_two_participants_and_neither_steers_the_others_run(server: str, people: tuple[Page, Page]) -> None:
    ada, bob = people
    call_oneself(ada, server, "Ada")
    run = launch(ada)
    call_oneself(bob, server, "Bob")
    expect(bob.get_by_text("Training: Ada.")).to_be_visible()
    waiting = launch(bob)
    expect(bob.locator(".rv-note")).to_have_text(re.compile("Waiting: number 1 in the queue"))

    # Each sees the other's run, and has no way to steer it.
    for page, name, other in ((ada, "Bob", waiting), (bob, "Ada", run)):
        visit(page, f"{server}/train?run={other}", "Train")
        expect(page.get_by_text(f"Only {name}, who started it, or the workshop's host can steer this run.")).to_be_visible()
        expect(page.get_by_role("button", name="New run with these settings")).to_be_visible()
        for name in CONTROLS:
            expect(control(page, name)).to_have_count(0)
        expect(page.get_by_role("slider", name=re.compile("learning rate"))).to_have_count(0)
    fits_a_phone(bob)

    # Hand-made requests do not help: everything public about Ada does not make anyone Ada.
    _, about = ask(f"{server}/api/runs/{run}")
    owner_id = about["config"]["owner_id"]
    token = ada.evaluate(KEPT)["token"]
    assert about["config"]["config"]["latent_dim"] == 64 and about["config"]["owner"] == "Ada"
    assert re.fullmatch("[0-9a-f]{16}", owner_id) and token not in json.dumps(about)
    for path in (f"runs/{run}", "runs", f"runs/{run}/events", f"runs/{run}/samples/0.png"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert ask(f"{server}/api/{path}", method)[0] == 405
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(f"{server}/api/runs/{run}", headers={VISITOR_HEADER: owner_id}), timeout=10)
    mallory = bob  # whose browser forgets Bob
    forge(mallory, owner_id)
    mallory.goto(f"{server}/train?run={run}")
    expect(mallory.get_by_role("button", name="You: Ada")).to_be_visible()
    expect(mallory.get_by_text("Only Ada, who started it")).to_be_visible()
    for name in CONTROLS:
        expect(control(mallory, name)).to_have_count(0)

    # Ada closes the tab, comes back in a new one, and the run is still Ada's; so is its end.
    context = ada.context
    ada.close()
    ada = context.new_page()
    ada.goto(f"{server}/")
    expect(ada.get_by_text("Now training")).to_be_visible()
    expect(ada.get_by_text("number 1 in the queue")).to_be_visible()
    visit(ada, f"{server}/train?run={run}", "Train")
    expect(ada.get_by_role("button", name="You: Ada")).to_be_visible()
    control(ada, "Stop").click()
    expect(control(ada, "Resume")).to_be_visible()
    control(ada, "Delete").click()
    # For a moment, a page that is drawn again has both its old and its new button.
    expect(ada.get_by_role("button", name="Delete it")).to_have_count(1)
    ada.get_by_role("button", name="Delete it").click()
    expect(ada.get_by_text(f"The run {run} is deleted.")).to_be_visible()
    listed = {row["id"]: row.get("owner") for row in ask(f"{server}/api/runs")[1]}
    assert run not in listed and listed[waiting] == "Bob"

    # Bob's run has started meanwhile; the host ends it, from a browser that has forgotten whose it was.
    host = ada
    forget([host])
    host.goto(f"{server}/train?run={waiting}")
    host.get_by_role("button", name=re.compile("You: Guest")).click()
    field = host.get_by_role("textbox", name="The host's token")
    field.fill("sesame")
    field.press("Enter")
    expect(host.get_by_text("That is not the host's token.")).to_be_visible()
    field.fill(ADMIN_TOKEN)
    field.press("Enter")
    control(host, "Stop").click()
    expect(control(host, "Resume")).to_be_visible()


def test_a_slow_browser_is_shown_the_recipes_settings(fresh: Page, server: str) -> None:
    """The script runs twice when a page is opened, and what draws a number may arrive after that."""

    def later(route: Route) -> None:
        time.sleep(1)
        route.continue_()

    fresh.route(re.compile(r"/(NumberInput|Checkbox)\.[^/]*js"), later)
    fresh.goto(f"{server}/train")
    expect(fresh.get_by_role("button", name=re.compile("You: Guest"))).to_be_visible()
    expect(fresh.get_by_role("spinbutton", name="Latent size (numbers)")).to_have_value("64")
    fresh.wait_for_timeout(1000)
    expect(fresh.get_by_role("spinbutton", name="Latent size (numbers)")).to_have_value("64")


def test_a_browser_that_keeps_nothing_still_trains(page: Page, server: str) -> None:
    script = (
        "for (const store of ['localStorage', 'sessionStorage'])"
        "Object.defineProperty(window, store, { get() { throw new DOMException('blocked', 'SecurityError'); } });"
    )
    tools = page.context.new_cdp_session(page)  # unlike Playwright, it can take a script back
    tools.send("Page.enable")
    added = tools.send("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    page.goto(f"{server}/train")
    launch(page)
    control(page, "Stop").click()
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("button", name=re.compile("You: Guest"))).to_be_visible()
    assert page.evaluate("() => { try { return localStorage; } catch { return 'blocked'; } }") == "blocked"
    tools.send("Page.removeScriptToEvaluateOnNewDocument", added)
    page.goto(f"{server}/_stcore/health")  # the script is gone, and the app's address has a storage again


def test_a_name_is_no_link_emoji_or_icon(people: tuple[Page, Page], server: str) -> None:
    ada, bob = people
    names = {"evil": "www.evil.example https://evil.example/x", "smile": "a@b.de :smile: :material/home: :red[x]"}
    for word, name in names.items():
        call_oneself(ada, server, name)
        launch(ada)
        visit(bob, f"{server}/", "DCGAN Workshop")
        expect(bob.get_by_text("Now training")).to_be_visible()
        shown = bob.get_by_test_id("stMain").get_by_text(re.compile(word))
        expect(shown.first).to_be_visible()
        assert name in shown.first.inner_text().replace("\u2060", "")
        expect(bob.get_by_test_id("stMain").locator("a[href*='evil'], a[href*='b.de'], a[href^='mailto']")).to_have_count(0)
        control(ada, "Stop").click()
        expect(control(ada, "Resume")).to_be_visible()
