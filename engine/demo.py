"""The demo's workspace: a repository of its own, the demo profile, the shipped corpus. Set up once, found again."""

import shutil
from collections.abc import Callable
from pathlib import Path

from git import Git

from engine import obstacles, preflight, preparation
from engine.errors import UnusableWorkspace
from engine.initialize import Profile, finish, initialize, is_unfinished
from engine.repository import Repository
from engine.workspace import Workspace

TAG = "demo"


def set_up(workspace: Workspace, say: Callable[[str], None]) -> None:
    """Make ``workspace`` ready to run, doing only what is missing; ``say`` gets what is being done.

    Cut off anywhere and called again, it goes on. Raises UnusableWorkspace where the directory holds something else.
    """
    begin(workspace, say)
    if not preflight.has_data(workspace):
        say("Training the tokenizer on the shipped corpus")
        preparation.prepare(workspace)


def begin(workspace: Workspace, say: Callable[[str], None]) -> None:
    """The repository and the session in it."""
    obstacles.refuse_missing_git()
    obstacles.refuse_directory(workspace)
    if _is_new(workspace):
        say(f"Setting up a workspace in {workspace.root}")
        create_repository(workspace)
    repository = Repository(workspace.root, workspace.state)
    branch = repository.branch()
    if repository.head() is None:
        initialize(workspace, TAG, Profile.load("demo"))
    elif is_unfinished(workspace, repository, branch):
        finish(workspace, repository, Profile.load("demo"), branch)
    elif not branch.startswith(preflight.BRANCHES):
        raise UnusableWorkspace(
            f"{workspace.root} holds a repository of something else: give the demo a directory that is new or empty."
        )


def _is_new(workspace: Workspace) -> bool:
    """Whether nothing is there, or only what an earlier beginning left before it had a repository."""
    if not workspace.root.exists():
        return True
    if any(path != workspace.state for path in workspace.root.iterdir()):
        return False
    return not workspace.state.exists() or list(workspace.state.iterdir()) in ([], [_draft(workspace)])


def create_repository(workspace: Workspace) -> None:
    """Make the repository aside and move it into its place, so that it is never there in part."""
    draft = _draft(workspace)
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    Git(str(draft)).init("--initial-branch=main", "--quiet")
    (draft / ".git").rename(workspace.root / ".git")
    draft.rmdir()


def _draft(workspace: Workspace) -> Path:
    return workspace.state / "repository.draft"
