"""Starts a training run under its supervisor, follows it, adopts one that an earlier engine started.

The run's folder is its state: order.json is what was asked, supervisor.json that it began, a held lock
that it lives, exit.json how it ended. The run's own processes can write there too, so what the engine
knows by itself comes first: whether it asked for the end, how the supervisor that it started exited.
"""

import asyncio
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from engine import processes
from engine.files import open_regular, write_atomically
from engine.jsonlines import UNREADABLE
from engine.metrics import MetricScanner
from engine.settings import RunSettings
from engine.supervisor import NOBODY_KNOWS, Alive, Ending, Exit, Order, alive_file
from engine.workspace import RunFolder, Workspace

POLL_SECONDS = 0.2
READ_AT_ONCE = 4 << 20
LOOK_SECONDS = 0.5
"""At most so long the log is read in one look, so that a skip is answered while gigabytes are caught up with."""
SLACK_SECONDS = 5.0
"""So long after its time a supervisor has not ended a run, the engine does."""
MOST_OF_A_NOTE = 1 << 20
"""Bytes of a small file of the run's folder that are looked at."""
SUPERVISOR = (sys.executable, "-m", "engine.supervisor")
PYTHON = "AUTORESEARCH_PYTHON"
"""The Python that autoresearch.sh is to use; without it, the workspace's own through uv."""
RUN_ID = "AUTORESEARCH_RUN_ID"
"""Every process of a run carries its experiment's id under this name in its environment."""

ALLOWED = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM CC CXX LD_LIBRARY_PATH VIRTUAL_ENV "  # noqa: SIM905
    "XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HF_ENDPOINT HF_HUB_OFFLINE".split()
)
ALLOWED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TRITON_", "OMP_", "MKL_", "AUTORESEARCH_")
SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PWD|BEARER|PRIVATE|CREDENTIAL|_PAT$|_PAT_|AUTH(?!OR)|NOTIF|URLS|WEBHOOK", re.IGNORECASE
)
"""NVIDIA_API_KEY is one, for all its prefix."""
OWN_PYTHON = ("PYTHONPATH", "PYTHONHOME")
"""Where the supervisor finds itself, if not where the engine's Python looks anyway."""


def environment(settings: RunSettings, identity: str) -> dict[str, str]:
    """What a training process may see: it runs code that a model wrote, so no keys and no tokens."""
    allowed = _harmless() | {name: os.environ[name] for name in settings.environment if name in os.environ}
    allowed.pop(PYTHON, None)
    if settings.python == "engine":
        allowed[PYTHON] = sys.executable
    return allowed | {"PYTHONUNBUFFERED": "1", RUN_ID: identity}


def _harmless() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in ALLOWED or (name.startswith(ALLOWED_PREFIXES) and not SECRET.search(name))
    }


def _supervisors_environment() -> dict[str, str]:
    """No keys and no tokens either: whatever the run starts can read its supervisor's environment in /proc."""
    own = {name: os.environ[name] for name in OWN_PYTHON if name in os.environ}
    return {name: value for name, value in (_harmless() | own).items() if name != RUN_ID}


def environment_of_prepare(settings: RunSettings) -> dict[str, str]:
    """What prepare.py may see when it is asked something: what it imports may have been left there by a run."""
    return {name: value for name, value in environment(settings, "").items() if name != RUN_ID}


def python_command(settings: RunSettings) -> list[str]:
    """The command that runs a Python file in this workspace, as autoresearch.sh runs it."""
    return [sys.executable] if settings.python == "engine" else ["uv", "run", "python"]


T = TypeVar("T")


