"""Counting is tested, timing is not."""

import torch

from gan import bench
from gan.config import TrainConfig
from gan.recipes import recipe


def test_the_operations_of_a_step_by_hand():
    """Multiply-adds of dense networks: each layer forward, for its weights' gradients, and for its inputs' where something needs them."""
    config = TrainConfig(networks="mlp", latent_dim=8, generator_filters=4, discriminator_filters=4, batch_size=4, reuse_fakes=True)
    g = [(8, 4), (4, 8), (8, 16), (16, 784)]
    d = [(784, 16), (16, 8), (8, 4), (4, 1)]
    generator, discriminator = (sum(a * b for a, b in layers) for layers in (g, d))
    d_step = 2 * (discriminator + discriminator + discriminator - 784 * 16)  # real and fake; images need no gradient
    g_step = discriminator + discriminator  # forward, and back to the fakes
    of_g = generator + generator + generator - 8 * 4  # z needs no gradient
    assert bench.step_flops(config) == 2 * 4 * (d_step + g_step + of_g)


def test_blocks_at_the_pixels_count_as_the_convolutions_that_they_are():
    """polarsparc, forward and back, worked out from the layers' shapes: within 5 %."""
    config = recipe("polarsparc").config
    middle = 16 * (64 * 128 * 16 * 16 + 128 * 256 * 8 * 8 + 256 * 512 * 4 * 4)  # the three inner layers of either network
    edge = 16 * 64 * 32 * 32
    expected = 2 * (8 * middle + 3 * middle + 6 * edge + 3 * edge)
    assert abs(bench.step_flops(config) / config.batch_size / expected - 1) < 0.05


def test_a_measurement_has_all_its_parts(config):
    speed = bench.measure(config.change(data="mnist"), 0.1, torch.device("cpu"))
    assert speed.images_per_s > 0 and speed.peak_gflops > 0 and speed.gflops > 0 and 0.05 < speed.peak_memory_gb < 64
    assert (speed.precision, speed.channels_last) == ("fp32", True) and "CPU" in speed.device
