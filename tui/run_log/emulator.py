"""One line of a training run's output as a terminal would leave it, in harmless characters and styles.

A carriage return, a backspace and the movements along the line put the cursor back, and what follows
replaces what was there. Colours become styles. Every other escape sequence (titles, clipboard, the
alternate screen, movements to other lines) and every control character is dropped.
"""

import re

from rich.ansi import SGR_STYLE_MAP
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from tui.spans import Span, Spans
from tui.text import harmless

MAX_COLUMNS = 1 << 14
"""Cells of a line that are kept; whatever is written further to the right is dropped."""
MAX_MARKS = 2
"""Combining marks that one character may carry."""

_token = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
)
_nothing = Style()
_never = frozenset({"5", "6", "8", "25", "28"})
"""Blinking, and concealed text."""


def emulate(raw: bytes) -> Spans:
    """What the bytes of one line (without its newline) leave on the screen."""
    text = raw.decode("utf-8", "replace").rstrip("\r")
    if text.isascii() and text.isprintable():
        return (Span(text),) if text else ()
    line = _Line()
    for token in _token.finditer(text):
        if (written := token["text"]) is not None:
            line.write(harmless(written))
        elif (control := token["control"]) is not None:
            line.control(control)
        elif token["final"] is not None:
            line.sequence(token["parameters"], token["final"])
    return line.spans()


class _Line:
    def __init__(self) -> None:
        self._cells: list[str] = []
        self._styles: list[Style] = []
        self._column = 0
        self._style = _nothing

    def write(self, text: str) -> None:
        if text.isascii():
            self._put(list(text))
            return
        for character in text:
            size = cell_len(character)
            if size == 0:
                self._mark(character)
            else:
                self._put([character] if size == 1 else [character, ""])

    def _put(self, cells: list[str]) -> None:
        begin = self._column
        if begin + len(cells) > MAX_COLUMNS:
            cells = cells[: max(0, MAX_COLUMNS - begin)]
            if len(cells) == 1 and cell_len(cells[0]) == 2:
                cells = []
        end = begin + len(cells)
        if begin > len(self._cells):
            gap = begin - len(self._cells)
            self._cells += [" "] * gap
            self._styles += [_nothing] * gap
        if 0 < begin < len(self._cells) and self._cells[begin] == "" and cells:
            self._cells[begin - 1] = " "  # the left half of a wide character whose right half goes
        if end < len(self._cells) and self._cells[end] == "" and cells:
            self._cells[end] = " "
        self._cells[begin:end] = cells
        self._styles[begin:end] = [self._style] * len(cells)
        self._column = end

    def _mark(self, character: str) -> None:
        at = self._column - 1
        while at > 0 and at < len(self._cells) and self._cells[at] == "":
            at -= 1
        if 0 <= at < len(self._cells) and len(self._cells[at]) <= MAX_MARKS:
            self._cells[at] += character

    def control(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(0, self._column - 1)
        elif character == "\t":
            self._column = min(MAX_COLUMNS, (self._column // 8 + 1) * 8)
        # Everything else (bells, shifts, form feeds) leaves no trace.

    def sequence(self, parameters: str, final: str) -> None:
        if final == "m":
            self._style = _sgr(self._style, parameters)
            return
        first = parameters.split(";")[0]
        number = min(MAX_COLUMNS, int(first)) if first.isascii() and first.isdigit() and len(first) < 9 else 0
        if final == "K":
            self._erase(number)
        elif final == "G":
            self._column = max(0, number - 1)
        elif final == "C":
            self._column = min(MAX_COLUMNS, self._column + max(1, number))
        elif final == "D":
            self._column = max(0, self._column - max(1, number))
        elif final == "J" and number == 2:
            self._erase(2)

    def _erase(self, how: int) -> None:
        if how == 0:
            del self._cells[self._column :], self._styles[self._column :]
        elif how == 1:
            upto = min(self._column + 1, len(self._cells))
            self._cells[:upto] = [" "] * upto
            self._styles[:upto] = [_nothing] * upto
        elif how == 2:
            self._cells.clear()
            self._styles.clear()

    def spans(self) -> Spans:
        spans: list[Span] = []
        begin = 0
        for at in range(1, len(self._cells) + 1):
            if at == len(self._cells) or self._styles[at] is not self._styles[begin]:
                style = self._styles[begin]
                spans.append(Span("".join(self._cells[begin:at]), style if style else ""))
                begin = at
        return tuple(spans)


def _sgr(style: Style, parameters: str) -> Style:
    """``style`` after a colour sequence; what it does not know it passes over."""
    codes = re.split(r"[;:]", parameters) if parameters else ["0"]
    at = 0
    while at < len(codes):
        code = codes[at].lstrip("0") or "0"
        if code == "0":
            style = _nothing
        elif code in ("38", "48"):
            color, used = _color(codes[at + 1 : at + 5])
            if color is not None:
                style += Style(color=color) if code == "38" else Style(bgcolor=color)
            at += used
        elif code not in _never and code.isdigit() and len(code) < 4 and int(code) in SGR_STYLE_MAP:
            style += Style.parse(SGR_STYLE_MAP[int(code)])
        at += 1
    return style


def _color(codes: list[str]) -> tuple[Color | None, int]:
    numbers = [int(code) if code.isascii() and code.isdigit() and len(code) < 4 else 0 for code in codes]
    if len(numbers) >= 2 and numbers[0] == 5:
        return Color.from_ansi(min(255, numbers[1])), 2
    if len(numbers) >= 4 and numbers[0] == 2:
        red, green, blue = (min(255, number) for number in numbers[1:4])
        return Color.from_rgb(red, green, blue), 4
    return None, len(numbers)
