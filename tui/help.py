"""The help screen, made from the bindings themselves, so that it cannot be wrong."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.painter import LineView
from tui.spans import Span, Spans

ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→", "question_mark": "?", "pageup": "pgup", "pagedown": "pgdn"}
Section = tuple[str, Sequence[BindingType]]


def key_name(key: str) -> str:
    """A key as it is written on the screen: up,k → ↑ k."""
    return " ".join(ARROWS.get(each, each.replace("ctrl+", "^").replace("escape", "esc")) for each in key.split(","))


def help_lines(sections: Iterable[Section]) -> list[Spans]:
    """Every binding under its section: the key, and what it does."""
    lines: list[Spans] = []
    for title, bindings in sections:
        if lines:
            lines.append(())
        lines.append((Span(title, "title"),))
        for binding in bindings:
            if isinstance(binding, Binding):
                keys = binding.key_display or key_name(binding.key)
                lines.append((Span(f"  {keys:<12}", "key"), Span(binding.tooltip or binding.description)))
    return lines


class _HelpView(LineView):
    def __init__(self, lines: list[Spans]) -> None:
        super().__init__()
        self._lines = lines

    def on_mount(self) -> None:
        self.refresh_lines_now()

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]


class Help(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close", id="help.close", tooltip="Close the help"),
    ]

    def __init__(self, sections: Iterable[Section]) -> None:
        super().__init__()
        self._lines = help_lines(sections)

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = "keys"
            box.border_subtitle = "esc closes"
            yield _HelpView(self._lines)
