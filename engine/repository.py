"""The workspace's git repository (DESIGN §3), through plumbing commands and a private index.

A commit is built from a tree of its own and put on the branch by compare-and-swap, so that what a
person staged, edited or left untracked is neither committed nor reverted. Hooks and signing, which a
person set up for their own commits, play no part. Of the person's index only the entries of the files
that the engine itself wrote are brought up to date.
"""

import os
import re
import shlex
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from git import Git
from git.exc import GitCommandError, GitCommandNotFound

from engine.errors import UnusableWorkspace, WorkFailed
from engine.files import write_atomically

T = TypeVar("T")

EXPERIMENT_TRAILER = "Experiment-Id"
"""On an experiment's commit: which experiment it is."""
REVERT_TRAILER = "Reverts-Experiment"
"""On the revert of a discarded one: which experiment it takes back."""

FALLBACK_IDENTITY = ("autoresearch", "autoresearch@localhost")
"""Who commits on a machine where git was never told."""

LONGEST_BRANCH = 200
"""Bytes of a new branch's name: git keeps it as a file, and a lock of that name beside it."""
NO_COMMIT = ""
"""To update-ref: the branch must not exist yet."""
GIT = (
    *("git", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false", "-c", "trailer.separators=:"),
    *("-c", "gc.auto=0", "-c", "core.fsmonitor=false", "-c", "log.date=iso"),
)
DISTRUST = "dubious ownership"
"""What git says of another user's repository, a mounted one in a container for instance."""
LOCKED_FOR_SECONDS = 5.0
"""How long another git command, a person's, may hold a lock before we say that it is left behind."""
UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}
"""Files in .git that say what a person is in the middle of."""
PATHS_AT_ONCE = 200
"""On one command line, which has an end."""
REGULAR, EXECUTABLE, DIRECTORY = "100644", "100755", "040000"


class BranchMovedError(WorkFailed):
    """The branch got a commit of somebody else's in between: look again and do it anew."""


def refuse_bare(root: Path) -> None:
    """Raises UnusableWorkspace for a repository without a work tree, and for git's own directory in one that has it."""
    if (root / "HEAD").is_file() and all((root / name).is_dir() for name in ("objects", "refs")):
        raise UnusableWorkspace(
            f"{root} is a bare repository, which has no work tree: `git clone {shlex.quote(str(root))}` makes one "
            "that has."
        )


