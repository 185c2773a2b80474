"""The machine's memory of sessions: complete, bounded, and no reason to stop for anybody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import sessions
from engine.workspace import Workspace
from tests.engine.workspaces import make, run


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "autoresearch-tui" / "sessions"


def roots() -> list[Path]:
    return [each.root for each in sessions.known()]


def test_the_last_one_that_ran_comes_first_and_each_is_there_once(state: Path) -> None:
    for at, name in enumerate(("a", "b", "a")):
        sessions.remember(Workspace(Path(f"/work/{name}")))
        for path in state.glob("*.path"):
            if path.read_text() == f"/work/{name}":
                os.utime(path, (at, at))
    assert roots() == [Path("/work/a"), Path("/work/b")]


def test_a_session_is_known_once_it_is_begun_and_after_an_engine_ran(state: Path, tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    assert roots() == [workspace.root]
    for path in state.glob("*"):
        path.unlink()
    assert run(workspace, "--experiments", "0").returncode == 0
    assert roots() == [workspace.root]


def test_a_session_in_a_path_of_any_characters_is_found_again(state: Path) -> None:
    odd = Path("/work/mit Leerzeichen\nund Zeilen · ü")
    sessions.remember(Workspace(odd))
    assert roots() == [odd]


def test_a_file_that_was_broken_hides_no_other(state: Path) -> None:
    sessions.remember(Workspace(Path("/work/a")))
    (state / "1.path").write_bytes(b"\xff\0\xfe")
    (state / "2.path").write_bytes(b"")
    (state / "3.path").write_bytes(b"relative/path")
    (state / "4.path").mkdir()
    os.mkfifo(state / "5.path")
    assert roots() == [Path("/work/a")]


def test_only_so_many_are_remembered(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 5)
    for number in range(9):
        sessions.remember(Workspace(Path(f"/work/{number}")))
    assert len(roots()) == 5 and len(list(state.iterdir())) == 5
    assert Path("/work/8") in roots()


@pytest.mark.parametrize("home", ["file", "unwritable", "none"])
def test_a_state_directory_that_is_of_no_use_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    place = tmp_path / "state"
    if home == "file":
        place.write_text("no directory")
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self/nowhere" if home == "unwritable" else str(place))
    if home == "none":
        code = "from engine import sessions; from engine.workspace import Workspace; from pathlib import Path; "
        code += "import pwd; pwd.getpwuid = {}.__getitem__; sessions.remember(Workspace(Path('/work/a')))"
        environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_STATE_HOME")}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
        assert list(tmp_path.iterdir()) == []
        return
    sessions.remember(Workspace(Path("/work/a")))
    assert roots() == []
