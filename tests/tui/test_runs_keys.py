"""The keys of the runs, pressed on a recorded session: sort, filter, mark."""

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import LARGE, SMALL, bottom, shown
from tui.app import Viewer
from tui.spans import plain


def table(app: Viewer) -> list[str]:
    view = app.main.runs_pane.body
    return [plain(view.line_at(y)) for y in range(view.line_count())]


def runs(app: Viewer) -> list[int]:
    return [int(line.split()[0].rstrip("*")) for line in table(app)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_o_sorts_the_runs_by_each_of_their_figures_and_says_by_which(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    app = viewer(sessions.many(tmp_path, 22))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        newest, titles = runs(app), []
        for _ in range(5):
            await pilot.press("o")
            titles.append(app.main.runs_pane.about)
            if "by val_bpb" in titles[-1]:
                best = [line.split()[3] for line in table(app)[1:-2]]
                assert best == sorted(best) and "best" in table(app)[1] and "crash" in table(app)[-1]
                await pilot.press("down")
                assert app.selected == runs(app)[1], "the arrows follow the order that one sees"
                await pilot.press("down", "up", "up")
                assert app.selected is None
            assert table(app)[0].startswith("  23") and sorted(runs(app)) == sorted(newest)
        assert app.main.current.id == "runs"
        for name, title in zip(("val_bpb", "Δ", "memory", "time", ""), titles, strict=True):
            assert title == "22 so far, 3 kept" + (f" · by {name}" if name else "")
        assert runs(app) == newest


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_filter_follows_each_key_says_what_is_wrong_with_it_and_is_cleared_by_escape(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    app = viewer(sessions.hundred(tmp_path))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("F", *"status:crash")
        await pilot.pause()
        text = shown(app)
        assert "9 of 100 runs · status:crash" in text and "crash" in table(app)[1] and len(table(app)) == 10
        await pilot.press(*" metric<")
        await pilot.pause()
        assert "metric< is no comparison yet: metric<0.98 is one." in shown(app)
        await pilot.press("enter")
        assert app.screen is not app.main, "a wrong filter is not left alone"
        app.screen.query_one(Input).value = "status:crash depth"
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is app.main and "status:crash depth" in shown(app)
        await pilot.press("down", "down")
        assert app.selected == runs(app)[2]
        await pilot.press("F")
        assert app.screen.query_one(Input).value == "status:crash depth"
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main and len(table(app)) == 101 and "of 100 runs" not in shown(app)
        view = app.main.runs_pane.body
        assert app.selected == view.run_at(view.cursor)


async def test_what_no_run_is_like_leaves_no_empty_box_and_a_selection_that_is_filtered_out_stays(
    tmp_path: Path,
) -> None:
    app = viewer(sessions.between(tmp_path, 9))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await pilot.press("5", "down", "down")
        assert app.selected == 7
        await pilot.press("F", *"nothing of the kind", "enter")
        await pilot.pause()
        assert "No run is like that: F changes the filter" in shown(app) and "0 of 9 runs" in shown(app)
        assert app.selected == 7 and "run 7" in app.main.pane("log").about
        await pilot.press("down", "pagedown", "end", "F", "escape")
        await pilot.pause()
        assert app.selected is None or app.selected == 7
        await pilot.press("F", *"-run:7", "enter", "down", "down")
        assert app.selected == 6


async def test_keys_that_come_faster_than_the_screen_are_each_about_the_run_before(tmp_path: Path) -> None:
    app = viewer(sessions.between(tmp_path, 12))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("5")
        for key in ("down", "space", "down", "down", "down", "space", "down"):
            app.post_message(events.Key(key, " " if key == "space" else None))
        await pilot.pause()
        await pilot.pause()
        assert app.selected == 7 and app.main.runs_pane.body.marked == (11, 8)


async def test_space_marks_up_to_two_runs(tmp_path: Path) -> None:
    app = viewer(sessions.many(tmp_path, 9))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("5", "space")
        assert "Only a run that has its line" in bottom(app)
        marked = app.main.runs_pane.body
        await pilot.press("down", "space")
        assert marked.marked == (9,) and table(app)[1].startswith("   9* ") and "Run 9 is marked" in bottom(app)
        await pilot.press("down", "space", "down", "space")
        assert marked.marked == (8, 7) and "Runs 7 and 8 are marked: c compares them." in bottom(app)
        assert "*" not in table(app)[1]
        await pilot.press("space")
        assert marked.marked == (8,)
        assert app.selected == 7 and marked.scroll_offset.y == 0, "space goes no page further here"
