"""The loop: propose, experiment, learn, again, until it is told to stop (DESIGN §1).

Whatever was in flight when the last engine ended is finished first. What the engine must survive it
survives here, in one place: it pauses with one sentence, and goes on from the journal when told to.
"""

import asyncio
import errno
import os
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from engine import allocator, conditions, document, events, journal, ledger, safekeeping, settings
from engine.budget import end_of_session
from engine.choosing import Chooser
from engine.control import Control
from engine.cycle import Cycle
from engine.data import Data
from engine.errors import AutoresearchError, WorkFailed
from engine.events import Event, EventFollower, EventLog
from engine.guards import Guards
from engine.history import History
from engine.journal import InFlight, Phase
from engine.ledger import Config, LedgerFile
from engine.measuring import Bench
from engine.proposers.team import Team
from engine.repository import Repository
from engine.settings import BudgetSettings, Settings
from engine.train_file import TrainFile
from engine.verification import Plan
from engine.workspace import Workspace

LISTEN_SECONDS = 0.25
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
    proposer: str = ""
    """Who proposes, whatever autoresearch.toml says; empty: as it says."""
    verification: Callable[[History], Plan] | None = None
    """Plans what to run again once nothing is in flight; no experiment is made then."""
    waits_on_trouble: bool = True
    """Trouble pauses the loop until a person resumes it; otherwise it ends the loop with WorkFailed."""
    listener: Callable[[Event], None] | None = None
    announce: Callable[[], None] = lambda: None
    """Says that this engine holds the workspace, where it is not said any more."""
    _control: Control = field(init=False)
    _log: EventLog = field(init=False)
    _train: TrainFile = field(init=False)
    _cycle: Cycle = field(init=False)
    _data: Data = field(init=False)
    _team: Team = field(init=False)
    _chooser: Chooser = field(init=False)
    _plan: Plan | None = field(init=False, default=None)
    _began: float = field(init=False, default_factory=time.monotonic)
    _compared: bool = field(init=False, default=False)
    """Whether this engine's runs are known to be comparable with those of the segment."""

    async def run(self) -> str:
        """Run until the session is full or a person stops it; returns why it stopped, in words."""
        try:
            self._open()
            async with self._listening():
                if said := await asyncio.to_thread(self._data.take_in):
                    self._log.emit(events.Warned(message=said))
                reason = await self._until_done()
        except AutoresearchError as error:
            self._close(str(error), failed=True)
            raise
        except asyncio.CancelledError:
            self._close("interrupted")
            raise
        except Exception as error:
            self._close(_sentence(error), failed=True)
            raise WorkFailed(_sentence(error)) from error
        finally:
            await asyncio.to_thread(self._team.close)
        self._close(reason)
        return reason

    def stop(self, *, now: bool) -> None:
        """As the Stop command does; for signals."""
        self._control.stopping = True
        self._control.stopping_now = self._control.stopping_now or now

    def _open(self) -> None:
        branch = self.repository.branch()
        self._control = Control(self.workspace, self._log, EventFollower(self.workspace.events))
        said = safekeeping.check_ledger(self.workspace, self.repository.private, starting=True)
        book = ledger.read(self.workspace.ledger)
        if book.current is None or book.current.config.branch not in (None, branch):
            LedgerFile(self.workspace).open_segment(Config(name=self.settings.name, branch=branch))
        flight = journal.load(self.workspace)
        in_flight = flight is not None
        if flight is not None and flight.phase is not Phase.RECORDED:
            self._control.current_run = flight.run  # a skip that was asked for while no engine ran may mean it
        self._data = Data(self.workspace, self.settings.run, in_flight=in_flight)
        self._train = TrainFile(self.workspace, self.repository, branch, self._log)
        guards = Guards(self.workspace, lambda name: self.repository.read("HEAD", name), in_flight=in_flight)
        self._cycle = Cycle(
            workspace=self.workspace,
            settings=self.settings,
            repository=self.repository,
            train=self._train,
            bench=Bench(self.workspace, self.settings, guards, self._data, self._log, self._control),
            log=self._log,
            control=self._control,
            team=self._team,
        )
        self._chooser = Chooser(
            workspace=self.workspace,
            settings=self.settings,
            repository=self.repository,
            train=self._train,
            cycle=self._cycle,
            control=self._control,
            log=self._log,
            team=self._team,
        )
        self._log.emit(
            events.EngineStarted(
                pid=os.getpid(),
                branch=branch,
                proposer="verify" if self.verification else self._team.chosen.name,
                limit_seconds=self.settings.run.limit_seconds,
                experiments=self._budget.experiments,
            )
        )
        if said:
            self._log.emit(events.Warned(message=said))
        self._control.try_again()
        for bad in book.bad_lines:
            self._log.emit(events.Warned(message=f"autoresearch.jsonl line {bad.number} is passed over: {bad.problem}"))
        for result in History.of(self.workspace).results():
            self._team.tell(result)

    def __post_init__(self) -> None:
        self.settings = settings.with_proposer(self.settings, self.proposer)
        self._log = EventLog(self.workspace, self.listener)
        self._team = Team(self.workspace, self.settings)

    def _close(self, reason: str, *, failed: bool = False) -> None:
        with suppress(OSError):  # a full disk must not hide why the engine stopped
            self._log.emit(events.EngineStopped(reason=reason, failed=failed))

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        async def listen() -> None:
            while True:
                try:
                    await asyncio.to_thread(self._control.poll)
                    self.announce()
                except OSError as error:
                    if not self._control.in_trouble:
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
            except Exception as error:
                if not isinstance(error, OSError | AutoresearchError):
                    traceback.print_exc()  # into engine.log: nobody foresaw it
                if not self.waits_on_trouble or self._control.stopping:
                    raise WorkFailed(_sentence(error)) from error
                await self._trouble(_sentence(error))

    async def _trouble(self, sentence: str) -> None:
        """Pause with a sentence, the experiment under way too; where even that cannot be written, try again later."""
        try:
            await asyncio.to_thread(self._control.pause, sentence)
        except OSError:
            self._control.in_trouble = True

    async def _turn(self) -> str | None:
        """One experiment, or one look at whether there is to be another; returns why the loop is over."""
        if self._control.in_trouble and not self._control.stopping:
            await asyncio.sleep(LISTEN_SECONDS)
            return None
        flight = await asyncio.to_thread(journal.load, self.workspace)
        if flight is None:
            history = await asyncio.to_thread(self._comparable_history)
            if (reason := self._reason_to_end(history)) is not None:
                await asyncio.to_thread(self._learn, history, is_last=True)
                return reason
            if self._control.paused:
                await asyncio.sleep(LISTEN_SECONDS)
                return None
            flight = await asyncio.to_thread(self._next_flight, history)
            if flight is None:
                return None
        await self._cycle.finish(flight)
        if flight.repeat is None:
            await asyncio.to_thread(self._mind_thrashing)
        await asyncio.to_thread(allocator.give_back)
        return None

    def _comparable_history(self) -> History:
        """What happened so far; a new segment is begun if what comes is not comparable with it."""
        self._take_in_rules()
        history = self._cycle.history()
        baseline = history.segment.baseline
        if self._compared or baseline is None:
            return history
        if changes := conditions.changes(baseline.conditions, self._cycle.bench.conditions()):
            what = f"{' and '.join(changes)} changed since run {baseline.run}"
            if self.verification is not None:
                raise WorkFailed(f"{what}: what was found before it can't be verified. `autoresearch-tui run` goes on.")
            self._log.emit(
                events.Warned(
                    message=f"{what}: a new segment begins with a baseline of its own, not mixed with the old."
                )
            )
            LedgerFile(self.workspace).open_segment(history.segment.config)
            history = self._cycle.history()
            self._team.begin_segment()
            self._chooser.begin_anew()
        self._compared = True
        return history

    def _take_in_rules(self) -> None:
        """A person's edit of the rules' files while no run is under way holds from now on."""
        guards = self._cycle.bench.guards
        names = guards.changed()
        if not names:
            return
        chosen = settings.with_proposer(settings.load(self.workspace), self.proposer)
        suspicious = sorted(guards.committed_in_run)
        guards.take_in()
        self.settings = self._cycle.settings = self._cycle.bench.settings = self._chooser.settings = chosen
        self._compared = False
        if chosen != self._team.settings:
            self._team.close()
            self._team.take_in(chosen, History.of(self.workspace).results())
            self._chooser.begin_anew()
        if suspicious:
            raise WorkFailed(
                f"{' and '.join(suspicious)} was changed and committed during a run: look at the commit, and "
                "`git revert` it unless it is yours; going on takes the rules as they are then."
            )
        self._log.emit(events.Warned(message=f"{' and '.join(names)} was changed between runs: it holds from now on"))

    def _reason_to_end(self, history: History) -> str | None:
        if self._control.stopping:
            return "stopped by a person"
        if self.verification is not None:
            if self._plan is None:
                self._plan = self.verification(history)
            return "verified" if self._plan.next_turn(history.segment) is None else None
        hours = (time.monotonic() - self._began) / 3600
        return end_of_session(self._budget, history, hours) or None

    @property
    def _budget(self) -> BudgetSettings:
        """What the session may take; what was asked for at the start of the engine counts before autoresearch.toml."""
        budget = self.settings.budget
        return budget if self.experiments is None else msgspec.structs.replace(budget, experiments=self.experiments)

    def _next_flight(self, history: History) -> InFlight | None:
        self._train.require_branch()
        self._data.require()
        if (left := self._chooser.left_behind(history)) is not None:
            return left
        self._train.settle()
        self._learn(history)
        return self._chooser.next(history, self._plan)

    def _mind_thrashing(self) -> None:
        history = History.of(self.workspace)
        count = history.without_keep
        if (
            count
            and not history.segment.experiments[-1].inconclusive
            and count % self.settings.policy.thrash_after == 0
        ):
            self._log.emit(events.Thrashing(count=count))

    def _learn(self, history: History, *, is_last: bool = False) -> None:
        """Write down in autoresearch.md what was learned: every few experiments, and at the end."""
        experiments = history.segment.experiments
        if history.segment.baseline is None or ((len(experiments) - 1) % LEARN_EVERY and not is_last):
            return
        try:
            self._train.require_branch()
        except WorkFailed:
            return
        if document.update(self.workspace, self.repository, history):
            self._log.emit(
                events.Warned(message="autoresearch.md has uncommitted edits, or is not UTF-8: it is left alone")
            )


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        remedy = ": free some, nothing is lost meanwhile" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{error.strerror}{where}{remedy}"
    if isinstance(error, AutoresearchError):
        return str(error)
    return f"unexpected, please report it: {type(error).__name__}: {error}"
