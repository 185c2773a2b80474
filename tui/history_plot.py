"""The metric of every experiment as a plot of characters: one pure function around plotext.

plotext keeps one global figure in a C library that aborts the process on a NaN in a connected line
and when two threads use it: so only finite numbers go in, and only the screen's thread may call this.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from statistics import median
from typing import TypeGuard

import plotext

from tui.spans import Span, Spans

MIN_WIDTH, MIN_HEIGHT = 24, 5
LARGEST = 1e100
CLIP_AT = 6.0
"""Values further from the median than this many times the middle half's width are drawn at the edge."""


STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7.5)
"""What a row of the plot may stand for, times a power of ten."""


@dataclass(frozen=True)
class Point:
    """One experiment. ``value`` is None for a run without a metric; ``kind`` is its status in the ledger."""

    run: int
    value: float | None
    kind: str


@dataclass(frozen=True)
class Look:
    """The characters that a plot is made of; a second set of them makes it ASCII."""

    keep: str = "●"
    discard: str = "○"
    crash: str = "×"
    checks_failed: str = "!"
    other: str = "?"
    above: str = "▲"
    below: str = "▼"
    selected: str = "◆"
    boxes: bool = True
    """The line of the running best is drawn with box characters, which every font has."""

    def mark(self, kind: str) -> str:
        """The character of a kind of experiment."""
        marks = {"keep": self.keep, "discard": self.discard, "crash": self.crash, "checks_failed": self.checks_failed}
        return marks.get(kind, self.other)


ROLES = {
    "keep": ("good", 2),
    "discard": ("muted", 8),
    "crash": ("bad", 1),
    "checks_failed": ("warn", 3),
    "other": ("muted", 7),
    "best": ("accent", 6),
    "now": ("strong", 15),
}
"""A mark's role, and the colour by which plotext's output says it."""
KINDS = ("discard", "other", "crash", "checks_failed", "keep")
"""Drawn in this order: the last stands before the others."""
_kind_of = {str(code): kind for kind, (_, code) in ROLES.items()}
_colour = re.compile(r"\x1b\[([\d;]*)m")


@dataclass(frozen=True)
class Window:
    """The values that the vertical axis shows."""

    low: float
    high: float


