"""Everything that the screen shows, as one immutable value, and the pure functions that make it.

``fold`` takes the engine's events, ``with_ledger`` the ledger. Nothing here reads a file or knows a widget.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise, zip_longest
from typing import Any

from engine import spending
from engine.claims import Claim, Claims, claims
from engine.events import (
    AnyEvent,
    CommandDone,
    EngineStarted,
    EngineStopped,
    IdeaMoved,
    IdeaQueued,
    IdeaTaken,
    IdeaWithdrawn,
    Judged,
    MessageQueued,
    MessageTaken,
    Paused,
    PhaseChanged,
    ProposalFailed,
    Proposed,
    Recorded,
    Rescued,
    Resumed,
    RunEnded,
    RunStarted,
    SkipAsked,
    Thrashing,
    Warned,
)
from engine.ledger import Config, Experiment, Ledger, Repeat, Segment, unreadable
from engine.queue import moved
from engine.spending import Spent
from engine.supervisor import Ending
from engine.workspace import LEDGER, RunFolder, Workspace
from tui.progress import Progress
from tui.text import clean

UNDER_WAY = ("proposed", "committed", "running", "measured", "mending", "judged", "recorded")


@dataclass(frozen=True)
class Notice:
    """A short-lived message: a warning of the engine, or its answer to a command. ``role`` as in tui.spans."""

    at: float
    text: str
    role: str = ""


@dataclass(frozen=True)
class Row:
    """An experiment and what it meant in its time."""

    experiment: Experiment
    is_baseline: bool = False
    delta: float | None = None
    """Its metric minus the incumbent's of its time; None for a baseline and for a run without a metric that counts."""
    best: float | None = None
    """The incumbent's metric after it."""


