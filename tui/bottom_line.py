"""The line at the bottom: the keys, or for some seconds what the engine had to say, on as many lines as that takes."""

from collections.abc import Sequence

from tui.painter import Lines
from tui.spans import Span, Spans, fit, width, wrap
from tui.view_state import Notice

NOTICE_SECONDS = 8.0
WARNING_SECONDS = 20.0
LONGEST = 3
"""Lines that a notice may take."""


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
        self.styles.height = len(self.compose_lines(self.size.width, self.size.height))

    def compose_lines(self, width: int, height: int) -> list[Spans]:
        if self._notice is None:
            return [key_spans(self._keys, width)]
        said = (Span(self._notice.text, self._notice.role or "strong"),)
        lines = wrap(said, max(1, width - 2))
        if len(lines) > LONGEST:
            lines = [
                *lines[: LONGEST - 1],
                fit(tuple(span for line in lines[LONGEST - 1 :] for span in line), width - 2),
            ]
        return [(Span(" "), *line) for line in lines]
