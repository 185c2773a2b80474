"""The ledger, autoresearch.jsonl (DESIGN §4): every experiment of every session, append-only.

Reading never fails on a bad line: it is reported with its number. Appending gives out the run number
under the ledger's lock, and records an id once however often it is asked to.
"""

import hashlib
import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec

from engine.files import open_regular
from engine.harmless import clean
from engine.jsonlines import UNREADABLE, JsonLinesFile, Line
from engine.words import counted, listed
from engine.workspace import Workspace

MILLISECONDS_FROM = 1e11
"""A timestamp from here on (the year 5138 in seconds) is in milliseconds, as other tools write them."""

STATUSES = ("keep", "discard", "crash", "checks_failed")
"""What becomes of an experiment. Other tools write others, which are shown as they are and count as nothing."""

FIRST_ASI_KEYS = ("hypothesis", "arch_change", "result", "next_action_hint")
"""The keys of an experiment's notes that are always shown first."""

READ_AGAIN = 1 << 16
EXACT = 2**53
"""From here on a float is no longer every whole number."""

Asi = dict[str, Any]


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="config", tag_field="type"):
    """The header of a segment: what is measured, and in which direction it improves."""

    name: str = "Optimize val_bpb"
    metric_name: str = "val_bpb"
    metric_unit: str = "bpb"
    best_direction: str = "lower"
    branch: str | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note", tag_field="type"):
    """What a person wrote on an experiment later."""

    run: int
    text: str
    timestamp: float = 0.0
    id: str = ""


class Repeat(msgspec.Struct, frozen=True, kw_only=True, tag="repeat", tag_field="type"):
    """One more run of a configuration that has its line already. It changes no verdict; it is evidence."""

    run: int
    """The experiment whose train.py was run again."""
    metric: float | None = None
    """None where the run ended without one."""
    seed: int | None = None
    """The seed in place of train.py's own; None: train.py as it is."""
    without: int | None = None
    """The kept change that was taken out of it, by its run (ablation)."""
    verification: str = ""
    """The `verify` that asked for it, by its id; empty for a re-run of another kind."""
    seconds: float | None = None
    timestamp: float = 0.0
    id: str = ""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the loop, as its line says it. ``metric`` is None for a run that produced none."""

    run: int
    commit: str = ""
    metric: float | None = None
    repeats: tuple[float, ...] = ()
    """Every run's metric, where there were several before the line was written; ``metric`` is their mean."""
    seeds: tuple[int | None, ...] = ()
    """What each of ``repeats`` was seeded with; None, or nothing at all: train.py as it is."""
    metrics: dict[str, float] = {}
    status: str = ""
    description: str = ""
    timestamp: float = 0.0
    segment: int = 0
    confidence: float | None = None
    asi: Asi = {}
    id: str = ""
    source: str = ""
    """Who proposed it: baseline, search, queue, person, …"""
    seconds: float | None = None
    """Wall-clock seconds that the run took, start-up included."""
    result: str | None = None
    """"skipped" where a person ended the run, "lost" where it was killed from outside: no verdict on its train.py."""
    folder: int | None = None
    """The number of the run's folder, where it is not ``run`` (another writer took the number meanwhile)."""
    cost: dict[str, float] = {}
    """What its proposal took: seconds, tokens_in, tokens_out, dollars; empty for the search's."""
    record: dict[str, Any] = {}
    """Of a baseline: what the evaluator wrote (engine.evidence). It is demanded of the segment's other runs."""
    conditions: dict[str, Any] = {}
    """Of a baseline: what makes runs comparable with it (engine.conditions)."""

    @property
    def kept(self) -> bool:
        return self.status == "keep"

    @property
    def crashed(self) -> bool:
        return self.status == "crash"

    @property
    def failed(self) -> bool:
        """Its metric, where it has one, says nothing of how good its train.py is: it crashed, or broke the rules."""
        return self.status in ("crash", "checks_failed")

    @property
    def skipped(self) -> bool:
        return self.result == "skipped"

    @property
    def inconclusive(self) -> bool:
        """It says nothing about its train.py: skipped, or killed from outside."""
        return self.result in ("skipped", "lost")

    @property
    def folder_number(self) -> int:
        return self.run if self.folder is None else self.folder


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read, for the person."""

    number: int
    problem: str


def unreadable(lines: Sequence[BadLine], name: str) -> str:
    """3 lines of results.tsv can't be read: 4, 7 and 9 (it has 1 of the header's 5 columns); nothing where all can."""
    if not lines:
        return ""
    first = clean(lines[0].problem)
    return f"{counted(len(lines), 'line')} of {name} can't be read: {listed([each.number for each in lines])} ({first})"


@dataclass(frozen=True)
class Segment:
    """Runs that are comparable with each other; ``experiments[0]`` is the baseline."""

    number: int
    config: Config
    experiments: tuple[Experiment, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    """Runs made again after their experiment's line was written."""
    is_outside: bool = False
    """Another tool's, which may keep what is worse than what it kept before."""

    @property
    def baseline(self) -> Experiment | None:
        """The first run that was kept."""
        return next((each for each in self.experiments if each.kept and each.metric is not None), None)

    @property
    def incumbent(self) -> Experiment | None:
        """The last one kept, for every keep moved it; of another tool's the best one kept."""
        kept = [each for each in self.experiments if each.kept and each.metric is not None]
        if not self.is_outside:
            return kept[-1] if kept else None
        sign = -1 if self.config.best_direction == "higher" else 1
        return min(kept, key=lambda each: sign * (each.metric or 0.0), default=None)

    @property
    def without_keep(self) -> int:
        """Experiments in a row, up to now, that were not kept; those that say nothing don't count."""
        since = itertools.takewhile(lambda each: not each.kept, reversed(self.experiments))
        return sum(not each.inconclusive for each in since)

    @property
    def metrics(self) -> list[float]:
        """Every metric that was measured, in order; crashes have none, and what we do not know counts as nothing."""
        counting = (each for each in self.experiments if each.status in STATUSES and not each.crashed)
        return [each.metric for each in counting if each.metric is not None]


