"""What an outside agent says of its experiments, as lines of the ledger: the command `log`.

The skill's log-experiment.sh (assets/skill/scripts) writes the same lines where this package is not installed. What
the two accept, the sentences with which they refuse and what they write are one contract; the tests compare them.
"""

import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec

from engine import ledger, statistics
from engine.errors import UnusableWorkspace
from engine.jsonlines import UNREADABLE
from engine.ledger import STATUSES, Asi, Config, Experiment, LedgerFile, Segment
from engine.metrics import LONGEST_NAME, NAME, NUMBER
from engine.workspace import Workspace

BLANKS = " \t\r\n"
CONFIDENCE_PLACES = 3
DIRECTIONS = ("lower", "higher")
DEEPEST = 100
"""Levels of the objects and lists in --asi; readers of the ledger take one that is somewhat deeper."""
SHOWN = 60
"""Characters of a wrong value in the sentence that refuses it."""

_RUN = re.compile(r"[1-9][0-9]{0,8}")
_SEGMENT = re.compile(r"0|[1-9][0-9]{0,8}")
_COMMIT = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Said:
    """An experiment in the agent's words: the options as they were given, None where one was not."""

    run: str | None = None
    """Only a check: the number is given out by the ledger."""
    commit: str | None = None
    metric: str | None = None
    status: str | None = None
    description: str | None = None
    metrics: str | None = None
    segment: str | None = None
    """Only a check, too."""
    asi: str | None = None


@dataclass(frozen=True)
class SaidConfig:
    """A segment's config in the agent's words."""

    name: str | None = None
    metric_name: str | None = None
    metric_unit: str | None = None
    direction: str | None = None


def record(workspace: Workspace, said: Said) -> bytes:
    """Append an experiment and return its line. Raises UnusableWorkspace, with nothing written, for what is no
    experiment, and for a run or a segment that are not those whose turn it is."""
    _refuse_place(workspace)
    experiment = _experiment(said)
    book = ledger.read(workspace.ledger)
    _refuse_turn(said, book.next_run, book.current)

    def complete(line: Experiment, segment: Segment) -> Experiment:
        _refuse_turn(said, line.run, segment)
        with_this = replace(segment, experiments=(*segment.experiments, line))
        found = statistics.confidence(with_this, segment.config.best_direction)
        sureness = round(found, CONFIDENCE_PLACES) if found is not None and math.isfinite(found) else None
        return msgspec.structs.replace(line, confidence=sureness)

    return ledger.encode(LedgerFile(workspace).append(experiment, complete))


def begin_segment(workspace: Workspace, said: SaidConfig) -> bytes:
    """Append a config line and return it. Raises UnusableWorkspace, with nothing written, for what is none."""
    _refuse_place(workspace)
    config = _config(said)
    LedgerFile(workspace).open_segment(config)
    return ledger.encode(config)


def refuse_mixed(said: Said, config: SaidConfig, *, is_config: bool) -> None:
    """Options of an experiment beside --config, or of a config without it."""
    where = "belongs to an experiment, and --config begins a segment" if is_config else "belongs to --config"
    wrong: Said | SaidConfig = said if is_config else config
    for each in fields(wrong):
        if getattr(wrong, each.name) is not None:
            raise UnusableWorkspace(f"{_option(each.name)} {where}.")


def _refuse_place(workspace: Workspace) -> None:
    if not workspace.root.is_dir():
        raise UnusableWorkspace(f"there is no directory {workspace.root}.")
    if workspace.ledger.exists() and not workspace.ledger.is_file():
        raise UnusableWorkspace(f"{workspace.ledger} is no regular file.")


def _refuse_turn(said: Said, run: int, segment: Segment | None) -> None:
    if said.run is not None and int(said.run) != run:
        raise UnusableWorkspace(f"run {said.run} is not the next one, which is {run}: leave --run out.")
    current = segment.number if segment else 0
    if said.segment is not None and int(said.segment) != current:
        raise UnusableWorkspace(
            f"segment {said.segment} is not the current one, which is {current}: --config begins the next."
        )


