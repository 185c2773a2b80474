"""Two runs beside each other: their figures, losses and notes, and the difference between their train.py, as lines."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from engine.ledger import Experiment
from tui.diff import knob_line, partners, styled
from tui.loss_curve import NUMBERS, Curve, draw, standing_words
from tui.panes.notes import STATUS_ROLES, figure_words, notes_of
from tui.spans import Span, Spans, column, fit, width, wrap
from tui.text import bpb, change, clean, duration, memory
from tui.view_state import Subject, ViewState, outcome, row_of, subject

BESIDE = 84
"""Cells from which on two notes stand beside each other."""
GAP = " │ "
NAMES, FIGURES = 18, 13
"""The widths of the table's columns."""


def pair(state: ViewState, selected: int | None, marked: Sequence[int]) -> tuple[Subject, Subject] | str:
    """What is compared with what: the earlier mark with the later one, or a single mark with the run that is shown, or
    the incumbent with it; where there are no two, why."""
    if len(marked) == 2:
        before, after = (_recorded(state, run) for run in sorted(marked))
        if before is not None and after is not None:
            return before, after
    shown = subject(state, selected)
    if shown is None:
        return "There is no run to compare yet."
    if len(marked) == 1 and marked[0] != shown.run and (before := _recorded(state, marked[0])) is not None:
        return before, shown
    segment = state.ledger.segments[shown.experiment.segment] if shown.experiment else state.segment
    best = segment.incumbent if segment else None
    if best is None:
        return "There is no incumbent to compare with yet."
    if best.run == shown.run and not shown.repeat:
        return f"Run {best.run} is the incumbent: select another run, or mark two with space in the runs."
    before = _recorded(state, best.run)
    return (before, shown) if before is not None else "There is no incumbent to compare with yet."


def _recorded(state: ViewState, run: int) -> Subject | None:
    return subject(state, run) if row_of(state, run) is not None else None


class Figure(NamedTuple):
    """A line of the table of figures."""

    name: str
    before: str
    after: str
    difference: str = ""
    role: str = "muted"


def figures(before: Subject, after: Subject, metric: str, *, lower_is_better: bool) -> list[Figure]:
    """What was measured of both runs, and the difference where that makes sense."""
    one, other = before.experiment, after.experiment

    def both(words: Callable[[Experiment], str], live: str = "") -> tuple[str, str]:
        return (words(one) if one else live), (words(other) if other else live)

    def measured(name: str, of: Callable[[Experiment], float | None], words: Callable[[float], str]) -> Figure:
        values = of(one) if one else None, of(other) if other else None
        said = ["" if value is None else words(value) for value in values]
        return Figure(name, said[0], said[1], _signed(_minus(*values), words))

    difference = change(_minus(one.metric if one else None, other.metric if other else None))
    is_better = difference.startswith("−") == lower_is_better
    if one and other and one.segment != other.segment:
        difference, is_better = difference and "incomparable", False
    lines = [
        Figure("", before.short_name, after.short_name, "difference"),
        Figure("status", *both(outcome, "live")),
        Figure(metric, *both(lambda each: bpb(each.metric)), difference, "good" if is_better else "warn"),
        Figure("Δ in its time", _delta(before), _delta(after)),
        measured("time", lambda each: each.seconds, duration),
        measured("memory", lambda each: each.metrics.get("peak_memory_mb"), memory),
    ]
    names = dict.fromkeys(name for each in (one, other) if each for name in each.metrics)
    for name in names:
        if name not in ("val_bpb", "peak_memory_mb"):
            lines.append(measured(clean(name), partial(_metric, name), partial(figure_words, "")))
    lines.append(Figure("proposed by", *both(lambda each: clean(each.source))))
    lines.append(Figure("commit", *both(lambda each: clean(each.commit)[:9])))
    return [line for line in lines if line.before or line.after]


def _metric(name: str, experiment: Experiment) -> float | None:
    return experiment.metrics.get(name)


def _delta(about: Subject) -> str:
    return change(about.row.delta) if about.row else ""


def _minus(before: float | None, after: float | None) -> float | None:
    difference = None if before is None or after is None else after - before
    return difference if difference is not None and math.isfinite(difference) else None


