"""Train: a new run that starts from the networks of another one."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.runs.manager import RunManager
from gan.runs.run import Run
from tests.pages.apps import button, open_settings, texts
from tests.waiting import ended
from ui import page_files as pages
from ui.config_form import KEY


def test_a_run_begins_with_the_networks_of_another_one(open_page: Callable[..., AppTest], finished: Run, manager: RunManager) -> None:
    at = open_page(pages.TRAIN)
    at.selectbox(key="start_from").select(finished.id).run()
    assert not at.exception and at.number_input(key=KEY + "latent_dim").value == finished.config.latent_dim
    at.number_input(key=KEY + "latent_dim").set_value(finished.config.latent_dim + 1).run()
    assert "need other settings: Latent size." in texts(at.error)
    assert button(at, "Train").disabled
    button(at, "Use the settings they need").click().run()
    assert not at.error and at.number_input(key=KEY + "latent_dim").value == finished.config.latent_dim
    at.selectbox(key=KEY + "data").select("blobs").run()
    at.number_input(key=KEY + "batch_size").set_value(8).run()
    at.number_input(key=KEY + "duration").set_value(2.0).run()
    button(at, "Train").click().run()
    (run,) = [run for run in manager.runs() if run.id != finished.id]
    ended(run)
    assert run.stored.origin == {"run": finished.id, "step": finished.status().step}
    assert run.folder.start_file.exists() and isinstance(run.config, TrainConfig)


def test_the_digits_that_come_with_the_app_can_be_chosen(open_page: Callable[..., AppTest]) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.selectbox(key="start_from").select("digits-run").run()
    assert not at.exception and not at.error
    assert at.selectbox(key=KEY + "discriminator_norm").value == "none", "as in that run"
    at.selectbox(key="start_from").select("faces-run").run()
    assert not at.exception and not at.error
    assert (at.selectbox(key=KEY + "image_size").value, at.selectbox(key=KEY + "channels").value) == (64, 3)
