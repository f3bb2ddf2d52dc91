import functools

import pytest
import torch

from gan.config import TrainConfig
from gan.training import bench
from gan.training.state import new_state
from gan.training.step import train_step


def macs(batch: int, kernel: int, inputs: int, outputs: int, positions: int) -> int:
    """Multiplications of a convolution: for each position of the coarser map, each kernel element joins each pair of channels."""
    return batch * kernel**2 * inputs * outputs * positions**2


@pytest.mark.parametrize("reuse_fakes", [True, False])
def test_the_operations_of_a_step_are_those_counted_by_hand(config: TrainConfig, reuse_fakes: bool) -> None:
    config = config.change(reuse_fakes=reuse_fakes)
    n, f = config.batch_size, config.generator_filters
    # z 4 -> 16 at 4 x 4 -> 8 at 7 x 7 -> 4 at 14 x 14 -> 1 at 28 x 28, and the mirror image of it
    from_latent = macs(n, 4, config.latent_dim, 4 * f, 1)
    middle = macs(n, 3, 4 * f, 2 * f, 4) + macs(n, 4, 2 * f, f, 7)
    image = macs(n, 4, f, 1, 14)
    to_logit = macs(n, 4, 4 * f, 1, 1)
    generator, discriminator = from_latent + middle + image, image + middle + to_logit
    forward = generator * (1 if reuse_fakes else 2) + 3 * discriminator
    # Each layer's backward pass costs its forward pass twice, for the weights and for what came in; the first layers need
    # no gradient of what came in, and in G's step D needs none of its weights.
    discriminator_backward = 2 * (2 * discriminator - image)
    generator_backward = discriminator + 2 * generator - from_latent
    state, real = new_state(config, torch.device("cpu")), torch.zeros(n, 1, 28, 28)
    counted = bench.count_flops(lambda: train_step(state, real))
    assert counted == 2 * (forward + discriminator_backward + generator_backward)


def test_the_operations_of_a_gradient_penalty_are_counted(config: TrainConfig) -> None:
    counted = []
    for penalty in (0, 10):
        state = new_state(config.change(discriminator_norm="none", gradient_penalty=penalty), torch.device("cpu"))
        real = torch.zeros(8, 1, 28, 28)
        counted.append(bench.count_flops(functools.partial(train_step, state, real)))
    assert 1.2 * counted[0] < counted[1] < 3 * counted[0]  # a third batch through D, and its gradient's own gradient


def test_measuring_trains_on_and_gives_plain_numbers(config: TrainConfig) -> None:
    state = new_state(config, torch.device("cpu"))
    speed = bench.measure_engine(state, bench.random_images(config), 0.1)
    assert state.step >= 3 and state.elapsed_s >= 0.1
    assert speed.precision == "fp32" and speed.device.startswith("CPU") and speed.threads == state.execution.threads
    assert speed.images_per_s > 0 and speed.share == speed.gflop_per_s / speed.matmul_gflop_per_s > 0
    assert speed.peak_memory_gb > 0.05


def test_a_fresh_process_does_not_inherit_this_one_s_peak_memory() -> None:
    held = torch.ones(2**26)  # 256 MiB
    cpu = torch.device("cpu")
    assert bench.in_fresh_process(bench.peak_memory, cpu) < bench.peak_memory(cpu) - held.nbytes / 2


def test_a_quick_measurement_is_made_once_and_leaves_the_threads_as_they_were(config: TrainConfig) -> None:
    threads = torch.get_num_threads()
    speed = bench.quick_speed(config, torch.device("cpu"))
    assert speed > 0 and torch.get_num_threads() == threads
    assert bench.quick_speed(config.change(seed=5, data="faces", duration=3.0, lr_g=0.01), torch.device("cpu")) == speed
    assert bench.quick_speed(config.change(conditional=True, d_steps=2), torch.device("cpu")) > 0
