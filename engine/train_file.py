"""train.py on the session's branch and in the person's work tree: nothing that a person made of it is written over."""

import os
import time
from dataclasses import dataclass

from engine import events, patch
from engine.errors import UnusableWorkspace, WorkFailed
from engine.events import EventLog
from engine.files import write_atomically
from engine.repository import Repository
from engine.workspace import TRAIN, Workspace


@dataclass
class TrainFile:
    """The one file that experiments change."""

    workspace: Workspace
    repository: Repository
    branch: str
    """The session's."""
    log: EventLog

    def at(self, commit: str) -> str:
        """As a commit has it. Raises WorkFailed where it has none."""
        content = self.repository.read(commit, TRAIN)
        if content is None:
            raise WorkFailed(f"commit {commit[:12]} has no {TRAIN}.")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise WorkFailed(f"{TRAIN} of commit {commit[:12]} is not UTF-8: commit it anew as UTF-8.") from error

    def has(self, commit: str) -> bool:
        """Whether a commit is there, with a train.py."""
        return bool(commit) and self.repository.read(commit, TRAIN) is not None

    def head(self) -> str:
        """The commit that the branch is at."""
        head = self.repository.head()
        if head is None:
            raise WorkFailed(f"the branch {self.branch} has no commits any more.")
        return head

    def is_at(self, commit: str, content: bytes | None) -> bool:
        """Whether a commit has just this train.py."""
        return content is not None and self.repository.read(commit, TRAIN) == content

    def require_branch(self) -> None:
        """Raises WorkFailed while the person has something else checked out: its files are not the session's."""
        try:
            found = self.repository.branch()
        except UnusableWorkspace as error:
            raise WorkFailed(str(error)) from error
        if found != self.branch:
            raise WorkFailed(f"the branch {found} is checked out: go back with `git switch {self.branch}`.")
        if doing := self.repository.under_way():
            raise WorkFailed(f"a {doing} is under way in {self.workspace.root}: finish it, or `git {doing} --abort`.")

    def commit(self, content: bytes, message: str, parent: str) -> str:
        """Commit it on the session's branch. Raises BranchMovedError if somebody else committed since ``parent``."""
        return self.repository.commit({TRAIN: content}, message, parent=parent, branch=self.branch)

    def settle(self, *ours: bytes) -> None:
        """Have the work tree hold what the branch has, with what a person made of it saved."""
        self.rescue(*ours)
        self.repository.settle(TRAIN)

    def place(self, content: bytes, *ours: bytes) -> None:
        """Have the work tree hold a variant that no commit has; ``settle`` takes it away again."""
        self.rescue(content, *ours)
        write_atomically(self.workspace.train, content, scratch=self.workspace.state)

    def rescue(self, *ours: bytes) -> None:
        """Save what a person made of train.py, staged or not, before the engine writes over it.

        ``ours``: versions that the engine itself may have left there, besides HEAD's.
        """
        committed = self.repository.read("HEAD", TRAIN) or b""
        known = {committed, *ours}
        self._move_aside_what_is_no_file()
        in_tree = self.workspace.train.read_bytes() if self.workspace.train.is_file() else committed
        staged = self.repository.read("", TRAIN) or committed
        for found in dict.fromkeys((in_tree, staged)):
            if found not in known:
                self._save(committed, found)

    def _move_aside_what_is_no_file(self) -> None:
        train = self.workspace.train
        if os.path.lexists(train) and (train.is_symlink() or not train.is_file()):
            aside = self.workspace.rescued / f"{TRAIN}.{time.time_ns()}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            train.rename(aside)
            where = aside.relative_to(self.workspace.root)
            self.log.emit(events.Warned(message=f"{TRAIN} was no file any more: what was there is {where}"))

    def _save(self, committed: bytes, found: bytes) -> None:
        saved = self.workspace.rescued / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}.patch"
        before, after = (each.decode("utf-8", "surrogateescape") for each in (committed, found))
        write_atomically(saved, patch.unified(before, after, TRAIN).encode("utf-8", "surrogateescape"))
        self.log.emit(events.Rescued(patch=str(saved.relative_to(self.workspace.root))))
