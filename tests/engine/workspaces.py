"""Real workspaces with a train.py that takes a fraction of a second, and what must hold of them afterwards."""

import atexit
import datetime
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

import psutil

from engine import ledger, sessions
from engine.initialize import Profile, initialize
from engine.ledger import Experiment
from engine.runner import RUN_ID
from engine.workspace import Workspace

PROGRAM = str(Path(sys.executable).parent / "autoresearch-tui")

TRAIN = '''"""A model that trains in no time: its val_bpb is a smooth function of its knobs."""

import math
import os
import time

DEPTH = 4  # layers
MATRIX_LR = 0.04
WARMUP_RATIO = 0.1
WINDOW_PATTERN = "SSSL"
SEED = 1

time.sleep(float(os.environ.get("AUTORESEARCH_TEST_SECONDS", "0.2")))
bowl = math.log(MATRIX_LR / 0.1) ** 2 * 0.01 + abs(DEPTH - 6) * 0.003 + (WARMUP_RATIO - 0.3) ** 2 * 0.1
print("step 1 (50%)\\rstep 2 (100%)")
print(f"val_bpb:          {1 + bowl:.6f}")
print(f"peak_vram_mb:     {100 + DEPTH:.1f}")
print(f"depth:            {DEPTH}")
'''

PREPARE = '"""Fixed."""\n\nMAX_SEQ_LEN = 256\n'

NO_IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(root: Path, *arguments: str) -> str:
    """A person's git, with an identity of its own."""
    person = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _PERSON.items()}
    environment = os.environ | NO_IDENTITY | person
    return subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


_PERSON = {"NAME": "A Person", "EMAIL": "person@localhost"}


def make(root: Path, train: str = TRAIN, checks: str | None = None) -> Workspace:
    """A workspace that `run` accepts: repository, session branch, template, config line."""
    return _copied(_made(train, checks), root)


def begun(root: Path, train: str = TRAIN) -> Workspace:
    """The same with its baseline measured, by an engine that has ended."""
    return _copied(_begun(train), root)


@cache
def _made(train: str, checks: str | None) -> Path:
    root = _template()
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "README.md").write_text("the person's own\n")
    (root / "train.py").write_text(train)
    (root / "prepare.py").write_text(PREPARE)
    if checks is not None:
        (root / "autoresearch.checks.sh").write_text(checks)
        (root / "autoresearch.checks.sh").chmod(0o755)
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "the person's work")
    workspace = Workspace.at(root)
    initialize(workspace, "test", Profile.load("gpu"), today=datetime.date(2026, 11, 23))
    text = workspace.settings.read_text()
    workspace.settings.write_text(
        text.replace('python = "uv" ', 'python = "engine"')
        .replace("grace_seconds = 10", "grace_seconds = 1")
        .replace("baseline_repeats = 3", "baseline_repeats = 1")
    )
    git(root, "commit", "--quiet", "-am", "settings for tests")
    return root


@cache
def _begun(train: str) -> Path:
    root = _template()
    workspace = make(root, train)
    done = run(workspace, "--experiments", "0", seconds=0)
    assert done.returncode == 0, done.stderr
    return root


def _template() -> Path:
    directory = tempfile.mkdtemp(prefix="autoresearch-workspace-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory) / "work"


def _copied(template: Path, root: Path) -> Workspace:
    shutil.copytree(template, root, symlinks=True, dirs_exist_ok=True)
    workspace = Workspace.at(root)
    sessions.remember(workspace)
    return workspace


def run(workspace: Workspace, *arguments: str, seconds: float = 0.2) -> subprocess.CompletedProcess[str]:
    """`autoresearch-tui run --headless` to its end."""
    return subprocess.run(
        [PROGRAM, "run", str(workspace.root), "--headless", *arguments],
        env=environment(seconds),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def start(
    workspace: Workspace, *arguments: str, seconds: float = 0.2, output: BinaryIO | int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """The same, left running."""
    return subprocess.Popen(
        [PROGRAM, "run", str(workspace.root), "--headless", *arguments],
        env=environment(seconds),
        stdout=output,
        stderr=output,
        text=True,
    )


def environment(seconds: float) -> dict[str, str]:
    return os.environ | NO_IDENTITY | {"AUTORESEARCH_TEST_SECONDS": str(seconds)}


def until(condition: Callable[[], object], what: str, timeout: float = 60) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


def experiments(workspace: Workspace) -> list[Experiment]:
    book = ledger.read(workspace.ledger)
    assert not book.bad_lines, book.bad_lines
    return book.experiments


def subjects(workspace: Workspace) -> list[str]:
    """The branch's commit subjects, the oldest first, without the notes that are committed in between."""
    log = git(workspace.root, "log", "--reverse", "--format=%s").splitlines()
    return [subject for subject in log if not subject.startswith("notes:")]


def expected_subjects(workspace: Workspace) -> list[str]:
    """What the ledger says the branch must look like after its first commits."""
    expected = []
    for each in experiments(workspace):
        if each.source in ("baseline", "person"):
            continue
        mended = sum(key.endswith(", mended") for key in each.asi)
        expected.append(f"experiment: {each.description}")
        expected += [f"experiment: {each.description} (mended, {number})" for number in range(1, mended + 1)]
        if not each.kept:
            expected.append(f'Revert "experiment: {each.description}"')
    return expected


def living_runs() -> list[psutil.Process]:
    """Processes that belong to some training run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and RUN_ID in process.environ():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def living_runs_of(workspace: Workspace) -> list[psutil.Process]:
    found = []
    for process in living_runs():
        try:
            if process.environ().get("AUTORESEARCH_LOG", "").startswith(f"{workspace.root}/"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def snapshot(root: Path) -> dict[str, str]:
    """Every file below a directory by its content, git's own files included."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def check_settled(workspace: Workspace) -> None:
    """What DESIGN promises of a workspace with nothing in flight."""
    found = experiments(workspace)
    assert [each.run for each in found] == list(range(1, len(found) + 1))
    assert len({each.id for each in found}) == len(found)
    assert subjects(workspace)[3:] == expected_subjects(workspace)
    incumbent = ledger.read(workspace.ledger).segments[-1].incumbent
    if incumbent is not None:
        committed = git(workspace.root, "show", "HEAD:train.py") + "\n"
        assert committed == workspace.run_folder(incumbent.folder_number).train.read_text()
        assert workspace.train.read_text() == committed
    assert git(workspace.root, "status", "--porcelain", "--", "train.py") == ""
    assert living_runs_of(workspace) == []
    assert not workspace.journal.exists()
    for each in found:
        folder = workspace.run_folder(each.folder_number)
        assert folder.log.exists() and folder.diff.exists() and folder.train.exists()