@dataclass(frozen=True)
class ViewState:
    """What is known of a session."""

    ledger: Ledger = field(default_factory=Ledger)
    rows: tuple[Row, ...] = ()
    """Every experiment, oldest first."""
    claims: tuple[Claims, ...] = ()
    """What may be claimed, of each segment."""
    revision: int = 0
    """Counts the changes of the ledger, for caches."""
    engine: EngineStarted | None = None
    """The last engine that started."""
    stopped: EngineStopped | None = None
    """How that engine left, if it said so."""
    alive: bool = False
    """Its process exists."""
    is_past: bool = False
    """It was opened from the browser, to be looked at only."""
    is_watched: bool = False
    """An outside agent drives it, or did: its runs have no folders."""
    lacks: Mapping[int, str] = field(default_factory=dict)
    """Why there is no diff, of the runs of an outside agent that have none."""
    phase: str = ""
    phase_at: float = 0.0
    """When the engine said so."""
    live_run: int | None = None
    """The experiment under way, by the number of its folder; of a repeat the experiment that is run again."""
    proposal: Proposed | None = None
    started: RunStarted | None = None
    ended: RunEnded | None = None
    repeated: Proposed | None = None
    """The repeat that ended last, while no experiment has come after it."""
    verdicts: Mapping[int, Judged] = field(default_factory=dict)
    paused: Paused | None = None
    ideas: tuple[IdeaQueued, ...] = ()
    messages: tuple[MessageQueued, ...] = ()
    """What the proposer is to be told at its next turn."""
    spent_on_runs: Spent = spending.NOTHING
    """The cost of the proposals that became experiments."""
    spent_in_vain: Spent = spending.NOTHING
    thrashing_from: int = 0
    """So many experiments in a row without a keep the engine has last called too many."""
    rescued: str | None = None
    """The person's last edit of train.py that the engine took back, as a patch in the workspace."""
    notice: Notice | None = None
    progress: Progress | None = None
    sent: Mapping[str, str] = field(default_factory=dict)
    """This viewer's commands that the engine has not acknowledged yet: id → kind."""

    @property
    def segment(self) -> Segment | None:
        return self.ledger.current

    @property
    def baseline(self) -> Experiment | None:
        return self.segment.baseline if self.segment else None

    @property
    def incumbent(self) -> Experiment | None:
        return self.segment.incumbent if self.segment else None

    @property
    def evidence(self) -> Claims | None:
        """What may be claimed of the current segment."""
        return self.claims[-1] if self.claims else None

    @property
    def is_repeating(self) -> bool:
        """What is under way is one more run of an experiment that has its line already."""
        return self.live_run is not None and self.proposal is not None and bool(self.proposal.folder)

    @property
    def new_run(self) -> int | None:
        """The experiment under way that has no line yet; None while there is none, a repeat of another included."""
        return None if self.is_repeating else self.live_run

    @property
    def next_run(self) -> int:
        """The number of the experiment that is proposed next."""
        return self.ledger.next_run

    @property
    def is_verifying(self) -> bool:
        """The engine runs a verification, and no experiments."""
        return self.alive and self.engine is not None and self.engine.proposer == "verify"

    @property
    def gain(self) -> float | None:
        """The incumbent's metric minus the baseline's; None before anything beat the baseline."""
        first, best = self.baseline, self.incumbent
        if first is None or best is None or first is best or first.metric is None or best.metric is None:
            return None
        return best.metric - first.metric

    @property
    def thrashing(self) -> int:
        """Experiments in a row without a keep, where they are too many; else 0."""
        since = self.segment.without_keep if self.segment else 0
        return since if 0 < self.thrashing_from <= since else 0

    @property
    def confidence(self) -> float | None:
        """The session's, as the last experiment's line says it."""
        experiments = self.segment.experiments if self.segment else ()
        return experiments[-1].confidence if experiments else None

    @property
    def lower_is_better(self) -> bool:
        return self.segment is None or self.segment.config.best_direction != "higher"

    @property
    def metric_name(self) -> str:
        return clean(self.segment.config.metric_name) if self.segment else "val_bpb"

    @property
    def spent(self) -> Spent:
        """What proposals have cost in this session."""
        return self.spent_on_runs + self.spent_in_vain

    @property
    def proposer(self) -> str:
        """Who proposes in this session; nobody in a verification."""
        return clean(self.engine.proposer) if self.engine is not None and self.engine.proposer != "verify" else ""

    @property
    def is_training(self) -> bool:
        """The training process runs."""
        return self.live_run is not None and self.started is not None and self.ended is None

    @property
    def is_to_pause(self) -> bool:
        """Whether a pause is what was asked for last: as the engine says, or by what this viewer has sent since."""
        asked = [kind for kind in self.sent.values() if kind in ("pause", "resume")]
        return asked[-1] == "pause" if asked else self.paused is not None

    @property
    def is_paused(self) -> bool:
        """The loop stands still: between two experiments, or on trouble in the middle of one."""
        if self.paused is None or self.is_training:
            return False
        return bool(self.paused.reason) or (self.live_run is None and self.phase != "proposing")

    @property
    def is_pausing(self) -> bool:
        """A pause is asked for, by anyone, and what is under way goes on until then."""
        return self.is_to_pause and not self.is_paused and (self.live_run is not None or self.phase == "proposing")

    @property
    def trouble(self) -> str:
        """The engine's sentence on why it cannot go on without a person; empty while it can."""
        if self.alive:
            return clean(self.paused.reason) if self.paused is not None else ""
        return clean(self.stopped.reason) if self.stopped is not None and self.stopped.failed else ""


def fold(state: ViewState, events: Iterable[AnyEvent]) -> ViewState:
    """The state after ``events``."""
    verdicts = dict(state.verdicts)
    sent = dict(state.sent)
    for event in events:
        if isinstance(event, Judged):
            verdicts[event.run] = event
        elif isinstance(event, CommandDone):
            sent.pop(event.id, None)
        state = _step(state, event)
    return replace(state, verdicts=verdicts, sent=sent)


def _with(state: ViewState, **changes: Any) -> ViewState:
    """As dataclasses.replace, in a tenth of its time: a session has tens of thousands of events."""
    new = object.__new__(ViewState)
    new.__dict__.update(state.__dict__, **changes)
    return new


