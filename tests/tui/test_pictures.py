"""The screen as a picture, at the smallest size and on a large monitor, in colours and in ASCII.

After a change that is meant: ``pytest tests/tui/test_pictures.py --snapshot-update``, and look at every
picture that changed.
"""

import datetime
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot

from engine import doctor
from engine import sessions as register
from engine.doctor import Finding
from engine.workspace import Workspace
from tests.tui import sessions
from tests.tui.conftest import Recording, viewer
from tests.tui.sessions import BEGIN
from tests.tui.test_browser import open_browser
from tests.tui.test_set_up import examined
from tui import set_up, set_up_work, theme
from tui.app import Viewer
from tui.configuration import Configuration
from tui.seen import Seen
from tui.set_up import SetUp

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["small", "large"])
IN_ASCII = Configuration(ascii=True)
MANNERS = pytest.mark.parametrize("manner", [Configuration(), IN_ASCII], ids=["colour", "ascii"])
STATES: dict[str, tuple[Recording, list[str], bool]] = {
    "empty": (sessions.empty, [], False),
    "baseline": (sessions.baseline_running, [], True),
    "three": (sessions.three, ["2"], True),
    "hundred": (sessions.hundred, ["2"], True),
    "thousands": (sessions.thousands, ["2"], True),
    "paused": (sessions.paused, ["3"], True),
    "crashed": (sessions.crashed, [], True),
    "thrashing": (sessions.thrashing, [], True),
    "gone": (sessions.gone, [], False),
    "compared": (sessions.hundred, ["5", *["down"] * 4, "space", *["down"] * 7, "space", "c"], True),
    "troubled": (sessions.troubled, [], True),
    "queued": (sessions.queued, ["3"], True),
    "checks-selected": (sessions.queued, ["2", "left", "left", "3"], True),
    "verifying": (sessions.verifying, ["3"], True),
    "repeated": (sessions.repeated, ["3"], True),
    "confirmed": (sessions.confirmed, ["5", *["down"] * 3, "3"], True),
    "two-segments": (sessions.two_segments, ["2"], True),
    "earlier-segment": (sessions.two_segments, ["5", *["down"] * 8, "2"], True),
    "simplified": (sessions.lost, ["5", "down", "3"], True),
    "lost": (sessions.lost, ["3"], True),
    "thinking": (sessions.thinking, [], True),
    "thoughts-selected": (sessions.thought, ["5", "down", "t"], True),
    "stopped": (sessions.stopped, [], False),
    "warned": (sessions.warned, [], True),
    "crash-selected": (sessions.hundred, ["5", *["down"] * 5, "3"], True),
    "filtered": (sessions.hundred, ["o", "F", *"status:crash time<", "5"], True),
    "diff-baseline": (sessions.hundred, ["4", "d", "d"], True),
}
ALSO_IN_ASCII = list(STATES)[: list(STATES).index("troubled")]
FINDINGS = (
    Finding("GPU", True, "NVIDIA H100 80GB HBM3, 79.6 GB, driver 570.86"),
    Finding("torch", True, "2.13.0, CUDA 12.8"),
    Finding("git", True, "2.39.5"),
    Finding("disk", None, "31.0 GB free; the data takes about 1 GB", "leave 10 GB for the runs of a night"),
    Finding("data", False, "not there yet", "enter fetches it: about 1 GB, once per machine"),
)


@SIZES
@pytest.mark.parametrize("state", STATES)
def test_state(snap_compare: Compare, tmp_path: Path, state: str, size: tuple[int, int]) -> None:
    recording, keys, alive = STATES[state]
    app = viewer(recording(tmp_path / "demo"), alive=alive)
    assert snap_compare(app, terminal_size=size, press=keys)


@SIZES
@pytest.mark.parametrize("state", ALSO_IN_ASCII)
def test_in_ascii(snap_compare: Compare, tmp_path: Path, state: str, size: tuple[int, int]) -> None:
    recording, keys, alive = STATES[state]
    app = viewer(recording(tmp_path / "demo"), alive=alive, configuration=IN_ASCII)
    assert snap_compare(app, terminal_size=size, press=keys)


@pytest.mark.parametrize("keys", [["question_mark"], ["s"], ["m"], ["5", "z"]], ids=["help", "skip", "message", "zoom"])
def test_asked(snap_compare: Compare, tmp_path: Path, keys: list[str]) -> None:
    app = viewer(sessions.hundred(tmp_path / "demo"))
    assert snap_compare(app, terminal_size=(80, 24), press=keys)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's home, at a time and a place of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


@SIZES
@MANNERS
def test_past_runs(snap_compare: Compare, home: Path, manner: Configuration, size: tuple[int, int]) -> None:
    here = sessions.three(home / "here")
    for recorder in (sessions.confirmed(home / "night"), sessions.two_segments(home / "budgets"), here):
        register.remember(recorder.workspace)
    register.remember(Workspace(home / "removed"))

    async def choose(pilot: Pilot[None]) -> None:
        await open_browser(pilot)
        await pilot.press("home", "down")

    assert snap_compare(viewer(here, configuration=manner), terminal_size=size, run_before=choose)


@SIZES
@MANNERS
def test_morning(snap_compare: Compare, home: Path, manner: Configuration, size: tuple[int, int]) -> None:
    recorder = sessions.confirmed(home / "night")
    recorder.now += 8 * 3600
    seen = Seen(recorder.workspace)
    seen.note(BEGIN + 100)
    assert snap_compare(viewer(recorder, configuration=manner, seen=seen), terminal_size=size)


@SIZES
@MANNERS
def test_queue(snap_compare: Compare, home: Path, manner: Configuration, size: tuple[int, int]) -> None:
    app = viewer(sessions.queued(home / "night"), configuration=manner)
    assert snap_compare(app, terminal_size=size, press=["Q", "down"])


@SIZES
@MANNERS
def test_set_up(
    snap_compare: Compare, home: Path, manner: Configuration, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    day = SimpleNamespace(today=lambda: datetime.date(2026, 11, 23))
    monkeypatch.setattr(set_up, "datetime", SimpleNamespace(date=day))
    monkeypatch.setattr(set_up, "has_gpu", lambda: True)
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: iter(FINDINGS))
    monkeypatch.setattr(set_up_work, "terminal_findings", lambda: [])
    workspace = Workspace.at(home / "night")
    app = Viewer(workspace, set_up=SetUp(workspace), configuration=manner)

    async def look(pilot: Pilot[None]) -> None:
        await examined(pilot)
        await pilot.press("down", "down")

    assert snap_compare(app, terminal_size=size, run_before=look)


def test_sixteen_colours(snap_compare: Compare, tmp_path: Path) -> None:
    app = viewer(sessions.hundred(tmp_path / "demo"))
    app.theme = theme.SIXTEEN.name
    assert snap_compare(app, terminal_size=(120, 35), press=["5", "down"])


def test_too_small(snap_compare: Compare, tmp_path: Path) -> None:
    app = viewer(sessions.three(tmp_path / "demo"))
    assert snap_compare(app, terminal_size=(70, 20))
