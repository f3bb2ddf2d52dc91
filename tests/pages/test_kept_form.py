"""The form of a new run keeps what was put in while the visitor is elsewhere, and says what differs from the recipe."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from gan.runs.run import Run
from tests.pages.apps import button, open_settings, texts
from ui import page_files as pages
from ui import workshop
from ui.config_form import KEY, OTHERS
from ui.next_step import BREAK, TRY
from ui.train import new_run
from ui.train.start_from import CHOSEN, NEW

Open = Callable[..., AppTest]


def go(at: AppTest, page: str) -> AppTest:
    at.switch_page(f"../pages/{page}.py").run()
    assert not at.exception, at.exception
    return at


def said(at: AppTest) -> str:
    return texts(at.caption).replace("\\", "")


def test_what_was_put_in_is_there_after_another_page_and_can_be_undone(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    assert "You changed" not in said(at)
    at.selectbox(key="recipe").select("lecture").run()
    usual = at.number_input(key=KEY + "batch_size").value
    at.number_input(key=KEY + "batch_size").set_value(7)
    at.number_input(key=KEY + "beta2").set_value(0.9).run()
    go(go(at, "glossary"), "train")
    assert at.selectbox(key="recipe").value == "lecture" and at.number_input(key=KEY + "batch_size").value == 7
    assert "You changed: Batch size, Gradient scale memory." in said(at)
    button(at, "Undo these changes").click().run()
    assert at.number_input(key=KEY + "batch_size").value == usual and "You changed" not in said(at)
    assert at.selectbox(key="recipe").value == "lecture"


def test_a_run_that_was_looked_at_leaves_the_form_and_one_that_was_started_does_not(open_page: Open, finished: Run) -> None:
    at = open_page(pages.TRAIN)
    at.number_input(key=KEY + "batch_size").set_value(7).run()
    at.selectbox(key="run").select(finished.id).run()
    at.selectbox(key="run").select(pages.NEW_RUN).run()
    assert at.number_input(key=KEY + "batch_size").value == 7
    button(at, "Train").click().run()
    (run,) = (run for run in workshop.manager().runs() if run is not finished)
    assert run.config.batch_size == 7
    at.run()  # as its live view does
    at.selectbox(key="run").select(pages.NEW_RUN).run()
    assert at.number_input(key=KEY + "batch_size").value != 7
    workshop.manager().stop(run.id)


def test_settings_that_are_wrong_on_purpose_are_gone_afterwards(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.number_input(key=KEY + "batch_size").set_value(7).run()
    go(at, "glossary")
    at.query_params[TRY] = BREAK
    go(at, "train").run()
    assert at.number_input(key=KEY + "label_flips").value == 0.5 and "You changed" not in said(at)
    go(at, "glossary")
    at.query_params.clear()
    go(at, "train")
    assert at.number_input(key=KEY + "label_flips").value == 0 and "You changed: Batch size." in said(at), "the visitor's own is back"


def test_settings_of_another_run_start_from_new_networks(open_page: Open, finished: Run) -> None:
    at = open_page(pages.TRAIN)
    at.selectbox(key=CHOSEN).select("faces-run").run()
    assert go(go(at, "glossary"), "train").selectbox(key=CHOSEN).value == "faces-run"
    at.selectbox(key="run").select(finished.id).run()
    button(at, "New run with these settings").click().run()
    assert at.selectbox(key=CHOSEN).value == NEW and at.number_input(key=KEY + "batch_size").value == finished.config.batch_size


def test_who_leaves_before_the_form_is_drawn_again_finds_it_later(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(pages.TRAIN)
    at.number_input(key=KEY + "batch_size").set_value(7).run()
    go(at, "glossary")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(new_run, "config_form", lambda *given: st.stop())
        go(at, "train")
        go(at, "glossary")
    assert go(at, "train").number_input(key=KEY + "batch_size").value == 7


def test_undo_goes_back_to_what_filled_the_form_and_to_new_networks(open_page: Open, finished: Run) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    button(at, "New run with these settings").click().run()
    assert "You changed" not in said(at)
    at.selectbox(key=CHOSEN).select("faces-run").run()
    assert "You changed: " in said(at) and "Image size" in said(at)
    button(at, "Undo these changes").click().run()
    assert at.selectbox(key=CHOSEN).value == NEW and "You changed" not in said(at)
    assert at.number_input(key=KEY + "batch_size").value == finished.config.batch_size


def test_networks_that_do_not_fit_are_said_next_to_the_button_which_waits(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.selectbox(key=CHOSEN).select("faces-run").run()
    assert not at.error and not button(at, "Train").disabled
    at.selectbox(key=KEY + "image_size").select(32).run()
    assert texts(at.error) == "The trained networks that you start from need other settings: Image size." and button(at, "Train").disabled
    button(at, "Start from new networks").click().run()
    assert not at.error and not button(at, "Train").disabled


def test_all_settings_stay_open_or_closed_as_the_visitor_left_them(open_page: Open) -> None:
    at = open_page(pages.TRAIN)
    hidden = KEY + "beta2"
    assert hidden not in [e.key for e in at.number_input], "a closed form does not draw its rarer settings"
    assert at.session_state[hidden] == 0.999
    open_settings(at).number_input(key=hidden).set_value(0.9).run()
    go(go(at, "glossary"), "train")
    assert at.number_input(key=hidden).value == 0.9 and "You changed: Gradient scale memory." in said(at)
    at.session_state[OTHERS] = False
    at.run()
    go(go(at, "glossary"), "train")
    assert hidden not in [e.key for e in at.number_input] and at.session_state[hidden] == 0.9
    assert "You changed: Gradient scale memory." in said(at), "what is closed counts"
    open_settings(at).number_input(key=hidden).set_value(0.8).run()
    go(go(at, "glossary"), "train")
    assert at.number_input(key=hidden).value == 0.8, "not the value from when it was closed"


def test_a_wrong_setting_opens_all_settings(open_page: Open) -> None:
    at = open_page(pages.TRAIN)
    at.session_state[KEY + "r1"] = 3.0
    at.run()
    assert at.number_input(key=KEY + "r1").value == 3 and "R1 penalty must be 0" in texts(at.markdown)


def test_a_setting_that_was_hidden_for_a_while_keeps_what_was_put_in_later(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    name = KEY + "generator_upsampling"
    at.selectbox(key=KEY + "networks").select("mlp").run()
    assert name not in [e.key for e in at.selectbox]
    at.selectbox(key=KEY + "networks").select("dcgan").run()
    at.selectbox(key=name).select("resize").run()
    assert go(go(at, "glossary"), "train").selectbox(key=name).value == "resize"
