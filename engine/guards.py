"""The rules of the game stay as they were: the files that no proposer may change, checked and restored."""

import shutil
import stat
import time
from pathlib import Path

from engine.files import write_atomically
from engine.workspace import GUARDED, Workspace


class Guards:
    """Holds the guarded files as they were before the first run; a copy on disk outlives the engine."""

    def __init__(self, workspace: Workspace, *, in_flight: bool = False) -> None:
        """``in_flight``: a run was under way when the last engine ended, so what is in the workspace now proves nothing
        and the last engine's copy holds."""
        self._workspace = workspace
        self._copy = workspace.state / "guarded"
        if not (in_flight and self._copy.is_dir()):
            self._take_copy()

    def restore(self) -> tuple[str, ...]:
        """Put back what was changed, keep the changed version in ``rescued/``; says what was found."""
        violations = []
        for name in GUARDED:
            original, path = self._copy / name, self._workspace.root / name
            wanted, found = _read(original), _read(path)
            if found == wanted and not path.is_dir():
                if wanted is not None and _mode(path) != _mode(original):
                    path.chmod(_mode(original))
                continue
            self._rescue(path)
            if wanted is not None:
                write_atomically(path, wanted, scratch=self._workspace.state)
                path.chmod(_mode(original))
            violations.append(
                f"{name} was {'changed' if found is not None else 'removed'} during the run, and restored"
            )
        return tuple(violations)

    def _rescue(self, path: Path) -> None:
        if path.exists() or path.is_symlink():
            self._workspace.rescued.mkdir(parents=True, exist_ok=True)
            shutil.move(path, self._workspace.rescued / f"{path.name}.{time.time_ns()}")

    def _take_copy(self) -> None:
        draft = self._workspace.state / "guarded.draft"
        for each in (draft, self._copy):
            shutil.rmtree(each, ignore_errors=True)
        draft.mkdir(parents=True)
        for name in GUARDED:
            if (self._workspace.root / name).is_file():
                shutil.copy2(self._workspace.root / name, draft / name)
        draft.rename(self._copy)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
