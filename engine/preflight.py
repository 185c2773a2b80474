"""What must hold before an engine starts: looked at, nothing changed, the first thing that is wrong in one sentence."""

import subprocess

from engine import journal, obstacles, settings
from engine.errors import UnusableWorkspace
from engine.proposers.models import require_model
from engine.repository import Repository
from engine.runner import environment_of_prepare, python_command
from engine.settings import Settings
from engine.workspace import BENCHMARK, DOCUMENT, PREPARE, TRAIN, Workspace

BRANCHES = "autoresearch/"
CHECK = "--check"
CHECK_TIMEOUT = 120


def inspect(workspace: Workspace) -> tuple[Settings, Repository]:
    """The workspace's settings and repository, if a session can run here. Raises UnusableWorkspace."""
    chosen, repository = inspect_files(workspace)
    obstacles.refuse_missing_uv(chosen)
    _require_data(workspace, chosen)
    return chosen, repository


def has_session(workspace: Workspace) -> bool:
    """Whether a session was begun here. Where that cannot be told, it is left to ``inspect`` to say why."""
    if workspace.ledger.exists() or not (workspace.root / ".git").exists():
        return workspace.ledger.exists()
    try:
        obstacles.refuse_missing_git()
        repository = Repository(workspace.root, workspace.state)
        return repository.branch().startswith(BRANCHES) and repository.head() is not None
    except UnusableWorkspace:
        return False


def inspect_files(workspace: Workspace) -> tuple[Settings, Repository]:
    """As ``inspect``, without what a run needs besides the workspace's own files."""
    obstacles.refuse_missing_git()
    obstacles.refuse_directory(workspace)
    repository = Repository(workspace.root, workspace.state)
    obstacles.refuse_operation(workspace)
    branch = repository.branch()
    if workspace.ledger.exists():
        _require_branch(workspace, branch)  # what another branch lacks is not missing
    _require_train(workspace, repository)
    for name in (PREPARE, BENCHMARK):
        if not (workspace.root / name).exists():
            raise UnusableWorkspace(
                f"{name} is missing in {workspace.root}: `autoresearch-tui init {workspace.quoted} --tag T` copies it."
            )
    _require_branch(workspace, branch)
    committed = {name: repository.read("HEAD", name) for name in (TRAIN, BENCHMARK, DOCUMENT)}
    obstacles.refuse_conversion(workspace, {name: each for name, each in committed.items() if each is not None})
    return settings.load(workspace), repository


def require_proposer(workspace: Workspace, chosen: Settings, name: str = "") -> None:
    """Raises UnusableWorkspace where who is to propose (``name``, or whom the settings name) cannot work here."""
    require_model(workspace, settings.with_proposer(chosen, name))


def _require_branch(workspace: Workspace, branch: str) -> None:
    if not branch.startswith(BRANCHES):
        raise UnusableWorkspace(
            f"the branch {branch} is checked out in {workspace.root}, and a session has one of its own: `git switch` "
            f"to an {BRANCHES}… branch, or begin one with `autoresearch-tui init {workspace.quoted} --tag T`."
        )


def _require_train(workspace: Workspace, repository: Repository) -> None:
    is_committed = repository.head() is not None and repository.read("HEAD", TRAIN) is not None
    if is_committed and journal.load(workspace) is not None:
        return  # an experiment was cut off: what it left in the work tree is the engine's to mend
    obstacles.refuse_linked_train(workspace)
    if not workspace.train.is_file():
        remedy = "`git restore train.py`" if is_committed else f"`autoresearch-tui init {workspace.quoted} --tag T`"
        raise UnusableWorkspace(f"{TRAIN} is missing in {workspace.root}: {remedy} brings it there.")
    if not is_committed:
        raise UnusableWorkspace(f"{TRAIN} is not committed in {workspace.root}: commit it first.")
    obstacles.refuse_broken_train(workspace.train.read_bytes())


def _require_data(workspace: Workspace, chosen: Settings) -> None:
    if said := what_data_lacks(workspace, chosen):
        raise UnusableWorkspace(said)


def has_data(workspace: Workspace) -> bool:
    """Whether data and tokenizer are there."""
    return not what_data_lacks(workspace, settings.load(workspace))


def what_data_lacks(workspace: Workspace, chosen: Settings) -> str:
    """A sentence; empty where nothing does. prepare.py is asked, but other people's may not know the question."""
    if CHECK not in workspace.prepare.read_text("utf-8", "replace"):
        return ""
    command = [*python_command(chosen.run), PREPARE, CHECK]
    try:
        answer = subprocess.run(
            command,
            cwd=workspace.root,
            env=environment_of_prepare(chosen.run),
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"prepare.py could not be asked for the data: {error}."
    if answer.returncode == 0:
        return ""
    return (answer.stderr.strip().splitlines() or ["prepare.py --check failed and said nothing."])[-1]
