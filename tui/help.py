"""The help screen, made from the bindings themselves, so that it cannot be wrong."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.keymap import SIGNS, Section
from tui.painter import LineView
from tui.panes.runs import MARKS, NO_VERDICT
from tui.spans import Span, Spans, wrap

ARROWS = {"up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "pgup", "pagedown": "pgdn", "escape": "esc"}
NAMES = 12
"""Cells of the column of keys and marks."""
MEANINGS = (
    (*MARKS["keep"], "Kept: better than the incumbent, or as good and simpler"),
    (*MARKS["discard"], "Discarded: no better than the incumbent; taken back"),
    (*MARKS["crash"], "Crashed: no metric, or over the time limit; taken back"),
    (
        *MARKS["checks_failed"],
        "Failed its checks: it changed a guarded file, its metric is not the evaluator's own, or "
        "autoresearch.checks.sh failed; taken back",
    ),
    (NO_VERDICT, "muted", "Skipped by a person, or lost (killed from outside): no verdict"),
    ("Δ", "muted", "Its metric minus that of the incumbent of its time"),
)
"""(mark, role, what it means) in the runs and the history."""


def key_name(key: str) -> str:
    """A key as it is written on the screen: up,k → ↑ k."""
    names = (ARROWS | SIGNS).get
    return " ".join(names(each, each.replace("ctrl+", "^")) for each in key.split(","))


def help_lines(sections: Iterable[Section], cells: int) -> list[Spans]:
    """Every binding under its section: the key, and what it does; then the marks of the runs, and theirs."""
    lines: list[Spans] = []
    for title, bindings in sections:
        lines += _title(title, lines)
        for binding in bindings:
            if isinstance(binding, Binding):
                keys = binding.key_display or key_name(binding.key)
                lines += _entry(Span(keys, "key"), binding.tooltip or binding.description, cells)
    lines += _title("The runs' marks", lines)
    for mark, role, meaning in MEANINGS:
        lines += _entry(Span(mark, role), meaning, cells)
    return lines


def _title(title: str, before: Sequence[Spans]) -> list[Spans]:
    return [*([()] if before else []), (Span(title, "title"),)]


def _entry(name: Span, meaning: str, cells: int) -> list[Spans]:
    return wrap((Span(f"  {name.text:<{NAMES}}", name.role), Span(meaning)), cells, indent=NAMES + 2)


class _HelpView(LineView):
    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self._sections = sections
        self._lines: list[Spans] = []

    def on_resize(self) -> None:
        self._lines = help_lines(self._sections, max(2 * NAMES, self.room))
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
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = "keys"
            box.border_subtitle = "esc closes"
            yield _HelpView(self._sections)
