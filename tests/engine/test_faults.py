"""What goes wrong around the loop: disks, permissions, logs without measure. It pauses or goes on; nothing is lost."""

import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from engine import commands, events
from engine.events import EventFollower
from engine.launch import start_detached
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.workspaces import (
    PROGRAM,
    TRAIN,
    check_settled,
    experiments,
    living_runs_of,
    make,
    run,
    start,
    until,
)

CAN_MOUNT = os.geteuid() == 0 and shutil.which("mount") is not None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(not CAN_MOUNT, reason="a full disk is made with a small tmpfs, which only root can mount")
def test_a_full_disk_pauses_the_engine_and_with_room_again_it_goes_on(small_disk: Path) -> None:
    workspace = make(small_disk / "work")
    assert run(workspace, "--experiments", "1").returncode == 0
    start_detached(workspace, experiments=4)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    engine = engine_of(workspace)
    assert engine is not None
    until(lambda: len(experiments(workspace)) < 5 and _is_idle(engine.pid), "an engine that waits")
    before = experiments(workspace)
    ballast.unlink()
    until(lambda: _resumed(workspace), "the engine's end", timeout=60)

    assert experiments(workspace)[: len(before)] == before
    assert len(experiments(workspace)) == 5
    check_settled(workspace)


def _is_idle(pid: int) -> bool:
    return not psutil.Process(pid).children()


def _resumed(workspace: Workspace) -> bool:
    """Tell a paused engine to go on until it is done."""
    if engine_of(workspace) is None:
        return True
    commands.send(workspace, commands.Resume())
    return False


@pytest.mark.skipif(not CAN_MOUNT, reason="a full disk is made with a small tmpfs, which only root can mount")
def test_without_a_screen_a_full_disk_ends_the_loop_with_a_sentence(small_disk: Path) -> None:
    workspace = make(small_disk / "work")
    assert run(workspace, "--experiments", "1").returncode == 0
    ballast = small_disk / "ballast"
    process = start(workspace, "--experiments", "50", seconds=0.5)
    until(lambda: len(experiments(workspace)) >= 3, "run 3")
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "No space left on device" in said or "disk" in said.lower()
    assert "Traceback" not in said
    before = experiments(workspace)
    ballast.unlink()
    assert run(workspace, "--experiments", str(len(before))).returncode == 0
    assert experiments(workspace)[: len(before)] == before
    check_settled(workspace)


