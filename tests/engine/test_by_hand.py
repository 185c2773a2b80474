"""autoresearch.sh, run by a person: with the Python that the workspace is set to, and away from recorded logs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.initialize import Profile, initialize
from engine.runner import PYTHON
from engine.workspace import DOCUMENT, Workspace
from tests.engine.workspaces import experiments, make


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


def by_hand(workspace: Workspace, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != PYTHON}
    return subprocess.run(
        ["bash", "autoresearch.sh"],
        cwd=workspace.root,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_engines_python_runs_train_py_where_the_workspace_says_so(workspace: Workspace, tmp_path: Path) -> None:
    uv = write_script(tmp_path / "bin" / "uv", "echo the wrong one; exit 1")
    done = by_hand(workspace, PATH=f"{uv.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "METRIC val_bpb=1.0" in done.stdout
    assert workspace.engine_python.read_text() == f"{sys.executable}\n"


def test_the_workspaces_own_environment_runs_it_otherwise(workspace: Workspace, tmp_path: Path) -> None:
    uv = write_script(tmp_path / "bin" / "uv", f'shift 2; exec {sys.executable} "$@"')
    workspace.settings.write_text(workspace.settings.read_text().replace('python = "engine"', 'python = "uv"'))
    assert "METRIC val_bpb" in by_hand(workspace, PATH=f"{uv.parent}:{os.environ['PATH']}").stdout


def test_a_python_that_is_given_goes_before_both(workspace: Workspace, tmp_path: Path) -> None:
    other = write_script(tmp_path / "other", "echo 'val_bpb: 7.5'")
    assert by_hand(workspace, **{PYTHON: str(other)}).stdout.endswith("METRIC val_bpb=7.5\n")


@pytest.mark.parametrize("known", [None, "/nowhere/python\n"])
def test_without_a_python_it_says_what_to_do(workspace: Workspace, known: str | None) -> None:
    workspace.engine_python.unlink()
    if known:
        workspace.engine_python.write_text(known)
    done = by_hand(workspace)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "AUTORESEARCH_PYTHON" in done.stderr


def test_what_a_person_runs_as_the_document_says_leaves_the_recorded_runs_as_they_are(measured: Workspace) -> None:
    section = (measured.root / DOCUMENT).read_text("utf-8").split("## By hand")[1].split("```")[1]
    recorded = measured.run_folder(1).log.read_bytes()
    done = subprocess.run(["bash", "-c", section], cwd=measured.root, capture_output=True, text=True, check=True)
    assert "METRIC val_bpb=" in done.stdout
    assert measured.run_folder(1).log.read_bytes() == recorded
    assert len(experiments(measured)) == 1
    for line in (measured.root / DOCUMENT).read_text("utf-8").splitlines():
        assert "> run.log" not in line


def test_a_figure_that_train_py_does_not_know_is_no_metric(workspace: Workspace) -> None:
    workspace.train.write_text("print('val_bpb:          1.5')\nprint('mfu_percent:      -')\n")
    assert [line for line in by_hand(workspace).stdout.splitlines() if "METRIC" in line] == ["METRIC val_bpb=1.5"]


def test_init_leaves_word_which_python_it_ran_in(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    workspace = Workspace.at(tmp_path)
    initialize(workspace, "t", Profile.load("demo"))
    assert workspace.engine_python.read_text().strip() == sys.executable
