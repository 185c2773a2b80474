"""The screen itself: status, the five panes, the keys; large with all of them, small with two at a time."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from tui.bottom_line import BottomLine
from tui.painter import Lines
from tui.panes.diff import DiffPane
from tui.panes.history import HistoryPane
from tui.panes.log import LogPane
from tui.panes.notes import NotesPane
from tui.panes.pane import Pane, View
from tui.panes.runs import RunsPane
from tui.spans import Span, Spans, fit, width
from tui.status_line import StatusLine

SMALLEST = (80, 24)
LARGE = (100, 30)
ORDER = ("log", "history", "notes", "diff", "runs")
"""The panes in the order of their keys, 1 to 5."""


class TabLine(Lines):
    """In the small layout: which pane is above the runs, and what it is about."""

    def __init__(self) -> None:
        super().__init__()
        self._panes: list[Pane] = []
        self._shown = ""
        self._about: str = ""

    def show(self, panes: list[Pane], shown: str, about: str) -> None:
        wanted = (panes, shown, about)
        if wanted != (self._panes, self._shown, self._about):
            self._panes, self._shown, self._about = wanted
            self.refresh()

    def compose_lines(self, width_: int, height: int) -> list[Spans]:
        spans: list[Span] = [Span(" ")]
        for pane in self._panes:
            on = pane.id == self._shown
            spans += [Span(f"{pane.NUMBER} {pane.NAME}", "key" if on else "muted"), Span("   ")]
        left = width_ - width(spans) - 1
        about = fit((Span(self._about, "muted"),), left)
        return [(*spans, Span(" " * max(0, left - width(about))), *about)]


class MainScreen(Screen[None]):
    """Shows a View. Which pane has the focus, and whether it is zoomed, is all that it remembers."""

    def compose(self) -> ComposeResult:
        yield StatusLine()
        yield TabLine()
        with Container(id="panes"):
            yield LogPane(id="log")
            yield NotesPane(id="notes")
            yield HistoryPane(id="history")
            yield DiffPane(id="diff")
            yield RunsPane(id="runs")
        yield BottomLine()
        yield Static(id="too-small", markup=False)

    def on_mount(self) -> None:
        self._shown = "log"
        self.pane("log").add_class("-shown")
        self._lay_out(self.app.size.width, self.app.size.height)
        self.pane("log").body.focus()

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out(event.size.width, event.size.height)

    def _lay_out(self, columns: int, rows: int) -> None:
        tiny = columns < SMALLEST[0] or rows < SMALLEST[1]
        if tiny:
            words = f"The screen needs {SMALLEST[0]}×{SMALLEST[1]}; this terminal is {columns}×{rows}."
            self.query_one("#too-small", Static).update(words)
        self.set_class(tiny, "-tiny")
        self.set_class(columns < LARGE[0] or rows < LARGE[1], "-small")
        self.set_class(rows >= LARGE[1], "-roomy")

    def pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    @property
    def panes(self) -> list[Pane]:
        return [self.pane(name) for name in ORDER]

    @property
    def current(self) -> Pane:
        """The pane that takes the keys."""
        return next((pane for pane in self.panes if pane.has_pseudo_class("focus-within")), self.pane(self._shown))

    @property
    def is_zoomed(self) -> bool:
        return self.has_class("-zoomed")

    def go_to(self, name: str) -> None:
        """Give a pane the keys; in the small layout also the place above the runs, if zoomed the screen."""
        if name != "runs":
            self._shown = name
        for pane in self.panes:
            pane.set_class(pane.id == self._shown, "-shown")
            pane.set_class(self.is_zoomed and pane.id == name, "-zoom")
        self.pane(name).body.focus()

    def step(self, by: int) -> None:
        """To the next pane, or the one before."""
        at = ORDER.index(self.current.id or "log")
        self.go_to(ORDER[(at + by) % len(ORDER)])

    def zoom(self) -> None:
        """Give the current pane the whole screen, or end that."""
        name = self.current.id or "log"
        self.toggle_class("-zoomed")
        self.go_to(name)

    def show(self, view: View) -> None:
        """Show a view in every pane; each draws only if its part of it has changed."""
        for pane in self.panes:
            pane.show(view)
        shown = self.pane(self._shown)
        self.query_one(TabLine).show(self.panes[:4], self._shown, shown.about)