def window(points: Sequence[Point], *, lower_is_better: bool = True) -> Window | None:
    """The range that matters: all of it, less what an exploded run, or a metric that cannot be trusted, would stretch
    it to."""
    trusted = [point for point in points if point.kind != "checks_failed" and _is_finite(point.value)]
    values = sorted(point.value for point in trusted or points if _is_finite(point.value))
    if not values:
        return None
    low, high = values[0], values[-1]
    if len(values) >= 3:
        middle = median(values)
        quarter, three = values[len(values) // 4], values[(3 * len(values)) // 4]
        spread = max(three - quarter, 1e-3 * abs(middle), 1e-6)
        kept = [point.value for point in points if point.kind == "keep" and _is_finite(point.value)]
        matters = [value for value in kept if value is not None]
        if lower_is_better:
            high = max(value for value in values if value <= middle + CLIP_AT * spread)
            high = max([high, *matters]) if matters and max(matters) <= middle + 4 * CLIP_AT * spread else high
        else:
            low = min(value for value in values if value >= middle - CLIP_AT * spread)
            low = min([low, *matters]) if matters and min(matters) >= middle - 4 * CLIP_AT * spread else low
    if high - low < max(abs(high) * 1e-6, 1e-9):  # one value: give it something to stand in the middle of
        room = max(abs(high) * 1e-3, 1e-6)
        return Window(low - room, high + room)
    return Window(low, high)


@dataclass(frozen=True)
class Scale:
    """Which value each row of the plot stands for: round numbers, evenly spaced, so that no label lies."""

    bottom: float
    step: float
    rows: int

    @property
    def top(self) -> float:
        return self.bottom + (self.rows - 1) * self.step

    def ticks(self, every: int, through: float) -> list[float]:
        """The value of every so manieth row; the row that ``through`` is in is one of them."""
        row = round((through - self.bottom) / self.step)
        return [self.bottom + at * self.step for at in range(row % every, self.rows, every)]


def scale(shown: Window, rows: int, *, below: bool, above: bool) -> Scale:
    """A scale of ``rows`` rows for a window; ``below`` and ``above`` keep a row free for what is outside of it."""
    room = max(2, rows - 1 - below - above)
    power = math.floor(math.log10((shown.high - shown.low) / room))
    for exponent in range(power, power + 3):
        for factor in STEPS:
            step = factor * 10.0**exponent
            low, high = math.floor(shown.low / step + 1e-6), math.ceil(shown.high / step - 1e-6)
            if high - low <= room:
                spare = rows - 1 - (high - low)
                first = low - min(spare, below + max(0, spare - below - above) // 2)
                return Scale(first * step, step, rows)
    raise AssertionError("a step of a hundred times the range always fits")


def draw(
    points: Sequence[Point],
    width: int,
    height: int,
    *,
    selected: int | None = None,
    lower_is_better: bool = True,
    look: Look | None = None,
) -> list[Spans]:
    """The plot as ``height`` lines of spans; empty where nothing can be drawn or there is no room.

    Kept runs stand on the line of the running best; a crash has no value and stands at the lower edge;
    a value outside the window stands at the edge that it is beyond, as an arrow.
    """
    look = look or Look()
    if width < MIN_WIDTH or height < MIN_HEIGHT or not points:
        return []
    shown = window(points, lower_is_better=lower_is_better)
    if shown is None:
        return []
    points = _thinned(points, 2 * width, selected, lower_is_better)
    figure = plotext.figure
    plotext.terminal.limit(False, False)
    figure.clear()
    figure.theme("colorless")
    figure.canvas("default")
    figure.plot_size(width, height)
    figure.legend(False)
    figure.axes(False, side="upper", axis="x")
    figure.axes(False, side="right", axis="y")

    first, last = points[0].run, points[-1].run
    left, right = (
        (first - 0.5, last + max(0.5, 2.5 * (last - first) / width)) if last > first else (first - 1, last + 1)
    )
    is_above = any(_is_finite(each.value) and (each.value or 0) > shown.high for each in points)
    is_below = any(not _is_finite(each.value) or (each.value or 0) < shown.low for each in points)
    axis = scale(shown, height - 2, below=is_below, above=is_above)
    steps = _best_line(points, right, shown)
    for begin, end in pairwise(steps):
        _stroke(begin, end, look)
    _draw_marks(points, shown, axis, look, selected)

    figure.ruler("x", "lower").lim(left, right)
    ticks = _whole_ticks(first, last, max(2, width // 12))
    figure.ruler("x", "lower").ticks([float(tick) for tick in ticks], [str(tick) for tick in ticks])
    figure.ruler("y", "left").lim(axis.bottom, axis.top)
    values = axis.ticks(2 if axis.rows < 16 else 3, through=steps[-1][1] if steps else shown.low)
    figure.ruler("y", "left").ticks(values, _labels(values))
    return _lines(figure.build().string(), height, corner="┐" if lower_is_better else "┘")


def legend(points: Sequence[Point], look: Look | None = None) -> Spans:
    """What the marks stand for, and how many there are of each."""
    look = look or Look()
    counts = Counter(_kind(point) for point in points)
    kept = f"baseline, {counts['keep'] - 1} kept" if counts["keep"] else "none kept"
    entries = [("keep", kept), ("discard", f"{counts['discard']} discarded")]
    words = {"crash": "crashed", "checks_failed": "failed checks", "other": "other"}
    entries += [(kind, f"{counts[kind]} {word}") for kind, word in words.items() if counts[kind]]
    marked = ((Span(look.mark(kind) + " ", ROLES[kind][0]), Span(text, "muted")) for kind, text in entries)
    return tuple(span for at, entry in enumerate(marked) for span in (Span("   " if at else "       "), *entry))


def _kind(point: Point) -> str:
    return point.kind if point.kind in KINDS else "other"


def _draw_marks(points: Sequence[Point], shown: Window, axis: Scale, look: Look, selected: int | None) -> None:
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    chosen: tuple[float, float] | None = None
    for point in points:
        at, kind, glyph = _place(point, shown, axis, look)
        groups.setdefault((kind, glyph), []).append((float(point.run), at))
        if point.run == selected:
            chosen = (float(point.run), at)
    for wanted in KINDS:
        for (kind, glyph), places in groups.items():
            if kind == wanted:
                _mark(places, kind, glyph)
    if chosen is not None:
        _mark([chosen], "now", look.selected)


def _place(point: Point, shown: Window, axis: Scale, look: Look) -> tuple[float, str, str]:
    """How high a point stands, as what kind it is drawn, and its character."""
    kind = _kind(point)
    if not _is_finite(point.value):
        kind = kind if kind == "checks_failed" else "crash"
        return axis.bottom, kind, look.mark(kind)
    if shown.low <= point.value <= shown.high:
        return point.value, kind, look.mark(kind)
    at, arrow = (axis.top, look.above) if point.value > shown.high else (axis.bottom, look.below)
    return (at, kind, look.mark(kind)) if kind == "checks_failed" else (at, "discard", arrow)


def _mark(places: Sequence[tuple[float, float]], kind: str, glyph: str) -> None:
    marker = plotext.marker(glyph, pixel=plotext.pixel(foreground=ROLES[kind][1]))
    plotext.figure.draw(plotext.figure.signal([x for x, _ in places], [y for _, y in places], marker=marker))


def _stroke(begin: tuple[float, float], end: tuple[float, float], look: Look) -> None:
    """A level or an upright piece of the running best."""
    upright = begin[0] == end[0]
    pixel = plotext.pixel(foreground=ROLES["best"][1])
    if look.boxes:
        marker = plotext.line(int(upright), pixel=pixel)
    else:
        marker = plotext.marker("|" if upright else "-", pixel=pixel)
    signal = plotext.figure.signal([begin[0], end[0]], [begin[1], end[1]], marker=marker)
    plotext.figure.draw(signal.lines(True))


def _best_line(points: Sequence[Point], right: float, shown: Window) -> list[tuple[float, float]]:
    """The running best as a staircase, inside the window."""
    steps: list[tuple[float, float]] = []
    best: float | None = None
    for point in points:
        if point.kind != "keep" or point.value is None or not _is_finite(point.value):
            continue
        value = min(max(point.value, shown.low), shown.high)
        if best is not None:
            steps.append((float(point.run), best))
        steps.append((float(point.run), value))
        best = value
    if best is not None:
        steps.append((right, best))
    return steps


def _thinned(points: Sequence[Point], most: int, selected: int | None, lower_is_better: bool) -> list[Point]:
    """At most about ``most`` points: every kept one, the selected one, and one of each other kind of each stretch."""
    if len(points) <= most:
        return list(points)
    per = math.ceil(len(points) / (most // 2))
    sign = 1 if lower_is_better else -1
    thinned: list[Point] = []
    for begin in range(0, len(points), per):
        stretch = points[begin : begin + per]
        rest = [each for each in stretch if each.kind not in ("keep", "checks_failed") and _is_finite(each.value)]
        chosen = {id(each) for each in stretch if each.kind == "keep" or each.run == selected}
        if rest:
            chosen.add(id(min(rest, key=lambda each: sign * (each.value or 0.0))))
        crashes = [each for each in stretch if each.kind != "checks_failed" and not _is_finite(each.value)]
        failed = [each for each in stretch if each.kind == "checks_failed"]
        chosen.update(id(each) for each in (*crashes[:1], *failed[:1]))
        thinned += [each for each in stretch if id(each) in chosen]
    ends = [each for each in (points[0], points[-1]) if each not in thinned]
    return sorted([*thinned, *ends], key=lambda each: each.run)


def _lines(text: str, height: int, corner: str) -> list[Spans]:
    """plotext's output as spans: a colour that stands for a role becomes that role, the frame is muted.

    plotext joins the level and the upright piece of a step to a cross; a step has a corner there.
    """
    lines: list[Spans] = []
    for row in text.split("\n")[:height]:
        spans: list[Span] = []
        pieces = _colour.split(row)  # text, colour, text, colour, …, text
        role = "muted"
        for piece, colour in zip_longest(pieces[::2], pieces[1::2]):
            if piece:
                spans.append(Span(piece.replace("┼", corner) if role == "best" else piece, _span_role(role)))
            role = _kind_of.get((colour or "").rpartition(";")[2], "muted")
        lines.append(tuple(spans))
    return lines


def _span_role(kind: str) -> str:
    return ROLES[kind][0] if kind in ROLES else kind


def _labels(values: Sequence[float]) -> list[str]:
    """The values with as many decimals as it takes to tell them exactly, within reason."""
    largest = max(abs(value) for value in values)
    if largest >= 1e5:
        labels = [f"{value:.3g}" for value in values]
    else:
        exact = (digits for digits in range(7) if all(abs(round(value, digits) - value) < 1e-9 for value in values))
        decimals = next(exact, 6)
        labels = [f"{value:.{decimals}f}" for value in values]
    longest = max(len(label) for label in labels)
    return [label.rjust(max(longest, 6)) for label in labels]


def _whole_ticks(first: int, last: int, most: int) -> list[int]:
    """Run numbers at round distances, the first one included."""
    if last <= first:
        return [first]
    step = next(
        size * 10**power for power in range(12) for size in (1, 2, 5) if (last - first) / (size * 10**power) <= most
    )
    ticks = [tick for tick in range((first // step) * step, last + 1, step) if tick >= first]
    return ticks if first in ticks or (ticks and ticks[0] - first < step / 2) else [first, *ticks]


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and abs(value) < LARGEST
