"""autoresearch.jsonl and .auto/log.jsonl as other tools write them: like our ledger, and not quite.

Times are in milliseconds or dates, statuses in capitals, notes a sentence instead of an object; run numbers begin anew
in each segment or are missing, and a segment begins with its number as well as with a config line. Lines of other
types (hooks) are passed over.
"""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.dialects.values import Numbers, Text, moment, number, status
from engine.jsonlines import UNREADABLE
from engine.ledger import Book, Config, Ledger, decode

RUN_TYPES = ("run", "experiment", "result", "iteration")
TIMES = ("timestamp", "ts", "time", "date", "created_at")
HIGHER = ("higher", "high", "max", "maximize", "maximise", "up", "increase")
CONFIG_KEYS = {
    "metric_name": "metricName",
    "metric_unit": "metricUnit",
    "best_direction": "bestDirection",
    "direction": "bestDirection",
}
"""Ours for others'."""
UNSAID = Config(name="", metric_name="metric", metric_unit="")
"""Of experiments before any config line."""
WORDS = ("commit", "description", "source", "result", "id")
FIGURES = ("metric", "confidence", "seconds")


def is_known(line: bytes) -> bool:
    """Whether a line is one that only a session's file has."""
    try:
        record = decode(line)
    except UNREADABLE:
        return False
    return _is_config(record) or _is_experiment(record)


def parse(lines: Iterable[Text]) -> Ledger:
    """The ledger that the lines say; a line that cannot be read is reported."""
    reading = _Reading()
    for line in lines:
        reading.take(line)
    return reading.book.ledger()


def _is_config(record: dict[str, Any]) -> bool:
    return record.get("type") == "config" or ("type" not in record and "metricName" in record and "run" not in record)


def _is_experiment(record: dict[str, Any]) -> bool:
    if record.get("type", "run") not in RUN_TYPES:
        return False
    return "run" in record or ("status" in record and ("metric" in record or "commit" in record))


class _Reading:
    """A ledger while its lines are taken in."""

    def __init__(self) -> None:
        self.book = Book()
        self._numbers = Numbers()
        self._segment: float | None = None
        """The largest number that a line since the last config line has said."""

    def take(self, line: Text) -> None:
        if line.problem:
            self.book.report(line.number, line.problem)
        if not line.text.strip():
            return
        try:
            record = decode(line.text)
            if _is_config(record):
                self._segment = None
                self.book.begin(_config(record))
            elif _is_experiment(record):
                if self.book.has(record.get("id")):
                    return
                self._next_segment(number(record.get("segment")))
                self.book.put(self._experiment(record))
            else:
                self.book.put(record)
        except UNREADABLE as error:
            if line.is_whole:
                self.book.report(line.number, str(error))

    def _next_segment(self, said: float | None) -> None:
        """Begin a segment that has no config line of its own."""
        if self.book.config is None:
            self.book.begin(UNSAID)
        if said is not None and self._segment is not None and said > self._segment:
            self.book.begin(self.book.config or UNSAID)
        if said is not None:
            self._segment = max(said, said if self._segment is None else self._segment)

    def _experiment(self, record: dict[str, Any]) -> dict[str, Any]:
        found = {key: value for key, value in record.items() if key != "type"}
        found |= {key: value if isinstance(value := record.get(key), str) else "" for key in WORDS if key in record}
        found |= {key: number(record.get(key)) for key in FIGURES if key in record}
        found |= {
            "run": self._numbers.next(record.get("run")),
            "status": status(record.get("status")),
            "asi": _notes(record.get("asi")),
        }
        found["timestamp"] = next((moment(record[key]) for key in TIMES if key in record), 0.0)
        folder = number(record.get("folder"))
        found["folder"] = int(folder) if folder is not None and 0 <= folder < 1e9 else None
        return found


def _config(record: dict[str, Any]) -> Config:
    renamed = {CONFIG_KEYS.get(key, key): value for key, value in record.items()}
    known = {key: value for key, value in renamed.items() if isinstance(value, str)}
    direction = known.get("bestDirection", "").strip().casefold()
    known["bestDirection"] = "higher" if direction in HIGHER else "lower"
    return msgspec.convert(known | {"type": "config"}, Config, strict=False)


def _notes(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {"notes": value} if value.strip() else {}
    if isinstance(value, dict):
        return value
    return {} if value in (None, [], "") else {"notes": value}
