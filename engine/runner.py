"""Starts a training run under its supervisor, follows it, adopts one that an earlier engine started.

The run's folder is its state: order.json is what was asked, supervisor.json that it began, a held lock
that it lives, exit.json how it ended. Nothing here is kept in memory that the folder does not say.
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
from pathlib import Path

import msgspec
import psutil

from engine.files import write_atomically
from engine.jsonlines import UNREADABLE
from engine.metrics import MetricScanner
from engine.settings import RunSettings
from engine.supervisor import Alive, Ending, Exit, Order, alive_file
from engine.workspace import RunFolder, Workspace

POLL_SECONDS = 0.2
READ_AT_ONCE = 4 << 20
PYTHON = "AUTORESEARCH_PYTHON"
"""The Python that autoresearch.sh is to use; without it, the workspace's own through uv."""
RUN_ID = "AUTORESEARCH_RUN_ID"
"""Every process of a run carries its experiment's id under this name in its environment."""

ALLOWED = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM CC CXX LD_LIBRARY_PATH VIRTUAL_ENV "  # noqa: SIM905
    "XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HF_ENDPOINT HF_HUB_OFFLINE".split()
)
ALLOWED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TRITON_", "OMP_", "MKL_", "AUTORESEARCH_")
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
"""NVIDIA_API_KEY is one, for all its prefix."""


def environment(settings: RunSettings, identity: str) -> dict[str, str]:
    """What a training process may see: it runs code that a model wrote, so no keys and no tokens."""
    allowed = {
        name: value
        for name, value in os.environ.items()
        if name in ALLOWED
        or name in settings.environment
        or (name.startswith(ALLOWED_PREFIXES) and not SECRET.search(name))
    }
    allowed.pop(PYTHON, None)
    if settings.python == "engine":
        allowed[PYTHON] = sys.executable
    return allowed | {"PYTHONUNBUFFERED": "1", RUN_ID: identity}


def python_command(settings: RunSettings) -> list[str]:
    """The command that runs a Python file in this workspace, as autoresearch.sh runs it."""
    return [sys.executable] if settings.python == "engine" else ["uv", "run", "python"]


class Run:
    """One supervised command and its folder."""

    def __init__(self, folder: RunFolder, identity: str) -> None:
        """``identity``: the experiment's id, which all processes of the run carry."""
        self.folder = folder
        self.scanner = MetricScanner()
        self.identity = identity
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._scanned = 0

    @property
    def begun(self) -> bool:
        """Whether a supervisor ever took it up."""
        return alive_file(self.folder).exists() or self.folder.exit.exists() or self._locked()

    @property
    def identity_on_disk(self) -> str:
        """The id of the experiment that was ordered in this folder; empty where none was."""
        try:
            return msgspec.json.decode(self.folder.order.read_bytes(), type=Order).environment.get(RUN_ID, "")
        except (FileNotFoundError, *UNREADABLE):
            return ""

    @property
    def started(self) -> float:
        """When it began, in seconds since the epoch; now, if it is about to."""
        try:
            return msgspec.json.decode(alive_file(self.folder).read_bytes(), type=Alive).started
        except FileNotFoundError:
            return time.time()

    def start(self, command: list[str], workspace: Workspace, settings: RunSettings) -> None:
        """Start the supervisor. The lock is held before it exists, so nobody can ever take the run for dead."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        env = environment(settings, self.identity)
        env |= {"AUTORESEARCH_LOG": str(self.folder.log), "AUTORESEARCH_RECORD": str(self.folder.record)}
        order = Order(
            command=command,
            directory=str(workspace.root),
            environment=env,
            limit=settings.limit_seconds,
            grace=settings.grace_seconds,
        )
        write_atomically(self.folder.order, msgspec.json.encode(order))
        self.folder.log.touch()
        lock = os.open(self.folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "engine.supervisor", str(self.folder.path), str(lock)],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(self.folder.path / "supervisor.log").open("ab"),
                start_new_session=True,
                pass_fds=[lock],
            )
        finally:
            os.close(lock)

    async def wait(self, unwanted: Callable[[], bool] = lambda: False) -> Exit:
        """Follow the run to its end, scanning its output; afterwards no process of it is left.

        ``unwanted`` is asked all the while; once it says so, the run is ended.
        """
        while (ended := await asyncio.to_thread(self._look)) is None:
            if unwanted():
                self._end()
            await asyncio.sleep(POLL_SECONDS)
        return ended

    def _end(self) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            alive = msgspec.json.decode(alive_file(self.folder).read_bytes(), type=Alive)
            if self._locked():
                os.kill(alive.supervisor, signal.SIGTERM)

    def _look(self) -> Exit | None:
        living = self._locked()
        self._scan()
        if living:
            return None
        if self._supervisor is not None:
            self._supervisor.wait()
        end_processes_of(self.identity)
        self._scan()
        self.scanner.finish()
        try:
            return msgspec.json.decode(self.folder.exit.read_bytes(), type=Exit)
        except FileNotFoundError:
            started = self.started
            return Exit(
                ending=Ending.LOST,
                started=started,
                seconds=max(0.0, self._last_sign_of_life() - started),
                problem="its supervisor was killed or the machine went down",
            )

    def _scan(self) -> None:
        with suppress(FileNotFoundError), self.folder.log.open("rb") as log:
            log.seek(self._scanned)
            while chunk := log.read(READ_AT_ONCE):
                self._scanned += len(chunk)
                self.scanner.feed(chunk)

    def _last_sign_of_life(self) -> float:
        try:
            return self.folder.log.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _locked(self) -> bool:
        try:
            descriptor = os.open(self.folder.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)


def end_processes_of(identity: str) -> None:
    """Kill whatever still carries the run's id: the rest of a run whose supervisor was killed."""
    while remaining := [process for process in psutil.process_iter() if _carries(process, identity)]:
        for process in remaining:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(remaining, timeout=5)


def _carries(process: psutil.Process, identity: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(RUN_ID) == identity
    except (psutil.Error, OSError):
        return False


def tail(log: Path, lines: int = 20, most: int = 8192) -> str:
    """The last lines of a run's output, as text, for a person who asks why it died."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    drawn = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(drawn[-lines:]).strip()
