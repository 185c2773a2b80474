"""Follows a workspace's files and keeps what they say as a ViewState. Reads only."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine import commands, dialects, ledger
from engine.events import EventFollower
from engine.presence import engine_of
from engine.workspace import Workspace
from tui import progress
from tui.view_state import ViewState, fold, subject, with_ledger

TAIL = 4096
"""Bytes from the end of the live log in which its progress line is looked for."""
POLLS_PER_LOOK = 4
"""Whether the engine's process is there is asked at every fourth poll only."""


class Session:
    """A session, as its files tell it. ``poll`` some times a second; it costs a few stat calls when nothing is new."""

    def __init__(
        self, workspace: Workspace, is_alive: Callable[[], bool] | None = None, *, past: Path | None = None
    ) -> None:
        """``past``: the ledger of a past session, whoever wrote it, where it is to be looked at only."""
        self.workspace = workspace
        self.state = ViewState(is_past=past is not None)
        self._past = past
        self._is_alive = is_alive or (lambda: engine_of(workspace) is not None)
        self._events = EventFollower(workspace.events)
        self._ledger_mark: tuple[int, int, int] | None = None
        self._polls = 0

    def poll(self) -> ViewState:
        """What is true now."""
        state = self.state
        if self._polls % POLLS_PER_LOOK == 0:
            alive = self._is_alive()
            state = state if state.alive == alive else replace(state, alive=alive)
        self._polls += 1
        events = list(self._events)
        if events:
            state = fold(state, events)
        # The ledger after the events: a Recorded event is written after its line, so the line is there.
        mark = self._mark()
        if mark != self._ledger_mark:
            self._ledger_mark = mark
            state = with_ledger(state, dialects.read(self._past) if self._past else ledger.read(self.workspace.ledger))
        found = self._progress(state)
        if found != state.progress:
            state = replace(state, progress=found)
        self.state = state
        return state

    def close(self) -> None:
        """Nothing is looked at any more."""

    def send(self, command: commands.AnyCommand, kind: str) -> None:
        """Ask the engine for something. Raises OSError where it cannot be written down."""
        commands.send(self.workspace, command)
        self.state = replace(self.state, sent={**self.state.sent, command.id: kind})

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            status = (self._past or self.workspace.ledger).stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _progress(self, state: ViewState) -> progress.Progress | None:
        about = subject(state, None)
        if about is None or not state.is_training:
            return None
        try:
            with about.log(self.workspace).log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                return progress.parse(file.read(TAIL))
        except OSError:
            return None
