"""Which sessions this machine has had: the path of every workspace where one was begun or an engine ran.

Each is a file of its own in the person's state directory, so that two engines that begin at once are both remembered.
It is for finding them again and for nothing else: whatever goes wrong here is passed over.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.files import open_regular, write_atomically
from engine.workspace import Workspace

MOST = 1000
"""The sessions that are remembered; those that ran longest ago are forgotten first."""
LONGEST = 4096
"""Bytes of a path."""
SUFFIX = ".path"
USELESS = (OSError, ValueError, RuntimeError)
"""What a state directory can raise that is no use: full, closed, no file; no path; nobody's home."""


def remember(workspace: Workspace) -> None:
    """Note that a session was begun, or an engine ran, in this workspace."""
    with suppress(*USELESS):
        directory = _directory()
        name = hashlib.blake2b(os.fsencode(workspace.root), digest_size=16).hexdigest()
        write_atomically(directory / f"{name}{SUFFIX}", os.fsencode(workspace.root))
        for path in _newest_first(directory)[MOST:]:
            path.unlink(missing_ok=True)


def known() -> list[Workspace]:
    """The workspaces that are remembered, the last one that ran first; they may be gone by now."""
    found: dict[Path, Workspace] = {}
    with suppress(*USELESS):
        for path in _newest_first(_directory())[:MOST]:
            with suppress(*USELESS), open_regular(path) as file:
                root = Path(os.fsdecode(file.read(LONGEST)))
                if root.is_absolute():
                    found.setdefault(root, Workspace(root))
    return list(found.values())


def _directory() -> Path:
    return platformdirs.user_state_path("autoresearch-tui") / "sessions"


def _newest_first(directory: Path) -> list[Path]:
    aged = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            aged.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(aged, reverse=True)]
