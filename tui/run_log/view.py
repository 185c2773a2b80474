"""The output of a run, drawn from its file."""

from collections import OrderedDict
from pathlib import Path

from tui.following import FollowingView
from tui.run_log.emulator import emulate
from tui.run_log.index import LineIndex
from tui.spans import Span, Spans, width

LINES_KEPT = 512
CATCH_UP_BYTES = 1 << 22


class RunLogView(FollowingView):
    """Shows ``path``."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._index: LineIndex | None = None
        self._lines: OrderedDict[int, Spans] = OrderedDict()
        self._widest = 0
        self._seen = (0, 0, 0)
        self._generation = 0

    @property
    def path(self) -> Path | None:
        return self._index.path if self._index else None

    def open(self, path: Path | None) -> None:
        """Show another file, from its end."""
        if path == self.path:
            return
        self.close()
        self._index = LineIndex(path) if path else None
        self._seen = (0, 0, 0)
        self._forget()
        self.following = True
        self.scroll_to(x=0, animate=False)
        self.look()

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def on_unmount(self) -> None:
        self.close()

    def look(self) -> None:
        """Take in what was added to the file; a large rest is read in slices."""
        if self._index is None:
            self.refresh_lines_now()
            return
        is_behind = self._index.advance(CATCH_UP_BYTES)
        if self._index.generation != self._generation:
            self._generation = self._index.generation
            self._forget()
        seen = (self._generation, self._index.lines, self._index.scanned)
        if seen != self._seen:
            self._seen = seen
            self.show_lines()
        if is_behind:
            self.catch_up()

    def _forget(self) -> None:
        self._lines.clear()
        self._widest = 0

    def line_count(self) -> int:
        return self._index.lines if self._index else 0

    def line_width(self) -> int:
        return self._widest

    def line_at(self, y: int) -> Spans:
        if (kept := self._lines.get(y)) is not None:
            self._lines.move_to_end(y)
            return kept
        if self._index is None:
            return ()
        raw = self._index.line(y)
        spans = emulate(raw.text)
        if raw.is_cut and b"\r" not in raw.text:
            spans = (*spans, Span(f" … the beginning of a line of {raw.length:,} bytes", "muted"))
        wide = width(spans)
        if wide > self._widest:
            self._widest = wide
            self.call_later(self.refresh_lines_now)
        if y < self._index.complete_lines:
            self._lines[y] = spans
            if len(self._lines) > LINES_KEPT:
                self._lines.popitem(last=False)
        return spans
