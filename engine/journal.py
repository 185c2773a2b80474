"""The in-flight journal: which experiment is under way, and how far it is known to have come.

One small file, replaced atomically before each step. It says what was *intended*; what *happened* is
read from git, the ledger and the run's folder, so a step that was cut off is found done or done again.
"""

from enum import StrEnum
from typing import Any

import msgspec

from engine.files import sync_directory, write_atomically
from engine.jsonlines import UNREADABLE
from engine.ledger import Repeat
from engine.workspace import Workspace


class Phase(StrEnum):
    """How far an experiment has come; each is on disk before the next begins."""

    PROPOSED = "proposed"
    """The candidate's train.py is in its run's folder."""
    COMMITTED = "committed"
    """It is a commit on the branch, and in the work tree."""
    RUNNING = "running"
    """Its supervisor was, or is about to be, started."""
    MEASURED = "measured"
    """The run and all its processes are gone; its exit is known."""
    JUDGED = "judged"
    """The verdict is reached: ``InFlight.entry`` is the line that will be recorded."""
    RECORDED = "recorded"
    """It is in the ledger; a discard may still have to be reverted."""


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """The experiment under way."""

    id: str
    run: int
    """The run number it is expected to get, and the number of its folder."""
    phase: Phase
    parent: str
    """The commit it starts from."""
    commit: str = ""
    """Its own commit; the parent for a run that measures what is there (a baseline, a person's commit)."""
    description: str
    source: str
    asi: dict[str, Any] = {}
    measures_head: bool = False
    """It changes nothing: it measures train.py as it is on the branch, and is the incumbent if it runs."""
    idea: str = ""
    """The person's idea that it is: it waits in the queue until the experiment is a commit."""
    repeat: Repeat | None = None
    """It is one more run of an experiment that has its line already; its own line to be, without the metric."""
    folder: str = ""
    """Its files, from the runs' folder, if it is a repeat."""
    cost: dict[str, float] = {}
    """What the proposal took (engine.proposers.Cost)."""
    fixes: int = 0
    """How often it was mended after a crash with a trivial cause."""
    fix: str = ""
    """The whole mended train.py, once there is one."""
    superseded: str = ""
    """Why it was put aside before it ran: it is recorded as skipped."""
    refused: tuple[str, ...] = ()
    """Which rules it breaks as it is written: it does not run."""
    entry: dict[str, Any] = {}
    """The ledger line to be, from JUDGED on."""


def load(workspace: Workspace) -> InFlight | None:
    """The experiment that was under way when the last engine ended, if one was.

    None too for a journal that cannot be read (a bad disk, somebody's editor): what it was about is found in git.
    """
    try:
        return msgspec.json.decode(workspace.journal.read_bytes(), type=InFlight)
    except (FileNotFoundError, *UNREADABLE):
        return None


def save(workspace: Workspace, flight: InFlight) -> None:
    write_atomically(workspace.journal, msgspec.json.encode(flight))


def clear(workspace: Workspace) -> None:
    """The experiment is settled."""
    workspace.journal.unlink(missing_ok=True)
    sync_directory(workspace.journal.parent)
