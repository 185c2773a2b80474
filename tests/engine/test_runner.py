"""Runs: started, followed, ended, adopted; nothing of them is left afterwards, and no secret got into them."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from engine import processes, runner
from engine.runner import PYTHON, RUN_ID, Run, environment, tail
from engine.settings import RunSettings
from engine.supervisor import Alive, Ending, Exit, alive_file
from engine.workspace import RunFolder, Workspace
from tests.engine.conftest import processes_of
from tests.engine.workspaces import until

SETTINGS = RunSettings(limit_seconds=60, grace_seconds=0.3)
STUBBORN = """
trap '' TERM INT HUP
setsid bash -c 'trap "" TERM INT HUP; echo child; while :; do sleep 0.05; done' &
echo parent
while :; do sleep 0.05; done
"""


@pytest.fixture
def folder(workspace: Workspace) -> RunFolder:
    return workspace.run_folder(1)


def start(
    workspace: Workspace, identity: str, script: str, settings: RunSettings = SETTINGS, command: list[str] | None = None
) -> Run:
    run = Run(workspace.run_folder(1), identity)
    run.start(command or ["bash", "-c", script], workspace, settings)
    return run


def said(folder: RunFolder) -> list[str]:
    return folder.log.read_text().splitlines()


def supervisor_of(folder: RunFolder) -> int:
    return msgspec.json.decode(alive_file(folder).read_bytes(), type=Alive).supervisor


async def test_a_run_is_followed_to_its_end_and_its_output_is_read(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    script = "pwd; echo $AUTORESEARCH_RUN_ID; echo METRIC a=1; sleep 0.4; printf 'METRIC bad=nan\\rMETRIC b=2'; exit 3"
    run = start(workspace, identity, script)
    ended = await run.wait()
    assert (ended.ending, ended.code) == (Ending.EXITED, 3)
    assert run.scanner.metrics == {"a": 1.0, "b": 2.0}
    assert len(run.scanner.problems) == 1
    assert said(folder)[:2] == [str(workspace.root), identity]


async def test_waiting_again_gives_the_same_end_and_reads_nothing_twice(workspace: Workspace, identity: str) -> None:
    run = start(workspace, identity, "echo METRIC a=x")
    assert await run.wait() == await run.wait()
    assert len(run.scanner.problems) == 1


async def test_a_command_that_cannot_be_started_ends_as_unstarted(workspace: Workspace, identity: str) -> None:
    ended = await start(workspace, identity, "", command=[str(workspace.benchmark)]).wait()
    assert ended.ending is Ending.UNSTARTED
    assert "autoresearch.sh could not be started: No such file or directory" in ended.problem


async def test_a_run_over_its_limit_is_ended_with_all_it_started(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    ended = await start(workspace, identity, STUBBORN, RunSettings(limit_seconds=0.6, grace_seconds=0.3)).wait()
    assert ended.ending is Ending.TIMEOUT
    assert sorted(said(folder)) == ["child", "parent"]
    assert processes_of(identity) == []


async def test_a_run_that_is_not_wanted_any_more_is_ended_with_all_it_started(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    ended = await start(workspace, identity, STUBBORN).wait(lambda: len(said(folder)) == 2)
    assert (ended.ending, ended.code) == (Ending.SKIPPED, -9)
    assert processes_of(identity) == []


async def test_a_run_whose_supervisor_is_killed_is_lost_and_nothing_of_it_stays_alive(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    run = start(workspace, identity, "echo METRIC a=1;" + STUBBORN)
    until(lambda: len(said(folder)) == 3, "the run is up")
    os.kill(supervisor_of(folder), signal.SIGKILL)
    ended = await run.wait()
    assert (ended.ending, ended.code) == (Ending.LOST, None)
    assert ended.problem == "its supervisor was killed or the machine went down"
    assert run.scanner.metrics == {"a": 1.0}
    assert processes_of(identity) == []


async def test_a_run_that_lost_its_engine_goes_on_and_is_adopted(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    engine = f"""
import os, signal, sys
from pathlib import Path
from engine.runner import Run
from engine.settings import RunSettings
from engine.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
script = "echo METRIC a=1; while [ ! -e go ]; do sleep 0.05; done; echo METRIC b=2; exit 4"
Run(workspace.run_folder(1), "{identity}").start(["bash", "-c", script], workspace, RunSettings())
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = await asyncio.create_subprocess_exec(sys.executable, "-c", engine, str(workspace.root))
    assert await died.wait() == -signal.SIGKILL
    run = Run(folder, identity)
    assert run.begun
    until(lambda: folder.log.exists() and said(folder), "the run is up")
    assert processes_of(identity)
    (workspace.root / "go").touch()
    ended = await run.wait()
    assert (ended.ending, ended.code) == (Ending.EXITED, 4)
    assert run.scanner.metrics == {"a": 1.0, "b": 2.0}
    assert run.started == ended.started


