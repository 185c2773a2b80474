"""Which runs the table shows and in which order: plain functions of rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger import Config, Experiment, Ledger, Note, Segment
from tui.run_filter import FIGURES, HINT, STATUSES, Filter, Problem, Subject, parse
from tui.run_order import ORDERS, arrange
from tui.view_state import Row


def row(run: int, metric: float | None = None, status: str = "discard", **more: Any) -> Row:
    delta, baseline = more.pop("delta", None), more.pop("baseline", False)
    experiment = Experiment(run=run, metric=metric, status=status, **more)
    return Row(experiment, is_baseline=baseline, delta=delta)


ROWS = (
    row(1, 1.0, "keep", description="baseline", source="baseline", baseline=True, seconds=300.0),
    row(2, 0.97, "keep", description="MATRIX_LR 0.03 → 0.04", source="search", delta=-0.03, seconds=310.0),
    row(3, 0.99, source="agent", asi={"hypothesis": "Wider HEADS", "more": [{"deep": "RoPE"}]}, delta=0.02),
    row(4, None, "crash", source="agent", metrics={"peak_memory_mb": 81920.0, "mfu_percent": 39.8}, seconds=12.0),
    row(5, 0.976, "checks_failed", metrics={"peak_memory_mb": 500.0}, seconds=900.0),
    row(6, None, result="skipped", seconds=20.0),
)
LEDGER = Ledger(notes=(Note(run=2, text="looked at TWICE"), Note(run=2, text="and again")))


def chosen(text: str) -> list[int]:
    found = parse(text, ["mfu_percent"])
    assert isinstance(found, Filter), found
    return [each.experiment.run for each in found.choose(ROWS, LEDGER)]


def problem(text: str) -> str:
    found = parse(text, ["mfu_percent"])
    assert isinstance(found, Problem)
    return found.sentence


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("   ", [1, 2, 3, 4, 5, 6]),
        ("status:keep", [1, 2]),
        ("status:keep metric<0.98", [2]),
        ("status:baseline", [1]),
        ("status:crash,checks", [4, 5]),
        ("STATUS=checks_failed", [5]),
        ("status:discard", [3]),
        ("status:skipped", [6]),
        ("-status:crash -status:skipped", [1, 2, 3, 5]),
        ("source:agent", [3, 4]),
        ("source:agent,Search", [2, 3, 4]),
        ("memory>1000", [4]),
        ("memory>=80GB", [4]),
        ("memory<1gb", [5]),
        ("time<600", [1, 2, 4, 6]),
        ("time>10m", [5]),
        ("run>2 run<=4", [3, 4]),
        ("run:3", [3]),
        ("-run:3 run>1", [2, 4, 5, 6]),
        ("metric=0.97", [2]),
        ("val_bpb>=0.99", [1, 3]),
        ("metric=1.00", [1]),
        ("metric=0.98", [5]),
        ("delta<0", [2]),
        ("Δ>−0.1", [2, 3]),
        ("segment:1 status:crash", [4]),
        ("mfu_percent>39", [4]),
        ("twice", [2]),
        ("TWICE again", [2]),
        ("rope", [3]),
        ("hypothesis", [3]),
        ("wider heads", [3]),
        ('"wider heads"', [3]),
        ('"heads wider"', []),
        ('-"wider heads" source:agent', [4]),
        ('"0.03 → 0.04', [2]),
        ("matrix_lr", [2]),
        ("-baseline run<3", [2]),
    ],
)
def test_a_filter_chooses_runs(text: str, runs: list[int]) -> None:
    assert chosen(text) == runs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:kept", "kept is no status: there are keep, discard, crash, checks, baseline, skipped, lost."),
        ("status:", "is no status"),
        ("status<3", "status is no number: status:keep asks for one."),
        ("loss<3", "loss is no field: there are status, source, run, metric, delta, memory, time, segment; "),
        ("metric<", "metric< is no comparison yet: metric<0.98 is one."),
        ("metric<0,98", "0,98 is no number: metric<0.98 is one."),
        ("memory>40gib", "40gib is no number: memory>40GB is one."),
        ("time:soon", "soon is no number: time=10m is one."),
        ("metric<" + "9" * 400, "is no number"),
        ("metric<nan", "nan is no number"),
        ("x" * 100 + "=1", "x…"),
    ],
)
def test_a_wrong_filter_says_in_one_sentence_what_is_possible(text: str, words: str) -> None:
    sentence = problem(text)
    assert words in sentence and sentence.endswith(".") and len(sentence) < 160


TERMS = st.one_of(
    st.text(max_size=12),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["", "-", "--", '"']),
        st.sampled_from(["status", "source", "metric", "val_bpb", "mfu_percent", "Δ", "x", "", *FIGURES]),
        st.sampled_from([":", "=", "<", "<=", ">", ">=", "<>", "=="]),
        st.one_of(st.text(max_size=6), st.floats().map(str), st.integers().map(str), st.sampled_from(STATUSES)),
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(TERMS, max_size=5).map(" ".join), st.text(max_size=8), VALUES, st.none() | st.floats())
def test_no_text_and_no_run_makes_a_filter_fail(text: str, written: str, value: Any, figure: float | None) -> None:
    found = parse(text, ["mfu_percent", "x"])
    if isinstance(found, Problem):
        assert found.sentence.endswith(".") and "\n" not in found.sentence
        return
    metrics = {} if figure is None else {"peak_memory_mb": figure, "mfu_percent": figure}
    odd = row(1, figure, written, description=written, asi={written: value}, metrics=metrics, delta=figure)
    for each in (*ROWS, odd):
        assert found.takes(Subject(each, (written,))) in (True, False)


@given(st.lists(TERMS, max_size=3).map(" ".join))
def test_a_filter_and_a_further_term_choose_from_what_the_filter_chooses(text: str) -> None:
    first, both, neither = (parse(each, ["mfu_percent"]) for each in (text, f"run>2 {text}", f"-run>2 {text}"))
    if isinstance(first, Problem) or isinstance(both, Problem) or isinstance(neither, Problem):
        return
    parts = both.choose(ROWS, LEDGER), neither.choose(ROWS, LEDGER)
    assert sorted(each.experiment.run for part in parts for each in part) == [
        each.experiment.run for each in first.choose(ROWS, LEDGER)
    ]


def test_asi_however_deep_is_searched() -> None:
    deep: Any = "needle"
    for _ in range(5000):
        deep = [deep]
    found = parse("needle")
    assert isinstance(found, Filter) and found.takes(Subject(row(1, asi={"k": deep})))


def test_what_the_prompt_suggests_is_a_filter() -> None:
    assert isinstance(parse(HINT.split(" · ")[0]), Filter)


def order(name: str, rows: tuple[Row, ...] = ROWS, segments: tuple[Segment, ...] = ()) -> list[int | str]:
    (which,) = (each for each in ORDERS if each.name == name)
    lines = arrange(rows, which, segments)
    return [each.experiment.run if isinstance(each, Row) else f"segment {each}" for each in lines]


def test_the_orders_of_the_runs() -> None:
    assert order("newest first") == [6, 5, 4, 3, 2, 1]
    assert order("by {metric}") == [2, 5, 3, 1, 6, 4]
    assert order("by Δ") == [2, 3, 6, 5, 4, 1]
    assert order("by memory") == [4, 5, 6, 3, 2, 1]
    assert order("by time") == [5, 2, 1, 6, 4, 3]


def test_a_metric_that_is_to_rise_is_best_where_it_is_highest() -> None:
    segment = Segment(0, Config(best_direction="higher"))
    assert order("by {metric}", segments=(segment,)) == [1, 3, 5, 2, 6, 4]


def test_the_runs_of_two_segments_are_never_mixed() -> None:
    later = (row(7, 0.5, "keep", segment=1), row(8, 0.4, "keep", segment=1))
    assert order("by {metric}", (*ROWS[:2], *later)) == [8, 7, "segment 1", 2, 1]
    assert order("newest first", (*ROWS[:2], *later)) == [8, 7, "segment 1", 2, 1]
    assert order("newest first", ()) == []


@given(st.lists(st.none() | st.floats(), max_size=8))
def test_every_order_shows_every_run_once(figures: list[float | None]) -> None:
    rows = tuple(row(at, figure, delta=figure, seconds=figure) for at, figure in enumerate(figures))
    for each in ORDERS:
        lines = arrange(rows, each, ())
        assert sorted(line.experiment.run for line in lines if isinstance(line, Row)) == list(range(len(rows)))
