"""What the engine says while it works: typed, immutable events, one JSON line each in events.jsonl.

Viewers fold them into what they show; the engine itself folds them at a restart into what it must
remember (paused or not, which commands are done, which ideas wait).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.jsonlines import UNREADABLE, Follower, JsonLinesFile
from engine.workspace import Workspace


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """Something that happened; ``at`` in seconds since the epoch."""

    at: float = 0.0


class EngineStarted(Event, frozen=True, kw_only=True, tag="engine_started"):
    """An engine took the workspace. ``experiments``: how many it is to run after the baseline; None: for ever."""

    pid: int
    branch: str
    proposer: str
    limit_seconds: float
    experiments: int | None = None


class EngineStopped(Event, frozen=True, kw_only=True, tag="engine_stopped"):
    """The engine left in an orderly way; ``failed`` where it could not go on and a person is needed."""

    reason: str
    failed: bool = False


class PhaseChanged(Event, frozen=True, kw_only=True, tag="phase_changed"):
    """Where the loop stands now. ``phase``: proposing, mending, one of engine.journal.Phase, or idle."""

    phase: str
    run: int | None = None


class Proposed(Event, frozen=True, kw_only=True, tag="proposed"):
    """The next experiment is chosen; its train.py and diff are in its run's folder."""

    run: int
    id: str
    description: str
    source: str
    asi: dict[str, Any] = {}
    folder: str = ""
    """Where its files are, from the runs' folder; empty for its own."""


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """The training process runs (``adopted``: it already ran when this engine started)."""

    run: int
    started: float
    limit_seconds: float
    adopted: bool = False
    folder: str = ""
    """Where its log is, from the runs' folder, if it is a repeat; empty for the experiment's own."""


class RunEnded(Event, frozen=True, kw_only=True, tag="run_ended"):
    """The training process and all its children are gone. ``ending`` as in engine.supervisor.Ending."""

    run: int
    ending: str
    code: int | None
    seconds: float


class Judged(Event, frozen=True, kw_only=True, tag="judged"):
    """The judge's verdict; ``reason`` in words."""

    run: int
    status: str
    reason: str
    metric: float | None = None


class Recorded(Event, frozen=True, kw_only=True, tag="recorded"):
    """The experiment is in the ledger."""

    run: int
    status: str


class Paused(Event, frozen=True, kw_only=True, tag="paused"):
    """No next experiment begins until Resumed. ``reason`` is empty where a person asked for it."""

    reason: str = ""


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """The loop goes on."""


class CommandDone(Event, frozen=True, kw_only=True, tag="command_done"):
    """The engine has taken a command (or says in ``problem`` why it could not).

    ``offset`` is where commands.jsonl is to be read on from: the engine's only memory of what it has done.
    """

    id: str
    command: str
    offset: int
    answer: str = ""
    problem: str = ""


class SkipAsked(Event, frozen=True, kw_only=True, tag="skip_asked"):
    """A person wants experiment ``run`` ended; it is, by this engine or by one that adopts the run."""

    run: int


class IdeaQueued(Event, frozen=True, kw_only=True, tag="idea_queued"):
    """A person's idea waits for its turn."""

    id: str
    text: str


class IdeaTaken(Event, frozen=True, kw_only=True, tag="idea_taken"):
    """A person's idea became experiment ``run``, or was put aside for ``problem``."""

    id: str
    run: int | None = None
    problem: str = ""


class IdeaWithdrawn(Event, frozen=True, kw_only=True, tag="idea_withdrawn"):
    """A person took an idea out of the queue."""

    id: str


class IdeaMoved(Event, frozen=True, kw_only=True, tag="idea_moved"):
    """An idea waits before another one now; with none named, behind all."""

    id: str
    before: str = ""


class MessageQueued(Event, frozen=True, kw_only=True, tag="message_queued"):
    """A person's sentence waits for the proposer's next turn."""

    id: str
    text: str


class MessageTaken(Event, frozen=True, kw_only=True, tag="message_taken"):
    """The proposer was told, when it made experiment ``run``."""

    id: str
    run: int


class ProposalFailed(Event, frozen=True, kw_only=True, tag="proposal_failed"):
    """Nothing came of a proposal but ``cost`` (as in the ledger); ``problem`` says why, and what happens now."""

    proposer: str
    problem: str
    cost: dict[str, float] = {}


class Thrashing(Event, frozen=True, kw_only=True, tag="thrashing"):
    """``count`` experiments in a row without a keep: the proposer is asked for a different approach."""

    count: int


class Rescued(Event, frozen=True, kw_only=True, tag="rescued"):
    """A person's edit of train.py that was not committed was taken back; ``patch`` (in the workspace) holds it."""

    patch: str


class Warned(Event, frozen=True, kw_only=True, tag="warned"):
    """Something that the person should know; the loop goes on."""

    message: str


AnyEvent = (
    EngineStarted
    | EngineStopped
    | PhaseChanged
    | Proposed
    | RunStarted
    | RunEnded
    | Judged
    | Recorded
    | Paused
    | Resumed
    | CommandDone
    | SkipAsked
    | IdeaQueued
    | IdeaTaken
    | IdeaWithdrawn
    | IdeaMoved
    | MessageQueued
    | MessageTaken
    | ProposalFailed
    | Thrashing
    | Rescued
    | Warned
)

_decoder = msgspec.json.Decoder(AnyEvent)


class EventLog:
    """The engine's side: it alone writes events."""

    def __init__(self, workspace: Workspace, listener: Callable[[Event], None] | None = None) -> None:
        """``listener`` is called with every event once it is on disk."""
        path = workspace.events
        self._file = JsonLinesFile(path, workspace.lock_of(path), workspace.torn)
        self._listener = listener

    def emit(self, event: Event) -> None:
        """Append an event, stamped with the time."""
        stamped = msgspec.structs.replace(event, at=round(time.time(), 3))
        self._file.append(msgspec.json.encode(stamped))
        if self._listener is not None:
            self._listener(stamped)


class EventFollower:
    """The viewers' side: each ``poll`` gives the events since the last one, in order."""

    def __init__(self, path: Path) -> None:
        self._follower = Follower(path)

    def poll(self) -> list[AnyEvent]:
        """New events; a line of a kind that this version does not know is passed over."""
        events = []
        for line in self._follower.poll():
            try:
                events.append(_decoder.decode(line.text))
            except UNREADABLE:
                continue
        return events

    def __iter__(self) -> Iterator[AnyEvent]:
        """Everything there is by now."""
        while True:
            offset = self._follower.offset
            yield from self.poll()
            if self._follower.offset == offset:
                return
