"""The ideas that wait for their turn: read in full, put in another order, taken out."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from engine.commands import Reorder, Unqueue
from engine.events import IdeaQueued
from engine.queue import moved
from tui.help import key_name
from tui.keymap import bindings_of, effective
from tui.painter import LineView
from tui.spans import Span, Spans, fit, wrap
from tui.text import clean, clean_lines, count
from tui.view_state import ViewState

Change = Unqueue | Reorder
Ask = Callable[[Change, str], None]
"""Sends a command to the engine, and says so in words."""
SHOWN = 8
"""Lines of the idea under the cursor that are shown at most."""


def as_asked(ideas: Sequence[IdeaQueued], changes: Sequence[Change]) -> tuple[IdeaQueued, ...]:
    """The queue as it is once the engine has done what it was asked."""
    queue = tuple(ideas)
    for change in changes:
        match change:
            case Unqueue(idea=idea):
                queue = tuple(each for each in queue if each.id != idea)
            case Reorder(idea=idea, before=before):
                queue = moved(queue, idea, before)
    return queue


def queue_lines(ideas: Sequence[IdeaQueued], cursor: int, changing: set[str], cells: int) -> list[Spans]:
    """One line for each idea, and below them in full the one under the cursor."""
    if not ideas:
        return wrap((Span("No idea waits: i queues one, KNOB=value for instance.", "muted"),), cells)
    digits = len(str(len(ideas)))
    lines = []
    for number, idea in enumerate(ideas, 1):
        asked = (Span("asked … ", "accent"),) if idea.id in changing else ()
        lines.append(fit((Span(f" {number:{digits}d}  ", "muted"), *asked, Span(clean(idea.text))), cells))
    whole = [
        line
        for text in clean_lines(ideas[cursor].text)
        for line in (wrap((Span(text.strip()),), cells - 2) if text.strip() else [()])
    ]
    if len(whole) > 1 or len(clean(ideas[cursor].text)) + digits + 3 > cells:
        if len(whole) > SHOWN:
            whole = [*whole[: SHOWN - 1], (Span("…", "muted"),)]
        lines += [(), *((Span("  "), *line) for line in whole)]
    return lines


class QueueView(LineView):
    """The queue with a cursor. What was asked of the engine is shown as done, and marked until it says so."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", id="queue.up", tooltip="To the idea before"),
        Binding("down,j", "move(1)", "down", id="queue.down", tooltip="To the idea behind"),
        Binding("shift+up,K", "shift(-1)", "sooner", id="queue.sooner", tooltip="Try this idea sooner"),
        Binding("shift+down,J", "shift(1)", "later", id="queue.later", tooltip="Try this idea later"),
        Binding("x,delete", "withdraw", "take out", id="queue.withdraw", tooltip="Take this idea out of the queue"),
    ]

    def __init__(self, state: ViewState, ask: Ask) -> None:
        super().__init__()
        self._state = state
        self._send = ask
        self._changes: list[Change] = []
        """Asked by this screen; those that the engine has answered are forgotten."""
        self._cursor = ""
        """The idea that it stands on."""
        self._lines: list[Spans] = []

    @property
    def ideas(self) -> tuple[IdeaQueued, ...]:
        return as_asked(self._state.ideas, self._changes)

    def _at(self, ideas: Sequence[IdeaQueued]) -> int:
        return next((at for at, each in enumerate(ideas) if each.id == self._cursor), 0)

    def show(self, state: ViewState) -> None:
        before = self.ideas
        answered = [each for each in self._changes if each.id not in state.sent]
        self._state, self._changes = state, [each for each in self._changes if each not in answered]
        ideas = self.ideas
        if all(each.id != self._cursor for each in ideas) and ideas:
            self._cursor = ideas[min(self._at(before), len(ideas) - 1)].id
        self._make()

    def on_resize(self) -> None:
        self._make()

    def _make(self) -> None:
        ideas = self.ideas
        changing = {each.idea for each in self._changes}
        lines = queue_lines(ideas, self._at(ideas), changing, max(20, self.room))
        if lines != self._lines:
            self._lines = lines
            self.styles.height = max(3, len(lines))
            self.refresh_lines_now()
        y = self._at(ideas)
        if ideas and not self.scroll_offset.y <= y < self.scroll_offset.y + max(1, self.size.height):
            self.scroll_to(y=y, animate=False)
        self.refresh()

    def line_count(self) -> int:
        return len(self._lines)

    def line_at(self, y: int) -> Spans:
        return self._lines[y]

    def line_role(self, y: int) -> str:
        return "cursor" if self.ideas and y == self._at(self.ideas) else ""

    def action_move(self, by: int) -> None:
        if ideas := self.ideas:
            self._cursor = ideas[min(max(0, self._at(ideas) + by), len(ideas) - 1)].id
            self._make()

    def action_shift(self, by: int) -> None:
        ideas = self.ideas
        at = self._at(ideas)
        if not 0 <= at + by < len(ideas):
            return
        self._cursor = ideas[at].id
        behind = at + by + (by > 0)  # the one that it is to stand before
        before = ideas[behind].id if behind < len(ideas) else ""
        self._ask(Reorder(idea=self._cursor, before=before), f"Asked the engine to try it as number {at + by + 1}.")

    def action_withdraw(self) -> None:
        ideas = self.ideas
        if not ideas:
            return
        at = self._at(ideas)
        gone = ideas[at].id
        rest = [each for each in ideas if each.id != gone]
        self._cursor = rest[min(at, len(rest) - 1)].id if rest else ""
        self._ask(Unqueue(idea=gone), "Asked the engine to take the idea out of the queue.")

    def _ask(self, change: Change, words: str) -> None:
        self._changes.append(change)
        self._send(change, words)
        self._make()


class Queue(ModalScreen[None]):
    """The idea queue as a small screen over the others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "app.idea", "add", id="queue.add", tooltip="Queue another idea"),
        Binding("escape,q,Q", "dismiss", "close", id="queue.close", tooltip="Close the queue"),
    ]

    def __init__(self, state: ViewState, ask: Ask, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._view = QueueView(state, ask)
        self._box = Vertical(id="queue")
        self._keymap = keymap
        self._state = state

    def compose(self) -> ComposeResult:
        self._box.border_subtitle = Content(" · ".join(self._hints()))
        with self._box:
            yield self._view

    def _hints(self) -> list[str]:
        """The keys that this screen is about, those that a person chose included."""
        bindings = bindings_of([*QueueView.BINDINGS, *self.BINDINGS])
        keys = {each.id: key_name(effective(each, self._keymap).key).split() for each in bindings}
        shown = [("queue.sooner", "sooner", -1), ("queue.later", "later", -1), ("queue.withdraw", "take out", 0)]
        shown += [("queue.add", "add", 0), ("queue.close", "close", 0)]
        return [f"{keys[name][which]} {words}" for name, words, which in shown]

    def on_mount(self) -> None:
        self.show(self._state)

    def show(self, state: ViewState) -> None:
        """Show the queue as it is now; before there is anything to show it in, once there is."""
        self._state = state
        if not self._view.is_attached:
            return
        self._view.show(state)
        words = count(len(self._view.ideas), "idea") if self._view.ideas else "no ideas"
        self._box.border_title = Content(f"queue · {words}")
