"""What the parts of the viewer have in common: the session that is looked at, and a word to the person."""

from collections.abc import Callable

from textual.app import App

from engine.workspace import Workspace
from tui.main_screen import MainScreen
from tui.session import Session
from tui.view_state import Notice, ViewState


class Looker(App[None], inherit_bindings=False):
    """Shows a session, and says what comes of a key."""

    workspace: Workspace
    session: Session
    main: MainScreen
    selected: int | None
    """The run that the person looks at; None: the live one."""
    _clock: Callable[[], float]
    _own_notice: Notice | None = None
    _keys_of: dict[str, str]
    """The keys that a person gave to bindings, by their ids."""

    @property
    def state(self) -> ViewState:
        return self.session.state

    @property
    def is_past(self) -> bool:
        """A past session is shown, and nothing may be asked of its engine."""
        raise NotImplementedError

    def come_back(self) -> None:
        """From a past session to the list of them."""
        raise NotImplementedError

    def refresh_view(self) -> None:
        """Show what is known now."""
        raise NotImplementedError

    def say(self, text: str, role: str = "") -> None:
        """Show a short-lived message."""
        self._own_notice = Notice(self._clock(), text, role)
