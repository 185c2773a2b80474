"""What the engine's tests share: bare workspaces, a person who uses git, and looks at what is on disk."""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from engine.runner import RUN_ID
from engine.workspace import Workspace
from tests.engine.workspaces import begun

PERSON = ("-c", "user.name=A Person", "-c", "user.email=person@localhost", "-c", "commit.gpgsign=false")

Snapshot = dict[str, tuple[int, bytes]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty directory and the paths in it."""
    root = tmp_path / "workspace"
    root.mkdir()
    return Workspace.at(root)


@pytest.fixture
def measured(tmp_path: Path) -> Workspace:
    """A session's workspace with its baseline measured."""
    return begun(tmp_path / "work")


@pytest.fixture
def identity() -> Iterator[str]:
    """An experiment's id; whatever a failing test leaves running under it is ended."""
    name = f"test-{uuid4().hex}"
    yield name
    for process in processes_of(name):
        process.kill()


@pytest.fixture
def no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which git was never told who commits."""
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")] + ["EMAIL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(nobody))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nobody))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@dataclass(frozen=True)
class Person:
    """Somebody who uses git by hand in ``root``."""

    root: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *PERSON, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def commit(self, files: dict[str, str | bytes], message: str = "a person's commit") -> str:
        for path, content in files.items():
            self.write(path, content)
        self.git("add", "--force", *files)
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")

    def index(self, *but: str) -> list[str]:
        """Every entry of the index (mode, blob, path), but not these paths."""
        return [entry for entry in self.git("ls-files", "--stage").splitlines() if entry.split("\t")[1] not in but]


@pytest.fixture
def person(workspace: Workspace) -> Person:
    """A person in a new repository on the branch main; no commit yet."""
    someone = Person(workspace.root)
    someone.git("init", "--quiet", "--initial-branch=main")
    return someone


def snapshot(root: Path) -> Snapshot:
    """Every file, directory and link below ``root``, .git included: path → (mode, content)."""
    seen: Snapshot = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = str(path.readlink()).encode()
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        else:
            content = b""
        seen[str(path.relative_to(root))] = (mode, content)
    return seen


def processes_of(name: str) -> list[psutil.Process]:
    """The living processes that carry an experiment's id."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(RUN_ID) == name:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
