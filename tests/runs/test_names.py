"""Names of runs in lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan.config import TrainConfig
from gan.owners import LONGEST_NAME, NotAllowed, Visitor
from gan.recipes import RECIPES
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.names import LONGEST_LABEL, label, labels, listed
from gan.runs.run import Run
from tests.conftest import ADA, BOB

ID = "quick-digits-1123-050312-a1b2"
Make = Callable[..., Run]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a run's folder, with some settings changed from its recipe's."""

    def make(run_id: str = ID, recipe: str = "quick-digits", owner: str = "Ana", **changes: Any) -> Run:
        folder = RunFolder(tmp_path / run_id)
        folder.path.mkdir()
        base = RECIPES[recipe].config if recipe in RECIPES else TrainConfig()
        folder.write_config(base.change(**changes), recipe, owner=owner)
        return Run(folder)

    return make


def test_a_run_is_called_by_its_owner_its_recipe_and_what_differs(make: Make) -> None:
    assert label(make()) == "Ana · quick-digits"
    assert label(make("b", lr_d=0.1)) == "Ana · quick-digits · D's rate 0.1"
    assert label(make("c", owner="", spectral_norm=True, seed=5)) == "quick-digits · spectral normalization · seed 5"
    assert label(make("d", recipe="glasses", horizontal_flip=False)) == "Ana · glasses · no mirror at random"
    assert label(make("e", data="my-cats", duration=3, g_steps=2)) == "Ana · quick-digits · my-cats · generator steps 2"
    assert label(make("f", average_half_life=1_000_000)) == "Ana · quick-digits · averaging half-life 1,000,000 images"


def test_adaptive_augmentation_is_one_difference(make: Make) -> None:
    assert label(make(diffaugment="translation, cutout", augmentation_target=0.6)) == "Ana · quick-digits · adaptive augmentation 0.6"
    assert label(make("b", diffaugment="translation, cutout")) == "Ana · quick-digits · augmentation translation, cutout"


def test_a_run_without_its_recipes_start_from_principal_components_says_so(make: Make) -> None:
    assert label(make("a", recipe="quick-images", principal_components=0)) == "Ana · quick-images · no start from principal components"
    assert label(make("b", recipe="quick-images", principal_components=9)).endswith("· start from principal components 9 images")


def test_networks_to_start_from_are_named(make: Make) -> None:
    run = make()
    content = run.folder.read_config()[1]
    for origin, said in (({"run": "faces-run", "step": 10_000}, " · from faces-run"), ({"run": [1]}, ""), ({}, "")):
        run.folder.write_json(run.folder.config_file, {**content, "origin": origin})
        assert label(run) == f"Ana · quick-digits{said}"


def test_long_lists_are_counted_and_long_names_cut(make: Make) -> None:
    run = make(lr_d=0.1, lr_g=0.01, batch_size=32, latent_dim=8, conditional=True, data="x" * 200)
    assert label(run).startswith(f"Ana · quick-digits · {'x' * 23}…") and label(run).endswith(" · 3 more")
    assert len(label(make("b", owner="W" * 40, recipe="y" * 200, data="x" * 200))) <= LONGEST_LABEL


def test_a_fork_says_from_which_step_and_a_damaged_one_is_nothing_but_its_id(make: Make) -> None:
    run = make()
    content = run.folder.read_config()[1]
    run.folder.write_json(run.folder.config_file, {**content, "parent": {"run": "a", "step": 1500}})
    assert label(run) == "Ana · quick-digits · fork at 1,500"
    run.folder.write_json(run.folder.config_file, {**content, "parent": {"step": "<b>"}})
    assert label(run) == "Ana · quick-digits"
    run.folder.config_file.write_text("{")
    assert label(run) == ID


def test_equal_names_end_in_what_tells_them_apart(make: Make) -> None:
    ids = ["quick-digits-1123-050312-a1b2", "quick-digits-1124-050312-a1b2", "quick-digits-1124-050312-00ff", "other"]
    named = labels([*(make(i) for i in ids[:3]), make(ids[3], lr_d=0.1)])
    assert [named[i] for i in ids] == [
        f"Ana · quick-digits · {ids[0]}",  # the ends are the same too
        f"Ana · quick-digits · {ids[1]}",
        "Ana · quick-digits · 00ff",
        "Ana · quick-digits · D's rate 0.1",
    ]


def test_in_a_list_to_choose_from_a_run_is_found_by_its_id() -> None:
    assert listed("Ana · quick-digits · a1b2", ID) == f"Ana · quick-digits · {ID}"
    assert listed("Ana · my best", ID) == f"Ana · my best · {ID}"
    assert listed(f"Ana · {ID}", ID) == f"Ana · {ID}"


def test_its_owner_renames_a_run_and_nobody_else(tmp_path: Path, config: TrainConfig) -> None:
    manager = RunManager(tmp_path / "runs")
    folder = RunFolder(manager.root / ID)
    folder.path.mkdir(parents=True)
    folder.write_config(config, "quick-digits", owner="Ada", owner_id=ADA.id)
    run = manager.get(ID)
    before = label(run)
    for other in (BOB, Visitor("", "")):
        with pytest.raises(NotAllowed):
            manager.rename(ID, "mine", other)
    assert label(run) == before
    manager.rename(ID, "  my\n\u202ebest " + "x" * 100, ADA)
    assert run.given_name == ("my best " + "x" * 100)[:LONGEST_NAME] and label(run) == f"Ada · {run.given_name}"
    assert label(RunManager(manager.root).get(ID)) == label(run)  # also after a restart
    folder.write_config(config, "quick-digits", owner="Ada", owner_id=ADA.id)  # as a run that starts does
    assert label(run) == f"Ada · {run.given_name}"
    manager.rename(ID, "", ADA)
    assert label(run) == before and not folder.name_file.exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"name": 7}', '{"name": "' + "x" * 5000 + '"}', '{"name": "\\u0000"}'])
def test_a_name_that_cannot_be_read_is_none(make: Make, text: str) -> None:
    run = make()
    run.folder.name_file.write_text(text)
    assert run.given_name == "" and label(run) == "Ana · quick-digits" and not run.fault
