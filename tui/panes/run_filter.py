"""The line in which one types which runs are to be shown; the table follows each key."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from tui.run_filter import HINT

LONGEST = 400
"""Characters of a filter."""


class FilterPrompt(ModalScreen[None]):
    """Enter keeps the filter, escape shows every run again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "clear", id="filter.clear", tooltip="Show every run"),
    ]

    def __init__(self, text: str, show_only: Callable[[str], str]) -> None:
        """``show_only`` takes a filter over, or says what is wrong with it."""
        super().__init__()
        self._text = text
        self._show_only = show_only
        self._problem = Static(classes="problem", markup=False)

    def compose(self) -> ComposeResult:
        yield self._problem
        with Horizontal(classes="asking"):
            yield Label(" filter ", markup=False)
            box = Input(self._text, placeholder=HINT, max_length=LONGEST, compact=True, select_on_focus=False)
            box.cursor_blink = False
            yield box

    def on_input_changed(self, event: Input.Changed) -> None:
        self._take(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._take(event.value):
            self.dismiss()

    def _take(self, text: str) -> bool:
        problem = self._show_only(text)
        self._problem.update(problem)
        self._problem.display = bool(problem)
        return not problem

    def action_clear(self) -> None:
        self._show_only("")
        self.dismiss()
