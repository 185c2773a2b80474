"""The progress chart that people post, as SVG: every experiment a dot, the best so far a line, what was kept by name.

The same shapes are drawn in a picture of its own and in the page, each with its own style sheet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from statistics import quantiles

from engine.harmless import clean
from engine.reporting import LARGEST, MADE_BY, Report, Run, figures
from engine.reporting.figures import MINUS, change, figure, percent
from engine.reporting.labels import Box, Label, place, width_of
from engine.words import counted

LONGEST_TITLE = 44
"""Characters of a session's name."""
RAIL = 16
"""Of the lower edge, where the runs without a metric stand."""
LABEL = 13
MANY = 400
"""From so many runs on the dots are smaller."""
FONTS = "Inter, system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
STYLE = f"""
svg {{ background: #ffffff; font-family: {FONTS}; }}
text {{ fill: #5b6472; font-size: 13px; }}
.title {{ fill: #14171c; font-size: 24px; font-weight: 600; }}
.subtitle {{ fill: #5b6472; font-size: 15px; }}
.grid {{ stroke: #e8ebef; stroke-width: 1; }}
.axis {{ stroke: #b9c0ca; stroke-width: 1; }}
.noise {{ fill: #2f9e62; fill-opacity: 0.10; }}
.best {{ fill: none; stroke: #2f9e62; stroke-width: 2.5; stroke-linejoin: round; }}
.kept {{ fill: #2f9e62; stroke: #ffffff; stroke-width: 1.5; }}
.discarded {{ fill: #8b95a5; fill-opacity: 0.55; }}
.failed {{ stroke: #d1453b; stroke-width: 1.8; stroke-linecap: round; fill: none; }}
.untrusted {{ fill: none; stroke: #d98a00; stroke-width: 1.8; }}
.other {{ fill: none; stroke: #8b95a5; stroke-width: 1.5; }}
.clipped {{ fill: #8b95a5; }}
.clipped.untrusted {{ fill: #d98a00; stroke: none; }}
.leader {{ stroke: #9fb8aa; stroke-width: 1; fill: none; }}
.label {{ fill: #1d5c3b; font-size: {LABEL}px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }}
.empty {{ font-size: 20px; }}
"""
KINDS = {
    "baseline": "kept",
    "kept": "kept",
    "discarded": "discarded",
    "crashed": "failed",
    "failed checks": "untrusted",
}


@dataclass(frozen=True)
class Size:
    """How large a chart is, in units of which 13 are the height of a letter, and how much it says."""

    width: int
    height: int
    left: int
    """The margins: the labels of the axes stand in them."""
    right: int
    top: int
    bottom: int
    ticks: tuple[int, int] = (10, 6)
    """About so many numbers along the axes."""
    most_labels: int = 24
    longest_label: int = 38
    """Characters."""
    stands_alone: bool = True
    """It has its legend and the metric's name within."""


PICTURE = Size(1200, 675, 84, 28, 104, 62)


def picture(report: Report) -> str:
    """The chart as an SVG file of its own."""
    width, height, left = PICTURE.width, PICTURE.height, PICTURE.left - 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"<!-- {MADE_BY} --><style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
        f'<text class="title" x="{left}" y="42">{_text(title(report))}</text>'
        f'<text class="subtitle" x="{left}" y="68">{_text(subtitle(report))}</text>'
        f"{shapes(report, PICTURE)}</svg>\n"
    )


def title(report: Report) -> str:
    """Counts, as people post them."""
    kept, tried = counted(len(report.kept), "kept improvement"), counted(report.tried, "experiment")
    return f"{_shortened(clean(report.title), LONGEST_TITLE) or 'autoresearch'}: {tried}, {kept}"


def subtitle(report: Report) -> str:
    name = clean(report.config.metric_name)
    if report.baseline is None or report.best is None:
        return f"no run has given a {name} yet"
    if report.gain is None:
        return f"{name} {figure(report.baseline.value)}{figures.unit(report)}: nothing has beaten the baseline yet"
    by = f"{change(report.gain)}, {percent(report)}" if percent(report) else change(report.gain)
    claim = f", {report.total.standing}" if report.total else ""
    return f"{name} {figure(report.baseline.value)} → {figure(report.best.value)}{figures.unit(report)} ({by}{claim})"


