"""Why a run crashed: its exit and the end of its log, read as a person would."""

import re
import signal

from engine.supervisor import Ending, Exit

_SIGNS = (
    ("out of memory", re.compile(r"OutOfMemoryError|out of memory|Cannot allocate memory|MemoryError")),
    ("NaN or exploding loss", re.compile(r"loss (?:is|became) (?:nan|inf)|exploding loss|loss exploded", re.I)),
    ("syntax error", re.compile(r"^(?:SyntaxError|IndentationError|TabError)\b.*", re.M)),
    ("import error", re.compile(r"^(?:ModuleNotFoundError|ImportError)\b.*", re.M)),
    ("name error", re.compile(r"^(?:NameError|AttributeError|UnboundLocalError)\b.*", re.M)),
    ("shape error", re.compile(r"^RuntimeError: .*(?:size|shape|dimension).*", re.M | re.I)),
)  # fmt: skip
TRIVIAL = ("syntax error", "import error", "name error", "shape error")
"""Causes that whoever wrote the change can mend."""
_LAST_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt))\b.*", re.M)


def failure(ended: Exit, metric_missing: bool, log_tail: str, limit_seconds: float) -> str:
    """Why the run counts as a crash, in one sentence; empty where it ended well.

    ``metric_missing``: it printed no primary metric; ``log_tail``: the last lines of its output.
    """
    match ended.ending:
        case Ending.TIMEOUT:
            return f"over the time limit of {limit_seconds:g} s"
        case Ending.LOST | Ending.UNSTARTED | Ending.KILLED:
            return ended.problem
        case Ending.SKIPPED:
            return ""
    if ended.code == 0 and not metric_missing:
        return ""
    how = _exit(ended.code)
    for name, sign in _SIGNS:
        if match := sign.search(log_tail):
            said = match[0].strip() if match[0][:1].isupper() else ""
            return f"{name}{f': {said}' if said else ''} ({how})"[:300]
    errors = _LAST_ERROR.findall(log_tail)
    if errors:
        return f"{errors[-1].strip()} ({how})"[:300]
    return f"{how} without a metric" if ended.code == 0 else how


def is_trivial(failure: str) -> bool:
    """Whether a crash (as ``failure`` says it) is a slip, and no finding."""
    return failure.startswith(TRIVIAL)


def _exit(code: int | None) -> str:
    if code is None:
        return "no exit code"
    number = -code if code < 0 else code - 128
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exit code {code}"
