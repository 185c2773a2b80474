"""The metric of every experiment as a plot of characters: one pure function around plotext.

plotext keeps one global figure in a C library that aborts the process on a NaN in a connected line
and when two threads use it: so only finite numbers go in, and only the screen's thread may call this.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import plotext

from tui.spans import Span, Spans

MIN_WIDTH, MIN_HEIGHT = 24, 4
CLIP_AT = 6.0
"""Values further from the median than this many times the middle half's width are drawn at the edge."""


@dataclass(frozen=True)
class Point:
    """One experiment. ``value`` is None for a run without a metric; ``kind``: keep, discard, crash, live."""

    run: int
    value: float | None
    kind: str


@dataclass(frozen=True)
class Look:
    """The characters that a plot is made of; a second set of them makes it ASCII."""

    keep: str = "●"
    discard: str = "○"
    crash: str = "×"
    above: str = "▲"
    below: str = "▼"
    selected: str = "◆"
    best: str = "braille"
    """plotext's marker for the line of the running best."""


ROLES = {
    "keep": ("good", 2),
    "discard": ("muted", 8),
    "crash": ("bad", 1),
    "best": ("accent", 6),
    "now": ("strong", 15),
}
"""A mark's role, and the colour by which plotext's output says it."""
_role_of = {str(code): role for role, code in ROLES.values()}
_colour = re.compile(r"\x1b\[([\d;]*)m")


@dataclass(frozen=True)
class Window:
    """The values that the vertical axis shows."""

    low: float
    high: float


def window(points: Sequence[Point], *, lower_is_better: bool = True) -> Window | None:
    """The range that matters: all of it, less what an exploded run would stretch it to."""
    values = sorted(point.value for point in points if _is_finite(point.value) and point.value is not None)
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
    room = max((high - low) * 0.08, abs(high) * 5e-4, 1e-6)
    return Window(low - room, high + room)


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
    left, right = (first - 0.5, last + 0.5) if last > first else (first - 1, last + 1)
    steps = _best_line(points, right, shown, lower_is_better)
    if len(steps) > 1:
        _mark(steps, "best", look.best, lines=True)
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    chosen: tuple[float, float, str] | None = None
    edge = (shown.high - shown.low) / (2 * height)
    for point in points:
        if point.value is None or not math.isfinite(point.value):
            at, glyph, kind = shown.low + edge, look.crash, "crash"
        elif point.value > shown.high:
            at, glyph, kind = shown.high - edge, look.above, "crash" if point.kind == "crash" else "discard"
        elif point.value < shown.low:
            at, glyph, kind = shown.low + edge, look.below, "discard"
        else:
            kind = point.kind if point.kind in ("keep", "crash") else "discard"
            at, glyph = point.value, {"keep": look.keep, "crash": look.crash}.get(kind, look.discard)
        groups.setdefault((kind, glyph), []).append((float(point.run), at))
        if point.run == selected:
            chosen = (float(point.run), at, look.selected)
    for kind in ("discard", "crash", "keep"):
        for (of, glyph), places in groups.items():
            if of == kind:
                _mark(places, kind, glyph)
    if chosen is not None:
        _mark([chosen[:2]], "now", chosen[2])

    figure.ruler("x", "lower").lim(left, right)
    ticks = _whole_ticks(first, last, max(2, width // 12))
    figure.ruler("x", "lower").ticks([float(tick) for tick in ticks], [str(tick) for tick in ticks])
    figure.ruler("y", "left").lim(shown.low, shown.high)
    values = _ticks(shown.low, shown.high, max(3, min(8, height // 3)))
    figure.ruler("y", "left").ticks(values, _labels(values))
    return _lines(figure.build().string(), height)


def _mark(places: Sequence[tuple[float, float]], kind: str, glyph: str, *, lines: bool = False) -> None:
    marker = plotext.marker(glyph, pixel=plotext.pixel(foreground=ROLES[kind][1]))
    signal = plotext.figure.signal([x for x, _ in places], [y for _, y in places], marker=marker)
    plotext.figure.draw(signal.lines(True) if lines else signal)


def _best_line(
    points: Sequence[Point], right: float, shown: Window, lower_is_better: bool
) -> list[tuple[float, float]]:
    """The running best as a staircase, inside the window."""
    steps: list[tuple[float, float]] = []
    best: float | None = None
    for point in points:
        if point.kind != "keep" or point.value is None or not math.isfinite(point.value):
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
    """At most about ``most`` points: every kept one, the selected one, and of the rest the best of each stretch."""
    if len(points) <= most:
        return list(points)
    per = math.ceil(len(points) / (most // 2))
    sign = 1 if lower_is_better else -1
    thinned: list[Point] = []
    for begin in range(0, len(points), per):
        stretch = points[begin : begin + per]
        rest = [each for each in stretch if each.kind != "keep" and _is_finite(each.value)]
        chosen = {id(each) for each in stretch if each.kind == "keep" or each.run == selected}
        if rest:
            chosen.add(id(min(rest, key=lambda each: sign * (each.value or 0.0))))
        crashes = [each for each in stretch if not _is_finite(each.value)]
        chosen.update(id(each) for each in crashes[:1])
        thinned += [each for each in stretch if id(each) in chosen]
    ends = [each for each in (points[0], points[-1]) if each not in thinned]
    return sorted([*thinned, *ends], key=lambda each: each.run)


def _lines(text: str, height: int) -> list[Spans]:
    """plotext's output as spans: a colour that stands for a role becomes that role, the frame is muted."""
    lines: list[Spans] = []
    for row in text.split("\n")[:height]:
        spans: list[Span] = []
        role = "muted"
        at = 0
        for code in _colour.finditer(row):
            if code.start() > at:
                spans.append(Span(row[at : code.start()], role))
            role = _role_of.get(code.group(1).rpartition(";")[2], "muted")
            at = code.end()
        if at < len(row):
            spans.append(Span(row[at:], role))
        lines.append(tuple(spans))
    return lines


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within the range: about ``most`` of them, at least two."""
    for wanted in range(most, 4 * most):
        raw = (high - low) / wanted
        power = 10 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
        begin = math.ceil(low / step)
        ticks = [(begin + index) * step for index in range(math.floor(high / step) - begin + 1)]
        if len(ticks) >= 2:
            return ticks
    return [low, high]


def _labels(values: Sequence[float]) -> list[str]:
    step = abs(values[1] - values[0]) if len(values) > 1 else abs(values[0]) or 1.0
    decimals = max(0, min(6, math.ceil(-math.log10(step) - 1e-9) + (0 if _is_round(step) else 1)))
    labels = [f"{value:.{decimals}f}" if abs(value) < 1e5 else f"{value:.2g}" for value in values]
    longest = max(len(label) for label in labels)
    return [label.rjust(max(longest, 6)) for label in labels]


def _is_round(step: float) -> bool:
    power = 10 ** math.floor(math.log10(step) + 1e-9)
    return bool(abs(step / power - round(step / power)) < 1e-6)


def _whole_ticks(first: int, last: int, most: int) -> list[int]:
    """Run numbers at round distances, the first one included."""
    if last <= first:
        return [first]
    step = next(
        size * 10**power for power in range(12) for size in (1, 2, 5) if (last - first) / (size * 10**power) <= most
    )
    ticks = [tick for tick in range((first // step) * step, last + 1, step) if tick >= first]
    return ticks if first in ticks or (ticks and ticks[0] - first < step / 2) else [first, *ticks]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