def _signed(difference: float | None, words: Callable[[float], str]) -> str:
    """A difference with its sign; nothing where it is written as none."""
    said = words(abs(difference)) if difference else ""
    sign = "+" if (difference or 0) > 0 else "−"
    return sign + said if set(said) & set("123456789") else ""


def figure_lines(table: Iterable[Figure], cells: int) -> list[Spans]:
    """The table of figures."""
    wide = max(1, min(FIGURES, (cells - min(NAMES, cells // 4)) // 3))
    names = min(NAMES + 6, cells - 3 * wide)
    lines: list[Spans] = []
    for at, line in enumerate(table):
        roles = ("muted", "title", "title", "muted") if at == 0 else ("muted", "", "", line.role)
        if line.name == "status":
            roles = ("muted", _status_role(line.before), _status_role(line.after), "")
        texts = [column(line.name, names)]
        texts += [column(" " + each, wide, right=True) for each in (line.before, line.after, line.difference)]
        lines.append(tuple(Span(text, role) for text, role in zip(texts, roles, strict=True)))
    return lines


def _status_role(status: str) -> str:
    return STATUS_ROLES.get(status.replace(" ", "_"), "")


def curve_lines(before: Curve, after: Curve, names: tuple[str, str], cells: int, rows: int) -> list[Spans]:
    """Both losses over equal progress, the first one in grey, under what can be said of them."""
    if before.last is None and after.last is None:
        return wrap((Span("Neither run has printed its loss.", "muted"),), cells)
    mine, rival = (after, before) if after.last is not None else (before, None)
    words = standing_words(after, before, names[0]) if after.last is not None and before.last is not None else ()
    if not words:
        silent = [name for name, curve in zip(names, (before, after), strict=True) if curve.last is None]
        words = (Span(f"{silent[0]} has printed no loss", "muted"),) if silent else ()
    key = (Span("• ", "muted"), Span(f"{names[0]}   ", "muted"), Span("• ", "accent"), Span(names[1]))
    drawn = draw(mine, rival if rival and rival.last is not None else None, cells, max(2, rows - 2))
    spare = cells - width(key) - width(words)
    head = (*key, Span(" " * spare), *words) if spare > 1 else key
    return [fit(head, cells), *drawn, _progress_axis(cells)]


def _progress_axis(cells: int) -> Spans:
    """The lower edge of the losses."""
    begin = NUMBERS if cells > 4 * NUMBERS else 0
    room = cells - begin
    left = "0%".ljust(room // 2 - 1) + "50%"
    return (Span(" " * begin + left + "100%".rjust(room - len(left)), "muted"),)


def note_lines(before: Subject, after: Subject, cells: int) -> list[Spans]:
    """The notes on both, beside each other where there is room, else one below the other."""
    if cells < BESIDE:
        return [*_notes(before, cells), (), *_notes(after, cells)]
    half = (cells - len(GAP)) // 2
    lines = []
    for left, right in zip_longest(_notes(before, half), _notes(after, half), fillvalue=()):
        filled = (*left, Span(" " * max(0, half - width(left))))
        lines.append((*filled, Span(GAP, "muted"), *right))
    return lines


def _notes(about: Subject, cells: int) -> list[Spans]:
    """A run's notes under its name, less the figures: those are in their own table."""
    title = wrap((Span(about.name, "title"),), cells)
    if about.row is not None:
        bare = msgspec.structs.replace(about.row.experiment, metrics={}, seconds=None, commit="", source="", cost={})
        about = replace(about, row=replace(about.row, experiment=bare), session=None)
    notes = notes_of(about, cells)
    return [*title, *(notes or [(Span("No notes.", "muted"),)])]


def diff_lines(patch: Sequence[str] | None, names: tuple[str, str], cells: int) -> list[Spans]:
    """The difference between the two train.py, under the knobs that it changes."""
    if not patch:
        lack = "is not there" if patch is None else "is the same"
        words = f"train.py of {names[0]} or of {names[1]} {lack}." if patch is None else "Both ran the same train.py."
        return wrap((Span(words, "muted"),), cells)
    knobs = knob_line(list(patch))
    top = [*wrap(knobs, max(16, cells)), ()] if knobs else []
    others = partners(patch)
    return [*top, *(styled(line, patch[others[at]] if at in others else "") for at, line in enumerate(patch))]