def _step(state: ViewState, event: AnyEvent) -> ViewState:  # one return for each kind of event reads best as a table
    match event:
        case EngineStarted():
            return _with(state, engine=event, stopped=None, phase="starting")
        case EngineStopped():
            return _with(_settled(state), stopped=event, phase="")
        case PhaseChanged(phase=phase, run=run, at=at):
            state = _with(state, phase_at=at)
            if phase not in UNDER_WAY:
                return _with(_settled(state), phase=phase)
            if phase == "recorded":
                return _with(_settled(state), phase=phase)
            run = state.live_run if run is None else run
            base = state if run == state.live_run else _settled(state)
            return _with(base, phase=phase, live_run=run)
        case Proposed():
            is_known = event.run == state.live_run and (state.proposal is None or event.id == state.proposal.id)
            base = state if is_known else _settled(state)
            repeated = state.repeated if event.folder else None
            return _with(base, proposal=event, live_run=event.run, phase="proposed", repeated=repeated)
        case RunStarted():
            base = state if event.run == state.live_run else _settled(state)
            return _with(base, started=event, ended=None, live_run=event.run, phase="running")
        case RunEnded():
            return _with(state, ended=event)
        case Judged():
            is_lost = state.ended is not None and state.ended.ending == Ending.LOST
            said = Notice(event.at, _verdict(event, "lost" if is_lost else event.status), _role(event.status))
            return _with(state, notice=said)
        case Recorded():
            return _with(_settled(state), repeated=state.proposal if event.status == "repeat" else None)
        case Paused(reason=reason):
            still_in_trouble = not reason and state.paused is not None
            return state if still_in_trouble else _with(state, paused=event)
        case Resumed():
            return _with(state, paused=None)
        case CommandDone():
            text = clean(event.problem or event.answer)
            if idea := next((each for each in state.ideas if each.id == event.id), None):
                text = f"Queued: {clean(idea.text)}"
            role = "bad" if event.problem else "good"
            return _with(state, notice=Notice(event.at, text, role)) if text else state
        case IdeaQueued():
            return _with(state, ideas=(*state.ideas, event))
        case IdeaTaken():
            problem = clean(event.problem)
            notice = Notice(event.at, f"Idea put aside: {problem}", "warn") if problem else state.notice
            return _with(state, ideas=tuple(idea for idea in state.ideas if idea.id != event.id), notice=notice)
        case IdeaWithdrawn(id=identity):
            return _with(state, ideas=tuple(idea for idea in state.ideas if idea.id != identity))
        case IdeaMoved(id=identity, before=before):
            return _with(state, ideas=moved(state.ideas, identity, before))
        case SkipAsked():
            return state
        case MessageQueued():
            return _with(state, messages=(*state.messages, event))
        case MessageTaken(run=run):
            notice = Notice(event.at, f"The proposer was told before run {run}.", "good")
            return _with(state, messages=tuple(each for each in state.messages if each.id != event.id), notice=notice)
        case Thrashing():
            text = f"{event.count} experiments in a row without a keep: a different approach is asked for."
            return _with(state, thrashing_from=event.count, notice=Notice(event.at, text, "warn"))
        case Rescued():
            text = f"train.py had been edited: saved as {clean(event.patch)}, and taken back. e runs it next."
            return _with(state, rescued=event.patch, notice=Notice(event.at, text, "warn"))
        case ProposalFailed(problem=problem, cost=cost):
            spent = state.spent_in_vain + spending.of(cost)
            return _with(state, notice=Notice(event.at, clean(problem), "warn"), spent_in_vain=spent)
        case Warned():
            return _with(state, notice=Notice(event.at, clean(event.message), "warn"))


def _settled(state: ViewState) -> ViewState:
    """No experiment is under way."""
    return _with(state, live_run=None, proposal=None, started=None, ended=None, progress=None)


def _verdict(event: Judged, status: str) -> str:
    reason = clean(event.reason)
    if reason.startswith("skipped"):
        return f"Run {event.run}: {reason}"
    return f"Run {event.run}: {status_words(status)}" + (f", {reason}" if reason else "")


