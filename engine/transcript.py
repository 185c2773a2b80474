"""What a proposer thinks and says while it makes a candidate: followed live, kept with the run that came of it."""

import threading
import time

import msgspec

from engine.workspace import RunFolder, Workspace

MOST_BYTES = 16 << 20
"""Of one proposal; an agent may think without end."""


class Said(msgspec.Struct, frozen=True):
    """One piece of it. ``kind``: thought, message, plan, tool, wait, refused, error."""

    at: float
    kind: str
    text: str


class Transcript:
    """The transcript of the proposal that is being made; written from the proposer's thread. Not durable: evidence of
    how an idea came about is no state."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.proposing
        self._writing = threading.Lock()
        self._size = 0

    def begin(self) -> None:
        """Start anew."""
        with self._writing:
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_bytes(b"")
            self._size = 0

    def say(self, kind: str, text: str) -> None:
        line = msgspec.json.encode(Said(round(time.time(), 3), kind, text)) + b"\n"
        with self._writing:
            if self._size >= MOST_BYTES:
                return
            self._size += len(line)
            if self._size >= MOST_BYTES:
                line = msgspec.json.encode(Said(round(time.time(), 3), "error", "the rest is not kept")) + b"\n"
            with self._path.open("ab") as file:
                file.write(line)

    def keep(self, folder: RunFolder) -> None:
        """Put it beside the run that came of it; nothing where nobody said anything."""
        with self._writing:
            if self._path.exists() and self._path.stat().st_size:
                self._path.replace(folder.transcript)
