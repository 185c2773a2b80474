"""Candidates that break the rules as they are written: they get a run number and a verdict, and never run."""

from pathlib import Path

import pytest

from engine import commands, events, patch
from engine.events import EventFollower
from engine.workspace import Workspace
from tests.engine.workspaces import TRAIN, expected_subjects, experiments, git, make, run, subjects


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


def propose(workspace: Workspace, train: str) -> None:
    """Queue a whole train.py as the next experiment, as a rescued edit is queued."""
    saved = workspace.rescued / "mine.patch"
    saved.parent.mkdir(parents=True, exist_ok=True)
    saved.write_text(patch.unified(TRAIN, train, "train.py"))
    commands.send(workspace, commands.Enqueue(text=str(saved.relative_to(workspace.root))))


def started(workspace: Workspace) -> list[int]:
    return [each.run for each in EventFollower(workspace.events) if isinstance(each, events.RunStarted)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import einops", "imports einops, which pyproject.toml does not name"),
        ("os.system('pip install einops')", "installs packages"),
    ],
)
def test_a_new_package_costs_no_run(workspace: Workspace, line: str, reason: str) -> None:
    propose(workspace, TRAIN.replace("import time\n", f"import time\n{line}\n"))
    done = run(workspace, "--experiments", "2", seconds=0)

    assert done.returncode == 0, done.stderr
    _, refused, after = experiments(workspace)
    assert (refused.run, refused.status, refused.metric, refused.seconds) == (2, "checks_failed", None, 0)
    assert reason in refused.asi["result"]
    assert started(workspace) == [1, 3] and after.source == "search"
    assert subjects(workspace)[3:] == expected_subjects(workspace)
    assert line in workspace.run_folder(2).train.read_text() and line not in workspace.train.read_text()


def test_what_a_person_imports_is_the_persons_and_may_stay(measured: Workspace) -> None:
    """In the baseline, in a commit of the person's, and in every candidate that is made from it."""
    measured.train.write_text(TRAIN.replace("import time\n", "import time\n\nimport rich\n"))
    git(measured.root, "commit", "--quiet", "-am", "my own idea")
    assert run(measured, "--experiments", "2", seconds=0).returncode == 0

    _, mine, candidate = experiments(measured)
    assert (mine.source, mine.status, candidate.source) == ("person", "keep", "search")
    assert started(measured) == [1, 2, 3]
