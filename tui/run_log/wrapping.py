"""Long lines on as many rows as they need: which row of a log belongs to which line.

A sum is kept for every 64th line only: ten million lines take 1.3 MB.
"""

import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from rich.cells import cell_len

from tui.spans import Span, Spans, plain

EVERY = 64
GROUPS_KEPT = 16
SLICE_SECONDS = 0.01


class Measured(Protocol):
    """Lines whose heights can be asked for; those before ``settled`` stay as they are."""

    @property
    def settled(self) -> int: ...

    @property
    def total(self) -> int: ...

    def heights(self, begin: int, end: int, cells: int) -> list[int]:
        """The rows that some lines from ``begin`` on take up, ``end`` excluded; at least one line's."""


def breaks(text: str, cells: int) -> list[int]:
    """Where a text is broken, its end included: a wide character is not cut."""
    if text.isascii():
        return [*range(cells, len(text), cells), len(text)]
    places, used = [], 0
    for at, character in enumerate(text):
        wide = cell_len(character)
        if used + wide > cells and used:
            places.append(at)
            used = 0
        used += wide
    return [*places, len(text)]


def height(text: str, cells: int) -> int:
    """The rows that a line takes up."""
    return len(breaks(text, cells))


def chop(spans: Spans, cells: int) -> list[Spans]:
    """The rows of a line."""
    rows: list[list[Span]] = [[]]
    ends = iter(breaks(plain(spans), cells))
    at, end = 0, next(ends)
    for text, role in spans:
        begin = 0
        while begin < len(text):
            if at == end:
                end = next(ends)
                rows.append([])
            part = text[begin : begin + end - at]
            rows[-1].append(Span(part, role))
            begin += len(part)
            at += len(part)
    return [tuple(row) for row in rows]


class Rows:
    """The rows of ``lines`` in so many cells; ``advance`` counts them, in slices."""

    def __init__(self, lines: Measured, cells: int) -> None:
        self.cells = cells
        self._lines = lines
        self._sums = array("Q", [0])
        """Rows before each 64th line."""
        self._part: list[int] = []
        """The heights of the settled lines behind the last of those."""
        self._open: list[int] = []
        """The heights of the lines that are not settled."""
        self._groups: OrderedDict[int, list[int]] = OrderedDict()

    @property
    def _counted(self) -> int:
        return EVERY * (len(self._sums) - 1) + len(self._part)

    def advance(self, clock: Callable[[], float] = time.monotonic) -> bool:
        """Count some more lines; whether there are more."""
        end = clock() + SLICE_SECONDS
        begin = self._counted
        while begin < self._lines.settled and clock() < end:
            heights = self._part + self._lines.heights(begin, self._lines.settled, self.cells)
            whole = len(heights) - len(heights) % EVERY
            for at in range(0, whole, EVERY):
                self._sums.append(self._sums[-1] + sum(heights[at : at + EVERY]))
            self._part = heights[whole:]
            begin = self._counted
        has_more = begin < self._lines.settled
        self._open = []
        if not has_more and begin < self._lines.total:
            self._open = self._lines.heights(begin, self._lines.total, self.cells)
        return has_more

    @property
    def total(self) -> int:
        """All rows of the lines that are counted, and of one that is not settled."""
        return self._sums[-1] + sum(self._part) + sum(self._open)

    def locate(self, row: int) -> tuple[int, int]:
        """(line, which of its rows) of a row."""
        group = min(bisect_right(self._sums, row), len(self._sums)) - 1
        row -= self._sums[group]
        line = EVERY * group
        for tall in self._heights(group):
            if row < tall:
                break
            row -= tall
            line += 1
        return line, row

    def row_of(self, line: int) -> int:
        """The first row of a line."""
        group = min(line // EVERY, len(self._sums) - 1)
        return self._sums[group] + sum(self._heights(group)[: line - EVERY * group])

    def _heights(self, group: int) -> list[int]:
        if group == len(self._sums) - 1:
            return self._part + self._open
        heights = self._groups.get(group)
        if heights is None:
            heights, begin = [], EVERY * group
            while len(heights) < EVERY:
                heights += self._lines.heights(begin + len(heights), begin + EVERY, self.cells)
            self._groups[group] = heights
            if len(self._groups) > GROUPS_KEPT:
                self._groups.popitem(last=False)
        return heights
