"""Kill -9 at every step, in the manner of SQLite's tests: restart, and everything is there exactly once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from engine import commands, journal, ledger
from engine.journal import InFlight, Phase
from engine.runner import RUN_ID
from engine.workspace import Workspace
from tests.engine.killed_engine import SETTLED
from tests.engine.workspaces import (
    begun,
    check_settled,
    environment,
    expected_subjects,
    experiments,
    git,
    living_runs_of,
    make,
    run,
    start,
    subjects,
    until,
)

SHORT = 0.1


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make(tmp_path / "work")
    leave_a_persons_files(workspace)
    return workspace


@pytest.fixture
def measured(tmp_path: Path) -> Workspace:
    """The same with its baseline measured."""
    workspace = begun(tmp_path / "work")
    leave_a_persons_files(workspace)
    return workspace


def leave_a_persons_files(workspace: Workspace) -> None:
    (workspace.root / "untracked.txt").write_text("mine\n")
    (workspace.root / "README.md").write_text("mine too\n")
    (workspace.root / "staged.txt").write_text("staged\n")
    git(workspace.root, "add", "staged.txt")
    (workspace.root / "staged.txt").write_text("and changed\n")


def killed(workspace: Workspace, step: int, wanted: int, *phase: str) -> int:
    """Run an engine that dies at ``step``; 0 for an engine that lives to its end. Returns its exit status.

    With a phase, the steps are counted from where the journal says it.
    """
    return subprocess.run(
        [sys.executable, "-m", "tests.engine.killed_engine", str(workspace.root), str(step), str(wanted), *phase],
        env=environment(SHORT),
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    ).returncode


def check_nothing_is_lost(workspace: Workspace, before: list[ledger.Experiment]) -> list[ledger.Experiment]:
    """What holds even while an experiment is in flight."""
    book = ledger.read(workspace.ledger)
    assert not book.bad_lines
    assert book.experiments[: len(before)] == before
    assert [each.run for each in book.experiments] == list(range(1, len(book.experiments) + 1))
    assert len({each.id for each in book.experiments}) == len(book.experiments)
    assert (workspace.root / "untracked.txt").read_text() == "mine\n"
    assert (workspace.root / "README.md").read_text() == "mine too\n"
    assert (workspace.root / "staged.txt").read_text() == "and changed\n"
    assert git(workspace.root, "show", ":staged.txt") == "staged"
    flight = journal.load(workspace)
    check_branch_and_tree(workspace, flight)
    check_only_this_runs(workspace, flight)
    return book.experiments


def check_branch_and_tree(workspace: Workspace, flight: InFlight | None) -> None:
    """The branch is what the ledger says, but for the commit or the revert of the experiment in flight."""
    known, found = expected_subjects(workspace), subjects(workspace)[3:]
    allowed, trees = [known], [git(workspace.root, "show", "HEAD:train.py")]
    if flight is not None:
        trees += [
            git(workspace.root, "show", f"{commit}:train.py") for commit in (flight.parent, flight.commit) if commit
        ]
        if ledger.read(workspace.ledger).find(flight.id) is None:
            allowed.append([*known, f"experiment: {flight.description}"])
        elif known and known[-1].startswith("Revert"):
            allowed.append(known[:-1])
    assert found in allowed
    assert workspace.train.read_text().strip() in trees


def check_only_this_runs(workspace: Workspace, flight: InFlight | None) -> None:
    """No process of an earlier experiment is alive."""
    carried = set()
    for process in living_runs_of(workspace):
        with suppress(psutil.Error):
            carried.add(process.environ()[RUN_ID])
    assert carried <= ({flight.id} if flight is not None else set())


@pytest.mark.parametrize("phase", [*Phase, SETTLED])
def test_an_engine_killed_around_a_phase_boundary_loses_nothing(workspace: Workspace, phase: str) -> None:
    _kill_around(workspace, phase, steps=(1, 2, 7, 14, 24, 32))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("phase", [*Phase, SETTLED])
def test_an_engine_killed_at_every_step_after_a_phase_boundary_loses_nothing(workspace: Workspace, phase: str) -> None:
    _kill_around(workspace, phase, steps=range(1, 51))


def _kill_around(workspace: Workspace, phase: str, steps: Iterable[int]) -> None:
    recorded: list[ledger.Experiment] = []
    for step in steps:
        assert killed(workspace, step, len(recorded) + 2, phase) == -signal.SIGKILL
        if step == 2:
            flight = journal.load(workspace)
            assert (flight.phase if flight is not None else SETTLED) == phase
        recorded = check_nothing_is_lost(workspace, recorded)

    assert killed(workspace, 0, len(recorded) + 1) == 0
    assert len(experiments(workspace)) == len(recorded) + 2
    check_nothing_is_lost(workspace, recorded)
    check_settled(workspace)


def test_an_engine_killed_at_a_few_random_steps_loses_nothing(workspace: Workspace) -> None:
    _kill_at_random(workspace, seed=11, kills=8)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_an_engine_killed_at_random_steps_loses_nothing(workspace: Workspace, seed: int) -> None:
    _kill_at_random(workspace, seed=seed, kills=110)


def _kill_at_random(workspace: Workspace, seed: int, kills: int) -> None:
    """Of its first 230 steps: the start takes some 60, an experiment some 170."""
    chance = random.Random(seed)
    recorded: list[ledger.Experiment] = []
    for _ in range(kills):
        assert killed(workspace, chance.randint(1, 230), len(recorded) + 2) == -signal.SIGKILL
        recorded = check_nothing_is_lost(workspace, recorded)

    assert killed(workspace, 0, len(recorded) + 1) == 0
    check_settled(workspace)


def processes_of(workspace: Workspace) -> dict[str, psutil.Process]:
    """The supervisor, its keeper, the shell and the training process of the run under way."""
    found = {}
    for process in living_runs_of(workspace):
        with suppress(psutil.Error):
            found["training" if "train.py" in process.cmdline() else "shell"] = process
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "engine.supervisor" in command and any(each.startswith(str(workspace.root)) for each in command):
                parent = process.parent()
                is_inner = parent is not None and "engine.supervisor" in parent.cmdline()
                found["supervisor" if is_inner else "keeper"] = process
    return found


VICTIMS = [
    ("supervisor",),
    ("keeper",),
    ("keeper", "supervisor"),
    ("engine", "keeper"),
    ("training",),
    ("shell",),
    ("engine", "supervisor"),
    ("engine", "training"),
    ("engine", "keeper", "supervisor", "training", "shell"),
    ("supervisor", "training"),
]


@pytest.mark.parametrize("victims", VICTIMS, ids="+".join)
def test_whoever_is_killed_in_mid_run_the_experiment_is_recorded_once(
    measured: Workspace, victims: tuple[str, ...]
) -> None:
    engine = start(measured, "--experiments", "1", seconds=5)
    until(lambda: len(processes_of(measured)) == 4, "run 2 and all its processes")
    alive = processes_of(measured)
    for name in victims:
        (engine if name == "engine" else alive[name]).send_signal(signal.SIGKILL)
    if "engine" not in victims:
        engine.communicate()
    else:
        engine.wait()
        assert run(measured, "--experiments", "1", seconds=SHORT).returncode == 0

    found = experiments(measured)
    assert [each.status for each in found] == ["keep", "crash"]
    assert found[1].asi["result"]
    check_nothing_is_lost(measured, [])
    check_settled(measured)


def test_a_run_that_survives_its_engine_is_adopted_and_its_result_counts(workspace: Workspace) -> None:
    engine = start(workspace, "--experiments", "0", seconds=3)
    until(lambda: "training" in processes_of(workspace), "the training process")
    training = processes_of(workspace)["training"]
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert training.is_running()
    done = run(workspace, "--experiments", "0", seconds=SHORT)

    assert done.returncode == 0, done.stderr
    assert "taken over" in done.stderr
    assert not training.is_running()
    assert [each.status for each in experiments(workspace)] == ["keep"]
    check_settled(workspace)


def test_a_skip_that_is_asked_for_while_no_engine_runs_ends_the_run_that_is_adopted(measured: Workspace) -> None:
    engine = start(measured, "--experiments", "1", seconds=600)
    until(lambda: "training" in processes_of(measured), "the training process")
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    commands.send(measured, commands.Skip(run=2))
    done = run(measured, "--experiments", "1", seconds=SHORT)

    assert done.returncode == 0, done.stderr
    assert [each.skipped for each in experiments(measured)] == [False, True]
    check_settled(measured)


def test_checks_that_survive_their_engine_are_waited_for(tmp_path: Path) -> None:
    workspace = make(tmp_path / "checked", checks="#!/bin/sh\ntouch .autoresearch/checking\nsleep 3\n")
    engine = start(workspace, "--experiments", "0", seconds=SHORT)
    until((workspace.state / "checking").exists, "the checks")
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert run(workspace, "--experiments", "0", seconds=SHORT).returncode == 0
    assert [each.status for each in experiments(workspace)] == ["keep"]
    check_settled(workspace)


def test_a_run_that_ended_while_nobody_watched_is_read_from_its_log(workspace: Workspace) -> None:
    engine = start(workspace, "--experiments", "0", seconds=1)
    until(lambda: "training" in processes_of(workspace), "the training process")
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    until(workspace.run_folder(1).exit.exists, "the end of the run")
    began = time.time()
    assert run(workspace, "--experiments", "0", seconds=60).returncode == 0

    only = experiments(workspace)[0]
    assert only.kept and only.metric is not None
    assert workspace.run_folder(1).exit.stat().st_mtime < began
    check_settled(workspace)


def test_random_kills_of_anybody_lose_nothing(measured: Workspace) -> None:
    _kill_anybody(measured, seed=1, kills=8)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_many_random_kills_of_anybody_lose_nothing(measured: Workspace, seed: int) -> None:
    _kill_anybody(measured, seed=seed, kills=60)


def _kill_anybody(workspace: Workspace, seed: int, kills: int) -> None:
    """In a session with a baseline: three lost ones stop any loop."""
    chance = random.Random(seed)
    recorded: list[ledger.Experiment] = []
    for _ in range(kills):
        engine = start(workspace, seconds=0.5)
        time.sleep(chance.uniform(0.3, 2.5))
        everybody = [*processes_of(workspace).values(), psutil.Process(engine.pid)]
        for process in chance.sample(everybody, chance.randint(1, len(everybody))):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(ProcessLookupError):
            os.kill(engine.pid, signal.SIGKILL)
        engine.wait()
        recorded = check_nothing_is_lost(workspace, recorded)
    assert run(workspace, "--experiments", str(len(recorded) + 2), seconds=SHORT).returncode == 0
    check_settled(workspace)


@pytest.mark.parametrize("torn", [b'{"run": 99, "metr', b"\x00\xff garbage", b'{"run": 99}x'])
def test_a_torn_last_line_is_moved_aside(workspace: Workspace, torn: bytes) -> None:
    assert run(workspace, "--experiments", "1", seconds=SHORT).returncode == 0
    with workspace.ledger.open("ab") as file:
        file.write(torn)
    assert run(workspace, "--experiments", "2", seconds=SHORT).returncode == 0

    assert [path.read_bytes() for path in workspace.torn.iterdir()] == [torn]
    check_settled(workspace)


def test_gits_own_lock_left_behind_is_said_and_afterwards_the_loop_goes_on(measured: Workspace) -> None:
    lock = measured.root / ".git" / "index.lock"
    lock.touch()
    stuck = run(measured, "--experiments", "1", seconds=SHORT)
    assert stuck.returncode == 1
    assert "index.lock" in stuck.stderr
    lock.unlink()

    assert run(measured, "--experiments", "1", seconds=SHORT).returncode == 0
    check_settled(measured)


def test_failing_hooks_and_signing_play_no_part(workspace: Workspace) -> None:
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        hook = workspace.root / ".git" / "hooks" / name
        hook.write_text("#!/bin/sh\nexit 1\n" if name != "reference-transaction" else "#!/bin/sh\nexit 0\n")
        hook.chmod(0o755)
    git(workspace.root, "config", "commit.gpgsign", "true")
    git(workspace.root, "config", "gpg.program", "/bin/false")

    assert run(workspace, "--experiments", "2", seconds=SHORT).returncode == 0
    check_settled(workspace)
