"""The loop: propose, experiment, learn, again, until it is told to stop (DESIGN §1).

Whatever was in flight when the last engine ended is finished first. What the engine must survive it
survives here, in one place: it pauses with one sentence, and goes on from the journal when told to.
"""

import ast
import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from engine import document, events, journal, ledger
from engine.control import Control
from engine.cycle import Cycle
from engine.errors import AutoresearchError, WorkFailed
from engine.events import Event, EventFollower, EventLog
from engine.guards import Guards
from engine.history import History
from engine.ledger import Config, LedgerFile
from engine.proposers import Context, NothingToProposeError, Proposal, Proposer, ideas
from engine.proposers.search import Search
from engine.repository import Repository
from engine.settings import Settings
from engine.workspace import TRAIN, Workspace

LISTEN_SECONDS = 0.25
FAILED_BASELINES = 3
"""So many baselines in a row without a metric: the set-up is broken, and no experiment will mend it."""
UNUSABLE_PROPOSALS = 10
LEARN_EVERY = 5
"""Experiments between two updates of autoresearch.md."""


@dataclass
class Loop:
    """The engine of one session. Made once the workspace is held; ``run`` returns when it is over."""

    workspace: Workspace
    settings: Settings
    repository: Repository
    experiments: int | None = None
    """How many experiments after the baseline the session is to have; None: for ever."""
    waits_on_trouble: bool = True
    """Trouble pauses the loop until a person resumes it; otherwise it ends the loop with WorkFailed."""
    listener: Callable[[Event], None] | None = None
    _control: Control = field(init=False)
    _log: EventLog = field(init=False)
    _cycle: Cycle = field(init=False)
    _proposer: Proposer = field(init=False)

    async def run(self) -> str:
        """Run until the session is full or a person stops it; returns why it stopped, in words."""
        self._open()
        try:
            async with self._listening():
                reason = await self._until_done()
        except AutoresearchError as error:
            self._close(str(error), failed=True)
            raise
        except asyncio.CancelledError:
            self._close("interrupted")
            raise
        self._close(reason)
        return reason

    def stop(self, *, now: bool) -> None:
        """As the Stop command does; for signals."""
        self._control.stopping = True
        self._control.stopping_now = self._control.stopping_now or now

    def _open(self) -> None:
        branch = self.repository.branch()
        self._log = EventLog(self.workspace, self.listener)
        self._control = Control(self.workspace, self._log, EventFollower(self.workspace.events))
        book = ledger.read(self.workspace.ledger)
        if book.current is None or book.current.config.branch not in (None, branch):
            LedgerFile(self.workspace).open_segment(Config(name=self.settings.name, branch=branch))
        self._proposer = Search(self.settings.search, History.of(self.workspace).segment.config.best_direction)
        self._cycle = Cycle(
            workspace=self.workspace,
            settings=self.settings,
            repository=self.repository,
            branch=branch,
            guards=Guards(
                self.workspace,
                lambda name: self.repository.read("HEAD", name),
                in_flight=journal.load(self.workspace) is not None,
            ),
            log=self._log,
            control=self._control,
            proposer=self._proposer,
        )
        self._log.emit(
            events.EngineStarted(
                pid=os.getpid(),
                branch=branch,
                proposer=self._proposer.name,
                limit_seconds=self.settings.run.limit_seconds,
                experiments=self.experiments,
            )
        )
        for bad in book.bad_lines:
            self._log.emit(events.Warned(message=f"autoresearch.jsonl line {bad.number} is passed over: {bad.problem}"))
        for result in History.of(self.workspace).results():
            self._proposer.tell(result)

    def _close(self, reason: str, *, failed: bool = False) -> None:
        with suppress(OSError):  # a full disk must not hide why the engine stopped
            self._log.emit(events.EngineStopped(reason=reason, failed=failed))

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        async def listen() -> None:
            while True:
                try:
                    await asyncio.to_thread(self._control.poll)
                except OSError as error:
                    if not self._control.paused:
                        await self._trouble(f"a command could not be taken: {_sentence(error)}")
                await asyncio.sleep(LISTEN_SECONDS)

        await asyncio.to_thread(self._control.poll)
        listener = asyncio.create_task(listen())
        try:
            yield
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener

    async def _until_done(self) -> str:
        while True:
            try:
                if (reason := await self._turn()) is not None:
                    return reason
            except (OSError, WorkFailed) as error:
                if not self.waits_on_trouble or self._control.stopping:
                    raise WorkFailed(_sentence(error)) from error
                await self._trouble(_sentence(error))

    async def _trouble(self, sentence: str) -> None:
        """Pause with a sentence; where even that cannot be written (a full disk), try again later."""
        try:
            self._control.pause(sentence)
        except OSError:
            self._control.paused = True

    async def _turn(self) -> str | None:
        """One experiment, or one look at whether there is to be another; returns why the loop is over."""
        flight = await asyncio.to_thread(journal.load, self.workspace)
        if flight is None:
            if self._control.stopping:
                return "stopped by a person"
            history = await asyncio.to_thread(History.of, self.workspace)
            if history.has(self.experiments):
                await asyncio.to_thread(self._cycle.require_branch)
                await asyncio.to_thread(self._learn, history)
                return f"{self.experiments} experiments are done"
            if self._control.paused:
                await asyncio.sleep(LISTEN_SECONDS)
                return None
            await asyncio.to_thread(self._cycle.require_branch)
            await asyncio.to_thread(self._cycle.rescue_edit)
            await asyncio.to_thread(self.repository.settle, TRAIN)
            await asyncio.to_thread(self._learn, history)
            self._log.emit(events.PhaseChanged(phase="proposing"))
            proposal, measures_head = await asyncio.to_thread(self._propose, history)
            flight = await asyncio.to_thread(lambda: self._cycle.begin(proposal, measures_head=measures_head))
        await self._cycle.finish(flight)
        await asyncio.to_thread(self._mind_thrashing)
        return None

    def _propose(self, history: History) -> tuple[Proposal, bool]:
        """What to try next, and whether it is what the branch holds already."""
        committed = self.repository.read("HEAD", TRAIN) or b""
        head = committed.decode()
        best = history.incumbent
        if best is None:
            if history.failed_baselines >= FAILED_BASELINES:
                last = history.segment.experiments[-1]
                raise WorkFailed(
                    f"the baseline failed {history.failed_baselines} times, the last time with: "
                    f"{last.asi.get('result', last.status)}. See {self.workspace.run_folder(last.folder_number).log}."
                )
            return Proposal(train=head, description="baseline", source="baseline"), True
        known = history.train_of(best)
        if known is not None and known != head:
            subject = self.repository.message("HEAD").split("\n", 1)[0]
            return Proposal(train=head, description=f"a person's commit: {subject}", source="person"), True
        return self._next_candidate(history, head), False

    def _next_candidate(self, history: History, incumbent: str) -> Proposal:
        tried = {_digest(result.train) for result in history.results()}
        while idea := self._control.take_idea():
            try:
                proposal = _usable(ideas.propose(idea.text, incumbent, self.workspace.root), incumbent, tried)
            except NothingToProposeError as error:
                self._control.idea_taken(idea, problem=str(error))
                continue
            self._control.idea_taken(idea, run=history.next_run)
            return proposal
        context = Context(
            incumbent=incumbent,
            prepare=self.workspace.prepare.read_text("utf-8") if self.workspace.prepare.exists() else "",
            turn=len(history.segment.experiments),
            thrashing=history.without_keep >= self.settings.policy.thrash_after,
        )
        problem = ""
        for _ in range(UNUSABLE_PROPOSALS):
            try:
                return _usable(self._proposer.ask(context), incumbent, tried)
            except NothingToProposeError as error:
                problem = str(error)
        raise WorkFailed(f"{self._proposer.name} has no next experiment: {problem}")

    def _mind_thrashing(self) -> None:
        count = History.of(self.workspace).without_keep
        if count and count % self.settings.policy.thrash_after == 0:
            self._log.emit(events.Thrashing(count=count))

    def _learn(self, history: History) -> None:
        """Write down in autoresearch.md what was learned, every few experiments."""
        experiments = history.segment.experiments
        if history.segment.baseline is None or (
            (len(experiments) - 1) % LEARN_EVERY and not history.has(self.experiments)
        ):
            return
        if not document.update(self.workspace, self.repository, history):
            return
        self._log.emit(
            events.Warned(message="autoresearch.md has uncommitted edits, or is not UTF-8: it is left alone")
        )


def _usable(proposal: Proposal, incumbent: str, tried: set[str]) -> Proposal:
    """The proposal, if it is worth a run. Raises NothingToProposeError: it uses up no run number."""
    try:
        ast.parse(proposal.train)
    except (SyntaxError, ValueError) as error:
        raise NothingToProposeError(f"the edit is not valid Python: {error}") from error
    if proposal.train == incumbent:
        raise NothingToProposeError("it changes nothing")
    if _digest(proposal.train) in tried:
        raise NothingToProposeError("the same train.py has been run before")
    return proposal


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)
