"""The page Learn in a real browser: the figure of the plane by mouse and keyboard, its mission, and progress that stays."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import fits_a_phone
from tests.browser.steps import open_page

STEPS = "document.querySelector('.plane').figure.game.steps"
# Every third pixel: what the canvas shows.
PICTURE = "() => { const c = document.querySelector('.plane-canvas'); return c.toDataURL(); }"
# A short way to a state that training reaches by itself: all generated points at the modes, or all at one of them.
REPORT = "found => { const f = document.querySelector('.plane').figure; f.seen = { found, of: 8, close: 1 }; for (let i = 0; i < 3; i++) f.report(); }"


def opened(page: Page, server: str) -> None:
    open_page(page, f"{server}/learn", "Learn")
    expect(page.locator(".figure-ready")).to_be_visible()


def test_the_game_runs_pauses_and_takes_single_steps(page: Page, server: str) -> None:
    opened(page, server)
    before = page.evaluate(PICTURE)
    page.get_by_role("button", name="Step D", exact=True).click()
    expect(page.locator(".plane-news")).to_contain_text("D learned")
    after_d = page.evaluate(PICTURE)
    assert after_d != before and page.evaluate(STEPS) == 0
    page.get_by_role("button", name="Step G", exact=True).press("Enter")
    expect(page.locator(".plane-state")).to_contain_text("Step 1 ")
    assert page.evaluate(PICTURE) != after_d

    page.get_by_role("button", name="Run", exact=True).press(" ")
    page.wait_for_function(f"() => {STEPS} > 60")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".plane-news")).to_contain_text("the generator reaches")
    stopped = page.evaluate(STEPS)
    expect(page.locator(".plane-canvas")).to_have_attribute("aria-label", re.compile(rf"Ring of 8.*Step {stopped:,}: .*D's loss \d"))
    assert page.evaluate(STEPS) == stopped

    page.get_by_label("Slow motion").check()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".plane-news")).to_contain_text("D learned")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Reset").click()
    assert page.evaluate(STEPS) == 0 and page.evaluate(PICTURE) == before, "the same seed"


def test_settings_change_the_game_while_it_runs_or_begin_a_new_one(page: Page, server: str) -> None:
    opened(page, server)
    page.get_by_role("button", name="Step G", exact=True).click()
    page.get_by_role("button", name="Collapse", exact=True).click()
    expect(page.locator(".plane-news")).to_have_text("Preset: Collapse. A new game begins.")
    assert page.evaluate(STEPS) == 0
    page.get_by_role("button", name="Step G", exact=True).click()
    page.get_by_text("All settings").click()
    expect(page.get_by_label("Adam's β1")).to_have_value("0.9")
    expect(page.get_by_label("Clip D's weights at")).to_be_disabled()
    page.get_by_role("combobox", name="Loss", exact=True).select_option("Wasserstein, clipped")
    expect(page.get_by_label("Clip D's weights at")).to_be_enabled()
    assert page.evaluate(STEPS) == 1
    page.get_by_role("combobox", name="Points in a pack").select_option("4")
    assert page.evaluate(STEPS) == 0
    for name, text in (("Latent size", "1"), ("Latent distribution", "Uniform"), ("Hidden units", "8")):
        page.get_by_role("combobox", name=name).select_option(text)
    page.get_by_label("G's gradients").uncheck()
    for data in ("Grid of 25", "Line", "Spiral", "Two moons", "Ring of 8"):
        page.get_by_role("combobox", name="Real points").select_option(data)
        page.get_by_role("button", name="Step G", exact=True).click()
    assert page.evaluate(STEPS) == 5


def test_a_drawing_by_mouse_and_by_keyboard(page: Page, server: str) -> None:
    opened(page, server)
    page.get_by_role("combobox", name="Real points").select_option("Draw your own")
    dots = "document.querySelector('.plane').figure.dots.length"
    canvas = page.locator(".plane-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 50, steps=10)
    page.mouse.up()
    drawn = page.evaluate(dots)
    assert drawn >= 5
    canvas.focus()
    canvas.press("ArrowRight")
    expect(page.locator(".plane-reading")).to_contain_text("D at (")
    canvas.press(" ")
    assert page.evaluate(dots) == drawn + 1
    page.get_by_role("button", name="Clear the drawing").click()
    assert page.evaluate(dots) == 0


def test_the_mission_is_passed_and_stays_passed(page: Page, server: str) -> None:
    opened(page, server)
    expect(page.get_by_text("Your mission")).to_be_visible()
    page.evaluate("document.querySelector('.plane').figure.game.steps = 2000")
    for found, goal in ((8, "Reach all 8"), (1, "Break it"), (8, "Fix it")):
        page.evaluate(REPORT, found)
        expect(page.get_by_test_id("stMarkdown").filter(has_text=re.compile(goal))).to_contain_text("check_circle")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    other = page.context.new_page()
    opened(other, server)
    expect(other.get_by_text("Mission passed.")).to_be_visible()
    other.close()


def test_little_motion_and_a_phone(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="reduce", color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, server)
    page.get_by_text("All settings").click()
    fits_a_phone(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function(f"() => {STEPS} > 100")
    drawn = page.evaluate(
        """() => new Promise(done => { const view = document.querySelector('.plane').figure.view, draw = view.draw.bind(view); let n = 0, frames = 0;
        view.draw = (...rest) => { n++; draw(...rest); };
        const tick = () => ++frames < 20 ? requestAnimationFrame(tick) : done(n); requestAnimationFrame(tick); })"""
    )
    assert drawn <= 10, "far fewer pictures than frames"


def test_the_densities_follow_the_hand_and_the_keyboard(page: Page, server: str) -> None:
    open_page(page, f"{server}/learn?lesson=losses", "Learn")
    expect(page.locator(".losses.figure-ready")).to_be_visible()
    expect(page.locator(".losses-words")).to_contain_text("Wasserstein distance 2.500")
    generated = page.get_by_role("slider", name="Center of the generated")

    # The orange density by mouse, from its center at 1 to about -1.5, where the blue one is.
    line = page.locator(".losses-line")
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    assert box
    place = {x: box["x"] + box["width"] * (x + 6) / 12 for x in (1.0, -1.5)}
    page.mouse.move(place[1.0], box["y"] + 100)
    page.mouse.down()
    page.mouse.move(place[-1.5], box["y"] + 100, steps=5)
    page.mouse.up()
    assert abs(float(generated.input_value()) + 1.5) <= 0.05
    generated.fill("-1.5")
    for name in ("real", "generated"):
        page.get_by_role("slider", name=f"Width of the {name}").fill("1")
    mission = page.get_by_test_id("stMarkdown")
    expect(page.locator(".losses-words")).to_contain_text("Jensen-Shannon divergence 0.000")
    expect(page.locator(".losses-steps output").nth(2)).to_contain_text("= 0.500")
    expect(mission.filter(has_text="Make D* answer")).to_contain_text("check_circle")

    # The sliders by keyboard, to the ends: flat, then further.
    page.get_by_role("slider", name="Width of the real").fill("0.3")
    page.get_by_role("slider", name="Width of the generated").fill("0.3")
    page.get_by_role("slider", name="Center of the real").press("Home")
    generated.press("End")
    generated.press("ArrowLeft")
    page.get_by_role("slider", name="Center of the real").fill("-4")
    expect(page.locator(".losses-words")).to_contain_text("Jensen-Shannon divergence 0.693")
    page.get_by_role("slider", name="Center of the real").press("Home")
    expect(mission.filter(has_text="Drive the densities apart")).to_contain_text("check_circle")
    page.get_by_role("slider", name="D(G(z))").press("Home")
    expect(page.locator(".losses-slope-words")).to_contain_text("minimax −0.01, non-saturating −0.99")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)


def test_transposed_convolution_step_by_step_and_the_chain_of_a_generator(page: Page, server: str) -> None:
    open_page(page, f"{server}/learn?lesson=transposed", "Learn")
    expect(page.locator(".transposed.figure-ready")).to_be_visible()

    def choose(**settings: int) -> None:
        for name, value in settings.items():
            page.locator(f".transposed-{name}").select_option(str(value))

    # One value by a press and one by keyboard; the formula, both views, and the text alternative.
    choose(size=2, kernel=2, stride=2)
    page.get_by_role("img", name="Input, 2 by 2").click(position={"x": 5, "y": 5})
    grid = page.locator(".transposed-weights")
    grid.focus()
    grid.press("ArrowRight")
    grid.press(" ")
    expect(page.locator(".transposed-formula")).to_contain_text("= 4")
    expected = "Output, 4 by 4: 2 4 1 2; 2 2 1 1; 1 2 1 2; 1 1 1 1"
    expect(page.locator(".transposed-output")).to_have_attribute("aria-label", expected)
    page.get_by_label("View").select_option("slide")
    expect(page.locator(".transposed-output")).to_have_attribute("aria-label", expected)
    page.get_by_role("slider", name="Step").fill("3")
    expect(page.locator(".transposed-output")).to_have_attribute("aria-label", re.compile("2 4 1 empty; empty"))
    expect(page.locator(".transposed-step-words")).to_contain_text("Output 3 of 16")

    # Refused settings are said; the mission is passed with the lecture's layers.
    choose(outputPadding=3)
    expect(page.locator(".transposed-fault")).to_contain_text("must be smaller than the stride, 2; got 3")
    choose(outputPadding=0)
    expect(page.locator(".transposed-fault")).to_be_empty()
    page.get_by_role("button", name="Start at 1").click()
    for kernel, stride, padding in ((4, 1, 0), (3, 2, 1), (4, 2, 1), (4, 2, 1)):
        choose(kernel=kernel, stride=stride, padding=padding)
        page.get_by_role("button", name="Add this layer").click()
    expect(page.locator(".transposed-chain")).to_have_text("1 → 4 → 7 → 14 → 28")
    mission = page.get_by_test_id("stMarkdown")
    expect(mission.filter(has_text="Add the layers")).to_contain_text("check_circle")
    choose(kernel=3)
    expect(page.locator(".transposed-checker")).to_contain_text("which is the checkerboard")
    expect(mission.filter(has_text="Show a checkerboard")).to_contain_text("check_circle")
    choose(kernel=4)
    expect(page.locator(".transposed-checker")).to_contain_text("no checkerboard")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)
