"""What single values of other tools' files mean."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MILLISECONDS_FROM = 1e11
"""A time from here on (the year 5138 in seconds) is in a thousandth of what it was taken for."""

STATUSES = {
    "keep": "keep",
    "kept": "keep",
    "baseline": "keep",
    "discard": "discard",
    "discarded": "discard",
    "revert": "discard",
    "reverted": "discard",
    "crash": "crash",
    "crashed": "crash",
    "checks_failed": "checks_failed",
}


@dataclass(frozen=True)
class Text:
    """A line of a file, without its end; the last one may have none yet."""

    number: int
    text: bytes
    is_whole: bool = True
    problem: str = ""
    """Why it can't be read, whatever it says; ``text`` is then empty."""


def number(value: Any) -> float | None:
    """A finite number, however it is written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def moment(value: Any) -> float:
    """Seconds since the epoch, of seconds, milliseconds, finer ones, or a date; 0 where it is none of them."""
    found = number(value)
    if found is None and isinstance(value, str):
        try:
            date = datetime.fromisoformat(value.strip())
            found = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return 0.0
    while found is not None and found >= MILLISECONDS_FROM:
        found /= 1000
    return max(0.0, found or 0.0)


def status(value: Any) -> str:
    """One of ours where it says the same; any other as it is."""
    if not isinstance(value, str):
        return ""
    words = value.strip()
    return STATUSES.get(words.casefold().replace(" ", "_").replace("-", "_"), words)


class Numbers:
    """Gives out run numbers that only grow: another tool's may begin anew, repeat, or be missing."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, given: Any = None) -> int:
        """The number that is given, where it is later than all before it; else the next one."""
        found = number(given)
        is_later = found is not None and found.is_integer() and self._last < found < 1e9
        self._last = int(found) if is_later and found is not None else self._last + 1
        return self._last
