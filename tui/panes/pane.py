"""What the panes have in common: a frame with a title, a body that takes the keys, words instead of an empty box."""

from dataclasses import dataclass

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.workspace import Workspace
from tui.painter import Lines, LineView
from tui.searched import SearchedView
from tui.spans import plain
from tui.view_state import Subject, ViewState


@dataclass(frozen=True)
class View:
    """What the screen shows at a moment: the session, and the experiment that one looks at."""

    workspace: Workspace
    state: ViewState
    selected: int | None
    subject: Subject | None
    now: float


class Pane(Vertical):
    """``NUMBER`` is the key that goes to it, ``NAME`` its title."""

    NUMBER = ""
    NAME = ""
    NOTE_MATTERS = False
    """Where there is little room, what it is about goes before its note does."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.instead = Static(classes="instead", markup=False)
        self._said = ("", "", "")
        self._titles: tuple[str, str, str] | None = None
        self._words_instead = ""

    def on_mount(self) -> None:
        self.entitle()

    def entitle(self, about: str = "", note: str = "", warning: str = "") -> None:
        """The title, what it is about with a warning behind it, and a note at the frame's lower edge."""
        self._said = (about, note, warning)
        about = " · ".join(part for part in (self.found, about) if part)
        if (about, note, warning) == self._titles:
            return
        self._titles = (about, note, warning)
        warned = (f" · {warning}", "$warning") if warning else ""
        title = Content.assemble((self.NUMBER, "bold"), f" {self.NAME}", f" · {about}" if about else "", warned)
        self.border_title = title  # a Content is taken as it is; a str would be read as markup
        self.border_subtitle = Content(note)

    @property
    def found(self) -> str:
        """What is looked for in the body, and how often it is there."""
        return self.body.found if isinstance(self.body, SearchedView) else ""

    def search_on(self) -> None:
        """Take what is new into a search."""
        if isinstance(self.body, SearchedView):
            self.body.search_on()
            self.entitle(*self._said)

    @property
    def about(self) -> str:
        """What the title says besides the name and a warning, and the note."""
        return " · ".join(part for part in (self._titles or ())[:2] if part)

    def abouts(self) -> tuple[str, ...]:
        """``about`` in full, and in ever fewer words for where there is less room."""
        about, note, _ = self._said
        notes = note.split(" · ")
        in_little = (self.found, *notes) if self.NOTE_MATTERS else (self.found, about)
        in_less = (self.found, notes[-1] if self.NOTE_MATTERS else "" if self.found else about)
        shorter = (" · ".join(part for part in parts if part) for parts in (in_little, in_less))
        return tuple(dict.fromkeys((self.about, *shorter)))

    def show(self, view: View) -> None:
        """Show this view."""
        raise NotImplementedError

    @property
    def body(self) -> Widget:
        """What takes the keys."""
        raise NotImplementedError

    def copied(self) -> str:
        """What ``y`` copies: the lines that one sees; empty where there are none."""
        body = self.body
        if self._words_instead or not isinstance(body, LineView | Lines):
            return ""
        return "\n".join(plain(line).rstrip() for line in body.lines_in_view())

    def say_instead(self, words: str) -> None:
        """Show ``words`` in place of the body, or (empty) the body."""
        if words == self._words_instead:
            return
        self._words_instead = words
        self.instead.update(Content(words))
        self.instead.display = bool(words)
        self.body.set_class(bool(words), "-hidden")
