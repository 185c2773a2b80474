"""Ending processes for good."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

END_SECONDS = 10.0
LOOK_AGAIN = 0.05


def end(find: Callable[[], Iterable[psutil.Process]], seconds: float = END_SECONDS) -> tuple[int, ...]:
    """Kill what ``find`` gives and everything that it has started, until there is no more of it.

    Returns, after ``seconds``, the numbers of those that do not die: they wait in the kernel for a device.
    """
    deadline = time.monotonic() + seconds
    known: set[psutil.Process] = set()
    while True:
        known.update(find())
        for process in list(known):
            with suppress(psutil.Error):
                known.update(process.children(recursive=True))
        known = {process for process in known if _lives(process)}
        if not known:
            return ()
        if time.monotonic() > deadline:
            return tuple(sorted(process.pid for process in known))
        for process in known:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(LOOK_AGAIN)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
