"""The rules of the game are as they were after every run, and what a run made of them is kept for a look."""

import itertools
import os
import shutil
from pathlib import Path

import pytest

from engine.guards import MANIFEST, Guards
from engine.workspace import CHECKS, GUARDED, Workspace
from tests.engine.conftest import snapshot


@pytest.fixture
def guards(workspace: Workspace) -> Guards:
    for name in GUARDED:
        (workspace.root / name).write_bytes(f"{name} as it was\r\n".encode())
    workspace.benchmark.chmod(0o755)
    workspace.train.write_text("DEPTH = 2\n")
    return Guards(workspace, committed)


def committed(name: str) -> bytes | None:
    """HEAD: everything but the checks, which nobody committed."""
    return None if name == CHECKS else f"{name} as committed\n".encode()


_runs = itertools.count(1)


def restore(workspace: Workspace, guards: Guards) -> tuple[str, ...]:
    """As after a run of its own."""
    return guards.restore(workspace.run_folder(next(_runs)))


def take_over(workspace: Workspace) -> Guards:
    """As an engine makes them that finds a run under way."""
    return Guards(workspace, committed, in_flight=True)


def ours(workspace: Workspace) -> dict[str, tuple[int, bytes]]:
    """Everything but the engine's own."""
    return {path: each for path, each in snapshot(workspace.root).items() if not path.startswith(".autoresearch/")}


def rescued(workspace: Workspace) -> list[bytes]:
    return [each.read_bytes() for each in workspace.rescued.glob("*")]


def test_where_nothing_was_touched_nothing_happens(workspace: Workspace, guards: Guards) -> None:
    before = snapshot(workspace.root)
    assert restore(workspace, guards) == ()
    assert snapshot(workspace.root) == before


@pytest.mark.parametrize("name", GUARDED)
def test_a_changed_file_is_restored_said_and_kept_aside(workspace: Workspace, guards: Guards, name: str) -> None:
    before = ours(workspace)
    (workspace.root / name).write_bytes(b"cheat \xff")
    (sentence,) = restore(workspace, guards)
    assert f"{name} was changed" in sentence
    assert (workspace.root / sentence.split()[-1]).read_bytes() == b"cheat \xff"
    assert ours(workspace) == before
    assert rescued(workspace) == [b"cheat \xff"]
    assert restore(workspace, guards) == ()


@pytest.mark.parametrize("name", GUARDED)
def test_a_removed_file_is_restored_and_said(workspace: Workspace, guards: Guards, name: str) -> None:
    before = ours(workspace)
    (workspace.root / name).unlink()
    (sentence,) = restore(workspace, guards)
    assert f"{name} was removed" in sentence
    assert ours(workspace) == before


def test_a_script_that_is_no_longer_executable_is_made_so_again(workspace: Workspace, guards: Guards) -> None:
    workspace.benchmark.chmod(0o644)
    restore(workspace, guards)
    assert os.access(workspace.benchmark, os.X_OK)


def test_a_guarded_file_that_was_not_there_is_taken_away_again_and_kept_aside(workspace: Workspace) -> None:
    guards = Guards(workspace, committed)
    workspace.checks.write_text("#!/bin/sh\nexit 0\n")
    (sentence,) = restore(workspace, guards)
    assert "autoresearch.checks.sh was added" in sentence
    assert not workspace.checks.exists()
    assert rescued(workspace) == [b"#!/bin/sh\nexit 0\n"]


def test_a_link_that_was_put_in_a_files_place_is_replaced_and_its_target_left_alone(
    workspace: Workspace, guards: Guards
) -> None:
    target = workspace.root / "target.py"
    target.write_text("cheat\n")
    workspace.prepare.unlink()
    workspace.prepare.symlink_to(target)
    assert len(restore(workspace, guards)) == 1
    assert not workspace.prepare.is_symlink()
    assert target.read_text() == "cheat\n"


