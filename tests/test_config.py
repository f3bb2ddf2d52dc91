import pytest

from gan.config import GROUPS, TrainConfig, parse_setting
from gan.recipes import RECIPES, recipe


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 1}, ["batch_size", "2", "got 1"]),
        ({"batch_size": 64.5}, ["batch_size", "64.5"]),
        ({"image_size": 29}, ["image_size", "28, 32, 64 or 128", "29"]),
        ({"lr_g": float("nan")}, ["lr_g", "nan"]),
        ({"dropout": "much"}, ["dropout", "number", "'much'"]),
        ({"filters": 3}, ["filters", "not a setting"]),
        ({"duration": 0}, ["duration", "greater than 0"]),
        ({"real_label": 0.5, "fake_label": 0.5}, ["real_label must be larger than fake_label"]),
    ],
)
def test_a_bad_value_is_refused_with_field_value_and_rule(fields, words):
    with pytest.raises(ValueError) as caught:
        TrainConfig(**fields)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_field_says_what_a_form_needs():
    for name, info in TrainConfig.model_fields.items():
        assert info.title and info.description, name
        assert info.json_schema_extra["group"] in GROUPS, name


def test_a_config_survives_json_and_cannot_be_changed():
    config = TrainConfig(lr_g=1e-3, data="faces")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError):
        config.lr_g = 1.0
    assert config.change(seed=7).seed == 7
    with pytest.raises(ValueError, match="seed"):
        config.change(seed=-1)


def test_json_with_a_bad_value_is_refused_like_any_other():
    with pytest.raises(ValueError, match="batch_size must be"):
        TrainConfig.model_validate_json('{"batch_size": 0}')


def test_settings_are_parsed_from_text():
    assert parse_setting("image_size=64") == ("image_size", 64)
    assert parse_setting("horizontal_flip=true") == ("horizontal_flip", True)
    assert parse_setting("data=2024") == ("data", "2024")
    assert parse_setting("precision=bf16") == ("precision", "bf16")
    for text in ("image_size", "size=3", "=3"):
        with pytest.raises(ValueError):
            parse_setting(text)


def test_recipes_are_as_published():
    lecture, dcgan = recipe("lecture").config, recipe("dcgan").config
    assert (lecture.latent_dim, lecture.latent_distribution, lecture.batch_size, lecture.dropout) == (100, "uniform", 128, 0.2)
    assert (lecture.lr_g, lecture.beta1_g, lecture.lr_d, lecture.beta1_d, lecture.beta2) == (3e-4, 0.75, 2e-4, 0.9, 0.999)
    assert (lecture.duration, lecture.duration_unit, lecture.initialization, lecture.reuse_fakes) == (20, "epochs", "pytorch", False)
    assert (dcgan.latent_dim, dcgan.image_size, dcgan.channels, dcgan.batch_size) == (100, 64, 3, 128)
    assert (dcgan.lr_g, dcgan.lr_d, dcgan.beta1_g, dcgan.beta1_d, dcgan.initialization) == (2e-4, 2e-4, 0.5, 0.5, "dcgan")
    tutorial, article, glasses = (recipe(name).config for name in ("pyimagesearch", "polarsparc", "glasses"))
    assert (tutorial.data_split, tutorial.batch_size, tutorial.lr_g, tutorial.weight_decay) == ("all", 128, 2e-4, pytest.approx(1e-5))
    assert (tutorial.duration, tutorial.grid_images, tutorial.initialization) == (20, 256, "dcgan")
    assert (article.image_size, article.channels, article.batch_size, article.duration, article.seed) == (64, 1, 64, 3, 3)
    assert (glasses.lr_g, glasses.lr_d, glasses.dropout, glasses.duration, glasses.batch_size) == (2e-4, 1e-4, 0.1, 200, 128)
    assert (glasses.horizontal_flip, glasses.color_jitter, glasses.grid_every, glasses.reuse_fakes) == (True, 0.1, 10, True)
    with pytest.raises(ValueError, match="'nope'; choose one of quick-digits"):
        recipe("nope")
    assert all(item.name == name and item.summary and item.source for name, item in RECIPES.items())
