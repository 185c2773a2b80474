"""One experiment, from a proposal to settled.

Each phase is a step that may be cut off anywhere (kill -9) and is then found done, or done again: what
happened is read from git, the ledger and the run's folder; the journal says what was meant to happen.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import msgspec

from engine import diagnosis, events, evidence, imports, journal, knobs, ledger, patch, safekeeping, statistics
from engine.control import Control
from engine.events import Event, EventLog
from engine.files import write_atomically
from engine.guards import Guards
from engine.history import History
from engine.journal import InFlight, Phase
from engine.judge import Candidate, Incumbent, Status, Verdict, judge
from engine.ledger import Experiment, LedgerFile
from engine.proposers import Proposal, Proposer, Result
from engine.repository import EXPERIMENT_TRAILER, REVERT_TRAILER, BranchMovedError, Repository
from engine.runner import Run, tail
from engine.settings import Settings
from engine.supervisor import Ending, Exit
from engine.train_file import TrainFile
from engine.workspace import TRAIN, RunFolder, Workspace


@dataclass
class Cycle:
    """Takes experiments through their phases, one after the other."""

    workspace: Workspace
    settings: Settings
    repository: Repository
    train: TrainFile
    guards: Guards
    log: EventLog
    control: Control
    proposer: Proposer

    def history(self) -> History:
        """What happened so far, from a ledger that is whole."""
        if said := safekeeping.check_ledger(self.workspace):
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
        )
        self._fresh_folder(flight.run)
        self._fill_folder(flight, proposal.train)
        journal.save(self.workspace, flight)
        return flight

    def left_behind(self) -> InFlight | None:
        """The experiment whose commit is the branch's last word on train.py, although it was not settled.

        So it stands where the journal was lost: found in git it goes on, and is not taken for a person's commit.
        """
        commit = self.repository.last_change(TRAIN)
        identity = self.repository.trailer(commit, EXPERIMENT_TRAILER) if commit else ""
        parent = self.repository.parent_of(commit) if identity else None
        if parent is None:
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
            )
        )
        self.control.current_run = flight.run
        run = Run(self._folder(flight), flight.id)
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
        candidate = self._candidate_source(flight)
        original = self.train.at(flight.parent).encode()
        commit = "" if flight.measures_head else self._find(flight.parent, EXPERIMENT_TRAILER, flight.id)
        while not commit:
            head = self.train.head()
            if candidate is None or not self.train.is_at(head, original):
                self._abandon(flight)
                return None
            self.train.rescue(candidate, original)
            if flight.measures_head:
                commit = head
                break
            message = f"experiment: {flight.description}\n\n{EXPERIMENT_TRAILER}: {flight.id}"
            with suppress(BranchMovedError):
                commit = self.train.commit(candidate, message, head)
        return self._advance(msgspec.structs.replace(flight, commit=commit), Phase.COMMITTED)

    def _abandon(self, flight: InFlight) -> None:
        """Nothing was committed yet: the next proposal starts from what the branch holds now."""
        self.log.emit(
            events.Warned(message=f"{flight.description!r} is put off: train.py was committed by somebody meanwhile")
        )
        journal.clear(self.workspace)
        self.log.emit(events.PhaseChanged(phase="idle"))

    def _make_ready(self, flight: InFlight) -> InFlight:
        """Have the work tree hold what is to be measured; a person's commit since then puts the experiment aside."""
        self.train.require_branch()
        if flight.idea:
            self.control.idea_taken(flight.idea, run=flight.run)
        candidate = self._candidate_source(flight)
        if candidate is None or not self.train.is_at(self.train.head(), candidate):
            reason = "train.py was committed by somebody before the run began"
            return self._advance(msgspec.structs.replace(flight, superseded=reason), Phase.MEASURED)
        if violations := self._violations_of(flight, candidate.decode("utf-8", "replace")):
            return self._advance(msgspec.structs.replace(flight, refused=violations), Phase.MEASURED)
        self.train.settle(candidate, self.train.at(flight.parent).encode())
        return self._advance(flight, Phase.RUNNING)

    def _violations_of(self, flight: InFlight, train: str) -> tuple[str, ...]:
        """Rules of the game that a candidate breaks before it has run; what a person committed is the person's."""
        if flight.measures_head:
            return ()
        prepare, pyproject = (
            path.read_text("utf-8", "replace") if path.is_file() else ""
            for path in (self.workspace.prepare, self.workspace.pyproject)
        )
        return imports.violations(train, incumbent=self.train.at(flight.parent), prepare=prepare, pyproject=pyproject)

    async def _run(self, flight: InFlight, run: Run) -> InFlight:
        adopted = await asyncio.to_thread(lambda: run.begun)
        if not adopted:
            ready = await asyncio.to_thread(self._make_ready, flight)
            if ready.phase is not Phase.RUNNING:
                return ready
            await asyncio.to_thread(self._start, run)
        await self._say(
            events.RunStarted(
                run=flight.run,
                started=round(run.started, 3),
                limit_seconds=self.settings.run.limit_seconds,
                adopted=adopted,
            )
        )
        ended = await run.wait(lambda: self.control.must_end_run)
        await self._say(
            events.RunEnded(run=flight.run, ending=ended.ending, code=ended.code, seconds=round(ended.seconds, 1))
        )
        if ended.left:
            pids = ", ".join(map(str, ended.left))
            await self._say(
                events.Warned(
                    message=f"run {flight.run} left processes that can't be ended and may hold GPU memory: {pids}"
                )
            )
        return await asyncio.to_thread(self._advance, flight, Phase.MEASURED)

    def _start(self, run: Run) -> None:
        run.end()  # there are some where the run's folder was removed under an engine that died
        link_run_log(self.workspace, run.folder)
        run.start([str(self.workspace.benchmark)], self.workspace, self.settings.run)

    async def _judge(self, flight: InFlight, run: Run) -> InFlight:
        await asyncio.to_thread(self.train.require_branch)
        history = await asyncio.to_thread(self.history)
        if flight.superseded or flight.refused:
            return await asyncio.to_thread(self._judge_unrun, flight, history)
        ended = await run.wait()
        for problem in run.scanner.problems:
            await self._say(events.Warned(message=f"run {flight.run}: {problem}"))
        log_tail = await asyncio.to_thread(tail, run.folder.log)
        candidate = await self._candidate(flight, history, run, ended, log_tail)
        verdict = judge(candidate, _incumbent(history), self.settings.policy, history.segment.config.best_direction)
        await self._say(
            events.Judged(run=flight.run, status=verdict.status, reason=verdict.reason, metric=candidate.metric)
        )
        entry = await asyncio.to_thread(
            self._entry, flight, history, candidate, verdict, ended, run.scanner.metrics, log_tail
        )
        return await asyncio.to_thread(self._judged, flight, entry)

    def _judge_unrun(self, flight: InFlight, history: History) -> InFlight:
        """The verdict on an experiment that never ran: it was put aside, or breaks the rules as it is written."""
        candidate = Candidate(metric=None, skipped=bool(flight.superseded), violations=flight.refused)
        status = Status.DISCARD if flight.superseded else Status.CHECKS_FAILED
        verdict = Verdict(status, flight.superseded or "; ".join(flight.refused))
        self.log.emit(events.Judged(run=flight.run, status=verdict.status, reason=verdict.reason, metric=None))
        ended = Exit(ending=Ending.UNSTARTED, started=time.time(), seconds=0.0)
        return self._judged(flight, self._entry(flight, history, candidate, verdict, ended, {}, ""))

    def _judged(self, flight: InFlight, entry: Experiment) -> InFlight:
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(entry)), Phase.JUDGED)

    async def _candidate(self, flight: InFlight, history: History, run: Run, ended: Exit, log_tail: str) -> Candidate:
        """What the judge is to know of a run that is over; guarded files are as they were afterwards."""
        metric = run.scanner.metrics.get(history.segment.config.metric_name)
        failure = diagnosis.failure(ended, metric is None, log_tail, self.settings.run.limit_seconds)
        violations = list(await asyncio.to_thread(self.guards.restore, run.folder))
        if metric is not None:
            baseline = evidence.baseline_of(self.workspace, history.segment)
            if wrong := evidence.disagreement(run.folder, flight.id, metric, baseline=baseline):
                violations.append(wrong)
        sound = not failure and not violations and metric is not None and ended.ending is Ending.EXITED
        failed_checks, checks_skipped = await self._check(flight) if sound else ("", False)
        before, after = self.train.at(flight.parent), self._train_of(flight)
        return Candidate(
            metric=metric,
            memory_mb=run.scanner.metrics.get("peak_memory_mb"),
            failure=failure,
            violations=tuple(violations),
            failed_checks=failed_checks,
            growth=patch.size_of(after) - patch.size_of(before),
            only_seeds_differ=knobs.only_seeds_differ(before, after),
            skipped=ended.ending is Ending.SKIPPED or checks_skipped,
            is_given=flight.measures_head,
        )

    async def _check(self, flight: InFlight) -> tuple[str, bool]:
        """Run autoresearch.checks.sh, where there is one: what it said if it failed, and whether it was skipped."""
        if not self.workspace.checks.exists():
            return "", False
        checks = Run(self._folder(flight).checks, f"{flight.id}-checks")
        if not checks.begun:
            checks.start([str(self.workspace.checks)], self.workspace, self.settings.run)
        ended = await checks.wait(lambda: self.control.must_end_run)
        if ended.ending is Ending.EXITED and ended.code == 0:
            return "", False
        said = tail(checks.folder.log, lines=3) or f"{ended.ending}, exit code {ended.code}"
        return said, ended.ending is Ending.SKIPPED

    def _entry(
        self,
        flight: InFlight,
        history: History,
        candidate: Candidate,
        verdict: Verdict,
        ended: Exit,
        metrics: Mapping[str, float],
        log_tail: str,
    ) -> Experiment:
        others = {name: value for name, value in metrics.items() if name != history.segment.config.metric_name}
        entry = Experiment(
            run=flight.run,
            folder=flight.run,
            commit=flight.commit,
            metric=None if candidate.skipped else candidate.metric,
            metrics=others,
            status=verdict.status,
            description=flight.description,
            timestamp=int(time.time()),
            segment=history.segment.number,
            id=flight.id,
            source=flight.source,
            seconds=round(ended.seconds, 1),
            result="skipped" if candidate.skipped else "lost" if ended.ending is Ending.LOST else None,
        )
        asi = dict(flight.asi) | {"result": verdict.reason}
        if verdict.status == "crash":
            asi["log_tail"] = log_tail
        if hint := self.proposer.reflect(Result(entry, self._train_of(flight))):
            asi["next_action_hint"] = hint
        with_this = replace(history.segment, experiments=(*history.segment.experiments, entry))
        sureness = statistics.confidence(with_this, history.segment.config.best_direction)
        return msgspec.structs.replace(entry, asi=asi, confidence=None if sureness is None else round(sureness, 3))

    def _record(self, flight: InFlight) -> InFlight:
        entry = msgspec.convert(flight.entry, Experiment)
        self.history()
        recorded = LedgerFile(self.workspace).append(entry)
        self.log.emit(events.Recorded(run=recorded.run, status=recorded.status))
        return self._advance(msgspec.structs.replace(flight, entry=msgspec.to_builtins(recorded)), Phase.RECORDED)

    def _settle(self, flight: InFlight) -> None:
        entry = msgspec.convert(flight.entry, Experiment)
        if not entry.kept and not flight.measures_head:
            self._revert(flight)
        self.proposer.tell(Result(entry, self._train_of(flight)))
        journal.clear(self.workspace)
        self.log.emit(events.PhaseChanged(phase="idle"))

    def _revert(self, flight: InFlight) -> None:
        self.train.require_branch()
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

    def _find(self, since: str, trailer: str, value: str) -> str:
        return self.repository.find_trailer(since, trailer, value) or ""

    def _train_of(self, flight: InFlight) -> str:
        return (self._candidate_source(flight) or b"").decode("utf-8", "replace")

    def _candidate_source(self, flight: InFlight) -> bytes | None:
        """The candidate's train.py: from its folder or, where a person removed that, from its commit."""
        with suppress(FileNotFoundError):
            return self._folder(flight).train.read_bytes()
        source = self.repository.read(flight.commit, TRAIN) if flight.commit else None
        if source is not None:
            self._fill_folder(flight, source.decode("utf-8", "replace"))
        return source

    def _folder(self, flight: InFlight) -> RunFolder:
        return self.workspace.run_folder(flight.run)

    def _fresh_folder(self, run: int) -> None:
        """An empty folder for a run; one that is there already is set aside, never written over."""
        folder = self.workspace.run_folder(run)
        if folder.path.exists():
            if identity := Run(folder, "").identity_on_disk:
                Run(folder, identity).end()
            self.workspace.rescued.mkdir(parents=True, exist_ok=True)
            folder.path.rename(self.workspace.rescued / f"run-{folder.path.name}-{time.time_ns()}")
        folder.path.mkdir(parents=True)

    def _fill_folder(self, flight: InFlight, train: str) -> None:
        folder = self._folder(flight)
        write_atomically(folder.train, train.encode())
        write_atomically(folder.diff, patch.unified(self.train.at(flight.parent), train, TRAIN).encode())


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
