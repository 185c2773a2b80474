"""The lines of a run's output as they are shown, searched and measured, of a file of any size."""

from collections import OrderedDict
from pathlib import Path

from tui.run_log.emulator import emulate
from tui.run_log.index import LONG, LineIndex
from tui.run_log.wrapping import height
from tui.searching import Pattern
from tui.spans import Span, Spans, plain

KEPT = 512


class LogLines:
    """The lines of one file. ``index`` is to be advanced now and then; ``forget`` is for when the file was replaced."""

    def __init__(self, path: Path) -> None:
        self.index = LineIndex(path)
        self._kept: OrderedDict[int, Spans] = OrderedDict()

    def forget(self) -> None:
        self._kept.clear()

    @property
    def settled(self) -> int:
        """Lines that stay as they are: they have their newline."""
        return self.index.complete_lines

    @property
    def total(self) -> int:
        return self.index.lines

    def line(self, number: int) -> Spans:
        """Line ``number``, from 0."""
        if (kept := self._kept.get(number)) is not None:
            self._kept.move_to_end(number)
            return kept
        raw = self.index.line(number)
        spans = emulate(raw.text)
        if raw.is_cut and b"\r" not in raw.text:
            spans = (*spans, Span(f" … the beginning of a line of {raw.length:,} bytes", "muted"))
        if number < self.settled:
            self._kept[number] = spans
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return spans

    def find(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        """See tui.searching.Searchable.find_lines."""
        piece = self.index.piece(begin)
        if piece and pattern.rules_out(piece):
            return [], min(end, begin + piece.count(b"\n"))
        shown = self._shown(piece, begin, end)
        found = pattern.matching([plain(spans) for spans in shown])
        return [begin + at for at in found], begin + len(shown)

    def heights(self, begin: int, end: int, cells: int) -> list[int]:
        """See tui.run_log.wrapping.Measured."""
        piece = self.index.piece(begin)
        if piece.isascii() and piece.translate(None, b"\n").decode("ascii").isprintable():
            lengths = [len(line) for line in piece.split(b"\n")[:-1][: end - begin]]
            if lengths and max(lengths) <= LONG:
                return [(length - 1) // cells + 1 if length else 1 for length in lengths]
        return [height(plain(spans), cells) for spans in self._shown(piece, begin, end)]

    def _shown(self, piece: bytes, begin: int, end: int) -> list[Spans]:
        """The lines of a piece of the file that begins with line ``begin``; that one line where the piece is empty."""
        lines = piece.split(b"\n")[:-1][: end - begin]
        if not lines:
            return [self.line(begin)]
        return [emulate(line) if len(line) <= LONG else self.line(begin + at) for at, line in enumerate(lines)]
