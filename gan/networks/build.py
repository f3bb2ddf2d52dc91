"""Which networks a run's settings ask for."""

from gan.config import TrainConfig
from gan.networks.biggan import BigDiscriminator, BigGenerator
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.stylegan import StyleDiscriminator, StyleGenerator
from gan.networks.translation import PairDiscriminator, Translator, TwoDiscriminators, TwoGenerators, UNet

AnyGenerator = Generator | Translator
AnyDiscriminator = Discriminator | PairDiscriminator | TwoDiscriminators

# Kinds that draw from latent vectors and have classes of their own.
GENERATORS: dict[str, type[Generator]] = {"stylegan": StyleGenerator, "biggan": BigGenerator}
DISCRIMINATORS: dict[str, type[Discriminator]] = {"stylegan": StyleDiscriminator, "biggan": BigDiscriminator}


def new_generator(config: TrainConfig, classes: int = 0) -> Generator:
    """The generator for some settings that draws from latent vectors, without initial weights of a seed.

    classes: in the data, if the settings are conditional.
    """
    return GENERATORS.get(config.networks, Generator)(config, classes)


def new_discriminator(config: TrainConfig, classes: int = 0) -> Discriminator:
    """Its discriminator; see new_generator()."""
    return DISCRIMINATORS.get(config.networks, Discriminator)(config, classes)


def new_translator(config: TrainConfig) -> Translator:
    """The generator, or both, for settings that translate images, without initial weights of a seed.

    Raises:
        ValueError: the settings do not translate images.
    """
    if not config.translates:
        raise ValueError(f"networks {config.networks} do not translate images")
    return TwoGenerators(config) if config.networks == "cyclegan" else UNet(config)


def new_networks(config: TrainConfig, classes: int = 0) -> tuple[AnyGenerator, AnyDiscriminator]:
    """Both networks for any settings; see new_generator()."""
    if config.networks == "cyclegan":
        return new_translator(config), TwoDiscriminators(config)
    if config.networks == "pix2pix":
        return new_translator(config), PairDiscriminator(config)
    return new_generator(config, classes), new_discriminator(config, classes)
