"""Pane 5: the experiments in a table: all of them, the newest on top, or those that one asks for, in another order."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.events import IdeaQueued
from engine.ledger import encode
from tui.painter import Lines, LineView
from tui.panes.pane import Pane, View
from tui.run_filter import Filter, Problem, parse
from tui.run_order import ORDERS, arrange
from tui.searching import Pattern
from tui.spans import Span, Spans, column, fit, plain
from tui.text import bpb, change, clean, count, duration, memory
from tui.view_state import Row, Subject, ViewState, outcome

MARKS = {"keep": ("●", "good"), "discard": ("○", "muted"), "crash": ("×", "bad"), "checks_failed": ("!", "warn")}
NO_VERDICT = "–"
MARKED = "*"
"""Behind the number of a run that is to be compared."""
MOST_MARKED = 2
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


def row_spans(row: Row, *, is_best: bool, wide: bool = True, is_again: bool = False, is_marked: bool = False) -> Spans:
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
    number = Span(f"{experiment.run:4d}  ")
    return (
        *((Span(f"{experiment.run:4d}"), Span(f"{MARKED} ", "accent")) if is_marked else (number,)),
        Span(mark + " ", role),
        Span(column(word, STATUS - 1) + " ", role if kept or role in ("bad", "warn") else "muted"),
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
    if state.is_watched and state.started is None:
        mark, word, role = "  ", "next", "muted"
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


def thrashing_words(state: ViewState) -> str:
    """none of the last 9 kept, where that is too many."""
    return f"none of the last {state.thrashing:,} kept" if state.thrashing else ""


def marked_words(marked: Sequence[int]) -> str:
    """What is marked, and what to do with it."""
    if not marked:
        return "No run is marked."
    if len(marked) == 1:
        return f"Run {marked[0]} is marked: c compares it with the run that is shown, or with another one marked."
    return f"Runs {min(marked)} and {max(marked)} are marked: c compares them."


class RunsView(LineView):
    """The rows; the cursor is the selection, and stands on the live run where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "run above", id="runs.above", tooltip="Select the run above", show=False),
        Binding("down,j", "step(1)", "run below", id="runs.below", tooltip="Select the run below", show=False),
        Binding("pageup", "page(-1)", "page up", id="runs.page-up", tooltip="Select a page up", show=False),
        Binding("pagedown", "page(1)", "page down", id="runs.page-down", tooltip="Select a page down", show=False),
        Binding("home", "first", "first line", id="runs.first", tooltip="Back to the live run", show=False),
        Binding("end", "last", "last line", id="runs.last", tooltip="Select the run on the last line", show=False),
        Binding("space", "app.mark", "mark", id="runs.mark", tooltip="Mark the run, or take its mark away", show=False),
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
        self.order = 0
        """Which of ORDERS."""
        self.filter = Filter()
        self.marked: tuple[int, ...] = ()
        """The runs that are to be compared, the one that was marked last at the end."""
        self._arranged_for: object = None
        self._lines: list[Row | int] = []
        """The rows that the filter takes, in their order, and between two segments the number of the later one."""
        self._runs: list[int] = []
        """The runs of these rows."""
        self._lines_of: dict[int, int] = {}
        self.cursor = 0
        """The line of the selected run, -1 where it has none; the first line where none is selected."""

    @property
    def chosen(self) -> int:
        """How many runs the filter takes."""
        return len(self._runs)

    def toggle(self, run: int) -> None:
        """Mark a run, or take its mark away; of more than two the first one loses its mark."""
        others = tuple(each for each in self.marked if each != run)
        self.marked = others if run in self.marked else (*others, run)[-MOST_MARKED:]
        self.refresh()

    def show(self, view: View) -> None:
        state = view.state
        live = (state.live_run, state.proposal, state.alive) if state.live_run is not None else None
        arranged = (state.revision, self.filter, self.order)
        drawn = (arranged, view.selected, live)
        second = int(_elapsed(state, view.now) or 0)
        moved = view.selected != self._selected
        self._state, self._selected, self._now = state, view.selected, view.now
        if drawn != self._drawn:
            if arranged != self._arranged_for:
                self._arranged_for = arranged
                self._arrange()
            self._drawn = drawn
            self.cursor = self._line_of(view.selected)
            self.refresh_lines_now()
        elif second != self._second:
            self.refresh_line(0)  # only its clock has moved
        self._second = second
        if moved:
            self._show_cursor()

    def _arrange(self) -> None:
        state = self._state
        rows = self.filter.choose(state.rows, state.ledger)
        self._lines = arrange(rows, ORDERS[self.order], state.ledger.segments)
        places = [(row.experiment.run, y) for y, row in enumerate(self._lines) if isinstance(row, Row)]
        self._runs = [run for run, _ in places]
        self._lines_of = dict(reversed(places))

    def _show_cursor(self) -> None:
        y = max(0, self.cursor)
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
        return self._lines_of[run] + self._offset if run in self._lines_of else -1

    def run_at(self, y: int) -> int | None:
        """The run on line ``y``, or on the next one where that is a boundary; None for the live one."""
        if y < self._offset:
            return None
        return next((row.experiment.run for row in self._lines[y - self._offset :] if isinstance(row, Row)), None)

    def beside(self, step: int) -> int | None:
        """The run a line further down (+1) or up (−1) than the selected one; None, the live one, is above them all."""
        runs, selected = self._runs, self._selected
        if selected in self._lines_of:
            at = runs.index(selected) + step
            return None if at < 0 else runs[min(at, len(runs) - 1)]
        if step < 0 or not runs:
            return None
        state = self._state
        shows_the_last = selected is None and state.live_run is None and state.repeated is None
        is_first_shown = shows_the_last and runs[0] == state.rows[-1].experiment.run
        return runs[1] if is_first_shown and len(runs) > 1 else runs[0]

    def line_count(self) -> int:
        return len(self._lines) + self._offset

    def edition(self) -> object:
        return self._arranged_for, self._state.new_run

    def text_at(self, line: int) -> str:
        is_row = line < self._offset or isinstance(self._lines[line - self._offset], Row)
        return plain(self._spans_at(line)) if is_row else ""

    def line_in_view(self) -> int:
        return max(0, self.cursor)

    def sees(self, line: int) -> bool:
        return line == self.cursor

    def go_to_line(self, line: int, pattern: Pattern) -> None:
        self.cursor = line
        self.post_message(self.Chosen(self.run_at(line)))

    def line_role(self, y: int) -> str:
        return "cursor" if self._selected is not None and y == self.cursor else ""

    def line_at(self, y: int) -> Spans:
        return fit(self._spans_at(y), self.room)

    def _spans_at(self, y: int) -> Spans:
        if y < self._offset:
            return live_spans(self._state, self._now, wide=self.size.width >= WIDE)
        row = self._lines[y - self._offset]
        if isinstance(row, int):
            return boundary_spans(row, self.room)
        state = self._state
        is_again = state.is_repeating and state.live_run == row.experiment.run and state.alive
        is_best = row.experiment is state.incumbent
        is_marked = row.experiment.run in self.marked
        return row_spans(row, is_best=is_best, wide=self.size.width >= WIDE, is_again=is_again, is_marked=is_marked)

    async def _choose(self, run: int | None) -> None:
        """At once, and not by a message: the key behind this one, already pressed, is about the run chosen here."""
        await self.run_action(f"app.choose({run})")

    async def action_step(self, step: int) -> None:
        await self._choose(self.beside(step))

    async def action_page(self, pages: int) -> None:
        y = self.cursor + pages * max(1, self.size.height - 1)
        await self._choose(self.run_at(min(max(0, y), self.line_count() - 1)))

    async def action_first(self) -> None:
        await self._choose(None)

    async def action_last(self) -> None:
        await self._choose(self.run_at(self.line_count() - 1))


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
        self._about: Subject | None = None

    def compose(self) -> ComposeResult:
        yield self._header
        yield self.instead
        yield self._body

    @property
    def body(self) -> RunsView:
        return self._body

    def show(self, view: View) -> None:
        state = view.state
        self._about = view.subject
        self.body.show(view)
        header = self._header
        header.display = self.body.line_count() > 0
        if header.metric != state.metric_name:
            header.metric = state.metric_name
            header.refresh()
        self.entitle(self._title(state), warning=thrashing_words(state))
        self.say_instead(self._words_for(state))

    def copied(self) -> str:
        """The ledger's line of the run that is shown."""
        about = self._about
        if about is None or about.experiment is None:
            return ""
        try:
            return encode(about.experiment).decode("utf-8", "replace")
        except RecursionError:  # somebody's notes, nested a thousand deep
            return clean(about.experiment.description)

    def next_order(self) -> None:
        """Put the runs in the next of ORDERS from now on."""
        self.body.order = (self.body.order + 1) % len(ORDERS)

    def choose(self, text: str, state: ViewState) -> str:
        """Show only the runs that a filter takes, all where it is empty; why it is none, where it is none."""
        metrics = {name for row in state.rows for name in row.experiment.metrics}
        found = parse(text, metrics)
        if isinstance(found, Problem):
            return found.sentence
        if found.text != self.body.filter.text:
            self.body.filter = found
        return ""

    def _title(self, state: ViewState) -> str:
        order = ORDERS[self.body.order].name.format(metric=state.metric_name) if self.body.order else ""
        parts = (*self._counted(state), order, queue_words(state.ideas))
        return " · ".join(part for part in parts if part)

    def _counted(self, state: ViewState) -> tuple[str, ...]:
        if self.body.filter:
            return (f"{self.body.chosen:,} of {count(len(state.rows), 'run')}", self.body.filter.text)
        segment = state.segment
        experiments = segment.experiments if segment else ()
        kept = sum(1 for each in experiments if each.kept and each is not state.baseline)
        done = f"{len(experiments):,} so far, {kept:,} kept" if experiments else ""
        if segment and segment.number:
            done = f"segment {segment.number + 1}: {done or 'no run yet'}"
        return (done,)

    def _words_for(self, state: ViewState) -> str:
        if self.body.line_count():
            return ""
        if state.rows:
            return "No run is like that: F changes the filter, an empty one shows every run."
        return "Every experiment gets a line here, the newest on top."
