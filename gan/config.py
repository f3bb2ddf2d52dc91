"""TrainConfig: all settings that decide what a run computes. Independent of networks, files and pages."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

GROUPS = ("Data", "Networks", "Loss", "Optimization", "Labels and noise", "Watching")
TRANSLATORS = ("pix2pix", "cyclegan")  # networks that turn an image into another one; all others draw from latent vectors
_FROM_Z = "networks!=pix2pix,cyclegan"  # needed by the settings that only matter to networks that draw from latent vectors
_TRANSLATION = "networks=pix2pix,cyclegan"


def _field(
    default: Any,
    label: str,
    help: str,
    group: str,
    *,
    unit: str = "",
    common: bool = False,
    live: bool = False,
    fixed: bool = False,
    step: float = 1,
    needs: str = "",
    shown: bool = True,
    **bounds: Any,
) -> Any:
    """A field with its bounds, and what a form needs to show it: label, help, group, unit.

    live: the field can change while a run trains. fixed: it defines the networks, so a fork keeps it.
    step: how far one press on plus or minus goes; 0 for a tenth of the value's order of magnitude.
    needs: when this field has an effect; the form hides it otherwise. The name of another field that must not be 0, or a field and its
        values, as in "networks=dcgan,mlp", or those it must not have, as in "networks!=mlp".
    shown: whether forms show it at all: not if it has an effect only on the command line.
    """
    extra: dict[str, JsonValue] = {"group": group, "unit": unit, "common": common, "live": live, "fixed": fixed, "step": step}
    extra["needs"], extra["shown"] = needs, shown
    return Field(default, title=label, description=help, json_schema_extra=extra, **bounds)


# Settings that networks that translate images refuse. They ignore the others that only matter to networks that draw from latent vectors.
_NOT_TRANSLATED = (
    "conditional",
    "packing",
    "data_split",
    "color_jitter",
    "feature_matching",
    "weight_clip",
    "gradient_penalty",
    "r1",
    "r2",
    "label_flips",
    "instance_noise",
    "diffaugment",
)


class SettingsError(ValueError):
    """Settings that cannot be.

    Attributes:
        faults: (field, sentence) for each; the field is empty if no single one is at fault.
    """

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(sentence for _, sentence in faults))
        self.faults = list(faults)


class TrainConfig(BaseModel):
    """One run's settings. Equal configs give equal runs, bit for bit on CPUs of one kind; on a GPU the last bits may differ.

    This is the only place for bounds, units, help texts and defaults: the form, the command line and the documentation read them from here.
    The defaults are those of the recipe `quick-digits`.

    Raises:
        ValueError: a field is unknown, of the wrong type or out of bounds; the message names the field, its value and the rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = _field(
        "mnist",
        "Data set",
        "The images that the networks learn to draw: a named data set, or a folder of images.",
        "Data",
        common=True,
        min_length=1,
        max_length=1000,
    )
    data_split: Literal["train", "all"] = _field(
        "train", "Part of the data", "'train' leaves out the test images if the set has any; 'all' uses both.", "Data", needs=_FROM_Z
    )
    image_size: Literal[28, 32, 64, 128, 256] = _field(
        28,
        "Image size",
        "Height and width of the images. Twice the size takes about four times as long; 256 pixels need a GPU.",
        "Data",
        unit="pixels",
        fixed=True,
    )
    channels: Literal[1, 3] = _field(1, "Color channels", "1 for gray images, 3 for color (RGB).", "Data", fixed=True)
    fit: Literal["crop", "pad", "mirror", "squeeze"] = _field(
        "crop",
        "Fit into the square",
        "'crop' keeps the middle square. 'pad' adds borders of the background color, 'mirror' adds mirrored borders, 'squeeze' scales "
        "height and width separately.",
        "Data",
    )
    background: Annotated[str, StringConstraints(to_lower=True)] = _field(
        "#ffffff",
        "Background color",
        "The color behind transparent areas, and of the borders that 'pad' adds.",
        "Data",
        pattern="^#[0-9a-fA-F]{6}$",
    )
    horizontal_flip: bool = _field(
        False, "Mirror at random", "Mirrors each image half of the time. Good for faces, wrong for digits and letters.", "Data"
    )
    color_jitter: float = _field(
        0.0,
        "Color jitter",
        "Varies brightness and contrast of each real image by up to this share.",
        "Data",
        step=0.05,
        ge=0,
        le=0.5,
        needs=_FROM_Z,
    )

    latent_dim: int = _field(
        64,
        "Latent size",
        "How many random numbers make up a latent vector, which the generator turns into one image.",
        "Networks",
        unit="numbers",
        common=True,
        step=8,
        ge=2,
        le=512,
        fixed=True,
        needs=_FROM_Z,
    )
    latent_distribution: Literal["normal", "uniform"] = _field(
        "normal",
        "Latent distribution",
        "Draws latent vectors from N(0, 1), or uniformly from [-1, 1].",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    conditional: bool = _field(
        False,
        "Conditional",
        "Gives both networks the class of each image, so you can pick the class to draw. Needs a data set with labels.",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    networks: Literal["dcgan", "mlp", "residual", "stylegan", "pix2pix", "cyclegan", "biggan"] = _field(
        "dcgan",
        "Kind of networks",
        "'dcgan': convolutions; 'mlp': dense layers only, as in the first GANs. 'residual': blocks that add to their input, without "
        "normalization (R3GAN, Huang et al. 2024); 'stylegan': styles for each layer (StyleGAN2, Karras et al. 2020); 'pix2pix': an image into its "
        "partner (Isola et al. 2017); 'cyclegan': images of one class into another (Zhu et al. 2017); 'biggan': blocks steered by class and z "
        "(Brock et al. 2019).",
        "Networks",
        fixed=True,
    )
    generator_filters: int = _field(
        32,
        "Generator filters",
        "Feature maps of the generator's largest layer; each layer before it has twice as many (dense networks: the first layer's "
        "width, doubled twice). More filters can draw more, but are slower.",
        "Networks",
        step=4,
        ge=4,
        le=256,
        fixed=True,
    )
    discriminator_filters: int = _field(
        32,
        "Discriminator filters",
        "Feature maps of the discriminator's first layer; each later layer has twice as many (dense networks: the last layer's width).",
        "Networks",
        step=4,
        ge=4,
        le=256,
        fixed=True,
    )
    generator_activation: Literal["relu", "leaky_relu"] = _field(
        "relu",
        "Generator activation",
        "Activation after each layer of the generator: ReLU, or LeakyReLU with slope 0.2.",
        "Networks",
        needs="networks=dcgan,mlp,residual,biggan",
    )
    generator_order: Literal["norm_first", "activation_first"] = _field(
        "norm_first",
        "Generator layer order",
        "What comes first after each convolution: batch normalization, as in the DCGAN paper, or the activation.",
        "Networks",
        needs="networks=dcgan",
    )
    generator_norm: Literal["batch", "none"] = _field(
        "batch",
        "Generator normalization",
        "Batch normalization after each layer but the last, or none.",
        "Networks",
        fixed=True,
        needs="networks=dcgan,mlp",
    )
    generator_upsampling: Literal["transposed", "mixed", "resize"] = _field(
        "transposed",
        "Generator upsampling",
        "How feature maps grow: by transposed convolutions, or by resizing and a convolution, which avoids checkerboard patterns "
        "(Odena et al. 2016). Mixed: resizing at the two largest sizes, where patterns would show.",
        "Networks",
        fixed=True,
        needs="networks=dcgan",
    )
    principal_components: int = _field(
        0,
        "Start from principal components",
        "Adds a blurred picture to what the generator draws: the mean of the images plus their principal components, in proportions that z "
        "sets. It fades over this many real images; 0: there is none.",
        "Networks",
        unit="images",
        step=10_000,
        ge=0,
        le=100_000_000,
        fixed=True,
        needs="networks=dcgan,residual",
    )
    generator_extra_layers: int = _field(
        0,
        "Extra generator layers",
        "Number of extra 3 x 3 convolutions before the last layer.",
        "Networks",
        ge=0,
        le=4,
        fixed=True,
        needs="networks=dcgan",
    )
    discriminator_norm: Literal["batch", "none"] = _field(
        "batch",
        "Discriminator normalization",
        "Batch normalization from the second layer on, or none. Gradient penalties need 'none'.",
        "Networks",
        fixed=True,
        needs="networks=dcgan",
    )
    batch_norm_over: Literal["batch", "rank"] = _field(
        "batch",
        "Batch normalization over",
        "On several GPUs or machines (torchrun): 'batch' uses the statistics of the whole batch, as one process would. 'rank' uses those of "
        "each process's own images, which is faster but changes the mathematics.",
        "Networks",
        shown=False,
    )
    self_attention: bool = _field(
        False,
        "Self-attention",
        "At 16 x 16 pixels, each place also sees all others, in both networks (Zhang et al. 2019).",
        "Networks",
        fixed=True,
        needs="networks=biggan",
    )
    spectral_norm: bool = _field(
        False,
        "Spectral normalization",
        "Divides each layer's weights by their largest singular value, which limits how fast the discriminator's answer can change "
        "(Miyato et al. 2018).",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    generator_spectral_norm: bool = _field(
        False,
        "Generator spectral normalization",
        "Spectral normalization in the generator, which can make training more stable (Zhang et al. 2019).",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    minibatch_std: bool = _field(
        False,
        "Minibatch deviation",
        "Shows the discriminator how much the images of a batch differ, so it can catch a generator that repeats itself "
        "(Karras et al. 2018).",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    minibatch_discrimination: bool = _field(
        False,
        "Minibatch discrimination",
        "Shows the discriminator how close each image is to the others of its batch, in features that it learns (Salimans et al. 2016).",
        "Networks",
        fixed=True,
        needs=_FROM_Z,
    )
    packing: int = _field(
        1,
        "Packing",
        "How many images the discriminator sees at once. More than one works against mode collapse (PacGAN, Lin et al. 2018).",
        "Networks",
        unit="images",
        ge=1,
        le=8,
        fixed=True,
        needs=_FROM_Z,
    )
    discriminator_head: Literal["conv", "dense"] = _field(
        "conv",
        "Discriminator head",
        "'conv': convolutions down to one number, with batch normalization. 'dense': convolutions down to 7 or 8 pixels without it, "
        "then dense layers of 512 and 1.",
        "Networks",
        fixed=True,
        needs="networks=dcgan",
    )
    dropout: float = _field(
        0.0,
        "Discriminator dropout",
        "Share of the discriminator's features to switch off at random in each step. Slows down a discriminator that wins too easily.",
        "Networks",
        step=0.05,
        ge=0,
        le=0.9,
        live=True,
        needs=_FROM_Z,
    )
    style_mixing: float = _field(
        0.9,
        "Style mixing",
        "Share of generated images in training whose coarse and fine styles come from two latent vectors, so each layer's style works on "
        "its own (Karras et al. 2019).",
        "Networks",
        step=0.1,
        ge=0,
        le=1,
        needs="networks=stylegan",
    )
    initialization: Literal["pytorch", "dcgan", "fixup", "orthogonal"] = _field(
        "pytorch",
        "Initial weights",
        "'pytorch': the library's default; 'dcgan': N(0, 0.02), as Radford et al. 2016 advise. 'fixup': residual blocks start as the "
        "identity (Zhang et al. 2019); 'orthogonal': random orthogonal matrices (Saxe et al. 2014).",
        "Networks",
        fixed=True,
        needs="networks=dcgan,mlp,residual,biggan",
    )

    patch: Literal[16, 34, 70] = _field(
        34,
        "Patch size",
        "The discriminator judges overlapping patches of this size, each on its own (PatchGAN, Isola et al. 2017). The paper has 70 for "
        "images of 256 pixels.",
        "Networks",
        unit="pixels",
        fixed=True,
        needs=_TRANSLATION,
    )
    direction: Literal["a_to_b", "b_to_a"] = _field(
        "a_to_b",
        "Direction",
        "Which image of a pair the generator gets: A, the left one or the one in folder A, or B.",
        "Data",
        needs="networks=pix2pix",
    )

    loss: Literal["bce", "hinge", "wasserstein", "relativistic", "least_squares"] = _field(
        "bce",
        "Loss",
        "'bce': cross-entropy, as in the first GAN. 'hinge': stops at a margin (Miyato et al. 2018). 'wasserstein': the critic's "
        "scores themselves (Arjovsky et al. 2017); 'relativistic': does the real image look more real than the generated one? (RpGAN, "
        "Jolicoeur-Martineau 2018); 'least_squares': squared distance to 1 and 0 (Mao et al. 2017).",
        "Loss",
    )
    feature_matching: bool = _field(
        False,
        "Feature matching",
        "The generator tries to match the discriminator's mean features of real images, instead of raising its answer (Salimans et al. 2016).",
        "Loss",
        needs=_FROM_Z,
    )
    mean_loss_d: bool = _field(
        False, "Halve D's loss", "Uses the mean of the discriminator's losses on real and generated images, instead of their sum.", "Loss"
    )
    adversarial_weight: float = _field(
        1.0,
        "Adversarial weight",
        "How much the discriminator's answer counts for the generator. 0: the generator only learns from the pairs.",
        "Loss",
        step=0.1,
        ge=0,
        le=1000,
        live=True,
        needs="networks=pix2pix",
    )
    l1_weight: float = _field(
        100.0,
        "L1 weight",
        "How much the mean distance between output and target counts for the generator (Isola et al. 2017: 100).",
        "Loss",
        step=10,
        ge=0,
        le=10_000,
        live=True,
        needs="networks=pix2pix",
    )
    cycle_weight: float = _field(
        10.0,
        "Cycle weight",
        "How strongly an image translated there and back must match the original (Zhu et al. 2017: 10).",
        "Loss",
        ge=0,
        le=1000,
        live=True,
        needs="networks=cyclegan",
    )
    identity_weight: float = _field(
        5.0,
        "Identity weight",
        "How strongly each generator is pushed to leave an image unchanged if it is already of the kind that the generator outputs (Zhu et al. 2017: 5).",
        "Loss",
        ge=0,
        le=1000,
        live=True,
        needs="networks=cyclegan",
    )
    image_buffer: int = _field(
        50,
        "Image buffer",
        "Half of the generated images that the discriminators see are new; the others come from a buffer of this many earlier ones (Shrivastava "
        "et al. 2017). 0: only new ones.",
        "Loss",
        unit="images",
        step=10,
        ge=0,
        le=500,
        fixed=True,
        needs="networks=cyclegan",
    )
    weight_clip: float = _field(
        0.0,
        "Clip the weights",
        "Keeps each weight of the critic between minus and plus this value (WGAN: 0.01). 0: no bound.",
        "Loss",
        step=0.01,
        ge=0,
        le=1,
        needs=_FROM_Z,
    )
    gradient_penalty: float = _field(
        0.0,
        "Gradient penalty",
        "Keeps the critic's slope near 1 between real and generated images (WGAN-GP, Gulrajani et al. 2017: 10). 0: none.",
        "Loss",
        ge=0,
        le=1000,
        needs=_FROM_Z,
    )
    r1: float = _field(
        0.0,
        "R1 penalty",
        "Flattens the discriminator around real images (Mescheder et al. 2018). 0: none.",
        "Loss",
        ge=0,
        le=1000,
        needs=_FROM_Z,
    )
    r2: float = _field(
        0.0,
        "R2 penalty",
        "Flattens the discriminator around generated images (Mescheder et al. 2018). 0: none.",
        "Loss",
        ge=0,
        le=1000,
        needs=_FROM_Z,
    )
    penalty_every: int = _field(
        1,
        "Penalties every",
        "Applies the penalties only once in this many steps, and that many times as strongly: faster, with nearly the same effect (lazy "
        "regularization, Karras et al. 2020). 1: in every step.",
        "Loss",
        unit="steps",
        ge=1,
        le=64,
        needs=_FROM_Z,
    )
    orthogonal_penalty: float = _field(
        0.0,
        "Orthogonal penalty",
        "Keeps the generator's filters different from each other, so truncated z also gives good images (Brock et al. 2019: 0.0001). "
        "0: none.",
        "Loss",
        step=1e-4,
        ge=0,
        le=1,
        needs=_FROM_Z,
    )

    batch_size: int = _field(
        64,
        "Batch size",
        "Number of real images per step; each step uses as many generated ones.",
        "Optimization",
        unit="images",
        common=True,
        step=8,
        ge=2,
        le=1024,
    )
    duration: float = _field(
        1000.0,
        "Train for",
        "How long the run trains, in the unit next to it. You can stop and continue it at any time.",
        "Optimization",
        common=True,
        gt=0,
        le=10_000_000,
    )
    duration_unit: Literal["epochs", "steps", "seconds"] = _field(
        "steps", "Unit", "An epoch shows every image once; a step shows one batch.", "Optimization", common=True
    )
    stop_when_finished: bool = _field(
        False,
        "Stop when finished",
        "Stops the run early if its images have not improved during the last third of the steps so far (the doctor's rule, from step 3,000 on). It can be resumed.",
        "Optimization",
    )
    lr_g: float = _field(
        2e-3,
        "Generator learning rate",
        "How far the generator's weights move in each step (Adam).",
        "Optimization",
        common=True,
        step=0,
        ge=1e-7,
        le=0.1,
        live=True,
    )
    lr_d: float = _field(
        2e-3,
        "Discriminator learning rate",
        "How far the discriminator's weights move in each step (Adam).",
        "Optimization",
        common=True,
        step=0,
        ge=1e-7,
        le=0.1,
        live=True,
    )
    optimizer: Literal["adam", "rmsprop"] = _field(
        "adam", "Optimizer", "Adam, or RMSprop as in WGAN. RMSprop ignores the betas.", "Optimization", fixed=True
    )
    d_steps: int = _field(
        1,
        "Discriminator steps",
        "Discriminator steps before the generator's turn, each on new images.",
        "Optimization",
        ge=1,
        le=10,
        live=True,
    )
    g_steps: int = _field(
        1,
        "Generator steps",
        "Generator steps before the discriminator's turn, each on new latent vectors.",
        "Optimization",
        ge=1,
        le=10,
        live=True,
    )
    beta1_g: float = _field(
        0.5,
        "Generator momentum",
        "Adam's beta 1 for the generator: how much of the previous direction carries over to the next step.",
        "Optimization",
        step=0.05,
        ge=0,
        lt=1,
    )
    beta1_d: float = _field(
        0.5,
        "Discriminator momentum",
        "Adam's beta 1 for the discriminator: how much of the previous direction carries over to the next step.",
        "Optimization",
        step=0.05,
        ge=0,
        lt=1,
    )
    beta2: float = _field(
        0.999,
        "Gradient scale memory",
        "Adam's beta 2 for both networks: how slowly the estimated size of the gradients changes.",
        "Optimization",
        step=0.001,
        ge=0,
        lt=1,
    )
    weight_decay: float = _field(
        0.0, "Weight decay", "Pulls the weights of both networks toward 0 (Adam's L2 penalty).", "Optimization", step=1e-5, ge=0, le=0.1
    )
    frozen: Literal["none", "generator", "discriminator"] = _field(
        "none",
        "Frozen network",
        "Stops one network from learning while the other continues. See what a network does without an opponent.",
        "Optimization",
        live=True,
    )
    reuse_fakes: bool = _field(
        True,
        "Reuse generated images",
        "The generator learns from the images that the discriminator has just seen. Off: it generates new ones, which is slower.",
        "Optimization",
    )
    average_half_life: int = _field(
        10_000,
        "Averaging half-life",
        "Samples come from the EMA generator: in its average, weights from this many images ago count half. 0: no averaging.",
        "Optimization",
        unit="images",
        step=1000,
        ge=0,
        le=10_000_000,
    )
    schedule_images: int = _field(
        0,
        "Schedule over",
        "Learning rates, penalties, beta 2 and averaging reach their end values after this many real images. 0: no schedule.",
        "Optimization",
        unit="images",
        step=10_000,
        ge=0,
        le=1_000_000_000,
    )
    schedule_start: int = _field(
        0,
        "Schedule starts at",
        "Before this many real images, the schedule has not begun and all settings keep their values.",
        "Optimization",
        unit="images",
        step=10_000,
        needs="schedule_images",
        ge=0,
        le=1_000_000_000,
    )
    schedule: Literal["cosine", "linear"] = _field(
        "cosine",
        "Schedule",
        "'cosine' starts and ends slowly, as in R3GAN (Huang et al. 2024). 'linear' changes at a constant rate.",
        "Optimization",
        needs="schedule_images",
    )
    lr_end: float = _field(
        1.0,
        "Learning rates end at",
        "Both learning rates end at this share of their settings. 1: no change.",
        "Optimization",
        step=0.05,
        needs="schedule_images",
        ge=0,
        le=100,
    )
    penalty_end: float = _field(
        1.0,
        "Penalties end at",
        "The R1, R2 and gradient penalties end at this share of their settings. 1: no change.",
        "Optimization",
        step=0.05,
        needs="schedule_images",
        ge=0,
        le=100,
    )
    beta2_end: float | None = _field(
        None,
        "Gradient scale memory ends at",
        "Adam's beta 2 at the end of the schedule, reached in 64 equal steps. Empty: no change.",
        "Optimization",
        step=0.001,
        needs="schedule_images",
        ge=0,
        lt=1,
    )
    average_half_life_end: int | None = _field(
        None,
        "Averaging half-life ends at",
        "The EMA generator's half-life at the end of the schedule. Empty: no change.",
        "Optimization",
        unit="images",
        step=1000,
        needs="schedule_images",
        ge=0,
        le=10_000_000,
    )
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "auto",
        "Number format",
        "32-bit or 16-bit numbers. 'auto' picks 16 bits if they are faster: it times both on a CPU, and uses 16 bits on GPUs from Ampere on.",
        "Optimization",
    )
    seed: int = _field(
        0,
        "Seed",
        "Fixes every random draw: the same seed, settings and number of threads give the same run.",
        "Optimization",
        common=True,
        ge=0,
        le=2**31 - 1,
    )

    real_label: float = _field(
        1.0,
        "Label of real images",
        "What the discriminator should answer for real images. 0.9 keeps it from becoming overconfident.",
        "Labels and noise",
        step=0.05,
        ge=0.5,
        le=1,
        live=True,
    )
    fake_label: float = _field(
        0.0,
        "Label of generated images",
        "What the discriminator should answer for generated images.",
        "Labels and noise",
        step=0.05,
        ge=0,
        le=0.5,
        live=True,
    )
    label_flips: float = _field(
        0.0,
        "Flipped labels",
        "Share of images with the wrong label, to keep the discriminator from becoming overconfident.",
        "Labels and noise",
        step=0.05,
        ge=0,
        le=0.5,
        live=True,
        needs=_FROM_Z,
    )
    instance_noise: float = _field(
        0.0,
        "Noise on images",
        "Standard deviation of the noise added to every image the discriminator sees. Pixels range from -1 to 1 (Sønderby et al. 2017).",
        "Labels and noise",
        step=0.05,
        ge=0,
        le=1,
        live=True,
        needs=_FROM_Z,
    )
    instance_noise_fade: int = _field(
        0,
        "Noise fades over",
        "The noise falls evenly to 0 over this many real images. 0: it stays.",
        "Labels and noise",
        unit="images",
        step=10_000,
        ge=0,
        le=100_000_000,
        needs=_FROM_Z,
    )
    diffaugment: Literal["off", "translation, cutout", "color, translation, cutout"] = _field(
        "off",
        "Augmentation",
        "Shifts, cutouts and color changes on every image the discriminator sees, for small data sets (DiffAugment, Zhao et al. 2020).",
        "Labels and noise",
        needs=_FROM_Z,
    )
    augmentation_target: float = _field(
        0.0,
        "Adaptive augmentation",
        "Augments only as much as needed to keep the discriminator's confidence at this value (ADA, Karras et al. 2020: 0.6). "
        "0: augments every image.",
        "Labels and noise",
        step=0.1,
        ge=0,
        le=0.9,
        needs=_FROM_Z,
    )

    log_every: int = _field(
        10, "Measure every", "Each point on the charts is a mean over this many steps.", "Watching", unit="steps", step=5, ge=1, le=10_000
    )
    grid_every: int = _field(
        0,
        "Draw the grid every",
        "Steps between two sample grids. 0: often at first, then less and less often, but at least every 256 steps.",
        "Watching",
        unit="steps",
        step=10,
        ge=0,
        le=1_000_000,
    )
    grid_images: Literal[16, 64, 256] = _field(
        64, "Images in the grid", "How many latent vectors the sample grid shows; they stay the same at every step.", "Watching"
    )
    snapshot_every: int = _field(
        500,
        "Snapshot every",
        "Steps between the snapshots of the generator for Explore. Early steps (1, 2, 4, 8, ...) get snapshots too.",
        "Watching",
        unit="steps",
        step=50,
        ge=10,
        le=1_000_000,
    )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SettingsError([(_field_of(e), _sentence(e)) for e in error.errors()]) from None

    @model_validator(mode="after")
    def _labels_are_apart(self) -> "TrainConfig":
        if self.real_label <= self.fake_label:
            raise ValueError(f"real_label must be larger than fake_label, {self.fake_label}; got {self.real_label}")
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> "TrainConfig":
        """Refuses combinations that make no mathematical sense, with the reason."""
        if self.loss != "bce":
            for name, neutral in (("real_label", 1.0), ("fake_label", 0.0), ("label_flips", 0.0)):
                if getattr(self, name) != neutral:
                    raise ValueError(f"{name} must be {neutral:g} with loss {self.loss}, which has no labels; got {getattr(self, name)}")
        for name in ("gradient_penalty", "r1", "r2"):
            if getattr(self, name) and self.normalizes_discriminator:
                raise ValueError(
                    f"{name} must be 0, or discriminator_norm 'none': the penalty needs each image's own gradient, and batch "
                    f"normalization makes every answer depend on the whole batch; got {getattr(self, name)}"
                )
        bounded = self.weight_clip or self.gradient_penalty or (self.spectral_norm and not self.normalizes_discriminator)
        if self.loss == "wasserstein" and not bounded:
            raise ValueError(
                "loss wasserstein needs weight_clip, gradient_penalty, or spectral_norm with discriminator_norm 'none': otherwise nothing "
                "limits the critic's slope, and its scores grow without bound"
            )
        if self.augmentation_target and self.diffaugment == "off":
            raise ValueError(
                f"augmentation_target must be 0 with diffaugment off, which leaves nothing to adapt; got {self.augmentation_target}"
            )
        if self.schedule_start and self.schedule_start >= self.schedule_images:
            raise ValueError(f"schedule_start must be less than schedule_images, {self.schedule_images}; got {self.schedule_start}")
        if self.translates:
            self._suits_translation()
        if self.batch_size % self.packing or self.batch_size == self.packing > 1:
            raise ValueError(
                f"batch_size must be a multiple of packing, {self.packing}, and hold at least two packs; got {self.batch_size}"
            )
        if self.conditional and self.packing > 1:
            raise ValueError(f"packing must be 1 with conditional: a pack would hold images of several classes; got {self.packing}")
        return self

    @model_validator(mode="after")
    def _weights_go_together(self) -> "TrainConfig":
        """Refuses combinations of initial weights, normalized weights and clipped weights that make no mathematical sense."""
        if self.initialization == "fixup" and self.networks != "residual":
            raise ValueError(
                f"initialization must be pytorch or dcgan with networks {self.networks}: fixup is for residual blocks; got fixup"
            )
        if self.initialization == "fixup" and self.spectral_norm:
            raise ValueError(
                "initialization must be pytorch or dcgan with spectral_norm, which divides weights by their largest singular value: fixup "
                "begins with weights of 0; got fixup"
            )
        if self.networks == "biggan" and self.latent_dim < (parts := (self.image_size - 1).bit_length() - 1):
            raise ValueError(
                f"latent_dim must be at least {parts} with networks biggan at {self.image_size} pixels, which split z into a part for each "
                f"layer that makes maps larger; got {self.latent_dim}"
            )
        if self.networks == "stylegan" and (self.spectral_norm or self.generator_spectral_norm):
            raise ValueError(
                f"{'spectral_norm' if self.spectral_norm else 'generator_spectral_norm'} must be off with networks stylegan, whose weights are "
                "scaled by a rule of their own (equalized learning rate); got true"
            )
        if self.weight_clip and self.spectral_norm:
            raise ValueError(f"weight_clip must be 0 with spectral_norm, which rescales the clipped weights; got {self.weight_clip}")
        return self

    def _suits_translation(self) -> None:
        """Refuses settings that have no meaning for networks that translate images."""
        for name in _NOT_TRANSLATED:
            if (value := getattr(self, name)) != (neutral := type(self).model_fields[name].default):
                raise ValueError(f"{name} must be {neutral} with networks {self.networks}, which translate images; got {value}")
        if self.loss in ("wasserstein", "relativistic"):
            raise ValueError(f"loss must be bce, hinge or least_squares with networks {self.networks}; got {self.loss}")

    @classmethod
    def live_fields(cls) -> list[str]:
        """The settings that can change while a run trains."""
        return cls._fields_that_are("live")

    @classmethod
    def fixed_fields(cls) -> list[str]:
        """The settings that define the networks, and so what a saved state holds."""
        return cls._fields_that_are("fixed")

    @classmethod
    def has_effect(cls, name: str, values: Mapping[str, Any]) -> bool:
        """Whether a setting changes what a run in the app computes, with the other settings in `values`; see _field()."""
        extra = cls.model_fields[name].json_schema_extra
        assert isinstance(extra, dict)
        if not extra["shown"]:
            return False
        needed, differs, others = str(extra["needs"]).partition("!=")
        if differs:
            return str(values[needed]) not in others.split(",")
        needed, equals, wanted = needed.partition("=")
        if equals:
            return str(values[needed]) in wanted.split(",")
        return not needed or bool(values[needed])

    @classmethod
    def _fields_that_are(cls, what: str) -> list[str]:
        return [n for n, info in cls.model_fields.items() if isinstance(e := info.json_schema_extra, dict) and e[what]]

    @property
    def normalizes_discriminator(self) -> bool:
        """Whether the discriminator has batch normalization; dense networks and dense heads have none."""
        return self.networks == "dcgan" and self.discriminator_head == "conv" and self.discriminator_norm == "batch"

    @property
    def compares_images(self) -> bool:
        """Whether the discriminator compares the images of a batch with each other."""
        return self.minibatch_std or self.minibatch_discrimination

    @property
    def translates(self) -> bool:
        """Whether the generator turns an image into another one; else it draws images from latent vectors."""
        return self.networks in TRANSLATORS

    @property
    def pairs(self) -> Literal["", "a_to_b", "b_to_a"]:
        """Which way round a run needs pairs of images; "" if it needs single images."""
        return self.direction if self.networks == "pix2pix" else ""

    @property
    def has_styles(self) -> bool:
        """Whether the generator has a space of styles, w, between z and the image."""
        return self.networks == "stylegan"

    @property
    def penalizes_lazily(self) -> bool:
        """Whether penalties have updates of their own, in only some of the steps."""
        return self.penalty_every > 1 and bool(self.r1 or self.r2 or self.gradient_penalty)

    @property
    def has_scores(self) -> bool:
        """Whether the discriminator's answers are unbounded scores, not probabilities."""
        return self.loss != "bce"

    def images_per_epoch(self, images: int | None) -> int | None:
        """Images that one pass over a set of so many shows: whole batches; what is left over is dropped.

        None if the number of images is not known, or less than a batch: training refuses such a set. With networks cyclegan, each step
        shows a batch of either class, and an epoch as many of each as half of the set.
        """
        if images and self.networks == "cyclegan":
            images //= 2
        return (images // self.batch_size * self.batch_size or None) if images else None

    def change(self, **fields: Any) -> "TrainConfig":
        """A copy with some fields changed, validated as a whole."""
        return TrainConfig(**{**self.model_dump(), **fields})


def _field_of(error: Any) -> str:
    """The field that one of pydantic's errors is about: a rule on several begins with the one to change."""
    name = str(error["loc"][0]) if error["loc"] else error["msg"].removeprefix("Value error, ").partition(" ")[0]
    return name if name in TrainConfig.model_fields else ""


def _sentence(error: Any) -> str:
    """One of pydantic's errors as one sentence: field, rule, value."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting; the settings are {', '.join(TrainConfig.model_fields)}"
    if error["type"] == "string_unicode":  # a path in another encoding, which JSON cannot hold
        return f"{name} must be text in UTF-8; got {error['input']!a}: rename it, or use a link with another name"
    if error["type"] == "string_too_short":
        return f"{name} must not be empty"
    if error["type"] == "string_pattern_mismatch":
        return f"{name} must be a color such as #ff8800; got {error['input']!a}"
    rule = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not name:
        return rule
    return f"{name} must be {rule}; got {error['input']!r}"


def parse_setting(text: str) -> tuple[str, Any]:
    """Splits "field=value". Numbers, true and false are converted; everything else stays text.

    Raises:
        ValueError: there is no "=", or the field is unknown.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"a setting must have the form FIELD=VALUE; got {text!r}")
    if name not in TrainConfig.model_fields:
        raise ValueError(f"{name} is not a setting; the settings are {', '.join(TrainConfig.model_fields)}")
    if TrainConfig.model_fields[name].annotation is str:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
