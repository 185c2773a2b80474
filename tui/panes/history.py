"""Pane 2: the metric of every experiment as a plot."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.history_plot import MIN_HEIGHT, MIN_WIDTH, Point, draw, legend
from tui.painter import Lines
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, fit
from tui.text import bpb, change
from tui.view_state import Row, ViewState


def points_of(rows: Sequence[Row], segment: int) -> list[Point]:
    """The experiments of a segment as the plot takes them."""
    points = []
    for row in rows:
        experiment = row.experiment
        if experiment.segment != segment or experiment.inconclusive:
            continue
        value = None if experiment.crashed else experiment.metric
        points.append(Point(experiment.run, value, experiment.status))
    return points


class HistoryPlot(Lines, can_focus=True):
    """Redraws when the ledger, the selection or its size changes; never otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.select(-1)", "earlier run", id="history.earlier", tooltip="Select the run before"),
        Binding("right,l", "app.select(1)", "later run", id="history.later", tooltip="Select the run after"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._state = ViewState()
        self._selected: int | None = None
        self._segment = 0

    def show(self, state: ViewState, selected: int | None, segment: int) -> None:
        """Show a segment's runs, one of them selected."""
        if (state.revision, selected, segment) != (self._state.revision, self._selected, self._segment):
            self._state, self._selected, self._segment = state, selected, segment
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        state = self._state
        if not state.rows:
            return []
        if width < MIN_WIDTH or height < MIN_HEIGHT + 1:
            return [(Span("No room for the plot: z zooms this pane.", "muted"),)]
        points = points_of(state.rows, self._segment)
        lower_is_better = state.ledger.segments[self._segment].config.best_direction != "higher"
        plot = draw(points, width, height - 1, selected=self._selected, lower_is_better=lower_is_better)
        if not plot:
            return [(Span("No run has produced a value yet.", "muted"),)]
        return [*plot, fit(legend(points), width)]


class HistoryPane(Pane):
    """The session at a glance."""

    NUMBER, NAME = "2", "val_bpb"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = HistoryPlot()

    def compose(self) -> ComposeResult:
        yield self.instead
        yield self._body

    @property
    def body(self) -> HistoryPlot:
        return self._body

    def show(self, view: View) -> None:
        state = view.state
        row = view.subject.row if view.subject and view.selected is not None else None
        last = max(0, len(state.ledger.segments) - 1)
        segment = row.experiment.segment if row else last
        self.body.show(state, view.selected, segment)
        self.NAME = state.metric_name
        if row is not None:
            value = bpb(row.experiment.metric) or "no value"
            about = f"run {row.experiment.run} · {value}" + (f" ({delta})" if (delta := change(row.delta)) else "")
        else:
            best = state.incumbent.metric if state.incumbent else None
            about = f"best {bpb(best)}" if best is not None else ""
        where = f"segment {segment + 1} of {last + 1}" if last else ""
        self.entitle(" · ".join(part for part in (where, about) if part))
        self.say_instead("" if state.rows else "Each experiment becomes a point here; the first is the baseline.")
