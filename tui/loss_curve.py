"""The loss of a run over its progress, from its log, drawn over the incumbent's: one sees early whether it will win."""

import math
import os
import re
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tui.progress import reading
from tui.spans import Span, Spans

POINTS_KEPT = 1 << 11
SLICE_SECONDS = 0.01
READ_AT_ONCE = 1 << 16
LONGEST = 1 << 12
"""Bytes of an unfinished line that are kept for its end."""
BACK = 0.01
"""Progress that goes back by more than this is another training in the same log: it begins anew."""
EARLY = 0.08
"""The fall at a run's beginning would flatten all that comes after it: only what comes then sets the scale."""
ROOM_ABOVE = 0.5
"""Of the incumbent's range; a loss further up is drawn at the edge."""
EVEN = 0.00005
LARGEST = 1e30
"""A loss beyond it has exploded, and is drawn as this."""
NUMBERS = 7
"""Cells for the numbers of the scale."""
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~+*%#"
DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""The dots of a braille character by column, from the lowest row to the highest."""


class Curve:
    """(share of the run, loss), thinned to POINTS_KEPT at most: the means of equally many steps."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._shares, self._losses = array("d"), array("d")
        self._each = 1
        """Steps that a point is the mean of."""
        self._sum = (0.0, 0.0, 0)
        self.last: tuple[float, float] | None = None
        """The last step."""

    def add(self, share: float, loss: float) -> None:
        """The next step."""
        loss = max(-LARGEST, min(LARGEST, loss))
        if self.last is not None and share < self.last[0] - BACK:
            self._begin()
        self.last = (share, loss)
        shares, losses, steps = self._sum
        self._sum = (shares + share, losses + loss, steps + 1)
        if self._sum[2] == self._each:
            self._shares.append(self._sum[0] / self._each)
            self._losses.append(self._sum[1] / self._each)
            self._sum = (0.0, 0.0, 0)
            if len(self._shares) == POINTS_KEPT:
                self._each *= 2
                for values in (self._shares, self._losses):
                    values[:] = array("d", ((a + b) / 2 for a, b in zip(values[::2], values[1::2], strict=True)))

    def at(self, share: float) -> float | None:
        """The loss when so much was done; None where the run did not get there."""
        if self.last is None or share > self.last[0]:
            return None
        at = bisect_left(self._shares, share)
        if at == 0:
            return self._losses[0] if self._losses else self.last[1]
        x, y = self._shares[at - 1], self._losses[at - 1]
        end, loss = (self._shares[at], self._losses[at]) if at < len(self._shares) else self.last
        return y + (loss - y) * (share - x) / (end - x) if end > x else y


_breaks = re.compile(rb"[\r\n]+")


class CurveReader:
    """The curve of a log that may grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.curve = Curve()
        self.is_behind = True
        """There is more in the log than is in the curve."""
        self._inode = 0
        self._offset = 0
        self._rest = b""

    def advance(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take in what was added, for some milliseconds at most."""
        end = clock() + SLICE_SECONDS
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self.curve, self._inode, self._offset, self._rest = Curve(), status.st_ino, 0, b""
                file.seek(self._offset)
                while clock() < end and (piece := file.read(READ_AT_ONCE)):
                    self._offset += len(piece)
                    self._take(piece)
                self.is_behind = self._offset < status.st_size
        except OSError:
            self.is_behind = False

    def _take(self, piece: bytes) -> None:
        *lines, rest = _breaks.split(self._rest + piece)
        self._rest = rest[-LONGEST:]
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        if b"%" in line and len(line) <= LONGEST:
            found = reading(line.decode("utf-8", "replace"))
            if found is not None:
                percent, loss = found
                self.curve.add(percent / 100, loss)


def standing(mine: Curve, rival: Curve) -> float | None:
    """My loss minus the rival's at equal progress; None where that can't be said."""
    if mine.last is None or rival.last is None or mine.last[0] > rival.last[0] + BACK:
        return None
    there = rival.at(min(mine.last[0], rival.last[0]))
    return None if there is None else mine.last[1] - there


def standing_words(mine: Curve, rival: Curve, name: str) -> Spans:
    """0.0123 below the incumbent at 45%."""
    difference = standing(mine, rival)
    if difference is None or mine.last is None:
        return ()
    where = Span(f" {name} at {100 * mine.last[0]:.0f}%", "muted")
    if abs(difference) < EVEN:
        return (Span("loss ", "muted"), Span("level with"), where)
    below = difference < 0
    said = f"{abs(difference):.4f} {'below' if below else 'above'}"
    return (Span("loss ", "muted"), Span(said, "good" if below else "warn"), where)


