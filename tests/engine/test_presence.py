"""One engine per workspace: a lock that dies with its holder, and a file that says who it is."""

import multiprocessing
import os
import signal
import subprocess
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import msgspec
import psutil
import pytest

from engine import commands
from engine.errors import UnusableWorkspace
from engine.presence import Holder, birth, engine_of, holding
from engine.workspace import Workspace
from tests.engine.workspaces import until


def _hold(root: Path, holds: Event, let_go: Event) -> None:
    with holding(Workspace(root)):
        holds.set()
        let_go.wait()


@pytest.fixture
def other(workspace: Workspace) -> multiprocessing.Process:
    """Another process that holds the workspace."""
    holds, let_go = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=_hold, args=(workspace.root, holds, let_go), daemon=True)
    process.start()
    assert holds.wait(60)
    process.let_go = let_go  # type: ignore[attr-defined]
    return process


def test_nobody_holds_a_new_workspace(workspace: Workspace) -> None:
    assert engine_of(workspace) is None
    assert list(workspace.root.iterdir()) == []


def test_who_holds_a_workspace_is_known_to_everybody(workspace: Workspace) -> None:
    with holding(workspace) as holder:
        assert holder.pid == os.getpid()
        assert engine_of(workspace) == holder
    assert engine_of(workspace) is None


def test_what_had_been_asked_before_a_workspace_was_taken_is_known(workspace: Workspace) -> None:
    with holding(workspace) as holder:
        assert holder.commands_size == 0
        commands.send(workspace, commands.Pause())
    with holding(workspace) as holder:
        commands.send(workspace, commands.Pause())
        assert 0 < holder.commands_size < workspace.commands.stat().st_size
        assert engine_of(workspace) == holder


def test_a_second_engine_is_refused_with_a_sentence_that_names_the_first(
    workspace: Workspace, other: multiprocessing.Process
) -> None:
    with pytest.raises(UnusableWorkspace, match=f"process id {other.pid}"), holding(workspace):
        pass
    holder = engine_of(workspace)
    assert holder is not None
    assert holder.pid == other.pid


def test_being_refused_takes_nothing_from_the_one_that_holds(
    workspace: Workspace, other: multiprocessing.Process
) -> None:
    for _ in range(2):
        with pytest.raises(UnusableWorkspace), holding(workspace):
            pass
    assert workspace.engine_pid.exists()


def test_a_workspace_that_was_let_go_can_be_held_again(workspace: Workspace, other: multiprocessing.Process) -> None:
    other.let_go.set()  # type: ignore[attr-defined]
    other.join()
    assert engine_of(workspace) is None
    with holding(workspace):
        pass


def test_a_killed_engine_holds_nothing_and_its_file_fools_nobody(
    workspace: Workspace, other: multiprocessing.Process
) -> None:
    other.kill()
    other.join()
    assert workspace.engine_pid.exists()
    assert engine_of(workspace) is None
    with holding(workspace) as holder:
        assert engine_of(workspace) == holder


def test_a_dead_engine_that_nobody_has_collected_yet_is_dead(workspace: Workspace) -> None:
    process = subprocess.Popen(["sleep", "1000"])
    born = birth(psutil.Process(process.pid))
    workspace.state.mkdir()
    workspace.engine_pid.write_bytes(msgspec.json.encode(Holder(process.pid, born, time.time())))
    assert engine_of(workspace) is not None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: engine_of(workspace) is None, "the zombie is taken for dead")
    process.wait()


def test_a_later_process_with_the_same_number_is_not_taken_for_the_engine(workspace: Workspace) -> None:
    workspace.state.mkdir()
    born = birth(psutil.Process()) - 1
    workspace.engine_pid.write_bytes(msgspec.json.encode(Holder(os.getpid(), born, born)))
    assert engine_of(workspace) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say it otherwise")
def test_a_birth_is_counted_from_the_machines_own_and_not_by_the_clock() -> None:
    assert 0 < birth(psutil.Process()) <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    "content",
    [
        b'{"pid":99999999999999999999,"born":0,"started":0}',
        b"",
        b"{",
        b"[]",
        b'{"pid":"x"}',
        b'{"pid":-1,"born":0,"started":0}',
        b"\xff",
    ],
)
def test_a_file_that_says_nothing_is_nobody(workspace: Workspace, content: bytes) -> None:
    workspace.state.mkdir()
    workspace.engine_pid.write_bytes(content)
    assert engine_of(workspace) is None


def test_an_engine_that_fails_lets_go(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError), holding(workspace):
        raise RuntimeError
    assert engine_of(workspace) is None
    with holding(workspace):
        pass
