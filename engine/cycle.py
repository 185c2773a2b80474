"""One experiment, from a proposal to settled.

Each phase is a step that may be cut off anywhere (kill -9) and is then found done, or done again: what
happened is read from git, the ledger and the run's folder; the journal says what was meant to happen.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

import msgspec

from engine import (
    diagnosis,
    events,
    evidence,
    imports,
    journal,
    knobs,
    ledger,
    meaning,
    noise,
    patch,
    safekeeping,
    statistics,
)
from engine.control import Control
from engine.events import Event, EventLog
from engine.files import read_regular, write_atomically
from engine.history import History
from engine.journal import InFlight, Phase
from engine.judge import Candidate, Incumbent, Status, Verdict, judge, must_confirm
from engine.ledger import Experiment, LedgerFile, Repeat
from engine.measuring import Bench, Measurement
from engine.proposers import Failed, Proposal, Result
from engine.proposers.team import Team
from engine.repository import EXPERIMENT_TRAILER, REVERT_TRAILER, BranchMovedError, Repository
from engine.runner import Run
from engine.settings import Settings
from engine.supervisor import Ending
from engine.train_file import TrainFile
from engine.transcript import Transcript
from engine.workspace import PREPARE, PYPROJECT, TRAIN, RunFolder, Workspace

MOST_FIXES = 2
"""How often a candidate that crashed for a trivial reason is mended, under the same run number."""


@dataclass
class Cycle:
    """Takes experiments through their phases, one after the other."""

    workspace: Workspace
    settings: Settings
    repository: Repository
    train: TrainFile
    bench: Bench
    log: EventLog
    control: Control
    team: Team
    mend: Callable[[str, Failed], Proposal | None] = field(default=lambda source, failed: None)
    """Has who proposed a candidate (by its source) mend it after a crash with a trivial cause."""

    def history(self) -> History:
        """What happened so far, from a ledger that is whole."""
        if said := safekeeping.check_ledger(self.workspace, self.repository.private):
            self.log.emit(events.Warned(message=said))
        return History.of(self.workspace)

    def begin(self, proposal: Proposal, parent: str, *, measures_head: bool = False) -> InFlight:
        """Put a proposal on disk as the experiment under way; ``parent``: the commit that it was made from."""
        flight = InFlight(
            id=uuid4().hex,
            run=self.history().next_run,
            phase=Phase.PROPOSED,
            parent=parent,
            description=proposal.description,
            source=proposal.source,
            asi=proposal.asi,
            measures_head=measures_head,
            idea=proposal.idea,
            cost=proposal.cost.as_line(),
        )
        self._fresh_folder(flight.run)
        self._fill_folder(flight, proposal.train)
        journal.save(self.workspace, flight)
        return flight

    def begin_repeat(self, experiment: Experiment, source: str, wanted: Repeat, idea: str = "") -> InFlight:
        """Put one more run of ``experiment`` on disk as what is under way; ``source``: the train.py that is to run."""
        folder = self.workspace.run_folder(experiment.folder_number).next_repeat()
        head = self.train.head()
        flight = InFlight(
            id=uuid4().hex,
            run=experiment.run,
            phase=Phase.COMMITTED,
            parent=head,
            commit=head,
            description=_describe(wanted),
            source="verify" if wanted.verification else "person",
            repeat=wanted,
            folder=str(folder.path.relative_to(self.workspace.runs)),
            idea=idea,
        )
        write_atomically(folder.train, source.encode())
        write_atomically(folder.diff, patch.unified(self.train.at(head), source, TRAIN).encode())
        journal.save(self.workspace, flight)
        return flight

    def left_behind(self) -> InFlight | None:
        """The experiment whose commit is the branch's last word on train.py, although it was not settled.

        So it stands where the journal was lost: found in git it goes on, and is not taken for a person's commit.
        """
        commit = self.repository.last_change(TRAIN)
        name = self.repository.trailer(commit, EXPERIMENT_TRAILER) if commit else ""
        identity, _, fixes = name.partition(".")
        parent = self.repository.parent_of(commit) if identity else None
        while parent and self.repository.trailer(parent, EXPERIMENT_TRAILER).partition(".")[0] == identity:
            parent = self.repository.parent_of(parent)
        if not parent:
            return None
        book = ledger.read(self.workspace.ledger)
        entry = book.find(identity)
        if entry is not None and entry.kept:
            return None
        flight = InFlight(
            id=identity,
            run=entry.folder_number if entry else book.next_run,
            phase=Phase.RECORDED if entry else Phase.RUNNING,
            parent=parent,
            commit=commit,
            description=self.repository.message(commit).split("\n", 1)[0].removeprefix("experiment: "),
            source=entry.source if entry else "journal lost",
            fixes=int(fixes or 0),
            entry=msgspec.to_builtins(entry) if entry else {},
        )
        journal.save(self.workspace, flight)
        return flight

    async def finish(self, flight: InFlight) -> None:
        """Take the experiment from wherever it stands to the ledger and a settled branch."""
        await self._say(
            events.Proposed(
                run=flight.run,
                id=flight.id,
                description=flight.description,
                source=flight.source,
                asi=flight.asi,
                folder=flight.folder,
            )
        )
        self.control.current_run = flight.run
        run = Run(self._folder(flight), _name(flight))
        try:
            while flight.phase is not Phase.RECORDED:
                await self._say(events.PhaseChanged(phase=flight.phase, run=flight.run))
                match flight.phase:
                    case Phase.PROPOSED:
                        committed = await asyncio.to_thread(self._commit, flight)
                        if committed is None:
                            return
                        flight = committed
                    case Phase.COMMITTED:
                        flight = await asyncio.to_thread(self._make_ready, flight)
                    case Phase.RUNNING:
                        flight = await self._run(flight, run)
                    case Phase.MEASURED:
                        flight = await self._judge(flight, run)
                        run = Run(self._folder(flight), _name(flight))
                    case Phase.JUDGED:
                        flight = await asyncio.to_thread(self._record, flight)
            await self._say(events.PhaseChanged(phase=flight.phase, run=flight.run))
            await asyncio.to_thread(self._settle, flight)
        finally:
            self.control.current_run = None

    async def _say(self, event: Event) -> None:
        await asyncio.to_thread(self.log.emit, event)

    def _advance(self, flight: InFlight, phase: Phase) -> InFlight:
        flight = msgspec.structs.replace(flight, phase=phase)
        journal.save(self.workspace, flight)
        return flight

    def _commit(self, flight: InFlight) -> InFlight | None:
        """Make the candidate a commit; None where it was abandoned, for a person's commit came first."""
        self.train.require_branch()
        if flight.fix:
            self._take_fix(flight)
        candidate = self._candidate_source(flight)
        base = flight.commit if flight.fix else flight.parent
        if not self.train.has(base):
            self._abandon(flight)
            return None
        original = self.train.at(base).encode()
        commit = "" if flight.measures_head else self._find(flight.parent, EXPERIMENT_TRAILER, _name(flight))
        while not commit:
            head = self.train.head()
            if candidate is None or not self.train.is_at(head, original):
                self._abandon(flight)
                return None
            self.train.rescue(candidate, original)
            if flight.measures_head:
                commit = head
                break
            fixed = f" (mended, {flight.fixes})" if flight.fix else ""
            message = f"experiment: {flight.description}{fixed}\n\n{EXPERIMENT_TRAILER}: {_name(flight)}"
            with suppress(BranchMovedError):
                commit = self.train.commit(candidate, message, head)
        return self._advance(msgspec.structs.replace(flight, commit=commit), Phase.COMMITTED)

    def _take_fix(self, flight: InFlight) -> None:
        """Give the mended candidate the run's folder; what crashed is kept beside it."""
        folder = self._folder(flight)
        crashed = folder.path.with_name(_crashed(folder, flight.fixes))
        if not crashed.exists():
            folder.path.rename(crashed)
        if not folder.diff.exists():
            folder.path.mkdir(exist_ok=True)
            self._fill_folder(flight, flight.fix)
            Transcript(self.workspace).keep(folder)

    def _abandon(self, flight: InFlight) -> None:
        """Nothing was committed yet: the next proposal starts from what the branch holds now."""
        problem = f"{flight.description!r} is put off: train.py was committed by somebody meanwhile"
        if flight.cost:
            self.control.proposal_failed(flight.source, problem, flight.cost)
        else:
            self.log.emit(events.Warned(message=problem))
        journal.clear(self.workspace)
        self.log.emit(events.PhaseChanged(phase="idle"))

    def _make_ready(self, flight: InFlight) -> InFlight:
        """Have the work tree hold what is to be measured; a person's commit since then puts the experiment aside."""
        self.train.require_branch()
        if flight.idea:
            self.control.idea_taken(flight.idea, run=flight.run)
        candidate = self._candidate_source(flight)
        if flight.repeat is not None:
            return self._place_repeat(flight, candidate)
        if candidate is None or not self.train.is_at(self.train.head(), candidate):
            reason = "train.py was committed by somebody before the run began"
            return self._advance(msgspec.structs.replace(flight, superseded=reason), Phase.MEASURED)
        if violations := self._violations_of(flight, candidate.decode("utf-8", "replace")):
            return self._advance(msgspec.structs.replace(flight, refused=violations), Phase.MEASURED)
        self.train.settle(*self._ours(flight))
        return self._advance(flight, Phase.RUNNING)

    def _place_repeat(self, flight: InFlight, source: bytes | None) -> InFlight:
        if source is None:
            reason = "its train.py was removed before it ran"
            return self._advance(msgspec.structs.replace(flight, superseded=reason), Phase.MEASURED)
        self.train.place(source, *self._ours(flight))
        return self._advance(flight, Phase.RUNNING)

    def _violations_of(self, flight: InFlight, train: str) -> tuple[str, ...]:
        """Rules of the game that a candidate breaks before it has run; what a person committed is the person's."""
        if flight.measures_head:
            return ()
        prepare, pyproject = (
            (self.bench.guards.original(name) or b"").decode("utf-8", "replace") for name in (PREPARE, PYPROJECT)
        )
        incumbent = self.train.at(flight.parent)
        dead = (
            f"train.py does not use {name} any more: fresh runs with other seeds would prove nothing"
            for name in knobs.seeds_no_longer_used(incumbent, train)
        )
        return (*imports.violations(train, incumbent=incumbent, prepare=prepare, pyproject=pyproject), *dead)

    async def _run(self, flight: InFlight, run: Run) -> InFlight:
        adopted = await asyncio.to_thread(lambda: run.begun)
        if not adopted:
            ready = await asyncio.to_thread(self._make_ready, flight)
            if ready.phase is not Phase.RUNNING:
                return ready
            await asyncio.to_thread(self.bench.start, run)
        await self.bench.follow(run, flight.run, adopted=adopted)
        return await asyncio.to_thread(self._advance, flight, Phase.MEASURED)

    async def _judge(self, flight: InFlight, run: Run) -> InFlight:
        await asyncio.to_thread(self.train.require_branch)
        history = await asyncio.to_thread(self.history)
        if flight.superseded or flight.refused:
            return await asyncio.to_thread(self._judge_unrun, flight, history)
        first = await self.bench.read(run, flight.run, history)
        if flight.repeat is not None:
            if first.skipped and self.control.stopping_now:
                return await asyncio.to_thread(self._advance, flight, Phase.RECORDED)  # no line: it may be run again
            return await asyncio.to_thread(self._repeated, flight, flight.repeat, first)
        runs, seeds = await self._run_again(flight, history, first)
        candidate = await asyncio.to_thread(self._candidate, flight, runs)
        segment, incumbent = history.segment, _incumbent(history)
        verdict = judge(candidate, incumbent, self.settings.policy, segment.config.best_direction, noise.floor(segment))
        if verdict.status is Status.CRASH and (
            mended := await asyncio.to_thread(self._mended, flight, runs[-1], verdict.reason)
        ):
            return mended
        await self._say(
            events.Judged(run=flight.run, status=verdict.status, reason=verdict.reason, metric=candidate.metric)
        )
        entry = await asyncio.to_thread(self._entry, flight, history, candidate, verdict, runs, seeds)
        return await asyncio.to_thread(self._judged, flight, entry)

    def _mended(self, flight: InFlight, crashed: Measurement, reason: str) -> InFlight | None:
        """The experiment with its trivial mistake mended, to be run under the same number; None where it is not.

        ``reason``: the verdict's.
        """
        if flight.measures_head or flight.fixes >= MOST_FIXES or not diagnosis.is_trivial(crashed.failure):
            return None
        failed = Failed(self._train_of(flight), crashed.failure, crashed.log_tail)
        proposal = self.mend(flight.source, failed)
        if proposal is None:
            return None
        number = flight.fixes + 1
        self.log.emit(events.Warned(message=f"run {flight.run} crashed ({reason}): mended, and run again"))
        mended = msgspec.structs.replace(
            flight,
            fixes=number,
            fix=proposal.train,
            asi=flight.asi | {f"crash {number}, mended": reason},
            cost=_added(flight.cost, proposal.cost.as_line()),
        )
        return self._advance(mended, Phase.PROPOSED)

    async def _run_again(
        self, flight: InFlight, history: History, first: Measurement
    ) -> tuple[list[Measurement], list[int | None]]:
        """Repeats with other seeds before there is a verdict: a baseline's, or those that policy ``confirm`` wants."""
        runs = [first]
        seeds: list[int | None] = [None]
        while runs[-1].is_sound and self._wants_another(flight, history, runs):
            folder = self._folder(flight).repeat(len(runs))
            run = Run(folder, f"{_name(flight)}-{len(runs)}")
            seed = noise.next_seed(history.segment) + len(runs) - 1
            adopted = await asyncio.to_thread(self._begin_again, flight, run, seed)
            await self.bench.follow(run, flight.run, adopted=adopted)
            runs.append(await self.bench.read(run, flight.run, history))
            seeds.append(_seed_of(read_regular(folder.train).decode("utf-8"), self._train_of(flight)))
        return runs, seeds

    def _wants_another(self, flight: InFlight, history: History, runs: list[Measurement]) -> bool:
        incumbent, policy = _incumbent(history), self.settings.policy
        if flight.measures_head:
            return incumbent is None and len(runs) < policy.baseline_repeats
        if not policy.confirm or incumbent is None:
            return False
        direction = history.segment.config.best_direction
        return must_confirm(_metrics(runs), incumbent, noise.floor(history.segment), direction)

    def _begin_again(self, flight: InFlight, run: Run, seed: int) -> bool:
        """Start the experiment's train.py with another seed, unless it was started before; returns whether it was."""
        if run.begun:
            return True
        self.train.require_branch()
        source = self._train_of(flight)
        variant = (knobs.with_seed(source, seed) or source).encode()
        write_atomically(run.folder.train, variant)
        self.train.place(variant, *self._ours(flight))
        self.bench.start(run)
        return False

    def _repeated(self, flight: InFlight, wanted: Repeat, measured: Measurement) -> InFlight:
        if not measured.is_sound:
            ended = measured.failure or ("skipped" if measured.skipped else measured.checks)
            problem = "; besides, ".join(each for each in (ended, *measured.violations) if each)
            self.log.emit(events.Warned(message=f"{flight.description} gave no metric: {problem}"))
        metric = measured.metric if measured.is_sound else None
        seconds = _rounded(measured.ended.seconds)
        return self._judged(flight, msgspec.structs.replace(wanted, id=flight.id, metric=metric, seconds=seconds))

    def _judge_unrun(self, flight: InFlight, history: History) -> InFlight:
        """The verdict on an experiment that never ran: it was put aside, or breaks the rules as it is written."""
        if flight.repeat is not None:
            self.log.emit(events.Warned(message=f"{flight.description} did not run: {flight.superseded}"))
            return self._judged(flight, msgspec.structs.replace(flight.repeat, id=flight.id))
        candidate = Candidate(metric=None, skipped=bool(flight.superseded), violations=flight.refused)
        status = Status.DISCARD if flight.superseded else Status.CHECKS_FAILED
        verdict = Verdict(status, flight.superseded or "; ".join(flight.refused))
        self.log.emit(events.Judged(run=flight.run, status=verdict.status, reason=verdict.reason, metric=None))
        return self._judged(flight, self._entry(flight, history, candidate, verdict, [], []))

    def _judged(self, flight: InFlight, entry: Experiment | Repeat) -> InFlight:
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(entry)), Phase.JUDGED)

    def _candidate(self, flight: InFlight, runs: list[Measurement]) -> Candidate:
        """What the judge is to know; a repeat must be sound too, but for the branch's own train.py."""
        first, last = runs[0], runs[-1]
        deciding = first if flight.measures_head else last
        after = self._train_of(flight)
        before = self.train.at(flight.parent) if self.train.has(flight.parent) else after
        metrics = _metrics(runs)
        return Candidate(
            metric=math.fsum(metrics) / len(metrics) if metrics else first.metric,
            memory_mb=first.metrics.get("peak_memory_mb"),
            failure=deciding.failure,
            violations=deciding.violations,
            failed_checks=deciding.checks,
            growth=patch.size_of(after) - patch.size_of(before),
            only_seeds_differ=meaning.only_seeds_differ(before, after),
            skipped=deciding.skipped,
            is_given=flight.measures_head,
        )

    def _entry(
        self,
        flight: InFlight,
        history: History,
        candidate: Candidate,
        verdict: Verdict,
        runs: list[Measurement],
        seeds: list[int | None],
    ) -> Experiment:
        first = runs[0] if runs else None
        repeats = _metrics(runs)
        entry = Experiment(
            run=flight.run,
            folder=flight.run,
            commit=flight.commit,
            metric=None if candidate.skipped else candidate.metric,
            metrics=dict(first.metrics) if first else {},
            status=verdict.status,
            description=flight.description,
            timestamp=int(time.time()),
            segment=history.segment.number,
            id=flight.id,
            source=flight.source,
            seconds=_rounded(sum(each.ended.seconds for each in runs)),
            result=_result(candidate, runs),
            repeats=tuple(repeats) if len(repeats) > 1 else (),
            seeds=tuple(seeds[: len(repeats)]) if len(repeats) > 1 else (),
            cost=flight.cost,
            record={} if history.segment.baseline else evidence.as_line(self._folder(flight)),
            conditions={} if history.segment.baseline else self.bench.conditions(),
        )
        asi = dict(flight.asi) | {"result": verdict.reason}
        if verdict.status == "crash" and runs:
            asi["log_tail"] = runs[-1].log_tail
        if "next_action_hint" not in asi and (hint := self.team.reflect(Result(entry, self._train_of(flight)))):
            asi["next_action_hint"] = hint
        with_this = replace(history.segment, experiments=(*history.segment.experiments, entry))
        sureness = statistics.confidence(with_this, history.segment.config.best_direction)
        return msgspec.structs.replace(entry, asi=asi, confidence=None if sureness is None else round(sureness, 3))

    def _record(self, flight: InFlight) -> InFlight:
        if flight.repeat is not None:
            self.history()
            LedgerFile(self.workspace).append_repeat(msgspec.convert(flight.entry, Repeat))
            self.log.emit(events.Recorded(run=flight.run, status="repeat"))
            self.control.recorded(flight.run)
            return self._advance(flight, Phase.RECORDED)
        entry = msgspec.convert(flight.entry, Experiment)
        self.history()
        recorded = LedgerFile(self.workspace).append(entry)
        self.log.emit(events.Recorded(run=recorded.run, status=recorded.status))
        self.control.recorded(flight.run)
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(recorded)), Phase.RECORDED)

    def _settle(self, flight: InFlight) -> None:
        if flight.repeat is None:
            entry = msgspec.convert(flight.entry, Experiment)
            if not entry.kept and not flight.measures_head:
                self._revert(flight)
            self.team.tell(Result(entry, self._train_of(flight)))
        self.train.require_branch()
        self.train.settle(*self._ours(flight))
        journal.clear(self.workspace)
        self.log.emit(events.PhaseChanged(phase="idle"))

    def _revert(self, flight: InFlight) -> None:
        self.train.require_branch()
        if not (self.train.has(flight.parent) and self.train.has(flight.commit)):
            gone = f"run {flight.run} is not reverted: its commit is not in the repository any more"
            self.log.emit(events.Warned(message=gone))
            return
        original = self.train.at(flight.parent).encode()
        candidate = self.train.at(flight.commit).encode()
        message = (
            f'Revert "experiment: {flight.description}"\n\nThis reverts commit {flight.commit}.\n\n'
            f"{REVERT_TRAILER}: {flight.id}"
        )
        while not self._find(flight.commit, REVERT_TRAILER, flight.id):
            head = self.train.head()
            if not self.train.is_at(head, candidate):
                warning = f"run {flight.run} is not reverted: train.py was committed anew by somebody meanwhile"
                self.log.emit(events.Warned(message=warning))
                return
            self.train.rescue(candidate, original)
            with suppress(BranchMovedError):
                self.train.commit(original, message, head)
                return
        self.train.settle(candidate, original)

    def _ours(self, flight: InFlight) -> list[bytes]:
        """Every train.py that the engine itself may have put into the work tree for this experiment."""
        folder = self._folder(flight)
        crashed = [RunFolder(folder.path.with_name(_crashed(folder, number))) for number in range(1, flight.fixes + 1)]
        sources = [each.train for each in (folder, *folder.repeats(), *crashed)]
        commits = dict.fromkeys(each for each in (flight.parent, flight.commit) if self.train.has(each))
        committed = [self.train.at(each).encode() for each in commits]
        return [*committed, *(read_regular(path) for path in sources if path.is_file())]

    def _find(self, since: str, trailer: str, value: str) -> str:
        return self.repository.find_trailer(since, trailer, value) or ""

    def _train_of(self, flight: InFlight) -> str:
        return (self._candidate_source(flight) or b"").decode("utf-8", "replace")

    def _candidate_source(self, flight: InFlight) -> bytes | None:
        """The candidate's train.py: from its folder or, where a person removed that, from its commit."""
        with suppress(OSError):
            return read_regular(self._folder(flight).train)
        source = self.repository.read(flight.commit, TRAIN) if flight.commit and not flight.repeat else None
        if source is not None:
            self._fill_folder(flight, source.decode("utf-8", "replace"))
        return source

    def _folder(self, flight: InFlight) -> RunFolder:
        if flight.folder:
            return RunFolder(self.workspace.runs / flight.folder)
        return self.workspace.run_folder(flight.run)

    def _fresh_folder(self, run: int) -> None:
        """An empty folder for a run; one that is there already is set aside, never written over."""
        folder = self.workspace.run_folder(run)
        if folder.path.exists():
            for each in (folder, *folder.repeats()):
                if identity := Run(each, "").identity_on_disk:
                    Run(each, identity).end()
            self.workspace.rescued.mkdir(parents=True, exist_ok=True)
            folder.path.rename(self.workspace.rescued / f"run-{folder.path.name}-{time.time_ns()}")
        folder.path.mkdir(parents=True)

    def _fill_folder(self, flight: InFlight, train: str) -> None:
        folder = self._folder(flight)
        write_atomically(folder.train, train.encode())
        before = self.train.at(flight.parent) if self.train.has(flight.parent) else ""
        write_atomically(folder.diff, patch.unified(before, train, TRAIN).encode())


