"""In which order the runs stand in their table."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from engine.ledger import Segment
from tui.run_filter import figure_of
from tui.view_state import Row


class Order(NamedTuple):
    """``name`` is what the title says, for the metric's own name; the runs without a ``figure`` come last."""

    name: str
    figure: Callable[[Row], float | None]
    best_first: bool = False
    """The figure is better in the metric's direction, and the best one comes first; else the largest does."""


ORDERS = (
    Order("newest first", lambda row: None),
    Order("by {metric}", lambda row: None if row.experiment.crashed else row.experiment.metric, best_first=True),
    Order("by Δ", lambda row: row.delta, best_first=True),
    Order("by memory", lambda row: figure_of(row, "memory")),
    Order("by time", lambda row: figure_of(row, "time")),
)


def arrange(rows: Sequence[Row], order: Order, segments: Sequence[Segment]) -> list[Row | int]:
    """The rows in an order, and between two segments the number of the later one.

    Only runs of one segment are comparable with each other, so each segment is put in order by itself, the last one
    on top.
    """
    lines: list[Row | int] = []
    later: int | None = None
    for number, members in _by_segment(rows):
        if later is not None:
            lines.append(later)
        later = number
        higher = number < len(segments) and segments[number].config.best_direction == "higher"
        lines += sorted(members, key=partial(_place, order=order, ascending=order.best_first and not higher))
    return lines


def _by_segment(rows: Sequence[Row]) -> list[tuple[int, list[Row]]]:
    """The rows of each segment, newest first, the last segment first."""
    found: dict[int, list[Row]] = {}
    for row in reversed(rows):
        found.setdefault(row.experiment.segment, []).append(row)
    return list(found.items())


def _place(row: Row, *, order: Order, ascending: bool) -> tuple[bool, float]:
    figure = order.figure(row)
    if figure is None or math.isnan(figure):
        return True, 0.0
    return False, figure if ascending else -figure
