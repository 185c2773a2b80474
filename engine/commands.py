"""What viewers ask of the engine: one JSON line each in commands.jsonl, acknowledged by an event.

A command carries an id, and ``Skip`` names its run, so that a restart never replays one.
"""

from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from engine.jsonlines import UNREADABLE, Follower, JsonLinesFile
from engine.workspace import Workspace


def new_id() -> str:
    return uuid4().hex[:12]


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Something that a person asks for."""

    id: str = msgspec.field(default_factory=new_id)


class Pause(Command, frozen=True, kw_only=True, tag="pause"):
    """No new experiment after the current one. Survives a restart."""


class Resume(Command, frozen=True, kw_only=True, tag="resume"):
    """Go on."""


class Skip(Command, frozen=True, kw_only=True, tag="skip"):
    """End experiment ``run`` now, log it as skipped, go on. Nothing happens if it is over already."""

    run: int


class Stop(Command, frozen=True, kw_only=True, tag="stop"):
    """End the engine after the current experiment, or (``now``) end the experiment too."""

    now: bool = False


class Message(Command, frozen=True, kw_only=True, tag="message"):
    """A sentence to the proposer, given to it at the next experiment."""

    text: str


class Enqueue(Command, frozen=True, kw_only=True, tag="enqueue"):
    """An idea that goes before the proposer's own."""

    text: str


class Unqueue(Command, frozen=True, kw_only=True, tag="unqueue"):
    """Take ``idea`` (the id of the command that queued it) out of the queue."""

    idea: str


class Reorder(Command, frozen=True, kw_only=True, tag="reorder"):
    """Have ``idea`` wait before another one; with none named, behind all."""

    idea: str
    before: str = ""


class Annotate(Command, frozen=True, kw_only=True, tag="note"):
    """A note on experiment ``run``, for the ledger."""

    run: int
    text: str


AnyCommand = Pause | Resume | Skip | Stop | Message | Enqueue | Unqueue | Reorder | Annotate

_decoder = msgspec.json.Decoder(AnyCommand)


@dataclass(frozen=True)
class Received:
    """A command, or what is wrong with its line; ``offset`` is where to read on from after it."""

    offset: int
    command: AnyCommand | None = None
    problem: str = ""


def send(workspace: Workspace, command: AnyCommand) -> str:
    """Append a command for the engine; returns the id that its acknowledgement will carry."""
    path = workspace.commands
    JsonLinesFile(path, workspace.lock_of(path), workspace.torn).append(msgspec.json.encode(command))
    return command.id


@dataclass
class CommandFollower:
    """The engine's side: each ``poll`` gives what was asked since ``offset``."""

    workspace: Workspace
    offset: int = 0
    _follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self._follower = Follower(self.workspace.commands, self.offset)

    def rewind(self, offset: int) -> None:
        """Read on from ``offset`` the next time."""
        self._follower = Follower(self.workspace.commands, offset)

    def poll(self) -> list[Received]:
        received = []
        for line in self._follower.poll():
            try:
                received.append(Received(line.end, _decoder.decode(line.text)))
            except UNREADABLE as error:
                received.append(Received(line.end, problem=str(error)))
        return received
