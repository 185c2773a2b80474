"""Two runs beside each other on a screen of their own: large in four parts, small one part below the other."""

import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import ModalScreen

from engine.workspace import Workspace
from tui.bottom_line import key_spans
from tui.comparison import curve_lines, diff_lines, figure_lines, figures, note_lines
from tui.diff import compare
from tui.loss_curve import CurveReader
from tui.painter import Lines, LineView
from tui.spans import Span, Spans, fit, width
from tui.view_state import Subject

LARGE = (100, 30)
CURVE_ROWS = 10
"""Rows of the losses in the small layout."""
NARROWEST = 24
READ_SECONDS = 0.1
"""For so long the logs are read before the first picture; the rest of them is read later, a piece at a time."""
READ_AGAIN_SECONDS = 0.25

Compose = Callable[[int, int], list[Spans]]


class Part(LineView):
    """Lines that are composed for the size of the part."""

    def __init__(self, title: str, compose: Compose, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content(title)
        self._compose_for = compose
        self._lines: list[Spans] = []
        self._widest = 0

    def on_resize(self) -> None:
        self.make()

    def make(self) -> None:
        """Compose the lines anew."""
        cells, rows = self.size
        lines = self._compose_for(max(NARROWEST, cells - 1), rows) if cells else []
        if lines != self._lines:
            self._lines = lines
            self._widest = max((width(line) for line in lines), default=0)
            self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._lines)

    def line_width(self) -> int:
        return self._widest

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class _Head(Lines):
    def __init__(self, before: Subject, after: Subject) -> None:
        super().__init__()
        self._names = (before.name, after.name)

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        before, after = self._names
        spans = (Span(" compare  ", "title"), Span(before), Span("  with  ", "muted"), Span(after, "strong"))
        return [fit(spans, width)]


class _Foot(Lines):
    is_small = False

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [
            key_spans([("↑ ↓", "scroll"), *([] if self.is_small else [("tab", "next part")]), ("esc", "back")], width)
        ]


class Comparison(ModalScreen[None]):
    """What two runs have in common, and in what they differ."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "dismiss", "back", id="compare.close", tooltip="Close the comparison"),
        Binding("tab", "app.focus_next", "next part", id="compare.next", tooltip="To the next part"),
        Binding("shift+tab", "app.focus_previous", "part before", id="compare.before", tooltip="To the part before"),
    ]

    def __init__(
        self, workspace: Workspace, before: Subject, after: Subject, metric: str, *, lower_is_better: bool
    ) -> None:
        super().__init__()
        self._before, self._after = before, after
        self._names = (before.short_name, after.short_name)
        self._figures = figures(before, after, metric, lower_is_better=lower_is_better)
        self._patch = compare(before.files(workspace).train, after.files(workspace).train)
        self._readers = tuple(CurveReader(each.log(workspace).log) for each in (before, after))
        self._losses = Part("loss", self._curves, id="losses")
        self._whole = Part("", self._all, id="whole")
        self._foot = _Foot()
        self._parts = (
            Part("figures", lambda cells, rows: figure_lines(self._figures, cells), id="figures"),
            Part(f"diff · {' → '.join(self._names)}", lambda cells, rows: self._diff(cells), id="difference"),
            self._losses,
            Part("notes", lambda cells, rows: note_lines(before, after, cells), id="both-notes"),
        )

    def compose(self) -> ComposeResult:
        yield _Head(self._before, self._after)
        yield Container(*self._parts, id="comparison")
        yield self._whole
        yield self._foot

    def on_mount(self) -> None:
        end = time.monotonic() + READ_SECONDS
        while time.monotonic() < end and any(reader.is_behind for reader in self._readers):
            self._read()
        self.set_interval(READ_AGAIN_SECONDS, self._read_on)
        self._lay_out(self.app.size.width, self.app.size.height)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out(event.size.width, event.size.height)

    def _lay_out(self, columns: int, rows: int) -> None:
        is_small = columns < LARGE[0] or rows < LARGE[1]
        self.set_class(is_small, "-small")
        self._foot.is_small = is_small
        self._foot.refresh()
        wanted = (self._whole,) if is_small else self._parts
        if self.focused not in wanted:
            self.set_focus(self._whole if is_small else self._parts[1])

    def _read(self) -> None:
        for reader in self._readers:
            reader.advance()

    def _read_on(self) -> None:
        before = [reader.curve.last for reader in self._readers]
        self._read()
        if [reader.curve.last for reader in self._readers] != before:
            for part in (self._losses, self._whole):
                part.make()

    def _curves(self, cells: int, rows: int) -> list[Spans]:
        before, after = (reader.curve for reader in self._readers)
        return curve_lines(before, after, self._names, cells, rows)

    def _diff(self, cells: int) -> list[Spans]:
        return diff_lines(self._patch, self._names, cells)

    def _all(self, cells: int, rows: int) -> list[Spans]:
        """Every part, one below the other."""
        parts = (
            ("figures", figure_lines(self._figures, cells)),
            ("loss", self._curves(cells, CURVE_ROWS)),
            ("diff", self._diff(cells)),
            ("notes", note_lines(self._before, self._after, cells)),
        )
        lines: list[Spans] = []
        for title, part in parts:
            rule = Span(f"── {title} ".ljust(cells, "─"), "muted")
            lines += [*([()] if lines else []), (rule,), *part]
        return lines
