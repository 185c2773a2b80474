"""What an agent thinks and says, on its way to whoever watches: by the line, without escapes, and not for ever."""

from engine.proposers import Watch
from engine.proposers.foreign import clean
from engine.transcript import STREAMED

MOST_SAID = 1 << 20
"""Characters of one proposal's transcript; what an agent streams beyond is not kept anywhere."""
LONGEST = 2000
"""Characters that are said at once."""


class Voice:
    """One proposal's transcript."""

    def __init__(self, watch: Watch, most: int = MOST_SAID) -> None:
        self._watch = watch
        self._most = most
        self._said = 0
        self._kind = ""
        self._pending = ""
        self._is_broken = False
        """Of the line that is said only its beginning was."""

    def stream(self, kind: str, text: str) -> None:
        """A piece of something longer; it is said as soon as its line is complete."""
        if kind != self._kind:
            self.flush()
            self._kind = kind
        while text and not self._is_full:
            piece, text = text[:LONGEST], text[LONGEST:]
            *lines, self._pending = (self._pending + piece).split("\n")
            for line in lines:
                self._say(kind, line, "\n")
            if len(self._pending) >= LONGEST:
                self._say(kind, self._pending)
                self._pending, self._is_broken = "", True

    def say(self, kind: str, text: str) -> None:
        """Something whole."""
        self.flush()
        self._say(kind, text[:LONGEST], "\n" if kind in STREAMED else "")

    def flush(self) -> None:
        """Nothing more is to come of what was streamed."""
        pending, self._pending = self._pending, ""
        if pending:
            self._say(self._kind, pending, "\n")

    @property
    def _is_full(self) -> bool:
        return self._said > self._most

    def _say(self, kind: str, text: str, end: str = "") -> None:
        text = clean(text).rstrip() if end else clean(text)
        ends_a_line, self._is_broken = bool(end) and self._is_broken, False
        if self._is_full or not (text.strip() or ends_a_line):
            return
        text += end
        self._said += len(text)
        self._watch.say(kind, text)
        if self._is_full:
            self._watch.say("error", f"it said more than {self._most >> 10} KiB: the rest is cut")
