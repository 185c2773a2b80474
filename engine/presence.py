"""Whether an engine holds a workspace: the lock that it holds, and what others may know of it.

The lock is a flock, so it dies with its holder and cannot go stale. Viewers never take it; they read
who holds the workspace from engine.json and look whether that very process is alive.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import psutil
from filelock import FileLock, Timeout

from engine.errors import UnusableWorkspace
from engine.files import write_atomically
from engine.workspace import Workspace

SAME_START = 1.0
"""Seconds by which two readings of one process's start may differ."""


class Holder(msgspec.Struct, frozen=True):
    """The process that holds the workspace; ``born`` tells it from a later process with the same number."""

    pid: int
    born: float
    started: float


def engine_of(workspace: Workspace) -> Holder | None:
    """The engine that runs in this workspace, if one does."""
    try:
        holder = msgspec.json.decode(workspace.engine_pid.read_bytes(), type=Holder)
        process = psutil.Process(holder.pid)
        same = abs(process.create_time() - holder.born) < SAME_START
        return holder if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, msgspec.DecodeError, psutil.Error):
        return None


@contextmanager
def holding(workspace: Workspace) -> Iterator[Holder]:
    """Be the workspace's one engine. Raises UnusableWorkspace where another one is."""
    workspace.state.mkdir(exist_ok=True)
    lock = FileLock(workspace.engine_lock, timeout=0, mode=0o644)
    try:
        lock.acquire()
    except Timeout:
        other = engine_of(workspace)
        who = f"the engine with process id {other.pid}" if other else "another engine"
        raise UnusableWorkspace(
            f"{who} already runs in {workspace.root}: `autoresearch-tui {workspace.root}` shows it."
        ) from None
    try:
        holder = Holder(os.getpid(), psutil.Process().create_time(), time.time())
        write_atomically(workspace.engine_pid, msgspec.json.encode(holder))
        yield holder
    finally:
        workspace.engine_pid.unlink(missing_ok=True)
        lock.release()
