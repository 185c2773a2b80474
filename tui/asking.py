"""The questions that take the bottom line: a sentence to type, or one key out of a few."""

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui.bottom_line import key_spans
from tui.painter import Lines
from tui.spans import Span, Spans, fit, width

LONGEST = 4000
"""Characters of a message; more is a document, and belongs in program.md."""


class Sentence(ModalScreen[str | None]):
    """Asks for one line; None where the person thinks better of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="sentence.cancel", tooltip="Send nothing"),
    ]

    def __init__(self, label: str, hint: str) -> None:
        super().__init__()
        self._label = label
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Horizontal(classes="asking"):
            yield Label(f" {self._label} ", markup=False)
            box = Input(placeholder=self._hint, max_length=LONGEST, compact=True)
            box.cursor_blink = False
            yield box

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    def action_cancel(self) -> None:
        self.dismiss(None)


class _Choices(Lines, can_focus=True):
    def __init__(self, question: str, choices: Mapping[str, str]) -> None:
        super().__init__()
        self._question = question
        self._choices = choices

    def compose_lines(self, width_: int, height: int) -> list[Spans]:
        keys = key_spans([*self._choices.items(), ("esc", "cancel")], width_)
        question = fit((Span(f" {self._question} ", "warn"),), max(0, width_ - width(keys)))
        return [(*question, *keys)]


class Question(ModalScreen[str | None]):
    """Asks for one of a few keys; anything that is none of them is not taken, escape cancels."""

    def __init__(self, question: str, choices: Mapping[str, str]) -> None:
        super().__init__()
        self._question = question
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Horizontal(classes="asking"):
            yield _Choices(self._question, self._choices)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key in self._choices:
            self.dismiss(event.key)
        elif event.key == "escape":
            self.dismiss(None)
