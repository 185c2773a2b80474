"""A transcript as paragraphs that are wrapped to a width: grows at its end, and counts its lines in slices.

Of each paragraph only the number of its lines is kept, so that 16 MB take the memory of their text and little
more, and a narrower window costs a fraction of a second.
"""

import re
from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import NamedTuple

from rich.cells import cell_len

from engine.transcript import STREAMED, Said
from tui.spans import Span, Spans
from tui.text import clean_lines, harmless

LONGEST = 4000
"""Characters of a paragraph; a longer one is continued in the next."""
DEEPEST = 12
"""Cells that a paragraph is indented, at most."""
KEPT = 64
"""Wrapped paragraphs that are remembered, for the next drawing."""
COUNTED_AT_ONCE = 1 << 18
"""Characters."""


class Manner(NamedTuple):
    """How a kind looks. ``mark`` stands before its first line, and the others are indented by as much."""

    role: str
    mark: str = ""


MANNERS = {
    "thought": Manner("muted", "  "),
    "message": Manner(""),
    "plan": Manner("title", "  "),
    "tool": Manner("accent", "▸ "),
    "wait": Manner("warn", "… "),
    "refused": Manner("warn", "! "),
    "error": Manner("bad", "× "),
}
STEPS = ("tool", "wait", "refused", "error")
"""Kinds that stand close together, without an empty line between them."""


class Paragraph(NamedTuple):
    kind: str
    text: str
    is_first: bool
    """The first of its piece."""
    is_apart: bool
    """An empty line stands before it."""


