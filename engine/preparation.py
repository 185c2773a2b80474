"""Data and tokenizer: the workspace's own prepare.py does it, and talks to the person while it works."""

import subprocess
import sys

from engine import obstacles, settings
from engine.errors import AutoresearchError, UnusableWorkspace, WorkFailed
from engine.files import write_atomically
from engine.runner import python_command
from engine.workspace import PREPARE, Workspace


def prepare(workspace: Workspace, arguments: list[str] | None = None) -> None:
    """Run prepare.py in the foreground, its output on ours. Raises where it does not end well."""
    if not workspace.prepare.exists():
        raise UnusableWorkspace(
            f"{PREPARE} is missing in {workspace.root}: `autoresearch-tui init {workspace.root} --tag T` copies it."
        )
    chosen = settings.load(workspace)
    obstacles.refuse_missing_uv(chosen)
    note_python(workspace)
    command = [*python_command(chosen.run), PREPARE, *(arguments or [])]
    try:
        code = subprocess.run(command, cwd=workspace.root, check=False).returncode
    except OSError as error:
        raise WorkFailed(f"{command[0]} could not be started: {error.strerror}.") from None
    if code:
        raise PrepareSaidIt(code)


def note_python(workspace: Workspace) -> None:
    """Leave word which Python this is, for an autoresearch.sh that is run by hand."""
    write_atomically(workspace.engine_python, f"{sys.executable}\n".encode())


class PrepareSaidIt(AutoresearchError):  # noqa: N818
    """prepare.py failed and has told the person why on stderr; only its exit code is passed on."""

    def __init__(self, code: int) -> None:
        super().__init__("")
        self.exit_code = code if code > 0 else 1
