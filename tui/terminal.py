"""Running the screen in a terminal and giving the terminal back, whatever ends it."""

import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from tui.configuration import wants_mouse

if TYPE_CHECKING:
    from tui.app import Viewer

PATIENCE = 3.0
"""Seconds that the screen has to close after a signal: a terminal that takes nothing would hold it for ever."""
# What a terminal must be told even if the screen cannot close: cursor on, mouse and bracketed paste off, main screen.
RESTORE = "\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[0m"


def run(app: "Viewer") -> int:
    """Show ``app`` until it ends; the exit code."""
    ended_by: list[int] = []
    if os.get_terminal_size(sys.__stdin__.fileno()).columns:  # type: ignore[union-attr]
        for stale in ("COLUMNS", "LINES"):  # of the shell that exported them, before the window changed
            os.environ.pop(stale, None)
    with _signals(app, ended_by):
        app.run(mouse=wants_mouse(app.configuration, os.environ))
    if ended_by:
        return 128 + ended_by[0]
    if app.return_code:
        where = f"; the details are in {app.crash_report}" if app.crash_report else ""
        print(f"The screen failed{where}. The engine is not affected.", file=sys.stderr)
        return 1
    if said := app.goodbye():
        print(said)
    return 0


@contextmanager
def _signals(app: "Viewer", ended_by: list[int]) -> Iterator[None]:
    settings = _terminal_settings()

    def give_up() -> None:
        try:
            if settings is not None:
                termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, settings)  # type: ignore[union-attr]
            os.set_blocking(sys.__stderr__.fileno(), False)  # type: ignore[union-attr]
            os.write(sys.__stderr__.fileno(), RESTORE.encode())  # type: ignore[union-attr]
        except (OSError, termios.error):
            pass  # the terminal is gone: nobody is left to restore it for
        finally:
            os._exit(128 + ended_by[0])

    def leave(number: int, frame: FrameType | None) -> None:
        if not ended_by:
            ended_by.append(number)
            timer = threading.Timer(PATIENCE, give_up)
            timer.daemon = True
            timer.start()
            app.leave_soon()

    before: dict[signal.Signals, Any] = {each: signal.signal(each, leave) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _terminal_settings() -> list[Any] | None:
    try:
        return termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]
    except (termios.error, ValueError, OSError, AttributeError):
        return None
