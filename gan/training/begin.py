"""A run's start from the principal components of its images."""

from gan.data.imageset import ImageDataset
from gan.devices import one_thread
from gan.latent import deviation
from gan.networks.dcgan import Generator
from gan.training.state import TrainState


def begin_with_images(state: TrainState, dataset: ImageDataset) -> None:
    """Makes a new generator's blurred picture that of the images' principal components. Does nothing where it has begun, or has none.

    state: changed in place, before its first step.
    dataset: images of the config's size and channels.
    """
    generator, config = state.generator, state.config
    if state.step or not isinstance(generator, Generator) or generator.blurred is None or generator.blurred.share >= 0:
        return
    with one_thread():
        generator.blurred.begin(dataset.images, deviation(config.latent_distribution), config.horizontal_flip)
    state.averaged.load_state_dict(generator.state_dict())
