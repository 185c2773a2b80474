"""METRIC lines (DESIGN §5): ``METRIC val_bpb=0.9979`` on a line of its own, the last one for a name wins.

Found in the whole output as it streams, in bounded memory whatever the output holds, at the speed of a
byte search: a log of gigabytes is read in seconds.
"""

import math
import re
from dataclasses import dataclass, field

LONGEST_LINE = 4096
"""Bytes of a line that are looked at: no METRIC line is longer, and a line of 100 MB must not be held."""

MOST_NAMES = 200
LONGEST_NAME = 100
MOST_PROBLEMS = 20

_TERMINAL_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[ -/]*[0-~]"  # the two-byte ones
)
NAME = r"[A-Za-z0-9_.µ]+"
"""What a metric may be called, as a regular expression."""
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""How its value is written."""

_METRIC = re.compile(rf"METRIC[ \t]+(?P<name>{NAME})=(?P<value>{NUMBER})")
_NOT_FINITE = re.compile(rf"METRIC[ \t]+(?P<name>{NAME})=[+-]?(?ai:nan|inf|infinity)")
_SAYS_METRIC = re.compile(r"METRIC[ \t]+\S")
_ESCAPES = rb"(?:\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~])*+"
_WORD = re.compile(_ESCAPES.join([b"M", b"E", b"T", b"R", b"I", b"C"]))
"""METRIC in the raw output, terminal escapes between its letters or not."""


@dataclass
class MetricScanner:
    """Takes the output in pieces of any size; ``metrics`` and ``problems`` are current after each."""

    metrics: dict[str, float] = field(default_factory=dict)
    """At most MOST_NAMES, those that were set last."""
    problems: list[str] = field(default_factory=list)
    """Lines that say METRIC and do not parse, for the person; at most MOST_PROBLEMS are kept."""
    _partial: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> None:
        """Read on. A carriage return ends a line here: what follows it is drawn over what was before it."""
        text = chunk.replace(b"\r", b"\n")
        first, last = text.find(b"\n"), text.rfind(b"\n")
        if first < 0:
            self._grow(text)
            return
        self._grow(text[:first])
        self.finish()
        position = first + 1
        while match := _WORD.search(text, position, last):
            start = text.rfind(b"\n", position, match.start()) + 1 or position
            end = text.find(b"\n", match.end())
            self._line(text[start : min(end, start + LONGEST_LINE + 1)])
            position = end + 1
        self._grow(text[last + 1 :])

    def finish(self) -> None:
        """The output is over: its last line may lack a newline."""
        self._line(bytes(self._partial))
        self._partial.clear()

    def _grow(self, piece: bytes) -> None:
        self._partial += piece[: LONGEST_LINE + 1 - len(self._partial)]

    def _line(self, raw: bytes) -> None:
        if not _WORD.search(raw):
            return
        text = _TERMINAL_ESCAPE.sub("", raw.decode("utf-8", "replace")).strip()
        if len(raw) <= LONGEST_LINE and (match := _METRIC.fullmatch(text)):
            value = float(match["value"])
            if math.isfinite(value):
                self._set(match["name"], value)
                return
        else:
            match = _NOT_FINITE.fullmatch(text)
        if match:
            self.metrics.pop(match["name"], None)  # the last one wins, and it is no number
        if _SAYS_METRIC.match(text):
            self._report(f"not a METRIC line (METRIC name=number): {text[:200]!r}")

    def _set(self, name: str, value: float) -> None:
        if len(name) > LONGEST_NAME:
            self._report_once(f"METRIC names of more than {LONGEST_NAME} characters are passed over")
            return
        self.metrics.pop(name, None)
        if len(self.metrics) == MOST_NAMES:
            del self.metrics[next(iter(self.metrics))]
            self._report_once(f"there are more than {MOST_NAMES} METRIC names: the last {MOST_NAMES} are kept")
        self.metrics[name] = value

    def _report(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def _report_once(self, problem: str) -> None:
        if problem not in self.problems:
            self._report(problem)
