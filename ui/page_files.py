"""Where the pages are: absolute, since Streamlit takes relative paths from the script it runs, which is not at the top.

And what they know of each other.
"""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent.parent / "pages"

HOME = _FOLDER / "home.py"
LEARN = _FOLDER / "learn.py"
DATA = _FOLDER / "data.py"
TRAIN = _FOLDER / "train.py"
COMPARE = _FOLDER / "compare.py"
INSIDE = _FOLDER / "inside.py"
EXPLORE = _FOLDER / "explore.py"
TRANSLATE = _FOLDER / "translate.py"
EVALUATE = _FOLDER / "evaluate.py"
GLOSSARY = _FOLDER / "glossary.py"
CLUSTER = _FOLDER / "cluster.py"  # only on a server with a cluster

NAMES = tuple(
    page.stem for page in (LEARN, DATA, TRAIN, COMPARE, INSIDE, EXPLORE, TRANSLATE, EVALUATE, GLOSSARY, CLUSTER)
)  # in their addresses

FOR_THE_SET = "settings_for_the_set"  # in the session: what Train does with settings that suit the chosen data set, once it has found them
FILL, START = "fill", "start"  # the form; a run
FORKING = "forking"  # in the session: the run that Train's open dialog forks, and the step that was asked for
RETURNING = "returns_to_data"  # in the session: whether the visitor has been on another page since the Data page
NEW_RUN = "New run"  # the option of Train that shows the settings; the others are runs


def page_file(name: str) -> Path:
    """The file of a page, by its name in the address."""
    return _FOLDER / f"{name}.py"
