"""Pane 5: every experiment in a table, the newest on top."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from tui.painter import Lines, LineView
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, column
from tui.text import bpb, change, clean, count, duration, memory
from tui.view_state import Row, ViewState

MARKS = {"keep": ("●", "good"), "discard": ("○", "muted"), "crash": ("×", "bad"), "checks_failed": ("!", "bad")}
HEADER = (Span(" run  status        val_bpb         Δ    memory     time  description", "muted"),)


def row_spans(row: Row, *, is_best: bool) -> Spans:
    """One experiment's line; the columns are those of HEADER."""
    experiment = row.experiment
    mark, role = MARKS.get(experiment.status, ("?", "warn"))
    word = clean(experiment.status).replace("_", " ")
    if experiment.skipped:
        mark, word = "–", "skipped"
    elif row.is_baseline:
        word = "baseline"
    elif is_best:
        word = "best"
    kept = experiment.kept
    delta = change(row.delta)
    return (
        Span(f"{experiment.run:4d}  "),
        Span(mark + " ", role),
        Span(column(word, 10), role if kept or role == "bad" else "muted"),
        Span(column(bpb(experiment.metric), 9, right=True), "strong" if kept else ""),
        Span(column(delta, 10, right=True), "good" if kept and row.delta else "muted"),
        Span(column(memory(experiment.metrics.get("peak_memory_mb")), 10, right=True), "muted"),
        Span(column(duration(experiment.seconds), 9, right=True), "muted"),
        Span("  " + clean(experiment.description), "" if kept else "muted"),
    )


def live_spans(state: ViewState, now: float) -> Spans:
    """The line of the experiment under way."""
    description = clean(state.proposal.description) if state.proposal else ""
    elapsed = duration(now - state.started.started) if state.started else ""
    return (
        Span(f"{state.live_run or 0:4d}  "),
        Span("▶ ", "accent"),
        Span(column("live", 10), "accent"),
        Span(" " * 29),
        Span(column(elapsed, 9, right=True), "muted"),
        Span("  " + description),
    )


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
        self.cursor = 0
        """The line of the selected run; the first line where none is selected."""

    def show(self, view: View) -> None:
        state = view.state
        live = (state.live_run, state.proposal, int(view.now)) if state.live_run is not None else None
        drawn = (state.revision, view.selected, live)
        moved = view.selected != self._selected
        self._state, self._selected, self._now = state, view.selected, view.now
        if drawn != self._drawn:
            self._drawn = drawn
            self.cursor = self._line_of(view.selected)
            self.refresh_lines_now()
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
        return 1 if self._state.live_run is not None else 0

    def _line_of(self, run: int | None) -> int:
        if run is None:
            return 0
        lines = (y for y, row in enumerate(reversed(self._state.rows)) if row.experiment.run == run)
        return next(lines, 0) + self._offset

    def run_at(self, y: int) -> int | None:
        """The run on line ``y``, None for the live one."""
        if y < self._offset or not self._state.rows:
            return None
        at = max(0, len(self._state.rows) - 1 - (y - self._offset))
        return self._state.rows[at].experiment.run

    def line_count(self) -> int:
        return len(self._state.rows) + self._offset

    def line_role(self, y: int) -> str:
        return "cursor" if self._selected is not None and y == self.cursor else ""

    def line_at(self, y: int) -> Spans:
        if y < self._offset:
            return live_spans(self._state, self._now)
        row = self._state.rows[len(self._state.rows) - 1 - (y - self._offset)]
        return row_spans(row, is_best=row.experiment is self._state.incumbent)

    def action_page(self, pages: int) -> None:
        y = self.cursor + pages * max(1, self.size.height - 1)
        self.post_message(self.Chosen(self.run_at(min(max(0, y), self.line_count() - 1))))

    def action_first(self) -> None:
        self.post_message(self.Chosen(None))

    def action_last(self) -> None:
        self.post_message(self.Chosen(self.run_at(self.line_count() - 1)))


class RunsHeader(Lines):
    """The names of the columns."""

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [HEADER]


class RunsPane(Pane):
    """What was tried so far."""

    NUMBER, NAME = "5", "runs"

    def compose(self) -> ComposeResult:
        yield RunsHeader()
        yield Static(classes="instead", markup=False)
        yield RunsView()

    @property
    def body(self) -> RunsView:
        return self.query_one(RunsView)

    def show(self, view: View) -> None:
        state = view.state
        self.body.show(view)
        self.query_one(RunsHeader).display = self.body.line_count() > 0
        kept = sum(1 for row in state.rows if row.experiment.kept and not row.is_baseline)
        self.entitle(f"{count(len(state.rows), 'run')}, {kept} kept" if state.rows else "")
        self.say_instead("" if self.body.line_count() else "Every experiment gets a line here, the newest on top.")