def _name(flight: InFlight) -> str:
    """What an experiment's commit and processes carry: its id, and which mended version it is."""
    return f"{flight.id}.{flight.fixes}" if flight.fixes else flight.id


def _crashed(folder: RunFolder, number: int) -> str:
    """The name that a run's folder gets where its candidate crashed and was mended, for the ``number``-th time."""
    return f"{folder.path.name}-crashed-{number}"


def _added(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in first | second}


def _incumbent(history: History) -> Incumbent | None:
    best = history.incumbent
    if best is None or best.metric is None:
        return None
    return Incumbent(best.metric, best.metrics.get("peak_memory_mb"), max(1, len(best.repeats)))


def _metrics(runs: list[Measurement]) -> list[float]:
    return [each.metric for each in runs if each.is_sound and each.metric is not None]


def _result(candidate: Candidate, runs: list[Measurement]) -> str | None:
    if candidate.skipped:
        return "skipped"
    return "lost" if runs and runs[-1].ended.ending is Ending.LOST else None


def _rounded(seconds: float) -> float:
    return round(seconds, 1)


def _seed_of(variant: str, source: str) -> int | None:
    """The seed in place of ``source``'s own; None where they are the same."""
    changed = (new for name, (_, new) in knobs.differences(source, variant).items() if knobs.is_seed(name))
    return next((seed for seed in changed if isinstance(seed, int)), None)


def _describe(wanted: Repeat) -> str:
    seed = "" if wanted.seed is None else f", seed {wanted.seed}"
    if wanted.without is not None:
        return f"run {wanted.run} without run {wanted.without}'s change{seed}"
    return f"run {wanted.run} again{seed}"
