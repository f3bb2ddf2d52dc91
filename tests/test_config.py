from typing import Any

import pytest

from gan.config import GROUPS, TrainConfig, parse_setting
from gan.recipes import RECIPES, recipe


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 1}, ["batch_size", "2", "got 1"]),
        ({"batch_size": 64.5}, ["batch_size", "64.5"]),
        ({"image_size": 29}, ["image_size", "28, 32, 64, 128 or 256", "29"]),
        ({"lr_g": float("nan")}, ["lr_g", "nan"]),
        ({"dropout": "much"}, ["dropout", "number", "'much'"]),
        ({"filters": 3}, ["filters", "not a setting"]),
        ({"duration": 0}, ["duration", "greater than 0"]),
        ({"real_label": 0.5, "fake_label": 0.5}, ["real_label must be larger than fake_label"]),
        ({"loss": "hinge", "real_label": 0.9}, ["real_label must be 1", "hinge", "no labels", "0.9"]),
        ({"loss": "relativistic", "label_flips": 0.1}, ["label_flips must be 0", "0.1"]),
        ({"r1": 1.0}, ["r1 must be 0", "discriminator_norm 'none'", "1.0"]),
        ({"r2": 2.0}, ["r2 must be 0"]),
        ({"gradient_penalty": 10}, ["gradient_penalty must be 0", "whole batch"]),
        ({"loss": "wasserstein"}, ["weight_clip", "gradient_penalty", "spectral_norm", "slope"]),
        ({"loss": "wasserstein", "spectral_norm": True}, ["slope"]),
        ({"weight_clip": 0.01, "spectral_norm": True}, ["weight_clip must be 0 with spectral_norm", "0.01"]),
        ({"packing": 3}, ["batch_size must be a multiple of packing, 3", "64"]),
        ({"packing": 2, "conditional": True}, ["packing must be 1 with conditional", "2"]),
    ],
)
def test_a_bad_value_is_refused_with_field_value_and_rule(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        TrainConfig(**fields)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_field_says_what_a_form_needs() -> None:
    for name, info in TrainConfig.model_fields.items():
        assert info.title and info.description, name
        assert isinstance(info.json_schema_extra, dict) and info.json_schema_extra["group"] in [*GROUPS], name


def test_a_config_survives_json_and_cannot_be_changed() -> None:
    config = TrainConfig(lr_g=1e-3, data="faces")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError):
        config.lr_g = 1.0
    assert config.change(seed=7).seed == 7
    with pytest.raises(ValueError, match="seed"):
        config.change(seed=-1)


def test_json_with_a_bad_value_is_refused_like_any_other() -> None:
    with pytest.raises(ValueError, match="batch_size must be"):
        TrainConfig.model_validate_json('{"batch_size": 0}')


def test_settings_are_parsed_from_text() -> None:
    assert parse_setting("image_size=64") == ("image_size", 64)
    assert parse_setting("horizontal_flip=true") == ("horizontal_flip", True)
    assert parse_setting("data=2024") == ("data", "2024")
    assert parse_setting("precision=bf16") == ("precision", "bf16")
    for text in ("image_size", "size=3", "=3"):
        with pytest.raises(ValueError):
            parse_setting(text)


def test_what_goes_together_is_taken() -> None:
    assert TrainConfig(r1=1, r2=1, discriminator_norm="none", loss="relativistic").has_scores
    assert TrainConfig(gradient_penalty=10, discriminator_head="dense").gradient_penalty == 10  # a dense head has no normalization
    assert TrainConfig(loss="wasserstein", spectral_norm=True, networks="mlp").loss == "wasserstein"
    assert TrainConfig(loss="hinge", spectral_norm=True, packing=4).packing == 4


def test_an_epoch_is_the_whole_batches_of_a_set() -> None:
    config = TrainConfig(batch_size=64)
    assert [config.images_per_epoch(images) for images in (None, 0, 63, 64, 127, 128, 60_000)] == [None, None, None, 64, 64, 128, 59_968]


def test_live_settings() -> None:
    assert {"lr_g", "lr_d", "real_label", "fake_label", "instance_noise", "dropout", "d_steps", "g_steps"} <= set(TrainConfig.live_fields())
    assert not {"batch_size", "image_size", "data", "loss", "seed"} & set(TrainConfig.live_fields())


def test_recipes_are_as_published() -> None:
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
    tuned, mlp, wgan, penalised = (recipe(name).config for name in ("glasses-tuned", "mlp", "wgan", "wgan-gp"))
    assert (tuned.real_label, tuned.fake_label, tuned.d_steps, tuned.g_steps, tuned.generator_extra_layers) == (0.9, 0.1, 1, 2, 1)
    assert tuned.discriminator_filters < glasses.discriminator_filters and tuned.dropout > glasses.dropout
    assert tuned.lr_d < glasses.lr_d and tuned.duration > glasses.duration
    assert (mlp.data, mlp.image_size, mlp.channels, mlp.batch_size, mlp.lr_g, mlp.lr_d) == ("cifar10", 64, 3, 64, 2e-4, 2e-4)
    assert (mlp.networks, mlp.dropout, mlp.mean_loss_d, mlp.reuse_fakes, mlp.duration) == ("mlp", 0.3, True, False, 100)
    assert mlp.grid_every == 10 * (50_000 // mlp.batch_size)
    assert (wgan.optimizer, wgan.lr_g, wgan.lr_d, wgan.weight_clip, wgan.d_steps, wgan.loss) == (
        "rmsprop",
        5e-5,
        5e-5,
        0.01,
        5,
        "wasserstein",
    )
    assert (penalised.gradient_penalty, penalised.lr_g, penalised.beta1_g, penalised.beta1_d, penalised.beta2) == (10, 1e-4, 0, 0, 0.9)
    assert (penalised.discriminator_norm, penalised.d_steps, penalised.optimizer) == ("none", 5, "adam")
    with pytest.raises(ValueError, match="'nope'; choose one of quick-digits"):
        recipe("nope")
    assert all(item.name == name and item.summary and item.source for name, item in RECIPES.items())


def test_a_setting_has_an_effect_only_with_what_it_needs() -> None:
    values = TrainConfig().model_dump()
    of = lambda name, **changes: TrainConfig.has_effect(name, values | changes)  # noqa: E731
    assert of("latent_dim") and not of("latent_dim", networks="pix2pix")
    assert of("l1_weight", networks="pix2pix") and not of("l1_weight") and not of("l1_weight", networks="cyclegan")
    assert of("lr_end", schedule_images=5) and not of("lr_end") and not of("batch_norm_over") and of("lr_g")