def _experiment(said: Said) -> Experiment:
    given, status = _required("metric", said.metric), _required("status", said.status)
    description = _required("description", said.description)
    if said.run is not None and not _RUN.fullmatch(said.run):
        raise UnusableWorkspace(f"--run {_shown(said.run)} is no whole number from 1.")
    if said.segment is not None and not _SEGMENT.fullmatch(said.segment):
        raise UnusableWorkspace(f"--segment {_shown(said.segment)} is no whole number from 0.")
    if said.commit and not _COMMIT.fullmatch(said.commit):
        raise UnusableWorkspace(
            f"--commit {_shown(said.commit)} is no commit: give what `git rev-parse --short HEAD` prints."
        )
    metric = _metric(given)
    if status not in STATUSES:
        raise UnusableWorkspace(f"--status {_shown(status)} is none of {', '.join(STATUSES)}.")
    _refuse_not_utf8("description", description)
    if not description.strip(BLANKS):
        raise UnusableWorkspace("--description is empty: say what was tried.")
    metrics, asi = _figures(said.metrics), _notes(said.asi)
    if status == "keep" and metric is None:
        raise UnusableWorkspace("a kept experiment has a metric: --status keep and --metric null exclude each other.")
    return Experiment(
        run=0,
        commit=said.commit or "",
        metric=None if status == "crash" and metric == 0 else metric,
        metrics=metrics,
        status=status,
        description=description,
        asi=asi,
    )


def _config(said: SaidConfig) -> Config:
    metric = Config().metric_name if said.metric_name is None else said.metric_name
    unit = Config().metric_unit if metric == Config().metric_name else ""
    unit = unit if said.metric_unit is None else said.metric_unit
    name = f"Optimize {metric}" if said.name is None else said.name
    direction = DIRECTIONS[0] if said.direction is None else said.direction
    _refuse_not_utf8("name", name)
    if not name.strip(BLANKS):
        raise UnusableWorkspace("--name is empty: say what is optimized.")
    if not re.fullmatch(NAME, metric) or len(metric.encode()) > LONGEST_NAME:
        raise UnusableWorkspace(f"--metric-name {_shown(metric)} is no METRIC name: letters, digits, '_' and '.' are.")
    _refuse_not_utf8("metric-unit", unit)
    if direction not in DIRECTIONS:
        raise UnusableWorkspace(f"--direction {_shown(direction)} is neither lower nor higher.")
    return Config(name=name, metric_name=metric, metric_unit=unit, best_direction=direction)


def _required(name: str, value: str | None) -> str:
    if value is None:
        raise UnusableWorkspace(f"Missing option '{_option(name)}'.")
    return value


def _metric(text: str) -> float | None:
    if text == "null":
        return None
    if not re.fullmatch(NUMBER, text) or not math.isfinite(value := float(text)):
        raise UnusableWorkspace(f"--metric {_shown(text)} is neither a finite number nor null.")
    return value


def _figures(text: str | None) -> dict[str, float]:
    found = {} if text is None else _object(text)
    if found is None or not all(_is_finite(each) for each in found.values()):
        raise UnusableWorkspace('--metrics is no JSON object of finite numbers, such as {"peak_memory_mb": 44200}.')
    return {name: float(value) for name, value in found.items()}


def _notes(text: str | None) -> Asi:
    found = {} if text is None else _object(text)
    if found is None or _levels(found) > DEEPEST:
        raise UnusableWorkspace(
            f"--asi is no JSON object of at most {DEEPEST} levels, such as "
            '{"hypothesis": "a higher LR converges faster"}.'
        )
    return found


def _levels(value: Asi) -> int:
    """How deep objects and lists are in each other, the outermost counted; without recursion."""
    levels, nested = 0, list[Any]([value])
    while nested:
        levels += 1
        within = (each for one in nested for each in (one.values() if isinstance(one, dict) else one))
        nested = [each for each in within if isinstance(each, dict | list)]
    return levels


def _object(text: str) -> Asi | None:
    try:
        return ledger.decode(text.encode("utf-8", "surrogateescape"))
    except UNREADABLE:
        return None


def _is_finite(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _refuse_not_utf8(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnusableWorkspace(f"--{name} is not UTF-8.") from None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(text: str) -> str:
    return f"'{re.sub(r'[^ -~]+', '?', text)[:SHOWN]}'"
