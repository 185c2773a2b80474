"""c: which two runs are compared, and what is said of them."""

from pathlib import Path

import pytest

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import LARGE, SMALL, bottom, shown
from tests.tui.test_panes import read
from tui.compare_screen import Comparison
from tui.comparison import curve_lines, diff_lines, figure_lines, figures, note_lines, pair
from tui.loss_curve import Curve
from tui.spans import plain, width
from tui.view_state import Subject, ViewState, subject


def about(state: ViewState, run: int | None) -> Subject:
    found = subject(state, run)
    assert found is not None
    return found


def compared(state: ViewState, selected: int | None, *marked: int) -> tuple[str, str]:
    found = pair(state, selected, marked)
    assert not isinstance(found, str), found
    return found[0].short_name, found[1].short_name


def curve(*losses: float) -> Curve:
    made = Curve()
    for at, loss in enumerate(losses, 1):
        made.add(at / 10, loss)
    return made


def test_which_two_runs_are_compared(tmp_path: Path) -> None:
    state = read(sessions.many(tmp_path / "a", 22))  # run 21 is the incumbent
    assert compared(state, None) == ("run 21", "run 23"), "the live one with the incumbent"
    assert compared(state, 7) == ("run 21", "run 7")
    assert compared(state, 3, 18, 5) == ("run 5", "run 18"), "two marks, whatever is selected"
    assert compared(state, 3, 18) == ("run 18", "run 3"), "a mark with what is shown"
    assert compared(state, 18, 18) == ("run 21", "run 18")
    assert compared(state, 18, 400) == ("run 21", "run 18"), "a mark on a run that is gone"
    assert "Run 21 is the incumbent: select another run" in str(pair(state, 21, ()))
    assert pair(read(sessions.empty(tmp_path / "b")), None, ()) == "There is no run to compare yet."
    begun = read(sessions.baseline_running(tmp_path / "c"))
    assert pair(begun, None, ()) == "There is no incumbent to compare with yet."
    two = read(sessions.two_segments(tmp_path / "d"))
    assert compared(two, 3) == ("run 1", "run 3"), "the incumbent is that of the run's own segment"


def test_the_figures_stand_beside_each_other_with_their_difference(tmp_path: Path) -> None:
    state = read(sessions.many(tmp_path, 22))
    table = {line.name: line for line in figures(about(state, 18), about(state, 21), "val_bpb", lower_is_better=True)}
    assert table["val_bpb"][1:] == ("1.7617", "1.7382", "−0.0235", "good")
    assert table["memory"][1:4] == ("815 MB", "813 MB", "−2 MB")
    assert table["status"][1:3] == ("discard", "keep") and table["time"][1:4] == ("0:21", "0:21", "")
    assert table["num_steps"][1:4] == ("160", "160", "") and table["proposed by"].before == "search"
    worse = figures(about(state, 21), about(state, 18), "val_bpb", lower_is_better=True)
    assert next(line for line in worse if line.name == "val_bpb")[3:] == ("+0.0235", "warn")
    live = {line.name: line for line in figures(about(state, 21), about(state, None), "m", lower_is_better=True)}
    assert live["status"].after == "live" and live["m"][1:4] == ("1.7382", "", "")


def test_no_difference_is_taken_between_runs_of_two_segments(tmp_path: Path) -> None:
    state = read(sessions.two_segments(tmp_path))
    table = figures(about(state, 3), about(state, 12), "val_bpb", lower_is_better=True)
    assert next(line for line in table if line.name == "val_bpb")[3:] == ("incomparable", "warn")


def test_everything_fits_at_every_width(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path, 22)
    hostile = {"description": "[red]x[/]\x1b]0;t\x07" * 9, "metrics": {"\x9bm" * 30: 1e308, "x": -1e308}}
    sessions.append_raw(recorder, {"run": 23, "status": "k\x1beep", "metric": 1e300, "seconds": 1e300, **hostile})
    state = read(recorder)
    before, after = about(state, 21), about(state, 23)
    table = figures(before, after, state.metric_name, lower_is_better=True)
    names = (before.short_name, after.short_name)
    for cells in range(24, 130, 3):
        lines = [*figure_lines(table, cells), *note_lines(before, after, cells)]
        lines += [*curve_lines(curve(5, 4, 3), curve(5, 3.5), names, cells, 8), *diff_lines(None, names, cells)]
        assert all(width(line) <= cells for line in lines)
        assert not set("\x1b\x07\x9b") & set("".join(plain(line) for line in lines))


def test_notes_stand_beside_each_other_only_where_there_is_room(tmp_path: Path) -> None:
    state = read(sessions.many(tmp_path, 22))
    wide, narrow = (
        [plain(line) for line in note_lines(about(state, 18), about(state, 21), cells)] for cells in (100, 79)
    )
    assert "run 18 · discard" in wide[0] and "run 21 · keep" in wide[0]
    assert narrow[0] == "run 18 · discard" and "run 21 · keep" in narrow[5:]
    assert not any("peak_memory_mb" in line or "commit" in line for line in wide), "the figures have their own table"


def test_losses_are_drawn_of_whichever_run_has_printed_some() -> None:
    names = ("run 1", "run 2")
    both = [plain(line) for line in curve_lines(curve(5, 4, 3), curve(5, 3.5), names, 90, 8)]
    assert "• run 1   • run 2" in both[0] and "0.5000 below run 1 at 20%" in both[0] and both[-1].endswith("100%")
    assert "run 2 has printed no loss" in plain(curve_lines(curve(5, 4), Curve(), names, 90, 8)[0])
    assert "run 1 has printed no loss" in plain(curve_lines(Curve(), curve(5, 4), names, 90, 8)[0])
    assert plain(curve_lines(Curve(), Curve(), names, 90, 8)[0]) == "Neither run has printed its loss."


def test_the_same_train_py_and_one_that_is_not_there_are_said() -> None:
    assert plain(diff_lines([], ("run 1", "run 2"), 80)[0]) == "Both ran the same train.py."
    assert "is not there" in plain(diff_lines(None, ("run 1", "run 2"), 80)[0])


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_c_compares_the_two_that_are_marked_and_escape_leaves(tmp_path: Path, size: tuple[int, int]) -> None:
    app = viewer(sessions.many(tmp_path, 22))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("5", "down", "down", "space", "down", "down", "down", "space", "c")
        await pilot.pause()
        assert isinstance(app.screen, Comparison)
        text = shown(app)
        for words in ("run 18 · discard", "run 21 · keep", "−0.0235", "figures", "loss"):
            assert words in text
        if size == SMALL:
            await pilot.press("pagedown")
            await pilot.pause()
            text = shown(app)
        assert "DEPTH 3 → 2   WARMDOWN_RATIO 0.4 → 0.6" in text and "+WARMDOWN_RATIO = 0.6" in text
        if size == SMALL:
            await pilot.press("end")
            await pilot.pause()
        assert "hypothesis" in shown(app)
        await pilot.resize_terminal(*(LARGE if size == SMALL else SMALL))
        await pilot.pause()
        assert "figures" in shown(app) and app.screen.focused is not None and app.screen.focused.region.area > 0
        await pilot.press("p", "escape")
        await pilot.pause()
        assert app.screen is app.main and not app.state.sent, "the session's keys do nothing here"
        await pilot.press("down", "space", "space", "c")
        await pilot.pause()
        assert isinstance(app.screen, Comparison) and "with  run 17" in shown(app)


async def test_c_says_why_there_is_nothing_to_compare(tmp_path: Path) -> None:
    app = viewer(sessions.empty(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("c")
        assert app.screen is app.main and "There is no run to compare yet." in bottom(app)