def test_a_directory_that_was_put_in_a_files_place_is_replaced(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.unlink()
    workspace.prepare.mkdir()
    assert len(restore(workspace, guards)) == 1
    assert workspace.prepare.read_bytes() == b"prepare.py as it was\r\n"


def test_every_violation_is_said(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.write_text("cheat\n")
    workspace.settings.unlink()
    assert len(restore(workspace, guards)) == 2


def test_train_py_is_free(workspace: Workspace, guards: Guards) -> None:
    workspace.train.write_text("DEPTH = 3\n")
    assert restore(workspace, guards) == ()
    assert workspace.train.read_text() == "DEPTH = 3\n"


def test_an_engine_that_takes_over_in_mid_run_trusts_the_copy_and_not_what_it_finds(
    workspace: Workspace, guards: Guards
) -> None:
    before = workspace.prepare.read_bytes()
    workspace.prepare.write_bytes(b"tampered with, then the engine was killed")
    (sentence,) = restore(workspace, take_over(workspace))

    assert "prepare.py was changed" in sentence
    assert workspace.prepare.read_bytes() == before


def test_a_persons_edit_between_two_sessions_is_the_new_original(workspace: Workspace, guards: Guards) -> None:
    workspace.prepare.write_bytes(b"the person's own")
    assert restore(workspace, Guards(workspace, committed)) == ()
    assert workspace.prepare.read_bytes() == b"the person's own"


# ------------------------------------------------------------------------------------ the copy for a later engine


def copy_of(workspace: Workspace) -> Path:
    return workspace.state / "guarded"


def test_an_engine_that_lives_needs_no_copy_and_leaves_a_whole_one_again(workspace: Workspace, guards: Guards) -> None:
    before, kept = ours(workspace), snapshot(copy_of(workspace))
    shutil.rmtree(copy_of(workspace))
    assert restore(workspace, guards) == ()
    assert ours(workspace) == before
    assert snapshot(copy_of(workspace)) == kept


@pytest.mark.parametrize("name", GUARDED)
def test_a_run_gains_nothing_by_changing_the_copy(workspace: Workspace, guards: Guards, name: str) -> None:
    before = ours(workspace)
    for place in (workspace.root, copy_of(workspace)):
        (place / name).write_bytes(b"cheat")
    assert len(restore(workspace, guards)) == 1
    assert ours(workspace) == before


@pytest.mark.parametrize("rest", ["nothing", "no manifest", "half a manifest", "a file"])
def test_an_engine_that_takes_over_without_a_copy_takes_what_is_committed_and_loses_nothing(
    workspace: Workspace, guards: Guards, rest: str
) -> None:
    manifest = copy_of(workspace) / MANIFEST
    match rest:
        case "nothing" | "a file":
            shutil.rmtree(copy_of(workspace))
            if rest == "a file":
                copy_of(workspace).touch()
        case "no manifest":
            manifest.unlink()
        case _:
            manifest.write_bytes(manifest.read_bytes()[:20])
    found = workspace.prepare.read_bytes()
    restore(workspace, take_over(workspace))
    assert workspace.prepare.read_bytes() == b"prepare.py as committed\n"
    assert found in rescued(workspace)
    assert workspace.checks.read_bytes() == b"autoresearch.checks.sh as it was\r\n"
    assert os.access(workspace.benchmark, os.X_OK)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_of_a_copy_with_one_damaged_file_the_others_hold(workspace: Workspace, guards: Guards, damage: str) -> None:
    kept = copy_of(workspace) / "pyproject.toml"
    kept.unlink() if damage == "missing" else kept.write_bytes(b"cheat")
    (workspace.root / "pyproject.toml").write_bytes(b"pyproject.toml as committed\n")
    before = ours(workspace)
    assert restore(workspace, take_over(workspace)) == ()
    assert ours(workspace) == before


def test_a_file_of_which_nobody_knows_how_it_was_is_left_alone(workspace: Workspace, guards: Guards) -> None:
    (copy_of(workspace) / CHECKS).unlink()
    workspace.checks.write_bytes(b"the person's, perhaps")
    for _ in range(2):
        assert restore(workspace, take_over(workspace)) == ()
    assert workspace.checks.read_bytes() == b"the person's, perhaps"


def test_that_there_was_no_file_is_known_to_an_engine_that_takes_over(workspace: Workspace) -> None:
    Guards(workspace, committed)
    workspace.checks.write_text("exit 0\n")
    (sentence,) = restore(workspace, take_over(workspace))
    assert "autoresearch.checks.sh was added" in sentence
    assert not workspace.checks.exists()


def test_what_is_no_file_in_a_files_place_is_moved_aside(workspace: Workspace, guards: Guards) -> None:
    before = ours(workspace)
    workspace.prepare.unlink()
    os.mkfifo(workspace.prepare)
    (sentence,) = restore(workspace, guards)
    assert "prepare.py was changed" in sentence
    assert ours(workspace) == before


def test_what_a_run_did_is_known_to_an_engine_that_takes_over_once_it_is_mended(
    workspace: Workspace, guards: Guards
) -> None:
    folder = workspace.run_folder(7)
    workspace.prepare.write_bytes(b"cheat")
    workspace.settings.unlink()
    said = guards.restore(folder)
    assert len(said) == 2
    assert take_over(workspace).restore(folder) == said
    assert take_over(workspace).restore(workspace.run_folder(8)) == ()


def test_a_file_that_was_moved_aside_when_the_engine_was_killed_is_still_said_to_be_changed(
    workspace: Workspace, guards: Guards
) -> None:
    folder, before = workspace.run_folder(7), ours(workspace)
    workspace.prepare.write_bytes(b"cheat")
    said = guards.restore(folder)
    workspace.prepare.unlink()  # as if killed before it was put back
    assert take_over(workspace).restore(folder) == said
    assert ours(workspace) == before