def draw(mine: Curve, rival: Curve | None, width: int, height: int, *, plain: bool = False) -> list[Spans]:
    """Both curves in so many cells. ``plain``: in ASCII. A single line has one of them at a time: mine, then the
    rival's where mine has not come to."""
    if height == 1:
        return [_sparkline(mine, rival, width, ASCII_BLOCKS if plain else BLOCKS)]
    numbers = NUMBERS if width > 4 * NUMBERS else 0
    cells = width - numbers
    dots = cells if plain else 2 * cells
    rows = height if plain else 4 * height
    ours, theirs = _sampled(mine, dots), _sampled(rival, dots)
    scale = _scale(ours, theirs)
    if scale is None:
        return []
    low, high = scale
    drawn_ours = _rows_of(ours, low, high, rows, clips=True)
    drawn_theirs = _rows_of(theirs, low, high, rows, clips=False)
    lines = []
    for row in reversed(range(height)):
        label = _number(high) if row == height - 1 else _number(low) if row == 0 else ""
        spans = [Span(f"{label:<{numbers}}"[:numbers], "muted")] if numbers else []
        for column in range(cells):
            if plain:
                has_ours, has_theirs = row in drawn_ours[column], row in drawn_theirs[column]
                character = "*" if has_ours else "." if has_theirs else " "
                ahead = column
            else:
                bits = [_bits(drawn[2 * column : 2 * column + 2], row) for drawn in (drawn_ours, drawn_theirs)]
                has_ours, has_theirs = bool(bits[0]), bool(bits[1])
                character = chr(0x2800 | bits[0] | bits[1]) if has_ours or has_theirs else " "
                ahead = 2 * column + (ours[2 * column] is None)
            role = _role(ours[ahead], theirs[ahead]) if has_ours else "muted"
            spans.append(Span(character, role))
        lines.append(_joined(spans))
    return lines


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.0e}"


def _sampled(curve: Curve | None, columns: int) -> list[float | None]:
    return [curve.at((column + 0.5) / columns) if curve else None for column in range(columns)]


def _scale(ours: list[float | None], theirs: list[float | None]) -> tuple[float, float] | None:
    """(lowest, highest) of what is drawn to scale."""
    early = int(EARLY * len(ours))
    late_ours, late_theirs = ([value for value in values[early:] if value is not None] for values in (ours, theirs))
    if not late_ours and not late_theirs:
        late_ours = [value for value in ours if value is not None]
    values = late_ours + late_theirs
    if not values:
        return None
    low, high = min(values), max(values)
    if late_theirs:
        top = max(late_theirs)
        high = min(high, top + ROOM_ABOVE * (top - min(late_theirs)))
    return low, max(high, math.nextafter(low, math.inf))


def _rows_of(values: list[float | None], low: float, high: float, rows: int, *, clips: bool) -> list[range]:
    """The rows that each column of a curve takes up, joined to the column before it; 0 is the lowest row."""
    heights: list[int | None] = []
    early = EARLY * len(values)
    for column, value in enumerate(values):
        is_out = value is None or (value > high and (column < early or not clips))
        heights.append(None if is_out or value is None else _level(value, low, high, rows))
    taken = []
    for before, here in pairwise([None, *heights]):
        if here is None:
            taken.append(range(0))
        elif before is None or before == here:
            taken.append(range(here, here + 1))
        else:
            taken.append(range(here, before) if here < before else range(before + 1, here + 1))
    return taken


def _level(value: float, low: float, high: float, levels: int) -> int:
    return min(levels - 1, max(0, int(levels * (value - low) / (high - low))))


def _bits(columns: list[range], row: int) -> int:
    """The dots of one cell."""
    return sum(dots[at] for dots, taken in zip(DOTS, columns, strict=True) for at in range(4) if 4 * row + at in taken)


def _sparkline(mine: Curve, rival: Curve | None, width: int, blocks: str) -> Spans:
    ours, theirs = _sampled(mine, width), _sampled(rival, width)
    scale = _scale(ours, theirs)
    if scale is None:
        return ()
    spans = []
    for here, there in zip(ours, theirs, strict=True):
        value = there if here is None else here
        character = " " if value is None else blocks[_level(value, *scale, len(blocks))]
        spans.append(Span(character, "muted" if here is None else _role(here, there)))
    return _joined(spans)


def _role(mine: float | None, theirs: float | None) -> str:
    """Ahead or behind."""
    if mine is None or theirs is None or abs(mine - theirs) < EVEN:
        return "accent"
    return "good" if mine < theirs else "warn"


def _joined(spans: list[Span]) -> Spans:
    """Neighbours of one role as one span."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].role == span.role:
            joined[-1] = Span(joined[-1].text + span.text, span.role)
        else:
            joined.append(span)
    return tuple(joined)
