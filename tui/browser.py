"""The browser of past sessions: all of this machine's and those that were asked for, each in a line, one as a plot."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen

from engine.past import PastSession
from tui.bottom_line import key_spans
from tui.browser_lines import header_spans, preview_lines, session_spans, sorted_in, title, unreadable
from tui.browser_shelf import Shelf
from tui.painter import Lines, LineView
from tui.spans import Span, Spans, fit
from tui.text import clean, count, place

LOOK_SECONDS = 0.1


class _Line(Lines):
    """One line that somebody else composes."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._spans: Spans = ()

    def say(self, spans: Spans) -> None:
        if spans != self._spans:
            self._spans = spans
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [fit(self._spans, width)]


class _Header(Lines):
    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return [header_spans(width - 1)]


class SessionsView(LineView):
    """The table; the cursor stays on its session while others are found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up", id="past.up", tooltip="To the session above"),
        Binding("down,j", "step(1)", "down", id="past.down", tooltip="To the session below"),
        Binding("pageup", "page(-1)", "page up", id="past.page-up", tooltip="A page up", show=False),
        Binding("pagedown,space", "page(1)", "page down", id="past.page-down", tooltip="A page down", show=False),
        Binding("home", "to(0)", "first", id="past.first", tooltip="To the first session", show=False),
        Binding("end,G", "to(-1)", "last", id="past.last", tooltip="To the last session", show=False),
    ]

    class Moved(Message):
        """Another session is under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[PastSession] = []
        self.cursor = 0
        self._has_moved = False

    @property
    def chosen(self) -> PastSession | None:
        """The session under the cursor."""
        return self.sessions[self.cursor] if self.sessions else None

    def add(self, more: list[PastSession]) -> None:
        """Sort newly found sessions in."""
        before = self.chosen
        self.sessions = sorted_in(self.sessions, more)
        if before is not None and self._has_moved:
            self.cursor = next(at for at, each in enumerate(self.sessions) if each.identity == before.identity)
        self.refresh_lines_now()
        self._put_cursor(self.cursor)

    def line_count(self) -> int:
        return len(self.sessions)

    def line_role(self, y: int) -> str:
        return "cursor" if y == self.cursor else ""

    def line_at(self, y: int) -> Spans:
        return session_spans(self.sessions[y], self.room)

    def action_step(self, by: int) -> None:
        self._has_moved = True
        self._put_cursor(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.action_step(by * max(1, self.size.height - 1))

    def action_to(self, at: int) -> None:
        self._has_moved = True
        self._put_cursor(at % max(1, len(self.sessions)))

    def _put_cursor(self, at: int) -> None:
        self.cursor = min(max(0, at), max(0, len(self.sessions) - 1))
        if self.cursor < self.scroll_offset.y:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= self.scroll_offset.y + self.size.height:
            self.scroll_to(y=self.cursor - self.size.height + 1, animate=False)
        self.refresh()
        self.post_message(self.Moved())


class Preview(Lines):
    """The history of the session under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.session: PastSession | None = None

    def show(self, session: PastSession | None) -> None:
        if session is not self.session:
            self.session = session
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        return preview_lines(self.session, width, height)


class Browser(ModalScreen[None]):
    """Posts ``Opened`` for the session that the person wants to see, ``Closed`` when it has been enough."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="past.open", tooltip="Look at the session, read-only"),
        Binding("escape,b", "close", "back", id="past.close", tooltip="Back to where one came from"),
        Binding("q,ctrl+c", "app.leave", "leave", id="past.leave", tooltip="Leave the screen"),
    ]

    class Opened(Message):
        """A session is to be shown."""

        def __init__(self, session: PastSession) -> None:
            super().__init__()
            self.session = session

    class Closed(Message):
        """The browser is to be closed."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self._shelf = shelf
        self._said = ""
        self._top = _Line(id="past-top")
        self._keys = _Line(id="past-keys")
        self.table = SessionsView()
        self.preview = Preview()
        self._frame = Vertical(self.preview, id="past-preview")

    def compose(self) -> ComposeResult:
        yield self._top
        yield _Header()
        yield self.table
        yield self._frame
        yield self._keys

    def on_mount(self) -> None:
        self.table.focus()
        self._shelf.start()
        self._looking = self.set_interval(LOOK_SECONDS, self._look)
        self._look()

    def on_unmount(self) -> None:
        self._shelf.stop()

    def _look(self) -> None:
        if more := self._shelf.take():
            self.table.add(more)
        if self._shelf.is_done:
            self._looking.stop()
        self._describe()

    def say(self, sentence: str) -> None:
        """Say something in place of the keys, until the cursor moves."""
        self._said = clean(sentence)
        self._describe()

    def on_sessions_view_moved(self) -> None:
        chosen = self.table.chosen
        self.preview.show(chosen)
        if chosen is not None:
            self._frame.border_title = Content(title(chosen))
            self._frame.border_subtitle = Content(f"{place(chosen.path)}{unreadable(chosen)}")
        self._said = ""
        self._describe()

    def _describe(self) -> None:
        found = len(self.table.sessions)
        how = " · looking for more…" if not self._shelf.is_done else ""
        words = count(found, "session") if found or how else "no session was begun on this machine yet"
        self._top.say((Span(" Past runs", "title"), Span(f"   {words}{how}", "muted")))
        keys = [("↑ ↓", "choose"), ("enter", "open read-only"), ("esc", "back"), ("q", "leave")]
        self._keys.say((Span(f" {self._said}", "warn"),) if self._said else key_spans(keys, self.size.width))

    def action_open(self) -> None:
        chosen = self.table.chosen
        if chosen is None:
            self.say("There is no session to open.")
        elif chosen.trouble:
            self.say(f"It can't be opened: {chosen.trouble}")
        else:
            self.post_message(self.Opened(chosen))

    def action_close(self) -> None:
        self.post_message(self.Closed())
