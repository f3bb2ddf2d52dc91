"""TrainConfig: everything that decides what a run computes. Knows nothing of networks, files or pages."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

GROUPS = ("Data", "Networks", "Loss", "Optimisation", "Labels and noise", "Watching")


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
    **bounds: Any,
) -> Any:
    """A field with its bounds, and with what a form needs to show it: label, help, group, unit.

    live: it can change while a run trains. fixed: it shapes what a saved state holds, so a fork keeps it.
    """
    extra: dict[str, JsonValue] = {"group": group, "unit": unit, "common": common, "live": live, "fixed": fixed}
    return Field(default, title=label, description=help, json_schema_extra=extra, **bounds)


class TrainConfig(BaseModel):
    """One run's settings. Equal configs give equal runs, bit for bit on CPUs of one kind; on a GPU the last bits may differ.

    Bounds, units, help texts and defaults stand here and nowhere else: the form, the command line and the
    documentation of a field are read from it. The defaults are those of the recipe `quick-digits`.

    Raises:
        ValueError: a field is unknown, of the wrong type or out of bounds; the message names the field, its value
            and the rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = _field(
        "mnist",
        "Data set",
        "What the networks learn to draw: a named set, or a folder of images.",
        "Data",
        common=True,
        min_length=1,
        max_length=1000,
    )
    data_split: Literal["train", "all"] = _field(
        "train", "Part of the data", "'train' leaves out the test images where a set has them; 'all' uses both.", "Data"
    )
    image_size: Literal[28, 32, 64, 128] = _field(
        28,
        "Image size",
        "Height and width of the images. Twice the size costs about four times the time.",
        "Data",
        unit="pixels",
        fixed=True,
    )
    channels: Literal[1, 3] = _field(1, "Color channels", "1 for gray images, 3 for color (RGB).", "Data", fixed=True)
    horizontal_flip: bool = _field(
        False, "Mirror at random", "Show each image mirrored half of the time. Good for faces, wrong for digits and letters.", "Data"
    )
    color_jitter: float = _field(
        0.0, "Color jitter", "Vary brightness and contrast of each real image by up to this share.", "Data", ge=0, le=0.5
    )

    latent_dim: int = _field(
        64,
        "Latent size",
        "How many random numbers the generator turns into one image.",
        "Networks",
        unit="numbers",
        common=True,
        ge=2,
        le=512,
        fixed=True,
    )
    latent_distribution: Literal["normal", "uniform"] = _field(
        "normal", "Latent distribution", "The noise is drawn from N(0, 1), or uniformly from [-1, 1].", "Networks", fixed=True
    )
    conditional: bool = _field(
        False,
        "Draw by class",
        "Both networks are told the class of each image, so that the generator can be asked for one. Needs a data set with labels.",
        "Networks",
        fixed=True,
    )
    networks: Literal["dcgan", "mlp"] = _field(
        "dcgan",
        "Kind of networks",
        "'dcgan': convolutions; 'mlp': dense layers only, as the first GANs had, for comparison.",
        "Networks",
        fixed=True,
    )
    generator_filters: int = _field(
        32,
        "Generator filters",
        "Feature maps of the generator's largest layer; each layer before it has twice as many (dense networks: the first layer's "
        "width, doubled twice). More can draw more, and is slower.",
        "Networks",
        ge=4,
        le=256,
        fixed=True,
    )
    discriminator_filters: int = _field(
        32,
        "Discriminator filters",
        "Feature maps of the discriminator's first layer; each later layer has twice as many (dense networks: the last layer's width).",
        "Networks",
        ge=4,
        le=256,
        fixed=True,
    )
    generator_activation: Literal["relu", "leaky_relu"] = _field(
        "relu", "Generator activation", "What follows each layer of the generator: ReLU, or LeakyReLU with slope 0.2.", "Networks"
    )
    generator_order: Literal["norm_first", "activation_first"] = _field(
        "norm_first",
        "Generator layer order",
        "What comes first behind each convolution: batch normalisation, as in the DCGAN paper, or the activation.",
        "Networks",
    )
    generator_norm: Literal["batch", "none"] = _field(
        "batch", "Generator normalisation", "Batch normalisation behind each layer but the last, or none.", "Networks", fixed=True
    )
    generator_upsampling: Literal["transposed", "resize"] = _field(
        "transposed",
        "Generator upsampling",
        "How feature maps grow: transposed convolutions, or resizing followed by a convolution, which leaves no checkerboard "
        "(Odena et al. 2016).",
        "Networks",
        fixed=True,
    )
    generator_extra_layers: int = _field(
        0,
        "Extra generator layers",
        "Further 3 x 3 convolutions before the last layer.",
        "Networks",
        ge=0,
        le=4,
        fixed=True,
    )
    discriminator_norm: Literal["batch", "none"] = _field(
        "batch",
        "Discriminator normalisation",
        "Batch normalisation from the second layer on, or none: gradient penalties need 'none'.",
        "Networks",
        fixed=True,
    )
    spectral_norm: bool = _field(
        False,
        "Spectral norm",
        "Spectral normalisation: bounds how steeply the discriminator's answer can change, by dividing each layer's weights by their largest singular "
        "value (Miyato et al. 2018).",
        "Networks",
        fixed=True,
    )
    minibatch_std: bool = _field(
        False,
        "Minibatch deviation",
        "Shows the discriminator how much the images of a batch differ from one another, so that a generator that draws "
        "one image again and again is caught (Karras et al. 2018).",
        "Networks",
        fixed=True,
    )
    packing: int = _field(
        1,
        "Packing",
        "Images that the discriminator judges together, against mode collapse (PacGAN, Lin et al. 2018).",
        "Networks",
        unit="images",
        ge=1,
        le=8,
        fixed=True,
    )
    discriminator_head: Literal["conv", "dense"] = _field(
        "conv",
        "Discriminator head",
        "'conv': convolutions down to one number, with batch normalisation; 'dense': none of it, convolutions down to 7 or 8 pixels, "
        "then layers of 512 and 1.",
        "Networks",
        fixed=True,
    )
    dropout: float = _field(
        0.0,
        "Discriminator dropout",
        "Share of the discriminator's features that are switched off at random in each step. Holds back a discriminator that wins too easily.",
        "Networks",
        ge=0,
        le=0.9,
        live=True,
    )
    initialization: Literal["pytorch", "dcgan"] = _field(
        "pytorch",
        "Initial weights",
        "'dcgan': N(0, 0.02), as Radford et al. 2016 advise; 'pytorch': the library's default, which learns digits sooner.",
        "Networks",
        fixed=True,
    )

    loss: Literal["bce", "hinge", "wasserstein", "relativistic"] = _field(
        "bce",
        "Loss",
        "'bce': cross entropy, as in the first GAN; 'hinge': stops at a margin (Miyato et al. 2018); 'wasserstein': the critic's "
        "scores themselves (Arjovsky et al. 2017); 'relativistic': is the real image more real than the fake? (RpGAN, "
        "Jolicoeur-Martineau 2018).",
        "Loss",
    )
    feature_matching: bool = _field(
        False,
        "Feature matching",
        "The generator aims at the mean of the discriminator's features of real images, instead of its answer (Salimans et al. 2016).",
        "Loss",
    )
    mean_loss_d: bool = _field(
        False, "Halve D's loss", "The discriminator's loss is the mean of its two halves, real and fake, instead of their sum.", "Loss"
    )
    weight_clip: float = _field(
        0.0, "Clip the weights", "Keeps each weight of the critic within plus or minus this (WGAN: 0.01). 0: no bound.", "Loss", ge=0, le=1
    )
    gradient_penalty: float = _field(
        0.0,
        "Gradient penalty",
        "Holds the critic's slope near 1 between real and fake images (WGAN-GP, Gulrajani et al. 2017: 10). 0: none.",
        "Loss",
        ge=0,
        le=1000,
    )
    r1: float = _field(
        0.0, "R1 penalty", "Flattens the discriminator around real images (Mescheder et al. 2018). 0: none.", "Loss", ge=0, le=1000
    )
    r2: float = _field(0.0, "R2 penalty", "The same around generated images. 0: none.", "Loss", ge=0, le=1000)

    batch_size: int = _field(
        64,
        "Batch size",
        "Real images, and as many generated ones, in each step.",
        "Optimisation",
        unit="images",
        common=True,
        ge=2,
        le=1024,
    )
    duration: float = _field(
        10,
        "Train for",
        "How long the run goes on, in the unit beside it. It can be stopped and continued at any time.",
        "Optimisation",
        common=True,
        gt=0,
        le=10_000_000,
    )
    duration_unit: Literal["epochs", "steps", "seconds"] = _field(
        "epochs", "Unit", "An epoch shows every image once; a step shows one batch.", "Optimisation", common=True
    )
    lr_g: float = _field(
        2e-3,
        "Generator learning rate",
        "How far the generator's weights move in each step (Adam).",
        "Optimisation",
        common=True,
        ge=1e-7,
        le=0.1,
        live=True,
    )
    lr_d: float = _field(
        2e-3,
        "Discriminator learning rate",
        "How far the discriminator's weights move in each step (Adam).",
        "Optimisation",
        common=True,
        ge=1e-7,
        le=0.1,
        live=True,
    )
    optimizer: Literal["adam", "rmsprop"] = _field(
        "adam", "Optimiser", "Adam, or RMSprop as WGAN asks; RMSprop has no betas.", "Optimisation", fixed=True
    )
    d_steps: int = _field(
        1,
        "Discriminator steps",
        "Steps of the discriminator, each on new images, before it is the generator's turn.",
        "Optimisation",
        ge=1,
        le=10,
        live=True,
    )
    g_steps: int = _field(
        1,
        "Generator steps",
        "Steps of the generator, each on new noise, before it is the discriminator's turn.",
        "Optimisation",
        ge=1,
        le=10,
        live=True,
    )
    beta1_g: float = _field(
        0.5, "Generator momentum", "Adam's beta 1: the share of the last direction that the generator keeps.", "Optimisation", ge=0, lt=1
    )
    beta1_d: float = _field(
        0.5,
        "Discriminator momentum",
        "Adam's beta 1: the share of the last direction that the discriminator keeps.",
        "Optimisation",
        ge=0,
        lt=1,
    )
    beta2: float = _field(0.999, "Gradient scale memory", "Adam's beta 2, for both networks.", "Optimisation", ge=0, lt=1)
    weight_decay: float = _field(
        0.0, "Weight decay", "Pulls the weights of both networks towards 0 (Adam's L2 penalty).", "Optimisation", ge=0, le=0.1
    )
    frozen: Literal["none", "generator", "discriminator"] = _field(
        "none",
        "Frozen network",
        "A network that stays as it is while the other learns against it: what does one do when nobody answers?",
        "Optimisation",
        live=True,
    )
    reuse_fakes: bool = _field(
        True,
        "Reuse fakes",
        "The generator's first step learns from the fakes that the discriminator has just seen. Off: it draws new ones, which is slower.",
        "Optimisation",
    )
    average_half_life: int = _field(
        10_000,
        "Averaging half-life",
        "Samples come from an average of the generator's weights; older weights count half after this many images. 0: no averaging.",
        "Optimisation",
        unit="images",
        ge=0,
        le=10_000_000,
    )
    precision: Literal["auto", "fp32", "bf16"] = _field(
        "auto",
        "Number format",
        "32-bit or 16-bit numbers. 'auto' takes 16 bits where they are faster: a CPU is timed with both, a GPU has them from Ampere on.",
        "Optimisation",
    )
    seed: int = _field(
        0,
        "Seed",
        "Starts every random draw of the run: the same seed and settings give the same run.",
        "Optimisation",
        common=True,
        ge=0,
        le=2**31 - 1,
    )

    real_label: float = _field(
        1.0,
        "Label of real images",
        "What the discriminator should answer for real images; 0.9 keeps it from growing too sure.",
        "Labels and noise",
        ge=0.5,
        le=1,
        live=True,
    )
    fake_label: float = _field(
        0.0, "Label of fakes", "What the discriminator should answer for generated images.", "Labels and noise", ge=0, le=0.5, live=True
    )
    label_flips: float = _field(
        0.0,
        "Flipped labels",
        "Share of images about which the discriminator is told the wrong thing, to keep it from growing too sure.",
        "Labels and noise",
        ge=0,
        le=0.5,
        live=True,
    )
    instance_noise: float = _field(
        0.0,
        "Noise on images",
        "Standard deviation of the noise laid on all images that the discriminator sees, real and generated; pixels go from -1 to 1 "
        "(Sønderby et al. 2017).",
        "Labels and noise",
        ge=0,
        le=1,
        live=True,
    )
    instance_noise_fade: int = _field(
        0,
        "Noise fades over",
        "The noise falls evenly to nothing over this many real images. 0: it stays.",
        "Labels and noise",
        unit="images",
        ge=0,
        le=100_000_000,
    )
    diffaugment: Literal["off", "translation, cutout", "color, translation, cutout"] = _field(
        "off",
        "Augmentation",
        "Shifts, cut-outs and color changes on all images that the discriminator sees, for small data sets (DiffAugment, Zhao et al. 2020).",
        "Labels and noise",
    )

    log_every: int = _field(
        10, "Measure every", "A point on the charts is the mean over this many steps.", "Watching", unit="steps", ge=1, le=10_000
    )
    grid_every: int = _field(
        0,
        "Draw the grid every",
        "0: at log-spaced steps, often at first, and at least every 256.",
        "Watching",
        unit="steps",
        ge=0,
        le=1_000_000,
    )
    grid_images: Literal[16, 64, 256] = _field(64, "Images in the grid", "Noise vectors drawn again and again.", "Watching")
    snapshot_every: int = _field(
        500,
        "Keep the generator every",
        "Steps between the generators that are kept for Explore; early ones (at steps 1, 2, 4, 8, ...) are kept too.",
        "Watching",
        unit="steps",
        ge=10,
        le=1_000_000,
    )

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ValueError("; ".join(_sentence(e) for e in error.errors())) from None

    @model_validator(mode="after")
    def _labels_are_apart(self) -> "TrainConfig":
        if self.real_label <= self.fake_label:
            raise ValueError(f"real_label must be larger than fake_label, {self.fake_label}; got {self.real_label}")
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> "TrainConfig":
        """Refuses what the mathematics forbids, with the reason."""
        if self.loss != "bce":
            for name, neutral in (("real_label", 1.0), ("fake_label", 0.0), ("label_flips", 0.0)):
                if getattr(self, name) != neutral:
                    raise ValueError(f"{name} must be {neutral:g} with loss {self.loss}, which has no labels; got {getattr(self, name)}")
        for name in ("gradient_penalty", "r1", "r2"):
            if getattr(self, name) and self.normalises_discriminator:
                raise ValueError(
                    f"{name} must be 0, or discriminator_norm 'none': the penalty asks for each image's own gradient, and batch "
                    f"normalisation makes every answer depend on the whole batch; got {getattr(self, name)}"
                )
        bounded = self.weight_clip or self.gradient_penalty or (self.spectral_norm and not self.normalises_discriminator)
        if self.loss == "wasserstein" and not bounded:
            raise ValueError(
                "loss must not be wasserstein without weight_clip, gradient_penalty, or spectral_norm with discriminator_norm 'none': "
                "nothing else bounds the critic's slope, and its scores then grow without end"
            )
        if self.weight_clip and self.spectral_norm:
            raise ValueError(
                f"weight_clip must be 0 with spectral_norm, which divides every bound out of the weights again; got {self.weight_clip}"
            )
        if self.batch_size % self.packing or self.batch_size == self.packing > 1:
            raise ValueError(
                f"batch_size must be a multiple of packing, {self.packing}, and hold at least two packs; got {self.batch_size}"
            )
        if self.conditional and self.packing > 1:
            raise ValueError(f"packing must be 1 with conditional: a pack would hold images of several classes; got {self.packing}")
        return self

    @classmethod
    def live_fields(cls) -> list[str]:
        """The settings that can change while a run trains."""
        return cls._fields_that_are("live")

    @classmethod
    def fixed_fields(cls) -> list[str]:
        """The settings that shape what a saved state holds."""
        return cls._fields_that_are("fixed")

    @classmethod
    def _fields_that_are(cls, what: str) -> list[str]:
        return [n for n, info in cls.model_fields.items() if isinstance(e := info.json_schema_extra, dict) and e[what]]

    @property
    def normalises_discriminator(self) -> bool:
        """Whether the discriminator has batch normalisation; dense networks and dense heads have none."""
        return self.networks == "dcgan" and self.discriminator_head == "conv" and self.discriminator_norm == "batch"

    @property
    def has_scores(self) -> bool:
        """Whether the discriminator's answers are scores without bounds, not probabilities."""
        return self.loss != "bce"

    def change(self, **fields: Any) -> "TrainConfig":
        """A copy with some fields changed, validated as a whole."""
        return TrainConfig(**{**self.model_dump(), **fields})


def _sentence(error: Any) -> str:
    """One of pydantic's findings as one sentence: field, rule, value."""
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting; known are {', '.join(TrainConfig.model_fields)}"
    if error["type"] == "string_unicode":  # a path in another encoding, which no JSON file can hold
        return f"{name} must be text in UTF-8; got {error['input']!a}: rename it, or name a link to it"
    if error["type"] == "string_too_short":
        return f"{name} must not be empty"
    rule = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if not name:
        return rule
    return f"{name} must be {rule}; got {error['input']!r}"


def parse_setting(text: str) -> tuple[str, Any]:
    """Splits "field=value"; numbers and true or false become what they say, everything else stays text.

    Raises:
        ValueError: there is no "=", or the field is unknown.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"a setting reads FIELD=VALUE; got {text!r}")
    if name not in TrainConfig.model_fields:
        raise ValueError(f"{name} is not a setting; known are {', '.join(TrainConfig.model_fields)}")
    if TrainConfig.model_fields[name].annotation is str:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
