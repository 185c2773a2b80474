"""Being the engine: in the foreground, or started as a detached process that outlives the terminal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import allocator, notifying, preflight, sessions
from engine.errors import UnusableWorkspace, WorkFailed
from engine.events import Event
from engine.history import History
from engine.presence import announce, engine_of, holding
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.loop import Loop
    from engine.verification import Plan

START_SECONDS = 30
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_engine(
    workspace: Workspace,
    *,
    experiments: int | None = None,
    proposer: str = "",
    verification: "Callable[[History], Plan] | None" = None,
    waits_on_trouble: bool = True,
    listener: Callable[[Event], None] | None = None,
) -> str:
    """Be the workspace's engine until the session is over; returns why it ended, in words.

    A first SIGINT or SIGTERM ends the running experiment in an orderly way and raises KeyboardInterrupt
    afterwards. Raises UnusableWorkspace or WorkFailed with the sentence for the person.
    """
    from engine.loop import Loop  # the whole engine, which who only looks does not need

    allocator.share_one_arena()
    settings, repository = preflight.inspect(workspace)
    if verification is None:
        preflight.require_proposer(workspace, settings, proposer)
    with holding(workspace) as holder, notifying.notifying(workspace, settings.notify, listener) as hears:
        sessions.remember(workspace)
        loop = Loop(
            workspace=workspace,
            settings=settings,
            repository=repository,
            experiments=experiments,
            proposer=proposer,
            verification=verification,
            waits_on_trouble=waits_on_trouble,
            listener=hears,
            announce=lambda: announce(workspace, holder),
        )
        return asyncio.run(_until_signalled(loop))


async def _until_signalled(loop: "Loop") -> str:
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        loop.stop(now=True)

    for number in ENDING_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    reason = await loop.run()
    if interrupted:
        raise KeyboardInterrupt
    return reason


def start_detached(workspace: Workspace, *, experiments: int | None = None, proposer: str = "") -> None:
    """Start an engine in a session of its own, unless one runs already; returns once it holds the workspace.

    Raises UnusableWorkspace before anything is started, WorkFailed if the engine does not come up.
    """
    if engine_of(workspace) is not None:
        if proposer:
            raise UnusableWorkspace(
                f"an engine runs in {workspace.root} already, and goes on as it was started: `autoresearch-tui stop "
                f"{workspace.root}` ends it, then --proposer counts."
            )
        return
    settings, _ = preflight.inspect(workspace)
    preflight.require_proposer(workspace, settings, proposer)
    workspace.state.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "engine", str(workspace.root)]
    if experiments is not None:
        command += ["--experiments", str(experiments)]
    if proposer:
        command += ["--proposer", proposer]
    with workspace.engine_log.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    deadline = time.monotonic() + START_SECONDS
    while engine_of(workspace) is None:
        if process.poll() is not None:
            if process.returncode == 0:
                return  # it had nothing left to do
            raise WorkFailed(f"the engine did not start; {workspace.engine_log} says why.")
        if time.monotonic() > deadline:
            raise WorkFailed(f"the engine did not come up within {START_SECONDS} s; see {workspace.engine_log}.")
        time.sleep(0.05)
