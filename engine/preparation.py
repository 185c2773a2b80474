"""Data and tokenizer: the workspace's own prepare.py does it, and talks to the person while it works."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from engine import obstacles, settings
from engine.errors import AutoresearchError, UnusableWorkspace, WorkFailed
from engine.files import write_atomically
from engine.runner import python_command
from engine.workspace import PREPARE, Workspace

LOOK_SECONDS = 0.2
GRACE_SECONDS = 5.0
LONGEST = 1 << 16
"""Bytes of a line without an end."""


def prepare(workspace: Workspace, arguments: list[str] | None = None) -> None:
    """Run prepare.py in the foreground, its output on ours. Raises where it does not end well."""
    command = _command(workspace, arguments or [])
    try:
        code = subprocess.run(command, cwd=workspace.root, check=False).returncode
    except OSError as error:
        raise _not_started(command, error) from None
    if code:
        raise PrepareSaidIt(code)


def prepare_and_tell(workspace: Workspace, tell: Callable[[str, bool], None], stop: threading.Event) -> bool:
    """The same, for a screen: False if ``stop`` ended it. ``tell`` gets each line that it prints, and whether the next
    one stands below it, or in its place. Raises WorkFailed with what it said last.
    """
    command = _command(workspace, [])
    terminal, end = pty.openpty()  # on a terminal it shows how far a download is
    try:
        process = subprocess.Popen(
            command, cwd=workspace.root, stdin=subprocess.DEVNULL, stdout=end, stderr=end, start_new_session=True
        )
    except OSError as error:
        os.close(terminal)
        raise _not_started(command, error) from None
    finally:
        os.close(end)
    last = ""
    try:
        for line, is_whole in _lines(process, terminal, stop):
            last = line.strip() or last
            tell(line, is_whole)
    finally:
        _end(process, now=stop.is_set())
        os.close(terminal)
    if stop.is_set():
        return False
    if process.returncode:
        raise WorkFailed(last if last.endswith(".") else f"{last or f'{PREPARE} failed and said nothing'}.")
    return True


def _lines(process: subprocess.Popen[bytes], terminal: int, stop: threading.Event) -> Iterator[tuple[str, bool]]:
    """What it prints until it ends, or is to: (line, whether it is whole)."""
    rest = b""
    while not stop.is_set():
        if not select.select([terminal], [], [], LOOK_SECONDS)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            chunk = os.read(terminal, 1 << 16)
        except OSError:  # nobody has the other end any more
            break
        *pieces, rest = re.split(rb"(\r*\n|\r)", rest + chunk)
        for text, ending in zip(pieces[::2], pieces[1::2], strict=True):
            if text:
                yield text.decode("utf-8", "replace"), ending.endswith(b"\n")
        if len(rest) > LONGEST:
            rest = b""
    if rest:
        yield rest.decode("utf-8", "replace"), True


def _end(process: subprocess.Popen[bytes], now: bool) -> None:
    """Wait for it; ``now``: have it end, and those that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if now:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return
        now = True
    process.wait()


def _command(workspace: Workspace, arguments: list[str]) -> list[str]:
    if not workspace.prepare.exists():
        raise UnusableWorkspace(
            f"{PREPARE} is missing in {workspace.root}: `autoresearch-tui init {workspace.quoted} --tag T` copies it."
        )
    obstacles.refuse_directory(workspace)
    chosen = settings.load(workspace)
    obstacles.refuse_missing_uv(chosen)
    with suppress(OSError):  # a full disk is prepare.py's to speak of
        note_python(workspace)
    return [*python_command(chosen.run), PREPARE, *arguments]


def _not_started(command: list[str], error: OSError) -> WorkFailed:
    return WorkFailed(f"{command[0]} could not be started: {error.strerror}.")


def note_python(workspace: Workspace) -> None:
    """Leave word which Python this is, for an autoresearch.sh that is run by hand."""
    write_atomically(workspace.engine_python, f"{sys.executable}\n".encode())


class PrepareSaidIt(AutoresearchError):  # noqa: N818
    """prepare.py failed and has told the person why on stderr; only its exit code is passed on."""

    def __init__(self, code: int) -> None:
        super().__init__("")
        self.exit_code = code if code > 0 else 1
