"""The command `finish`: what it says first, what it makes, what it refuses."""

import shutil
from pathlib import Path

import pytest

from engine.workspace import Workspace
from tests.engine.workspaces import PROGRAM, git, make, run, until
from tests.tui.test_cli import call, refused
from tests.tui.test_in_tmux import Terminal

FINISHED = "finished/test-2026-11-23"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make(tmp_path / "work")
    assert run(workspace, "--experiments", "5", seconds=0).returncode == 0
    return workspace


def test_the_plan_can_be_seen_carried_out_once_and_looked_at(workspace: Workspace) -> None:
    plan = call("finish", workspace.root, "--dry-run")
    assert plan.returncode == 0 and plan.stderr == ""
    assert plan.stdout.startswith(f"{FINISHED}: from ") and "where autoresearch/test-2026-11-23 began" in plan.stdout
    assert git(workspace.root, "branch", "--list", FINISHED) == ""
    done = call("finish", workspace.root)
    assert done.returncode == 0 and done.stdout.startswith(plan.stdout)
    last = done.stdout.splitlines()[-1]
    assert f"push -u origin {FINISHED}" in last
    shown = last.split("`")[1].split()[3:]
    assert "+DEPTH = " in git(workspace.root, *(each.strip("\"'") for each in shown))
    assert f"the branch {FINISHED} exists already" in refused(workspace.root, "finish", workspace.root)
    assert call("finish", workspace.root, "--branch", "one", "--squash").returncode == 0
    assert git(workspace.root, "rev-list", "--count", "main..one") == "1"


def test_where_nothing_is_to_be_finished_the_sentence_says_so(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    assert "nothing was kept" in refused(workspace.root, "finish", workspace.root)
    (tmp_path / "empty").mkdir()
    assert "there is no session" in refused(tmp_path, "finish", tmp_path / "empty")
    assert "no directory" in refused(tmp_path, "finish", tmp_path / "nowhere")
    inside = workspace.root / "inside"
    inside.mkdir()
    (inside / "results.tsv").write_text("commit\tval_bpb\tstatus\tdescription\n0123456\t1.0\tkeep\tbaseline\n")
    assert f"a part of the repository {workspace.root}" in refused(workspace.root, "finish", inside)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_a_terminal_it_asks(workspace: Workspace, tmp_path: Path) -> None:
    for answer, code in (("n", 130), ("y", 0)):
        terminal = Terminal(tmp_path)
        try:
            terminal.open(f"{PROGRAM} finish {workspace.root}", 160, 40)
            until(lambda terminal=terminal: "Make this branch?" in terminal.screen(), "the question")
            assert git(workspace.root, "branch", "--list", FINISHED) == ""
            terminal.press(answer, "Enter")
            terminal.check_shows(f"left with {code}")
        finally:
            terminal.close()
    assert FINISHED in git(workspace.root, "branch", "--list", FINISHED)
