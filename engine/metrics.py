"""METRIC lines (DESIGN §5): ``METRIC val_bpb=0.9979`` on a line of its own, the last one for a name wins.

Found in the whole output as it streams, in bounded memory whatever the output holds.
"""

import math
import re
from dataclasses import dataclass, field

LONGEST_LINE = 4096
"""Bytes of a line that are looked at: no METRIC line is longer, and a line of 100 MB must not be held."""

_TERMINAL_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[ -/]*[0-~]"  # the two-byte ones
)
_METRIC = re.compile(
    r"METRIC[ \t]+(?P<name>[A-Za-z0-9_.µ]+)=(?P<value>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)
_NOT_FINITE = re.compile(r"METRIC[ \t]+(?P<name>[A-Za-z0-9_.µ]+)=[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_SAYS_METRIC = re.compile(r"METRIC[ \t]+\S")
MOST_PROBLEMS = 20


@dataclass
class MetricScanner:
    """Takes the output in pieces of any size; ``metrics`` and ``problems`` are current after each."""

    metrics: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Lines that say METRIC and do not parse, for the person; at most MOST_PROBLEMS are kept."""
    _partial: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> None:
        """Read on. A carriage return ends a line here: what follows it is drawn over what was before it."""
        *complete, rest = re.split(rb"[\r\n]", chunk)
        for piece in complete:
            self._grow(piece)
            self._line(bytes(self._partial))
            self._partial.clear()
        self._grow(rest)

    def finish(self) -> None:
        """The output is over: its last line may lack a newline."""
        self._line(bytes(self._partial))
        self._partial.clear()

    def _grow(self, piece: bytes) -> None:
        self._partial += piece[: LONGEST_LINE + 1 - len(self._partial)]

    def _line(self, raw: bytes) -> None:
        if b"METRIC" not in raw and b"\x1b" not in raw:
            return
        text = _TERMINAL_ESCAPE.sub("", raw.decode("utf-8", "replace")).strip()
        if len(raw) <= LONGEST_LINE and (match := _METRIC.fullmatch(text)):
            value = float(match["value"])
            if math.isfinite(value):
                self.metrics[match["name"]] = value
                return
        else:
            match = _NOT_FINITE.fullmatch(text)
        if match:
            self.metrics.pop(match["name"], None)  # the last one wins, and it is no number
        if _SAYS_METRIC.match(text) and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"not a METRIC line (METRIC name=number): {text[:200]!r}")
