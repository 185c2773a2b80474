"""The language in which one says which runs one wants to see: ``status:keep metric<0.98 text``.

Terms stand beside each other, and a run must meet all of them. A term is ``field:value``, a comparison of a
figure, or text that is looked for in what is written on the run; a minus before it turns it round.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from engine.ledger import Ledger, Note
from tui.text import clean
from tui.view_state import Row, outcome

STATUSES = ("keep", "discard", "crash", "checks", "baseline", "skipped", "lost")
FIGURES: Mapping[str, Mapping[str, float]] = {
    "run": {},
    "metric": {},
    "delta": {},
    "memory": {"mb": 1.0, "gb": 1024.0},
    "time": {"s": 1.0, "m": 60.0, "h": 3600.0},
    "segment": {},
}
"""What can be compared, and the units that its numbers may have; the first is meant where none is written."""
EXAMPLES = {"run": "20", "delta": "-0.001", "memory": "40GB", "time": "10m", "segment": "2"}
"""A number for each; 0.98 for the others."""
HINT = "status:keep metric<0.98 text · source: run memory time delta · - excludes"
LONGEST_QUOTE = 24
"""Characters of a wrong term that are repeated in the sentence about it."""

_term = re.compile(r'(-?)("[^"]*"?|(?:[^\s"]|"[^"]*"?)+)')
_field = re.compile(r"([\w.µ]+)(<=|>=|<|>|=|:)(.*)", re.DOTALL)
_number = re.compile(r"([-+]?(?:\d+\.?(\d*)|\.(\d+))(?:e[-+]?\d+)?)([a-z]*)", re.IGNORECASE)
_tests: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Subject:
    """A run as a filter sees it."""

    row: Row
    notes: tuple[str, ...] = ()

    @cached_property
    def words(self) -> str:
        """Everything that is written on it."""
        experiment = self.row.experiment
        return " ".join(map(clean, (experiment.description, *self.notes, *_texts(experiment.asi)))).casefold()


Test = Callable[[Subject], bool]


@dataclass(frozen=True)
class Problem:
    """Why a text is no filter, as one sentence."""

    sentence: str


@dataclass(frozen=True)
class Filter:
    """What a person wants to see. An empty one lets every run through."""

    text: str = ""
    tests: tuple[Test, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    def choose(self, rows: Iterable[Row], ledger: Ledger) -> list[Row]:
        """The rows that meet every term."""
        if not self.tests:
            return list(rows)
        notes: dict[int, list[Note]] = {}
        for note in ledger.notes:
            notes.setdefault(note.run, []).append(note)
        return [
            row
            for row in rows
            if self.takes(Subject(row, tuple(note.text for note in notes.get(row.experiment.run, ()))))
        ]

    def takes(self, subject: Subject) -> bool:
        """Whether a run meets every term."""
        return all(test(subject) for test in self.tests)


def parse(text: str, metrics: Collection[str] = ()) -> Filter | Problem:
    """The filter that ``text`` says; ``metrics`` are the names of further figures that the session's runs have."""
    figures: list[Test] = []
    words: list[Test] = []
    for minus, written in _term.findall(text):
        found = None if written.startswith('"') else _field.fullmatch(written)
        test = _words(written.replace('"', "")) if found is None else _of_field(found, metrics)
        if isinstance(test, Problem):
            return test
        (words if found is None else figures).append(_not(test) if minus else test)
    return Filter(clean(text), (*figures, *words))  # the words of a run are put together only where its figures fit


def _of_field(found: re.Match[str], metrics: Collection[str]) -> Test | Problem:
    name, sign, value = found[1].casefold(), found[2], found[3].replace('"', "")
    if name in ("status", "source"):
        if sign not in ":=":
            return Problem(f"{name} is no number: {name}:{'keep' if name == 'status' else 'search'} asks for one.")
        return _status(value) if name == "status" else _source(value)
    figure = {"val_bpb": "metric", "δ": "delta"}.get(name, name)
    if figure not in FIGURES:
        known = next((each for each in metrics if each.casefold() == name), None)
        if known is None:
            fields = ", ".join(["status", "source", *FIGURES])
            return Problem(f"{_quoted(found[1])} is no field: there are {fields}; a text with {sign} goes in quotes.")
        figure = known
    return _figure(figure, sign, value)


def _words(text: str) -> Test:
    wanted = clean(text).casefold()

    def _has_words(subject: Subject) -> bool:
        return wanted in subject.words

    return _has_words


def _status(value: str) -> Test | Problem:
    wanted = {"checks" if each.startswith("checks") else each for each in value.casefold().split(",")}
    if unknown := [each for each in wanted if each not in STATUSES]:
        return Problem(f"{_quoted(unknown[0])} is no status: there are {', '.join(STATUSES)}.")

    def has_status(subject: Subject) -> bool:
        row = subject.row
        status = outcome(row.experiment).casefold()
        said = {"checks" if status.startswith("checks") else status, "baseline" if row.is_baseline else status}
        return not wanted.isdisjoint(said)

    return has_status


def _source(value: str) -> Test:
    wanted = set(value.casefold().split(","))
    return lambda subject: clean(subject.row.experiment.source).casefold() in wanted


def _figure(name: str, sign: str, value: str) -> Test | Problem:
    units = FIGURES.get(name, {})
    found = _number.fullmatch(value.strip().replace("−", "-"))
    number = float(found[1]) if found else math.nan
    unit = found[4].casefold() if found else ""
    if found is None or not math.isfinite(number) or (unit and unit not in units):
        wrong = f"{_quoted(value)} is no number" if value.strip() else f"{_quoted(name)}{sign} is no comparison yet"
        return Problem(f"{wrong}: {_quoted(name)}{'=' if sign == ':' else sign}{EXAMPLES.get(name, '0.98')} is one.")
    number *= units.get(unit, 1.0)
    compare = _tests.get(sign) or partial(_is_shown_as, decimals=min(15, len(found[2] or found[3] or "")))

    def holds(subject: Subject) -> bool:
        figure = figure_of(subject.row, name)
        return figure is not None and compare(figure, number)

    return holds


def _is_shown_as(figure: float, number: float, decimals: int) -> bool:
    """They are equal to as many decimals as were written."""
    return round(figure, decimals) == number


def figure_of(row: Row, name: str) -> float | None:
    """One of FIGURES of a run, or one of its further metrics; None where it has none."""
    experiment = row.experiment
    match name:
        case "run":
            return experiment.run
        case "metric":
            return experiment.metric
        case "delta":
            return row.delta
        case "memory":
            return experiment.metrics.get("peak_memory_mb")
        case "time":
            return experiment.seconds
        case "segment":
            return experiment.segment + 1
        case _:
            return experiment.metrics.get(name)


def _not(test: Test) -> Test:
    return lambda subject: not test(subject)


def _texts(value: Any) -> Iterable[str]:
    """Every text in a value from a JSON file, however deep it is, the keys included."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, Mapping):
            left += [*each.values(), *each]
        elif isinstance(each, list | tuple):
            left += each
        elif each is not None:
            yield str(each)


def _quoted(text: str) -> str:
    text = clean(text)
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