def _text(said: str) -> str:
    return escape(said)


@dataclass(frozen=True)
class _Frame:
    """Which value and which run stand where."""

    low: float
    """The value at the lower edge; with a metric that is to grow, too."""
    high: float
    first: float
    last: float
    size: Size

    @property
    def left(self) -> int:
        return self.size.left

    @property
    def right(self) -> int:
        return self.size.width - self.size.right

    @property
    def top(self) -> int:
        return self.size.top

    @property
    def bottom(self) -> int:
        return self.size.height - self.size.bottom

    def x(self, place: float) -> float:
        return self.left + (place - self.first) / (self.last - self.first) * (self.right - self.left)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - RAIL - share * (self.bottom - RAIL - self.top)

    def is_above(self, value: float) -> bool:
        return value > self.high

    def is_below(self, value: float) -> bool:
        return value < self.low


def shapes(report: Report, size: Size) -> str:
    """All but the headings; every run's mark says its place in the report (data-i)."""
    frame = _frame(report, size)
    if frame is None:
        said = "no run has given a metric yet" if report.runs else "no experiment has been recorded yet"
        return f'<text class="empty" x="{size.width / 2}" y="{size.height / 2}" text-anchor="middle">{said}</text>'
    leaders, labels = _labels(report, frame)
    below, above = [*_axes(report, frame), *_noise(report, frame), *leaders], labels
    return "".join([*below, *_dots(report, frame), *above, *(_legend(report, size) if size.stands_alone else [])])


def _frame(report: Report, size: Size) -> _Frame | None:
    values = [each.value for each in report.runs if each.is_trusted and each.value is not None]
    values = values or [each.value for each in report.runs if each.value is not None]
    if not values:
        return None
    values = [each for each in values if abs(each) < LARGEST] or values
    known = {*values}
    kept = [each.value for each in report.runs if each.experiment.kept and each.value is not None]
    kept = [each for each in kept if each in known]
    low, high = _range(values, kept, lower_is_better=report.lower_is_better)
    steps = _nice(low, high, size.ticks[1])
    step = steps[1] - steps[0] if len(steps) > 1 else 0.0
    below, above = (0.12, 0.05) if report.lower_is_better else (0.05, 0.12)
    room = max(high - low, step * 0.5)
    first, last = report.runs[0].number, report.runs[-1].number
    margin = max(0.6, 0.012 * (last - first))
    return _Frame(low - below * room, high + above * room, first - margin, last + margin, size)


def _range(values: Sequence[float], kept: Sequence[float], *, lower_is_better: bool) -> tuple[float, float]:
    """The values that matter: from the best to what lies somewhat beyond the worst that was kept.

    A run that exploded, or most of them where most are bad, would press all that is interesting into a line.
    """
    sign = 1.0 if lower_is_better else -1.0
    badness = sorted(sign * value for value in values)
    quarter, _, three = quantiles(badness, n=4) if len(badness) > 3 else (badness[0], 0.0, badness[-1])
    best, worst = badness[0], min(badness[-1], three + 3 * (three - quarter))
    if kept:
        first, last = min(sign * value for value in kept), max(sign * value for value in kept)
        spread = last - first or three - quarter
        best = max(best, first - 0.5 * spread)
        worst = max(last, min(badness[-1], last + max(0.6 * spread, 1.5 * (three - quarter))))
    if worst - best < max(abs(worst) * 1e-6, 1e-9):  # one value: give it something to stand in the middle of
        room = max(abs(worst) * 1e-3, 1e-6)
        best, worst = best - room, worst + room
    ends = sorted((sign * best, sign * worst))
    return ends[0], ends[1]


