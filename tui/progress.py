"""How far a run is, from the progress line that train.py rewrites in place. Read by name, and leniently:
a proposer may change the line, and then the screen shows less, never something wrong."""

import re
from dataclasses import dataclass

NUMBER = r"\s*([-+]?[\d,]*\.?\d+(?:[eE][-+]?\d+)?|nan|inf)"


@dataclass(frozen=True)
class Progress:
    """What the last progress line says; None for what it does not say."""

    step: int | None = None
    percent: float | None = None
    loss: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = None
    remaining: float | None = None


def parse(tail: bytes) -> Progress | None:
    """The last progress line in the end of a log; None where there is none, or where the run went past it."""
    text = tail.decode("utf-8", "replace")
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    for line in reversed(lines):
        if (found := reading(line)) is None:
            continue
        percent, loss = found
        step = _number(r"\bstep\s*[:=]?", line)
        return Progress(
            step=None if step is None else int(step),
            percent=percent,
            loss=loss,
            tokens_per_second=_number(r"\btok(?:ens)?/s(?:ec)?\s*[:=]", line),
            mfu=_number(r"\bmfu\s*[:=]", line),
            remaining=_number(r"\bremaining\s*[:=]", line, r"\s*s\b"),
        )
    return None


def reading(line: str) -> tuple[float, float] | None:
    """(percent done, loss) of a progress line; None where it is none."""
    percent, loss = _number(r"\(", line, r"\s*%"), _number(r"\bloss\s*[:=]", line)
    return None if percent is None or loss is None else (min(100.0, max(0.0, percent)), loss)


def _number(before: str, line: str, after: str = "") -> float | None:
    found = re.search(before + NUMBER + after, line, re.IGNORECASE)
    if found is None:
        return None
    value = float(found.group(1).replace(",", ""))
    return value if value == value and abs(value) != float("inf") else None
