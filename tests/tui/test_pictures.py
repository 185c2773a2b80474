"""The screen as a picture, at the smallest size and on a large monitor.

After a change that is meant: ``pytest tests/tui/test_pictures.py --snapshot-update``, and look at every
picture that changed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui import sessions
from tests.tui.conftest import Recording, viewer
from tui import theme

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["small", "large"])
STATES: dict[str, tuple[Recording, list[str], bool]] = {
    "empty": (sessions.empty, [], False),
    "baseline": (sessions.baseline_running, [], True),
    "three": (sessions.three, ["2"], True),
    "hundred": (sessions.hundred, ["2"], True),
    "paused": (sessions.paused, ["3"], True),
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
    "gone": (sessions.gone, [], False),
    "warned": (sessions.warned, [], True),
    "crash-selected": (sessions.hundred, ["5", *["down"] * 5, "3"], True),
    "compared": (sessions.hundred, ["5", *["down"] * 4, "space", *["down"] * 7, "space", "c"], True),
    "filtered": (sessions.hundred, ["o", "F", *"status:crash time<", "5"], True),
    "diff-baseline": (sessions.hundred, ["4", "d", "d"], True),
}


@SIZES
@pytest.mark.parametrize("state", STATES)
def test_state(snap_compare: Compare, tmp_path: Path, state: str, size: tuple[int, int]) -> None:
    recording, keys, alive = STATES[state]
    app = viewer(recording(tmp_path / "demo"), alive=alive)
    assert snap_compare(app, terminal_size=size, press=keys)


@pytest.mark.parametrize("keys", [["question_mark"], ["s"], ["m"], ["5", "z"]], ids=["help", "skip", "message", "zoom"])
def test_asked(snap_compare: Compare, tmp_path: Path, keys: list[str]) -> None:
    app = viewer(sessions.hundred(tmp_path / "demo"))
    assert snap_compare(app, terminal_size=(80, 24), press=keys)


def test_sixteen_colours(snap_compare: Compare, tmp_path: Path) -> None:
    app = viewer(sessions.hundred(tmp_path / "demo"))
    app.theme = theme.SIXTEEN.name
    assert snap_compare(app, terminal_size=(120, 35), press=["5", "down"])


def test_too_small(snap_compare: Compare, tmp_path: Path) -> None:
    app = viewer(sessions.three(tmp_path / "demo"))
    assert snap_compare(app, terminal_size=(70, 20))
