"""One look at a session from its files: what runs, what was found so far."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine import activity, dialects, events, journal, obstacles, past, spending
from engine.activity import Activity
from engine.claims import claims
from engine.errors import UnusableWorkspace
from engine.events import EventFollower
from engine.harmless import clean
from engine.ledger import BadLine, Config, Experiment, unreadable
from engine.presence import engine_of
from engine.spending import Spent
from engine.words import amount, counted, money
from engine.workspace import Workspace

TRAINING, QUIET = "training", "quiet"
"""Of the run of an outside agent, as its log tells: it grows; it has not grown for a while."""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """How far the evidence for the session's gain goes: confirmed, likely or unproven, and why."""

    standing: str
    reason: str


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """The noise floor that was measured."""

    sd: float
    across_seeds: bool
    text: str
    """For a person."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands."""

    directory: str
    branch: str | None
    engine: int | None
    """The engine's process id, while one runs."""
    run: int | None
    """The experiment under way, or cut off."""
    repeating: bool
    """What is under way, or cut off, is one more run of ``run``."""
    phase: str | None
    paused: bool
    """No next experiment begins until somebody resumes; without an engine too: the next one starts paused."""
    paused_reason: str
    """Empty where a person asked for the pause."""
    cut_off: bool
    """The engine is gone and ``run`` was under way: the next engine finishes it."""
    experiments: int
    """Lines of the current segment, the baseline's included."""
    kept: int
    """The baseline not counted."""
    crashed: int
    skipped: int
    baseline: float | None
    incumbent: float | None
    incumbent_run: int | None
    confidence: float | None
    claim: Claimed | None
    """None while nothing has beaten the baseline."""
    floor: Floor | None
    """None while nothing was repeated."""
    repeats: int
    """Runs made of a configuration after its first, those in the experiments' own lines included."""
    spent: Spent
    """What all proposals have cost, of every segment, those that came to nothing included."""
    last: float | None
    """When the last experiment was recorded, in seconds since the epoch, by its file where no line says it; None where
    none was."""
    metric_name: str
    metric_unit: str
    direction: str
    """The better one: lower or higher."""
    segment: int
    """The current one, from 1."""
    segments: int
    file: str
    """The session's, in ``directory``."""
    unreadable: tuple[BadLine, ...]
    """Lines of the file that can't be read: their numbers, and why."""

    @property
    def state(self) -> str:
        return self._state(f"paused ({self.paused_reason})" if self.paused_reason else "paused")

    def _state(self, paused: str) -> str:
        run = f"run {self.run} again" if self.repeating else f"run {self.run}"
        if self.engine is None and self.phase in (TRAINING, QUIET):
            return f"{run}: {self.phase}, no engine of ours"
        if self.engine is None:
            doing = f"no engine, {run} was cut off" if self.cut_off else "no engine"
            return f"{doing}, {paused}" if self.paused else doing
        if self.run is None:
            return paused if self.paused else "between experiments"
        pausing = "" if not self.paused else f", {paused}" if self.paused_reason else ", pauses after it"
        doing = f"{run}:" if self.repeating else run
        return f"{doing} {self.phase}{pausing}"

    @property
    def gain(self) -> float | None:
        """The incumbent's metric minus the baseline's; None where nothing was gained."""
        if self.incumbent is None or self.baseline is None or self.incumbent == self.baseline:
            return None
        return self.incumbent - self.baseline

    @property
    def line(self) -> str:
        """For a status bar: nothing in it is of anybody's writing, so that tmux finds no ``#`` to interpret."""
        best = "-" if self.incumbent is None else _short(self.incumbent)
        standing = f" {self.claim.standing}" if self.claim else ""
        gain = "" if self.gain is None else f" ({_short(self.gain, '+')}{standing})"
        return f"{self._state('paused')} | best {best}{gain} | {counted(self.experiments, 'run')}, {self.kept} kept"

    @property
    def text(self) -> str:
        """For a person."""

        def number(value: float | None) -> str:
            return "-" if value is None else _long(value)

        ago = "" if self.last is None else f", the last one {_ago(time.time() - self.last)} ago"
        return "\n".join(
            (
                f"{self.directory}{f' ({self.branch})' if self.branch else ''}: {self.state}",
                f"runs        {self.experiments}: {self.kept} kept, {self.crashed} crashed, {self.skipped} skipped"
                + ago,
                *([f"metric      {clean(self.metric_name)}, {self.direction} is better"] if self._is_named else []),
                *([f"segment     {self.segment} of {self.segments}"] if self.segments > 1 else []),
                f"baseline    {number(self.baseline)}",
                f"incumbent   {number(self.incumbent)}"
                + (f" (run {self.incumbent_run})" if self.incumbent_run else "")
                + ("" if self.gain is None else f"  {_long(self.gain, '+')}"),
                f"claim       {f'{self.claim.standing}: {self.claim.reason}' if self.claim else '-'}",
                f"noise       {self.floor.text if self.floor else '-'}",
                f"repeats     {self.repeats}",
                f"confidence  {'-' if self.confidence is None else f'{self.confidence:.1f}'}",
                f"spent       {_spent(self.spent)}",
                *([unreadable(self.unreadable, self.file)] if self.unreadable else []),
            )
        )

    @property
    def _is_named(self) -> bool:
        usual = Config()
        return (self.metric_name, self.direction) != (usual.metric_name, usual.best_direction)


