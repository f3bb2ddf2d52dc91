"""Around every page: the theme where .streamlit/config.toml does not reach, and navigation (navigation.js)."""

from ui.components.component import component

_component = component("theme", "<span></span>\n", "navigation")


def theme() -> None:
    """Styles the page; called in each run of the script."""
    _component(key="theme")
