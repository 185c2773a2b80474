"""Reads past sessions in a thread: many or large ledgers, or a slow disk, must not hold up the screen."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from engine import sessions
from engine.past import PastSession, gather
from engine.workspace import Workspace


class Shelf:
    """The sessions at the given paths and those of this machine; ``take`` gives what was found since the last time."""

    def __init__(self, paths: Sequence[Path] = (), known: Callable[[], Sequence[Workspace]] = sessions.known) -> None:
        self._paths = paths
        self._known = known
        self._found: list[PastSession] = []
        self._taken = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="past-sessions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look for no more."""
        self._end.set()

    @property
    def is_done(self) -> bool:
        """All were found, and taken."""
        return not self._thread.is_alive() and self._taken == len(self._found)

    def take(self) -> list[PastSession]:
        """What is new."""
        upto = len(self._found)
        new = self._found[self._taken : upto]
        self._taken = upto
        return new

    def _look(self) -> None:
        for each in gather(self._paths, self._known()):
            self._found.append(each)
            if self._end.is_set():
                return
