"""The supervisor, as a process of its own: it says how a run ended, and leaves nothing of it behind."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from engine.supervisor import Alive, Ending, Exit, Order, alive_file
from engine.workspace import RunFolder
from tests.engine.workspaces import until

Supervise = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "0001").mkdir()
    return RunFolder(tmp_path / "0001")


@pytest.fixture
def supervise(folder: RunFolder) -> Supervise:
    """Starts a supervisor over a bash script (or another command)."""

    def start(
        script: str = "",
        *,
        command: list[str] | None = None,
        limit: float = 60.0,
        grace: float = 60.0,
        order: bytes = b"-",
    ) -> subprocess.Popen[bytes]:
        wanted = Order(
            command=command or ["bash", "-c", script],
            directory=str(folder.path),
            environment={"PATH": os.environ["PATH"]},
            limit=limit,
            grace=grace,
        )
        folder.order.write_bytes(msgspec.json.encode(wanted) if order == b"-" else order)
        lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.supervisor", str(folder.path), str(lock)], pass_fds=[lock], cwd="/"
        )
        os.close(lock)
        return process

    return start


def ended(folder: RunFolder, process: subprocess.Popen[bytes]) -> Exit:
    assert process.wait() == 0
    return msgspec.json.decode(folder.exit.read_bytes(), type=Exit)


def said(folder: RunFolder) -> list[str]:
    return folder.log.read_text().splitlines() if folder.log.exists() else []


def is_alive(pid: str) -> bool:
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", -9), ("kill -SEGV $$", -11), ("kill $$", -15)],
)
def test_a_run_that_ends_by_itself_is_reported_with_its_code(
    folder: RunFolder, supervise: Supervise, script: str, code: int
) -> None:
    got = ended(folder, supervise(script))
    assert (got.ending, got.code, got.problem) == (Ending.EXITED, code, "")


def test_what_the_run_prints_on_either_stream_is_in_its_log_in_order(folder: RunFolder, supervise: Supervise) -> None:
    ended(folder, supervise("echo one; echo two >&2; printf 'three'"))
    assert folder.log.read_text() == "one\ntwo\nthree"


def test_a_run_has_no_input_and_nobody_elses_files_open(folder: RunFolder, supervise: Supervise) -> None:
    ended(folder, supervise("wc -c; for fd in /proc/$$/fd/*; do readlink $fd; done"))
    assert said(folder)[0] == "0"
    assert set(said(folder)[1:]) == {"/dev/null", str(folder.log)}


@pytest.mark.parametrize("command", ["/no/such/program", "not-executable"])
def test_a_command_that_cannot_be_started_is_said_to_be(folder: RunFolder, supervise: Supervise, command: str) -> None:
    script = folder.path / "not-executable"
    script.write_text("#!/bin/sh\n")
    got = ended(folder, supervise(command=[str(script) if command == script.name else command]))
    assert (got.ending, got.code) == (Ending.UNSTARTED, None)
    assert command in got.problem


def test_a_run_over_its_limit_is_ended(folder: RunFolder, supervise: Supervise) -> None:
    got = ended(folder, supervise("echo started; sleep 1000", limit=0.3))
    assert (got.ending, got.code) == (Ending.TIMEOUT, -15)
    assert got.seconds >= 0.3


def test_a_run_that_cleans_up_on_sigterm_gets_the_time_to(folder: RunFolder, supervise: Supervise) -> None:
    script = "trap 'sleep 0.3; echo cleaned; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    process = supervise(script)
    until(lambda: said(folder), "the script is up")
    process.terminate()
    got = ended(folder, process)
    assert (got.ending, got.code, said(folder)[-1]) == (Ending.KILLED, 7, "cleaned")


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_supervisor_that_is_asked_to_ends_its_run_as_killed(
    folder: RunFolder, supervise: Supervise, asked: signal.Signals
) -> None:
    process = supervise("echo $$; exec sleep 1000")
    until(lambda: said(folder), "the script is up")
    process.send_signal(asked)
    assert ended(folder, process).ending is Ending.KILLED
    assert not is_alive(said(folder)[0])


STUBBORN = """
trap '' TERM INT HUP
setsid bash -c 'trap "" TERM INT HUP; echo $$; while :; do sleep 0.05; done' &
env -i setsid --fork bash -c 'trap "" TERM INT HUP; echo $$; while :; do sleep 0.05; done'
echo $$
while :; do sleep 0.05; done
"""


def test_a_tree_that_ignores_sigterm_and_left_its_session_is_ended_whole(
    folder: RunFolder, supervise: Supervise
) -> None:
    process = supervise(STUBBORN, grace=0.3)
    until(lambda: len(said(folder)) == 3, "all three are up")
    process.terminate()
    got = ended(folder, process)
    assert (got.ending, got.code) == (Ending.KILLED, -9)
    assert not any(is_alive(pid) for pid in said(folder))


def test_a_stopped_process_is_ended_too(folder: RunFolder, supervise: Supervise) -> None:
    process = supervise("echo $$; kill -STOP $$", grace=0.2)
    until(lambda: said(folder), "the script is up")
    process.terminate()
    assert ended(folder, process).code == -9


def test_what_a_run_leaves_in_the_background_is_ended_with_it(folder: RunFolder, supervise: Supervise) -> None:
    got = ended(folder, supervise("setsid sleep 1000 & echo $!; sleep 1001 & echo $!; exit 5"))
    assert (got.ending, got.code) == (Ending.EXITED, 5)
    assert not any(is_alive(pid) for pid in said(folder))


def test_orphans_of_a_running_run_are_collected(folder: RunFolder, supervise: Supervise) -> None:
    process = supervise("for i in 1 2 3 4 5; do setsid --fork true; done; sleep 0.2; echo done; sleep 1000", grace=1)
    until(lambda: said(folder), "the orphans are made")
    until(lambda: len(psutil.Process(process.pid).children()) == 1, "only the run itself is left")
    process.terminate()
    ended(folder, process)


def test_the_end_is_on_disk_only_once_nothing_is_left(folder: RunFolder, supervise: Supervise) -> None:
    process = supervise(STUBBORN, grace=0.5)
    until(lambda: len(said(folder)) == 3, "all three are up")
    process.terminate()
    while not folder.exit.exists():
        assert process.poll() is None
    assert not any(is_alive(pid) for pid in said(folder))
    process.wait()


def test_who_looks_after_a_run_is_on_disk_while_it_runs(folder: RunFolder, supervise: Supervise) -> None:
    process = supervise("echo up; sleep 1000")
    until(lambda: said(folder), "the script is up")
    alive = msgspec.json.decode(alive_file(folder).read_bytes(), type=Alive)
    assert psutil.Process(alive.supervisor).ppid() == process.pid
    process.terminate()
    assert ended(folder, process).started == alive.started


def inner(folder: RunFolder) -> int:
    return msgspec.json.decode(alive_file(folder).read_bytes(), type=Alive).supervisor


def is_locked(folder: RunFolder) -> bool:
    with folder.lock.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize(("killed", "ending"), [("keeper", Ending.KILLED), ("inner", Ending.LOST)])
def test_whichever_of_its_processes_is_killed_the_other_ends_all_of_the_run_and_lets_go(
    folder: RunFolder, supervise: Supervise, killed: str, ending: Ending
) -> None:
    process = supervise(STUBBORN, grace=0.3)
    until(lambda: len(said(folder)) == 3, "all three are up")
    assert is_locked(folder)
    os.kill(process.pid if killed == "keeper" else inner(folder), signal.SIGKILL)
    until(lambda: not is_locked(folder), "the lock is free")
    assert not any(is_alive(pid) for pid in said(folder))
    process.wait()
    got = msgspec.json.decode(folder.exit.read_bytes(), type=Exit)
    assert got.ending is ending
    assert got.problem


def test_the_lock_is_free_once_both_of_its_processes_are_killed(folder: RunFolder, supervise: Supervise) -> None:
    process = supervise("setsid sleep 1000 & echo $!; echo $$; exec sleep 1000")
    until(lambda: len(said(folder)) == 2, "the script is up")
    process.send_signal(signal.SIGSTOP)
    os.kill(inner(folder), signal.SIGKILL)
    process.kill()
    process.wait()
    until(lambda: not is_locked(folder), "the lock is free")
    until(lambda: not is_alive(said(folder)[1]), "the run is gone")
    assert not folder.exit.exists()
    os.kill(int(said(folder)[0]), signal.SIGKILL)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"command":["true"]}'])
def test_an_order_that_says_nothing_is_not_carried_out(folder: RunFolder, supervise: Supervise, content: bytes) -> None:
    process = supervise("echo up", order=content)
    got = ended(folder, process)
    assert got.ending is Ending.UNSTARTED
    assert "order.json can't be read" in got.problem


def test_a_run_that_ends_on_a_full_disk_says_how_all_the_same(supervise: Supervise, folder: RunFolder) -> None:
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder.path)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a full disk is made with a small tmpfs, which only root can mount")
    try:
        process = supervise("dd if=/dev/zero of=full bs=1k; exit 3")
        found = ended(folder, process)
        assert (found.ending, found.code) == (Ending.EXITED, 3)
        assert (folder.path / "full").stat().st_size > 0
    finally:
        subprocess.run(["umount", "--lazy", str(folder.path)], check=False)