class Repository:
    """Commits, reverts and reads; every method is one short git command or a few, and blocks."""

    def __init__(self, root: Path, scratch: Path) -> None:
        """``scratch``: a directory that git ignores, on the same file system, for drafts and private indexes.

        Raises UnusableWorkspace where ``root`` is not the top of a repository's work tree.
        """
        if not root.is_dir():
            raise UnusableWorkspace(f"there is no directory {root}.")
        self.root, path = root, shlex.quote(str(root))
        self._scratch = scratch
        for name in _FOREIGN:
            os.environ.pop(name, None)
        self._git = Git(str(root))
        self._git.update_environment(GIT_OPTIONAL_LOCKS="0", LC_ALL="C", GIT_TERMINAL_PROMPT="0")
        try:
            top = self._run("rev-parse", "--show-toplevel")
            self._git_directory = Path(self._run("rev-parse", "--absolute-git-dir"))
        except (WorkFailed, GitCommandNotFound, OSError) as error:
            if DISTRUST in str(error):
                raise UnusableWorkspace(
                    f"{root} belongs to another user, so git works in it only once you say that you trust it: "
                    f"`git config --global --add safe.directory {path}`."
                ) from None
            refuse_bare(root)
            raise UnusableWorkspace(f"{root} is not a git repository: `git init {path}` makes it one.") from None
        if Path(top).resolve() != root:
            raise UnusableWorkspace(
                f"{root} lies inside the git repository {top}, and a workspace is a repository of its own: "
                f"`git init {path}` makes it one."
            )

    def branch(self) -> str:
        """The branch that is checked out. Raises UnusableWorkspace on a detached HEAD."""
        try:
            return self._run("symbolic-ref", "--short", "HEAD")
        except WorkFailed:
            raise UnusableWorkspace(
                f"HEAD is detached in {self.root}: check out the session's branch (`git switch autoresearch/…`)."
            ) from None

    @property
    def private(self) -> Path:
        """A directory of ours inside git's own, where ``git clean`` and a person's ``rm`` do not come."""
        return self._git_directory / "autoresearch"

    def under_way(self) -> str:
        """What a person is in the middle of (a merge, a rebase, …); empty for nothing."""
        return next((word for name, word in UNDER_WAY.items() if (self._git_directory / name).exists()), "")

    def has_branch(self, name: str) -> bool:
        return self._succeeds("show-ref", "--verify", "--quiet", f"refs/heads/{name}")

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self._answer("rev-parse", "--verify", "--quiet", "HEAD")

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names; None where it names none."""
        return self._answer("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")

    def read(self, revision: str, path: str) -> bytes | None:
        """A file's content in a commit; None where it has no such file. Raises WorkFailed where git can't read it."""
        name = f"{revision}:{path}"
        status, content, said = self._git.execute(
            [*GIT, "cat-file", "blob", name],
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
        if status != 0:
            is_named = self._answer("rev-parse", "--verify", "--quiet", name) is not None
            if is_named and self._answer("cat-file", "-t", name) not in ("tree", "commit"):
                raise WorkFailed(f"git cat-file failed in {self.root}: {' '.join(said.split())}")
            return None
        assert isinstance(content, bytes)
        return content

    def message(self, revision: str) -> str:
        return self._run("log", "-1", "--encoding=UTF-8", "--format=%B", revision)

    def day_of(self, commit: str) -> str:
        """When it was committed, as 2026-11-23."""
        return self._run("log", "-1", "--format=%cd", "--date=short", commit)

    def last_change(self, path: str) -> str:
        """The commit on the branch that last changed a file; empty where none did."""
        return self._run("log", "-1", "--format=%H", "HEAD", "--", path)

    def parent_of(self, commit: str) -> str | None:
        """A commit's first parent."""
        return self._answer("rev-parse", "--verify", "--quiet", f"{commit}^")

    def is_ancestor(self, earlier: str, later: str) -> bool:
        """Whether a commit is another one, or comes before it."""
        return self._succeeds("merge-base", "--is-ancestor", earlier, later)

    def merge_base(self, one: str, other: str) -> str | None:
        """The last commit that both have; None where they have none."""
        return self._answer("merge-base", one, other)

    def commits(self, since: str, until: str, *paths: str) -> list[str]:
        """Those after ``since`` up to ``until`` that change one of the paths, the oldest first."""
        listed = self._run("log", "--reverse", "--format=%H", f"{since}..{until}", "--", *_literally(paths))
        return listed.split()

    def find_subject(self, subject: str, until: str) -> str | None:
        """The last commit up to ``until`` whose message begins with this line."""
        listed = self._run("log", "--format=%H", "--fixed-strings", f"--grep={subject}", until).split()
        return next((each for each in listed if self.message(each).split("\n", 1)[0] == subject), None)

    def trailer(self, commit: str, name: str) -> str:
        """The value of a trailer in a commit's message; empty where it has none."""
        return self._run("log", "-1", f"--format=%(trailers:key={name},valueonly,separator=%x1e)", commit).strip()

    def diff(self, before: str, after: str, path: str) -> bytes:
        """What changed in one file between two commits, as a patch."""
        return self._bytes("diff", "--no-color", "--no-ext-diff", "--no-textconv", before, after, "--", path)

    def changed_paths(self, before: str, after: str) -> list[str]:
        listed = self._run("diff", "--name-only", "--no-renames", "-z", before, after)
        return [path for path in listed.split("\0") if path]

    def is_clean(self, path: str) -> bool:
        """Whether a file in the work tree and in the index is as HEAD has it."""
        return not self._run("status", "--porcelain", "--untracked-files=all", "--", path)

    def find_trailer(self, since: str | None, name: str, value: str) -> str | None:
        """The commit on the branch after ``since`` whose message carries this trailer."""
        span = f"{since}..HEAD" if since else "HEAD"
        log = self._run("log", span, f"--format=%H%x1f%(trailers:key={name},valueonly,separator=%x1e)%x1d")
        for entry in log.split("\x1d"):
            sha, _, values = entry.strip().partition("\x1f")
            if value in values.split("\x1e"):
                return sha
        return None

    def commit(self, files: Mapping[str, bytes], message: str, *, parent: str | None, branch: str | None = None) -> str:
        """Put one commit on ``branch`` (the one checked out by default) that changes just these files; returns its sha.

        The work tree and the person's index get the same content afterwards, in an order that a crash at any point
        leaves to be finished by ``settle``; they stay as they are if a person has switched to another branch
        meanwhile. Raises BranchMovedError if the branch is no longer at ``parent``.
        """
        sha = self._commit_object(files, message, parent)
        subject = message.split("\n", 1)[0]
        branch = branch or self.branch()
        try:
            self._run("update-ref", "-m", subject, f"refs/heads/{branch}", sha, parent or NO_COMMIT)
        except WorkFailed as error:
            if self._run("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") != (parent or ""):
                raise BranchMovedError(f"somebody committed on {branch} at the same moment.") from error
            raise
        if self.branch() == branch:
            self.settle(*files)
        return sha

    def draft(self, parent: str, source: str, paths: Iterable[str], message: str, *, author: str = "") -> str:
        """A commit on ``parent`` that has these paths as ``source`` has them; returns its sha. No branch has it yet.

        ``author``: a commit whose author, and time, it gets; empty: whoever commits here, now.
        """
        tree = self._tree(parent, {path: self.entry(source, path) for path in paths})
        whose = {}
        if author:
            said = self._run("log", "-1", "--encoding=UTF-8", "--format=%an%x1f%ae%x1f@%ad", "--date=raw", author)
            name, email, date = said.split("\x1f")
            whose = {"GIT_AUTHOR_NAME": name or email, "GIT_AUTHOR_EMAIL": email, "GIT_AUTHOR_DATE": date}
        return self._run("commit-tree", tree, "-m", message, "-p", parent, env=self._identity() | whose)

    def create_branch(self, branch: str, sha: str, message: str) -> None:
        """A new branch at a commit; nothing else changes. Raises WorkFailed where there is one of that name."""
        self._run("update-ref", "-m", message, f"refs/heads/{branch}", sha, NO_COMMIT)

    def what_refuses_branch(self, branch: str) -> str:
        """Why no branch of this name can be created, as the rest of a sentence; empty where it can."""
        if len(os.fsencode(branch)) > LONGEST_BRANCH:
            return f"{branch[:30]!r}… is longer than {LONGEST_BRANCH} bytes"
        is_special = branch in ("", "@", "HEAD") or branch.startswith(("-", "refs/"))
        if is_special or not self._succeeds("check-ref-format", f"refs/heads/{branch}"):
            return f"{branch!r} is no name for a branch"
        if self.has_branch(branch):
            return f"the branch {branch} exists already"
        above = (branch.rsplit("/", count)[0] for count in range(1, branch.count("/") + 1))
        if taken := next((each for each in above if self.has_branch(each)), ""):
            return f"a branch named {taken} is in the way of {branch}"
        if below := self._run("for-each-ref", "--format=%(refname:short)", f"refs/heads/{branch}/"):
            return f"the branch {below.split()[0]} is in the way of {branch}"
        return ""

    def settle(self, *paths: str) -> None:
        """Make the work tree and the index agree with HEAD on these files, and on no others."""
        entries = []
        head = self.head()
        if head is None:
            return
        for path in paths:
            content, committed = self.read(head, path), self.entry(head, path)
            if content is None or committed is None:
                continue
            target = self.root / path
            mode, blob = committed
            if not target.is_file() or target.is_symlink() or target.read_bytes() != content:
                write_atomically(target, content, scratch=self._scratch)
            if mode == EXECUTABLE:
                target.chmod(target.stat().st_mode | 0o111)
            entries.append((path, mode, blob))
        self._enter(entries)

    @property
    def exclude(self) -> Path:
        """The file of this repository's own ignore rules (.git/info/exclude)."""
        return self.root / self._run("rev-parse", "--git-path", "info/exclude")

    def ignores(self, path: str) -> bool:
        """Whether git leaves a path alone, be it there or not."""
        return self._succeeds("check-ignore", "--quiet", "--no-index", "--", path)

    def is_tracked(self, path: str) -> bool:
        """Whether anything at a path is in the index."""
        return bool(self._run("ls-files", "--", f":(top,literal){path}"))

    def ignore(self, patterns: str) -> None:
        """Have git ignore these here, on every branch, with no file of the person's changed."""
        exclude = self.exclude
        present = exclude.read_text("utf-8") if exclude.exists() else ""
        missing = [line for line in patterns.splitlines() if line not in present.splitlines()]
        if missing:
            gap = "" if not present or present.endswith("\n") else "\n"
            exclude.parent.mkdir(exist_ok=True)
            write_atomically(exclude, (present + gap + "\n".join(missing) + "\n").encode())

    def begin_branch(self, branch: str, files: Mapping[str, bytes], message: str) -> str:
        """Begin a branch at HEAD with a commit of these files, and be on it; nothing else changes."""
        parent = self.head()
        sha = self._commit_object(files, message, parent)
        self._run("update-ref", "-m", message, f"refs/heads/{branch}", sha, NO_COMMIT)
        self.enter_branch(branch, message, *files)
        return sha

    def enter_branch(self, branch: str, message: str, *paths: str) -> None:
        """Be on a branch, with these files as they are there; every other file stays as it is."""
        self._run("symbolic-ref", "-m", message, "HEAD", f"refs/heads/{branch}")
        self.settle(*paths)

    def entry(self, revision: str, path: str) -> tuple[str, str] | None:
        """A path's mode and blob in a commit; None where it has no such file."""
        listed = self._run("ls-tree", "--full-tree", revision, "--", path)
        mode, _, rest = listed.partition(" ")
        return (mode, rest.split()[1]) if listed and mode != DIRECTORY else None

    def _tree(self, parent: str | None, changes: Mapping[str, tuple[str, str] | None]) -> str:
        """A tree: ``parent``'s with these (mode, blob) entries, or without them, through an index of its own."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="index-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            if parent is not None:
                self._run("read-tree", parent, env=env)
            for gone in _in_parts([path for path, entry in changes.items() if entry is None]):
                self._run("update-index", "--force-remove", "--", *gone, env=env)
            self._enter(((path, *entry) for path, entry in changes.items() if entry is not None), env)
            return self._run("write-tree", env=env)

    def _enter(self, entries: Iterable[tuple[str, str, str]], env: Mapping[str, str] | None = None) -> None:
        """Put these (path, mode, blob) into an index, the person's as a rule."""
        for part in _in_parts(list(entries)):
            said = [word for path, mode, blob in part for word in ("--cacheinfo", f"{mode},{blob},{path}")]
            self._run("update-index", "--add", *said, env=env)

    def _commit_object(self, files: Mapping[str, bytes], message: str, parent: str | None) -> str:
        blobs = {path: self._write_blob(content) for path, content in files.items()}
        tree = self._tree(parent, {path: (self._mode(parent, path), blob) for path, blob in blobs.items()})
        arguments = ["commit-tree", tree, "-m", message, *(["-p", parent] if parent else [])]
        return self._run(*arguments, env=self._identity())

    def _identity(self) -> dict[str, str]:
        if self._succeeds("var", "GIT_COMMITTER_IDENT") and self._succeeds("var", "GIT_AUTHOR_IDENT"):
            return {}
        name, email = FALLBACK_IDENTITY
        return {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }

    def _write_blob(self, content: bytes) -> str:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="blob-") as file:
            file.write(content)
            file.flush()
            return self._run("hash-object", "-w", "--no-filters", file.name)

    def _mode(self, parent: str | None, path: str) -> str:
        present = self.entry(parent, path) if parent is not None else None
        return present[0] if present else EXECUTABLE if path.endswith(".sh") else REGULAR

    def _answer(self, *arguments: str) -> str | None:
        """What git says; None where it fails, which is how it says no."""
        status, said, _ = self._git.execute([*GIT, *arguments], with_extended_output=True, with_exceptions=False)
        return str(said) if status == 0 else None

    def _succeeds(self, *arguments: str) -> bool:
        return self._answer(*arguments) is not None

    def _bytes(self, *arguments: str) -> bytes:
        output: bytes = self._git.execute([*GIT, *arguments], stdout_as_string=False, strip_newline_in_stdout=False)
        return output

    def _run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        deadline = time.monotonic() + LOCKED_FOR_SECONDS
        while True:
            try:
                output: str = self._git.execute([*GIT, *arguments], env=dict(env) if env else None)
                return output
            except GitCommandError as error:
                said = str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ")
                lock = _LOCKED.search(said)
                if lock is None:
                    said = " ".join(said.split()) or f"exit code {error.status}"
                    raise WorkFailed(f"git {arguments[0]} failed in {self.root}: {said}") from error
                if time.monotonic() > deadline:
                    raise WorkFailed(
                        f"git's lock {lock[1]} stays: if no git command is running in {self.root}, remove it."
                    ) from error
            time.sleep(0.1)


def _in_parts(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[at : at + PATHS_AT_ONCE] for at in range(0, len(values), PATHS_AT_ONCE)]


def _literally(paths: Iterable[str]) -> list[str]:
    return [f":(top,literal){path}" for path in paths]


_LOCKED = re.compile(r"'([^']*\.lock)': File exists")
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
"""Set where we were started from a git hook; they would point git at another repository."""
