"""The named recipes: published systems, each as one TrainConfig. Independent of how they are trained."""

from dataclasses import dataclass

from gan.config import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """A named configuration.

    Attributes:
        summary: one sentence about it.
        source: who described it.
        any_images: whether the summary holds for all data sets, and not only for the configuration's own.
    """

    name: str
    summary: str
    source: str
    config: TrainConfig
    any_images: bool = False


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
    duration_unit="epochs",
    lr_g=2e-4,
    lr_d=2e-4,
    log_every=5,
)

_MNIST_64 = _DCGAN.change(data="mnist", channels=1, batch_size=64, duration=3, seed=3)

QUICK_IMAGES = TrainConfig(
    data="faces",
    image_size=64,
    channels=3,
    generator_filters=24,
    discriminator_filters=16,
    batch_size=32,
    duration=600,
    duration_unit="seconds",
    generator_upsampling="mixed",
    initialization="dcgan",
    lr_g=2e-3,
    lr_d=1e-3,
    beta1_g=0,
    beta1_d=0,
    instance_noise=0.2,
    principal_components=20_000,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "quick-digits",
            "Clear digits in half a minute on two CPU cores. Start with this one.",
            "This project: the lecture's networks, with settings that make them learn fast.",
            TrainConfig(),
        ),
        Recipe(
            "quick-images",
            "Your own color images, recognizable in minutes on two CPU cores.",
            "This project: narrow networks and small batches; noise on images and fast rates without momentum, so that the generator keeps up; "
            "a start from the images' principal components, so that colors are right at once; resizing at the two largest sizes, so that no "
            "checkerboard pattern shows.",
            QUICK_IMAGES,
            any_images=True,
        ),
        Recipe(
            "lecture",
            "Digits as in a deep-learning lecture: uniform latent vectors, dropout, a slow start, 20 epochs.",
            "A university lecture's DCGAN on MNIST, in PyTorch.",
            TrainConfig(
                latent_dim=100,
                latent_distribution="uniform",
                generator_activation="leaky_relu",
                dropout=0.2,
                batch_size=128,
                duration=20,
                duration_unit="epochs",
                lr_g=3e-4,
                beta1_g=0.75,
                lr_d=2e-4,
                beta1_d=0.9,
                reuse_fakes=False,
            ),
        ),
        Recipe(
            "dcgan",
            "The reference DCGAN at 64 pixels in color. Needs a GPU, or patience.",
            "Radford, Metz and Chintala 2016, arXiv:1511.06434.",
            _DCGAN,
        ),
        Recipe(
            "pyimagesearch",
            "Digits as in a popular tutorial: all 70,000, a discriminator with dense layers, 20 epochs.",
            "A PyImageSearch tutorial on DCGANs in PyTorch.",
            TrainConfig(
                data_split="all",
                latent_dim=100,
                generator_order="activation_first",
                discriminator_head="dense",
                initialization="dcgan",
                batch_size=128,
                duration=20,
                duration_unit="epochs",
                lr_g=2e-4,
                lr_d=2e-4,
                weight_decay=2e-4 / 20,
                grid_images=256,
            ),
        ),
        Recipe(
            "polarsparc",
            "Digits at 64 pixels with the reference networks, 3 epochs. Slow on a CPU.",
            "A PolarSPARC article on DCGANs in PyTorch.",
            _MNIST_64,
        ),
        Recipe(
            "glasses",
            "Faces with and without glasses at 64 pixels, with random mirroring and color jitter, and a slower discriminator. Needs a GPU.",
            "A tutorial on people with and without glasses; here with the project's own avatars.",
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
        Recipe(
            "glasses-tuned",
            'The recipe "glasses" with its author\'s advice for better faces: softer labels, a slower and smaller discriminator, a deeper generator.',
            'All the advice at the end of the tutorial that "glasses" follows.',
            _DCGAN.change(
                horizontal_flip=True,
                color_jitter=0.1,
                generator_extra_layers=1,
                discriminator_filters=32,
                dropout=0.3,
                initialization="pytorch",
                lr_d=5e-5,
                g_steps=2,
                real_label=0.9,
                fake_label=0.1,
                duration=400,
                grid_every=10,
            ),
        ),
        Recipe(
            "mlp",
            "A GAN without convolutions on small photographs: the kind of GAN that DCGAN improved on.",
            "A lecture's vanilla GAN on CIFAR-10, based on Goodfellow et al. 2014, arXiv:1406.2661.",
            TrainConfig(
                data="cifar10",
                image_size=64,
                channels=3,
                latent_dim=100,
                networks="mlp",
                generator_filters=256,
                discriminator_filters=256,
                dropout=0.3,
                mean_loss_d=True,
                batch_size=64,
                duration=100,
                duration_unit="epochs",
                lr_g=2e-4,
                lr_d=2e-4,
                reuse_fakes=False,
                grid_every=7810,
            ),
        ),
        Recipe(
            "wgan",
            "A Wasserstein critic with clipped weights. It gives scores, not probabilities, and takes five steps per generator step.",
            "Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875.",
            _DCGAN.change(loss="wasserstein", weight_clip=0.01, optimizer="rmsprop", lr_g=5e-5, lr_d=5e-5, d_steps=5, batch_size=64),
        ),
        Recipe(
            "wgan-gp",
            "A Wasserstein critic with a gradient penalty instead of clipped weights.",
            "Gulrajani et al. 2017, arXiv:1704.00028.",
            _DCGAN.change(
                loss="wasserstein",
                gradient_penalty=10,
                discriminator_norm="none",
                lr_g=1e-4,
                lr_d=1e-4,
                beta1_g=0,
                beta1_d=0,
                beta2=0.9,
                d_steps=5,
                batch_size=64,
            ),
        ),
        Recipe(
            "r3gan-small",
            "Residual networks without normalization, a relativistic loss and two penalties: a modern GAN that needs no tricks to stay stable. "
            "Slow on a CPU.",
            "A small version of R3GAN, Huang et al. 2024, arXiv:2501.05441.",
            TrainConfig(
                networks="residual",
                generator_filters=16,
                discriminator_filters=16,
                generator_activation="leaky_relu",
                generator_norm="none",
                discriminator_norm="none",
                initialization="fixup",
                loss="relativistic",
                r1=10,
                r2=10,
                lr_g=1e-3,
                lr_d=3e-3,
                beta1_g=0,
                beta1_d=0,
                beta2=0.9,
                reuse_fakes=False,
                duration=3000,
                schedule_images=192_000,
                lr_end=0.25,
                penalty_end=0.1,
                beta2_end=0.99,
                average_half_life=0,
                average_half_life_end=10_000,
            ),
        ),
        Recipe(
            "stylegan-small",
            "Styles that steer coarse and fine parts of a face: a mapping network, modulated convolutions, noise. Ten minutes at 32 pixels on "
            "two CPU cores.",
            "A small version of StyleGAN2, Karras et al. 2019 and 2020, arXiv:1812.04948 and 1912.04958.",
            TrainConfig(
                data="faces",
                image_size=32,
                channels=3,
                networks="stylegan",
                latent_dim=128,
                generator_filters=16,
                discriminator_filters=16,
                minibatch_std=True,
                r1=5,
                penalty_every=16,
                batch_size=16,
                duration=600,
                duration_unit="seconds",
                lr_g=4e-3,
                lr_d=4e-3,
                beta1_g=0,
                beta1_d=0,
                beta2=0.99,
                reuse_fakes=False,
            ),
        ),
        Recipe(
            "pix2pix",
            "Draws faces from outlines: the generator gets an image and draws its partner. Needs pairs of images.",
            "Isola et al. 2017, arXiv:1611.07004, with narrow networks.",
            TrainConfig(
                networks="pix2pix",
                data="sketches",
                image_size=64,
                channels=3,
                generator_filters=24,
                discriminator_filters=24,
                initialization="dcgan",
                mean_loss_d=True,
                batch_size=8,
                duration=600,
                duration_unit="seconds",
                lr_g=5e-4,
                lr_d=5e-4,
                average_half_life=2_000,
            ),
        ),
        Recipe(
            "cyclegan",
            "Puts glasses on faces and takes them off, without pairs: two generators translate between the two classes of a data set.",
            "Zhu et al. 2017, arXiv:1703.10593, with narrow networks.",
            TrainConfig(
                networks="cyclegan",
                data="faces",
                image_size=64,
                channels=3,
                generator_filters=16,
                discriminator_filters=16,
                initialization="dcgan",
                loss="least_squares",
                mean_loss_d=True,
                batch_size=4,
                duration=1200,
                duration_unit="seconds",
                lr_g=5e-4,
                lr_d=5e-4,
                schedule_start=10_000,
                schedule_images=20_000,
                schedule="linear",
                lr_end=0,
                average_half_life=1_000,
            ),
        ),
        Recipe(
            "biggan-small",
            "Draws the digit that you ask for, with a small BigGAN: class and latent vector steer every block, and both networks are spectrally "
            "normalized.",
            "A small version of BigGAN, Brock et al. 2019, arXiv:1809.11096.",
            TrainConfig(
                networks="biggan",
                conditional=True,
                latent_dim=80,
                generator_filters=16,
                discriminator_filters=16,
                self_attention=True,
                spectral_norm=True,
                generator_spectral_norm=True,
                initialization="orthogonal",
                loss="hinge",
                orthogonal_penalty=1e-4,
                batch_size=64,
                duration=300,
                duration_unit="seconds",
                lr_g=1e-3,
                lr_d=1e-3,
                beta1_g=0,
                beta1_d=0,
                d_steps=2,
            ),
        ),
        Recipe(
            "conditional",
            "Draws the digit that you ask for: both networks get the class.",
            "Mirza and Osindero 2014, arXiv:1411.1784; the discriminator follows Miyato and Koyama 2018, arXiv:1802.05637.",
            TrainConfig(conditional=True),
        ),
    )
}

DEFAULT = "quick-digits"


def recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        ValueError: there is none; the message lists the recipes.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
