"""The demo's workspace: a repository of its own, the demo profile, the shipped corpus. Set up once, found again."""

from collections.abc import Callable

from git import Git

from engine import preflight, preparation
from engine.errors import UnusableWorkspace
from engine.initialize import Profile, initialize
from engine.repository import Repository
from engine.workspace import Workspace

TAG = "demo"


def set_up(workspace: Workspace, say: Callable[[str], None]) -> None:
    """Make ``workspace`` ready to run, doing only what is missing; ``say`` gets what is being done.

    Raises UnusableWorkspace where the directory holds something else.
    """
    root = workspace.root
    if root.exists() and not root.is_dir():
        raise UnusableWorkspace(f"{root} is no directory.")
    is_new = not root.exists() or not any(root.iterdir())
    if is_new:
        say(f"Setting up a workspace in {root}")
        root.mkdir(parents=True, exist_ok=True)
        Git(str(root)).init("--initial-branch=main", "--quiet")
    repository = Repository(root, workspace.state)
    on_session = repository.branch().startswith(preflight.BRANCHES)
    if repository.head() is None:
        initialize(workspace, TAG, Profile.load("demo"))
    elif not on_session:
        raise UnusableWorkspace(
            f"{root} holds a repository of something else: give the demo a directory that is new or empty."
        )
    if not preflight.has_data(workspace):
        say("Training the tokenizer on the shipped corpus")
        preparation.prepare(workspace)
