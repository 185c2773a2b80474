"""The plot never fails, and never lets one bad run hide the good ones."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.conftest import viewer
from tests.tui.sessions import hundred, two_segments
from tui.ascii import TABLE
from tui.history_plot import Manner, Point, Window, draw, legend, scale, window
from tui.panes.history import points_of
from tui.session import Session
from tui.spans import Spans, plain, width

ODD = (None, math.nan, math.inf, -math.inf)


def picture(lines: list[Spans]) -> list[str]:
    return [plain(line) for line in lines]


@pytest.mark.parametrize("value", ODD)
def test_values_that_are_none_do_no_harm(value: float | None) -> None:
    points = [Point(1, 1.75, "keep"), Point(2, value, "discard"), Point(3, 1.74, "keep"), Point(4, value, "keep")]
    drawn = picture(draw(points, 60, 10))
    assert len(drawn) == 10 and sum(line.count("×") for line in drawn) == 2
    assert draw([Point(1, value, "keep")], 60, 10) == []


def test_nothing_and_no_room_draw_nothing() -> None:
    assert draw([], 60, 10) == []
    assert draw([Point(1, 1.0, "keep")], 10, 2) == []


def test_a_single_value_stands_in_the_middle() -> None:
    drawn = picture(draw([Point(1, 1.75, "keep")], 60, 11))
    assert any("1.75" in line and "●" in line for line in drawn[2:8])


def test_an_exploded_run_is_marked_at_the_edge_and_flattens_nothing() -> None:
    points = [Point(run, 1.75 - run / 1000, "keep" if run % 3 == 1 else "discard") for run in range(1, 31)]
    calm = window(points)
    exploded = [*points[:15], Point(16, 950.0, "discard"), *points[16:]]
    shown = window(exploded)
    assert calm is not None and shown is not None and shown.high <= calm.high
    drawn = picture(draw(exploded, 70, 12))
    assert sum(line.count("▲") for line in drawn) == 1 and "▲" in drawn[0]
    assert sum("●" in line for line in drawn) >= 4


@pytest.mark.parametrize(("lower_is_better", "corner"), [(True, "┐"), (False, "┘")])
def test_what_another_tool_kept_though_it_was_worse_leaves_the_running_best(lower_is_better: bool, corner: str) -> None:
    values = (1.0, 2.0, 1.5) if not lower_is_better else (2.0, 1.0, 1.5)
    points = [Point(run, value, "keep") for run, value in enumerate(values, 1)]
    lines = picture(draw(points, 60, 12, lower_is_better=lower_is_better, only_better=True))
    best = next(line for line in lines if line.lstrip().startswith(("2.00", "2.0") if not lower_is_better else "1.0"))
    assert "●" in best and best.rstrip().endswith("─")
    worse = next(line for line in lines if "●" in line and line is not best and "─●" not in line and "●─" not in line)
    assert worse.strip("│┤ .0123456789●") == ""
    assert sum(line.count(corner) for line in lines) == 1


def test_a_bad_baseline_stays_in_the_picture() -> None:
    points = [Point(1, 2.4, "keep"), *(Point(run, 1.7 + run / 1e4, "keep") for run in range(2, 12))]
    shown = window(points)
    assert shown is not None and shown.low < 1.71


def test_every_row_stands_for_a_round_value() -> None:
    shown = window([Point(1, 1.6812, "keep"), Point(2, 1.7711, "discard")])
    assert shown is not None
    axis = scale(shown, 9, below=True, above=False)
    assert axis.bottom < shown.low and axis.top >= shown.high
    assert math.isclose(axis.bottom / axis.step, round(axis.bottom / axis.step), abs_tol=1e-6)


def test_the_selected_run_is_marked() -> None:
    points = [Point(run, 1.75 - run / 1000, "discard") for run in range(1, 9)]
    drawn = draw(points, 60, 10, selected=4)
    assert sum(span.text.count("◆") for line in drawn for span in line if span.role == "strong") == 1


def test_a_run_that_failed_its_checks_has_a_mark_of_its_own() -> None:
    calm = [Point(1, 1.75, "keep"), Point(2, 1.76, "discard"), Point(3, None, "crash"), Point(4, 1.74, "keep")]
    points = [*calm, Point(5, 0.01, "checks_failed"), Point(6, 1.755, "checks_failed"), Point(7, 1.8, "odd")]
    drawn = draw(points, 60, 10)
    marks = [span for line in drawn for span in line if "!" in span.text]
    assert [span.role for span in marks] == ["warn", "warn"] and sum(line.count("×") for line in picture(drawn)) == 1
    assert window(points[:6]) == window(calm), "a metric that cannot be trusted must not stretch the picture"
    words = "● baseline, 1 kept   ○ 1 discarded   × 1 crashed   ! 2 failed checks   ? 1 other"
    assert plain(legend(points)).strip() == words
    many = [Point(run, 0.01, "checks_failed") if run % 2 else Point(run, 1.7, "discard") for run in range(1, 2000)]
    assert any("!" in line for line in picture(draw(many, 60, 10))) and any(
        "○" in line for line in picture(draw(many, 60, 10))
    )


def test_in_ascii_there_is_no_other_character() -> None:
    points = [Point(run, None if run == 4 else 1.75 - run / 1000, "keep") for run in range(1, 9)]
    points.append(Point(9, 1e9, "discard"))
    for manner in (Manner(), Manner(log=True)):
        drawn = "".join(picture(draw(points, 60, 10, selected=3, noise=Window(1.74, 2.0), manner=manner)))
        assert drawn.translate(TABLE).isascii() and set("*x^@.") < set(drawn.translate(TABLE))


def test_thousands_of_runs_fit() -> None:
    points = [Point(run, 1.8 - run / 1e5, "keep" if run % 40 == 1 else "discard") for run in range(1, 5001)]
    drawn = draw(points, 100, 14, selected=2500)
    assert len(drawn) == 14 and all(width(line) <= 100 for line in drawn)


def test_higher_may_be_better() -> None:
    points = [Point(run, 0.5 + run / 100, "keep") for run in range(1, 10)]
    assert any("┘" in line or "●" in line for line in picture(draw(points, 60, 10, lower_is_better=False)))


values = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
points = st.lists(st.tuples(values, st.sampled_from(["keep", "discard", "crash", "checks_failed", "odd"])), max_size=60)


manners = st.builds(Manner, by_hour=st.booleans(), log=st.booleans())


@given(points, st.integers(1, 120), st.integers(1, 30), st.booleans(), manners)
def test_no_history_breaks_the_plot(
    history: list[tuple[float | None, str]], w: int, h: int, lower: bool, manner: Manner
) -> None:
    numbered = [Point(run, value, kind, run / 7 if value else 0.0) for run, (value, kind) in enumerate(history, 1)]
    noise = Window(-1.0, 0.5)
    drawn = draw(numbered, w, h, selected=2, lower_is_better=lower, noise=noise, manner=manner)
    assert len(drawn) in (0, h)
    assert all(width(line) <= w for line in drawn)


def test_a_recorded_session_is_drawn(tmp_path: Path) -> None:
    state = Session(hundred(tmp_path).workspace, is_alive=lambda: True).poll()
    drawn = picture(draw(points_of(state.rows, 0), 100, 16))
    assert len(drawn) == 16 and sum(line.count("×") for line in drawn) == 9


def test_only_one_segment_is_drawn(tmp_path: Path) -> None:
    state = Session(two_segments(tmp_path).workspace, is_alive=lambda: True).poll()
    assert [point.run for point in points_of(state.rows, 1)] == list(range(10, 16))
    shown = window(points_of(state.rows, 1))
    assert shown is not None and shown.low == 1.9


def test_the_noise_around_the_incumbent_is_shaded_where_nothing_stands() -> None:
    points = [Point(run, 1.75 - run / 1000, "keep") for run in range(1, 21)]
    noise = Window(1.729, 1.733)
    drawn = draw(points, 60, 12, noise=noise)
    shaded = [line for line in drawn if any(span.role == "band" for span in line)]
    assert 1 <= len(shaded) <= 4 and all(width(line) <= 60 for line in drawn)
    for line in drawn:
        text = plain(line)
        if "┤" in text and line in shaded:
            assert noise.low <= float(text.split("┤")[0]) <= noise.high
    bare = [plain(line).replace("░", " ").rstrip() for line in drawn]
    assert bare == [plain(line).rstrip() for line in draw(points, 60, 12)]
    assert "░░ noise ±0.002" in plain(legend(points, margin=0.002))


def test_experiments_stand_where_their_hour_is() -> None:
    points = [Point(1, 1.75, "keep", 0.0), Point(2, 1.76, "discard", 0.25), Point(3, 1.74, "keep", 8.0)]
    (by_run, by_hour) = (
        picture(draw(points, 80, 10, manner=Manner(by_hour=by_hour, log=True))) for by_hour in (False, True)
    )
    assert by_hour[-1].split() == ["0", "h", "2", "h", "4", "h", "6", "h", "8", "h"]
    at = next(line for line in by_hour if "○" in line).index("○")
    assert at < 15 < next(line for line in by_run if "○" in line).index("○")
    short = [replace(point, hours=(point.hours or 0.0) / 16) for point in points]
    assert picture(draw(short, 80, 10, manner=Manner(by_hour=True)))[-1].split()[:2] == ["0:00", "0:05"]


def test_what_the_points_do_not_allow_is_left_out() -> None:
    timeless = [Point(1, 1.75, "keep"), Point(2, 1.74, "keep")]
    at_once = [replace(point, hours=0.0) for point in timeless]
    wish = Manner(by_hour=True, log=True)
    assert wish.possible(timeless) == wish.possible(at_once) == Manner(log=True)
    below = [Point(1, -1.0, "keep", 0.0), Point(2, 2.0, "keep", 1.0)]
    assert wish.possible(below) == Manner(by_hour=True)
    assert wish.possible([*at_once, Point(3, 0.0, "checks_failed", 2.0)]) == wish


def test_decades_are_shown_evenly_on_a_logarithmic_scale() -> None:
    points = [Point(run, 10.0**-run, "keep") for run in range(5)]
    drawn = picture(draw(points, 60, 12, manner=Manner(log=True)))
    rows = [at for at, line in enumerate(drawn) if "●" in line]
    assert len({later - earlier for earlier, later in pairwise(rows)}) == 1


def test_of_thousands_of_runs_what_is_drawn_fills_the_plot() -> None:
    points = [
        Point(run, 1.8 - run * 1e-4, "keep")
        if run % 20 == 1
        else Point(run, 1.801 - (run - run % 7 * 200) * 1e-4, "discard")
        for run in range(1, 2001)
    ]
    rows = [plain(line) for line in draw(points, 100, 14)]
    with_marks = [at for at, row in enumerate(rows) if "●" in row]
    assert with_marks[0] <= 1 and with_marks[-1] >= 10


async def test_x_and_v_lay_the_axes_out_and_the_title_says_so(tmp_path: Path) -> None:
    recorder = hundred(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=(120, 35)) as pilot:
        await pilot.pause()
        await pilot.press("2", "x")
        assert app.main.pane("history").about.endswith("by hour")
        await pilot.press("v")
        assert app.main.pane("history").about.endswith("by hour · log")
        await pilot.press("x", "v", "left")
        assert app.selected == 100 and "log" not in app.main.pane("history").about
