"""The named recipes: published systems, each as one TrainConfig. Knows nothing of how they are trained."""

from dataclasses import dataclass

from gan.config import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """A named configuration: what it does in one sentence, and where it comes from."""

    name: str
    summary: str
    source: str
    config: TrainConfig


_DCGAN = TrainConfig(
    data="faces",
    image_size=64,
    channels=3,
    latent_dim=100,
    generator_filters=64,
    discriminator_filters=64,
    initialization="dcgan",
    batch_size=128,
    duration=50,
    lr_g=2e-4,
    lr_d=2e-4,
    log_every=5,
)

_MNIST_64 = _DCGAN.change(data="mnist", channels=1, batch_size=64, duration=3, seed=3)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "quick-digits",
            "Clear digits in half a minute on two processor cores. The one to start with.",
            "This project: the lecture's networks with what makes them learn fast.",
            TrainConfig(),
        ),
        Recipe(
            "lecture",
            "Digits as a deep-learning lecture trains them: uniform noise, dropout, a slow start, 20 epochs.",
            "A university lecture's DCGAN on MNIST, in PyTorch.",
            TrainConfig(
                latent_dim=100,
                latent_distribution="uniform",
                generator_activation="leaky_relu",
                dropout=0.2,
                batch_size=128,
                duration=20,
                lr_g=3e-4,
                beta1_g=0.75,
                lr_d=2e-4,
                beta1_d=0.9,
                reuse_fakes=False,
            ),
        ),
        Recipe(
            "dcgan",
            "The reference DCGAN at 64 pixels in colour. Wants a GPU, or patience.",
            "Radford, Metz and Chintala 2016, arXiv:1511.06434.",
            _DCGAN,
        ),
        Recipe(
            "pyimagesearch",
            "Digits as a popular tutorial trains them: all 70,000, a discriminator with dense layers, 20 epochs.",
            "A PyImageSearch tutorial on DCGANs in PyTorch.",
            TrainConfig(
                data_split="all",
                latent_dim=100,
                generator_order="activation_first",
                discriminator_head="dense",
                initialization="dcgan",
                batch_size=128,
                duration=20,
                lr_g=2e-4,
                lr_d=2e-4,
                weight_decay=2e-4 / 20,
                grid_images=256,
            ),
        ),
        Recipe(
            "polarsparc",
            "Digits at 64 pixels with the reference networks, 3 epochs. Slow on a processor.",
            "A PolarSPARC article on DCGANs in PyTorch.",
            _MNIST_64,
        ),
        Recipe(
            "glasses",
            "Faces with and without glasses at 64 pixels, mirrored and jittered at random, a lower rate for the discriminator. Wants a GPU.",
            "A tutorial that draws people with and without glasses; here on the project's own avatars.",
            _DCGAN.change(
                horizontal_flip=True,
                color_jitter=0.1,
                dropout=0.1,
                initialization="pytorch",
                lr_d=1e-4,
                duration=200,
                grid_every=10,
            ),
        ),
    )
}

DEFAULT = "quick-digits"


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
