"""The screen itself: status, the five panes, the keys; large with all of them, small with two at a time."""

from collections.abc import Sequence

from rich.cells import cell_len
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
IN_ROWS = ("log", "notes", "history", "diff", "runs")
"""The panes as they stand in the large layout, row by row."""


class TabLine(Lines):
    """In the small layout: which pane is above the runs, and what it is about."""

    def __init__(self) -> None:
        super().__init__()
        self._panes: list[Pane] = []
        self._shown = ""
        self._takes_keys = False
        self._about: Sequence[str] = ()

    def show(self, panes: list[Pane], shown: Pane, *, takes_keys: bool) -> None:
        """``takes_keys``: the pane above has them, not the runs."""
        wanted = (panes, shown.id or "", takes_keys, shown.abouts())
        if wanted != (self._panes, self._shown, self._takes_keys, self._about):
            self._panes, self._shown, self._takes_keys, self._about = wanted
            self.refresh()

    def compose_lines(self, width_: int, height: int) -> list[Spans]:
        spans: list[Span] = [Span(" ")]
        for pane in self._panes:
            on = pane.id == self._shown
            role = ("key" if self._takes_keys else "strong") if on else "muted"
            spans += [Span(f"{pane.NUMBER} {pane.NAME}", role), Span("   ")]
        left = width_ - width(spans) - 1
        words = next((each for each in self._about if cell_len(each) <= left), self._about[-1] if self._about else "")
        about = fit((Span(words, "muted"),), left)
        return [(*spans, Span(" " * max(0, left - width(about))), *about)]


class TroubleLines(Static):
    """Why a person is needed, in as many lines as it takes; no lines while nobody is."""

    def __init__(self) -> None:
        super().__init__(id="trouble", markup=False)
        self._shown = ""

    def show(self, sentence: str) -> None:
        if sentence != self._shown:
            self._shown = sentence
            self.update(sentence)
            self.set_class(bool(sentence), "-needed")


class MainScreen(Screen[None], inherit_bindings=False):
    """Shows a View. Which pane has the focus, and whether it is zoomed, is all that it remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.status = StatusLine()
        self.tabs = TabLine()
        self.trouble = TroubleLines()
        self.bottom = BottomLine()
        self.log_pane = LogPane(id="log")
        self.notes_pane = NotesPane(id="notes")
        self.diff_pane = DiffPane(id="diff")
        self.runs_pane = RunsPane(id="runs")
        self.panes: list[Pane] = [
            self.log_pane,
            HistoryPane(id="history"),
            self.notes_pane,
            self.diff_pane,
            self.runs_pane,
        ]
        """In the order of their keys, 1 to 5."""
        self._too_small = Static(id="too-small", markup=False)
        self._upper = "log"
        """In the small layout: the pane above the runs."""
        self._zoomed = ""

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.tabs
        yield Container(*(self.pane(name) for name in IN_ROWS), id="panes")
        yield self.trouble
        yield self.bottom
        yield self._too_small

    def on_mount(self) -> None:
        self._lay_out(self.app.size.width, self.app.size.height)
        self.pane("log").body.focus()

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out(event.size.width, event.size.height)

    def _lay_out(self, columns: int, rows: int) -> None:
        tiny = columns < SMALLEST[0] or rows < SMALLEST[1]
        if tiny:
            words = f"The screen needs {SMALLEST[0]}×{SMALLEST[1]}; this terminal is {columns}×{rows}."
            self._too_small.update(words)
        self.set_class(tiny, "-tiny")
        self.set_class(columns < LARGE[0] or rows < LARGE[1], "-small")
        self.set_class(rows >= LARGE[1], "-roomy")
        self._choose_panes()

    def _choose_panes(self) -> None:
        """Display the panes that there is room for; at once, because only what is there can take the focus."""
        for pane in self.panes:
            if self._zoomed:
                pane.display = pane.id == self._zoomed
            else:
                pane.display = pane.id in (self._upper, "runs") or not self.has_class("-small")
        self.set_class(bool(self._zoomed), "-zoomed")

    def pane(self, name: str) -> Pane:
        return self.panes[ORDER.index(name)]

    @property
    def current(self) -> Pane:
        """The pane that takes the keys."""
        focused = self.focused
        return next((pane for pane in self.panes if focused is pane.body), self.pane(self._upper))

    @property
    def is_zoomed(self) -> bool:
        return bool(self._zoomed)

    def go_to(self, name: str) -> None:
        """Give a pane the keys; in the small layout also the place above the runs, if zoomed the screen."""
        if name != "runs":
            self._upper = name
        if self._zoomed:
            self._zoomed = name
        self._choose_panes()
        self.set_focus(self.pane(name).body)

    def step(self, by: int) -> None:
        """To the next pane, or the one before."""
        at = ORDER.index(self.current.id or "log")
        self.go_to(ORDER[(at + by) % len(ORDER)])

    def zoom(self) -> None:
        """Give the current pane the whole screen, or end that."""
        name = self.current.id or "log"
        self._zoomed = "" if self._zoomed else name
        self.go_to(name)

    def show(self, view: View) -> None:
        """Show a view in every pane; each draws only if its part of it has changed."""
        for pane in self.panes:
            pane.show(view)
            pane.search_on()
        upper = self.pane(self._upper)
        self.tabs.show(self.panes[:4], upper, takes_keys=self.current is upper)
