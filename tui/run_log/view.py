"""The output of a run, drawn from its file."""

from collections import OrderedDict
from pathlib import Path

from tui.following import FollowingView
from tui.run_log.emulator import emulate
from tui.run_log.index import LONG, LineIndex
from tui.searching import Pattern
from tui.spans import Span, Spans, plain, width

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

    def edition(self) -> object:
        return self.path, self._generation

    def settled_lines(self) -> int:
        return self._index.complete_lines if self._index else 0

    def find_lines(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        piece = self._index.piece(begin) if self._index else b""
        if piece and pattern.rules_out(piece):
            return [], min(end, begin + piece.count(b"\n"))
        lines = piece.split(b"\n")[:-1][: end - begin]
        shown = [self._shown(begin + at, line) for at, line in enumerate(lines)] or [self._line(begin)]
        found = pattern.matching([plain(spans) for spans in shown])
        return [begin + at for at in found], begin + len(shown)

    def _shown(self, number: int, text: bytes) -> Spans:
        return emulate(text) if len(text) <= LONG else self._line(number)

    def _line(self, number: int) -> Spans:
        if self._index is None:
            return ()
        raw = self._index.line(number)
        spans = emulate(raw.text)
        if raw.is_cut and b"\r" not in raw.text:
            spans = (*spans, Span(f" … the beginning of a line of {raw.length:,} bytes", "muted"))
        return spans

    def line_count(self) -> int:
        return self._index.lines if self._index else 0

    def line_width(self) -> int:
        return self._widest

    def line_at(self, y: int) -> Spans:
        if (kept := self._lines.get(y)) is not None:
            self._lines.move_to_end(y)
            return kept
        spans = self._line(y)
        wide = width(spans)
        if wide > self._widest:
            self._widest = wide
            self.call_later(self.refresh_lines_now)
        if y < self.settled_lines():
            self._lines[y] = spans
            if len(self._lines) > LINES_KEPT:
                self._lines.popitem(last=False)
        return spans
