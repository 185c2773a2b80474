"""Searching in the lines of a view: what is looked for, and where it was found so far.

A search begins where one looks, goes on to the end and then from the first line, in slices between two keys. What it
holds is the numbers of the lines: ``n`` goes to them. Nothing that is typed can stop the screen: a regular expression
that takes too long is broken off.
"""

import re
import signal
import time
import warnings
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from rich.cells import cell_len

from tui.spans import Span, Spans, column, plain
from tui.text import clean

HITS_KEPT = 1 << 20
"""Lines that are found at most: 8 MiB."""
SLICE_SECONDS = 0.005
PATIENCE_SECONDS = 0.25
"""What a regular expression may take for one piece of a file."""
MARKED_IN_A_LINE = 500
LABEL = 24
"""Cells of the title that a pattern may take."""


class TooSlowError(Exception):
    """A regular expression was broken off."""


_is_timed = False


def _ring(signum: int, frame: FrameType | None) -> None:
    if _is_timed:
        raise TooSlowError


@contextmanager
def _patience() -> Iterator[None]:
    """Raises TooSlowError out of a long match: ``re`` looks for signals while it works. In the main thread only."""
    global _is_timed
    signal.signal(signal.SIGALRM, _ring)
    _is_timed = True
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    try:
        yield
    finally:
        _is_timed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


class Pattern:
    """What a person looks for: plain text, or a regular expression as /expression/. Lower case finds capitals too.

    Raises ValueError, with a sentence for the person.
    """

    def __init__(self, text: str) -> None:
        is_expression = len(text) > 2 and text[0] == text[-1] == "/"
        source = text[1:-1] if is_expression else text
        minds_case = any(character.isupper() for character in re.sub(r"\\.", "", source))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they would be printed over the screen
                flags = re.NOFLAG if minds_case else re.IGNORECASE
                self._expression = re.compile(source if is_expression else re.escape(source), flags)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"That is no regular expression: {error}.") from error
        is_simple = not is_expression and source.isascii() and source.isprintable()
        self._bytes = source.encode() if is_simple else None
        self._minds_case = minds_case
        self.label = column(clean(text), LABEL).rstrip()

    def rules_out(self, lines: bytes) -> bool:
        """Whether a piece of a file can quickly be seen to have none of it."""
        if self._bytes is None or not lines.isascii():
            return False
        if not lines.translate(None, b"\n").decode("ascii").isprintable():
            return False  # what a terminal would show of it is another text
        return self._bytes not in (lines if self._minds_case else lines.lower())

    def matching(self, texts: Sequence[str]) -> list[int]:
        """Which of the texts have it."""
        search = self._expression.search
        with _patience():
            return [at for at, text in enumerate(texts) if search(text)]

    def ranges(self, text: str) -> list[tuple[int, int]]:
        """(begin, end) of each place where a text has it."""
        found = []
        with _patience():
            for match in self._expression.finditer(text):
                if match.end() > match.start():
                    found.append(match.span())
                if len(found) == MARKED_IN_A_LINE:
                    break
        return found


