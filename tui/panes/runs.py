"""Pane 5: every experiment in a table, the newest on top."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.events import IdeaQueued
from tui.painter import Lines, LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, column, fit
from tui.text import bpb, change, clean, count, duration, memory
from tui.view_state import Row, ViewState, outcome

MARKS = {"keep": ("●", "good"), "discard": ("○", "muted"), "crash": ("×", "bad"), "checks_failed": ("!", "warn")}
NO_VERDICT = "–"
WORDS = {"checks_failed": "checks"}
"""A status as it is said where there is little room."""
STATUS, METRIC, DELTA, MEMORY, TIME = 9, 8, 9, 9, 9
"""The widths of the columns between the run's number and its description."""
WIDE = 96
"""Cells from which on there is a column for the memory."""


def header_spans(metric: str, *, wide: bool = True) -> Spans:
    """The names of the columns."""
    columns = ((metric, METRIC), ("Δ", DELTA), ("memory", MEMORY if wide else 0), ("time", TIME))
    names = "".join(column(name, cells, right=True) for name, cells in columns)
    return (Span(f" run    {column('status', STATUS)}{names}  description", "muted"),)


def row_spans(row: Row, *, is_best: bool, wide: bool = True, is_again: bool = False) -> Spans:
    """One experiment's line; the columns are those of header_spans. ``is_again``: it is being run once more."""
    experiment = row.experiment
    mark, role = MARKS.get(experiment.status, ("?", "warn"))
    word = WORDS.get(experiment.status, outcome(experiment))
    if experiment.inconclusive:
        mark, role = NO_VERDICT, "muted"
    elif row.is_baseline:
        word = "baseline"
    elif is_best:
        word = "best"
    kept = experiment.kept
    delta = change(row.delta)
    return (
        Span(f"{experiment.run:4d}  "),
        Span(mark + " ", role),
        Span(column(word, STATUS), role if kept or role in ("bad", "warn") else "muted"),
        Span(
            column(bpb(experiment.metric), METRIC, right=True), "strong" if kept else "muted" if role == "warn" else ""
        ),
        Span(column(delta, DELTA, right=True), "good" if kept else "muted"),
        Span(column(memory(experiment.metrics.get("peak_memory_mb")), MEMORY if wide else 0, right=True), "muted"),
        Span(column(duration(experiment.seconds), TIME, right=True), "muted"),
        Span("  ▶ again  " if is_again else "  ", "accent"),
        Span(clean(experiment.description), "" if kept else "muted"),
    )


def boundary_spans(segment: int, cells: int) -> Spans:
    """The line between the first run of a segment (counted from 0) and the last one of the segment before it."""
    words = f" ── segment {segment + 1} ↑ · segment {segment} ↓ not comparable "
    return (Span(words.ljust(cells, "─"), "muted"),)


def live_spans(state: ViewState, now: float, *, wide: bool = True) -> Spans:
    """The line of the experiment under way."""
    description = clean(state.proposal.description) if state.proposal else ""
    elapsed = duration(_elapsed(state, now))
    mark, word, role = ("▶ ", "live", "accent") if state.alive else ("◌ ", "cut off", "warn")
    return (
        Span(f"{state.new_run or 0:4d}  "),
        Span(mark, role),
        Span(column(word, STATUS), role),
        Span(" " * (METRIC + DELTA + (MEMORY if wide else 0))),
        Span(column(elapsed, TIME, right=True), "muted"),
        Span("  " + description),
    )


def _elapsed(state: ViewState, now: float) -> float | None:
    """Seconds that the run under way takes by now, or took."""
    if state.ended is not None:
        return state.ended.seconds
    return now - state.started.started if state.started and state.alive else None


def queue_words(ideas: Sequence[IdeaQueued]) -> str:
    """2 ideas queued: MATRIX_LR=0.05; DEPTH=4."""
    texts = "; ".join(clean(idea.text) for idea in ideas)
    return f"{count(len(ideas), 'idea')} queued: {texts}" if ideas else ""


