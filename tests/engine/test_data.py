"""Data and tokenizer are hashed once and then watched by their identity."""

import json
import os
from pathlib import Path

import pytest

from engine.data import Data
from engine.errors import WorkFailed
from engine.settings import RunSettings
from engine.workspace import Workspace

PREPARE = """
import json, pathlib, sys
if "--files" in sys.argv:
    folder = pathlib.Path(__file__).parent / "data"
    print(json.dumps([str(path) for path in sorted(folder.glob("*.txt"))]))
"""


@pytest.fixture
def watched(workspace: Workspace) -> Workspace:
    workspace.prepare.write_text(PREPARE)
    folder = workspace.root / "data"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name * 1000)
    return workspace


def taken_in(workspace: Workspace, *, in_flight: bool = False) -> Data:
    data = Data(workspace, RunSettings(python="engine"), in_flight=in_flight)
    assert data.take_in() == ""
    return data


def test_what_is_only_touched_moved_or_rewritten_alike_is_as_it_was(watched: Workspace) -> None:
    data = taken_in(watched)
    file = watched.root / "data" / "a.txt"
    file.touch()
    assert data.changes() == ()
    file.write_bytes(file.read_bytes())
    other = file.with_suffix(".copy")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert data.changes() == ()
    data.require()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.write_text("easy"), "a.txt was changed"),
        (lambda file: file.unlink(), "a.txt was removed"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "a.txt was removed"),
        (lambda file: file.with_name("c.txt").write_text("more"), "c.txt was added"),
    ],
)
def test_what_is_not_as_it_was_is_said_until_it_is_back(watched: Workspace, change: object, said: str) -> None:
    data = taken_in(watched)
    file = watched.root / "data" / "a.txt"
    content = file.read_bytes()
    change(file)  # type: ignore[operator]
    for _ in range(2):
        (found,) = data.changes()
        assert said in found
        with pytest.raises(WorkFailed, match="autoresearch-tui prepare"):
            data.require()
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    file.with_name("c.txt").unlink(missing_ok=True)
    assert data.changes() == ()


def test_the_time_of_a_file_proves_nothing(watched: Workspace) -> None:
    data = taken_in(watched)
    file = watched.root / "data" / "b.txt"
    found = file.stat()
    file.write_bytes(b"x" + file.read_bytes()[1:])
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert data.changes() == (f"{file} was changed",)


def test_an_engine_that_takes_over_holds_to_what_the_last_one_saw(watched: Workspace) -> None:
    before = taken_in(watched).digest
    file = watched.root / "data" / "a.txt"
    file.write_text("easy")
    assert taken_in(watched, in_flight=True).changes() == (f"{file} was changed",)
    assert taken_in(watched, in_flight=True).digest == before
    again = taken_in(watched)
    assert again.changes() == () and again.digest != before


@pytest.mark.parametrize("damage", [None, b"", b"\xff{", b"[]"])
def test_without_what_the_last_one_saw_what_is_there_counts(watched: Workspace, damage: bytes | None) -> None:
    digest = taken_in(watched).digest
    manifest = watched.state / "data.json"
    if damage is None:
        manifest.unlink()
    else:
        manifest.write_bytes(damage)
    assert taken_in(watched, in_flight=True).digest == digest
    assert set(json.loads(manifest.read_bytes())["files"]) == {
        str(watched.root / "data" / name) for name in ("a.txt", "b.txt")
    }


def test_where_the_folder_lies_makes_no_difference_to_the_digest(watched: Workspace, tmp_path: Path) -> None:
    before = taken_in(watched).digest
    other = Workspace.at(watched.root.rename(tmp_path / "moved"))
    assert taken_in(other).digest == before != ""


@pytest.mark.parametrize("prepare", ["MAX = 1\n", "# --files\n", "raise SystemExit('--files')\n", "print('--files')\n"])
def test_a_prepare_py_that_names_nothing_is_told_of_once(watched: Workspace, prepare: str) -> None:
    watched.prepare.write_text(prepare)
    data = Data(watched, RunSettings(python="engine"))
    assert "are not guarded" in data.take_in()
    assert (data.digest, data.changes()) == ("", ())
    assert data.take_in() == ""
