"""The rules of the game stay as they were: the files that no proposer may change, checked and restored."""

import time
from pathlib import Path

from engine.files import write_atomically
from engine.workspace import GUARDED, Workspace


class Guards:
    """Holds the guarded files as they are when it is made; None for one that is not there."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._originals = {name: _read(workspace.root / name) for name in GUARDED}

    def restore(self) -> tuple[str, ...]:
        """Put back what was changed, keep the changed version in ``rescued/``; says what was found."""
        violations = []
        for name, original in self._originals.items():
            path = self._workspace.root / name
            found = _read(path)
            if found == original:
                continue
            if found is not None:
                write_atomically(self._workspace.rescued / f"{name}.{time.time_ns()}", found)
            if original is None:
                path.unlink()
            else:
                write_atomically(path, original, scratch=self._workspace.state)
            violations.append(f"{name} was {'removed' if found is None else 'changed'} during the run, and restored")
        return tuple(violations)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
