"""A view of lines that can be searched in: it goes to what is found, and marks it in every line that it draws."""

from textual.message import Message
from textual.scroll_view import ScrollView

from tui.searching import Pattern, Search, TooSlowError, cells_of, marked
from tui.spans import Spans, plain

AGAIN_SECONDS = 0.01
LINES_AT_ONCE = 128
LINES_BESIDE = 3
"""Lines that are shown above or below one that was gone to."""


class SearchedView(ScrollView, inherit_bindings=False):
    """``search_on`` is to be called when lines may have been added or changed."""

    class Said(Message):
        """What a search has to say to the person."""

        def __init__(self, text: str, role: str = "") -> None:
            super().__init__()
            self.text = text
            self.role = role

    _search: Search | None = None
    _searched: object = None
    """The edition that the search is about."""
    _wanted = 0
    """The way to a line that is not found yet: 1 down, −1 up, 0 where none is to be gone to."""
    _is_waiting = False

    def line_count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def line_at(self, y: int) -> Spans:
        """Line ``y``, from 0."""
        raise NotImplementedError

    # What a view says of its lines where they are many, or grow

    def edition(self) -> object:
        """Changes when lines that were settled are not the same any more."""
        return 0

    def settled_lines(self) -> int:
        """See tui.searching.Searchable."""
        return self.line_count()

    def line_total(self) -> int:
        """See tui.searching.Searchable."""
        return self.line_count()

    def find_lines(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        """See tui.searching.Searchable."""
        end = min(end, begin + LINES_AT_ONCE)
        found = pattern.matching([self.text_at(line) for line in range(begin, end)])
        return [begin + at for at in found], end

    def text_at(self, line: int) -> str:
        """What of a line is searched."""
        return plain(self.line_at(line))

    def sees(self, line: int) -> bool:
        """Whether a line is in view."""
        return 0 <= line - self.scroll_offset.y < self.size.height

    def line_in_view(self) -> int:
        """The first line that one sees."""
        return min(self.scroll_offset.y, self.line_count())

    def go_to_line(self, line: int, pattern: Pattern) -> None:
        """Have a line that was found in view, and the place in it."""
        self.show_row(line, self.line_at(line), pattern)

    def show_row(self, y: int, spans: Spans, pattern: Pattern) -> None:
        """Scroll no further than it takes to see where the spans, which are drawn at ``y``, have it."""
        top, left = self.scroll_offset.y, self.scroll_offset.x
        width, height = self.size
        beside = min(LINES_BESIDE, (height - 1) // 2)
        if not top + beside <= y < top + height - beside:
            top = y - beside if y < top + beside else y - height + 1 + beside
        begin, end = cells_of(spans, pattern)
        if not left <= begin <= end <= left + width:
            left = max(0, min(begin, end - width) if end <= width else begin - width // 4)
        self.move_to(max(0, top), left)

    def move_to(self, y: float, x: float | None = None) -> None:
        """Scroll there at once."""
        self.scroll_to(x=x, y=y, animate=False, force=True)

    # What the person asks for

    @property
    def found(self) -> str:
        """For the title: what is looked for, and how often it is there; empty while nothing is."""
        return self._search.words() if self._search else ""

    def look_for(self, pattern: Pattern | None) -> None:
        """Look for something from the first line in view on, and go there; None: for nothing any more."""
        origin = min(self.line_in_view(), self.settled_lines())
        self._search = Search(pattern, origin) if pattern else None
        self._searched = self.edition()
        self.seek(1)
        self.refresh()

    def seek(self, by: int) -> None:
        """Go to the next line that was found (1) or to the one before (−1), round the end where need be."""
        self._wanted = by
        self.search_on()

    def search_on(self) -> None:
        """Look at some more lines, and again between two keys where that was not all."""
        search = self._search
        if search is None:
            return
        if self._searched != self.edition():
            self._searched = self.edition()
            search = self._search = search.anew()
        try:
            has_more = search.advance(self)
            if self._wanted:
                self._go(search)
        except TooSlowError:
            self._break_off()
            return
        if has_more and not self._is_waiting:
            self._is_waiting = True
            self.set_timer(AGAIN_SECONDS, self._search_again)

    def _search_again(self) -> None:
        self._is_waiting = False
        self.search_on()

    def _go(self, search: Search) -> None:
        by = self._wanted
        here = search.current
        if here is None or not self.sees(here):
            here = self.line_in_view() - (by > 0)
        step = search.step(here, by)
        if step is None and not search.is_done:
            return
        self._wanted = 0
        if step is None:
            self.post_message(self.Said(f"{search.pattern.label} is not there.", "warn"))
            return
        search.current, is_round = step
        if is_round:
            self.post_message(
                self.Said("Round the end: on from the top." if by > 0 else "Round the top: on from the end.")
            )
        self.go_to_line(search.current, search.pattern)
        self.refresh()

    def _break_off(self) -> None:
        self._search = None
        self.refresh()
        self.post_message(self.Said("That expression takes too long on these lines: write a simpler one.", "bad"))

    def mark(self, spans: Spans, line: int) -> Spans:
        """The spans of a line, with what is looked for in another colour."""
        if self._search is None:
            return spans
        try:
            return marked(spans, self._search.pattern, "hit-here" if line == self._search.current else "hit")
        except TooSlowError:
            self.call_later(self._break_off)
            return spans
