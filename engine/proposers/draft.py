"""A place of its own for an agent to draft in, ``.autoresearch/drafts/<id>``: never the tree that a run reads.

It holds copies. Of what the agent leaves there, train.py is the candidate and asi.json its notes; nothing
else ever comes out of it. It is a git repository of its own, so that an agent that looks for the root of
its project finds the draft, and not the person's workspace around it.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git

from engine.files import open_regular
from engine.proposers import Context
from engine.proposers.leash import end_all_of
from engine.workspace import DOCUMENT, PREPARE, PROGRAM, TRAIN, Workspace

CONTEXT = "context.md"
"""What the agent must know, beside the copies."""
NOTES = "asi.json"
"""Where the agent may leave its notes."""
OUTPUT = (TRAIN, NOTES)
"""What an agent may write."""
MOST_OF_A_FILE = 1 << 20
"""Bytes; no train.py and no notes are longer."""
MOST_NAMED = 5

_open: set[Path] = set()
"""The drafts that somebody in this process has open."""


def clear_away(workspace: Workspace) -> None:
    """Remove the drafts that an engine before this one left, and end what is still at work there."""
    if workspace.drafts.is_dir():
        for left in workspace.drafts.iterdir():
            if left not in _open:
                _clear(left)


@dataclass(frozen=True)
class Changes:
    """What an agent made of a draft."""

    train: str | None
    """The candidate; None where there is none that can be taken."""
    problem: str = ""
    """Why there is none, as the end of a sentence about the agent."""
    others: tuple[str, ...] = ()
    """What else it changed, in words: no part of the candidate."""
    notes: str = ""
    """What it left in asi.json."""


class Draft:
    """One draft; it is laid out anew for every proposal."""

    def __init__(self, workspace: Workspace) -> None:
        """Make a place, and clear away those that an engine before this one left. Raises OSError."""
        self._workspace = workspace
        clear_away(workspace)
        workspace.drafts.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix="", dir=workspace.drafts))
        _open.add(self.path)
        self._given: dict[str, bytes] = {}

    @property
    def train(self) -> Path:
        return self.path / TRAIN

    def lay_out(self, context: Context, briefing: str) -> None:
        """Everything as it is to be at the start of a proposal, whatever an agent left there. Raises OSError."""
        self._given = self._contents(context, briefing)
        if self.path.is_symlink() or not self.path.is_dir():
            _remove(self.path)
            self.path.mkdir()
        self.path.chmod(0o700)
        for entry in self.path.iterdir():
            if entry.name != ".git":
                _remove(entry)
        for name, content in self._given.items():
            with (self.path / name).open("xb") as file:
                file.write(content)
            (self.path / name).chmod(0o644 if name == TRAIN else 0o444)
        if not (self.path / ".git").is_dir():
            _remove(self.path / ".git")
            try:
                git.Repo.init(self.path).close()
            except git.GitError as error:
                raise OSError(f"git init failed in {self.path}: {error}") from error

    def changes(self) -> Changes:
        """What became of it."""
        if self.path.is_symlink() or not self.path.is_dir():
            return Changes(None, "removed its draft")
        others = tuple(self._others())
        try:
            notes = _read(self.path / NOTES).decode("utf-8", "replace") if os.path.lexists(self.path / NOTES) else ""
        except OSError as error:
            notes, others = "", (*others, f"{NOTES} can't be read: {error}")
        try:
            content = _read(self.train)
            if content == self._given[TRAIN]:
                return Changes(None, f"changed nothing in {TRAIN}", others, notes)
            return Changes(content.decode("utf-8"), "", others, notes)
        except FileNotFoundError:
            return Changes(None, f"removed {TRAIN}", others, notes)
        except UnicodeDecodeError:
            return Changes(None, f"left a {TRAIN} that is not UTF-8", others, notes)
        except OSError as error:
            return Changes(None, f"left a {TRAIN} that can't be taken: {_in_words(error)}", others, notes)

    def remove(self) -> None:
        """It is not needed any more."""
        _clear(self.path)
        _open.discard(self.path)

    def _contents(self, context: Context, briefing: str) -> dict[str, bytes]:
        contents = {
            TRAIN: (context.failed.train if context.failed else context.incumbent).encode("utf-8", "surrogateescape"),
            PREPARE: context.prepare.encode("utf-8", "surrogateescape"),
            PROGRAM: context.program.encode("utf-8", "surrogateescape"),
            DOCUMENT: context.document.encode("utf-8", "surrogateescape"),
            CONTEXT: briefing.encode("utf-8", "surrogateescape"),
        }
        for path in (self._workspace.pyproject, self._workspace.benchmark):
            if path.is_file():
                contents[path.name] = _read(path)
        return contents

    def _others(self) -> list[str]:
        """Every file but train.py and the notes that is not as it was given."""
        found = []
        for name, given in self._given.items():
            if name in OUTPUT:
                continue
            try:
                if _read(self.path / name) != given:
                    found.append(f"it changed {name}")
            except FileNotFoundError:
                found.append(f"it removed {name}")
            except OSError:
                found.append(f"it replaced {name}")
        new = sorted(
            entry.name
            for entry in self.path.iterdir()
            if entry.name not in self._given and entry.name not in OUTPUT and not entry.name.startswith((".", "__"))
        )
        if new:
            more = f" and {len(new) - MOST_NAMED} more" if len(new) > MOST_NAMED else ""
            found.append(f"it made {', '.join(new[:MOST_NAMED])}{more}")
        return found


def _read(path: Path) -> bytes:
    """A small regular file's content. Raises OSError where it is a link, no file, or too long."""
    if path.is_symlink():
        raise OSError("it is a link")
    with open_regular(path) as file:
        content = file.read(MOST_OF_A_FILE + 1)
    if len(content) > MOST_OF_A_FILE:
        raise OSError(f"it is longer than {MOST_OF_A_FILE >> 20} MiB")
    return content


def _in_words(error: OSError) -> str:
    return error.strerror or str(error)


def _clear(path: Path) -> None:
    """End what is still at work there, and remove it; what can't be removed is tried again the next time."""
    end_all_of(path)
    try:
        _remove(path)
    except OSError:
        return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_unlock)
    else:
        path.unlink(missing_ok=True)


def _unlock(function: Callable[..., Any], path: str, problem: object) -> None:
    """An agent may leave directories that can't be written to: make them writable and try once more."""
    parent = Path(path).parent
    for each in (parent, Path(path)):
        if stat.S_ISDIR(each.lstat().st_mode):
            each.chmod(0o700)
    if function is os.unlink or function is os.rmdir:
        function(path)
    else:
        shutil.rmtree(path)
