"""The generator of the lesson "What batch normalization does", with latent vectors that it turns into each digit, as one file for browsers."""

import json

import safetensors.torch

from gan import latent
from gan.course import digits_run

FORMAT = "dcgan-workshop-batch-norm-1"
LATENTS = "latents"


def network_file() -> bytes:
    """A safetensors file: the weights of the digits run's last generator, in 16 bits, and "latents", float32 (digits * of_each, latent_dim).

    Its metadata hold JSON with `digits`, their names in order, and `of_each`, the number of latent vectors per digit.

    Raises:
        ValueError, OSError: a file of the run cannot be used.
    """
    loaded, seeds = digits_run.generator(len(digits_run.WINDOWS) - 1), digits_run.about().seeds
    config = loaded.config
    tensors = safetensors.torch.load_file(digits_run.generator_file(loaded.step))  # not the loaded weights, which have 32 bits
    tensors = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    tensors[LATENTS] = latent.from_seeds([s for those in seeds.values() for s in those], config.latent_dim, config.latent_distribution)
    about = {"digits": list(seeds), "of_each": len(next(iter(seeds.values())))}
    return safetensors.torch.save(tensors, {FORMAT: json.dumps(about)})