def status_words(status: str) -> str:
    """checks_failed as it is said: checks failed."""
    return clean(status).replace("_", " ")


def outcome(experiment: Experiment) -> str:
    """What became of an experiment, in words: its status, or why it has no verdict."""
    return clean(experiment.result) if experiment.inconclusive else status_words(experiment.status)


def _role(status: str) -> str:
    return {"keep": "good", "crash": "bad", "checks_failed": "warn"}.get(status, "")


def with_ledger(state: ViewState, ledger: Ledger, name: str = LEDGER, now: float = 0.0) -> ViewState:
    """The state with a newer ledger; a line of it that cannot be read is said. ``name``: its file's; ``now``: from when
    on that is shown, else from its last experiment on."""
    notice = state.notice
    if len(ledger.bad_lines) > len(state.ledger.bad_lines):
        at = max(now, state.notice.at if state.notice else 0.0, _last_time(ledger))
        notice = Notice(at, unreadable(ledger.bad_lines, name), "warn")
    return replace(
        state,
        ledger=ledger,
        rows=_rows(ledger),
        claims=_claims(state, ledger),
        spent_on_runs=spending.total(each.cost for each in ledger.experiments),
        revision=state.revision + 1,
        notice=notice,
    )


def _claims(state: ViewState, ledger: Ledger) -> tuple[Claims, ...]:
    """What may be claimed of each segment: found anew only where a segment has changed, for it takes a while."""
    known = zip(state.ledger.segments, state.claims, strict=True)
    pairs = zip_longest(ledger.segments, islice(known, len(ledger.segments)))
    return tuple(old[1] if old and old[0] == segment else claims(segment) for segment, old in pairs)


def _last_time(ledger: Ledger) -> float:
    return max((each.timestamp for each in ledger.experiments), default=0.0)


def _rows(ledger: Ledger) -> tuple[Row, ...]:
    rows: list[Row] = []
    for segment in ledger.segments:
        best: float | None = None
        baseline = segment.baseline
        for experiment in segment.experiments:
            metric = None if experiment.crashed else experiment.metric
            is_trusted = experiment.status != "checks_failed"
            delta = metric - best if is_trusted and metric is not None and best is not None else None
            if experiment.kept and metric is not None:
                best = _better(best, metric, segment)
            rows.append(Row(experiment, experiment is baseline, delta, best))
    return tuple(rows)


def _better(best: float | None, metric: float, segment: Segment) -> float:
    """The incumbent's metric after an experiment that was kept."""
    if best is None or not segment.is_outside:
        return metric
    return max(best, metric) if segment.config.best_direction == "higher" else min(best, metric)


@dataclass(frozen=True)
class Subject:
    """The experiment that the log, the notes and the diff are about."""

    run: int
    folder: int
    is_live: bool = False
    """It is under way, or was when its engine went away."""
    is_cut_off: bool = False
    """Its engine went away."""
    is_next: bool = False
    """An outside agent makes it ready, and has not run it yet."""
    row: Row | None = None
    proposal: Proposed | None = None
    verdict: Judged | None = None
    notes: tuple[str, ...] = ()
    """What people wrote on it."""
    repeat: Proposed | None = None
    """The one more run of it that this is about: its log and its train.py are shown, not the experiment's own."""
    log_folder: str = ""
    """Where its log is, from the runs' folder, if it is a repeat's."""
    repeats: tuple[Repeat, ...] = ()
    """The runs that were made of it later."""
    claim: Claim | None = None
    """What may be claimed of its step, if it was kept."""
    session: Claims | None = None
    """What may be claimed in all, where that is to be said of it."""

    def files(self, workspace: Workspace) -> RunFolder:
        """What it ran."""
        return _folder(workspace, self.repeat.folder if self.repeat else "", self.folder)

    def log(self, workspace: Workspace) -> RunFolder:
        """What it printed."""
        return _folder(workspace, self.log_folder, self.folder)

    @property
    def result(self) -> Repeat | None:
        """The line of the repeat that this is about, once it has one."""
        return next((each for each in self.repeats if self.repeat and each.id == self.repeat.id), None)

    @property
    def experiment(self) -> Experiment | None:
        return self.row.experiment if self.row else None

    @property
    def short_name(self) -> str:
        """run 7; run 7 again, seed 1001."""
        return clean(self.repeat.description) if self.repeat else f"run {self.run}"

    @property
    def name(self) -> str:
        """For a pane's title: run 7 · keep; run 7 again, seed 1001 · live."""
        status = "cut off" if self.is_cut_off else "next" if self.is_next else "live" if self.is_live else ""
        if self.log_folder and not self.repeat:
            return f"run {self.run} again · {status}"
        if self.experiment and not self.repeat:
            status = outcome(self.experiment)
        return f"{self.short_name} · {status}" if status else self.short_name


