"""The output of a run, drawn from its file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.following import FollowingView
from tui.painter import paint
from tui.run_log.lines import LogLines
from tui.run_log.sightings import Sightings
from tui.run_log.wrapping import Rows, chop
from tui.searching import Pattern
from tui.spans import Span, Spans, width

CATCH_UP_BYTES = 1 << 22
A_MOMENT = 2.0
"""Seconds between two looks, at most, if what is new is to count as new."""
STAMP = len("00:00:00 ")
NARROWEST = 16


class RunLogView(FollowingView):
    """Shows ``path``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wrap", "wrap", id="log.wrap", tooltip="Long lines on several rows, or cut", show=False),
        Binding("T", "stamps", "times", id="log.times", tooltip="When each line came, if this screen saw", show=False),
    ]

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.time) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._lines: LogLines | None = None
        self._widest = 0
        self._seen = (0, 0, 0)
        self._generation = 0
        self.wraps = False
        self._rows: Rows | None = None
        """Of the lines as they are wrapped; None while they are not."""
        self._counting: Rows | None = None
        """These rows take the place of the others when all are counted."""
        self.has_stamps = False
        self._sightings: dict[Path, Sightings] = {}
        self._looked_at = 0.0
        """When the end of this file was last seen; 0 where it was not yet."""

    @property
    def path(self) -> Path | None:
        return self._lines.index.path if self._lines else None

    def open(self, path: Path | None) -> None:
        """Show another file, from its end."""
        if path == self.path:
            return
        self.close()
        self._lines = LogLines(path) if path else None
        self._seen = (0, 0, 0)
        self._looked_at = 0.0
        self._generation = 0
        self._forget()
        self.following = True
        self.scroll_to(x=0, animate=False)
        self.look()

    def close(self) -> None:
        if self._lines is not None:
            self._lines.index.close()
            self._lines = None

    def on_unmount(self) -> None:
        self.close()

    def look(self) -> None:
        """Take in what was added to the file; a large rest is read in slices."""
        lines = self._lines
        if lines is None:
            self.refresh_lines_now()
            return
        is_behind = lines.index.advance(CATCH_UP_BYTES)
        if lines.index.generation != self._generation:
            self._generation = lines.index.generation
            self._sightings.pop(lines.index.path, None)
            self._looked_at = 0.0
            self._forget()
        self._take_down(lines, is_behind)
        has_uncounted = self._rows.advance() if self._rows else False
        seen = (self._generation, lines.total, lines.index.scanned)
        if seen != self._seen or has_uncounted:
            self._seen = seen
            self.show_lines()
        if self._counting is not None:
            has_uncounted = self._counting.advance() or has_uncounted
            if not has_uncounted and not is_behind:
                self._turn_to(self._counting)
        if is_behind or has_uncounted:
            self.catch_up()

    def _take_down(self, lines: LogLines, is_behind: bool) -> None:
        now = self._clock()
        came_since = now - self._looked_at < A_MOMENT
        self._sightings.setdefault(lines.index.path, Sightings()).saw(lines.total, now if came_since else None)
        if not is_behind:
            self._looked_at = now

    def _forget(self) -> None:
        if self._lines is not None:
            self._lines.forget()
        self._widest = 0
        self._rows = None
        self._count_rows()

    # Wrapping

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them again."""
        self.wraps = not self.wraps
        self._counting = None
        if self.wraps:
            self._count_rows()
            self.look()
        elif self._rows is not None:
            self._turn_to(None)

    def action_stamps(self) -> None:
        """Show when each line came, or don't."""
        self.has_stamps = not self.has_stamps
        self.on_resize()
        self.refresh_lines_now()

    def on_resize(self) -> None:
        super().on_resize()
        rows = self._counting or self._rows
        if self.wraps and self._lines is not None and (rows is None or rows.cells != self._cells):
            self._count_rows()
            self.look()

    def _count_rows(self) -> None:
        is_to_count = self.wraps and self._lines is not None and self.room > 0
        self._counting = Rows(self._lines, self._cells) if is_to_count and self._lines else None

    @property
    def _cells(self) -> int:
        """What there is for the text of a row."""
        return max(NARROWEST, self.room - (STAMP if self.has_stamps else 0))

    def _turn_to(self, rows: Rows | None) -> None:
        line = self.line_in_view()
        self._rows, self._counting = rows, None
        self.show_lines()
        if not self.following:
            self.move_to(self._row_of(line), 0)

    def _row_of(self, line: int) -> int:
        return self._rows.row_of(line) if self._rows else line

    def _locate(self, y: int) -> tuple[int, int]:
        """(line, which of its rows)."""
        return self._rows.locate(y) if self._rows else (y, 0)

    # Searching: in lines, whatever their rows

    def edition(self) -> object:
        return self.path, self._generation

    def settled_lines(self) -> int:
        return self._lines.settled if self._lines else 0

    def line_total(self) -> int:
        return self._lines.total if self._lines else 0

    def find_lines(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        return self._lines.find(pattern, begin, end) if self._lines else ([], end)

    def line_in_view(self) -> int:
        return min(self._locate(self.scroll_offset.y)[0], self.line_total())

    def sees(self, line: int) -> bool:
        return 0 <= self._row_of(line) - self.scroll_offset.y < self.size.height

    def go_to_line(self, line: int, pattern: Pattern) -> None:
        self.stand_still()
        spans = self._line(line)
        if self._rows is None:
            self.show_row(line, spans, pattern)
            return
        rows = chop(spans, self._rows.cells)
        found = [at for at, row in enumerate(rows) if pattern.ranges("".join(text for text, _ in row))]
        self.show_row(self._rows.row_of(line) + (found[0] if found else 0), (), pattern)

    # Drawing

    def line_count(self) -> int:
        return self._rows.total if self._rows else self.line_total()

    def line_width(self) -> int:
        if self._rows is not None:
            return 0
        return self._widest + (STAMP if self.has_stamps else 0)

    def _line(self, number: int) -> Spans:
        return self._lines.line(number) if self._lines else ()

    def line_at(self, y: int) -> Spans:
        return self._drawn(y, is_marked=False)

    def spans_at(self, y: int) -> Spans:
        return self._drawn(y, is_marked=True)

    def _drawn(self, y: int, *, is_marked: bool) -> Spans:
        line, row = self._locate(y)
        spans = self._line(line)
        if is_marked:
            spans = self.mark(spans, line)
        if self._rows is not None:
            rows = chop(spans, self._rows.cells)
            return rows[row] if row < len(rows) else ()
        if (wide := width(spans)) > self._widest:
            self._widest = wide
            self.call_later(self.refresh_lines_now)
        return spans

    def render_line(self, y: int) -> Strip:
        if not self.has_stamps:
            return super().render_line(y)
        number = y + self.scroll_offset.y
        room = self.size.width - STAMP
        if number >= self.line_count():
            return super().render_line(y)
        text = paint(self, self.spans_at(number), self.scroll_offset.x, room)
        return Strip.join([paint(self, (self._stamp(number),), 0, STAMP), text])

    def _stamp(self, y: int) -> Span:
        line, row = self._locate(y)
        if row or self.path is None:
            return Span("")
        at = self._sightings[self.path].of(line)
        return Span(time.strftime("%H:%M:%S", time.localtime(at)) if at is not None else "–", "muted")
