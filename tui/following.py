"""A view of something that grows at its end: it follows the end until one scrolls up, then stands still."""

from textual.message import Message
from textual.reactive import reactive

from tui.painter import LineView
from tui.searching import Pattern

CATCH_UP_SECONDS = 0.01


class FollowingView(LineView):
    """Call ``look`` now and then to take in what was added."""

    following: reactive[bool] = reactive(True, repaint=False)

    class Changed(Message):
        """The view follows or stands still, or there are more lines below it."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, FollowingView.Changed)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_upto = 0
        self._is_own_move = False
        self._is_catching_up = False

    @property
    def new_lines(self) -> int:
        """Lines that were added since the view stopped following."""
        return 0 if self.following else max(0, self.line_total() - self._read_upto)

    def look(self) -> None:
        """Take in what was added, or a slice of it; ``catch_up`` has the rest taken in soon."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Look again, between two keys."""
        if not self._is_catching_up:
            self._is_catching_up = True
            self.set_timer(CATCH_UP_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._is_catching_up = False
        self.look()

    def show_lines(self) -> None:
        """Take a changed number of lines over, draw, and stay at the end if it is followed."""
        self.refresh_lines_now()
        if self.following:
            self._to_end()
        self.post_message(self.Changed())

    def follow(self) -> None:
        """To the end, and stay there."""
        self.following = True
        self._to_end()
        self.post_message(self.Changed())

    def stand_still(self) -> None:
        """Stay at these lines, whatever is added."""
        if self.following:
            self._read_upto = self.line_total()
            self.following = False
            self.post_message(self.Changed())

    def _to_end(self) -> None:
        self.move_to(self.max_scroll_y)

    def go_to_line(self, line: int, pattern: Pattern) -> None:
        self.stand_still()
        super().go_to_line(line, pattern)

    def move_to(self, y: float, x: float | None = None) -> None:
        """Scroll, without that being a person's wish to stand still."""
        self._is_own_move = True
        try:
            super().move_to(y, x)
        finally:
            self._is_own_move = False

    def on_resize(self) -> None:
        if self.following:
            self.call_after_refresh(self._to_end)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._is_own_move or round(old_value) == round(new_value):
            return
        if new_value < old_value and round(new_value) < self.max_scroll_y:
            self.stand_still()
        elif round(new_value) >= self.max_scroll_y and not self.following:
            self.following = True
            self.post_message(self.Changed())
