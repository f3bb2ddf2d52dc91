"""The recorded faces run, for runs on one's own images to start from."""

from pathlib import Path

from gan.course import faces_run
from gan.data.imageset import ImageDataset
from gan.networks.generator_file import load_discriminator, load_generator

LARGEST = 2 * 2**20  # bytes of all files
SAID_EVERY = 30  # steps


def test_the_run_is_small_and_whole_and_a_quick_images_run() -> None:
    assert sum(path.stat().st_size for path in faces_run.SHIPPED.iterdir()) < LARGEST
    drawn_by = load_generator(faces_run.SHIPPED / faces_run.GENERATOR)
    judged_by = load_discriminator(faces_run.SHIPPED / faces_run.DISCRIMINATOR)
    assert drawn_by.step == judged_by.step == faces_run.STEPS
    assert drawn_by.config == judged_by.config == faces_run.CONFIG


def test_the_same_settings_record_the_same_networks(blobs: ImageDataset, tmp_path: Path) -> None:
    small = {"image_size": 28, "channels": 1, "generator_filters": 4, "discriminator_filters": 4, "batch_size": 4}
    config = faces_run.CONFIG.change(**small, latent_dim=4, duration=SAID_EVERY + 1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert list(faces_run.record(tmp_path / name, config, blobs, SAID_EVERY)) == [SAID_EVERY, SAID_EVERY + 1]
    for file in (faces_run.GENERATOR, faces_run.DISCRIMINATOR):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert load_generator(tmp_path / "a" / faces_run.GENERATOR).step == SAID_EVERY + 1
