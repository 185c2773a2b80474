"""The command `finish`: what it says first, what it makes, what it refuses."""

import shlex
import shutil
import subprocess
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
    assert "Without a terminal nothing is asked: the branch is made." in " ".join(
        call("finish", "--help").stdout.split()
    )
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
    (tmp_path / "file").touch()
    assert "is a file, not a directory: name" in refused(tmp_path, "finish", tmp_path / "file")


def test_a_session_in_a_part_of_a_repository_is_finished_as_the_sentence_says(tmp_path: Path) -> None:
    root, inside = tmp_path / "the whole", tmp_path / "the whole" / "inside"
    inside.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    rows = ["commit\tval_bpb\tstatus\tdescription"]
    for metric in ("2.0", "1.9"):
        (inside / "train.py").write_text(f"x = {metric}\n")
        git(root, "add", "-A")
        git(root, "commit", "--quiet", "-m", metric)
        rows.append(f"{git(root, 'rev-parse', '--short', 'HEAD')}\t{metric}\tkeep\t{metric}")
    (inside / "results.tsv").write_text("\n".join(rows) + "\n")
    said = refused(root, "finish", inside)
    assert f"a part of the repository {root}" in said
    copy, finish = said.split("`")[1::2]
    subprocess.run(copy, shell=True, check=True)
    assert call(*shlex.split(finish)[1:], "--branch", "mine").returncode == 0
    assert git(root, "diff", "--name-only", "main~1", "mine") == "inside/train.py"
    assert f"move {root / 'results.tsv'} away" in refused(root, "finish", inside)


def test_a_bare_repository_is_called_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare")
    assert "is a bare repository, which has no work tree" in refused(tmp_path, "finish", tmp_path)
    (tmp_path / "autoresearch.jsonl").write_text('{"type":"config","name":"x","metricName":"val_bpb"}\n')
    assert "is a bare repository, which has no work tree" in refused(tmp_path, "finish", tmp_path)
    assert "is a bare repository, which has no work tree" in refused(tmp_path, "init", tmp_path, "--tag", "x")


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