@dataclass(frozen=True)
class Ledger:
    """All that a ledger says."""

    segments: tuple[Segment, ...] = ()
    notes: tuple[Note, ...] = ()
    bad_lines: tuple[BadLine, ...] = field(default=())

    @property
    def experiments(self) -> list[Experiment]:
        return [each for segment in self.segments for each in segment.experiments]

    @property
    def current(self) -> Segment | None:
        return self.segments[-1] if self.segments else None

    @property
    def next_run(self) -> int:
        return max((each.run for each in self.experiments), default=0) + 1

    def find(self, identity: str) -> Experiment | None:
        return next((each for each in self.experiments if identity and each.id == identity), None)


def read(path: Path) -> Ledger:
    """What the ledger at ``path`` says now; an empty one where there is none."""
    global _reader
    with _reading:
        if _reader is None or _reader.path != path:
            _reader = _Reader(path)
        return _reader.read()


def parse(lines: Iterable[Line]) -> Ledger:
    """A ledger from its lines. Unknown line types are passed over, bad lines are reported.

    Of two lines of one experiment the first holds: the second is somebody's rewriting of it.
    """
    book = Book()
    for line in lines:
        book.take(line)
    return book.ledger()


class Book:
    """A ledger while its lines are taken in."""

    def __init__(self) -> None:
        self._segments: list[tuple[Config, list[Experiment], list[Repeat]]] = []
        self._notes: list[Note] = []
        self._bad: list[BadLine] = []
        self._seen: set[str] = set()

    def take(self, line: Line) -> None:
        """Take in a line; one that can't be read is reported."""
        if not line.text.strip():
            return
        try:
            self.put(decode(line.text))
        except UNREADABLE as error:
            self.report(line.number, str(error))

    def put(self, record: dict[str, Any]) -> None:
        """Take in what a line says. Raises msgspec.ValidationError where a value is none of its kind."""
        if record.get("type") == "config":
            self.begin(msgspec.convert(record, Config, strict=False))
        elif record.get("type") == "note":
            self._notes.append(msgspec.convert(record, Note, strict=False))
        elif record.get("type") == "repeat" and self._segments:
            self._segments[-1][2].append(_repeat(record))
        elif "type" not in record and "run" in record:
            if not self._segments:
                self.begin(Config())
            experiment = _experiment(record, len(self._segments) - 1)
            if not self.has(experiment.id):
                self._segments[-1][1].append(experiment)
                self._seen.add(experiment.id)

    def has(self, identity: Any) -> bool:
        """Whether an experiment with this id was taken in."""
        return bool(identity) and isinstance(identity, str) and identity in self._seen

    def begin(self, config: Config) -> None:
        """Begin the next segment."""
        self._segments.append((config, [], []))

    def report(self, number: int, problem: str) -> None:
        """Note that a line can't be read."""
        self._bad.append(BadLine(number, problem))

    @property
    def config(self) -> Config | None:
        """The current segment's."""
        return self._segments[-1][0] if self._segments else None

    def ledger(self) -> Ledger:
        return Ledger(
            segments=tuple(
                Segment(number, config, tuple(experiments), tuple(repeats))
                for number, (config, experiments, repeats) in enumerate(self._segments)
            ),
            notes=tuple(self._notes),
            bad_lines=tuple(self._bad),
        )


