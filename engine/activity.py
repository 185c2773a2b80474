"""Whether an outside agent's session is at work, by the times of its files: nothing else tells."""

from dataclasses import dataclass
from pathlib import Path

from engine.presence import engine_of
from engine.workspace import Workspace

QUIET = 120.0
"""Seconds without a word in run.log after which a run is no longer taken for one that is under way."""


@dataclass(frozen=True)
class Activity:
    """How the log of the runs stands to the file of the results."""

    is_open: bool = False
    """The log is newer: of a run that has no line yet."""
    is_running: bool = False
    """And it has grown just now."""
    at: float = 0.0
    """When one of the two changed last; 0 where none is there."""
    recorded_at: float = 0.0
    """When the file of the results changed last."""


def is_our_engines(workspace: Workspace) -> bool:
    """Whether an engine of ours drives a session, or has driven it last: then its events tell more than its files."""
    if engine_of(workspace) is not None:
        return True
    try:
        return workspace.events.stat().st_mtime >= workspace.ledger.stat().st_mtime
    except OSError:
        return False


def look(workspace: Workspace, file: Path | None, now: float) -> Activity:
    """How things stand ``now``; ``file``: the session's."""
    logged, recorded = _changed(workspace.run_log), _changed(file)
    is_open = logged > recorded
    return Activity(is_open, is_open and now - logged < QUIET, max(logged, recorded), recorded)


def _changed(path: Path | None) -> float:
    try:
        return path.stat().st_mtime if path is not None else 0.0
    except OSError:
        return 0.0
