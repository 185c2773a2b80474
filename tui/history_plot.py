"""The metric of every experiment as a plot of characters: one pure function around plotext.

plotext keeps one global figure in a C library that aborts the process on a NaN in a connected line
and when two threads use it: so only finite numbers go in, and only the screen's thread may call this.
It takes longer to load than the rest of the screen, so it is loaded by the first plot.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from statistics import median
from typing import TypeGuard

from tui.spans import Span, Spans

MIN_WIDTH, MIN_HEIGHT = 24, 5
LARGEST = 1e100
CLIP_AT = 6.0
"""Values further from the median than this many times the middle half's width are drawn at the edge."""


MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)
"""Distances between the times on the lower axis."""
STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7.5)
"""What a row of the plot may stand for, times a power of ten."""


@dataclass(frozen=True)
class Point:
    """One experiment. ``value`` is None for a run without a metric; ``kind`` is its status in the ledger."""

    run: int
    value: float | None
    kind: str
    hours: float | None = None
    """When it was over, since the first one."""


@dataclass(frozen=True)
class Manner:
    """How the axes are laid out."""

    by_hour: bool = False
    """Not by run; needs the hours of every point."""
    log: bool = False
    """Of the values; needs them all above zero."""

    def possible(self, points: Sequence[Point]) -> "Manner":
        """The same, less what these points do not allow: nobody knows their times, or one is not above zero."""
        hours = {point.hours for point in points}
        values = [point.value for point in points if point.kind != "checks_failed" and _is_finite(point.value)]
        return Manner(
            by_hour=self.by_hour and None not in hours and (len(hours) > 1 or len(points) < 2),
            log=self.log and all(value > 0 for value in values),
        )

    def at(self, point: Point) -> float:
        """How far to the right a point stands."""
        return point.hours if self.by_hour and point.hours is not None else float(point.run)


MARKS = {"keep": "●", "discard": "○", "crash": "×", "checks_failed": "!"}
OTHER, ABOVE, BELOW, SELECTED, NOISE = "?", "▲", "▼", "◆", "░"


