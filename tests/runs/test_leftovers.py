"""Half-made files of killed processes are removed; those of living processes stay. Texts are UTF-8 in any locale."""

import ast
import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan import files
from gan.config import TrainConfig
from gan.data import datasets, uploads
from gan.data.imageset import ImageDataset
from gan.files import abandoned, claimed, in_words, sweep, without_folders, write_through
from gan.networks import generator_file
from gan.runs import folder as checkpoint
from gan.runs import fork
from gan.runs.folder import RunFolder
from gan.runs.manager import RunManager
from gan.runs.run import Run, explain

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from gan.files import claimed
with claimed(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


def hold(part: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(part)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"here\n"
    os.utime(part, (0, 0))
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("kind", ["upload", "cache", "temporary", "fork"])
def test_what_a_killed_process_left_goes_at_once_and_what_a_living_one_makes_stays(
    folders: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("gan.data.cache.gettempdir", lambda: str(folders / "tmp"))
    manager, data = RunManager(), datasets.data_root()
    part = {
        "upload": data / ".upload-1",
        "cache": data / "cache" / ".part-1",
        "temporary": folders / "tmp" / "workshop-1",
        "fork": manager.root / ".run-1.part",
    }[kind]
    part.parent.mkdir(parents=True)
    (stranger := part.parent / ".mine").mkdir()
    process = hold(part)
    try:
        manager.remove_leftovers()
        assert part.is_dir(), "however old it looks"
    finally:
        kill(process)
    os.utime(part)
    manager.remove_leftovers()
    assert part.is_dir(), "for a minute it might be in the making"
    os.utime(part, (0, 0))
    manager.remove_leftovers()
    assert not part.exists() and [p.name for p in part.parent.iterdir()] == [stranger.name]


def test_a_claimed_folder_leaves_no_lock_and_can_be_renamed(tmp_path: Path) -> None:
    with claimed(tmp_path / ".part-x"):
        os.utime(tmp_path / ".part-x", (0, 0))
        assert not abandoned(tmp_path / ".part-x")
        (tmp_path / ".part-x").rename(tmp_path / "done")
    with pytest.raises(FileExistsError), claimed(tmp_path / "done"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["done"]


def test_what_cannot_be_removed_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    original = files.shutil.rmtree

    def rmtree(path: Path) -> None:
        if path.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        original(path)

    monkeypatch.setattr(files.shutil, "rmtree", rmtree)
    sweep(sorted(tmp_path.iterdir()))
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and "cannot be removed" in caplog.text


def test_an_upload_that_is_being_made_survives_another_servers_start(folders: Path) -> None:
    from tests.data.test_uploads import pets

    work = uploads.add(pets(), "pets", "pets.zip")
    next(work)
    (part,) = [p for p in datasets.data_root().glob(".upload-*") if p.is_dir()]
    os.utime(part, (0, 0))
    RunManager().remove_leftovers()
    assert part.is_dir()
    work.close()
    assert not list(datasets.data_root().glob(".upload-*"))


def test_a_fork_does_not_replace_what_is_at_its_place(tmp_path: Path, config: TrainConfig, blobs: ImageDataset) -> None:
    from tests.runs.test_checkpoint import trained

    parent = checkpoint.RunFolder(tmp_path / "parent")
    trained(parent, config, blobs)
    (tmp_path / "child").mkdir()
    with pytest.raises(generator_file.CheckpointError, match="the run child already exists"):
        fork.fork(parent, tmp_path / "child", 0, {})
    (tmp_path / ".other.part").mkdir()
    (tmp_path / ".other.part" / "theirs").touch()
    with pytest.raises(FileExistsError):
        fork.fork(parent, tmp_path / "other", 0, {})
    assert (tmp_path / ".other.part" / "theirs").exists() and not list(tmp_path.glob("*.lock"))
    assert checkpoint.run_name("../../x").startswith("run-") and checkpoint.run_name("a" * 90).startswith("run-")
    assert checkpoint.run_name("quick-digits").startswith("quick-digits-")


# Errors that say what they are.


class Full(io.BytesIO):
    """A file with room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, content: Any, /) -> int:
        if self.tell() + memoryview(content).nbytes > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


@pytest.mark.parametrize("room", [0, 100, 70_000, 400_000, 800_500])
def test_a_full_disk_is_an_oserror_whatever_a_library_makes_of_it(room: int) -> None:
    state = {"a": torch.zeros(100_000), "b": torch.ones(100_000)}
    saves: tuple[Callable[[Any], None], ...] = (
        lambda file: torch.save(state, file),
        lambda file: np.save(file, np.zeros(900_000, np.uint8)),
    )
    for save in saves:
        with pytest.raises(OSError) as caught:
            write_through(save, Full(room))
        assert caught.value.errno == errno.ENOSPC
    write_through(lambda file: torch.save(state, file), whole := Full(10**9))
    assert torch.equal(torch.load(io.BytesIO(whole.getvalue()), weights_only=True)["b"], state["b"])
    with pytest.raises(ZeroDivisionError):
        write_through(lambda file: divmod(1, 0) and None, Full(10**9))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOMEM, "out of memory"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EINVAL, "damaged"),
        (errno.ENOSPC, "the disk is full"),
        (errno.ETXTBSY, "Text file busy"),
    ],
)
def test_system_errors_are_words_with_the_file_and_without_numbers(number: int, words: str) -> None:
    said = in_words(OSError(number, os.strerror(number), "runs/state.pt"))
    assert said.startswith("runs/state.pt: ") and words in said and "Errno" not in said
    alone = in_words(OSError(number, os.strerror(number)))
    assert words.lower() in alone.lower() and alone[0].isupper()
    assert in_words(OSError("the widget is loose")) == "the widget is loose"


# Texts.

WRITERS = {"read_text", "write_text", "open", "run", "Popen", "check_output"}


def without_encoding(path: Path) -> Iterator[Any]:
    """Calls in a file that read or write texts by the locale: line numbers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if name not in WRITERS or "encoding" in named:
            continue
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        modes = [a.value for a in (*node.args, named.get("mode")) if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if name == "open":
            if owner in ("Image", "tarfile", "zipfile") or owner.endswith("_zip") or owner in ("os", "self", "file", "gzip"):
                continue
            if not any("b" in mode for mode in modes if len(mode) <= 3):
                yield node.lineno
        elif name in ("read_text", "write_text") or "text" in named or "universal_newlines" in named:
            yield node.lineno


SOURCES = [p for folder in ("gan", "ui", "pages", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))]


def test_texts_are_read_and_written_as_utf_8_whatever_the_locale() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in [*SOURCES, ROOT / "app.py"] for line in without_encoding(path)]
    assert found == []


def test_the_command_line_survives_a_terminal_that_is_not_utf_8() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    command = [
        sys.executable,
        "-c",
        "import gan.__main__ as m, click; m.cli.add_command(click.command('odd')(lambda: click.echo('\\u2192'))); m.main()",
    ]
    done = subprocess.run([*command, "odd"], cwd=ROOT, env=environment, capture_output=True)
    assert done.returncode == 0 and done.stdout == b"\\u2192\n", done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/runs/a-1/state.pt: the disk does not answer", "state.pt: the disk does not answer"),
        ("cannot read '/srv/a/b.png' and /srv/c/d.png.", "cannot read 'b.png' and d.png."),
        (r"C:\Users\ada\data\x.zip is damaged", "x.zip is damaged"),
        ("checkpoints/a-1/config.json is damaged", "checkpoints/a-1/config.json is damaged"),
        ("see https://example.org/a/b.html", "see https://example.org/a/b.html"),
        ("at most 1 / 26 of the time, 3/4, and/or", "at most 1 / 26 of the time, 3/4, and/or"),
    ],
)
def test_visitors_see_the_names_of_files_without_their_paths(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_an_explanation_names_a_file_and_the_log_has_its_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / "state.pt"))
    assert explain(error) == "state.pt: the disk or the terminal does not answer (input/output error)"
    assert str(tmp_path) in caplog.text and str(tmp_path) in explain(error, folders=True)
    damaged = tmp_path / "run-1"
    damaged.mkdir()
    (damaged / "config.json").write_text("no JSON")
    run = Run(RunFolder(damaged))
    assert run.fault and str(tmp_path) not in run.fault
    (damaged / "status.json").write_text("no JSON")
    assert run.disk_status().error and str(tmp_path) not in run.disk_status().error
