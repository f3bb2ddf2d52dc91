"""The theme's contrast, as WCAG 2.2 defines it: 4.5 for text, 3 for what is no text."""

import re
import tomllib
from pathlib import Path

import pytest

from ui.charts import COLORS, shade

ROOT = Path(__file__).parent.parent.parent
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
STYLES = sorted((ROOT / "ui" / "components").glob("*.css"))
TEXT, GRAPHIC = 4.5, 3.0
FADED = 0.6  # of Streamlit's captions, labels and icons
SELECTED = 0.1  # how much of the primary color a selected segment has behind its text
Color = tuple[float, float, float]


def rgb(color: str) -> Color:
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def over(color: Color, ground: Color, opacity: float) -> Color:
    return tuple(opacity * c + (1 - opacity) * g for c, g in zip(color, ground, strict=True))  # type: ignore[return-value]


def luminance(color: Color) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == 21
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.005)  # known for missing 4.5
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_themes_pairs_can_be_read(scheme: str) -> None:
    theme = THEME[scheme]
    text, accent, primary = (rgb(theme[name]) for name in ("textColor", "linkColor", "primaryColor"))
    grounds = {"page": rgb(theme["backgroundColor"]), "field": rgb(theme["secondaryBackgroundColor"])}
    pairs = {("white", "primary button"): (TEXT, (1.0, 1.0, 1.0), primary)}
    for name, ground in grounds.items():
        pairs["text", name] = TEXT, text, ground
        pairs["caption", name] = TEXT, over(text, ground, FADED), ground
        pairs["link, slider value", name] = TEXT, accent, ground
        pairs["selected tab", name] = TEXT, accent, over(primary, ground, SELECTED)
        pairs["focus ring", name] = GRAPHIC, accent, ground
        pairs["slider, checkbox", name] = GRAPHIC, primary, ground
    for color in theme["chartCategoricalColors"]:
        pairs[f"line {color}", "page"] = TEXT, rgb(color), grounds["page"]  # the text at a line's end has its color
    for color in [*COLORS, *(shade(i / 24) for i in range(24))]:  # of runs, and of layers
        pairs[f"run {color}", "page"] = GRAPHIC, rgb(color), grounds["page"]
    found = {pair: round(contrast(one, other), 2) for pair, (_, one, other) in pairs.items()}
    assert not {pair: ratio for pair, ratio in found.items() if ratio < pairs[pair][0]}


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.name)
def test_components_write_in_colors_that_can_be_read(path: Path) -> None:
    """No text and no focus ring has the primary color, and faded text is no paler than captions."""
    rules = re.findall(r"([^{}]+){([^{}]*)}", path.read_text())
    assert rules
    for selector, body in rules:
        assert not re.search(r"(?<![-\w])(color|outline): [^;]*var\(--st-primary-color\)", body), selector
        faded = re.search(r"opacity: (0\.\d+)", body)
        if faded and not re.search(r":disabled|-map\b", selector):
            assert float(faded.group(1)) >= FADED, selector


def test_the_page_shows_where_the_keyboard_is() -> None:
    style = (ROOT / "ui" / "components" / "theme.css").read_text()
    ring = next(body for selector, body in re.findall(r"([^{}]+){([^{}]*)}", style) if "a, button" in selector)
    assert "outline: 2px solid var(--st-link-color)" in ring
