"""What a proposer thinks and says while it makes a candidate: followed live, kept with the run that came of it."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.jsonlines import UNREADABLE, Follower
from engine.workspace import RunFolder, Workspace

MOST_BYTES = 16 << 20
"""Of one proposal; an agent may think without end."""
READ_AT_ONCE = 1 << 18
"""Bytes that a viewer takes in between two keys."""


STREAMED = ("thought", "message")
"""The kinds whose pieces, in a row, are one text: a line of it ends with its newline. Of the others each is whole."""


class Said(msgspec.Struct, frozen=True):
    """One piece of it. ``kind``: thought, message, plan, tool, wait, refused, error."""

    at: float
    kind: str
    text: str


class Transcript:
    """The transcript of the proposal that is being made; written from the proposer's thread. Not durable, and left out
    where the disk is full: evidence of how an idea came about is no state."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.proposing
        self._writing = threading.Lock()
        self._size = 0

    def begin(self) -> None:
        """Start anew."""
        with self._writing, suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_bytes(b"")
            self._size = 0

    def say(self, kind: str, text: str) -> None:
        line = msgspec.json.encode(Said(round(time.time(), 3), kind, text)) + b"\n"
        with self._writing, suppress(OSError):
            if self._size >= MOST_BYTES:
                return
            self._size += len(line)
            if self._size >= MOST_BYTES:
                line = msgspec.json.encode(Said(round(time.time(), 3), "error", "the rest is not kept")) + b"\n"
            with self._path.open("ab") as file:
                file.write(line)

    def keep(self, folder: RunFolder) -> None:
        """Put it beside the run that came of it; nothing where nobody said anything."""
        with self._writing, suppress(OSError):
            if self._path.exists() and self._path.stat().st_size:
                self._path.replace(folder.transcript)


_decoder = msgspec.json.Decoder(Said)


class TranscriptFollower:
    """The viewers' side. ``path`` may be set anew: where that is the same file, renamed, it is read on."""

    def __init__(self, path: Path) -> None:
        self._follower = Follower(path, at_once=READ_AT_ONCE)

    @property
    def path(self) -> Path:
        return self._follower.path

    @path.setter
    def path(self, path: Path) -> None:
        self._follower.path = path

    def poll(self) -> tuple[bool, list[Said]]:
        """Whether the transcript was begun anew, so that what was read of it is void; and what was said since."""
        before = self._follower.offset
        try:
            lines = self._follower.poll()
        except OSError:
            return False, []
        is_anew = before > 0 and (lines[0].number == 1 if lines else self._follower.offset == 0)
        said = []
        for line in lines:
            try:
                said.append(_decoder.decode(line.text))
            except UNREADABLE:
                continue
        return is_anew, said
