"""Scores a run that translates images, on images that it has never seen. Knows nothing about when to score."""

import copy
from typing import Any

import numpy as np
import torch

from gan.data.datasets import ImageDataset
from gan.images import to_float
from gan.judging import similarity
from gan.judging.judge import Judge
from gan.networks.sampling import translate
from gan.networks.translation import PairDiscriminator, Translator, TwoDiscriminators
from gan.training.state import TrainState

SURE = 0.5  # probability from which the judge's network sees an attribute
MEAN_OF = 1000  # training targets whose mean image is the simplest answer


def translation_scores(judge: Judge, state: TrainState, dataset: ImageDataset, samples: int) -> dict[str, Any]:
    """A line of judge.jsonl: how realistic the translations of held-out images are, and how right.

    samples: the most images to translate.
    """
    assert isinstance(state.averaged, Translator)
    held_out = dataset.held_out if dataset.held_out is not None else dataset
    n = judge.judged(samples)
    if state.config.networks == "cyclegan":
        outputs, scores = _of_classes(judge, state.averaged, held_out, n)
    else:
        outputs, scores = _of_pairs(state.averaged, dataset, held_out, n)
    glanced = judge.glance(outputs) if len(outputs) >= n else {}  # few held-out images: no distance between sets
    return glanced | scores | _answers(state, dataset, held_out)


def _of_pairs(network: Translator, dataset: ImageDataset, held_out: ImageDataset, n: int) -> tuple[np.ndarray, dict[str, Any]]:
    assert held_out.inputs is not None
    inputs, targets = held_out.inputs[:n], held_out.images[:n]
    outputs = translate(network, inputs)
    mean = dataset.images[:MEAN_OF].float().mean(0, keepdim=True).round().to(torch.uint8).expand_as(targets)
    scores: dict[str, Any] = {}
    for name, images in (("", outputs), ("_identity", inputs), ("_mean", mean)):
        scores |= {f"l1{name}": similarity.l1(images, targets), f"ssim{name}": similarity.ssim(images, targets)}
    return outputs.numpy(), scores


def _of_classes(judge: Judge, network: Translator, held_out: ImageDataset, n: int) -> tuple[np.ndarray, dict[str, Any]]:
    assert held_out.labels is not None
    of = [held_out.images[(held_out.labels == kind).nonzero().flatten()[: n // 2 + n % 2]] for kind in range(2)]
    there = [translate(network, images, back=kind == 1) for kind, images in enumerate(of)]
    back = [translate(network, images, back=kind == 0) for kind, images in enumerate(there)]
    scores: dict[str, Any] = {"cycle": float(np.mean([similarity.l1(a, b) for a, b in zip(back, of, strict=True)]))}
    outputs = torch.cat(there)[torch.randperm(len(there[0]) + len(there[1]), generator=torch.Generator().manual_seed(0))]
    network_of = judge.network
    about = network_of.about
    named = [about.outputs.index(name) if name in about.outputs else None for name in held_out.class_names]
    if about.kind != "nothing" and any(place is not None for place in named):
        before, after = (
            np.concatenate([network_of.probabilities(network_of.features(images.numpy())) for images in sets]) > SURE
            for sets in (of, there)
        )
        is_b = np.repeat([False, True], [len(images) for images in of])  # before
        at = next(place for place in named[::-1] if place is not None)
        shows_b = (lambda seen: seen[:, at]) if named[1] is not None else (lambda seen: ~seen[:, at])
        scores["changed"] = float((shows_b(after) != is_b).mean())
        scores["changed_identity"] = float((shows_b(before) != is_b).mean())
        if about.kind == "attributes":
            others = [place for place in range(len(about.outputs)) if place not in named]
            scores["others"] = float((before[:, others] == after[:, others]).all(1).mean())
    return outputs.numpy(), scores


@torch.inference_mode()
def _answers(state: TrainState, dataset: ImageDataset, held_out: ImageDataset, most: int = 64) -> dict[str, float | None]:
    """D's answers to patches of training images, held-out images and translations, by copies of the networks that learn.

    Normalization uses running statistics, and there is no noise.
    """
    generator, discriminator = (
        copy.deepcopy(network, {id(state.rng): state.rng}).eval() for network in (state.generator, state.discriminator)
    )
    assert isinstance(generator, Translator)

    def ask(of: ImageDataset) -> tuple[torch.Tensor, torch.Tensor]:
        """Answers to real images, and to translations."""
        if isinstance(discriminator, TwoDiscriminators):
            assert of.labels is not None
            reals, fakes = [], []
            for kind, judged in enumerate((discriminator.of_a, discriminator.of_b)):
                images = [to_float(of.images[(of.labels == k).nonzero().flatten()[:most]].to(state.device)) for k in range(2)]
                reals.append(judged(images[kind]).flatten())
                fakes.append(judged(generator.translate(images[1 - kind], back=kind == 0)).flatten())
            return torch.cat(reals).float().cpu(), torch.cat(fakes).float().cpu()
        assert isinstance(discriminator, PairDiscriminator) and of.inputs is not None
        inputs, targets = (to_float(images[:most].to(state.device)) for images in (of.inputs, of.images))
        return discriminator(inputs, targets).flatten().float().cpu(), discriminator(inputs, generator(inputs)).flatten().float().cpu()

    on_train, on_fakes = ask(dataset)
    on_held_out, _ = ask(held_out)
    middle = 0.5 if state.config.loss == "least_squares" else 0.0
    return {
        "d_accuracy": float(torch.cat([on_train > middle, on_fakes < middle]).float().mean()),
        "d_train": float(on_train.mean()),
        "d_held_out": float(on_held_out.mean()) if held_out is not dataset else None,
        "d_fake": float(on_fakes.mean()),
        "sign_train": float((on_train - middle).sign().mean()),
        "sign_held_out": float((on_held_out - middle).sign().mean()) if held_out is not dataset else None,
    }
