"""The estimate's shapes are those that the networks really make."""

from typing import Any

import pytest
import torch
from torch import nn

from gan.config import TrainConfig
from gan.networks.build import new_discriminator, new_generator
from gan.networks.dcgan import count_parameters
from gan.networks.layers import Block
from gan.recipes import RECIPES
from gan.training.memory import memory_estimate

SMALL = {"batch_size": 4, "generator_filters": 4, "discriminator_filters": 4}
COUNTED = [name for name, recipe in RECIPES.items() if not (recipe.config.has_styles or recipe.config.translates)]  # others: tests/networks
CASES: list[dict[str, Any]] = [
    {"generator_upsampling": "mixed", "image_size": 64},
    {"generator_upsampling": "resize", "generator_extra_layers": 2, "spectral_norm": True, "minibatch_std": True},
    {"image_size": 32, "channels": 3, "packing": 2, "discriminator_head": "dense", "dropout": 0.2},
    {"networks": "mlp", "conditional": True, "generator_norm": "none"},
    {"networks": "residual", "initialization": "fixup", "conditional": True, "loss": "relativistic", "r1": 1.0, "r2": 1.0},
    {"networks": "biggan", "image_size": 64, "channels": 3, "packing": 2, "self_attention": True, "generator_spectral_norm": True},
]


@pytest.mark.parametrize(
    "config",
    [RECIPES[name].config.change(**SMALL) for name in COUNTED] + [TrainConfig(**SMALL, **case) for case in CASES],
    ids=[*COUNTED, *map(str, range(len(CASES)))],
)
def test_the_estimate_counts_the_maps_that_the_networks_make(config: TrainConfig) -> None:
    generator, discriminator = new_generator(config, 1), new_discriminator(config, 1)
    maps = 0

    def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal maps
        maps += output.numel()

    for module in (*generator.layers, *([generator.blurred] if generator.blurred else []), *discriminator.layers):
        for layer in module.parts() if isinstance(module, Block) else (module,):
            layer.register_forward_hook(count)
    labels = torch.zeros(config.batch_size, dtype=torch.int64) if config.conditional else None
    with torch.no_grad():
        discriminator.features(generator(torch.randn(config.batch_size, config.latent_dim), labels))
    # Weights, gradients and two moments; the generator's average. Features of real images and of fakes, and one gradient for each penalty.
    penalties = sum(value > 0 for value in (config.gradient_penalty, config.r1, config.r2))
    expected = 4 * (5 * count_parameters(generator) + 4 * count_parameters(discriminator) + (3 + penalties) * maps)
    assert memory_estimate(config) == expected