def subject(state: ViewState, selected: int | None) -> Subject | None:
    """The selected experiment; with none selected the one under way, and between two the last one."""
    if selected is None and state.live_run is not None:
        return _live(state, state.live_run)
    if selected is None and state.repeated is not None and (row := row_of(state, state.repeated.run)) is not None:
        return _repeat(state, row, state.repeated)
    if selected is None:
        return _recorded(state, state.rows[-1], tells_all=True) if state.rows else None
    row = row_of(state, selected)
    if row is not None:
        return _recorded(state, row)
    return subject(state, None)


def config_of(state: ViewState, about: Subject) -> Config:
    """What is measured in the segment that an experiment belongs to."""
    segment = state.ledger.segments[about.experiment.segment] if about.experiment else state.segment
    return segment.config if segment else Config()


def row_of(state: ViewState, run: int) -> Row | None:
    """The row of an experiment that is recorded."""
    return next((each for each in reversed(state.rows) if each.experiment.run == run), None)


def _folder(workspace: Workspace, path: str, number: int) -> RunFolder:
    return RunFolder(workspace.runs / path) if path else workspace.run_folder(number)


def _live(state: ViewState, run: int) -> Subject:
    log_folder = state.started.folder if state.started else ""
    if state.is_repeating and state.proposal is not None and (row := row_of(state, run)) is not None:
        about = _repeat(state, row, state.proposal)
        return replace(about, is_live=True, is_cut_off=not state.alive)
    return Subject(
        run,
        run,
        is_live=True,
        is_cut_off=not state.alive,
        is_next=state.is_watched and state.started is None,
        proposal=state.proposal,
        verdict=state.verdicts.get(run),
        notes=_notes(state, run),
        log_folder=log_folder,
        session=state.evidence,
    )


def _repeat(state: ViewState, row: Row, proposal: Proposed) -> Subject:
    about = _recorded(state, row, tells_all=True)
    return replace(about, repeat=proposal, log_folder=proposal.folder)


def _recorded(state: ViewState, row: Row, *, tells_all: bool = False) -> Subject:
    experiment = row.experiment
    run, folder = experiment.run, experiment.folder_number
    segment, evidence = state.ledger.segments[experiment.segment], state.claims[experiment.segment]
    return Subject(
        run,
        folder,
        row=row,
        verdict=state.verdicts.get(folder),
        notes=_notes(state, run),
        repeats=tuple(each for each in segment.repeats if each.run == run),
        claim=evidence.of(run),
        session=evidence if tells_all or experiment is segment.incumbent else None,
    )


def _notes(state: ViewState, run: int) -> tuple[str, ...]:
    return tuple(note.text for note in state.ledger.notes if note.run == run)


def beside(state: ViewState, selected: int | None, step: int) -> int | None:
    """The run to select when one steps from ``selected`` to a later (+1) or an earlier (−1) one; None is live."""
    runs = [row.experiment.run for row in state.rows]
    if not runs:
        return None
    if selected not in runs:
        if step > 0:
            return None
        shows_the_last = state.live_run is None and state.repeated is None
        return runs[-2] if shows_the_last and len(runs) > 1 else runs[-1]
    following = dict(pairwise(runs)) if step > 0 else {later: earlier for earlier, later in pairwise(runs)}
    return following.get(selected, None if step > 0 else selected)