class Searchable(Protocol):
    """Lines that grow at their end."""

    def settled_lines(self) -> int:
        """Lines, from the first on, that stay as they are."""

    def line_total(self) -> int:
        """All lines; the ones that may still change are few."""

    def find_lines(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        """Of some lines from ``begin`` on, ``end`` excluded: the numbers of those that match, and the next to look at.

        Takes a few milliseconds at most.
        """


class Search:
    """The lines where ``pattern`` is, as far as they are known; looked for from ``origin`` on, a settled line."""

    def __init__(self, pattern: Pattern, origin: int = 0) -> None:
        self.pattern = pattern
        self.current: int | None = None
        """The line that was gone to."""
        self._origin = self._looked_below = origin
        self._looked_above = 0
        self._above, self._below = array("Q"), array("Q")
        self._unsettled: list[int] = []
        self._settled = origin
        """What there was to look at, at the last look."""

    def anew(self) -> "Search":
        """The same search in lines that are not the same any more."""
        search = Search(self.pattern)
        search.current = self.current
        return search

    def advance(self, lines: Searchable, clock: Callable[[], float] = time.monotonic) -> bool:
        """Look at some more lines; whether there are more. Raises TooSlowError."""
        end = clock() + SLICE_SECONDS
        self._settled = lines.settled_lines()
        while not self.is_done:
            if self._looked_below < self._settled:
                found, self._looked_below = lines.find_lines(self.pattern, self._looked_below, self._settled)
                self._below.extend(found)
            else:
                found, self._looked_above = lines.find_lines(self.pattern, self._looked_above, self._origin)
                self._above.extend(found)
            if clock() >= end:  # after something was looked at: a busy machine must not keep a search where it is
                break
        if self._looked_below >= self._settled:
            self._unsettled, at = [], lines.settled_lines()
            while at < lines.line_total():
                found, at = lines.find_lines(self.pattern, at, lines.line_total())
                self._unsettled += found
        return not self.is_done

    @property
    def is_done(self) -> bool:
        return self.is_full or (self._looked_below >= self._settled and self._looked_above >= self._origin)

    @property
    def is_full(self) -> bool:
        """So many were found that the rest is not looked for."""
        return len(self._above) + len(self._below) >= HITS_KEPT

    @property
    def count(self) -> int:
        return len(self._above) + len(self._below) + len(self._unsettled)

    def step(self, line: int, by: int) -> tuple[int, bool] | None:
        """The next line found after ``line`` (by = 1), or before it (−1), and whether that is round the end.

        None where it is not known yet, or where there is none: ``is_done`` tells.
        """
        at = self._rank(line + 1) if by > 0 else self._rank(line) - 1
        is_round = not 0 <= at < self.count
        if not self.count:
            return None
        hit = self._hit(at % self.count)
        return (hit, is_round) if self.is_done or self._is_sure(line, hit, by, is_round) else None

    def _is_sure(self, line: int, hit: int, by: int, is_round: bool) -> bool:
        """Nothing that is not looked at yet lies between."""
        is_all_below = self._looked_below >= self._settled
        low, high = (line + 1, hit) if by > 0 else (hit, line - 1)
        if is_round:
            return by > 0 and is_all_below and low >= self._origin and hit < self._looked_above
        return high < self._looked_above or (low >= self._origin and (is_all_below or high < self._looked_below))

    def _rank(self, line: int) -> int:
        """How many of those found are above a line."""
        rank = bisect_left(self._above, line)
        rank += bisect_left(self._below, line)
        return rank + bisect_left(self._unsettled, line)

    def _hit(self, at: int) -> int:
        for part in (self._above, self._below, self._unsettled):
            if at < len(part):
                return part[at]
            at -= len(part)
        raise IndexError(at)

    def words(self) -> str:
        """For a title: /loss 3 of 17."""
        if not self.is_done:
            looked = self._looked_above + self._looked_below - self._origin
            found = f"{self.count:,} so far, {100 * looked // max(1, self._settled)}%"
        elif not self.count:
            found = "not found"
        else:
            total = f"{self.count:,}" + ("+" if self.is_full else "")
            at = self._rank(self.current) if self.current is not None else self.count
            is_there = at < self.count and self._hit(at) == self.current
            found = f"{at + 1:,} of {total}" if is_there else f"{total} found"
        return f"/{self.pattern.label.removeprefix('/')} {found}"


def marked(spans: Spans, pattern: Pattern, role: str) -> Spans:
    """The spans, with everything that matches in another role. Raises TooSlowError."""
    text = plain(spans)
    ranges = pattern.ranges(text) if text else []
    if not ranges:
        return spans
    left = iter([*ranges, (len(text), len(text))])
    begin, end = next(left)
    result: list[Span] = []
    at = stop = 0
    for span in spans:
        stop += len(span.text)
        while at < stop:
            while end <= at:
                begin, end = next(left, (len(text), len(text) + 1))
            cut, shown = (begin, span.role) if at < begin else (end, role)
            cut = min(cut, stop)
            result.append(Span(text[at:cut], shown))
            at = cut
    return tuple(result)


def cells_of(spans: Spans, pattern: Pattern) -> tuple[int, int]:
    """The cells (from, to) of the first place that matches in a line. Raises TooSlowError."""
    text = plain(spans)
    begin, end = next(iter(pattern.ranges(text)), (0, 0))
    return cell_len(text[:begin]), cell_len(text[:end])
