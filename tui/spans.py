"""Styled text before it meets a widget: spans of text, each with a role.

A role names a meaning (good, bad, muted, …); which colour that is, the theme decides in one place
(tui/painter.py). So everything that composes lines is a plain function that tests can read.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.style import Style

ROLES = (
    *("muted", "strong", "good", "bad", "warn", "accent", "title", "cursor", "key", "bar", "band"),
    *("hit", "hit-here", "added", "removed"),
)


class Span(NamedTuple):
    """A piece of a line. ``role`` is one of ROLES, empty for plain text, or a style that the text brought along."""

    text: str
    role: str | Style = ""


Spans = tuple[Span, ...]


def plain(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)


def width(spans: Iterable[Span]) -> int:
    return sum(cell_len(span.text) for span in spans)


def fit(spans: Spans, cells: int) -> Spans:
    """The spans, ended with … where they are wider than ``cells``."""
    if width(spans) <= cells:
        return spans
    fitted: list[Span] = []
    left = cells - 1
    for text, role in spans:
        if cell_len(text) > left:
            fitted.append(Span(set_cell_size(text, max(0, left)).rstrip() + "…", role))
            break
        fitted.append(Span(text, role))
        left -= cell_len(text)
    return tuple(fitted) if cells > 0 else ()


def column(text: str, cells: int, *, right: bool = False) -> str:
    """``text`` in exactly ``cells`` cells, shortened with … or filled with spaces."""
    if cells <= 0:
        return ""
    size = cell_len(text)
    if size > cells:
        return set_cell_size(text, cells - 1) + "…"
    return " " * (cells - size) + text if right else text + " " * (cells - size)


def wrap(spans: Spans, cells: int, indent: int = 0) -> list[Spans]:
    """The spans on as many lines as they need, broken between words; ``indent`` from the second line on."""
    margin = [Span(" " * indent)] if indent else []
    lines: list[list[Span]] = [[]]
    used = 0
    for text, role in spans:
        for word in _words(text, max(1, cells - indent)):
            if used > indent and used + cell_len(word.rstrip()) > cells:
                last = lines[-1].pop()
                lines[-1].append(Span(last.text.rstrip(), last.role))
                lines.append(list(margin))
                used = indent
            lines[-1].append(Span(word, role))
            used += cell_len(word)
    return [tuple(line) for line in lines]


def _words(text: str, cells: int) -> list[str]:
    """The words with the spaces behind them; one that is wider than a line in pieces."""
    pieces: list[str] = []
    for word in re.findall(r"\S+\s*|\s+", text):
        if cell_len(word.rstrip()) <= cells:
            pieces.append(word)
            continue
        piece, size = "", 0
        for character in word:
            wide = cell_len(character)
            if size + wide > cells:
                pieces.append(piece)
                piece, size = "", 0
            piece += character
            size += wide
        pieces.append(piece)
    return pieces
