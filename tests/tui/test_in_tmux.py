"""The screen as its user has it: in a real tmux, on a real session, left and killed and opened again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import commands, journal
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.workspaces import PROGRAM, check_settled, environment, experiments, make, run, until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

SERVERS = 3
"""That are tried: tmux's own start fails now and then."""


class Terminal:
    """A tmux server of its own with one window; a new one each time it is opened."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened = 0
        self.seconds = 1.0
        """What a training run takes in it."""

    @property
    def _socket(self) -> Path:
        return self._directory / f"tmux-{self._opened}"

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, env=environment(self.seconds), capture_output=True, text=True, check=True).stdout

    def open(self, command: str, width: int, height: int) -> None:
        """Run a command in a new window; the shell stays afterwards, for what the command leaves behind."""
        size = ["-x", str(width), "-y", str(height)]
        for left in reversed(range(SERVERS)):
            self._opened += 1
            try:
                self.tmux("new-session", "-d", *size, f"{command}; echo left with $?; exec sleep 600")
            except subprocess.CalledProcessError as error:
                assert left, error.stderr
            else:
                return

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def check_shows(self, text: str) -> None:
        until(lambda: text in self.screen(), f"{text!r} on\n{self.screen()}")

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = make(tmp_path / "work")
    yield workspace
    if engine_of(workspace):
        commands.send(workspace, commands.Stop(now=True))
        until(lambda: engine_of(workspace) is None, "the engine's end")


def viewers(workspace: Workspace) -> list[int]:
    pattern = f"^[^ ]*/python[^ ]* .*{PROGRAM} {workspace.root}$"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False)
    return [int(each) for each in found.stdout.split()]


def under_way(workspace: Workspace) -> int:
    flight = journal.load(workspace)
    return flight.run if flight else 0


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_q_leaves_the_engine_running_and_the_same_command_comes_back(
    terminal: Terminal, workspace: Workspace, width: int, height: int
) -> None:
    terminal.open(f"{PROGRAM} {workspace.root}", width, height)
    terminal.check_shows("training")
    until(lambda: len(experiments(workspace)) >= 2, "two experiments")
    engine = engine_of(workspace)
    assert engine is not None
    terminal.press("q")
    terminal.check_shows("left with 0")
    assert "The engine goes on" in terminal.screen()
    assert engine_of(workspace) == engine

    terminal.close()
    count = len(experiments(workspace))
    terminal.open(f"{PROGRAM} {workspace.root}", width, height)
    terminal.check_shows("baseline")
    until(lambda: len(experiments(workspace)) > count, "another experiment")
    assert engine_of(workspace) == engine


def test_kill_9_on_the_screen_changes_nothing_in_the_run(terminal: Terminal, workspace: Workspace) -> None:
    terminal.open(f"{PROGRAM} {workspace.root}", 100, 30)
    terminal.check_shows("training")
    engine = engine_of(workspace)
    until(lambda: len(experiments(workspace)) >= 1, "the baseline")
    (viewer,) = viewers(workspace)
    os.kill(viewer, signal.SIGKILL)
    terminal.check_shows("left with 137")
    count = len(experiments(workspace))
    until(lambda: len(experiments(workspace)) >= count + 2, "two more experiments")

    assert engine_of(workspace) == engine
    commands.send(workspace, commands.Stop())
    until(lambda: engine_of(workspace) is None, "the engine's end")
    check_settled(workspace)


def test_the_terminal_itself_dies_and_nothing_of_the_screen_is_left(terminal: Terminal, workspace: Workspace) -> None:
    terminal.open(f"exec {PROGRAM} {workspace.root}", 100, 30)
    terminal.check_shows("training")
    engine = engine_of(workspace)
    until(lambda: viewers(workspace), "the viewer")
    terminal.close()
    until(lambda: not viewers(workspace), "the viewer's end")
    assert engine_of(workspace) == engine


def test_pause_search_skip_and_stop_are_taken_from_the_keyboard(terminal: Terminal, workspace: Workspace) -> None:
    terminal.seconds = 5
    terminal.open(f"{PROGRAM} {workspace.root}", 120, 35)
    until(lambda: under_way(workspace) >= 2, "run 2")
    terminal.press("p")
    terminal.check_shows("paused")
    until(lambda: under_way(workspace) == 0, "no run under way")
    count = len(experiments(workspace))
    terminal.press("5", "/")
    terminal.check_shows("an expression/")
    terminal.press("baseline", "Enter")
    terminal.check_shows("/baseline 1 of 1")
    terminal.press("p")
    terminal.check_shows(f"run {count + 1}")

    terminal.press("s")
    terminal.check_shows("Skip run")
    terminal.press("y")
    until(lambda: any(each.skipped for each in experiments(workspace)), "a skipped run")

    terminal.press("C-q")
    terminal.check_shows("Stop the engine?")
    terminal.press("a")
    until(lambda: engine_of(workspace) is None, "the engine's end")
    terminal.check_shows("stopped")
    check_settled(workspace)


def test_a_session_is_begun_in_an_empty_directory_shown_and_found_among_the_past_ones(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    workspace = Workspace.at(tmp_path / "new")
    terminal.open(f"{PROGRAM} {workspace.root}", 80, 24)
    terminal.check_shows("a repository is made of it")
    terminal.check_shows("[demo]")
    terminal.press("Escape")
    terminal.check_shows("left with 0")
    assert not workspace.root.exists()

    terminal.close()
    terminal.open(f"{PROGRAM} {workspace.root} --experiments 0", 80, 24)
    terminal.check_shows("[demo]")
    terminal.press("Enter")
    try:
        terminal.check_shows("training")
        terminal.check_shows("run 1")
        terminal.press("b")
        terminal.check_shows("1 session")
        terminal.check_shows("new · ")
        terminal.press("Escape")
        terminal.check_shows("training")
        terminal.press("q")
        terminal.check_shows("The engine goes on")
    finally:
        until(lambda: engine_of(workspace), "the engine")
        commands.send(workspace, commands.Stop(now=True))
        until(lambda: engine_of(workspace) is None, "the engine's end")


def test_neither_stale_sizes_nor_an_encoding_of_the_shell_spoil_the_screen(
    terminal: Terminal, workspace: Workspace
) -> None:
    terminal.open(f"COLUMNS=40 LINES=9 PYTHONIOENCODING=latin-1 {PROGRAM} {workspace.root}", 100, 30)
    terminal.check_shows("training")
    until(lambda: "---+" in terminal.screen().splitlines()[28], "the frame's lower edge in ASCII")
    assert max(map(len, terminal.screen().splitlines())) == 100
    assert terminal.screen().isascii() and "?" not in terminal.screen()
    terminal.press("q")
    terminal.check_shows("left with 0")


def test_the_status_bar_shows_the_session(terminal: Terminal, workspace: Workspace) -> None:
    """The snippet of the README."""
    assert run(workspace, "--experiments", "0", seconds=0).returncode == 0
    terminal.open("sleep 600", 120, 10)
    terminal.tmux("set", "-g", "status-interval", "1")
    terminal.tmux("set", "-g", "status-right-length", "100")
    terminal.tmux("set", "-g", "status-right", f"#({PROGRAM} status --line {workspace.root})")
    inner = terminal._socket
    outer = Terminal(workspace.root.parent / "outer")
    (workspace.root.parent / "outer").mkdir()
    try:
        outer.open(f"TMUX= tmux -S {inner} attach", 120, 12)
        outer.check_shows("no engine | best 1.0184 | 1 run, ")
    finally:
        outer.close()