async def test_a_limit_holds_for_a_run_that_was_adopted(workspace: Workspace, identity: str) -> None:
    settings = RunSettings(limit_seconds=0.6, grace_seconds=0.2)
    first = start(workspace, identity, "echo up; sleep 1000", settings)
    ended, same = await asyncio.gather(Run(workspace.run_folder(1), identity).wait(), first.wait())
    assert ended == same
    assert ended.ending is Ending.TIMEOUT


async def test_a_run_can_be_ended_by_an_engine_that_did_not_start_it(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    first = start(workspace, identity, "echo up; sleep 1000")
    adopted = Run(folder, identity)
    ended = await adopted.wait(lambda: len(said(folder)) > 0)
    assert ended.ending is Ending.SKIPPED
    await first.wait()
    assert await Run(folder, identity).wait() == ended  # as by an engine that was killed meanwhile, and its successor


async def test_a_run_that_ended_while_nobody_looked_is_read_from_its_folder(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    ended = await start(workspace, identity, "echo METRIC a=1; exit 2").wait()
    later = Run(folder, identity)
    assert later.begun
    assert await later.wait(lambda: True) == ended
    assert later.scanner.metrics == {"a": 1.0}


async def test_a_run_that_died_with_the_machine_is_lost(folder: RunFolder, identity: str) -> None:
    folder.path.mkdir(parents=True)
    alive_file(folder).write_bytes(msgspec.json.encode(Alive(supervisor=1, started=1700000000.0)))
    folder.lock.touch()
    folder.log.write_text("METRIC a=1\n")
    os.utime(folder.log, (1700000042, 1700000042))
    run = Run(folder, identity)
    assert run.begun
    ended = await run.wait(lambda: True)
    assert (ended.ending, ended.started, ended.seconds) == (Ending.LOST, 1700000000.0, 42.0)
    assert run.scanner.metrics == {"a": 1.0}


def test_a_folder_in_which_nothing_was_started_is_no_run(folder: RunFolder, identity: str) -> None:
    assert not Run(folder, identity).begun
    folder.path.mkdir(parents=True)
    folder.order.touch()
    folder.log.touch()
    assert not Run(folder, identity).begun


async def test_a_run_has_begun_from_the_moment_that_it_is_started(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    run = start(workspace, identity, "true")
    assert Run(folder, identity).begun
    await run.wait()
    assert Run(folder, identity).begun


async def test_ending_one_run_leaves_another_alone(workspace: Workspace, identity: str) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "1000", env=os.environ | {RUN_ID: identity + "-other"})
    try:
        await start(workspace, identity, "true").wait()
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


# ---------------------------------------------------------------------------- supervisors that fail, or are made to


@pytest.fixture
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SLACK_SECONDS", 0.5)


def supervisors(folder: RunFolder) -> list[psutil.Process]:
    inner = psutil.Process(supervisor_of(folder))
    return [inner, inner.parent() or inner]


@pytest.mark.usefixtures("no_slack")
@pytest.mark.parametrize("stopped", ["both", "keeper", "inner"])
async def test_a_limit_holds_where_the_supervisor_is_stopped(
    workspace: Workspace, folder: RunFolder, identity: str, stopped: str
) -> None:
    run = start(workspace, identity, STUBBORN, RunSettings(limit_seconds=1.5, grace_seconds=0.2))
    until(lambda: len(said(folder)) == 2, "the run is up")
    inner, keeper = supervisors(folder)
    for process in {"both": [inner, keeper], "keeper": [keeper], "inner": [inner]}[stopped]:
        process.suspend()
    assert (await run.wait()).ending is Ending.TIMEOUT
    assert processes_of(identity) == []
    assert not inner.is_running()


@pytest.mark.usefixtures("no_slack")
async def test_a_supervisor_that_is_stopped_again_and_again_is_ended_with_the_run(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    script = "setsid bash -c 'while kill -STOP '$PPID'; do sleep 0.01; done' & echo up; sleep 1000"
    run = start(workspace, identity, script, RunSettings(limit_seconds=1000, grace_seconds=0.2))
    until(lambda: said(folder), "the run is up")
    inner, _ = supervisors(folder)
    assert (await run.wait(lambda: True)).ending is Ending.SKIPPED
    assert processes_of(identity) == []
    assert not inner.is_running()


@pytest.mark.parametrize("killed", ["keeper", "inner"])
async def test_what_clears_its_environment_and_kills_a_supervisor_is_ended_with_the_run(
    workspace: Workspace, folder: RunFolder, identity: str, killed: str
) -> None:
    pid = "$PPID" if killed == "inner" else "$(ps -o ppid= $PPID)"
    script = f"""
    victim={pid}
    env -i setsid --fork bash -c 'sleep 0.3; kill -9 '"$victim"'; setsid --fork sh -c "echo \\$\\$; exec sleep 1000"'
    sleep 1000
    """
    run = start(workspace, identity, script)
    ended = await run.wait()
    assert (ended.ending, ended.code) == (Ending.LOST, None)
    assert processes_of(identity) == []
    assert not any(psutil.pid_exists(int(line)) and is_alive(int(line)) for line in said(folder))


def is_alive(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("forged", ["", "touch $(dirname $AUTORESEARCH_LOG)/end-asked;"])
async def test_a_run_that_ends_itself_through_its_supervisor_was_not_skipped(
    workspace: Workspace, identity: str, forged: str
) -> None:
    ended = await start(workspace, identity, f"{forged} kill -TERM $PPID; sleep 1000").wait()
    assert ended.ending is Ending.KILLED
    assert "SIGTERM that the engine did not send" in ended.problem


async def test_an_end_that_a_run_wrote_itself_does_not_count(
    workspace: Workspace, folder: RunFolder, identity: str
) -> None:
    forged = """echo '{"ending":"exited","code":0}' > $(dirname $AUTORESEARCH_LOG)/exit.json"""
    script = f"{forged}; kill -9 $PPID $(ps -o ppid= $PPID)"
    ended = await start(workspace, identity, script).wait()
    assert (ended.ending, ended.code) == (Ending.LOST, None)


@pytest.mark.parametrize("what", ["the folder", "the lock"])
@pytest.mark.parametrize("adopts", [False, True])
async def test_a_run_whose_folder_is_removed_is_ended_and_lost(
    workspace: Workspace, folder: RunFolder, identity: str, what: str, adopts: bool
) -> None:
    run = start(workspace, identity, STUBBORN)
    until(lambda: len(said(folder)) == 2, "the run is up")
    inner, _ = supervisors(folder)
    shutil.rmtree(folder.path) if what == "the folder" else folder.lock.unlink()
    ended = await (Run(folder, identity) if adopts else run).wait()
    assert ended.ending is Ending.LOST
    assert "removed while it ran" in ended.problem
    assert processes_of(identity) == []
    assert not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE


def test_what_cannot_be_ended_is_named_and_nobody_waits_for_it_for_ever() -> None:
    made: list[subprocess.Popen[bytes]] = []

    def bomb() -> list[psutil.Process]:
        made.append(subprocess.Popen(["sleep", "1000"]))
        return [psutil.Process(made[-1].pid)]

    left = processes.end(bomb, seconds=0.3)
    assert set(left) <= {each.pid for each in made}
    assert left
    for each in made:
        each.kill()
        each.wait()


def test_what_a_process_has_started_is_ended_with_it(identity: str) -> None:
    script = f"env -i setsid sleep 1000 & {RUN_ID}={identity} sleep 1000 & wait"
    shell = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    root = psutil.Process(shell.pid)
    until(lambda: len(root.children()) == 2, "both are up")
    children = root.children()
    assert processes.end(lambda: [root]) == ()
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in children)
    shell.wait()


# ------------------------------------------------------------------------------------------ folders that say nothing

GARBAGE = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"ending":"sideways"}', b"[" * 100_000)


@pytest.mark.parametrize("content", GARBAGE)
async def test_an_end_that_cannot_be_read_is_a_lost_run(folder: RunFolder, identity: str, content: bytes) -> None:
    folder.path.mkdir(parents=True)
    folder.exit.write_bytes(content)
    ended = await Run(folder, identity).wait()
    assert (ended.ending, ended.problem) == (Ending.LOST, "its exit.json can't be read")


@pytest.mark.parametrize("content", GARBAGE)
async def test_a_run_of_which_nothing_can_be_read_is_adopted_and_followed_all_the_same(
    workspace: Workspace, folder: RunFolder, identity: str, content: bytes
) -> None:
    first = start(workspace, identity, "echo up; while [ ! -e go ]; do sleep 0.05; done; echo METRIC a=1")
    until(lambda: said(folder), "the run is up")
    for path in (alive_file(folder), folder.order):
        path.write_bytes(content)
    adopted = Run(folder, identity)
    assert adopted.begun
    assert adopted.started <= time.time()
    (workspace.root / "go").touch()
    assert (await adopted.wait()).ending is Ending.EXITED
    assert adopted.scanner.metrics == {"a": 1.0}
    await first.wait()


@pytest.mark.parametrize("instead", ["mkfifo", "mkdir", "ln -s /dev/zero"])
async def test_what_is_no_file_in_the_logs_place_holds_nobody_up(
    workspace: Workspace, folder: RunFolder, identity: str, instead: str
) -> None:
    ended = await start(workspace, identity, f"rm $AUTORESEARCH_LOG; {instead} $AUTORESEARCH_LOG; sleep 0.5").wait()
    assert (ended.ending, ended.code) == (Ending.EXITED, 0)
    assert tail(folder.log) == ""


async def test_a_long_log_is_read_in_pieces_and_the_person_is_heard_in_between(
    folder: RunFolder, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.0)
    folder.path.mkdir(parents=True)
    folder.log.write_bytes(b"noise\n" * 4_000_000 + b"METRIC a=1\n")
    folder.exit.write_bytes(msgspec.json.encode(Exit(ending=Ending.EXITED, code=0)))
    run, asked = Run(folder, identity), []
    await run.wait(lambda: bool(asked.append(1)))
    assert len(asked) >= 5
    assert run.scanner.metrics == {"a": 1.0}


# ------------------------------------------------------------------------------------------------------- secrets

SECRETS = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY",
    "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "PASSWORD", "DATABASE_URL", "NVIDIA_API_KEY",
    "NVIDIA_NGC_TOKEN",
    "AUTORESEARCH_API_KEY", "AUTORESEARCH_CHAT_TOKEN", "TORCH_SECRET", "CUDA_PASSWORD", "LC_CREDENTIALS",
)  # fmt: skip
HARMLESS = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR", "LC_ALL", "HF_HOME", "NCCL_DEBUG")


async def test_a_planted_secret_does_not_reach_the_run(
    workspace: Workspace, folder: RunFolder, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cr3t")
    await start(workspace, identity, "env").wait()
    assert "s3cr3t" not in folder.log.read_text()
    assert "s3cr3t" not in folder.order.read_text()


def test_what_training_needs_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HARMLESS:
        monkeypatch.setenv(name, "1")
    allowed = environment(RunSettings(), "id")
    assert {name: allowed.get(name) for name in HARMLESS} == dict.fromkeys(HARMLESS, "1")
    assert allowed["PATH"] == os.environ["PATH"]


def test_a_variable_that_the_person_names_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "wanted")
    assert environment(RunSettings(environment=["HF_TOKEN"]), "id")["HF_TOKEN"] == "wanted"
    assert "HF_TOKEN" not in environment(RunSettings(), "id")


def test_a_run_carries_its_own_id_whatever_the_engine_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "an outer run's")
    assert environment(RunSettings(), "mine")[RUN_ID] == "mine"


