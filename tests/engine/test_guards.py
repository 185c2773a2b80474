"""The rules of the game are as they were after every run, and what a run made of them is kept for a look."""

import os

import pytest

from engine.guards import Guards
from engine.workspace import GUARDED, Workspace
from tests.engine.conftest import snapshot


@pytest.fixture
def guards(workspace: Workspace) -> Guards:
    for name in GUARDED:
        (workspace.root / name).write_bytes(f"{name} as it was\r\n".encode())
    workspace.benchmark.chmod(0o755)
    workspace.train.write_text("DEPTH = 2\n")
    return Guards(workspace)


def ours(workspace: Workspace) -> dict[str, tuple[int, bytes]]:
    """Everything but the engine's own."""
    return {path: each for path, each in snapshot(workspace.root).items() if not path.startswith(".autoresearch/")}


def rescued(workspace: Workspace) -> list[bytes]:
    return [each.read_bytes() for each in workspace.rescued.glob("*")]


def test_where_nothing_was_touched_nothing_happens(workspace: Workspace, guards: Guards) -> None:
    before = snapshot(workspace.root)
    assert guards.restore() == ()
    assert snapshot(workspace.root) == before


@pytest.mark.parametrize("name", GUARDED)
def test_a_changed_file_is_restored_said_and_kept_aside(workspace: Workspace, guards: Guards, name: str) -> None:
    before = ours(workspace)
    (workspace.root / name).write_bytes(b"cheat \xff")
    (sentence,) = guards.restore()
    assert f"{name} was changed" in sentence
    assert ours(workspace) == before
    assert rescued(workspace) == [b"cheat \xff"]
    assert guards.restore() == ()


@pytest.mark.parametrize("name", GUARDED)
def test_a_removed_file_is_restored_and_said(workspace: Workspace, guards: Guards, name: str) -> None:
    before = ours(workspace)
    (workspace.root / name).unlink()
    (sentence,) = guards.restore()
    assert f"{name} was removed" in sentence
    assert ours(workspace) == before


def test_a_script_that_is_no_longer_executable_is_made_so_again(workspace: Workspace, guards: Guards) -> None:
    workspace.benchmark.chmod(0o644)
    guards.restore()
    assert os.access(workspace.benchmark, os.X_OK)


def test_a_guarded_file_that_was_not_there_is_taken_away_again_and_kept_aside(workspace: Workspace) -> None:
    guards = Guards(workspace)
    workspace.checks.write_text("#!/bin/sh\nexit 0\n")
    (sentence,) = guards.restore()
    assert "autoresearch.checks.sh was changed" in sentence
    assert not workspace.checks.exists()
    assert rescued(workspace) == [b"#!/bin/sh\nexit 0\n"]


def test_a_link_that_was_put_in_a_files_place_is_replaced_and_its_target_left_alone(
    workspace: Workspace, guards: Guards
) -> None:
    target = workspace.root / "target.py"
    target.write_text("cheat\n")
    workspace.prepare.unlink()
    workspace.prepare.symlink_to(target)
    assert len(guards.restore()) == 1
    assert not workspace.prepare.is_symlink()
    assert target.read_text() == "cheat\n"


def test_a_directory_that_was_put_in_a_files_place_is_replaced(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.unlink()
    workspace.prepare.mkdir()
    assert len(guards.restore()) == 1
    assert workspace.prepare.read_bytes() == b"prepare.py as it was\r\n"


def test_every_violation_is_said(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.write_text("cheat\n")
    workspace.settings.unlink()
    assert len(guards.restore()) == 2


def test_train_py_is_free(workspace: Workspace, guards: Guards) -> None:
    workspace.train.write_text("DEPTH = 3\n")
    assert guards.restore() == ()
    assert workspace.train.read_text() == "DEPTH = 3\n"


def test_an_engine_that_takes_over_in_mid_run_trusts_the_copy_and_not_what_it_finds(
    workspace: Workspace, guards: Guards
) -> None:
    before = workspace.prepare.read_bytes()
    workspace.prepare.write_bytes(b"tampered with, then the engine was killed")
    (sentence,) = Guards(workspace, in_flight=True).restore()

    assert "prepare.py was changed" in sentence
    assert workspace.prepare.read_bytes() == before


def test_a_persons_edit_between_two_sessions_is_the_new_original(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.write_bytes(b"the person's own")
    assert Guards(workspace).restore() == ()
    assert workspace.prepare.read_bytes() == b"the person's own"
