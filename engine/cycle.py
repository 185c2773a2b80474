"""One experiment, from a proposal to settled.

Each phase is a step that may be cut off anywhere (kill -9) and is then found done, or done again: what
happened is read from git, the ledger and the run's folder; the journal says what was meant to happen.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import msgspec

from engine import diagnosis, events, evidence, journal, knobs, patch, statistics
from engine.control import Control
from engine.errors import WorkFailed
from engine.events import EventLog
from engine.files import write_atomically
from engine.guards import Guards
from engine.history import History
from engine.journal import InFlight, Phase
from engine.judge import Candidate, Incumbent, Verdict, judge
from engine.ledger import Experiment, LedgerFile
from engine.proposers import Proposal, Proposer, Result
from engine.repository import EXPERIMENT_TRAILER, REVERT_TRAILER, Repository
from engine.runner import Run, tail
from engine.settings import Settings
from engine.supervisor import Ending, Exit
from engine.workspace import TRAIN, RunFolder, Workspace


@dataclass
class Cycle:
    """Takes experiments through their phases, one after the other."""

    workspace: Workspace
    settings: Settings
    repository: Repository
    branch: str
    guards: Guards
    log: EventLog
    control: Control
    proposer: Proposer

    def begin(self, proposal: Proposal, *, measures_head: bool = False) -> InFlight:
        """Put a proposal on disk as the experiment under way."""
        parent = self._head()
        flight = InFlight(
            id=uuid4().hex,
            run=History.of(self.workspace).next_run,
            phase=Phase.PROPOSED,
            parent=parent,
            description=proposal.description,
            source=proposal.source,
            asi=proposal.asi,
            measures_head=measures_head,
        )
        folder = self._fresh_folder(flight.run)
        before = self._train_at(parent)
        write_atomically(folder.train, proposal.train.encode())
        write_atomically(folder.diff, patch.unified(before, proposal.train, TRAIN).encode())
        journal.save(self.workspace, flight)
        return flight

    async def finish(self, flight: InFlight) -> Experiment:
        """Take the experiment from wherever it stands to the ledger and a settled branch."""
        self.log.emit(
            events.Proposed(
                run=flight.run,
                id=flight.id,
                description=flight.description,
                source=flight.source,
                asi=flight.asi,
            )
        )
        self.control.current_run = flight.run
        run = Run(self._folder(flight), flight.id)
        try:
            while flight.phase is not Phase.RECORDED:
                self.log.emit(events.PhaseChanged(phase=flight.phase, run=flight.run))
                match flight.phase:
                    case Phase.PROPOSED:
                        flight = await asyncio.to_thread(self._commit, flight)
                    case Phase.COMMITTED:
                        flight = self._advance(flight, Phase.RUNNING)
                    case Phase.RUNNING:
                        await self._run(flight, run)
                        flight = self._advance(flight, Phase.MEASURED)
                    case Phase.MEASURED:
                        flight = await self._judge(flight, run)
                    case Phase.JUDGED:
                        flight = await asyncio.to_thread(self._record, flight)
            self.log.emit(events.PhaseChanged(phase=flight.phase, run=flight.run))
            return await asyncio.to_thread(self._settle, flight)
        finally:
            self.control.current_run = None

    def _advance(self, flight: InFlight, phase: Phase) -> InFlight:
        flight = msgspec.structs.replace(flight, phase=phase)
        journal.save(self.workspace, flight)
        return flight

    def _commit(self, flight: InFlight) -> InFlight:
        commit = flight.parent
        if not flight.measures_head:
            self.require_branch()
            commit = self.repository.find_trailer(flight.parent, EXPERIMENT_TRAILER, flight.id) or ""
            candidate = self._folder(flight).train.read_bytes()
            self.rescue_edit(candidate, self._train_at(flight.parent).encode())
            if commit:
                self.repository.settle(TRAIN)
            else:
                message = f"experiment: {flight.description}\n\n{EXPERIMENT_TRAILER}: {flight.id}"
                commit = self.repository.commit({TRAIN: candidate}, message, parent=self._head())
        return self._advance(msgspec.structs.replace(flight, commit=commit), Phase.COMMITTED)

    async def _run(self, flight: InFlight, run: Run) -> None:
        adopted = run.begun
        if not adopted:
            link_run_log(self.workspace, run.folder)
            run.start([str(self.workspace.benchmark)], self.workspace, self.settings.run)
        self.log.emit(
            events.RunStarted(
                run=flight.run,
                started=round(run.started, 3),
                limit_seconds=self.settings.run.limit_seconds,
                adopted=adopted,
            )
        )
        ended = await run.wait(lambda: self.control.must_end_run)
        self.log.emit(
            events.RunEnded(run=flight.run, ending=ended.ending, code=ended.code, seconds=round(ended.seconds, 1))
        )

    async def _judge(self, flight: InFlight, run: Run) -> InFlight:
        await asyncio.to_thread(self.require_branch)
        ended = await run.wait()
        for problem in run.scanner.problems:
            self.log.emit(events.Warned(message=f"run {flight.run}: {problem}"))
        history = await asyncio.to_thread(History.of, self.workspace)
        log_tail = await asyncio.to_thread(tail, run.folder.log)
        candidate = await self._candidate(flight, history, run, ended, log_tail)
        verdict = judge(candidate, _incumbent(history), self.settings.policy, history.segment.config.best_direction)
        self.log.emit(
            events.Judged(run=flight.run, status=verdict.status, reason=verdict.reason, metric=candidate.metric)
        )
        entry = self._entry(flight, history, candidate, verdict, ended, run, log_tail)
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(entry)), Phase.JUDGED)

    async def _candidate(self, flight: InFlight, history: History, run: Run, ended: Exit, log_tail: str) -> Candidate:
        """What the judge is to know of a run that is over; guarded files are as they were afterwards."""
        metric = run.scanner.metrics.get(history.segment.config.metric_name)
        failure = diagnosis.failure(ended, metric is None, log_tail, self.settings.run.limit_seconds)
        violations = list(await asyncio.to_thread(self.guards.restore))
        if metric is not None:
            baseline = evidence.baseline_of(self.workspace, history.segment)
            if wrong := evidence.disagreement(run.folder, flight.id, metric, baseline=baseline):
                violations.append(wrong)
        sound = not failure and not violations and metric is not None and ended.ending is Ending.EXITED
        before, after = self._train_at(flight.parent), run.folder.train.read_bytes().decode("utf-8")
        return Candidate(
            metric=metric,
            memory_mb=run.scanner.metrics.get("peak_memory_mb"),
            failure=failure,
            violations=tuple(violations),
            failed_checks=await self._check(flight) if sound else "",
            growth=patch.size_of(after) - patch.size_of(before),
            only_seeds_differ=knobs.only_seeds_differ(before, after),
            skipped=ended.ending is Ending.SKIPPED,
            is_given=flight.measures_head,
        )

    async def _check(self, flight: InFlight) -> str:
        """Run autoresearch.checks.sh, where there is one; returns what it said if it failed."""
        if not self.workspace.checks.exists():
            return ""
        checks = Run(self._folder(flight).checks, flight.id)
        if not checks.begun:
            checks.start([str(self.workspace.checks)], self.workspace, self.settings.run)
        ended = await checks.wait(lambda: self.control.must_end_run)
        if ended.ending is Ending.EXITED and ended.code == 0:
            return ""
        return tail(checks.folder.log, lines=3) or f"{ended.ending}, exit code {ended.code}"

    def _entry(
        self,
        flight: InFlight,
        history: History,
        candidate: Candidate,
        verdict: Verdict,
        ended: Exit,
        run: Run,
        log_tail: str,
    ) -> Experiment:
        metrics = {
            name: value for name, value in run.scanner.metrics.items() if name != history.segment.config.metric_name
        }
        entry = Experiment(
            run=flight.run,
            folder=flight.run,
            commit=flight.commit,
            metric=None if candidate.skipped else candidate.metric,
            metrics=metrics,
            status=verdict.status,
            description=flight.description,
            timestamp=int(time.time()),
            segment=history.segment.number,
            id=flight.id,
            source=flight.source,
            seconds=round(ended.seconds, 1),
            result="skipped" if candidate.skipped else None,
        )
        asi = dict(flight.asi) | {"result": verdict.reason}
        if verdict.status == "crash":
            asi["log_tail"] = log_tail
        train = run.folder.train.read_bytes().decode("utf-8")
        if hint := self.proposer.reflect(Result(entry, train)):
            asi["next_action_hint"] = hint
        with_this = replace(history.segment, experiments=(*history.segment.experiments, entry))
        sureness = statistics.confidence(with_this, history.segment.config.best_direction)
        return msgspec.structs.replace(entry, asi=asi, confidence=None if sureness is None else round(sureness, 3))

    def _record(self, flight: InFlight) -> InFlight:
        entry = msgspec.convert(flight.entry, Experiment)
        recorded = LedgerFile(self.workspace).append(entry)
        self.log.emit(events.Recorded(run=recorded.run, status=recorded.status))
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(recorded)), Phase.RECORDED)

    def _settle(self, flight: InFlight) -> Experiment:
        entry = msgspec.convert(flight.entry, Experiment)
        if not entry.kept and not flight.measures_head:
            self._revert(flight)
        self.proposer.tell(Result(entry, self._folder(flight).train.read_bytes().decode("utf-8")))
        journal.clear(self.workspace)
        self.log.emit(events.PhaseChanged(phase="idle"))
        return entry

    def _revert(self, flight: InFlight) -> None:
        self.require_branch()
        original = self._train_at(flight.parent).encode()
        candidate = self._folder(flight).train.read_bytes()
        self.rescue_edit(candidate, original)
        if self.repository.find_trailer(flight.commit, REVERT_TRAILER, flight.id):
            self.repository.settle(TRAIN)
            return
        head = self._head()
        if self.repository.read(head, TRAIN) != candidate:
            self.log.emit(
                events.Warned(
                    message=f"run {flight.run} is not reverted: train.py was committed anew by somebody meanwhile"
                )
            )
            return
        message = (
            f'Revert "experiment: {flight.description}"\n\nThis reverts commit {flight.commit}.\n\n'
            f"{REVERT_TRAILER}: {flight.id}"
        )
        self.repository.commit({TRAIN: original}, message, parent=head)

    def rescue_edit(self, *expected: bytes) -> None:
        """Save what a person made of train.py, staged or not, before the engine writes over it.

        ``expected``: versions that the engine itself may have left there, besides HEAD's.
        """
        committed = self.repository.read("HEAD", TRAIN) or b""
        known = {committed, *expected}
        in_tree = self.workspace.train.read_bytes() if self.workspace.train.is_file() else committed
        staged = self.repository.read("", TRAIN) or committed
        for found in dict.fromkeys((in_tree, staged)):
            if found not in known:
                self._rescue(committed, found)

    def _rescue(self, committed: bytes, found: bytes) -> None:
        saved = self.workspace.rescued / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}.patch"
        before, after = (each.decode("utf-8", "surrogateescape") for each in (committed, found))
        write_atomically(saved, patch.unified(before, after, TRAIN).encode("utf-8", "surrogateescape"))
        self.log.emit(events.Rescued(patch=str(saved.relative_to(self.workspace.root))))

    def _train_at(self, commit: str) -> str:
        content = self.repository.read(commit, TRAIN)
        if content is None:
            raise WorkFailed(f"commit {commit[:12]} has no {TRAIN}.")
        return content.decode()

    def _head(self) -> str:
        head = self.repository.head()
        if head is None:
            raise WorkFailed(f"the branch {self.branch} has no commits any more.")
        return head

    def require_branch(self) -> None:
        """Raises WorkFailed while the person has another branch checked out: its files are not the session's."""
        found = self.repository.branch()
        if found != self.branch:
            raise WorkFailed(f"the branch {found} is checked out: go back with `git switch {self.branch}`.")

    def _folder(self, flight: InFlight) -> RunFolder:
        return self.workspace.run_folder(flight.run)

    def _fresh_folder(self, run: int) -> RunFolder:
        """An empty folder for a run; one that is there already is set aside, never written over."""
        folder = self.workspace.run_folder(run)
        if folder.path.exists():
            self.workspace.rescued.mkdir(parents=True, exist_ok=True)
            folder.path.rename(self.workspace.rescued / f"run-{folder.path.name}-{time.time_ns()}")
        folder.path.mkdir(parents=True)
        return folder


def link_run_log(workspace: Workspace, folder: RunFolder) -> None:
    """Let run.log be this run's; a file of that name that is no link of ours is set aside."""
    link = workspace.run_log
    if link.exists() and not link.is_symlink():
        workspace.rescued.mkdir(parents=True, exist_ok=True)
        link.rename(workspace.rescued / f"run.log.{time.time_ns()}")
    draft = workspace.state / "run.log.link"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path(folder.log).relative_to(workspace.root))
    draft.replace(link)


def _incumbent(history: History) -> Incumbent | None:
    best = history.incumbent
    if best is None or best.metric is None:
        return None
    return Incumbent(best.metric, best.metrics.get("peak_memory_mb"))
