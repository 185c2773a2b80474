"""Whether an engine holds a workspace: the lock that it holds, and what others may know of it.

The lock is a flock, so it dies with its holder and cannot go stale. It is taken on the workspace's own directory
too, where the file system can do that: ``git clean -x`` removes lock files, and a workspace never. Viewers never
take it; they read who holds the workspace from engine.json and look whether that very process is alive.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from filelock import FileLock, Timeout

from engine.errors import UnusableWorkspace
from engine.files import write_atomically
from engine.workspace import Workspace

SAME_START = 0.5
"""Seconds by which two readings of one process's start may differ."""


class Holder(msgspec.Struct, frozen=True):
    """The process that holds the workspace; ``born`` (see ``birth``) tells it from a later one with its number."""

    pid: int
    born: float
    started: float
    commands_size: int = 0
    """The size of commands.jsonl when it took the workspace: what stands there was asked of engines before it."""


def engine_of(workspace: Workspace) -> Holder | None:
    """The engine that runs in this workspace, if one does."""
    try:
        holder = msgspec.json.decode(workspace.engine_pid.read_bytes(), type=Holder)
        process = psutil.Process(holder.pid)
        same = abs(birth(process) - holder.born) < SAME_START
        return holder if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, msgspec.MsgspecError, ValueError, OverflowError, psutil.Error):
        return None


def size_of_commands(workspace: Workspace) -> int:
    try:
        return workspace.commands.stat().st_size
    except FileNotFoundError:
        return 0


def birth(process: psutil.Process) -> float:
    """When a process began: in seconds since the machine did, where it says so; setting the clock changes nothing."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return process.create_time()


@contextmanager
def holding(workspace: Workspace) -> Iterator[Holder]:
    """Be the workspace's one engine. Raises UnusableWorkspace where another one is."""
    workspace.state.mkdir(exist_ok=True)
    lock = FileLock(workspace.engine_lock, timeout=0, mode=0o644)
    root = os.open(workspace.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Timeout(str(workspace.root)) from None
        except OSError:
            pass  # a file system that locks files only
        lock.acquire()
    except Timeout:
        os.close(root)
        other = engine_of(workspace)
        who = f"the engine with process id {other.pid}" if other else "another engine"
        raise UnusableWorkspace(
            f"{who} already runs in {workspace.root}: `autoresearch-tui {workspace.quoted}` shows it."
        ) from None
    try:
        holder = Holder(os.getpid(), birth(psutil.Process()), time.time(), size_of_commands(workspace))
        workspace.engine_pid.unlink(missing_ok=True)
        announce(workspace, holder)
        yield holder
    finally:
        workspace.engine_pid.unlink(missing_ok=True)
        lock.release()
        os.close(root)


def announce(workspace: Workspace, holder: Holder) -> None:
    """Say who holds the workspace; again where somebody removed what was said."""
    if not workspace.engine_pid.exists():
        write_atomically(workspace.engine_pid, msgspec.json.encode(holder))