def test_which_python_runs_is_the_settings_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, "/from/elsewhere")
    assert environment(RunSettings(python="engine"), "id")[PYTHON] == sys.executable
    assert PYTHON not in environment(RunSettings(python="uv"), "id")


# ------------------------------------------------------------------------------------------- the end of a long log


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo"),
        (b"one\ntwo", "one\ntwo"),
        (b"step 1\rstep 2\rstep 3\nend\n", "step 3\nend"),
        (b"one\r\ntwo\r\n", "one\ntwo"),
        (b"".join(b"%d\n" % number for number in range(100)), "\n".join(str(number) for number in range(81, 100))),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
    ],
    ids=["nothing", "lines", "no newline", "rewritten line", "crlf", "many", "not UTF-8"],
)
def test_the_tail_of_a_log_is_its_last_lines_as_they_were_drawn(tmp_path: Path, content: bytes, expected: str) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(content)
    assert tail(log) == expected


def test_the_tail_of_a_log_without_line_ends_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(b"x" * 1_000_000)
    assert len(tail(log)) <= 8192


def test_a_log_that_is_not_there_has_an_empty_tail(tmp_path: Path) -> None:
    assert tail(tmp_path / "run.log") == ""


def test_an_exit_is_read_as_it_was_written(folder: RunFolder) -> None:
    ended = Exit(ending=Ending.TIMEOUT, code=-9, started=1.5, seconds=600.25, problem="x")
    assert msgspec.json.decode(msgspec.json.encode(ended), type=Exit) == ended
