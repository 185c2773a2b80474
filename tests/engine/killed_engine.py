"""An engine that is killed, as by kill -9, at its n-th step that leaves a trace: ``… DIR N EXPERIMENTS [PHASE]``.

Steps are what recovery depends on: each write to an append-only file (cut in half on the way out), fsync,
rename, removal, and start of another process, git or supervisor. Counted from outside, so the engine has no hooks.
With a phase they are counted from where the journal says it: the first one is the rename that says so.
"""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from engine.errors import AutoresearchError
from engine.journal import InFlight
from engine.launch import run_engine
from engine.workspace import Workspace

SURVIVED = 0
SETTLED = "settled"
"""The phase that the journal says by being gone."""


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still here")


def kill_at(last_step: int, *, phase: str = "", journal: Path | None = None) -> None:
    """Make this process die just before its ``last_step``-th step, of all or of those from ``phase`` on."""
    steps = itertools.count(1)
    has_come = not phase

    def says_phase(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
        if function is unlink:
            return phase == SETTLED and Path(arguments[0]) == journal
        if function is not replace or Path(arguments[1]) != journal:
            return False
        return msgspec.json.decode(Path(arguments[0]).read_bytes(), type=InFlight).phase == phase

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal has_come
            has_come = has_come or says_phase(function, arguments)
            if has_come and next(steps) == last_step:
                if function is write and len(arguments[1]) > 1:
                    write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                die()
            return function(*arguments, **options)

        return step

    write, replace, unlink = os.write, os.replace, os.unlink
    os.write = counted(os.write)
    os.fsync = counted(os.fsync)
    os.replace = counted(os.replace)
    os.rename = counted(os.rename)
    os.unlink = counted(os.unlink)
    subprocess.Popen.__init__ = counted(subprocess.Popen.__init__)  # type: ignore[method-assign]


def main() -> int:
    workspace, last_step, experiments = Workspace.at(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    if last_step:
        kill_at(last_step, phase="".join(sys.argv[4:]), journal=workspace.journal)
    try:
        run_engine(workspace, experiments=experiments, waits_on_trouble=False)
    except AutoresearchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return SURVIVED


if __name__ == "__main__":
    sys.exit(main())
