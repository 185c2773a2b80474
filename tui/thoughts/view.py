"""What a proposer thinks and says, drawn from its transcript."""

from pathlib import Path

from engine.transcript import TranscriptFollower
from tui.following import FollowingView
from tui.spans import Spans
from tui.thoughts.flow import Flow

NARROWEST = 16


class ThoughtsView(FollowingView):
    """Shows ``path``."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._follower: TranscriptFollower | None = None
        self._flow = Flow()
        self._kept_in_view: float | None = None
        """The place that is to be at the top again once the lines of a new width are counted."""

    @property
    def path(self) -> Path | None:
        return self._follower.path if self._follower else None

    @property
    def is_empty(self) -> bool:
        """Nothing was said yet."""
        return not self._flow

    def open(self, path: Path | None) -> None:
        """Show another transcript, from its end; or the same one where it was put beside its run."""
        if path == self.path:
            return
        if path is not None and self._follower is not None and path.exists():
            self._follower.path = path
        else:
            self._follower = TranscriptFollower(path) if path else None
            self._begin()
        self.look()

    def _begin(self) -> None:
        cells = self._flow.cells
        self._flow = Flow()
        self._flow.set_width(cells)
        self._kept_in_view = None
        self.following = True
        self.show_lines()

    def look(self) -> None:
        """Take in what was said since; a large rest is read and wrapped in slices."""
        is_anew, said = self._follower.poll() if self._follower else (False, [])
        if is_anew:
            self._begin()
        for each in said:
            self._flow.add(each)
        lines = self._flow.lines
        is_behind = self._flow.advance()
        if (said or is_behind or self._flow.lines != lines) and (self._kept_in_view is None):
            self.show_lines()
        if said or is_behind:
            self.catch_up()
        elif self._kept_in_view is not None:
            self._keep_in_view(self._kept_in_view)

    def _keep_in_view(self, place: float) -> None:
        self._kept_in_view = None
        self._read_upto = self.line_count()
        self.refresh_lines_now()
        self.move_to(self._flow.line_of(place))
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        cells = max(NARROWEST, self.room)
        if not self.size.width or cells == self._flow.cells:
            return
        if not self.following and self._kept_in_view is None:
            self._kept_in_view = self._flow.place_of(self.scroll_offset.y)
        self._flow.set_width(cells)
        self.look()

    def line_count(self) -> int:
        return self._flow.lines

    def edition(self) -> object:
        return id(self._flow), self._flow.cells

    def settled_lines(self) -> int:
        return self._flow.settled_lines

    def line_at(self, y: int) -> Spans:
        return self._flow.line_at(y)
