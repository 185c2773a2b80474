"""The output of a run, drawn from its file: follows the end until one scrolls up, then stands still."""

from collections import OrderedDict
from pathlib import Path

from textual.message import Message
from textual.reactive import reactive

from tui.painter import LineView
from tui.run_log.emulator import emulate
from tui.run_log.index import LineIndex
from tui.spans import Span, Spans, width

LINES_KEPT = 512
CATCH_UP_SECONDS = 0.01
CATCH_UP_BYTES = 1 << 22


class RunLogView(LineView):
    """Shows ``path``; call ``look`` now and then to take in what was added."""

    following: reactive[bool] = reactive(True, repaint=False)

    class Changed(Message):
        """The view follows or stands still, or there are more lines below it."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunLogView.Changed)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._index: LineIndex | None = None
        self._lines: OrderedDict[int, Spans] = OrderedDict()
        self._widest = 0
        self._seen = (0, 0, 0)
        self._generation = 0
        self._read_upto = 0
        self._is_own_move = False
        self._is_catching_up = False

    @property
    def path(self) -> Path | None:
        return self._index.path if self._index else None

    @property
    def new_lines(self) -> int:
        """Lines that were added since the view stopped following."""
        return 0 if self.following else max(0, self.line_count() - self._read_upto)

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
        """Take in what was added to the file; a large rest is read in slices between two keys."""
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
            self.refresh_lines_now()
            if self.following:
                self._to_end()
            self.post_message(self.Changed())
        if is_behind and not self._is_catching_up:
            self._is_catching_up = True
            self.set_timer(CATCH_UP_SECONDS, self._catch_up)

    def _catch_up(self) -> None:
        self._is_catching_up = False
        self.look()

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

    def follow(self) -> None:
        """To the end, and stay there."""
        self.following = True
        self._to_end()
        self.post_message(self.Changed())

    def stand_still(self) -> None:
        """Stay at these lines, whatever is added."""
        if self.following:
            self._read_upto = self.line_count()
            self.following = False
            self.post_message(self.Changed())

    def _to_end(self) -> None:
        self._is_own_move = True
        try:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        finally:
            self._is_own_move = False

    def on_resize(self) -> None:
        if self.following:
            self.call_after_refresh(self._to_end)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._is_own_move or round(old_value) == round(new_value):
            return
        if new_value < old_value and round(new_value) < self.max_scroll_y:
            self.stand_still()
        elif round(new_value) >= self.max_scroll_y and not self.following:
            self.following = True
            self.post_message(self.Changed())