class RunsView(LineView):
    """The rows; the cursor is the selection, and stands on the live run where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.select(1)", "later run", id="runs.later", tooltip="Select the run above", show=False),
        Binding(
            "down,j", "app.select(-1)", "earlier run", id="runs.earlier", tooltip="Select the run below", show=False
        ),
        Binding("pageup", "page(-1)", "page up", id="runs.page-up", tooltip="Select a page up", show=False),
        Binding("pagedown", "page(1)", "page down", id="runs.page-down", tooltip="Select a page down", show=False),
        Binding("home", "first", "newest", id="runs.first", tooltip="Back to the newest run", show=False),
        Binding("end", "last", "oldest", id="runs.last", tooltip="Select the first run, the baseline", show=False),
    ]

    class Chosen(Message):
        """The person picked a run (None: the live one)."""

        def __init__(self, run: int | None) -> None:
            super().__init__()
            self.run = run

    def __init__(self) -> None:
        super().__init__()
        self._state = ViewState()
        self._selected: int | None = None
        self._now = 0.0
        self._drawn: object = None
        self._second = 0
        self._revision = -1
        self._lines: list[Row | int] = []
        """The rows, the newest first, and between two segments the number of the later one."""
        self.cursor = 0
        """The line of the selected run; the first line where none is selected."""

    def show(self, view: View) -> None:
        state = view.state
        live = (state.live_run, state.proposal, state.alive) if state.live_run is not None else None
        drawn = (state.revision, view.selected, live)
        second = int(_elapsed(state, view.now) or 0)
        moved = view.selected != self._selected
        self._state, self._selected, self._now = state, view.selected, view.now
        if drawn != self._drawn:
            if self._revision != state.revision:
                self._revision = state.revision
                self._lines = _with_boundaries(state.rows)
            self._drawn = drawn
            self.cursor = self._line_of(view.selected)
            self.refresh_lines_now()
        elif second != self._second:
            self.refresh_line(0)  # only its clock has moved
        self._second = second
        if moved:
            self._show_cursor()

    def _show_cursor(self) -> None:
        y = self.cursor
        if y < self.scroll_offset.y:
            self.scroll_to(y=y, animate=False)
        elif y >= self.scroll_offset.y + self.size.height:
            self.scroll_to(y=y - self.size.height + 1, animate=False)

    @property
    def _offset(self) -> int:
        return 1 if self._state.new_run is not None else 0

    def _line_of(self, run: int | None) -> int:
        if run is None:
            return 0
        lines = (y for y, row in enumerate(self._lines) if isinstance(row, Row) and row.experiment.run == run)
        return next(lines, 0) + self._offset

    def run_at(self, y: int) -> int | None:
        """The run on line ``y``, or on the next one where that is a boundary; None for the live one."""
        if y < self._offset:
            return None
        return next((row.experiment.run for row in self._lines[y - self._offset :] if isinstance(row, Row)), None)

    def line_count(self) -> int:
        return len(self._lines) + self._offset

    def line_role(self, y: int) -> str:
        return "cursor" if self._selected is not None and y == self.cursor else ""

    def line_at(self, y: int) -> Spans:
        return fit(self._spans_at(y), self.size.width)

    def _spans_at(self, y: int) -> Spans:
        if y < self._offset:
            return live_spans(self._state, self._now, wide=self.size.width >= WIDE)
        row = self._lines[y - self._offset]
        if isinstance(row, int):
            return boundary_spans(row, self.size.width)
        state = self._state
        is_again = state.is_repeating and state.live_run == row.experiment.run and state.alive
        is_best = row.experiment is state.incumbent
        return row_spans(row, is_best=is_best, wide=self.size.width >= WIDE, is_again=is_again)

    def action_page(self, pages: int) -> None:
        y = self.cursor + pages * max(1, self.size.height - 1)
        self.post_message(self.Chosen(self.run_at(min(max(0, y), self.line_count() - 1))))

    def action_first(self) -> None:
        self.post_message(self.Chosen(None))

    def action_last(self) -> None:
        self.post_message(self.Chosen(self.run_at(self.line_count() - 1)))


def _with_boundaries(rows: Sequence[Row]) -> list[Row | int]:
    lines: list[Row | int] = []
    for row in reversed(rows):
        if lines and isinstance(last := lines[-1], Row) and last.experiment.segment != row.experiment.segment:
            lines.append(last.experiment.segment)
        lines.append(row)
    return lines


class RunsHeader(Lines):
    """The names of the columns."""

    metric = "val_bpb"

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [header_spans(self.metric, wide=width >= WIDE)]


class RunsPane(Pane):
    """What was tried so far."""

    NUMBER, NAME = "5", "runs"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = RunsView()
        self._header = RunsHeader()

    def compose(self) -> ComposeResult:
        yield self._header
        yield self.instead
        yield self._body

    @property
    def body(self) -> RunsView:
        return self._body

    def show(self, view: View) -> None:
        state = view.state
        self.body.show(view)
        header = self._header
        header.display = self.body.line_count() > 0
        if header.metric != state.metric_name:
            header.metric = state.metric_name
            header.refresh()
        segment = state.segment
        experiments = segment.experiments if segment else ()
        kept = sum(1 for each in experiments if each.kept and each is not state.baseline)
        done = f"{len(experiments):,} so far, {kept:,} kept" if experiments else ""
        if segment and segment.number:
            done = f"segment {segment.number + 1}: {done or 'no run yet'}"
        self.entitle(" · ".join(part for part in (done, queue_words(state.ideas)) if part))
        self.say_instead("" if self.body.line_count() else "Every experiment gets a line here, the newest on top.")