def mark(kind: str) -> str:
    """The character of a kind of experiment."""
    return MARKS.get(kind, OTHER)


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

    def is_in(self, row: int, noise: Window) -> bool:
        """Whether a row, counted from the top, is in the noise."""
        return row < self.rows and noise.low <= self.top - row * self.step <= noise.high

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
    noise: Window | None = None,
    manner: Manner | None = None,
    only_better: bool = False,
) -> list[Spans]:
    """The plot as ``height`` lines of spans; empty where nothing can be drawn or there is no room.

    Kept runs stand on the line of the running best; a crash has no value and stands at the lower edge;
    a value outside the window stands at the edge that it is beyond, as an arrow. ``noise``: the values that
    chance alone may bring, shaded. ``only_better``: what was kept and is worse leaves the running best as it is.
    """
    manner = (manner or Manner()).possible(points)
    if width < MIN_WIDTH or height < MIN_HEIGHT or not points:
        return []
    if manner.log:
        points, noise = [replace(each, value=_log(each.value)) for each in points], _log_of(noise)
    points = sorted(_thinned(points, 2 * width, selected, lower_is_better), key=manner.at)
    shown = window(points, lower_is_better=lower_is_better)
    if shown is None:
        return []
    import plotext

    figure = plotext.figure
    plotext.terminal.limit(False, False)
    figure.clear()
    figure.theme("colorless")
    figure.canvas("default")
    figure.plot_size(width, height)
    figure.legend(False)
    figure.axes(False, side="upper", axis="x")
    figure.axes(False, side="right", axis="y")

    first, last = manner.at(points[0]), manner.at(points[-1])
    room = (last - first) / width if manner.by_hour else 0.5
    left, right = (
        (first - room, last + max(room, 2.5 * (last - first) / width)) if last > first else (first - 1, last + 1)
    )
    is_above = any(_is_finite(each.value) and (each.value or 0) > shown.high for each in points)
    is_below = any(not _is_finite(each.value) or (each.value or 0) < shown.low for each in points)
    axis = scale(shown, height - 2, below=is_below, above=is_above)
    steps = _best_line(_improving(points, lower_is_better) if only_better else points, right, shown, manner)
    for begin, end in pairwise(steps):
        _stroke(begin, end)
    _draw_marks(points, shown, axis, selected, manner)

    figure.ruler("x", "lower").lim(left, right)
    most = max(2, width // 12)
    ticks = _hour_ticks(first, last, most) if manner.by_hour else _whole_ticks(int(first), int(last), most)
    figure.ruler("x", "lower").ticks([place for place, _ in ticks], [label for _, label in ticks])
    figure.ruler("y", "left").lim(axis.bottom, axis.top)
    values = axis.ticks(2 if axis.rows < 16 else 3, through=steps[-1][1] if steps else shown.low)
    figure.ruler("y", "left").ticks(
        values, [f"{10**each:#.4g}".rjust(6) for each in values] if manner.log else _labels(values)
    )
    lines = _lines(figure.build().string(), height, corner="┐" if lower_is_better else "┘")
    if noise is not None:
        lines = [_shaded(line) if axis.is_in(row, noise) else line for row, line in enumerate(lines)]
    return lines


def legend(points: Sequence[Point], margin: float | None = None) -> Spans:
    """What the marks stand for, and how many there are of each; ``margin``: of the noise to both sides."""
    counts = Counter(_kind(point) for point in points)
    kept = f"baseline, {counts['keep'] - 1} kept" if counts["keep"] else "none kept"
    entries = [("keep", kept), ("discard", f"{counts['discard']} discarded")]
    words = {"crash": "crashed", "checks_failed": "failed checks", "other": "other"}
    entries += [(kind, f"{counts[kind]} {word}") for kind, word in words.items() if counts[kind]]
    shaded = ((Span(NOISE * 2 + " ", "band"), Span(f"noise ±{margin:.2g}", "muted")),) if margin else ()
    marked = ((Span(mark(kind) + " ", ROLES[kind][0]), Span(text, "muted")) for kind, text in entries)
    return tuple(
        span for at, entry in enumerate((*marked, *shaded)) for span in (Span("   " if at else "       "), *entry)
    )


def _kind(point: Point) -> str:
    return point.kind if point.kind in KINDS else "other"


def _draw_marks(points: Sequence[Point], shown: Window, axis: Scale, selected: int | None, manner: Manner) -> None:
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    chosen: tuple[float, float] | None = None
    for point in points:
        at, kind, glyph = _place(point, shown, axis)
        groups.setdefault((kind, glyph), []).append((manner.at(point), at))
        if point.run == selected:
            chosen = (manner.at(point), at)
    for wanted in KINDS:
        for (kind, glyph), places in groups.items():
            if kind == wanted:
                _mark(places, kind, glyph)
    if chosen is not None:
        _mark([chosen], "now", SELECTED)


def _place(point: Point, shown: Window, axis: Scale) -> tuple[float, str, str]:
    """How high a point stands, as what kind it is drawn, and its character."""
    kind = _kind(point)
    if not _is_finite(point.value):
        kind = kind if kind == "checks_failed" else "crash"
        return axis.bottom, kind, mark(kind)
    if shown.low <= point.value <= shown.high:
        return point.value, kind, mark(kind)
    at, arrow = (axis.top, ABOVE) if point.value > shown.high else (axis.bottom, BELOW)
    return (at, kind, mark(kind)) if kind == "checks_failed" else (at, "discard", arrow)


def _mark(places: Sequence[tuple[float, float]], kind: str, glyph: str) -> None:
    import plotext

    marker = plotext.marker(glyph, pixel=plotext.pixel(foreground=ROLES[kind][1]))
    plotext.figure.draw(plotext.figure.signal([x for x, _ in places], [y for _, y in places], marker=marker))


def _stroke(begin: tuple[float, float], end: tuple[float, float]) -> None:
    """A level or an upright piece of the running best."""
    import plotext

    upright = begin[0] == end[0]
    pixel = plotext.pixel(foreground=ROLES["best"][1])
    marker = plotext.line(int(upright), pixel=pixel)
    signal = plotext.figure.signal([begin[0], end[0]], [begin[1], end[1]], marker=marker)
    plotext.figure.draw(signal.lines(True))


def _improving(points: Sequence[Point], lower_is_better: bool) -> list[Point]:
    """The kept points that are better than all kept before them."""
    found: list[Point] = []
    sign, best = (1 if lower_is_better else -1), math.inf
    for point in points:
        if point.kind == "keep" and _is_finite(point.value) and sign * point.value < best:
            best = sign * point.value
            found.append(point)
    return found


def _best_line(points: Sequence[Point], right: float, shown: Window, manner: Manner) -> list[tuple[float, float]]:
    """The running best as a staircase, inside the window."""
    steps: list[tuple[float, float]] = []
    best: float | None = None
    for point in points:
        if point.kind != "keep" or point.value is None or not _is_finite(point.value):
            continue
        value = min(max(point.value, shown.low), shown.high)
        if best is not None:
            steps.append((manner.at(point), best))
        steps.append((manner.at(point), value))
        best = value
    if best is not None:
        steps.append((right, best))
    return steps


def _thinned(points: Sequence[Point], most: int, selected: int | None, lower_is_better: bool) -> list[Point]:
    """About ``most`` points: the last kept one and one of each other kind of each stretch, and the selected one."""
    if len(points) <= most:
        return list(points)
    per = math.ceil(len(points) / (most // 2))
    sign = 1 if lower_is_better else -1
    thinned: list[Point] = []
    for begin in range(0, len(points), per):
        stretch = points[begin : begin + per]
        rest = [each for each in stretch if each.kind not in ("keep", "checks_failed") and _is_finite(each.value)]
        kept = [each for each in stretch if each.kind == "keep" and _is_finite(each.value)]
        chosen = {id(each) for each in (*kept[-1:], *(each for each in stretch if each.run == selected))}
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


def _shaded(line: Spans) -> Spans:
    """A row of the plot with the cells that nothing stands in shaded."""
    shaded: list[Span] = []
    inside = False
    for text, role in line:
        frame = 0 if inside else 1 + max(text.find("┤"), text.find("│"))
        inside = inside or frame > 0
        if not inside or frame:
            shaded.append(Span(text[:frame] if inside else text, role))
        if inside:
            for piece in re.findall(r" +|[^ ]+", text[frame:]):
                shaded.append(Span(NOISE * len(piece), "band") if piece.isspace() else Span(piece, role))
    return tuple(shaded)


def _log(value: float | None) -> float | None:
    return math.log10(value) if _is_finite(value) and value > 0 else None


def _log_of(noise: Window | None) -> Window | None:
    if noise is None or noise.high <= 0:
        return None
    return Window(math.log10(noise.low) if noise.low > 0 else -math.inf, math.log10(noise.high))


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


def _hour_ticks(first: float, last: float, most: int) -> list[tuple[float, str]]:
    """Round times since the first experiment, as 0:30 or 12 h."""
    wanted = max((last - first) / most, 1 / 60)
    step = next((each / 60 for each in MINUTES if each / 60 >= wanted), None)
    step = step or MINUTES[-1] / 60 * math.ceil(wanted / (MINUTES[-1] / 60))
    begin = math.ceil(first / step - 1e-9)
    places = [at * step for at in range(begin, begin + most + 2) if at * step <= last + 1e-9] or [first]
    if step >= 1:
        return [(place, f"{place:.0f} h") for place in places]
    return [(place, f"{round(place * 60) // 60}:{round(place * 60) % 60:02d}") for place in places]


def _whole_ticks(first: int, last: int, most: int) -> list[tuple[float, str]]:
    """Run numbers at round distances, the first one included."""
    return [(float(tick), str(tick)) for tick in _whole_numbers(first, last, most)]


def _whole_numbers(first: int, last: int, most: int) -> list[int]:
    if last <= first:
        return [first]
    step = next(
        size * 10**power for power in range(12) for size in (1, 2, 5) if (last - first) / (size * 10**power) <= most
    )
    ticks = [tick for tick in range((first // step) * step, last + 1, step) if tick >= first]
    return ticks if first in ticks or (ticks and ticks[0] - first < step / 2) else [first, *ticks]


def _is_finite(value: float | None) -> TypeGuard[float]:
    return value is not None and abs(value) < LARGEST
