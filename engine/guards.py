"""The rules of the game stay as they were: the files that no proposer may change, checked and restored."""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.files import write_atomically
from engine.jsonlines import UNREADABLE
from engine.shadows import shadows
from engine.workspace import GUARDED, RunFolder, Workspace

MANIFEST = "manifest.json"


class Original(msgspec.Struct, frozen=True):
    """A guarded file as it is to be."""

    content: bytes
    mode: int


class Kept(msgspec.Struct, frozen=True):
    """What the manifest says of a file in the copy."""

    sha256: str
    mode: int


class Guards:
    """Holds the guarded files as they were before the first run: in memory, where no run can reach them.

    A copy on disk is for an engine that takes over in mid-run; what it does not prove is taken from HEAD.
    """

    def __init__(
        self, workspace: Workspace, committed: Callable[[str], bytes | None], *, in_flight: bool = False
    ) -> None:
        """``committed``: reads a file's content in HEAD; ``in_flight``: a run was under way when the last engine
        ended, so what is in the workspace now proves nothing and the last engine's copy holds."""
        self._workspace = workspace
        self._copy = workspace.state / "guarded"
        self._originals: dict[str, Original | None] = {}
        """None: there was no such file. A name that is missing: nobody knows, and the file is left alone."""
        self._committed = committed
        self._shadows: set[Path] = set() if in_flight else shadows(workspace)
        """What stood there before the first run is the person's."""
        self.committed_in_run: set[str] = set()
        """What was changed and committed while a run was under way: by a person, or by the run."""
        if in_flight:
            self._originals = self._read_copy()
            for name in GUARDED:
                if name not in self._originals and (content := committed(name)) is not None:
                    self._originals[name] = Original(content, 0o755 if name.endswith(".sh") else 0o644)
            self._keep_copy()
        else:
            self.take_in()

    def take_in(self) -> None:
        """The guarded files are to be as they are now."""
        paths = {name: self._workspace.root / name for name in GUARDED}
        self._originals = {
            name: _found(path) for name, path in paths.items() if path.is_file() or not os.path.lexists(path)
        }
        self.committed_in_run.clear()
        self._keep_copy()

    def changed(self) -> list[str]:
        """What is not as it is to be; with no run under way that is a person's doing."""
        return [name for name, each in self._originals.items() if not _is_as(self._workspace.root / name, each)]

    def original(self, name: str) -> bytes | None:
        """A guarded file's content as it is to be; None where there is to be none, or nobody knows."""
        original = self._originals.get(name)
        return None if original is None else original.content

    def restore(self, folder: RunFolder | None, during: str = "the run") -> tuple[str, ...]:
        """Put back what was changed during a run (or ``during`` something else, which has no folder), keep the changed
        version in ``rescued/``; says what was found.

        It is written down in the run's folder before it is mended, so that an engine that is killed in between
        leaves its successor no clean workspace and no suspicion.
        """
        note = folder.path / "violations.json" if folder else None
        violations = _noted(note)
        for name, original in self._originals.items():
            path = self._workspace.root / name
            if _is_as(path, original):
                if original is not None and _mode(path) != original.mode:
                    path.chmod(original.mode)
                continue
            if (found := _found(path)) is not None and found.content == self._committed(name):
                violations[name] = f"{name} was changed and committed during {during}"
                _write_down(note, violations)
                self.committed_in_run.add(name)
                continue
            is_there, aside = os.path.lexists(path), self._workspace.rescued / f"{name}.{time.time_ns()}"
            rescued = aside.relative_to(self._workspace.root)
            if original is None:
                sentence = f"{name} was added during {during}, and moved to {rescued}"
            elif is_there:
                sentence = f"{name} was changed during {during}: it is as before, the other version is {rescued}"
            else:
                sentence = f"{name} was removed during {during}, and put back"
            if is_there or name not in violations:
                violations[name] = sentence
                _write_down(note, violations)
            if is_there:
                aside.parent.mkdir(parents=True, exist_ok=True)
                path.rename(aside)
            if original is not None:
                write_atomically(path, original.content, scratch=self._workspace.state)
                path.chmod(original.mode)
        for path in sorted(shadows(self._workspace) - self._shadows):
            aside = self._workspace.rescued / f"{path.name}.{time.time_ns()}"
            where = aside.relative_to(self._workspace.root)
            violations[path.name] = f"{path.name}, which later runs would import, was added and is moved to {where}"
            _write_down(note, violations)
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.rename(aside)
        self._keep_copy()
        return tuple(violations.values())

    def _read_copy(self) -> dict[str, Original | None]:
        """What an earlier engine kept, as far as it is whole."""
        try:
            manifest = msgspec.json.decode((self._copy / MANIFEST).read_bytes(), type=dict[str, Kept | None])
        except (OSError, *UNREADABLE):
            return {}
        known: dict[str, Original | None] = {}
        for name in GUARDED:
            match manifest.get(name, ...):
                case None:
                    known[name] = None
                case Kept(sha256=sha256, mode=mode):
                    found = _found(self._copy / name)
                    if found is not None and _sha256(found.content) == sha256:
                        known[name] = Original(found.content, stat.S_IMODE(mode))
        return known

    def _keep_copy(self) -> None:
        """See that the copy is there for a later engine; a run may have touched it."""
        if self._read_copy() == self._originals:
            return
        draft = self._workspace.state / "guarded.draft"
        for each in (draft, self._copy):
            _remove(each)
        draft.mkdir(parents=True)
        for name, original in self._originals.items():
            if original is not None:
                (draft / name).write_bytes(original.content)
        manifest = {
            name: original and Kept(_sha256(original.content), original.mode)
            for name, original in self._originals.items()
        }
        (draft / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        draft.rename(self._copy)


def _found(path: Path) -> Original | None:
    return Original(path.read_bytes(), _mode(path)) if path.is_file() else None


def _is_as(path: Path, original: Original | None) -> bool:
    """Whether a file is as it was; one of another size is not read, however large it is."""
    if original is None:
        return not os.path.lexists(path)
    return path.is_file() and path.stat().st_size == len(original.content) and path.read_bytes() == original.content


def _write_down(note: Path | None, violations: dict[str, str]) -> None:
    if note is not None:
        write_atomically(note, msgspec.json.encode(violations))


def _noted(note: Path | None) -> dict[str, str]:
    if note is None:
        return {}
    try:
        return msgspec.json.decode(note.read_bytes(), type=dict[str, str])
    except (OSError, *UNREADABLE):
        return {}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
