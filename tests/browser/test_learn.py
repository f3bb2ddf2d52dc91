"""The page Learn in a real browser: the figure of the plane by mouse and keyboard, its mission, and progress that stays."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from gan.course.lessons import LESSONS
from tests.browser.conftest import fits_a_phone
from tests.browser.steps import open_page, script_runs, visit

STEPS = "document.querySelector('.plane').figure.game.steps"
# Every third pixel: what the canvas shows.
PICTURE = "() => { const c = document.querySelector('.plane-canvas'); return c.toDataURL(); }"
# A shortcut to a state that training reaches by itself: all generated points at the modes, or all at one of them.
REPORT = "found => { const f = document.querySelector('.plane').figure; f.seen = { found, of: 8, close: 1 }; for (let i = 0; i < 3; i++) f.report(); }"


@pytest.fixture
def page(tab: Page) -> Page:
    """One visitor goes through the lessons; a test that meets goals of a lesson is the only one that does."""
    tab.emulate_media(reduced_motion="no-preference")
    return tab


def opened(page: Page, server: str) -> None:
    visit(page, f"{server}/learn?lesson=plane", "Learn")
    expect(page.locator(".plane.figure-ready")).to_be_visible()


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

    def met(found: int, goal: str) -> None:
        page.evaluate(REPORT, found)
        expect(page.get_by_test_id("stMarkdown").filter(has_text=goal)).to_contain_text("check_circle")

    met(8, "Reach all 8")
    met(1, "Break it")
    # Neither a game that recovers by itself nor a new one is treated.
    page.evaluate(REPORT, 8)
    page.get_by_role("button", name="Reset").click()
    page.evaluate(REPORT, 8)
    page.evaluate("document.querySelector('.plane').figure.game.steps = 2000")
    page.evaluate(REPORT, 1)
    page.get_by_role("button", name="Equal rates, no momentum").click()
    expect(page.get_by_text("Mission passed.")).to_have_count(0)
    met(8, "Fix the broken game")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    other = page.context.new_page()
    opened(other, server)
    expect(other.get_by_text("Mission passed.")).to_be_visible()
    other.close()


def test_a_link_to_a_lesson_shows_its_top_and_its_figure_does_not_lead_back(newcomer: Page, server: str) -> None:
    open_page(newcomer, f"{server}/learn", "Learn")
    following = newcomer.get_by_role("link", name=re.compile("^Next: The game"))
    following.scroll_into_view_if_needed()
    following.click()
    expect(newcomer.locator(".plane.figure-ready")).to_be_visible()
    expect(newcomer).to_have_url(re.compile(r"/learn\?lesson=plane$"))
    assert newcomer.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    newcomer.evaluate(REPORT, 8)
    expect(newcomer.get_by_text("Goal 1 of 3 done: Reach all 8 modes")).to_be_visible()
    expect(newcomer.get_by_role("heading", name="The game on a plane")).to_be_visible()
    newcomer.go_back()
    expect(newcomer.get_by_role("heading", name="Real or fake?")).to_be_visible()
    expect(newcomer).to_have_url(re.compile(r"/learn\?lesson=real-or-fake$"))


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
    visit(page, f"{server}/learn?lesson=losses", "Learn")
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
    expect(mission.filter(has_text="Drag the densities apart")).to_contain_text("check_circle")
    page.get_by_role("slider", name="D(G(z))").press("Home")
    expect(page.locator(".losses-slope-words")).to_contain_text("minimax −0.01, non-saturating −0.99")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)


def test_transposed_convolution_step_by_step_and_the_chain_of_a_generator(page: Page, server: str) -> None:
    visit(page, f"{server}/learn?lesson=transposed", "Learn")
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

    # Refused settings get a sentence; the mission is passed with the lecture's layers.
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

    # How often outputs are written is shown after a prediction, and only a right one counts.
    writes, checker = page.locator(".transposed-writes"), page.locator(".transposed-checker")
    yes, no = (page.get_by_role("button", name=name) for name in ("Yes, a checkerboard", "No, even outputs"))
    choose(kernel=3)
    expect(writes).to_be_hidden()
    no.click()
    expect(checker).to_contain_text("Not quite. A kernel of 3 is not a multiple of the stride 2")
    expect(writes).to_be_visible()
    expect(yes).to_be_hidden()
    choose(kernel=5)
    yes.press("Enter")
    expect(checker).to_contain_text("Right. A kernel of 5")
    expect(mission.filter(has_text="Predict a checkerboard")).to_contain_text("check_circle")
    choose(kernel=4)
    expect(page.get_by_text("Mission passed.")).to_have_count(0)
    no.click()
    expect(checker).to_contain_text("no checkerboard")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)


def test_three_rounds_of_real_or_fake_by_mouse_and_by_keyboard(page: Page, server: str) -> None:
    visit(page, f"{server}/learn", "Learn")
    expect(page.locator(".quiz-tile")).to_have_count(12)
    check, mission = page.locator(".quiz-check"), page.get_by_test_id("stMarkdown")
    expect(check).to_be_disabled()
    # In D's place, by mouse. The test reads the truth from the figure.
    truths = page.evaluate("(() => { const f = document.querySelector('.quiz').figure; return f.dealt.map((_, i) => f.truth(i)); })()")
    for number, truth in enumerate(truths, 1):
        page.get_by_role("button", name=f"Image {number} is {truth}", exact=True).click()
    expect(check).to_have_text("Check")
    check.click()
    expect(page.locator(".quiz-score")).to_contain_text("You got 12 of 12 right, D ")
    expect(page.get_by_role("img", name=re.compile(f"Image 1 is {truths[0]}. You said {truths[0]}. D answered 0"))).to_be_visible()
    for goal in ("Get 10 of 12 right", "Get at least as many right as D"):
        expect(mission.filter(has_text=goal)).to_contain_text("check_circle")

    # The second round by keyboard: all fake. The focus has moved to "Next round" by itself.
    page.keyboard.press("Enter")
    expect(page.locator(".quiz-lead")).to_contain_text("Round 2: ")
    page.get_by_role("button", name="Image 1 is real", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Image 7 is real", exact=True)).to_be_focused()
    page.keyboard.press("ArrowUp")
    for _ in range(12):
        page.keyboard.press("f")
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Image 12 is fake", exact=True)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Image 12 is fake", exact=True)).to_have_attribute("aria-pressed", "false")
    check.press("Enter")
    page.get_by_role("button", name="Round 3").click()
    expect(page.locator(".quiz-lead")).to_contain_text("Round 3: ")
    page.set_viewport_size({"width": 390, "height": 844})
    for number in range(1, 13):
        page.get_by_role("button", name=f"Image {number} is real", exact=True).click()
    check.click()
    expect(page.locator(".quiz-table tbody tr")).to_have_count(3)
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    fits_a_phone(page)
    before = page.evaluate("document.querySelector('.quiz').figure.dealt")
    page.get_by_role("button", name="New images").click()
    assert page.evaluate("document.querySelector('.quiz').figure.dealt") != before
    page.reload()
    expect(page.get_by_text("Mission passed.")).to_be_visible()


def test_images_that_do_not_arrive_are_said_and_come_at_the_next_press(newcomer: Page, server: str) -> None:
    newcomer.route("**/assets/course/real-or-fake-1.json", lambda route: route.fulfill(status=503, body="missing"))
    open_page(newcomer, f"{server}/learn", "Learn")
    expect(newcomer.locator(".quiz-fault")).to_have_text("The images cannot be loaded: press the round again. (missing)")
    newcomer.unroute("**/assets/course/real-or-fake-1.json")
    newcomer.get_by_role("button", name="Round 1").click()
    expect(newcomer.locator(".quiz-tile")).to_have_count(12)
    expect(newcomer.locator(".quiz-fault")).to_have_text("")


def test_companions_change_an_image_until_the_averages_are_used(page: Page, server: str) -> None:
    visit(page, f"{server}/learn?lesson=batch-norm", "Learn")
    mission, words, slider = page.get_by_test_id("stMarkdown"), page.locator(".bnorm-words"), page.get_by_role("slider", name="Companions")
    expect(words).to_contain_text("0.0%")
    expect(page.locator(".bnorm-companions canvas")).to_have_count(7)
    yours = "document.querySelector('.bnorm-yours canvas').toDataURL()"
    first = page.evaluate(yours)
    slider.press("End")
    expect(words).to_contain_text("visibly. Its vector is the same.")
    expect(mission.filter(has_text="Make one vector draw")).to_contain_text("check_circle")
    assert page.evaluate(yours) != first
    slider.press("Home")
    expect(words).to_contain_text("0.0%")
    assert page.evaluate(yours) == first, "the same batch again"

    # A channel far from its average, by pressing its bar: the text alternative says which one is the largest.
    bars = page.locator(".bnorm-shifts")
    label = bars.get_attribute("aria-label") or ""
    largest = int(re.findall(r"largest is channel (\d+)", label)[0])
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    assert box
    bars.click(position={"x": (largest + 0.5) / 128 * box["width"], "y": 30})
    expect(page.locator(".bnorm-numbers")).to_contain_text(f"Channel {largest}: ")
    expect(page.get_by_role("slider", name="Channel")).to_have_value(str(largest))
    expect(mission.filter(has_text="Choose a channel")).to_contain_text("check_circle")
    page.get_by_role("combobox", name="Layer").select_option("2")
    expect(page.get_by_role("slider", name="Channel")).to_have_attribute("max", "31")

    page.get_by_role("button", name="Eval mode").press("Enter")
    before = page.evaluate(yours)
    slider.press("End")
    expect(words).to_contain_text("Eval mode: your image has changed by 0.0%.")
    assert page.evaluate(yours) == before
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.get_by_role("combobox", name="Your vector").select_option("a 8")
    expect(slider).to_have_value("0")
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    expect(page.locator(".bnorm-numbers")).to_contain_text("Channel 0: ")
    fits_a_phone(page)


RIGHT = "() => { const { figure } = document.querySelector('.clinic'); return figure.data.options.find(([t]) => t === figure.case.trouble)[1]; }"


def test_cases_are_diagnosed_and_the_doctor_answers(page: Page, server: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    visit(page, f"{server}/learn?lesson=clinic", "Learn")
    expect(page.locator(".clinic.figure-ready")).to_be_visible()
    grid, slider = page.locator(".clinic-grid"), page.get_by_role("slider", name="Point in training")
    expect(grid).to_have_attribute("aria-label", re.compile("36 generated images at step 700.*variety"))

    # Back in time by keyboard: images, scores and both charts follow.
    picture = "() => document.querySelector('.clinic-grid').toDataURL()"
    last = page.evaluate(picture)
    slider.press("Home")
    expect(page.locator(".clinic-step")).to_have_text("Step 50")
    expect(page.locator(".clinic-answers")).to_have_attribute("aria-label", re.compile(r"Step 50: D answers 0\.\d\d to real"))
    assert page.evaluate(picture) != last
    slider.press("End")
    typical = page.get_by_role("row", name="D's typical answer to generated images")
    expect(typical).to_contain_text("0.00")  # in the scale of the curves above it
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()

    # A wrong diagnosis, then right ones: after the first four, the mission's goal is met.
    page.get_by_role("button", name="Nothing, it is healthy").click()
    expect(page.locator(".clinic-verdict")).to_contain_text("Not quite")
    expect(page.locator(".clinic-result")).to_contain_text("The doctor: The discriminator wins, since step")
    expect(page.get_by_role("button", name="Classes are missing")).to_be_disabled()
    for number in range(2, 6):
        page.get_by_role("button", name=f"Case {number}").press("Enter")
        page.get_by_role("button", name=page.evaluate(RIGHT), exact=True).click()
        expect(page.locator(".clinic-verdict")).to_have_text("Right.")
    expect(page.locator(".clinic-count")).to_have_text("4 right of 5 diagnosed.")
    expect(page.get_by_role("button", name="Case 1, wrong")).to_be_visible()
    expect(page.get_by_test_id("stMarkdown").filter(has_text="Give at least 4")).to_contain_text("check_circle")
    expect(page.locator(".clinic-result")).to_contain_text("generated images: −0.02 (rule")
    late: list[Route] = []  # the figure's module comes after the server has recognized the visitor and sent the diagnoses
    page.route("**/clinic_figure.js", lambda route: late.append(route))
    page.reload()
    expect(page.get_by_test_id("stMarkdown").filter(has_text="Give at least 4")).to_contain_text("check_circle")
    late[0].continue_()
    page.unroute("**/clinic_figure.js")
    expect(page.locator(".clinic-count")).to_have_text("4 right of 5 diagnosed.")
    expect(page.locator(".clinic-verdict")).to_contain_text("Not quite")
    page.route("**/course/case-6.json", lambda route: route.abort())
    page.get_by_role("button", name="Case 6").click()
    expect(page.locator(".clinic-fault")).to_contain_text("choose it again")
    page.unroute("**/course/case-6.json")
    page.get_by_role("button", name="Case 6").click()
    expect(page.locator(".clinic-fault")).to_be_empty()
    with script_runs(page):
        page.get_by_role("button", name="Start over").click()
    expect(page.locator(".clinic-result")).to_be_empty()
    expect(page.get_by_role("button", name="Nothing, it is healthy")).to_be_enabled()
    page.reload()
    expect(page.locator(".clinic.figure-ready")).to_be_visible()
    expect(page.locator(".clinic-count")).to_be_empty()
    page.set_viewport_size({"width": 390, "height": 844})
    fits_a_phone(page)


def test_the_space_of_images_by_mouse_and_by_keyboard(page: Page, server: str) -> None:
    visit(page, f"{server}/learn?lesson=space", "Learn")
    mission, line = page.get_by_test_id("stMarkdown"), page.locator(".space-lengths")
    expect(page.locator(".space-way-words")).to_contain_text("0% of the way")
    expect(page.locator(".space-faces button")).to_have_count(5)
    expect(page.locator(".space-eight canvas")).to_have_count(8)
    # To the middle of the straight line, by mouse on the chart.
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page.locator(".space-way-words")).to_contain_text("50% of the way: |z| is 4.")
    expect(page.get_by_role("img", name="50% of the way from seed 98 to seed 67, straight line")).to_be_visible()
    expect(mission.filter(has_text="On the straight line")).to_contain_text("check_circle")

    page.get_by_role("button", name="Face of seed 62").press("Enter")
    strength = page.get_by_role("slider", name="Strength")
    strength.press("End")
    expect(page.locator(".space-sum-words")).to_contain_text("more than needed")
    strength.press("ArrowLeft")
    expect(page.locator(".space-sum-words")).to_contain_text("a little more than most faces need")
    expect(mission.filter(has_text="Give a face glasses")).to_contain_text("check_circle")
    page.get_by_role("combobox", name="Add").select_option("long hair")
    expect(page.get_by_role("img", name="seed 62 plus long hair")).to_be_visible()
    page.get_by_role("slider", name="ψ").press("Home")
    expect(page.locator(".space-psi-words")).to_contain_text("Two faces differ by 0.0%")
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    expect(page.get_by_text("Mission passed.")).to_be_visible()
    expect(page.locator(".space-eight canvas")).to_have_count(8)
    fits_a_phone(page)
    page.get_by_role("link", name="Do arithmetic in Explore").click()
    expect(page.get_by_role("heading", name="Explore")).to_be_visible()
    assert page.url.endswith("/explore?from=faces&view=Arithmetic")


def test_the_marks_fit_in_one_row_of_a_phone_and_follow_the_keyboard(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{server}/learn?lesson=losses", "Learn")
    marks = page.locator(".st-key-marks a:visible")
    expect(marks).to_have_count(len(LESSONS))
    boxes = [mark.bounding_box() for mark in marks.all()]
    assert len({round(box["y"]) for box in boxes}) == 1 and all(box["height"] >= 44 and box["width"] >= 36 for box in boxes)
    fits_a_phone(page)
    expect(page.get_by_role("link", name="1. Real or fake?")).to_be_visible()
    marks.first.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="2. The game on a plane")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The game on a plane")).to_be_visible()


def test_an_experiment_is_chosen_and_predicted_before_it_can_start(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{server}/learn?lesson=rules", "Learn")
    start = page.get_by_role("button", name="Start both runs")
    expect(start).to_be_disabled()
    page.get_by_text("Mirrored digits").click()
    expect(page.get_by_text("Changed: Mirror at random: no → yes.")).to_be_visible()
    choice = page.get_by_text("About the same")
    expect(choice).to_have_count(1)  # for a moment, the choice of the experiment before is still there
    choice.click()
    expect(start).to_be_enabled()
    fits_a_phone(page)


def test_experiments_and_cases_by_finger(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    page = context.new_page()
    visit(page, f"{server}/learn?lesson=rules", "Learn")
    page.get_by_text("Dense layers").tap()
    expect(page.get_by_text("dcgan → mlp")).to_be_visible()  # until then, the choice is that of the experiment before
    worse = page.get_by_role("radio", name="Worse")
    expect(worse).to_have_count(1)
    worse.tap()
    expect(page.get_by_role("button", name="Start both runs")).to_be_enabled()
    assert page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('[class*=st-key-experiment] button')].map(b => b.offsetHeight)) >= 44"
    )
    fits_a_phone(page)

    visit(page, f"{server}/learn?lesson=clinic", "Learn")
    expect(page.locator(".clinic.figure-ready")).to_be_visible()
    page.get_by_role("button", name="Case 3").tap()
    slider = page.get_by_role("slider", name="Point in training")
    expect(slider).to_have_attribute("aria-valuetext", "Step 450")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    expect(slider).not_to_have_attribute("aria-valuetext", "Step 450")
    page.get_by_role("button", name="The generator has collapsed").tap()
    expect(page.locator(".clinic-verdict")).to_have_text("Right.")
    fits_a_phone(page)
    context.close()
