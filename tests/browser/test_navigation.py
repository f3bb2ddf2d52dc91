"""The way between pages: Back takes one press, old links keep their view, the phone's menu closes, nothing is asked for in vain."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ADMIN_TOKEN
from tests.browser.steps import open_page


def test_back_takes_one_press_and_no_page_asks_in_vain(page: Page, server: str) -> None:
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    open_page(page, f"{server}/glossary", "Glossary")
    page.goto(f"{server}/explore?from=digits&view=Memory+or+invention%3F")
    expect(page.get_by_role("radio", name="Does it copy its training images?", checked=True)).to_be_visible()
    page.wait_for_url(re.compile(r"view=Does\+it\+copy"))  # under its present name
    page.get_by_role("radio", name="Pad").click()
    square = page.locator(".pad-square")
    expect(square).to_be_visible()
    page.wait_for_url(lambda address: "view=" not in address)
    for _ in range(2):
        square.press("ArrowRight")
    page.wait_for_url(re.compile("place="))
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Explore", exact=True)).to_be_visible()
    page.wait_for_url(re.compile("place="))
    page.go_back()
    expect(page.get_by_role("heading", name="Glossary", exact=True)).to_be_visible()
    assert not refused


def test_a_phone_sees_the_pad_at_once_and_its_menu_closes(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    context.set_default_timeout(30_000)
    page = context.new_page()
    open_page(page, f"{server}/explore", "Explore")
    for part in (".pad-square", ".pad-picture"):
        box = page.locator(part).bounding_box()
        assert box and box["y"] + box["height"] < 844 and box["width"] > 110, part
    expect(page.locator(".pad-corner")).to_have_text(["seed 1", "seed 2", "seed 3", "seed 4"])
    page.get_by_test_id("stExpandSidebarButton").tap()
    menu = page.get_by_test_id("stSidebar")
    expect(menu).to_have_attribute("data-collapsed", "false")
    menu.get_by_role("link", name="Glossary").tap()
    expect(page.get_by_role("heading", name="Glossary", exact=True)).to_be_visible()
    expect(menu).to_have_attribute("data-collapsed", "true")
    context.close()


def test_the_host_stays_the_host_after_a_reload_of_the_tab_and_no_longer(page: Page, server: str) -> None:
    open_page(page, f"{server}/glossary", "Glossary")
    page.get_by_role("button", name=re.compile("You: Guest")).click()
    field = page.get_by_role("textbox", name="The host's token")
    field.fill(ADMIN_TOKEN)
    field.press("Enter")
    expect(page.get_by_role("button", name=re.compile(r"\(host\)"))).to_be_visible()
    page.wait_for_function("() => sessionStorage.getItem('dcgan-workshop-host')")
    assert ADMIN_TOKEN not in page.evaluate("() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }])")
    page.reload()
    expect(page.get_by_role("button", name=re.compile(r"\(host\)"))).to_be_visible()
    other = page.context.new_page()  # another tab of the same browser
    open_page(other, f"{server}/glossary", "Glossary")
    expect(other.get_by_role("button", name=re.compile("You: Guest"))).not_to_contain_text("host")
    other.close()
    page.get_by_role("button", name=re.compile(r"\(host\)")).click()
    page.get_by_role("button", name="Stop being host").click()
    page.wait_for_function("() => !sessionStorage.getItem('dcgan-workshop-host')")
    page.reload()
    expect(page.get_by_role("button", name=re.compile("You: Guest"))).not_to_contain_text("host")
