"""The process between the engine and one training run: ``python -m engine.supervisor FOLDER LOCK_FD``.

It outlives the engine, so that an engine that died can adopt the run: the exit status, the time limit
and the process tree are the supervisor's. It is the subreaper of everything the run starts, children
that called setsid included, and leaves none of them behind. It holds the lock on the run's folder,
which the engine took before it started the supervisor: free lock, dead run, after a reboot too.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
import psutil

from engine.files import write_atomically
from engine.workspace import RunFolder

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)

LOOK_AGAIN = 0.05
"""Seconds between two looks at a process tree that is being ended."""


class Ending(StrEnum):
    """Why a run is over."""

    EXITED = "exited"
    """By itself; its exit code says how."""
    TIMEOUT = "timeout"
    """Ended by the supervisor: over the limit."""
    SKIPPED = "skipped"
    """Ended because a person skipped it, or stopped the engine at once."""
    LOST = "lost"
    """Its supervisor was killed, or the machine went down: nobody knows how it ended."""
    UNSTARTED = "unstarted"
    """The command could not be started."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and within which bounds (seconds)."""

    command: list[str]
    directory: str
    environment: dict[str, str]
    limit: float
    grace: float


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks after the run, for an engine that adopts it."""

    supervisor: int
    started: float


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How the run ended. ``code`` as in subprocess: negative for a signal; None where it is not known."""

    ending: Ending
    code: int | None = None
    started: float = 0.0
    seconds: float = 0.0
    problem: str = ""


def alive_file(folder: RunFolder) -> Path:
    return folder.path / "supervisor.json"


def supervise(folder: RunFolder, order: Order) -> Exit:
    """Run ``order`` to its end or its limit; when this returns, no process that it started is left."""
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    waited_for = stop_signals | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    started, began = time.time(), time.monotonic()
    write_atomically(alive_file(folder), msgspec.json.encode(Alive(supervisor=os.getpid(), started=started)))

    def ended(ending: Ending, code: int | None, problem: str = "") -> Exit:
        seconds = round(time.monotonic() - began, 3)
        return Exit(ending=ending, code=code, started=started, seconds=seconds, problem=problem)

    try:
        with folder.log.open("ab") as log:
            main = subprocess.Popen(
                order.command,
                cwd=order.directory,
                env=order.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_prepare_child,  # noqa: PLW1509 - this process has one thread
            )
    except OSError as error:
        return ended(Ending.UNSTARTED, None, f"{order.command[0]} could not be started: {error.strerror}")

    ending = Ending.EXITED
    while main.poll() is None:
        remaining = began + order.limit - time.monotonic()
        if remaining <= 0:
            ending = Ending.TIMEOUT
            break
        received = signal.sigtimedwait(waited_for, remaining)
        if received is not None and received.si_signo in stop_signals:
            ending = Ending.SKIPPED
            break
        _reap_all_but(main)
    _end_tree(main, order.grace)
    return ended(ending, main.poll())


def _end_tree(main: subprocess.Popen[bytes], grace: float) -> None:
    """End every descendant: SIGTERM, SIGKILL after ``grace`` seconds; returns when there is none left."""
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while descendants := psutil.Process().children(recursive=True):
        late = time.monotonic() >= deadline
        for process in descendants:
            with suppress(psutil.NoSuchProcess):
                if late:
                    process.kill()
                elif process.pid not in asked:
                    asked.add(process.pid)
                    process.terminate()
        time.sleep(LOOK_AGAIN)
        main.poll()
        _reap_all_but(main)


def _reap_all_but(main: subprocess.Popen[bytes]) -> None:
    """Collect orphans that have died; ``main`` is left to its Popen, which wants the status for itself."""
    for child in psutil.Process().children():
        if child.pid != main.pid:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def _prepare_child() -> None:
    """In the child, before exec: die with the supervisor, and get signals again."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def main() -> None:
    """Take the lock over from the engine, run, write exit.json."""
    folder, lock = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(lock, False)
    fcntl.flock(lock, fcntl.LOCK_EX)
    order = msgspec.json.decode(folder.order.read_bytes(), type=Order)
    write_atomically(folder.exit, msgspec.json.encode(supervise(folder, order)))


if __name__ == "__main__":
    main()
