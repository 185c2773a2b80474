"""The session's confidence: |best kept − baseline| / MAD, and where it is undefined (DESIGN §7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger import Config, Experiment, Segment
from engine.statistics import confidence, median_absolute_deviation

Run = tuple[float | None, str]


def segment(*runs: Run) -> Segment:
    experiments = (
        Experiment(run=number, metric=metric, status=status) for number, (metric, status) in enumerate(runs, 1)
    )
    return Segment(0, Config(), tuple(experiments))


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([1.0], 0.0),
        ([1.0, 3.0], 1.0),
        ([1.0, 2.0, 4.0], 1.0),
        ([1.0, 1.0, 1.0, 9.0], 0.0),
        ([1.0, 2.0, 3.0, 1e9], 1.0),
        ([-1.0, 0.0, 1.0], 1.0),
    ],
)
def test_the_spread_is_the_median_distance_from_the_median(values: list[float], spread: float) -> None:
    assert median_absolute_deviation(values) == spread


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(8.0, "keep"), (7.0, "discard"), (4.0, "keep")], 4.0),
        ([(8.0, "keep"), (9.0, "discard"), (7.0, "keep")], 1.0),
        ([(8.0, "keep"), (6.0, "keep"), (5.0, "keep"), (4.0, "keep")], 4.0),
        ([(8.0, "keep"), (4.0, "keep"), (5.0, "keep")], 4.0),
        ([(8.0, "keep"), (9.0, "keep"), (7.0, "discard")], 1.0),
    ],
    ids=["gain", "small gain", "several", "best is not the last", "worse"],
)
def test_confidence_is_the_gain_in_units_of_the_spread(runs: list[Run], expected: float) -> None:
    assert confidence(segment(*runs)) == expected


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [(8.0, "keep")],
        [(8.0, "keep"), (7.0, "keep")],
        [(8.0, "keep"), (7.0, "keep"), (None, "crash")],
        [(8.0, "keep"), (8.0, "keep"), (8.0, "discard")],
        [(8.0, "keep"), (9.0, "discard"), (10.0, "discard")],
        [(None, "crash"), (9.0, "discard"), (10.0, "discard"), (8.0, "checks_failed")],
    ],
    ids=["nothing", "one", "two", "two and a crash", "no spread", "nothing kept", "no baseline"],
)
def test_confidence_is_undefined(runs: list[Run]) -> None:
    assert confidence(segment(*runs)) is None


def test_a_crash_never_enters_a_statistic() -> None:
    good: list[Run] = [(8.0, "keep"), (7.0, "discard"), (4.0, "keep")]
    assert confidence(segment(*good, (0.0, "crash"), (None, "crash"), (1e9, "crash"))) == confidence(segment(*good))


def test_a_crash_is_not_taken_for_the_baseline() -> None:
    assert confidence(segment((0.0, "crash"), (8.0, "keep"), (7.0, "discard"), (4.0, "keep"))) == 4.0


def test_runs_that_failed_their_checks_are_part_of_the_spread() -> None:
    runs: list[Run] = [(8.0, "keep"), (6.0, "checks_failed"), (4.0, "keep")]
    assert confidence(segment(*runs)) == 2.0


def test_where_higher_is_better_the_best_is_the_highest() -> None:
    runs: list[Run] = [(4.0, "keep"), (8.0, "keep"), (5.0, "keep")]
    assert confidence(segment(*runs), "higher") == 4.0
    assert confidence(segment(*runs), "lower") == 1.0


@given(st.lists(st.tuples(st.floats(0.5, 2.0), st.sampled_from(["keep", "discard"])), max_size=12))
def test_confidence_does_not_depend_on_the_unit(runs: list[tuple[float, str]]) -> None:
    scaled = [(value * 4 - 8, status) for value, status in runs]
    first, second = confidence(segment(*runs)), confidence(segment(*scaled))
    assert (first is None) == (second is None)
    if first is not None and median_absolute_deviation([value for value, _ in runs]) > 1e-6:
        assert second == pytest.approx(first, rel=1e-6)
