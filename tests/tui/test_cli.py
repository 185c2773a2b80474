"""The commands: what they print, their exit codes, and that bad input changes nothing."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engine.workspace import Workspace
from tests.engine.workspaces import NO_IDENTITY, PROGRAM, git, make, run, snapshot

HOUSE = Path(__file__).parents[2]


def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env=os.environ | NO_IDENTITY | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(root: Path, *arguments: object, **environment: str) -> str:
    """Call with bad input: exit code 2, one sentence on stderr, nothing on stdout, nothing changed."""
    before = snapshot(root)
    done = call(*arguments, **environment)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert snapshot(root) == before
    return done.stderr


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


RUN = ("run", "--headless", "--experiments", "1")


@pytest.mark.parametrize("command", [RUN, ("init", "--tag", "x")], ids=["run", "init"])
def test_a_directory_that_is_no_repository_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "train.py").write_text("x = 1\n")
    assert "is not a git repository" in refused(tmp_path, command[0], tmp_path, *command[1:])


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "no directory" in refused(tmp_path, "run", tmp_path / "nowhere", "--headless")
    assert "no directory" in refused(tmp_path, "init", tmp_path / "nowhere", "--tag", "x")


@pytest.mark.parametrize("command", [RUN, ("init", "--tag", "x")], ids=["run", "init"])
def test_a_detached_head_is_refused(workspace: Workspace, command: tuple[str, ...]) -> None:
    git(workspace.root, "switch", "--quiet", "--detach")
    assert "HEAD is detached" in refused(workspace.root, command[0], workspace.root, *command[1:])


def test_a_branch_that_exists_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert call("init", tmp_path, "--tag", "mine", "--profile", "demo").returncode == 0
    assert "exists already" in refused(tmp_path, "init", tmp_path, "--tag", "mine")


@pytest.mark.parametrize("tag", ["", "a b", "../x", "x..y", "-x", "x.lock", "é", "a~1"])
def test_a_tag_that_cannot_name_a_branch_is_refused(workspace: Workspace, tag: str) -> None:
    assert "is no tag" in refused(workspace.root, "init", workspace.root, f"--tag={tag}")


def test_a_missing_train_py_is_refused(workspace: Workspace) -> None:
    workspace.train.unlink()
    assert "train.py is missing" in refused(workspace.root, "run", workspace.root, *RUN[1:])


@pytest.mark.parametrize("content", [b"def broken(:\n", b"x = '\xff\xfe'\n", b"x = 1\0\n"])
def test_a_train_py_that_is_not_python_is_refused(workspace: Workspace, content: bytes) -> None:
    workspace.train.write_bytes(content)
    assert "train.py is not valid Python" in refused(workspace.root, "run", workspace.root, *RUN[1:])
    git(workspace.root, "commit", "--quiet", "-am", "broken")
    assert "train.py is not valid Python" in refused(workspace.root, "run", workspace.root, *RUN[1:])


def test_missing_data_is_said_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert call("init", tmp_path, "--tag", "x", "--profile", "demo").returncode == 0
    assert "autoresearch-tui prepare" in refused(tmp_path, "run", tmp_path, *RUN[1:])


@pytest.mark.parametrize(
    "text",
    ["proposer = 3\n", "[run]\nlimit_seconds = -1\n", "[run]\nlimit = 5\n", "not toml", 'proposer = "oracle"\n'],
)
def test_settings_that_make_no_sense_are_refused(workspace: Workspace, text: str) -> None:
    workspace.settings.write_text(text)
    assert "autoresearch.toml is not usable" in refused(workspace.root, "run", workspace.root, *RUN[1:])


def test_a_branch_that_is_no_sessions_is_refused(workspace: Workspace) -> None:
    git(workspace.root, "switch", "--quiet", "-c", "other")
    assert "the branch other is checked out" in refused(workspace.root, "run", workspace.root, *RUN[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--experiments", "-1"),
        ("run", "--experiments", "many"),
        ("run", "--nonsense"),
        ("run", "a", "b"),
        ("init",),
        ("init", "x"),
        ("init", "x", "--tag", "y", "--profile", "tpu"),
        ("--nonsense",),
        ("stop",),
        ("status",),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [PROGRAM, *arguments], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_screen_without_a_terminal_is_refused(workspace: Workspace) -> None:
    assert "needs a terminal" in refused(workspace.root, workspace.root)


def test_the_demo_wants_a_directory_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious\n")
    assert "is not a git repository" in refused(tmp_path, "demo", tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "--quiet", "-m", "my thesis")
    assert "repository of something else" in refused(tmp_path, "demo", tmp_path)


def test_status_says_where_a_session_stands(workspace: Workspace) -> None:
    assert run(workspace, "--experiments", "2").returncode == 0
    seen = json.loads(call("status", workspace.root, "--json").stdout)

    assert (seen["experiments"], seen["engine"], seen["branch"]) == (3, None, "autoresearch/test-2026-11-23")
    assert seen["baseline"] >= seen["incumbent"]
    assert f"{seen['incumbent']:.6f}" in call("status", workspace.root).stdout
    assert call("status", workspace.root, "--line").stdout.count("\n") == 1


def test_a_closed_stdin_is_said() -> None:
    done = subprocess.run(["sh", "-c", f"{PROGRAM} metrics <&-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "autoresearch-tui: stdin is closed: METRIC lines come on it.\n"


def test_metrics_turns_metric_lines_into_json() -> None:
    said = b"noise\nMETRIC val_bpb=0.9979\r\nMETRIC val_bpb=.5\nMETRIC mfu=12ms\n"
    done = subprocess.run([PROGRAM, "metrics"], input=said, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"val_bpb": 0.5}
    assert b"12ms" in done.stderr


def test_the_wheel_holds_the_four_folders_and_nothing_else_at_its_top_level(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=HOUSE,
        check=True,
        capture_output=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert top == {"engine", "tui", "training", "assets"}
    for shipped in ("assets/workspace/autoresearch.sh", "assets/corpus/shard_00001.parquet", "training/train.py"):
        assert shipped in names


def test_init_in_a_repository_with_work_in_it_takes_nothing_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "notes.txt").write_text("committed\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "--quiet", "-m", "mine")
    (tmp_path / "staged.txt").write_text("staged\n")
    git(tmp_path, "add", "staged.txt")
    (tmp_path / "notes.txt").write_text("changed\n")
    before = git(tmp_path, "status", "--porcelain"), git(tmp_path, "diff", "--cached", "--raw")
    assert call("init", tmp_path, "--tag", "x").returncode == 0

    assert (git(tmp_path, "status", "--porcelain"), git(tmp_path, "diff", "--cached", "--raw")) == before
    assert git(tmp_path, "branch", "--show-current").startswith("autoresearch/x-")
    assert (tmp_path / "autoresearch.sh").stat().st_mode & 0o111


def test_how_the_screen_looks_may_be_said_before_the_command_and_the_directory(workspace: Workspace) -> None:
    assert "needs a terminal" in refused(workspace.root, "--ascii", "--no-mouse", workspace.root)
    assert call("--ascii", "demo", "--help").stdout == call("demo", "--ascii", "--help").stdout
    assert "--ascii" in refused(workspace.root, "--ascii", "stop", workspace.root)


@pytest.mark.parametrize("command", [(), ("demo",), ("run",), ("prepare",), ("stop",), ("status",), ("open",)])
def test_the_help_shows_dir_as_what_may_be_left_out(command: tuple[str, ...]) -> None:
    said = call(*command, "--help").stdout.splitlines()[0]
    assert "[DIR]" in said or not command
    assert "[DIR]" not in call("init", "--help").stdout.splitlines()[0]


def test_the_help_says_in_one_whole_line_what_each_command_is_for() -> None:
    said = call("--help", COLUMNS="80").stdout
    commands = said.split("Commands:\n")[1].splitlines()
    assert len(commands) == 14 and all(each.endswith(".") and not each.endswith("...") for each in commands)
    for line in commands:
        assert len(line) <= 80 and call(line.split()[0], "--help").returncode == 0


def test_without_git_each_command_says_so(workspace: Workspace, tmp_path: Path) -> None:
    for arguments in (("run", workspace.root, *RUN[1:]), ("init", workspace.root, "--tag", "x")):
        assert "there is no git on PATH" in refused(workspace.root, *arguments, PATH=str(tmp_path / "nowhere"))
    assert "there is no git on PATH" in refused(tmp_path, "demo", tmp_path / "new", PATH=str(tmp_path / "nowhere"))


@pytest.mark.skipif(shutil.which("uv") is not None, reason="uv is installed")
def test_without_uv_a_workspace_that_wants_it_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert call("init", tmp_path, "--tag", "x").returncode == 0
    for command in (("run", tmp_path, *RUN[1:]), ("prepare", tmp_path)):
        assert "there is no uv on PATH" in refused(tmp_path, *command)


@pytest.mark.parametrize("command", [("status",), ("run", "--headless"), ("init", "--tag", "x"), ("demo",)])
def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    root.mkdir()
    assert "is not UTF-8" in refused(tmp_path, command[0], root, *command[1:])


def test_status_says_how_a_session_is_begun_where_there_is_a_directory(tmp_path: Path) -> None:
    root = tmp_path / "my work"
    assert f"there is no directory {root}." in refused(tmp_path, "status", root)
    root.mkdir()
    assert f"`autoresearch-tui init '{root}' --tag T` begins one." in refused(tmp_path, "status", root)


@pytest.mark.parametrize("command", [("status",), ("finish",), ("doctor",), ("init", "--skill"), ("run", "--headless")])
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, why in ((loop, "round in a circle"), (loop / "x", "in a circle"), ("~nobody.here/x", "no user's home")):
        assert why in refused(tmp_path, command[0], path, *command[1:])
    assert "File name too long" in refused(tmp_path, command[0], tmp_path / ("x" * 300), *command[1:])


def test_the_next_command_is_one_that_a_shell_takes(tmp_path: Path) -> None:
    root = tmp_path / "sp ace"
    root.mkdir()
    git(root, "init", "--quiet")
    done = call("init", root, "--tag", "x", "--profile", "demo")
    assert f"Next: `autoresearch-tui prepare '{root}'`." in done.stdout


FAULTY = """
import sys
from engine import status
def fail(*session):
    raise ValueError("two\\nlines")
status.of = fail
from tui import cli
cli.main()
"""


def faulty(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FAULTY, "status", str(tmp_path), *arguments]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_fault_of_our_own_is_one_sentence_and_its_traceback_lies_in_a_file(tmp_path: Path) -> None:
    done = faulty(tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ValueError: two lines" in done.stderr
    (log,) = tmp_path.glob("*.log")
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


def test_with_debug_the_traceback_is_shown(tmp_path: Path) -> None:
    assert "Traceback" in faulty(tmp_path, "--debug").stderr
    assert list(tmp_path.glob("*.log")) == []


def test_one_experiment_is_not_called_experiments(workspace: Workspace) -> None:
    done = run(workspace, "--experiments", "1")
    assert "1 experiment is done" in done.stderr
    assert "1 experiments" not in done.stderr
    assert "+0.000000" not in done.stdout