class Flow:
    """Call ``advance`` after ``add`` and ``set_width`` until all lines are counted."""

    def __init__(self) -> None:
        self._paragraphs: list[Paragraph] = []
        self._is_open = False
        """What comes next of the same kind goes on in the last paragraph."""
        self._is_apart = False
        """An empty line was said."""
        self._ends = array("L")
        """Of each paragraph that is counted: the number of lines up to its end."""
        self._cells = 0
        self._wrapped: OrderedDict[int, list[Spans]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._paragraphs)

    @property
    def lines(self) -> int:
        """As far as they are counted."""
        return self._ends[-1] if self._ends else 0

    @property
    def settled_lines(self) -> int:
        """Lines that stay as they are: all but those of the last paragraph, which may go on."""
        return self._ends[len(self._paragraphs) - 2] if 1 < len(self._paragraphs) == len(self._ends) else 0

    def add(self, said: Said) -> None:
        """What was said next."""
        kind = said.kind if said.kind in MANNERS else "message"
        streams = kind in STREAMED
        before = self._paragraphs[-1].kind if self._paragraphs else kind
        self._is_open = self._is_open and streams and kind == before
        if kind != before and not (kind in STEPS and before in STEPS):
            self._is_apart = True
        lines = clean_lines(said.text if streams else said.text.strip())
        for at, line in enumerate(lines):
            is_whole = at < len(lines) - 1
            if self._is_open:
                self._grow(line)
            elif line.strip():
                self._append(Paragraph(kind, line, at == 0, self._is_apart and bool(self._paragraphs)))
                self._is_apart = False
                self._is_open = streams
            elif is_whole:
                self._is_apart = True
            self._is_open = self._is_open and not is_whole

    def _grow(self, text: str) -> None:
        """The last paragraph goes on."""
        last = self._paragraphs.pop()
        del self._ends[len(self._paragraphs) :]
        self._wrapped.pop(len(self._paragraphs), None)
        self._append(last._replace(text=harmless(last.text + text)))

    def _append(self, paragraph: Paragraph) -> None:
        while len(paragraph.text) > LONGEST:
            cut = paragraph.text.rfind(" ", LONGEST // 2, LONGEST) + 1 or LONGEST
            self._paragraphs.append(paragraph._replace(text=paragraph.text[:cut]))
            paragraph = Paragraph(paragraph.kind, paragraph.text[cut:], False, False)
        self._paragraphs.append(paragraph)

    @property
    def cells(self) -> int:
        """The width that it is wrapped to; 0 before ``set_width``."""
        return self._cells

    def set_width(self, cells: int) -> None:
        """Wrap to another width: all lines are to be counted again."""
        self._cells = cells
        self._wrapped.clear()
        del self._ends[:]

    def advance(self, characters: int = COUNTED_AT_ONCE) -> bool:
        """Count the lines of some more paragraphs; whether there are more to count."""
        if not self._cells:
            return False
        total = self.lines
        while characters > 0 and len(self._ends) < len(self._paragraphs):
            paragraph = self._paragraphs[len(self._ends)]
            total += paragraph.is_apart + len(self._laid_out(paragraph)[-1])
            self._ends.append(total)
            characters -= len(paragraph.text) + 1
        return len(self._ends) < len(self._paragraphs)

    def paragraph_at(self, y: int) -> int:
        """The number of the paragraph that line ``y`` belongs to."""
        return bisect_right(self._ends, y)

    def first_line(self, paragraph: int) -> int:
        """Where a paragraph begins."""
        return self._ends[min(paragraph, len(self._ends)) - 1] if paragraph and self._ends else 0

    def place_of(self, y: int) -> float:
        """Where line ``y`` is, whatever the width: the number of its paragraph, and the share of it that is above."""
        number = self.paragraph_at(y)
        if number >= len(self._ends):
            return number
        first = self.first_line(number)
        return number + (y - first) / (self._ends[number] - first)

    def line_of(self, place: float) -> int:
        """The line that has the text at a place."""
        number = int(place)
        first = self.first_line(number)
        if number >= len(self._ends):
            return first
        return first + round((place - number) * (self._ends[number] - first))

    def line_at(self, y: int) -> Spans:
        """Line ``y``, from 0."""
        number = self.paragraph_at(y)
        lines = self._wrapped.get(number)
        if lines is None:
            lines = self._wrapped[number] = self._lines_of(self._paragraphs[number])
            if len(self._wrapped) > KEPT:
                self._wrapped.popitem(last=False)
        return lines[y - self.first_line(number)]

    def _lines_of(self, paragraph: Paragraph) -> list[Spans]:
        role, mark = MANNERS[paragraph.kind]
        lead, body, slices = self._laid_out(paragraph)
        first = (mark if paragraph.is_first else " " * len(mark)) + lead
        lines: list[Spans] = [()] if paragraph.is_apart else []
        for begin, end in slices:
            before = first if not begin else " " * len(first)
            lines.append((Span(before + body[begin:end].rstrip(), role),))
        return lines

    def _laid_out(self, paragraph: Paragraph) -> tuple[str, str, list[tuple[int, int]]]:
        """What the first line begins with (spaces, a bullet), the text after it, and the slices of it."""
        room = self._cells - len(MANNERS[paragraph.kind].mark)
        found = _lead.match(paragraph.text)
        lead = found[0] if found else ""
        body = paragraph.text[len(lead) :].rstrip()
        lead = lead[-min(DEEPEST, room // 3) :]
        return lead, body, breaks(body, room - len(lead))


_lead = re.compile(r"\s*(?:(?:[-*•]|\d{1,2}[.)]) )?")


def breaks(text: str, cells: int) -> list[tuple[int, int]]:
    """(begin, end) of each of the lines that a text is broken into, between words where it can be."""
    lines = []
    begin = 0
    while (end := _reach(text, begin, cells)) < len(text):
        space = text.rfind(" ", begin, end + 1)
        end = space if space > begin else end
        lines.append((begin, end))
        begin = end
        while text[begin] == " ":
            begin += 1
    return [*lines, (begin, len(text))]


def _reach(text: str, begin: int, cells: int) -> int:
    """How far a line from ``begin`` on can go; at least one character."""
    end = min(len(text), begin + cells)
    size = end - begin if text.isascii() else cell_len(text[begin:end])
    while size > cells and end > begin + 1:
        end -= 1
        size -= cell_len(text[end])
    return end
