"""The summary of what happened while nobody looked: when it is shown, and what it says."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import EngineStopped, Judged
from engine.workspace import Workspace
from tests.tui import sessions
from tests.tui.conftest import Recording, viewer
from tests.tui.sessions import BEGIN
from tests.tui.test_keys import SMALL, shown
from tui.morning import AWAY, Morning, is_worth_saying, summary_lines, title
from tui.seen import Seen
from tui.session import Session
from tui.spans import plain, width
from tui.view_state import ViewState

HOUR = 3600.0


@pytest.fixture(autouse=True)
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def state_of(recorder: sessions.Recorder, *, alive: bool = True) -> ViewState:
    return Session(recorder.workspace, is_alive=lambda: alive).poll()


def text_of(state: ViewState, since: float | None, now: float, cells: int = 72) -> str:
    lines = summary_lines(state, since, now, cells)
    assert all(width(line) <= cells for line in lines)
    return "\n".join(plain(line) for line in lines)


def test_what_was_kept_is_said_with_what_it_is_worth(tmp_path: Path) -> None:
    recorder = sessions.confirmed(tmp_path)
    state = state_of(recorder)
    before_20 = next(row.experiment.timestamp for row in state.rows if row.experiment.run == 19)
    text = text_of(state, before_20, recorder.now)
    assert "3 experiments: 2 kept, 1 discarded" in text
    assert "● run 20    1.7441  −0.0055 likely    MATRIX_LR 0.04 → 0.05" in text and "run 15" not in text
    assert "Best 1.7382, run 21: 0.0168 better than run 1, confirmed: fresh runs" in text
    assert "crashed" not in text and "Failed" not in text
    whole = text_of(state, None, recorder.now)
    assert "21 experiments and 1 baseline: 3 kept, 16 discarded, 2 crashed" in whole and "run 15" in whole


def test_failures_are_grouped_by_their_reason(tmp_path: Path) -> None:
    recorder = sessions.hundred(tmp_path)
    reasons = {8: "over the time limit of 600 s", 19: "over the time limit of 601 s", 30: "loss\x1b[2J is nan"}
    for run, reason in reasons.items():
        recorder.emit(Judged(run=run, status="crash", reason=reason))
    text = text_of(state_of(recorder), None, recorder.now)
    failed = text.split("Failed\n")[1].split("\n\n")[0].splitlines()
    assert [line.strip() for line in failed] == [
        "6 × exit code 1: OutOfMemoryError",
        "2 × over the time limit of 601 s",
        "1 × loss is nan",
    ]
    assert "10 more before these" in text and "Trained for 0.6 h." in text


@pytest.mark.parametrize(
    ("recording", "alive", "said"),
    [
        (sessions.troubled, True, "Paused: the branch main is checked out"),
        (sessions.gone, False, "The engine's process ended"),
        (sessions.stopped, False, "Now: stopped"),
        (sessions.empty, False, "No experiment has ended since."),
    ],
)
def test_what_a_person_is_needed_for_is_said(tmp_path: Path, recording: Recording, alive: bool, said: str) -> None:
    recorder = recording(tmp_path)
    assert said in text_of(state_of(recorder, alive=alive), None, recorder.now)


def test_it_is_worth_saying_only_after_an_hour_in_which_something_happened(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    state = state_of(recorder)
    assert not is_worth_saying(state, None, recorder.now)
    assert not is_worth_saying(state, recorder.now - AWAY + 1, recorder.now)
    assert is_worth_saying(state, BEGIN - 1, BEGIN + AWAY)
    assert not is_worth_saying(state, recorder.now, recorder.now + 9 * HOUR)
    stopped = replace(state, alive=False, stopped=EngineStopped(at=recorder.now + HOUR, reason="asked to"))
    assert is_worth_saying(stopped, recorder.now, recorder.now + 9 * HOUR)


def test_the_title_says_how_long() -> None:
    assert title(0.0, 8 * HOUR + 720) == "since you last looked, 8 h 12 min ago"
    assert title(0.0, 50 * HOUR) == "since you last looked, 2 d 2 h ago"
    assert title(None, 0.0) == "the session so far"


def test_when_somebody_looked_is_remembered_of_each_session(tmp_path: Path) -> None:
    one, other = (Seen(Workspace(tmp_path / name)) for name in "ab")
    assert one.last() is None
    one.note(BEGIN)
    one.note(BEGIN + 5)
    assert (one.last(), other.last()) == (BEGIN + 5, None)
    assert Seen(Workspace(tmp_path / "a")).last() == BEGIN + 5


def test_a_state_directory_that_is_no_use_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    seen = Seen(Workspace(tmp_path))
    seen.note(BEGIN)
    assert seen.last() is None


async def test_who_comes_back_after_hours_is_told_and_any_key_closes_it(tmp_path: Path) -> None:
    recorder = sessions.hundred(tmp_path / "demo")
    recorder.now += 8 * HOUR
    seen = Seen(recorder.workspace)
    seen.note(BEGIN + 600)
    app = viewer(recorder, seen=seen)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, Morning) and "since you last looked, 8 h" in shown(app)
        assert seen.last() == recorder.now
        await pilot.press("p")
        assert app.screen is app.main
        await pilot.press("M")
        assert isinstance(app.screen, Morning)
        await pilot.press("escape")
    again = viewer(recorder, seen=seen)
    async with again.run_test(size=SMALL) as pilot:
        await pilot.pause()
        assert again.screen is again.main


async def test_a_screen_that_stayed_open_counts_from_the_last_key(tmp_path: Path) -> None:
    recorder = sessions.hundred(tmp_path / "demo")
    seen = Seen(recorder.workspace)
    app = viewer(recorder, seen=seen)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("1")
        left = recorder.now
        recorder.now += 3 * HOUR
        app.note_seen()
        assert seen.last() == left
        await pilot.press("M")
        await pilot.pause()
        assert "since you last looked, 3 h 0 min ago" in shown(app) and "No experiment has ended since" in shown(app)
