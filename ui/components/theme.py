"""The theme where .streamlit/config.toml does not reach: text in the accent color, and where the keyboard is."""

from ui.components.component import component

_component = component("theme", "<span></span>\n")


def theme() -> None:
    """Styles the page; called in each run of the script."""
    _component(key="theme")