def decode(text: bytes) -> dict[str, Any]:
    """A line's JSON object. Raises one of UNREADABLE where it is none."""
    record = msgspec.json.decode(text)
    if not isinstance(record, dict):
        raise msgspec.ValidationError("it is no JSON object")
    return record


class _Reader:
    """Reads a ledger again and again, and parses what was added.

    What it has read before it reads again too, and begins anew where that is not the same to the byte: a ledger
    may be replaced, shortened, or written anew in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin()

    def read(self) -> Ledger:
        try:
            with open_regular(self.path) as file:
                if not self._begins(file):
                    self._begin()
                    file.seek(0)
                self._go_on(file)
        except BaseException as error:
            self._begin()
            if not isinstance(error, FileNotFoundError):
                raise
        return self._book.ledger()

    def _begin(self) -> None:
        self._book = Book()
        self._known = hashlib.blake2b()
        self._size = 0
        self._number = 0

    def _begins(self, file: BinaryIO) -> bool:
        """Whether a file begins with what was read before; it then stands just behind that."""
        found, left = hashlib.blake2b(), self._size
        while left and (chunk := file.read(min(left, READ_AGAIN))):
            found.update(chunk)
            left -= len(chunk)
        return not left and found.digest() == self._known.digest()

    def _go_on(self, file: BinaryIO) -> None:
        for text in file:
            if not text.endswith(b"\n"):
                return
            self._known.update(text)
            self._size += len(text)
            self._number += 1
            self._book.take(Line(self._number, self._size, text[:-1]))


_reading = threading.Lock()
_reader: _Reader | None = None
"""Of the ledger that was read last: a program has one that it reads over and over."""


_NOTHING: dict[str, Any] = {}


def _experiment(record: dict[str, Any], segment: int) -> Experiment:
    known = {key: value for key, value in record.items() if value is not None or key in ("metric", "confidence")}
    known["segment"] = segment
    metrics = known.get("metrics")
    known["metrics"] = dict(filter(_is_number, metrics.items())) if isinstance(metrics, dict) else {}
    cost = known.get("cost")
    known["cost"] = dict(filter(_is_number, cost.items())) if isinstance(cost, dict) else {}
    for name in ("record", "conditions"):
        if not isinstance(known.get(name), dict):
            known.pop(name, None)
    for name, kinds in (("repeats", (int, float)), ("seeds", (int, type(None)))):
        found = known.pop(name, None)
        if isinstance(found, list) and all(type(each) in kinds for each in found):
            known[name] = found
    experiment = msgspec.convert(known, Experiment, strict=False)
    changes: dict[str, Any] = {}
    if experiment.timestamp >= MILLISECONDS_FROM:
        changes["timestamp"] = experiment.timestamp / 1000
    if experiment.metric is not None and not math.isfinite(experiment.metric):
        changes["metric"] = None
    if experiment.crashed and experiment.metric == 0:
        changes["metric"] = None
    # What lines have in common is kept once: a session has thousands.
    changes |= {"status": sys.intern(experiment.status), "source": sys.intern(experiment.source)}
    changes |= {name: _NOTHING for name in ("cost", "record", "conditions") if not getattr(experiment, name)}
    if experiment.asi.get("arch_change") == experiment.description:
        experiment.asi["arch_change"] = experiment.description
    return msgspec.structs.replace(experiment, **changes)


def _repeat(record: dict[str, Any]) -> Repeat:
    repeat = msgspec.convert({key: value for key, value in record.items() if value is not None}, Repeat, strict=False)
    if repeat.metric is not None and not math.isfinite(repeat.metric):
        return msgspec.structs.replace(repeat, metric=None)
    return repeat


def _is_number(item: tuple[str, Any]) -> bool:
    return isinstance(item[1], int | float) and not isinstance(item[1], bool)


class LedgerFile:
    """The ledger's writers' side: the engine, and the ``log`` command of an outside agent."""

    def __init__(self, workspace: Workspace) -> None:
        self.path = workspace.ledger
        self._file = JsonLinesFile(self.path, workspace.lock_of(self.path), workspace.torn)

    def writing(self) -> AbstractContextManager[None]:
        """Hold the lock of the ledger's writers."""
        return self._file.writing()

    def open_segment(self, config: Config) -> None:
        """Append a config line: what follows is not comparable with what came before."""
        self._file.append(encode(config))

    def append(self, experiment: Experiment, complete: "Complete | None" = None) -> Experiment:
        """Record an experiment and return it as recorded: with its run number, segment, id and time.

        An id that the ledger already holds is not recorded again; the line that is there is returned. ``complete``
        has the last word under the lock: it gets what is to be recorded and the segment that it comes into.
        """
        with self._file.writing():
            ledger = read(self.path)
            if (there := ledger.find(experiment.id)) is not None:
                return there
            segment = ledger.current or Segment(0, Config())
            run = ledger.next_run
            recorded = msgspec.structs.replace(
                experiment,
                run=run,
                folder=None if experiment.folder in (None, run) else experiment.folder,
                segment=segment.number,
                id=experiment.id or uuid4().hex,
                timestamp=experiment.timestamp or int(time.time()),
            )
            if complete is not None:
                recorded = complete(recorded, segment)
            lines = [encode(recorded)]
            if ledger.current is None:
                lines.insert(0, encode(segment.config))
            for line in lines:
                self._file.append_locked(line)
            return recorded

    def append_repeat(self, repeat: Repeat) -> Repeat:
        """Record one more run of an experiment; one whose id is there already is returned as it is there."""
        with self._file.writing():
            there = (each for segment in read(self.path).segments for each in segment.repeats)
            if found := next((each for each in there if repeat.id and each.id == repeat.id), None):
                return found
            recorded = msgspec.structs.replace(
                repeat, id=repeat.id or uuid4().hex, timestamp=repeat.timestamp or int(time.time())
            )
            self._file.append_locked(encode(recorded))
            return recorded

    def add_note(self, run: int, text: str, identity: str = "") -> None:
        """Append a person's note; one whose id is there already is not added again."""
        with self._file.writing():
            if identity and any(note.id == identity for note in read(self.path).notes):
                return
            self._file.append_locked(encode(Note(run=run, text=text, timestamp=int(time.time()), id=identity)))


Complete = Callable[[Experiment, Segment], Experiment]
"""Makes a line complete; may raise, and then nothing is written."""

OPTIONAL_KEYS = frozenset(
    {"branch", "id", "source", "seconds", "result", "folder", "repeats", "seeds", "seed", "without", "verification"}
    | {"cost", "record", "conditions"}
)


def encode(line: Config | Experiment | Note | Repeat) -> bytes:
    """A line as it is written, without its end."""
    record: dict[str, Any] = msgspec.to_builtins(line)
    return msgspec.json.encode(
        {
            key: whole(value)
            for key, value in record.items()
            if key not in OPTIONAL_KEYS or value not in (None, "", (), {})
        }
    )


def whole(value: Any) -> Any:
    """Whole numbers are written without a fraction, also inside ``metrics`` and notes."""
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT
    return int(value) if is_whole else value
