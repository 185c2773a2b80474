"""Data and tokenizer stay as they were: gigabytes that no copy can bring back, so they are watched instead.

They are hashed in full when the engine starts. Around a run only their identity is looked at (size, times, inode),
and a file whose identity changed is hashed again.
"""

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from engine.errors import WorkFailed
from engine.files import open_regular, write_atomically
from engine.jsonlines import UNREADABLE
from engine.runner import environment_of_prepare, python_command
from engine.settings import RunSettings
from engine.workspace import PREPARE, Workspace

FILES = "--files"
"""What prepare.py is asked: a JSON list of the paths of the data and tokenizer in use."""
ASK_SECONDS = 120
HASH_THREADS = 4
READ_AT_ONCE = 1 << 20

Identity = tuple[int, int, int, int]


class Manifest(msgspec.Struct, frozen=True):
    """The digest of every file, for an engine that takes over in mid-run. None: prepare.py names no files."""

    files: dict[str, str] | None


class Data:
    """The data and tokenizer of a session; looked at by one thread at a time."""

    def __init__(self, workspace: Workspace, settings: RunSettings, *, in_flight: bool = False) -> None:
        """``in_flight``: a run was under way when the last engine ended, so what is there now proves nothing."""
        self._workspace = workspace
        self._settings = settings
        self._in_flight = in_flight
        self._digests: dict[Path, str] = {}
        self._identities: dict[Path, Identity] = {}
        self._folders: dict[Path, int] = {}

    def take_in(self) -> str:
        """Hash everything; returns a sentence where the data can't be guarded, the first time that this is so."""
        before = self._read_manifest()
        paths = self._ask()
        if paths is None:
            if before is not None and before.files is None:
                return ""
            self._keep_manifest(None)
            return f"{PREPARE} does not say which files it reads ({FILES}): data and tokenizer are not guarded."
        if self._in_flight and before and before.files:
            self._digests = {Path(name): digest for name, digest in before.files.items()}
            return ""
        self._identities, self._digests = self._hash(paths)
        self._folders = _times_of({path.parent for path in paths})
        self._keep_manifest({str(path): digest for path, digest in self._digests.items()})
        return ""

    @property
    def digest(self) -> str:
        """One for all of them, their names included; empty where there is nothing to guard."""
        if not self._digests:
            return ""
        named = [f"{path.name} {digest}" for path, digest in self._digests.items()]
        return hashlib.blake2b("\n".join(named).encode(), digest_size=16).hexdigest()

    def changes(self) -> tuple[str, ...]:
        """What is not as it was, in words."""
        if not self._digests:
            return ()
        folders = _times_of({path.parent for path in self._digests})
        paths = list(self._digests)
        if folders != self._folders:
            paths = self._ask() or paths
        added = [path for path in paths if path not in self._digests]
        suspects = [path for path in self._digests if _identity(path) != self._identities.get(path)]
        identities, digests = self._hash(suspects)
        gone = [path for path in suspects if path not in digests]
        changed = [path for path, digest in digests.items() if digest != self._digests[path]]
        self._identities |= {path: each for path, each in identities.items() if path not in changed}
        if not added and not gone:
            self._folders = folders
        return (
            *(f"{path} was added to the data" for path in added),
            *(f"{path} was removed" for path in gone),
            *(f"{path} was changed" for path in changed),
        )

    def require(self) -> None:
        """Raises WorkFailed while it is not as it was: no run would be comparable with those before it."""
        if changes := self.changes():
            raise WorkFailed(
                f"{'; '.join(changes)}: delete what is wrong, run `autoresearch-tui prepare`, which fetches what is "
                "missing, and resume (started anew, the engine takes the data as it is and begins a new segment)."
            )

    def _ask(self) -> list[Path] | None:
        """The files in use, by prepare.py; None where it does not know the question, or has nothing to name."""
        if FILES not in self._workspace.prepare.read_text("utf-8", "replace"):
            return None
        command = [*python_command(self._settings), PREPARE, FILES]
        try:
            answer = subprocess.run(
                command,
                cwd=self._workspace.root,
                env=environment_of_prepare(self._settings),
                capture_output=True,
                timeout=ASK_SECONDS,
                check=False,
            )
            names = msgspec.json.decode(answer.stdout, type=list[str]) if answer.returncode == 0 else []
        except (subprocess.TimeoutExpired, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return [self._workspace.root / name for name in names] or None

    def _hash(self, paths: list[Path]) -> tuple[dict[Path, Identity], dict[Path, str]]:
        """Identity and digest of each file that can be read."""
        with ThreadPoolExecutor(HASH_THREADS) as pool:
            hashed = dict(zip(paths, pool.map(_hashed, paths), strict=True))
        found = {path: each for path, each in hashed.items() if each is not None}
        return {path: each[0] for path, each in found.items()}, {path: each[1] for path, each in found.items()}

    @property
    def _manifest(self) -> Path:
        return self._workspace.state / "data.json"

    def _read_manifest(self) -> Manifest | None:
        try:
            return msgspec.json.decode(self._manifest.read_bytes(), type=Manifest)
        except (FileNotFoundError, *UNREADABLE):
            return None

    def _keep_manifest(self, files: dict[str, str] | None) -> None:
        write_atomically(self._manifest, msgspec.json.encode(Manifest(files)))


def _hashed(path: Path) -> tuple[Identity, str] | None:
    try:
        with open_regular(path) as file:
            before = _identity(path)
            digest = hashlib.blake2b(digest_size=16)
            while chunk := file.read(READ_AT_ONCE):
                digest.update(chunk)
    except OSError:
        return None
    return (before, digest.hexdigest()) if before is not None else None


def _identity(path: Path) -> Identity | None:
    """Size, times and inode. A time of modification can be set back, the time of change cannot."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _times_of(folders: set[Path]) -> dict[Path, int]:
    """When a name in each folder was last added, removed or replaced."""
    return {folder: folder.stat().st_mtime_ns for folder in folders if folder.is_dir()}
