"""Which networks a run's settings ask for."""

from gan.config import TrainConfig
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.stylegan import StyleDiscriminator, StyleGenerator

GENERATORS: dict[str, type[Generator]] = {"stylegan": StyleGenerator}
DISCRIMINATORS: dict[str, type[Discriminator]] = {"stylegan": StyleDiscriminator}


def new_generator(config: TrainConfig, classes: int = 0) -> Generator:
    """The generator for some settings, without initial weights of a seed. classes: in the data, if the settings are conditional."""
    return GENERATORS.get(config.networks, Generator)(config, classes)


def new_discriminator(config: TrainConfig, classes: int = 0) -> Discriminator:
    """The discriminator for some settings; see new_generator()."""
    return DISCRIMINATORS.get(config.networks, Discriminator)(config, classes)
