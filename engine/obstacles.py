"""What stands in the way of a session, each in one sentence: a directory, a repository or a train.py that the engine
could not work on without harm. Looked at, nothing changed."""

import ast
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from git import Git

from engine.errors import UnusableWorkspace
from engine.repository import UNDER_WAY
from engine.settings import Settings
from engine.workspace import SETTINGS, TRAIN, Workspace

BISECTING = "BISECT_LOG"
CONVERTING = ("filter", "ident", "working-tree-encoding")
"""Attributes under which a file in the work tree is another than in a commit."""


def refuse_path(workspace: Workspace) -> None:
    """Everything that is written down about a workspace is UTF-8, its path too."""
    try:
        str(workspace.root).encode()
    except UnicodeEncodeError:
        raise UnusableWorkspace(
            f"the path {os.fsencode(workspace.root)!r} is not UTF-8: rename the directory, or use another one."
        ) from None


def refuse_missing_directory(workspace: Workspace) -> None:
    if not workspace.root.is_dir():
        refuse_file(workspace)
        raise UnusableWorkspace(f"there is no directory {workspace.root}.")


def refuse_file(workspace: Workspace) -> None:
    """Something else in the place of a directory."""
    if workspace.root.exists() and not workspace.root.is_dir():
        raise UnusableWorkspace(
            f"{workspace.root} is a file, not a directory: name the directory that the session is in, or is to be in."
        )


def refuse_missing_git() -> None:
    if shutil.which("git") is None:
        raise UnusableWorkspace("there is no git on PATH: install it (`apt install git`, for instance).")


def refuse_missing_uv(settings: Settings) -> None:
    if settings.run.python == "uv" and shutil.which("uv") is None:
        raise UnusableWorkspace(
            f'there is no uv on PATH, and {SETTINGS} says `python = "uv"`: install it (`pip install uv`, for '
            'instance), or set `python = "engine"` there and commit it.'
        )


def refuse_directory(workspace: Workspace) -> None:
    """One that can't be written in, or where something else is in the place of the engine's own directory."""
    there = next(path for path in (workspace.root, *workspace.root.parents) if path.exists())
    if not there.is_dir():
        raise UnusableWorkspace(f"{there} is no directory: name another.")
    state = workspace.state
    if state.is_symlink() or (state.exists() and not state.is_dir()):
        raise UnusableWorkspace(
            f"{state} is {'a link' if state.is_symlink() else 'no directory'}, and the engine's own directory belongs "
            f"there: move it away."
        )
    for directory in (there, workspace.root / ".git", state):
        if directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK):
            raise UnusableWorkspace(f"{directory} can't be written in: make it writable, or use another directory.")


def refuse_operation(workspace: Workspace) -> None:
    """A merge, a rebase or the like that a person has not finished: the next commit would be a part of it."""
    directory = Path(Git(str(workspace.root)).rev_parse("--absolute-git-dir"))
    for name, operation in UNDER_WAY.items():
        if (directory / name).exists():
            raise UnusableWorkspace(
                f"a {operation} is under way in {workspace.root}: finish it (`git {operation} --continue`) or give it "
                f"up (`git {operation} --abort`) first."
            )
    if (directory / BISECTING).exists():
        raise UnusableWorkspace(f"a bisection is under way in {workspace.root}: end it with `git bisect reset` first.")


def refuse_linked_train(workspace: Workspace) -> None:
    if workspace.train.is_symlink():
        raise UnusableWorkspace(
            f"{TRAIN} is a link, and the engine writes a file in its place: put a copy of {workspace.train.resolve()} "
            "there."
        )


def refuse_broken_train(content: bytes) -> None:
    """``content``: train.py's. It is edited as text in UTF-8, so nothing else will do."""
    try:
        text = content.decode("utf-8")
        if text.startswith("\ufeff"):
            raise UnusableWorkspace(f"{TRAIN} begins with a byte-order mark: save it as UTF-8 without one.")
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = "is not valid Python in UTF-8" if isinstance(error, UnicodeDecodeError) else "is not valid Python"
        raise UnusableWorkspace(f"{TRAIN} {what}: {error}.") from None


def refuse_conversion(workspace: Workspace, contents: Mapping[str, bytes]) -> None:
    """Files that git would change on their way into a commit or out of it, by an attribute or by its settings."""
    git = Git(str(workspace.root))
    listed: str = git.check_attr("-z", *CONVERTING, "--", *contents)
    fields = listed.split("\0")
    for path, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if value not in ("unspecified", "unset"):
            raise UnusableWorkspace(
                f"{path} has the git attribute {attribute}={value}, under which git stores other bytes than those in "
                f"the work tree: take it out of .gitattributes (`{path} -{attribute}`)."
            )
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as directory:
        objects = workspace.root / git.rev_parse("--git-path", "objects")
        scratch = {"GIT_OBJECT_DIRECTORY": directory, "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)}
        for path, content in contents.items():
            file = Path(directory) / "content"
            file.write_bytes(content)
            blob = git.hash_object("-w", "--no-filters", str(file), env=scratch)
            out = git.execute(
                ["git", "cat-file", "--filters", f"--path={path}", blob],
                env=scratch,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
            with file.open("rb") as stream:
                stored = git.hash_object("--stdin", f"--path={path}", istream=stream, env=scratch)
            if out != content or stored != blob:
                raise UnusableWorkspace(
                    f"git converts the line ends of {path} here: `git config core.autocrlf false` ends that, or, in "
                    f".gitattributes, `{path} -text`."
                )
