"""Widgets that draw lines of spans: only the lines in view, in the theme's colours.

This is the one place where a role becomes a style.
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.searched import SearchedView
from tui.spans import ROLES, Spans

ROLE_CLASSES: set[str] = {f"role--{role}" for role in ROLES}
HITS = ("hit", "hit-here")
"""Roles that are seen on the cursor's line too."""


def paint(widget: Widget, spans: Spans, left: int, width: int, base_role: str = "") -> Strip:
    """``spans`` as the strip of ``width`` cells from cell ``left`` on, in the widget's own colours."""
    base = widget.rich_style
    if base_role:
        base = base + widget.get_component_rich_style(f"role--{base_role}", partial=True)
    segments = []
    for text, role in spans:
        if isinstance(role, Style):
            style = base + role
        elif role and (base_role != "cursor" or role in HITS):
            style = base + widget.get_component_rich_style(f"role--{role}", partial=True)
        else:
            style = base
        segments.append(Segment(text, style))
    return Strip(segments).crop_extend(left, left + width, base)


class Lines(Widget):
    """A widget of a fixed height whose lines a subclass composes for its present width."""

    COMPONENT_CLASSES: ClassVar[set[str]] = ROLE_CLASSES

    _composed: list[Spans]
    _composed_for: tuple[int, int] | None = None

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        """What to draw."""
        raise NotImplementedError

    def lines_in_view(self) -> list[Spans]:
        """What one sees."""
        return self.compose_lines(*self.size)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if y == 0 or self._composed_for != (width, height):
            self._composed = self.compose_lines(width, height)
            self._composed_for = (width, height)
        return paint(self, self._composed[y] if y < len(self._composed) else (), 0, width)


class LineView(SearchedView, can_focus=True, inherit_bindings=False):
    """Many lines, of which only the visible ones are composed and drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = ROLE_CLASSES

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "up", id="scroll.up", tooltip="One line up", show=False),
        Binding("down,j", "scroll_down", "down", id="scroll.down", tooltip="One line down", show=False),
        Binding("pageup", "page_up", "page up", id="scroll.page-up", tooltip="One page up", show=False),
        Binding("pagedown,space", "page_down", "page down", id="scroll.page-down", tooltip="One page down", show=False),
        Binding("home", "scroll_home", "first line", id="scroll.home", tooltip="To the first line", show=False),
        Binding("end,G", "scroll_end", "last line", id="scroll.end", tooltip="To the last line", show=False),
        Binding("left,h", "scroll_left", "left", id="scroll.left", tooltip="Towards the line's beginning", show=False),
        Binding("right,l", "scroll_right", "right", id="scroll.right", tooltip="Towards the line's end", show=False),
    ]
    SIDEWAYS: ClassVar[int] = 8

    _edition = 0

    def edition(self) -> object:
        return self._edition

    @property
    def room(self) -> int:
        """Cells of a line that are seen: the last one is the scrollbar's, whether there is one or not."""
        return max(0, self.size.width - 1)

    def line_role(self, y: int) -> str:
        """A role for the whole of line ``y``, its empty end included."""
        return ""

    def line_width(self) -> int:
        """The width of the widest line, as far as it is known."""
        return 0

    def lines_in_view(self) -> list[Spans]:
        """What one sees, each line in its whole width."""
        top = self.scroll_offset.y
        return [self.line_at(y) for y in range(top, min(top + self.size.height, self.line_count()))]

    def refresh_lines_now(self) -> None:
        """Take a changed number of lines over, and draw."""
        self._edition += 1
        self.virtual_size = Size(self.line_width(), self.line_count())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        number = y + self.scroll_offset.y
        if number >= self.line_count():
            return paint(self, (), 0, self.size.width)
        spans = self.spans_at(number)
        return paint(self, spans, self.scroll_offset.x, self.size.width, self.line_role(number))

    def spans_at(self, y: int) -> Spans:
        """Line ``y`` as it is drawn: with what is looked for marked."""
        return self.mark(self.line_at(y), y)

    def action_scroll_left(self) -> None:
        self.scroll_to(x=self.scroll_offset.x - self.SIDEWAYS, animate=False)

    def action_scroll_right(self) -> None:
        self.scroll_to(x=self.scroll_offset.x + self.SIDEWAYS, animate=False)
