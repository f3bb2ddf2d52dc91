"""Other seeds: as many as there were."""

import pytest

from gan import latent
from ui.dice import HIGHEST, others


@pytest.mark.parametrize("text", ["1", "1,2,3,4", "0-7", "5,5"])
def test_a_few_seeds_become_a_list_of_as_many_others(text: str) -> None:
    seeds = latent.parse_seeds(others(text, 8))
    assert len(seeds) == len(set(seeds)) == len(latent.parse_seeds(text)) and max(seeds) < HIGHEST


def test_many_seeds_become_a_range() -> None:
    text = others("0-31", 100)
    assert len(latent.parse_seeds(text)) == 32 and text.count("-") == 1 and "," not in text


@pytest.mark.parametrize("text", ["", "with glasses", "3-1", "1-9"])
def test_what_is_no_seeds_stays(text: str) -> None:
    assert others(text, 8) == text
