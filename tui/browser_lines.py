"""What the browser of past sessions says of each: one line in a table, and a title over its plot."""

import math
import time
from collections.abc import Sequence

from engine import ledger
from engine.past import PastSession
from tui.history_plot import MIN_HEIGHT, MIN_WIDTH, Point, draw, legend
from tui.spans import Span, Spans, column, fit, width
from tui.text import bpb, change, clean, count, place

WIDE = 110
"""Cells from which on there is room for the time of day, and for where the session is."""
NAME = 40
"""The most cells for a session's name."""
NO_RUN = "no run of it is over yet."
DAY, DAY_AND_TIME = 10, 16
VALUES, GAIN, RUNS, KEPT, HOURS = 17, 9, 6, 6, 7
"""The widths of the columns on the right, of which two cells or more are blank; wider is what does not fit."""
APART = 2


def header_spans(cells: int) -> Spans:
    """The names of the columns."""
    when, name = _widths(cells)
    right = (("baseline → best", VALUES), ("gain", GAIN), ("runs", RUNS), ("kept", KEPT), ("hours", HOURS))
    names = "".join(_right(each, width) for each, width in right)
    where = "  where" if cells >= WIDE else ""
    return (Span(f" {column('when', when)} {column('session', name)}{names}{where}", "muted"),)


def session_spans(session: PastSession, cells: int) -> Spans:
    """One session's line; the columns are those of header_spans."""
    when, name = _widths(cells)
    began = Span(f" {column(moment(session.last, has_time=when > DAY), when)} ", "muted")
    if session.trouble or not session.runs:
        words = Span(
            f"  {clean(session.trouble) or 'no run of it is over yet.'}", "warn" if session.trouble else "muted"
        )
        named = Span(column(title(session), name), "muted" if session.trouble else "")
        return fit((began, named, words), cells)
    figures = (
        Span(_right(_values(session), VALUES)),
        Span(_right(change(session.gain), GAIN), "good" if session.is_better else "warn"),
        Span(_right(f"{session.runs:,}", RUNS)),
        Span(_right(f"{session.kept:,}", KEPT)),
        Span(_right(hours(session.seconds), HOURS), "muted"),
    )
    wider = width(figures) - sum((VALUES, GAIN, RUNS, KEPT, HOURS))
    named = Span(column(title(session), max(8, name - wider)))
    where = (Span(f"  {place(session.path.parent)}", "muted"),) if cells >= WIDE else ()
    return fit((began, named, *figures, *where), cells)


def _right(text: str, cells: int) -> str:
    """A figure at the right of its column, apart from the one before even where that takes more room."""
    return " " * APART + column(text, max(cells - APART, len(text)), right=True)


def text_line(session: PastSession) -> str:
    """A session for standard output: when, name, figures, place; or what is wrong with it."""
    head = f"{moment(session.last, has_time=True) or '-':{DAY_AND_TIME}}  {title(session)}"
    where = f"{clean(session.path)}{unreadable(session)}"
    if session.trouble:
        return f"{head}: {clean(session.trouble)}  {where}"
    if not session.runs:
        return f"{head}: {NO_RUN}  {where}"
    gain = change(session.gain)
    figures = f"{_values(session)}{f' ({gain})' if gain else ''}"
    runs = f"{count(session.runs, 'run')}, {session.kept} kept, {hours(session.seconds) or '0.0'} h"
    return f"{head}: {clean(session.metric_name)} {figures}, {runs}  {where}"


def title(session: PastSession) -> str:
    """night · nov23-2026-11-23; of a ledger with several segments also which one, before the branch."""
    which = f"segment {session.segment + 1}" if session.segments > 1 else ""
    parts = [clean(session.name), which, clean(session.branch)]
    return " · ".join(part for part in parts if part)


def unreadable(session: PastSession) -> str:
    """What its ledger has that cannot be read, to be put behind where it is."""
    return f" · {ledger.unreadable(session.bad_lines, 'it')}" if session.bad_lines else ""


def preview_lines(session: PastSession | None, width: int, height: int) -> list[Spans]:
    """The plot of a session, or why there is none."""
    if session is None:
        return []
    if session.trouble or not session.results:
        words = clean(session.trouble) if session.trouble else NO_RUN
        return [fit((Span(words, "muted"),), width)]
    if width < MIN_WIDTH or height < MIN_HEIGHT + 1:
        return [(Span("No room for the plot.", "muted"),)]
    points = [Point(each.run, each.value, each.status) for each in session.results]
    plot = draw(points, width, height - 1, lower_is_better=session.lower_is_better, only_better=session.is_outside)
    if not plot:
        return [(Span("None of its runs has produced a value.", "muted"),)]
    return [*plot, fit(legend(points), width)]


def moment(timestamp: float, *, has_time: bool) -> str:
    """2026-11-23 21:04; nothing where a file's figure is no time."""
    if timestamp <= 0:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M" if has_time else "%Y-%m-%d", time.localtime(timestamp))
    except (OverflowError, ValueError, OSError):
        return ""


def hours(seconds: float) -> str:
    """8.4; of minutes two decimals."""
    if not math.isfinite(seconds) or seconds <= 0:
        return ""
    amount = seconds / 3600
    if amount >= 1e9:
        return f"{amount:.0e}"
    return f"{amount:.2f}" if amount < 1 else f"{amount:,.1f}" if amount < 10_000 else f"{amount:,.0f}"


def sorted_in(sessions: Sequence[PastSession], more: Sequence[PastSession]) -> list[PastSession]:
    """All of them: first those that were asked for; the latest first, those without a time last."""
    return sorted([*sessions, *more], key=lambda each: (not each.is_asked_for, -each.last))


def _values(session: PastSession) -> str:
    if session.baseline is None:
        return "no baseline"
    best = bpb(session.best) if session.kept else "–"
    return f"{bpb(session.baseline)} → {best}"


def _widths(cells: int) -> tuple[int, int]:
    """Of the columns for the time and the name."""
    when = DAY_AND_TIME if cells >= WIDE else DAY
    return when, max(8, min(NAME, cells - 2 - when - VALUES - GAIN - RUNS - KEPT - HOURS))
