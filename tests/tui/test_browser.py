"""The browser of past sessions: what it lists, opens read-only, and goes back from."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.pilot import Pilot

from engine import sessions as register
from engine.past import PastSession, Result, sessions_of
from engine.workspace import Workspace
from tests.engine.workspaces import snapshot
from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_cli import call
from tests.tui.test_keys import LARGE, SMALL, asked, bottom, shown, status
from tui.app import Viewer
from tui.browser import Browser
from tui.browser_lines import header_spans, hours, moment, preview_lines, session_spans, text_line
from tui.browser_shelf import Shelf
from tui.spans import plain, width


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    for _ in range(300):
        await pilot.pause()
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(shown_of(pilot))


def shown_of(pilot: Pilot[None]) -> str:
    assert isinstance(pilot.app, Viewer)
    return shown(pilot.app)


async def open_browser(pilot: Pilot[None]) -> Browser:
    await pilot.pause()
    if not isinstance(pilot.app.screen, Browser):
        await pilot.press("b")
    await until(pilot, lambda: "looking" not in shown_of(pilot) and "Past runs" in shown_of(pilot))
    screen = pilot.app.screen
    assert isinstance(screen, Browser)
    return screen


@pytest.mark.parametrize("size", [SMALL, (200, 50)])
async def test_b_lists_this_machines_sessions_and_previews_one(tmp_path: Path, size: tuple[int, int]) -> None:
    here = sessions.three(tmp_path / "here")
    for recorder in (sessions.between(tmp_path / "night", 22), sessions.two_segments(tmp_path / "budgets"), here):
        register.remember(recorder.workspace)
    register.remember(Workspace(tmp_path / "removed"))
    app = viewer(here)
    async with app.run_test(size=size) as pilot:
        await open_browser(pilot)
        await until(pilot, lambda: "baseline, 0 kept" in shown(app))
        text = shown(app)
        assert "5 sessions" in text and "its directory is gone" in text
        assert "budgets · segment 2" in text and "budgets · segment 1" in text
        (line,) = [each for each in text.splitlines() if " night " in each and "→" in each]
        assert "1.7550 → 1.7" in line and "−0.0" in line and " 22 " in line
        assert "here ─" in text
        assert all(len(each) <= size[0] for each in text.splitlines())
        while app.screen.query_one("SessionsView").chosen.name != "night":  # type: ignore[attr-defined]
            await pilot.press("down")
        await until(pilot, lambda: "─ night ─" in shown(app) and "○" in shown(app))
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main and "run 4" in status(app)


async def test_a_session_is_opened_read_only_and_left_again(tmp_path: Path) -> None:
    here, past = sessions.three(tmp_path / "here"), sessions.gone(tmp_path / "past")
    register.remember(past.workspace)
    before = snapshot(past.workspace.root)
    here.now += 3600
    app = viewer(here)
    async with app.run_test(size=LARGE) as pilot:
        browser = await open_browser(pilot)
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.screen is not browser and "12 so far" in shown(app))
        assert "past session" in status(app) and "read-only" in status(app)
        assert "engine's process ended" not in shown(app)
        assert "esc past runs" in bottom(app) and "pause" not in bottom(app)
        requests = [
            each for each in app.BINDINGS if isinstance(each, Binding) and (each.id or "").startswith("session.")
        ]
        assert len(requests) >= 8
        for binding in requests:
            app._own_notice = None
            await pilot.press(binding.key)
            await pilot.pause()
            assert "looked at only" in bottom(app), binding.key
            assert app.screen is app.main
        await pilot.press("2", "z", "escape")
        assert not app.main.is_zoomed and app.is_past
        await pilot.press("5", "down", "down")
        assert app.selected == 11
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is browser and not app.is_past)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main and "run 4" in status(app) and app.selected is None)
        await pilot.press("p")
    assert len(asked(here)) == 1 and snapshot(past.workspace.root) == before
    assert str(here.workspace.root) in app.goodbye()


async def test_an_earlier_segment_is_opened_at_its_last_run(tmp_path: Path) -> None:
    past = sessions.two_segments(tmp_path / "past")
    app = Viewer(None, past=[past.workspace.root])
    async with app.run_test(size=LARGE) as pilot:
        browser = await open_browser(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is not browser and app.selected == 9)
        await pilot.press("b")
        await until(pilot, lambda: app.screen is browser)
        await pilot.press("escape")
    assert not app.is_running and app.goodbye() == ""


async def test_the_session_that_one_came_from_is_gone_back_to(tmp_path: Path) -> None:
    here = sessions.two_segments(tmp_path / "here")
    app = viewer(here)
    async with app.run_test(size=LARGE) as pilot:
        await open_browser(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is app.main and not app.is_past and app.selected == 9)


async def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    past = sessions.three(tmp_path / "past")
    app = Viewer(None, past=[tmp_path / "nowhere", past.workspace.root])
    async with app.run_test(size=SMALL) as pilot:
        await open_browser(pilot)
        await pilot.press("end", "enter")
        await until(pilot, lambda: "can't be opened: there is no such file" in shown(app))
        await pilot.press("home")
        past.workspace.ledger.unlink()
        await pilot.press("enter")
        await until(pilot, lambda: "It can't be opened: it holds no session any more" in shown(app))
        await pilot.press("q")
    assert not app.is_running


async def test_a_copy_of_a_ledger_is_not_shown_with_the_files_beside_it(tmp_path: Path) -> None:
    past = sessions.three(tmp_path / "past")
    copy = past.workspace.root / "old.jsonl"
    copy.write_bytes(past.workspace.ledger.read_bytes())
    app = Viewer(None, past=[copy])
    async with app.run_test(size=LARGE) as pilot:
        browser = await open_browser(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not browser and "3 so far" in shown(app))
        await until(pilot, lambda: "No diff is known" in shown(app))
        assert "step 48" not in shown(app)


async def test_a_machine_without_a_session_is_told_so(tmp_path: Path) -> None:
    app = Viewer(None)
    async with app.run_test(size=SMALL) as pilot:
        await open_browser(pilot)
        assert "no session was begun on this machine yet" in shown(app)
        await pilot.press("enter", "down", "pageup", "end", "home")
        await pilot.pause()
        assert "There is no session to open" not in shown(app) or app.is_running


async def test_hostile_ledgers_are_listed_and_opened(tmp_path: Path) -> None:
    huge, text = 1e308, "\x1b]0;owned\x07\x1b[2J\u202e" + "é" * 500
    config = {"type": "config", "metricName": text, "branch": text, "bestDirection": text}
    lines = [config] + [
        {"run": run, "metric": metric, "status": kind, "timestamp": at, "seconds": huge, "description": text}
        for run, metric, kind, at in (
            (2**62, huge, "keep", huge),
            (-5, -huge, "keep", -huge),
            (7, None, text, 0),
            (7, 1e-300, "discard", 253402300800),
        )
    ]
    for name, records in {"hostile": lines, "halves": [*lines, config, lines[3]]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "autoresearch.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records) + "{")
    app = Viewer(None, past=[tmp_path])
    async with app.run_test(size=SMALL) as pilot:
        browser = await open_browser(pilot)
        assert "3 sessions" in shown(app)
        for _ in range(3):
            await pilot.press("down")
            await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not browser)
        for key in ("1", "2", "3", "4", "5", "down", "escape"):
            await pilot.press(key)
        await until(pilot, lambda: app.screen is browser)
        assert "\x1b" not in shown(app) and "owned" not in shown(app)


@pytest.mark.parametrize("cells", [80, 110, 200])
def test_every_line_fits(cells: int, tmp_path: Path) -> None:
    ordinary = PastSession(
        tmp_path / "x", "a" * 90, branch="b" * 90, baseline=123456.0, best=-2e9, kept=12_345, runs=12345
    )
    for session in (
        ordinary,
        PastSession(tmp_path / "x", "név", trouble="t" * 300),
        PastSession(tmp_path / "x", "none"),
    ):
        assert width(session_spans(session, cells)) <= cells
        for height in (1, 5, 20):
            assert all(width(line) <= cells for line in preview_lines(session, cells, height))
    assert width(header_spans(cells)) <= cells
    assert "no value" not in plain(session_spans(ordinary, cells))


def test_times_and_hours_that_are_none_are_left_out() -> None:
    assert moment(1e300, has_time=True) == moment(-1, has_time=True) == moment(0, has_time=False) == ""
    assert hours(float("inf")) == hours(0) == "" and hours(1800) == "0.50" and hours(36_000) == "10.0"
    assert preview_lines(PastSession(Path("/x"), "x", runs=1, results=(Result(1, None, "crash"),)), 60, 10)


@pytest.mark.parametrize("cells", [80, 200])
@pytest.mark.parametrize(
    ("baseline", "best"), [(100.0, 130.0), (-1234.5, -9_999_999.0), (1e100, -1e100), (-0.000123, 99.5)]
)
def test_columns_stay_apart_whatever_the_figures(tmp_path: Path, cells: int, baseline: float, best: float) -> None:
    session = PastSession(
        tmp_path, "night", baseline=baseline, best=best, kept=12_345, runs=123_456, seconds=200_000 * 3600.0
    )
    line = plain(session_spans(session, cells))
    values = line[line.index("night") + len("night") :]
    assert values.startswith("  ")
    figures = [each for each in values.split("  ") if each.strip()]
    assert [each.strip() for each in figures[2:4]] == ["123,456", "12,345"]
    assert "→" in figures[0] and "→" not in figures[1]
    assert figures[4].strip() == "200,000"
    assert "200,000 h" in text_line(session)


def test_ledgers_are_read_one_after_the_other_and_no_more_once_it_is_left(tmp_path: Path) -> None:
    first = sessions.three(tmp_path / "a").workspace
    waiting = tmp_path / "waits"

    def known() -> list[Workspace]:
        return [first, *(Workspace(tmp_path / str(number)) for number in range(100_000))]

    shelf = Shelf([first.root], known)
    shelf.start()
    while not (found := shelf.take()):
        time.sleep(0.01)
    assert found[0].name == "a" and not waiting.exists()
    shelf.stop()
    while shelf._thread.is_alive():
        time.sleep(0.01)
    assert len(shelf._found) < 100_000


def test_browse_prints_what_there_is_where_there_is_no_terminal(tmp_path: Path) -> None:
    night = sessions.between(tmp_path / "night", 22).workspace
    register.remember(night)
    done = call("browse", XDG_STATE_HOME=str(tmp_path / "state"))
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert "night: val_bpb 1.7550 → 1.7" in done.stdout and str(night.ledger) in done.stdout
    assert done.stdout.strip() == text_line(sessions_of(night.ledger)[0])
    nothing = call("browse", tmp_path / "nowhere", XDG_STATE_HOME=str(tmp_path / "none"))
    assert nothing.returncode == 2 and "no such file" in nothing.stderr and nothing.stdout == ""
