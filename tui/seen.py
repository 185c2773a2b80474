"""When a person last looked at a session: a file for each in the state directory, whose time says it.

It is for the summary of what happened since and for nothing else: whatever goes wrong here is passed over.
"""

import hashlib
import os
from contextlib import suppress

import platformdirs

from engine.workspace import Workspace
from tui.configuration import PROGRAM

USELESS = (OSError, ValueError, RuntimeError)
"""What a state directory can raise that is no use: full, closed, no file; no path; nobody's home."""


class Seen:
    """What is remembered of one session."""

    def __init__(self, workspace: Workspace) -> None:
        self._name = hashlib.blake2b(os.fsencode(workspace.root), digest_size=16).hexdigest()

    def last(self) -> float | None:
        """When somebody looked, in seconds since the epoch; None where nobody did."""
        with suppress(*USELESS):
            return (platformdirs.user_state_path(PROGRAM) / "seen" / self._name).stat().st_mtime
        return None

    def note(self, at: float) -> None:
        """Somebody looked."""
        with suppress(*USELESS):
            path = platformdirs.user_state_path(PROGRAM) / "seen" / self._name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (at, at))
