"""Markdown as lines of spans: headings, lists, emphasis, code, quotes and tables, in the screen's own roles.

Whatever the text says, it becomes text: no link, no image and no markup of another kind is acted on.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.style import Style

from tui.spans import Span, Spans, column, plain, width, wrap
from tui.text import clean_lines, harmless

LONGEST = 30_000
"""Characters that are read; a document that one reads in a terminal has fewer."""
NARROWEST = 12
HEADINGS = ("key", "title", "title", "strong")
BULLET, QUOTE, RULE = "· ", "│ ", "─"
EMPHASIS = Style(italic=True)

_parser = MarkdownIt("commonmark").enable("table")


def markdown_lines(text: str, cells: int) -> list[Spans]:
    """The document as lines of at most ``cells`` cells."""
    whole = "\n".join(clean_lines(text[:LONGEST]))
    page = _Page(cells)
    for token in _parser.parse(whole):
        page.take(token)
    if len(text) > LONGEST:
        page.paragraph((Span(f"The rest, {len(text) - LONGEST:,} characters, is left out.", "warn"),))
    return page.lines


class _Page:
    """The lines so far, and what is open."""

    def __init__(self, cells: int) -> None:
        self.lines: list[Spans] = []
        self._cells = cells
        self._margins: list[tuple[Span, Span]] = []
        """Of each open list item and quote: before its first line, and before the others."""
        self._fresh: set[int] = set()
        """The margins, by their depth, whose first line is still to come."""
        self._lists: list[int | None] = []
        """Of each open list the number of its next item; None where it has bullets."""
        self._role = ""
        self._is_tight = False
        self._rows: list[list[Spans]] | None = None
        """The rows of an open table."""

    def take(self, token: Token) -> None:
        """One of the parser's tokens."""
        match token.type:
            case "heading_open":
                self._role = HEADINGS[min(int(token.tag[1:]), len(HEADINGS)) - 1]
            case "heading_close":
                self._role = ""
            case "paragraph_open":
                self._is_tight = token.hidden
            case "bullet_list_open" | "ordered_list_open":
                start = token.attrGet("start")
                self._lists.append(None if token.type.startswith("bullet") else int(1 if start is None else start))
                if len(self._lists) == 1:
                    self._gap()
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
                self._is_tight = False
            case "list_item_open":
                self._open(Span(self._marker(), "muted"))
            case "blockquote_open":
                self._gap()
                self._open(Span(QUOTE, "muted"), Span(QUOTE, "muted"))
            case "list_item_close" | "blockquote_close":
                self._fresh.discard(len(self._margins))
                self._margins.pop()
            case "table_open":
                self._rows = []
            case "tr_open" if self._rows is not None:
                self._rows.append([])
            case "table_close":
                self._table(self._rows or [])
                self._rows = None
            case "inline" if self._rows is not None:
                self._rows[-1].append(_inline(token.children or [], "strong" if len(self._rows) == 1 else ""))
            case "inline":
                self.paragraph(_inline(token.children or [], self._role))
            case "fence" | "code_block":
                self._code(token.content)
            case "html_block" if not token.content.lstrip().startswith("<!--"):
                self.paragraph((Span(_one_line(token.content), "muted"),))
            case "hr":
                self._gap()
                self._put((Span(RULE * self._room, "muted"),))

    def paragraph(self, spans: Spans) -> None:
        """Some text, apart from what is before it."""
        if not self._is_tight:
            self._gap()
        for line in wrap(spans, self._room):
            self._put(line)

    @property
    def _room(self) -> int:
        return max(NARROWEST, self._cells - sum(len(rest.text) for _, rest in self._margins))

    def _marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return BULLET
        self._lists[-1] = number + 1
        return f"{number}. "

    def _open(self, first: Span, rest: Span | None = None) -> None:
        self._margins.append((first, rest or Span(" " * len(first.text))))
        self._fresh.add(len(self._margins))

    def _gap(self) -> None:
        """An empty line, except at the beginning, after another one, and at the beginning of a list's item."""
        if self.lines and plain(self.lines[-1]).strip(f" {QUOTE}") and not self._fresh:
            self._put(())

    def _put(self, spans: Spans) -> None:
        margins = [
            first if depth in self._fresh else rest for depth, (first, rest) in enumerate(self._margins, start=1)
        ]
        self._fresh.clear()
        self.lines.append(tuple(span for span in (*margins, *spans) if span.text))

    def _code(self, text: str) -> None:
        self._gap()
        for line in text.rstrip("\n").split("\n"):
            for piece in wrap((Span("  " + harmless(line), "accent"),), self._room, indent=4) or [()]:
                self._put(piece)

    def _table(self, rows: Sequence[Sequence[Spans]]) -> None:
        """Columns where they fit, otherwise each row as a paragraph."""
        self._gap()
        columns = zip_longest(*rows, fillvalue=())
        widths = [max(width(cell) for cell in each) for each in columns]
        fits = sum(widths) + 2 * max(0, len(widths) - 1) <= self._room
        for row in rows:
            if fits:
                padded = (
                    (*cell, Span(column("", cells - width(cell) + 2))) for cell, cells in zip(row, widths, strict=False)
                )
                self._put(tuple(span for cell in padded for span in cell))
                continue
            joined = [span for cell in row for span in (*cell, Span("  "))]
            for line in wrap(tuple(joined), self._room, indent=2):
                self._put(line)


def _inline(tokens: Iterable[Token], role: str) -> Spans:
    """The text of a paragraph with its emphasis."""
    spans: list[Span] = []
    strong = emphasis = 0
    for token in tokens:
        match token.type:
            case "strong_open" | "strong_close":
                strong += token.nesting
            case "em_open" | "em_close":
                emphasis += token.nesting
            case "softbreak" | "hardbreak":
                spans.append(Span(" "))
            case "code_inline":
                spans.append(Span(_one_line(token.content), "accent"))
            case "html_inline" if not token.content.startswith("<!--"):
                spans.append(Span(_one_line(token.content), "muted"))
            case "image" | "text":
                marked: str | Style = "strong" if strong else EMPHASIS if emphasis else ""
                spans.append(Span(_one_line(token.content), role or marked))
    return tuple(span for span in spans if span.text)


def _one_line(text: str) -> str:
    """Harmless text; what an entity such as &#27; stood for included."""
    return harmless(" ".join(text.split("\n")))
