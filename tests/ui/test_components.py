"""The markup of components, before a script fills it."""

import re
from pathlib import Path

import pytest

from ui.components import component

PICTURE = re.compile(r'<[^>]*role="img"[^>]*>')


@pytest.mark.parametrize("file", sorted(Path(component.__file__).parent.glob("*.py")), ids=lambda path: str(path.stem))
def test_a_picture_has_a_name_from_the_start(file: Path) -> None:
    assert [tag for tag in PICTURE.findall(file.read_text(encoding="utf-8")) if "aria-label" not in tag] == []