def of(workspace: Workspace, past_file: Path | None = None) -> Status:
    """``past_file``: of a session that is over, in place of the workspace's own. Raises UnusableWorkspace where there
    is none."""
    is_past = past_file is not None
    file = past_file or past.file_in(workspace.root)
    if file is None:
        obstacles.refuse_missing_directory(workspace)
        raise UnusableWorkspace(
            f"there is no session in {workspace.root}: `autoresearch-tui init {workspace.quoted} --tag T` begins one."
        )
    try:
        recorded = dialects.read(file)
    except UnusableWorkspace as error:
        raise UnusableWorkspace(f"{file} can't be read: {error}") from None
    segment = recorded.current
    holder = None if is_past else engine_of(workspace)  # before the journal: an engine that ends in between leaves none
    flight = None if is_past else journal.load(workspace)
    pause, in_vain = (None, spending.NOTHING) if is_past else _said(workspace)
    is_outside = not is_past and flight is None and not activity.is_our_engines(workspace)
    outside = activity.look(workspace, file, time.time()) if is_outside else Activity()
    phase = TRAINING if outside.is_running else QUIET if outside.is_open else None
    experiments = segment.experiments if segment else ()
    config = segment.config if segment else Config()
    best = segment.incumbent if segment else None
    baseline = segment.baseline if segment else None
    evidence = claims(segment) if segment else None
    total, floor = (evidence.total, evidence.floor) if evidence else (None, None)
    return Status(
        directory=str(workspace.root),
        branch=segment.config.branch if segment else None,
        engine=holder.pid if holder else None,
        run=flight.run if flight else recorded.next_run if phase else None,
        repeating=flight is not None and flight.repeat is not None,
        phase=flight.phase if flight else phase,
        paused=pause is not None,
        paused_reason=pause.reason if pause else "",
        cut_off=holder is None and flight is not None,
        experiments=len(experiments),
        kept=sum(each.kept for each in experiments if each is not baseline),
        crashed=sum(each.crashed for each in experiments),
        skipped=sum(each.skipped for each in experiments),
        baseline=baseline.metric if baseline else None,
        incumbent=best.metric if best else None,
        incumbent_run=best.run if best else None,
        confidence=experiments[-1].confidence if experiments else None,
        claim=Claimed(standing=total.standing, reason=total.reason) if total else None,
        floor=Floor(sd=floor.sd, across_seeds=floor.across_seeds, text=floor.text) if floor else None,
        repeats=sum(max(0, len(each.repeats) - 1) for each in experiments) + (len(segment.repeats) if segment else 0),
        spent=spending.total(each.cost for each in recorded.experiments) + in_vain,
        last=_last(experiments, file),
        metric_name=config.metric_name,
        metric_unit=config.metric_unit,
        direction="higher" if config.best_direction == "higher" else "lower",
        segment=segment.number + 1 if segment else 1,
        segments=max(1, len(recorded.segments)),
        file=str(file.relative_to(workspace.root)),
        unreadable=recorded.bad_lines,
    )


def _last(experiments: Sequence[Experiment], file: Path) -> float | None:
    """When the last one was recorded."""
    if not experiments:
        return None
    try:
        return experiments[-1].timestamp or file.stat().st_mtime
    except OSError:
        return None


def _said(workspace: Workspace) -> tuple[events.Paused | None, Spent]:
    """The pause that holds, if one does (it outlives the engine), and what was spent on proposals in vain."""
    pause, in_vain = None, spending.NOTHING
    for event in EventFollower(workspace.events):
        match event:
            case events.Paused():
                pause = event
            case events.Resumed():
                pause = None
            case events.ProposalFailed(cost=cost):
                in_vain += spending.of(cost)
    return pause, in_vain


def _short(value: float, sign: str = "") -> str:
    """Four decimals, but of a metric in microseconds or in millionths four digits."""
    return f"{value:{sign}z.4f}" if value == 0 or 0.0001 <= abs(value) < 1e5 else f"{value:{sign}.4g}"


def _long(value: float, sign: str = "") -> str:
    """Six decimals, but of what they can't tell from nothing three digits."""
    return f"{value:{sign}z.6f}" if value == 0 or abs(value) >= 0.000001 else f"{value:{sign}.3g}"


def pause_of(workspace: Workspace) -> events.Paused | None:
    """The pause that holds, if one does."""
    return _said(workspace)[0]


def _spent(spent: Spent) -> str:
    """$0.42, 1.2M tokens, 12 min of proposing."""
    took = f"{_ago(spent.seconds)} of proposing" if spent.seconds else ""
    tokens = f"{amount(spent.tokens)} tokens" if spent.tokens else ""
    return ", ".join(part for part in (money(spent.dollars) if spent.dollars else "", tokens, took) if part) or "-"


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
