"""The settings form says what is wrong at the field and next to the button, in its own words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from gan.config import TrainConfig
from gan.data import uploads
from gan.recipes import RECIPES
from gan.runs import sizes
from gan.runs.run import Run
from tests.conftest import finish
from tests.data.test_uploads import packed, pets, picture
from tests.pages.apps import button, open_settings, texts
from ui import config_form
from ui import page_files as pages
from ui.config_form import KEY, rounded
from ui.form_words import in_form_words
from ui.train import new_run

Open = Callable[..., AppTest]


def shown(at: AppTest) -> str:
    """The texts of the page without Markdown's escapes."""
    return texts([*at.markdown, *at.error, *at.caption]).replace("\\", "")


def test_the_form_has_every_field_with_its_help(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    shown = {getattr(element, "key", None) for element in at.main}
    hidden = [name for name in TrainConfig.model_fields if KEY + name not in shown]
    elsewhere = ("batch_norm_over", "self_attention", "style_mixing")  # for torchrun alone; for other kinds of networks
    assert hidden == [
        *elsewhere,
        "patch",
        "direction",
        "adversarial_weight",
        "l1_weight",
        "cycle_weight",
        "identity_weight",
        "image_buffer",
        "schedule_start",
        "schedule",
        "lr_end",
        "penalty_end",
        "beta2_end",
        "average_half_life_end",
    ]  # they need a schedule, or networks that translate images
    at.number_input(key=KEY + "schedule_images").set_value(1000).run()
    values = TrainConfig().model_dump() | {"schedule_images": 1000}
    for name, info in TrainConfig.model_fields.items():
        if not TrainConfig.has_effect(name, values):
            continue
        widget: Any = at.get_by_key(KEY + name)
        assert info.title in widget.label and widget.help == info.description, name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch_size", 5000, "Batch size must be at most 1,024; got 5,000"),
        ("batch_size", 1, "Batch size must be at least 2; got 1"),
        ("lr_d", 0.5, "Discriminator learning rate must be at most 0.1; got 0.5"),
        ("duration", 0.0, "Train for must be above 0; got 0"),
        ("r1", 3.0, "R1 penalty must be 0, or Discriminator normalization set to none"),
        ("seed", -5, "Seed must be at least 0; got -5"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_next_to_the_button(open_page: Open, name: str, value: float, said: str) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.number_input(key=KEY + name).set_value(value).run()
    assert said in texts(at.error).replace("\\", "") and said in texts(at.markdown).replace("\\", "")
    assert button(at, "Train").disabled and not at.exception
    at.number_input(key=KEY + name).set_value(getattr(TrainConfig(), name)).run()
    assert not at.error and ":red[" not in texts(at.markdown) and not button(at, "Train").disabled


def test_settings_that_do_not_go_together_are_explained_in_the_forms_words(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.selectbox(key=KEY + "loss").select("wasserstein").run()
    said = texts(at.error).replace("\\", "")
    assert said.startswith("Loss wasserstein needs Clip the weights, Gradient penalty, or Spectral normalization with Discriminator")
    assert "_" not in said


def test_every_rule_of_the_settings_reads_in_the_forms_words() -> None:
    for fields in (
        {"real_label": 0.5, "fake_label": 0.5},
        {"loss": "hinge", "label_flips": 0.2},
        {"gradient_penalty": 3},
        {"loss": "wasserstein"},
        {"weight_clip": 0.1, "spectral_norm": True},
        {"batch_size": 9, "packing": 2},
        {"conditional": True, "packing": 2},
        {"batch_size": 5000, "latent_dim": 1},
    ):
        with pytest.raises(ValueError) as caught:
            TrainConfig(**fields)  # type: ignore[arg-type]
        words = in_form_words(str(caught.value))
        assert not [name for name in TrainConfig.model_fields if "_" in name and name in words], words
    assert in_form_words("packing must be 1 with conditional: a pack") == "Packing must be 1 with Conditional: a pack"
    assert in_form_words("there is no data set 'data_2024'; got 2024") == "there is no data set 'data_2024'; got 2,024"


def test_settings_of_other_networks_are_hidden_and_a_recipe_s_come_back_whole(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))

    def drawn(name: str) -> bool:
        return any(getattr(element, "key", None) == KEY + name for element in at.main)

    for networks, has_norm, has_head in (("mlp", True, False), ("residual", False, False), ("dcgan", True, True)):
        at.selectbox(key=KEY + "networks").select(networks).run()
        assert (drawn("generator_norm"), drawn("discriminator_head")) == (has_norm, has_head), networks
    at.number_input(key=KEY + "r1").set_value(1.0).run()
    at.selectbox(key=KEY + "networks").select("pix2pix").run()
    assert drawn("l1_weight") and not any(map(drawn, ("latent_dim", "r1", "cycle_weight")))
    assert "The data set mnist has no pairs of images" in texts(at.error) and "r1" not in texts(at.error).lower()
    at.selectbox(key=KEY + "data").select("blobs").run()
    assert not at.error
    for name in ("wgan-gp", "pix2pix", "r3gan-small", "wgan-gp", "stylegan-small", "cyclegan", "mlp", "pyimagesearch"):
        at.selectbox(key="recipe").select(name).run()
        chosen = {field: at.session_state[KEY + field] for field in TrainConfig.model_fields if KEY + field in at.session_state}
        of_data = ("data", "data_split", "image_size", "channels", "fit", "background")
        wanted = {field: value for field, value in RECIPES[name].config.model_dump().items() if field not in of_data}
        assert {field: value for field, value in chosen.items() if field not in of_data} == wanted, name


def test_an_empty_end_of_a_schedule_leaves_the_setting_alone(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.number_input(key=KEY + "schedule_images").set_value(1000).run()
    field = at.number_input(key=KEY + "beta2_end")
    assert field.value is None and not at.exception
    field.set_value(2.0).run()
    assert "Gradient scale memory ends at must be below 1; got 2" in texts(at.error)
    at.number_input(key=KEY + "beta2_end").set_value(0.99).run()
    assert not at.error and not at.exception
    at.number_input(key=KEY + "average_half_life_end").set_value(64).run()
    at.number_input(key=KEY + "beta2_end").set_value(None).run()
    assert not at.error and not at.exception and at.number_input(key=KEY + "beta2_end").value is None


def test_a_number_goes_in_steps_of_its_kind(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    assert at.number_input(key=KEY + "lr_g").step == pytest.approx(1e-4)
    at.number_input(key=KEY + "lr_g").set_value(2e-6).run()
    assert at.number_input(key=KEY + "lr_g").step == pytest.approx(1e-7)
    assert at.number_input(key=KEY + "batch_size").step == 8 and at.number_input(key=KEY + "beta2").step == pytest.approx(0.001)


def test_the_dice_draw_another_seed(open_page: Open) -> None:
    at = open_page(pages.TRAIN)
    seeds = set()
    for _ in range(3):
        at.button(key=f"{KEY}seed_roll").click().run()
        seeds.add(at.number_input(key=KEY + "seed").value)
    assert len(seeds) > 1 and not at.error


def test_a_duration_is_rounded_where_it_is_shown_and_copied(open_page: Open, finished: Run) -> None:
    content = finished.folder.read_config()[1]
    content["config"]["duration"] = 10.533617929562434
    finished.folder.write_json(finished.folder.config_file, content)
    at = open_page(pages.TRAIN, run=finished.id)
    assert at.number_input(key="longer_amount").value == 10.53
    table = at.table[0].value.to_string()  # str() leaves out the middle of a long one
    assert "10.5336" not in shown(at) + table and "10.53" in table
    button(at, "New run with these settings").click().run()
    assert at.number_input(key=KEY + "duration").value == 10.53
    assert rounded(123_456.7) == 123_457


def test_how_much_longer_is_refused_at_its_field(open_page: Open, finished: Run) -> None:
    at = open_page(pages.TRAIN, run=finished.id)
    at.number_input(key="longer_amount").set_value(0.0).run()
    assert "How much longer must be above 0" in shown(at) and button(at, "Continue training").disabled
    at.number_input(key="longer_amount").set_value(5.0).run()
    assert not button(at, "Continue training").disabled


def test_a_chosen_data_set_stays_when_another_recipe_is_chosen(open_page: Open) -> None:
    at = open_settings(open_page(pages.TRAIN))
    at.selectbox(key="recipe").select("lecture").run()
    assert "stays" not in shown(at)  # nobody has chosen a set
    at.selectbox(key="recipe").select("quick-digits").run()
    at.selectbox(key=KEY + "data").select("blobs").run()
    assert "Made for mnist: other images may need more time. Source:" in shown(at) and "Clear digits" not in shown(at)
    assert "No settings can be suggested for blobs: there is no data set 'blobs'" in shown(at), "its folder is gone"
    at.selectbox(key=KEY + "fit").select("pad").run()
    at.selectbox(key="recipe").select("lecture").run()
    assert at.selectbox(key=KEY + "fit").value == "pad", "it belongs to the data set"
    assert at.selectbox(key=KEY + "data").value == "blobs" and at.number_input(key=KEY + "latent_dim").value == 100
    assert "Your data set blobs stays. The recipe's own is mnist." in shown(at)
    at.selectbox(key=KEY + "data").select("mnist").run()
    assert "stays" not in shown(at)


def test_a_recipe_that_needs_classes_says_so_where_the_chosen_set_has_none(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (new_run, config_form):
        monkeypatch.setattr(module, "lacks_classes", lambda name: name == "blobs")
    at = open_page(pages.TRAIN)
    at.selectbox(key=KEY + "data").select("blobs").run()
    at.selectbox(key="recipe").select("conditional").run()
    assert "blobs has none, so the recipe's own mnist is chosen" in shown(at) and at.selectbox(key=KEY + "data").value == "mnist"
    at.selectbox(key=KEY + "data").select("blobs").run()
    assert "The data set blobs has no classes, but Conditional needs them" in texts(at.error).replace("\\", "")
    assert button(at, "Train").disabled


def test_an_upload_without_folders_is_known_to_have_no_classes(folders: Path) -> None:
    finish(uploads.add(pets(), "sorted", "x.zip"))
    finish(uploads.add(packed(*((f"{i}.png", picture()) for i in range(3))), "flat", "y.zip"))
    assert sizes.lacks_classes("flat") and not any(sizes.lacks_classes(name) for name in ("sorted", "mnist", "faces", "gone"))
    config = RECIPES["conditional"].config.change(data="flat", batch_size=2)
    with pytest.raises(ValueError, match="the data set flat has no classes"):
        sizes.refuse_too_few(config)
    sizes.refuse_too_few(config.change(data="sorted"))