@pytest.mark.skipif(not CAN_MOUNT, reason="a full disk is made with a small tmpfs, which only root can mount")
def test_on_a_full_disk_it_is_prepare_py_that_says_so_and_a_read_only_one_is_refused(small_disk: Path) -> None:
    workspace = make(small_disk / "work")
    workspace.prepare.write_text("import sys\nsys.exit(2)\n")
    with (small_disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    full = prepare(workspace)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    read_only = prepare(workspace)

    assert (full.returncode, full.stderr) == (2, "")
    assert read_only.returncode == 2
    assert "can't be written in" in read_only.stderr and read_only.stderr.count("\n") == 1


def prepare(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "prepare", str(workspace.root)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("chattr") is None, reason="root writes through permissions")
def test_a_ledger_that_cannot_be_written_stops_the_loop_and_loses_nothing(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    assert run(workspace, "--experiments", "1").returncode == 0
    if subprocess.run(["chattr", "+i", workspace.ledger], capture_output=True, check=False).returncode:
        pytest.skip("files can't be made immutable on this file system")
    try:
        stuck = run(workspace, "--experiments", "2")
    finally:
        subprocess.run(["chattr", "-i", workspace.ledger], check=True)
    assert stuck.returncode == 1
    assert "Operation not permitted" in stuck.stderr and "autoresearch.jsonl" in stuck.stderr

    assert run(workspace, "--experiments", "2").returncode == 0
    check_settled(workspace)


def test_a_stubborn_training_process_and_its_children_are_ended_and_the_next_run_begins(tmp_path: Path) -> None:
    stubborn = TRAIN.replace(
        "time.sleep(",
        """import signal, subprocess
if DEPTH == 5:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    time.sleep(600)
time.sleep(""",
    )
    workspace = make(tmp_path / "work", stubborn)
    process = start(workspace, "--experiments", "2", seconds=0.6)
    until(lambda: len(living_runs_of(workspace)) >= 2, "the baseline")
    commands.send(workspace, commands.Enqueue(text="DEPTH=5"))
    until(lambda: len(living_runs_of(workspace)) >= 4, "run 2 and its children")
    commands.send(workspace, commands.Skip(run=2))
    process.communicate(timeout=60)

    second = experiments(workspace)[1]
    assert second.skipped
    assert len(experiments(workspace)) == 3
    check_settled(workspace)


def test_a_child_that_outlives_train_py_does_not_hold_the_loop_up(tmp_path: Path) -> None:
    leaves_a_child = TRAIN + "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '600'])\n"
    workspace = make(tmp_path / "work", leaves_a_child)
    assert run(workspace, "--experiments", "1").returncode == 0

    assert [each.metric is not None for each in experiments(workspace)] == [True, True]
    check_settled(workspace)


def test_a_log_without_measure_costs_the_engine_no_memory(tmp_path: Path) -> None:
    noisy = TRAIN.replace(
        "bowl = ", "import sys\nfor _ in range(150): sys.stdout.write('x' * 1_000_000)\nprint()\nbowl = "
    )
    workspace = make(tmp_path / "work", noisy)
    process = start(workspace, "--experiments", "0", seconds=0)
    engine, largest = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            largest = max(largest, engine.memory_info().rss)
        except psutil.Error:
            break
    process.communicate()

    assert workspace.run_folder(1).log.stat().st_size > 150_000_000
    assert experiments(workspace)[0].metric is not None
    assert largest < 250_000_000


SECRETS = [
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "WANDB_API_KEY",
    "SSH_AUTH_SOCK", "DATABASE_URL", "GOOGLE_APPLICATION_CREDENTIALS", "MY_PASSWORD", "CUDA_API_TOKEN",
    "AUTORESEARCH_SECRET", "NVIDIA_API_KEY", "TORCH_HUB_PASSWD", "NCCL_AUTH", "AUTORESEARCH_api_key",
]  # fmt: skip

CURIOUS = """
import pathlib
shell = os.getppid()
supervisor = int(pathlib.Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()[1])
print(pathlib.Path(f"/proc/{supervisor}/cmdline").read_text())
for process in (os.getpid(), shell, supervisor):
    print(pathlib.Path(f"/proc/{process}/environ").read_text())
print(dict(os.environ))
"""


def test_neither_a_run_nor_its_supervisor_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, f"planted-{name}")
    workspace = make(tmp_path / "work", TRAIN + CURIOUS)
    assert run(workspace, "--experiments", "0").returncode == 0

    folder = workspace.run_folder(1)
    for file in folder.path.iterdir():
        assert "planted-" not in file.read_text(), file
    said = folder.log.read_text()
    assert "engine.supervisor" in said and said.count("AUTORESEARCH_TEST_SECONDS") == 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_experiments_leave_the_engine_as_it_was_after_a_hundred(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    with (tmp_path / "said").open("wb") as said:  # nobody reads a pipe meanwhile, and it would fill
        process = start(workspace, "--experiments", "1000", seconds=0, output=said)
    engine = psutil.Process(process.pid)
    figures = {}
    for count in (100, 1000):
        while len(workspace.ledger.read_bytes().splitlines()) <= count - 10 if workspace.ledger.exists() else True:
            assert process.poll() is None
            time.sleep(0.2)
        seen = []
        while (
            len(workspace.ledger.read_bytes().splitlines()) <= count
        ):  # over ten experiments: each has its ups and downs
            seen.append((engine.memory_info().rss, engine.num_fds(), len(engine.children(recursive=True))))
            time.sleep(0.1)
        figures[count] = tuple(statistics.median(each) for each in zip(*seen, strict=True))
    process.send_signal(signal.SIGINT)
    process.communicate()

    (early, early_files, _), (late, late_files, late_processes) = figures[100], figures[1000]
    print(f"memory {early / 1e6:.1f} → {late / 1e6:.1f} MB, open files {early_files:g} → {late_files:g}")
    assert late_processes <= 6  # of one run: two supervisors, the shell, Python, a git command
    assert late < early * 1.1
    assert abs(late_files - early_files) <= 3


def test_every_problem_with_metric_lines_is_told(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", TRAIN + "print('METRIC loss=12ms')\n")
    assert run(workspace, "--experiments", "0").returncode == 0
    warnings = [each.message for each in EventFollower(workspace.events) if isinstance(each, events.Warned)]
    assert any("12ms" in warning for warning in warnings)
