"""Where the pages are: absolute, since Streamlit takes relative paths from the script it runs, which is not at the top."""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent.parent / "pages"

HOME = _FOLDER / "home.py"
TRAIN = _FOLDER / "train.py"
EXPLORE = _FOLDER / "explore.py"
