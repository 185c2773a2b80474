"""The line at the bottom: the keys, or for some seconds what the engine had to say."""

from collections.abc import Sequence

from tui.painter import Lines
from tui.spans import Span, Spans, fit, width
from tui.view_state import Notice

NOTICE_SECONDS = 8.0
WARNING_SECONDS = 20.0


def is_fresh(notice: Notice | None, now: float) -> bool:
    """Whether a message is still to be shown."""
    if notice is None:
        return False
    return now - notice.at < (WARNING_SECONDS if notice.role in ("warn", "bad") else NOTICE_SECONDS)


def key_spans(keys: Sequence[tuple[str, str]], cells: int) -> Spans:
    """(key, what it does) in a row; those that don't fit are left out from the end, but never the last two."""
    chosen = list(keys)
    while len(chosen) > 2 and width(_row(chosen)) > cells:
        del chosen[-3]
    return fit(_row(chosen), cells)


def _row(keys: Sequence[tuple[str, str]]) -> Spans:
    spans: list[Span] = []
    for key, description in keys:
        spans += [Span("  " if spans else " "), Span(key, "key"), Span(f" {description}", "muted")]
    return tuple(spans)


class BottomLine(Lines):
    """``keys`` come from the bindings; a fresh notice takes their place."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: Sequence[tuple[str, str]] = ()
        self._notice: Notice | None = None

    def show(self, keys: Sequence[tuple[str, str]], notice: Notice | None) -> None:
        if (keys, notice) != (self._keys, self._notice):
            self._keys, self._notice = keys, notice
            self.refresh()

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        if self._notice is not None:
            return [fit((Span(" " + self._notice.text, self._notice.role or "strong"),), width)]
        return [key_spans(self._keys, width)]
