"""The plot never fails, and never lets one bad run hide the good ones."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.sessions import hundred, two_segments
from tui.history_plot import Look, Point, draw, legend, scale, window
from tui.panes.history import points_of
from tui.session import Session
from tui.spans import Spans, plain, width

ASCII = Look(keep="*", discard="o", crash="x", above="^", below="v", selected="@", boxes=False)
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
    assert plain(legend(points, ASCII)).strip() == words.translate(str.maketrans("●○×", "*ox"))
    many = [Point(run, 0.01, "checks_failed") if run % 2 else Point(run, 1.7, "discard") for run in range(1, 2000)]
    assert any("!" in line for line in picture(draw(many, 60, 10))) and any(
        "○" in line for line in picture(draw(many, 60, 10))
    )


def test_in_ascii_there_is_no_other_character() -> None:
    points = [Point(run, None if run == 4 else 1.75 - run / 1000, "keep") for run in range(1, 9)]
    drawn = "".join(picture(draw(points, 60, 10, look=ASCII)))
    assert not [mark for mark in "●○×▲▼◆─┐" if mark in drawn.replace("└", "").replace("─", "")]


def test_thousands_of_runs_fit() -> None:
    points = [Point(run, 1.8 - run / 1e5, "keep" if run % 40 == 1 else "discard") for run in range(1, 5001)]
    drawn = draw(points, 100, 14, selected=2500)
    assert len(drawn) == 14 and all(width(line) <= 100 for line in drawn)


def test_higher_may_be_better() -> None:
    points = [Point(run, 0.5 + run / 100, "keep") for run in range(1, 10)]
    assert any("┘" in line or "●" in line for line in picture(draw(points, 60, 10, lower_is_better=False)))


values = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
points = st.lists(st.tuples(values, st.sampled_from(["keep", "discard", "crash", "checks_failed", "odd"])), max_size=60)


@given(points, st.integers(1, 120), st.integers(1, 30), st.booleans())
def test_no_history_breaks_the_plot(history: list[tuple[float | None, str]], w: int, h: int, lower: bool) -> None:
    numbered = [Point(run, value, kind) for run, (value, kind) in enumerate(history, 1)]
    drawn = draw(numbered, w, h, selected=2, lower_is_better=lower)
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
