"""Where the lines of a growing file are, in a few bytes per 64 KiB of it.

For every block of the file the index holds how many newlines come before it. A line is found by
bisection and by reading one block, so ten million lines cost about a hundred kilobytes of memory,
and a line of 100 MB is no more than many blocks without a newline.
"""

import os
from array import array
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 16
READ_AT_ONCE = 1 << 22
LONG = 1 << 14
"""A line of more bytes than this is not read as a whole."""
TAIL = 1 << 12
BLOCKS_KEPT = 8


@dataclass(frozen=True)
class RawLine:
    """A line's bytes without its newline. ``length`` is its true length, where ``text`` is only a part of it."""

    text: bytes
    length: int

    @property
    def is_cut(self) -> bool:
        return len(self.text) < self.length


class LineIndex:
    """The lines of one file, which may grow, be replaced or not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        """Counts how often the file was replaced: what was remembered of it is void then."""
        self._file: int | None = None
        self._inode = 0
        self._reset()

    def _reset(self) -> None:
        self._before = array("Q", [0])
        self._newlines = 0
        self._scanned = 0
        self._last_newline = -1
        self._size = 0
        self._positions: OrderedDict[int, list[int]] = OrderedDict()

    @property
    def complete_lines(self) -> int:
        """Lines that have their newline."""
        return self._newlines

    @property
    def lines(self) -> int:
        """All lines, an unfinished last one included."""
        return self._newlines + (self._scanned > self._last_newline + 1)

    @property
    def scanned(self) -> int:
        """Bytes that are indexed."""
        return self._scanned

    @property
    def size(self) -> int:
        """Bytes that the file had when it was last looked at."""
        return self._size

    def advance(self, budget: int = READ_AT_ONCE) -> bool:
        """Index what was added, at most ``budget`` bytes; whether there is more to index."""
        if not self._open():
            return False
        assert self._file is not None
        end = min(self._size, self._scanned + budget)
        while self._scanned < end:
            chunk = os.pread(self._file, min(end - self._scanned, BLOCK - self._scanned % BLOCK), self._scanned)
            if not chunk:
                break
            last = chunk.rfind(b"\n")
            if last >= 0:
                self._newlines += chunk.count(b"\n")
                self._last_newline = self._scanned + last
                self._positions.pop(self._scanned // BLOCK, None)
            self._scanned += len(chunk)
            if self._scanned % BLOCK == 0:
                self._before.append(self._newlines)
        return self._scanned < self._size

    def line(self, number: int) -> RawLine:
        """Line ``number``, from 0; of a very long one its beginning, or its end if that was rewritten with \\r."""
        if self._file is None or not 0 <= number < self.lines:
            return RawLine(b"", 0)
        start = self._newline(number) + 1 if number else 0
        end = self._newline(number + 1) if number < self._newlines else self._scanned
        length = end - start
        if length <= LONG:
            return RawLine(os.pread(self._file, length, start), length)
        tail = os.pread(self._file, TAIL, end - TAIL)
        if b"\r" in tail.rstrip(b"\r"):
            return RawLine(tail[tail.index(b"\r") + 1 :], length)
        return RawLine(os.pread(self._file, LONG, start), length)

    def piece(self, number: int) -> bytes:
        """Line ``number`` and those after it, with their newlines: as many whole ones as fit in a block, maybe none."""
        if self._file is None or not 0 <= number < self._newlines:
            return b""
        start = self._newline(number) + 1 if number else 0
        text = os.pread(self._file, min(BLOCK, self._scanned - start), start)
        return text[: text.rfind(b"\n") + 1]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        if self._file is not None and (there.st_ino != self._inode or there.st_size < self._scanned):
            self.close()
            self._reset()
            self.generation += 1
        if self._file is None:
            try:
                self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
            self._inode = there.st_ino
        self._size = there.st_size
        return True

    def _newline(self, nth: int) -> int:
        """Where the ``nth`` newline is, from 1."""
        block = bisect_left(self._before, nth) - 1
        return self._positions_in(block)[nth - self._before[block] - 1]

    def _positions_in(self, block: int) -> list[int]:
        positions = self._positions.get(block)
        if positions is None:
            assert self._file is not None
            begin = block * BLOCK
            text = os.pread(self._file, min(BLOCK, self._scanned - begin), begin)
            positions, at = [], text.find(b"\n")
            while at >= 0:
                positions.append(begin + at)
                at = text.find(b"\n", at + 1)
            self._positions[block] = positions
            if len(self._positions) > BLOCKS_KEPT:
                self._positions.popitem(last=False)
        return positions