class Run:
    """One supervised command and its folder."""

    def __init__(self, folder: RunFolder, identity: str) -> None:
        """``identity``: the experiment's id, which all processes of the run carry."""
        self.folder = folder
        self.scanner = MetricScanner()
        self.identity = identity
        self._supervisor: subprocess.Popen[bytes] | None = None
        """None where an earlier engine started it."""
        self._scanned = 0
        self._asked = False
        """This engine wants it ended."""
        self._overdue = False
        """Its supervisor let the limit pass."""
        self._due: float | None = None
        """When, on the monotonic clock, it will be overdue."""
        self._pressed: float | None = None
        """When, on the monotonic clock, its supervisor was first told to end it."""
        self._swept = False
        """Whether it is over and what was left of it has been ended."""
        self._left: tuple[int, ...] = ()
        self._vanished = False
        self._ended: Exit | None = None

    @property
    def begun(self) -> bool:
        """Whether a supervisor ever took it up."""
        return alive_file(self.folder).exists() or self.folder.exit.exists() or self._locked()

    @property
    def identity_on_disk(self) -> str:
        """The id of the experiment that was ordered in this folder; empty where none was."""
        return self._order.environment.get(RUN_ID, "")

    @property
    def started(self) -> float:
        """When it began, in seconds since the epoch; now, if it is about to."""
        alive = _note(alive_file(self.folder), Alive)
        return time.time() if alive is None else min(max(0.0, alive.started), time.time())

    def start(self, command: list[str], workspace: Workspace, settings: RunSettings) -> None:
        """Start the supervisor. The lock is held before it exists, so nobody can ever take the run for dead."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        env = environment(settings, self.identity)
        env |= {"AUTORESEARCH_LOG": str(self.folder.log), "AUTORESEARCH_RECORD": str(self.folder.record)}
        self._order = Order(
            command=command,
            directory=str(workspace.root),
            environment=env,
            limit=settings.limit_seconds,
            grace=settings.grace_seconds,
        )
        write_atomically(self.folder.order, msgspec.json.encode(self._order))
        self.folder.log.touch()
        lock = os.open(self.folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (self.folder.path / "supervisor.log").open("ab") as complaints:
                self._supervisor = subprocess.Popen(
                    [*SUPERVISOR, str(self.folder.path), str(lock)],
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    start_new_session=True,
                    env=_supervisors_environment(),
                    pass_fds=[lock],
                )
        finally:
            os.close(lock)

    async def wait(self, unwanted: Callable[[], bool] = lambda: False) -> Exit:
        """Follow the run to its end, scanning its output; afterwards no process of it is left.

        ``unwanted`` is asked all the while; once it says so, the run is ended.
        """
        while self._ended is None:
            is_behind = await asyncio.to_thread(self._look)
            self._asked = self._asked or unwanted()
            if self._ended is None and not is_behind:
                await asyncio.sleep(POLL_SECONDS)
        return self._ended

    def _look(self) -> bool:
        """See how the run stands and do what is due; returns whether more of its output is to be read at once."""
        living = not self._swept and self._lives()
        if living and not self.folder.lock.exists():
            living, self._vanished = False, True
        if living:
            self._end_if_due()
        elif not self._swept:
            self._sweep()
        is_behind = self._scan()
        if self._swept and not is_behind:
            self.scanner.finish()
            self._ended = self._conclude()
        return is_behind

    def _lives(self) -> bool:
        if self._locked():
            return True
        if self._supervisor is None:
            return bool(self._supervisors())
        return self._supervisor.poll() is None

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._order.limit + self._order.grace + SLACK_SECONDS
        self._overdue = self._overdue or now > self._due
        if not (self._asked or self._overdue):
            return
        if self._pressed is None:
            self._pressed = now
            if self._asked:
                with suppress(OSError):  # a full disk; it is for an engine that adopts the run only
                    write_atomically(self._request, b"")
        if now > self._pressed + self._order.grace + SLACK_SECONDS:
            self._sweep()
            return
        for supervisor in self._supervisors():
            with suppress(psutil.Error):
                supervisor.send_signal(signal.SIGCONT)
                supervisor.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, ...]:
        """End at once whatever there is of the run, its supervisor first; returns the processes that do not die."""
        return processes.end(lambda: [*self._supervisors(), *_carriers(self.identity)])

    def _sweep(self) -> None:
        self._left = self.end()
        self._swept = True
        if self._supervisor is not None:
            self._supervisor.poll()

    @cached_property
    def _order(self) -> Order:
        """What was ordered; where that can't be read, what would be by default."""
        default = RunSettings()
        return _note(self.folder.order, Order) or Order(
            command=[], directory="/", environment={}, limit=default.limit_seconds, grace=default.grace_seconds
        )

    @property
    def _request(self) -> Path:
        """Where an engine leaves word that it asked for the end of the run, for one that adopts it."""
        return self.folder.path / "end-asked"

    def _supervisors(self) -> list[psutil.Process]:
        """The processes that look after this run, as their command lines say."""
        command = [*SUPERVISOR[1:], str(self.folder.path)]
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (process.info["cmdline"] or [])[1:-1] == command  # the last one is the lock's descriptor
        ]

    def _conclude(self) -> Exit:
        ended = self._written()
        if ended.ending in (Ending.KILLED, Ending.LOST, Ending.SKIPPED) and not self._vanished:
            if self._asked or (self._supervisor is None and self._request.exists()):
                ended = msgspec.structs.replace(ended, ending=Ending.SKIPPED, problem="")
            elif self._overdue:
                ended = msgspec.structs.replace(ended, ending=Ending.TIMEOUT, problem="")
            elif ended.ending is Ending.SKIPPED:
                ended = msgspec.structs.replace(ended, ending=Ending.KILLED, problem="nobody asked for its end")
        return msgspec.structs.replace(ended, left=tuple(sorted({*ended.left, *self._left})))

    def _written(self) -> Exit:
        """What exit.json says; where it can't say anything, that the run is lost, and why."""
        if self._vanished:
            return self._lost("its folder, or the lock in it, was removed while it ran")
        if self._supervisor is not None and self._supervisor.returncode != 0:
            return self._lost(NOBODY_KNOWS)
        if not self.folder.exit.exists():
            return self._lost(NOBODY_KNOWS)
        return _note(self.folder.exit, Exit) or self._lost("its exit.json can't be read")

    def _lost(self, problem: str) -> Exit:
        started = self.started
        seconds = max(0.0, self._last_sign_of_life() - started)
        return Exit(ending=Ending.LOST, started=started, seconds=seconds, problem=problem)

    def _scan(self) -> bool:
        """Read on in the log for a while; returns whether there is more."""
        until = time.monotonic() + LOOK_SECONDS
        try:
            with open_regular(self.folder.log) as log:
                log.seek(self._scanned)
                while chunk := log.read(READ_AT_ONCE):
                    self._scanned += len(chunk)
                    self.scanner.feed(chunk)
                    if time.monotonic() > until:
                        return True
        except OSError:
            pass  # it is not there, or something else is
        return False

    def _last_sign_of_life(self) -> float:
        try:
            return self.folder.log.stat().st_mtime
        except OSError:
            return 0.0

    def _locked(self) -> bool:
        try:
            descriptor = os.open(self.folder.lock, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)


def _note(path: Path, kind: type[T]) -> T | None:
    """What a small file of a run's folder says; None where it is not there or says nothing."""
    try:
        with open_regular(path) as file:
            return msgspec.json.decode(file.read(MOST_OF_A_NOTE), type=kind)
    except (OSError, *UNREADABLE):
        return None


def _carriers(identity: str) -> list[psutil.Process]:
    """The processes that carry a run's id."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN_ID) == identity:
                found.append(process)
    return found


def tail(log: Path, lines: int = 20, most: int = 8192) -> str:
    """The last lines of a run's output, as text, for a person who asks why it died."""
    try:
        with open_regular(log) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    drawn = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(drawn[-lines:]).strip()