def _nice(low: float, high: float, about: int, steps: Sequence[float] = (1, 2, 2.5, 5, 10)) -> list[float]:
    """Round numbers between two, about so many."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in steps if factor * power >= rough * 0.999)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _axes(report: Report, frame: _Frame) -> list[str]:
    left, right, bottom = frame.left, frame.right, frame.bottom
    across, up = frame.size.ticks
    ticks = _nice(frame.low, frame.high, up)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if f"{step:e}".startswith("2.5") else 0))
    parts = []
    for tick in ticks:
        y = frame.y(tick)
        words = f"{tick:,.{decimals}f}" if decimals <= 9 and abs(tick) < 1e12 else f"{tick:.4g}"
        words = words.replace("-", MINUS, 1) if tick < 0 else words
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 10}" y="{y + 4.5:.1f}" text-anchor="end">{words}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    numbers = _nice(frame.first, frame.last, across, steps=(1, 2, 5, 10))
    for number in (round(each) for each in numbers if each >= report.runs[0].number and float(each).is_integer()):
        x = frame.x(number)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{number}</text>')
    middle = (left + right) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 46}" text-anchor="middle">experiment</text>')
    if frame.size.stands_alone:
        x, y = left - 62, (frame.top + bottom) / 2
        said, turned = _text(measure(report)), f"rotate(-90 {x} {y})"
        parts.append(f'<text x="{x}" y="{y}" text-anchor="middle" transform="{turned}">{said}</text>')
    return parts


def measure(report: Report) -> str:
    """What the chart shows: the metric, its unit, and which way is better."""
    unit = f" ({said.strip()})" if (said := figures.unit(report)) else ""
    way = "lower" if report.lower_is_better else "higher"
    return f"{clean(report.config.metric_name)[:40]}{unit}, {way} is better"


def _noise(report: Report, frame: _Frame) -> list[str]:
    """What chance alone may bring, around the incumbent."""
    if report.floor is None or not report.floor.is_noise or report.best is None or report.best.value is None:
        return []
    margin = report.floor.margin()
    top = max(frame.y(report.best.value + margin), frame.top)
    bottom = min(frame.y(report.best.value - margin), frame.bottom)
    left, width, height = frame.left, frame.right - frame.left, bottom - top
    return (
        [f'<rect class="noise" x="{left}" y="{top:.1f}" width="{width}" height="{height:.1f}"/>'] if height > 0 else []
    )


def _best_line(report: Report, frame: _Frame) -> list[tuple[float, float]]:
    """The corners of the running best."""
    corners: list[tuple[float, float]] = []
    for run in report.runs:
        if not run.experiment.kept or run.value is None:
            continue
        x, y = frame.x(run.number), _kept_y(run, frame)
        corners += [(x, corners[-1][1])] if corners else []
        corners.append((x, y))
    return [*corners, (frame.right, corners[-1][1])] if corners else []


def _kept_y(run: Run, frame: _Frame) -> float:
    return min(max(frame.y(run.value or 0.0), frame.top), frame.bottom)


def _dots(report: Report, frame: _Frame) -> list[str]:
    """The marks, those that matter most on top, and the line of the best between them."""
    size = 2.4 if len(report.runs) > MANY else 3.6
    marks = [(KINDS.get(each.word, "other"), _mark(each, at, frame, size)) for at, each in enumerate(report.runs)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in _best_line(report, frame))
    below = [mark for kind, mark in marks if kind != "kept"]
    above = [mark for kind, mark in marks if kind == "kept"]
    return [*below, *([f'<polyline class="best" points="{line}"/>'] if line else []), *above]


def _mark(run: Run, at: int, frame: _Frame, size: float) -> str:
    kind = KINDS.get(run.word, "other")
    x, value = frame.x(run.number), run.value
    if value is None:
        y = frame.bottom - RAIL / 2
        if kind == "untrusted":
            return _diamond(x, y, size, at)
        if kind != "failed":
            return f'<circle class="other" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" data-i="{at}"/>'
        r = size * 0.9
        return (
            f'<path class="failed" d="M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}'
            f'M{x - r:.1f} {y + r:.1f}L{x + r:.1f} {y - r:.1f}" data-i="{at}"/>'
        )
    if kind != "kept" and (frame.is_above(value) or frame.is_below(value)):
        tip, base = (frame.top + 1, frame.top + 9) if frame.is_above(value) else (frame.bottom - 1, frame.bottom - 9)
        arrow = f"M{x:.1f} {tip}L{x - 4.5:.1f} {base}L{x + 4.5:.1f} {base}Z"
        return f'<path class="clipped {kind}" d="{arrow}" data-i="{at}"/>'
    y = _kept_y(run, frame)
    if kind == "untrusted":
        return _diamond(x, y, size, at)
    r = size * 1.6 if kind == "kept" else size
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" data-i="{at}"/>'


def _diamond(x: float, y: float, size: float, at: int) -> str:
    r = size * 1.3
    return (
        f'<path class="untrusted" d="M{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}'
        f'L{x - r:.1f} {y:.1f}Z" data-i="{at}"/>'
    )


def _labels(report: Report, frame: _Frame) -> tuple[list[str], list[str]]:
    """What was kept, by name: what gained most first, as far as there is room. Lines to the names, and the names."""
    corners = _best_line(report, frame)
    segments = [
        Box(min(x, to_x) - 2, min(y, to_y) - 2, max(x, to_x) + 2, max(y, to_y) + 2)
        for (x, y), (to_x, to_y) in pairwise(corners)
    ]
    kept = [
        Box(frame.x(each.run.number) - 6, _kept_y(each.run, frame) - 6, frame.x(each.run.number) + 6, 0)
        for each in report.kept
    ]
    kept = [Box(each.left, each.top, each.right, each.top + 12) for each in kept]
    dots = [
        (frame.x(each.number), frame.y(each.value))
        for each in report.runs
        if each.value is not None and not each.experiment.kept
    ]
    wanted = [
        Label(
            _shortened(clean(each.run.experiment.description), frame.size.longest_label),
            frame.x(each.run.number),
            _kept_y(each.run, frame),
        )
        for each in sorted(report.kept, key=lambda each: -each.gain)[: frame.size.most_labels]
    ]
    room = Box(frame.left + 4, frame.top, frame.right - 2, frame.bottom - RAIL)
    leaders, names = [], []
    for each in place([label for label in wanted if label.text], LABEL, room, [*segments, *kept], dots):
        near = each.box.left - 3 if each.is_right else each.box.right + 3
        middle = (each.box.top + each.box.bottom) / 2
        anchor, edge = ("start", each.box.left) if each.is_right else ("end", each.box.right)
        leaders.append(f'<path class="leader" d="M{each.label.x:.1f} {each.label.y:.1f}V{middle:.1f}H{near:.1f}"/>')
        names.append(
            f'<text class="label" x="{edge:.1f}" y="{middle + 4.5:.1f}" text-anchor="{anchor}">'
            f"{_text(each.label.text)}</text>"
        )
    return leaders, names


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def legend(report: Report) -> list[tuple[str, str]]:
    """What the marks stand for, and how many there are of each: (the mark's class, words)."""
    kinds = [KINDS.get(each.word, "other") for each in report.runs]
    words = {
        "kept": "kept",
        "discarded": "discarded",
        "failed": "crashed",
        "untrusted": "failed checks",
        "other": "other",
    }
    entries = [(kind, f"{kinds.count(kind)} {word}") for kind, word in words.items() if kind in kinds]
    if report.baseline is not None:
        count = len(report.kept)
        entries[0] = ("kept", f"baseline, {count} kept" if count else "baseline")
    if report.floor is not None and report.floor.is_noise and report.best is not None:
        entries.append(("noise", f"noise ±{report.floor.margin():.2g}"))
    return entries


def _legend(report: Report, size: Size) -> list[str]:
    parts, x, y = [], float(size.width - size.right), size.top - 14
    for kind, said in reversed(legend(report)):
        x -= width_of(said, LABEL)
        parts.append(f'<text x="{x:.1f}" y="{y + 4.5}">{said}</text>')
        x -= 12
        parts.append(sample(kind, x, y))
        x -= 20
    return parts


def sample(kind: str, x: float, y: float) -> str:
    """A mark for a legend, around a point."""
    match kind:
        case "noise":
            return f'<rect class="noise" x="{x - 9:.1f}" y="{y - 6}" width="16" height="12"/>'
        case "failed":
            return f'<path class="failed" d="M{x - 3:.1f} {y - 3}l6 6m-6 0l6 -6"/>'
        case "untrusted":
            return f'<path class="untrusted" d="M{x:.1f} {y - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5Z"/>'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="{5 if kind == "kept" else 4}"/>'
