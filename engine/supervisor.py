"""The process between the engine and one training run: ``python -m engine.supervisor FOLDER LOCK_FD``.

It outlives the engine, so that an engine that died can adopt the run: the exit status, the time limit
and the process tree are the supervisor's. It is the subreaper of everything the run starts, children
that called setsid included, and leaves none of them behind. It holds the lock on the run's folder,
which the engine took before it started the supervisor: free lock, dead run, after a reboot too.

It is two processes, of which the outer one, the keeper, only waits for the inner one. Whichever is
killed, the other is the subreaper of what is left, and ends it.
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

from engine.files import sync_directory, write_atomically
from engine.workspace import RunFolder

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
WAITED_FOR = STOP_SIGNALS | {signal.SIGCHLD}

LOOK_AGAIN = 0.05
"""Seconds between two looks at a process tree that is being ended."""
KILL_SECONDS = 10.0
"""From the first SIGKILL on; what is still there then waits in the kernel, and nobody can end it."""

NOBODY_KNOWS = "its supervisor was killed or the machine went down"


EXIT_SIZE = 4096
"""Bytes of exit.json, its end filled with spaces."""


class Ending(StrEnum):
    """Why a run is over."""

    EXITED = "exited"
    """By itself; its exit code says how."""
    TIMEOUT = "timeout"
    """Ended by the supervisor: over the limit."""
    KILLED = "killed"
    """Ended because its supervisor was told to. The engine knows whether it was the one that asked."""
    SKIPPED = "skipped"
    """Ended by the engine, because a person skipped it, or stopped the engine at once."""
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
    left: tuple[int, ...] = ()
    """Processes that could not be ended."""


def alive_file(folder: RunFolder) -> Path:
    return folder.path / "supervisor.json"


def supervise(folder: RunFolder, order: Order) -> Exit:
    """Run ``order`` to its end or its limit; when this returns, no process that it started is left."""
    started, began = time.time(), time.monotonic()
    write_atomically(alive_file(folder), msgspec.json.encode(Alive(supervisor=os.getpid(), started=started)))

    def ended(ending: Ending, code: int | None, problem: str = "", left: tuple[int, ...] = ()) -> Exit:
        seconds = round(time.monotonic() - began, 3)
        return Exit(ending=ending, code=code, started=started, seconds=seconds, problem=problem, left=left)

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
                preexec_fn=prepare_child,  # noqa: PLW1509 - this process has one thread
            )
    except OSError as error:
        return ended(Ending.UNSTARTED, None, f"{order.command[0]} could not be started: {error.strerror}")

    ending, problem = Ending.EXITED, ""
    while main.poll() is None:
        remaining = began + order.limit - time.monotonic()
        if remaining <= 0:
            ending = Ending.TIMEOUT
            break
        received = signal.sigtimedwait(WAITED_FOR, remaining)
        if received is not None and received.si_signo in STOP_SIGNALS:
            ending = Ending.KILLED
            problem = f"its supervisor got a {signal.Signals(received.si_signo).name} that the engine did not send"
            break
        reap_all_but(main.pid)
    left = end_tree(order.grace, main)
    return ended(ending, main.poll(), problem, left)


def end_tree(grace: float, main: subprocess.Popen[bytes] | None = None) -> tuple[int, ...]:
    """End every descendant: SIGTERM, SIGKILL after ``grace`` seconds. Returns those that even this did not end."""
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while descendants := psutil.Process().children(recursive=True):
        now = time.monotonic()
        if now >= deadline + KILL_SECONDS:
            return tuple(process.pid for process in descendants)
        for process in descendants:
            with suppress(psutil.Error):
                if now >= deadline:
                    process.kill()
                elif process.pid not in asked:
                    asked.add(process.pid)
                    process.terminate()
        time.sleep(LOOK_AGAIN)
        if main is not None:
            main.poll()
        reap_all_but(main.pid if main is not None else None)
    return ()


def reap_all_but(main: int | None) -> None:
    """Collect orphans that have died; ``main`` is left to its Popen, which wants the status for itself."""
    for child in psutil.Process().children():
        if child.pid != main:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


def prepare_child() -> None:
    """In the child, before exec: die with the supervisor, and get signals again."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def prctl(option: int, value: int) -> None:
    """Tell the kernel what this process wants; nothing where it is not Linux."""
    if sys.platform == "linux":
        _libc.prctl(option, value, 0, 0, 0)


def _run(folder: RunFolder, keeper: int) -> None:
    """The inner process: run to the end, and say how it was."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != keeper:
        os.kill(os.getpid(), signal.SIGTERM)  # the keeper died before it could be told of
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        order = msgspec.json.decode(folder.order.read_bytes(), type=Order)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        ended = Exit(ending=Ending.UNSTARTED, started=time.time(), problem=f"order.json can't be read: {error}")
    else:
        ended = supervise(folder, order)
    _write_exit(folder, ended)


def _reserve(folder: RunFolder) -> None:
    """Take the room for exit.json while there is some: a run that ends on a full disk still says how."""
    with suppress(OSError), _draft(folder).open("wb") as file:
        file.write(b" " * EXIT_SIZE)
        os.fsync(file.fileno())


def _write_exit(folder: RunFolder, ended: Exit) -> None:
    content = msgspec.json.encode(ended)
    draft = _draft(folder)
    if len(content) > EXIT_SIZE or not draft.exists():
        write_atomically(folder.exit, content)
        return
    with draft.open("rb+") as file:
        file.write(content.ljust(EXIT_SIZE))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder.exit)
    sync_directory(folder.path)


def _draft(folder: RunFolder) -> Path:
    return folder.path / ".exit.draft"


def _keep(folder: RunFolder, inner: int) -> None:
    """The keeper: pass signals on until the inner process is over; where it was killed, end what it left."""
    started, began = time.time(), time.monotonic()
    while True:
        received = signal.sigwait(WAITED_FOR)
        if received in STOP_SIGNALS:
            os.kill(inner, received)
        died, status = os.waitpid(inner, os.WNOHANG)
        if died:
            break
    if status == 0:
        return
    left = end_tree(0)
    seconds = round(time.monotonic() - began, 3)
    lost = Exit(ending=Ending.LOST, started=started, seconds=seconds, problem=NOBODY_KNOWS, left=left)
    _write_exit(folder, lost)


def main() -> None:
    """Take the lock over from the engine, run, write exit.json."""
    folder, lock = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(lock, False)
    fcntl.flock(lock, fcntl.LOCK_EX)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    _reserve(folder)
    keeper = os.getpid()
    if inner := os.fork():
        _keep(folder, inner)
    else:
        _run(folder, keeper)


if __name__ == "__main__":
    main()
