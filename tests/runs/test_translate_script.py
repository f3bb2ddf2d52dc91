"""The script in the zip of a run that translates images gives the images of the app, with PyTorch and Pillow alone."""

import io
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.networks.generator_file import load_translator
from gan.networks.sampling import translate
from gan.recipes import recipe
from gan.runs.export import zip_run
from gan.runs.folder import RunFolder
from gan.runs.translate_script import translate_script
from gan.training.state import new_state


@pytest.mark.parametrize("size", [28, 64])
@pytest.mark.parametrize(("name", "channels", "more"), [("pix2pix", 3, []), ("cyclegan", 1, []), ("cyclegan", 3, ["--back"])])
def test_the_script_translates_as_the_app(
    name: str, channels: int, more: list[str], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = recipe(name).config.change(generator_filters=4, discriminator_filters=4, image_size=size, channels=channels)
    folder = RunFolder(tmp_path / "tiny")
    folder.write_config(config, name)
    state = new_state(config, torch.device("cpu"), class_names=("a", "b"))
    state.step = 3
    with torch.no_grad():  # statistics that an untrained network does not have
        for key, tensor in state.averaged.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=torch.Generator().manual_seed(len(key))))
    folder.save_generator(state)
    script = translate_script(folder.generator_file(3))
    assert len(script.splitlines()) <= 60
    packed = io.BytesIO()
    list(zip_run(folder, packed))
    with zipfile.ZipFile(packed) as archive:
        assert {"tiny/translate.py"} == {n for n in archive.namelist() if n.endswith(".py")}
        assert "python translate.py photo.png" in archive.read("tiny/README.txt").decode()
        archive.extractall(tmp_path / "out")
    image = torch.randint(0, 256, (1, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels: Any = image[0, 0].numpy() if channels == 1 else image[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "in.png")
    monkeypatch.setattr(sys, "argv", ["translate.py", str(tmp_path / "in.png"), "--out", str(tmp_path / "out.png"), *more])
    runpy.run_path(str(next((tmp_path / "out").rglob("translate.py"))), run_name="__main__")
    wanted = translate(load_translator(folder.generator_file(3)).network, image, back=bool(more))[0]
    got = np.asarray(Image.open(tmp_path / "out.png"), np.int16)
    got = got[None] if channels == 1 else got.transpose(2, 0, 1)
    assert np.abs(got - wanted.numpy()).max() <= 1
