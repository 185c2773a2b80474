"""Pane 2: the metric of every experiment as a plot."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.ledger import Config
from tui.history_plot import MIN_HEIGHT, MIN_WIDTH, Manner, Point, Window, draw, legend
from tui.painter import Lines
from tui.panes.pane import Pane, View
from tui.spans import Span, Spans, fit
from tui.text import bpb, change, clean
from tui.view_state import Row, ViewState

LONGEST_SESSION = 1e5
"""Hours; a ledger may say anything."""


def points_of(rows: Sequence[Row], segment: int) -> list[Point]:
    """The experiments of a segment as the plot takes them."""
    points = []
    begun, hours = 0.0, 0.0
    for row in rows:
        experiment = row.experiment
        if experiment.segment != segment or experiment.inconclusive:
            continue
        value = None if experiment.crashed else experiment.metric
        begun = begun or experiment.timestamp
        hours = max(hours, (experiment.timestamp - begun) / 3600 if experiment.timestamp else 0.0)
        points.append(Point(experiment.run, value, experiment.status, min(hours, LONGEST_SESSION)))
    return points


def noise_of(state: ViewState, segment: int) -> tuple[Window | None, float | None]:
    """The values around a segment's incumbent that chance alone may bring, and how far that is to either side."""
    incumbent, floor = state.ledger.segments[segment].incumbent, state.claims[segment].floor
    if incumbent is None or incumbent.metric is None or floor is None or not floor.is_noise:
        return None, None
    margin = floor.margin()
    return Window(incumbent.metric - margin, incumbent.metric + margin), margin


class HistoryPlot(Lines, can_focus=True):
    """Redraws when the ledger, the selection, the axes or its size changes; never otherwise."""

    class Turned(Message):
        """An axis is laid out in another way."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.select(-1)", "earlier run", id="history.earlier", tooltip="Select the run before"),
        Binding("right,l", "app.select(1)", "later run", id="history.later", tooltip="Select the run after"),
        Binding("x", "turn('by_hour')", "by hour", id="history.by-hour", tooltip="Experiments by run, or by hour"),
        Binding("v", "turn('log')", "log", id="history.log", tooltip="The values on a linear scale, or a logarithmic"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._state = ViewState()
        self._selected: int | None = None
        self._segment = 0
        self._manner = Manner()
        self._points: list[Point] = []
        self._plot: list[Spans] = []
        self._plotted: object = None
        self._is_begun = False

    @property
    def manner(self) -> str:
        """How the axes are laid out, in words; empty for the usual."""
        chosen = self._manner.possible(self._points)
        return " · ".join(words for words, on in (("by hour", chosen.by_hour), ("log", chosen.log)) if on)

    def action_turn(self, what: str) -> None:
        self._manner = replace(self._manner, **{what: not getattr(self._manner, what)})
        self.refresh()
        self.post_message(self.Turned())

    def show(self, state: ViewState, selected: int | None, segment: int) -> None:
        """Show a segment's runs, one of them selected."""
        if (state.revision, selected, segment) != (self._state.revision, self._selected, self._segment):
            if (state.revision, segment) != (self._state.revision, self._segment):
                self._points = points_of(state.rows, segment)
            self._state, self._selected, self._segment = state, selected, segment
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        state = self._state
        if not state.rows:
            return []
        if width < MIN_WIDTH or height < MIN_HEIGHT + 1:
            return [(Span("No room for the plot: z zooms this pane.", "muted"),)]
        if not self._is_begun:
            self.call_after_refresh(self._begin)
            return []
        wanted = (state.revision, self._selected, self._segment, self._manner, width, height)
        if wanted != self._plotted:
            self._plotted, self._plot = wanted, self._drawn(width, height)
        return self._plot

    def _begin(self) -> None:
        """The screen's first frame is drawn: it did not wait for the plot."""
        if not self._is_begun:
            self._is_begun = True
            self.refresh()

    def _drawn(self, width: int, height: int) -> list[Spans]:
        state = self._state
        points = self._points
        segment = state.ledger.segments[self._segment]
        band, margin = noise_of(state, self._segment)
        plot = draw(
            points,
            width,
            height - 1,
            selected=self._selected,
            lower_is_better=segment.config.best_direction != "higher",
            noise=band,
            manner=self._manner,
            only_better=segment.is_outside,
        )
        if not plot:
            return [(Span("No run has produced a value yet.", "muted"),)]
        return [*plot, fit(legend(points, margin=margin), width)]


class HistoryPane(Pane):
    """The session at a glance."""

    NUMBER, NAME = "2", "val_bpb"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._body = HistoryPlot()

    def compose(self) -> ComposeResult:
        yield self.instead
        yield self._body

    def on_history_plot_turned(self) -> None:
        self.entitle(self._titles[0] if self._titles else "", self.body.manner)

    @property
    def body(self) -> HistoryPlot:
        return self._body

    def show(self, view: View) -> None:
        state = view.state
        row = view.subject.row if view.subject and view.selected is not None else None
        last = max(0, len(state.ledger.segments) - 1)
        segment = row.experiment.segment if row else last
        self.body.show(state, view.selected, segment)
        config = state.ledger.segments[segment].config if state.ledger.segments else Config()
        self.NAME = clean(config.metric_name)
        if row is not None:
            value = bpb(row.experiment.metric) or "no value"
            about = f"run {row.experiment.run} · {value}" + (f" ({delta})" if (delta := change(row.delta)) else "")
        else:
            best = state.incumbent.metric if state.incumbent else None
            about = f"best {bpb(best)}" if best is not None else ""
        where = f"segment {segment + 1} of {last + 1}" if last else ""
        self.entitle(" · ".join(part for part in (where, about) if part), self.body.manner)
        self.say_instead("" if state.rows else "Each experiment becomes a point here; the first is the baseline.")
