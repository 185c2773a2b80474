"""An engine that is killed, as by kill -9, at its n-th step that leaves a trace: ``… DIR N EXPERIMENTS``.

Steps are what recovery depends on: each write to an append-only file (cut in half on the way out), fsync,
rename, and start of another process, git or supervisor. Counted from outside, so the engine has no hooks.
"""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import AutoresearchError
from engine.launch import run_engine
from engine.workspace import Workspace

SURVIVED = 0


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still here")


def kill_at(last_step: int) -> None:
    """Make this process die just before its ``last_step``-th step."""
    steps = itertools.count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if next(steps) == last_step:
                if function is write and len(arguments[1]) > 1:
                    write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                die()
            return function(*arguments, **options)

        return step

    write = os.write
    os.write = counted(os.write)
    os.fsync = counted(os.fsync)
    os.replace = counted(os.replace)
    os.rename = counted(os.rename)
    subprocess.Popen.__init__ = counted(subprocess.Popen.__init__)  # type: ignore[method-assign]


def main() -> int:
    workspace, last_step, experiments = Workspace.at(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    if last_step:
        kill_at(last_step)
    try:
        run_engine(workspace, experiments=experiments, waits_on_trouble=False)
    except AutoresearchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return SURVIVED


if __name__ == "__main__":
    sys.exit(main())
