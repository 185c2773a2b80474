"""What the person wants of the loop: taken from commands, acknowledged by events, remembered by them too.

Everything here can be told again from events.jsonl, so a restart knows it: whether the loop is paused,
which ideas wait, and up to where commands.jsonl was read.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from engine import commands, events, spending
from engine.commands import AnyCommand, CommandFollower, Received
from engine.events import AnyEvent, Event, EventLog
from engine.ledger import LedgerFile
from engine.presence import engine_of, size_of_commands
from engine.queue import moved
from engine.workspace import Workspace


@dataclass(frozen=True)
class Idea:
    """What a person queued as a next experiment, or says to the proposer."""

    id: str
    text: str


class Control:
    """The person's wishes as they stand. ``poll`` reads new ones; it blocks and runs in a thread of its own."""

    def __init__(self, workspace: Workspace, log: EventLog, past: Iterable[AnyEvent]) -> None:
        self.paused_by_person = False
        self.in_trouble = False
        """Paused by the loop itself, which cannot go on, not even with the experiment under way."""
        self.stopping = False
        """No further experiment."""
        self.stopping_now = False
        """And the current one is to end."""
        self.ideas: deque[Idea] = deque()
        self.messages: deque[Idea] = deque()
        self.reads_prose = False
        """Whether the proposer can be told something in words."""
        self.current_run: int | None = None
        """The experiment that a skip can mean."""
        self.proposing_run: int | None = None
        """The experiment that is being thought of; a skip ends that."""
        self.skipped_run: int | None = None
        self.spent_in_vain = spending.NOTHING
        """By proposals that came to nothing."""
        self._changing = threading.RLock()
        self._workspace = workspace
        self._log = log
        self._offset = 0
        self._obeyed: set[str] = set()
        self._queued: set[str] = set()
        self._withdrawn: set[str] = set()
        for event in past:
            self._remember(event)
        self._follower = CommandFollower(workspace, self._offset)
        holder = engine_of(workspace)
        is_ours = holder is not None and holder.pid == os.getpid()
        self._asked_before = holder.commands_size if holder and is_ours else size_of_commands(workspace)
        """Up to here commands.jsonl was asked of engines that are gone; 0 once it is read that far."""

    @property
    def paused(self) -> bool:
        return self.paused_by_person or self.in_trouble

    @property
    def must_end_run(self) -> bool:
        """Whether the running experiment is to be ended."""
        return self.stopping_now or (self.current_run is not None and self.skipped_run == self.current_run)

    def poll(self) -> None:
        """Take the commands that came since the last time.

        Raises OSError where one cannot be done or acknowledged (a full disk); it and those behind it wait.
        """
        batch = self._follower.poll()
        for received in batch:
            try:
                self._take(received)
            except OSError:
                self._follower.rewind(self._offset)
                raise
        if not batch or batch[-1].offset >= self._asked_before:
            self._asked_before = 0

    def pause(self, reason: str) -> None:
        """The loop itself cannot go on until a person has looked."""
        self._tell(events.Paused(reason=reason))

    def try_again(self) -> None:
        """A new engine is a new try: what stopped the last one may be mended. A person's pause stays."""
        if self.in_trouble:
            by_person = self.paused_by_person
            self._tell(events.Resumed())
            if by_person:
                self._tell(events.Paused())

    @property
    def must_end_proposal(self) -> bool:
        """Whether nobody wants any more what is being thought of: the next experiment, or how to mend this one."""
        return self.stopping or (
            self.skipped_run is not None and self.skipped_run in (self.proposing_run, self.current_run)
        )

    def waiting_ideas(self) -> tuple[Idea, ...]:
        """The queue, the first one first; an idea stays there until ``idea_taken`` says what became of it."""
        with self._changing:
            return tuple(self.ideas)

    def waits(self, identity: str) -> bool:
        """Whether an idea is still wanted: it is neither taken nor withdrawn."""
        return any(idea.id == identity for idea in self.waiting_ideas())

    def idea_taken(self, identity: str, run: int | None = None, problem: str = "") -> None:
        """Say once what became of an idea; nothing is said of one that does not wait."""
        with self._changing:
            if self.waits(identity):
                self._tell(events.IdeaTaken(id=identity, run=run, problem=problem))

    def waiting_messages(self) -> tuple[Idea, ...]:
        """What the proposer has not been told yet, the oldest first; ``messages_taken`` says that it was."""
        with self._changing:
            return tuple(self.messages)

    def messages_taken(self, told: Iterable[Idea], run: int) -> None:
        for message in told:
            self._tell(events.MessageTaken(id=message.id, run=run))

    def proposal_failed(self, proposer: str, problem: str, cost: dict[str, float]) -> None:
        """Say that nothing came of a proposal; what it cost is remembered."""
        self._tell(events.ProposalFailed(proposer=proposer, problem=problem, cost=cost))

    def recorded(self, run: int) -> None:
        """The run is over, and a skip of it with it: it may be run again."""
        if self.current_run == run:
            self.current_run = None
        if self.skipped_run == run:
            self.skipped_run = None

    def _tell(self, event: Event) -> None:
        with self._changing:
            self._log.emit(event)
            self._remember(event)

    def _remember(self, event: Event) -> None:
        match event:
            case events.Paused(reason=reason):
                self.in_trouble = self.in_trouble or bool(reason)
                self.paused_by_person = self.paused_by_person or not reason
            case events.Resumed():
                self.paused_by_person = self.in_trouble = False
            case events.CommandDone(id=identity, offset=offset):
                self._offset = offset
                self._obeyed.add(identity)
            case events.SkipAsked(run=run):
                self.skipped_run = run
            case events.Recorded(run=run):
                self.recorded(run)
            case events.ProposalFailed(cost=cost):
                self.spent_in_vain += spending.of(cost)
                self.skipped_run = None
            case events.IdeaQueued(id=identity, text=text):
                self._queued.add(identity)
                self.ideas.append(Idea(identity, text))
            case events.IdeaTaken(id=identity):
                self.ideas = deque(idea for idea in self.ideas if idea.id != identity)
            case events.IdeaWithdrawn(id=identity):
                self._withdrawn.add(identity)
                self.ideas = deque(idea for idea in self.ideas if idea.id != identity)
            case events.IdeaMoved(id=identity, before=before):
                self.ideas = deque(moved(self.ideas, identity, before))
            case events.MessageQueued(id=identity, text=text):
                self._queued.add(identity)
                self.messages.append(Idea(identity, text))
            case events.MessageTaken(id=identity):
                self.messages = deque(message for message in self.messages if message.id != identity)

    def _take(self, received: Received) -> None:
        command = received.command
        if command is None:
            done = events.CommandDone(id="", command="", offset=received.offset, problem=received.problem)
        else:
            if command.id in self._obeyed:
                return  # the file was cut short behind a reader's back, and read again
            answer, problem = self._obey(command, is_stale=received.offset <= self._asked_before)
            kind = str(command.__struct_config__.tag)
            done = events.CommandDone(
                id=command.id, command=kind, offset=received.offset, answer=answer, problem=problem
            )
        self._tell(done)

    def _obey(self, command: AnyCommand, *, is_stale: bool) -> tuple[str, str]:
        """Do what is asked (``is_stale``: of an earlier engine); returns (answer, problem), one of them empty."""
        match command:
            case commands.Pause():
                if not self.paused_by_person:
                    self._tell(events.Paused())
                is_busy = self.current_run is not None or self.proposing_run is not None
                return ("pausing after this experiment" if is_busy else "paused"), ""
            case commands.Resume():
                if self.paused:
                    self._tell(events.Resumed())
                return "going on", ""
            case commands.Skip(run=run):
                if run not in (self.current_run, self.proposing_run):
                    return "", f"run {run} is not running"
                self._tell(events.SkipAsked(run=run))
                return (f"skipping run {run}" if run == self.current_run else "taking the proposer's turn away"), ""
            case commands.Stop(now=now):
                if is_stale:
                    return "", "asked of an engine that was gone already"
                self.stopping, self.stopping_now = True, self.stopping_now or now
                return ("stopping now" if now else "stopping after this experiment"), ""
            case commands.Message(text=text):
                if not self.reads_prose:
                    return "", "the search can't read prose; queue an idea as KNOB=value instead"
                if command.id not in self._queued:
                    self._tell(events.MessageQueued(id=command.id, text=text))
                return "the proposer reads it before the next experiment", ""
            case commands.Enqueue(text=text):
                if command.id not in self._queued:
                    self._tell(events.IdeaQueued(id=command.id, text=text))
                return "queued", ""
            case commands.Unqueue(idea=idea):
                return self._withdraw(idea)
            case commands.Reorder(idea=idea, before=before):
                return self._move(idea, before)
            case commands.Annotate(run=run, text=text):
                LedgerFile(self._workspace).add_note(run, text, command.id)
                return f"noted on run {run}", ""

    def _withdraw(self, idea: str) -> tuple[str, str]:
        with self._changing:
            if idea not in self._withdrawn:
                if not self.waits(idea):
                    return "", self._why_it_does_not_wait(idea)
                self._tell(events.IdeaWithdrawn(id=idea))
            return "taken out of the queue", ""

    def _move(self, idea: str, before: str) -> tuple[str, str]:
        with self._changing:
            for each in (idea, before):
                if each and not self.waits(each):
                    return "", self._why_it_does_not_wait(each)
            wanted = moved(self.ideas, idea, before)
            if wanted != tuple(self.ideas):
                self._tell(events.IdeaMoved(id=idea, before=before))
            return f"number {wanted.index(next(each for each in wanted if each.id == idea)) + 1} in the queue", ""

    def _why_it_does_not_wait(self, idea: str) -> str:
        if idea in self._withdrawn:
            return "that idea was taken out of the queue before"
        return "that idea's turn came before this" if idea in self._queued else "no such idea waits"
