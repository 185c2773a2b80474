"""What a person, or a train.py, does to the session's files while the loop runs: it goes on, and nothing is lost."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from engine import commands, events, journal
from engine.control import Control
from engine.events import EventFollower, EventLog
from engine.journal import InFlight, Phase
from engine.launch import start_detached
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.workspaces import (
    PROGRAM,
    TRAIN,
    check_settled,
    environment,
    experiments,
    git,
    living_runs_of,
    make,
    run,
    start,
    until,
)


@pytest.fixture
def workspace(measured: Workspace) -> Workspace:
    return measured


def seen(workspace: Workspace, kind: type) -> list:
    return [event for event in EventFollower(workspace.events) if isinstance(event, kind)]


def warnings(workspace: Workspace) -> str:
    return "\n".join(each.message for each in seen(workspace, events.Warned))


def is_training(workspace: Workspace, run_number: int) -> bool:
    return any(event.run == run_number for event in seen(workspace, events.RunStarted))


def propose(workspace: Workspace, phase: Phase = Phase.PROPOSED, idea: str = "") -> InFlight:
    """An engine was killed with this experiment under way: DEPTH 4 → 5."""
    parent = git(workspace.root, "rev-parse", "HEAD")
    flight = InFlight(
        id="abc", run=2, phase=phase, parent=parent, description="DEPTH 4 → 5", source="search", idea=idea
    )
    folder = workspace.run_folder(2)
    folder.path.mkdir(parents=True)
    folder.train.write_text(TRAIN.replace("DEPTH = 4", "DEPTH = 5"))
    folder.diff.write_text("")
    journal.save(workspace, flight)
    return flight


def commit_train(workspace: Workspace, before: str, after: str) -> str:
    workspace.train.write_text(workspace.train.read_text().replace(before, after))
    git(workspace.root, "commit", "--quiet", "-am", "my own idea")
    return git(workspace.root, "rev-parse", "HEAD")


def test_a_commit_of_train_py_before_the_candidates_puts_the_candidate_off(workspace: Workspace) -> None:
    propose(workspace)
    mine = commit_train(workspace, "SEED = 1", "SEED = 7")
    assert run(workspace, "--experiments", "1", seconds=0).returncode == 0

    second = experiments(workspace)[1]
    assert (second.commit, second.source, second.status) == (mine, "person", "keep")
    assert "is put off" in warnings(workspace)
    assert list(workspace.rescued.glob("run-0002-*"))
    assert git(workspace.root, "show", "HEAD:train.py") + "\n" == workspace.train.read_text()
    assert "SEED = 7" in workspace.train.read_text() and not workspace.journal.exists()


def test_a_commit_of_other_files_before_the_candidates_changes_nothing(workspace: Workspace) -> None:
    propose(workspace)
    (workspace.root / "notes.txt").write_text("mine\n")
    git(workspace.root, "add", "notes.txt")
    git(workspace.root, "commit", "--quiet", "-m", "notes: mine")
    assert run(workspace, "--experiments", "1", seconds=0).returncode == 0

    assert [each.description for each in experiments(workspace)] == ["baseline", "DEPTH 4 → 5"]
    check_settled(workspace)


def test_a_commit_of_train_py_before_the_run_begins_puts_the_experiment_aside(workspace: Workspace) -> None:
    flight = propose(workspace)
    git(workspace.root, "rm", "-q", "--cached", "train.py")
    workspace.train.write_bytes(workspace.run_folder(2).train.read_bytes())
    git(workspace.root, "add", "train.py")
    git(workspace.root, "commit", "--quiet", "-m", "experiment: DEPTH 4 → 5\n\nExperiment-Id: abc")
    mine = commit_train(workspace, "SEED = 1", "SEED = 7")
    assert flight.phase is Phase.PROPOSED
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    second, third = experiments(workspace)[1:]
    assert (second.id, second.status, second.result, second.metric) == ("abc", "discard", "skipped", None)
    assert (third.commit, third.source, third.status) == (mine, "person", "keep")
    assert "SEED = 7" in workspace.train.read_text()


def test_an_edit_while_the_experiment_waits_to_run_is_saved_and_the_candidate_is_what_runs(
    workspace: Workspace,
) -> None:
    propose(workspace)
    workspace.train.write_text(workspace.train.read_text() + "# half an idea\n")
    assert run(workspace, "--experiments", "1", seconds=0).returncode == 0

    assert [each.description for each in experiments(workspace)] == ["baseline", "DEPTH 4 → 5"]
    (patch,) = workspace.rescued.glob("*.patch")
    assert "+# half an idea" in patch.read_text()
    check_settled(workspace)


def test_trouble_waits_with_the_experiment_under_way_until_it_is_told_to_go_on(workspace: Workspace) -> None:
    start_detached(workspace, experiments=2)
    until(lambda: is_training(workspace, 2), "run 2")
    branch = git(workspace.root, "branch", "--show-current")
    git(workspace.root, "switch", "--quiet", "--discard-changes", "main")
    until(lambda: seen(workspace, events.Paused), "the pause")
    commands.send(workspace, commands.Annotate(run=1, text="seen while it waits"))
    until(lambda: seen(workspace, events.CommandDone), "the note")

    (paused,) = seen(workspace, events.Paused)
    assert f"git switch {branch}" in paused.reason
    assert journal.load(workspace) is not None
    git(workspace.root, "switch", "--quiet", branch)
    commands.send(workspace, commands.Resume())
    until(lambda: engine_of(workspace) is None, "the end of the session")
    assert len(experiments(workspace)) == 3
    check_settled(workspace)


def test_a_new_engine_tries_again_what_stopped_the_last_one_but_keeps_a_persons_pause(workspace: Workspace) -> None:
    log = EventLog(workspace)
    log.emit(events.Paused())
    log.emit(events.Paused(reason="the disk is full"))
    control = Control(workspace, log, EventFollower(workspace.events))
    assert control.in_trouble
    control.try_again()
    assert (control.in_trouble, control.paused) == (False, True)


def test_a_skip_during_the_checks_is_a_skip(tmp_path: Path) -> None:
    workspace = make(
        tmp_path / "checked", checks="#!/bin/sh\ngrep -q 'DEPTH = 4' train.py && exit 0\ntouch checking\nsleep 60\n"
    )
    process = start(workspace, "--experiments", "1", seconds=0)
    commands.send(workspace, commands.Enqueue(text="DEPTH=6"))
    until((workspace.root / "checking").exists, "the checks")
    commands.send(workspace, commands.Skip(run=2))
    process.communicate()

    second = experiments(workspace)[1]
    assert (second.status, second.result, second.metric) == ("discard", "skipped", None)
    check_settled(workspace)


def test_what_was_skipped_may_be_tried_again(workspace: Workspace) -> None:
    for number in (2, 3):
        process = start(workspace, "--experiments", str(number - 1), seconds=2)
        commands.send(workspace, commands.Enqueue(text="DEPTH=6"))
        until(lambda number=number: is_training(workspace, number), "the run")
        if number == 2:
            commands.send(workspace, commands.Skip(run=number))
        process.communicate()

    skipped, again = (each for each in experiments(workspace) if each.source == "queue")
    assert (skipped.result, skipped.metric, again.result) == ("skipped", None, None)
    assert again.status == "keep"


def test_an_idea_waits_in_the_queue_until_it_is_a_commit(workspace: Workspace) -> None:
    log = EventLog(workspace)
    log.emit(events.IdeaQueued(id="mine", text="DEPTH=5"))
    propose(workspace, idea="mine")
    commit_train(workspace, "SEED = 1", "SEED = 7")
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    person, idea = experiments(workspace)[1:]
    assert (person.source, idea.source, idea.description) == ("person", "queue", "DEPTH 4 → 5")
    assert [(each.id, each.run) for each in seen(workspace, events.IdeaTaken)] == [("mine", 3)]


@pytest.mark.parametrize("damage", ["deleted", "emptied", "cut"])
def test_lines_that_vanish_from_the_ledger_are_put_back(workspace: Workspace, damage: str) -> None:
    process = start(workspace, "--experiments", "3", seconds=1)
    until(lambda: is_training(workspace, 3), "run 3")
    before = workspace.ledger.read_bytes()
    if damage == "deleted":
        workspace.ledger.unlink()
    else:
        workspace.ledger.write_bytes(b"" if damage == "emptied" else b"".join(before.splitlines(True)[:2]))
    process.communicate()

    assert process.returncode == 0
    assert workspace.ledger.read_bytes().startswith(before)
    assert [each.run for each in experiments(workspace)] == [1, 2, 3, 4]
    assert "put back" in warnings(workspace)
    check_settled(workspace)


def test_a_ledger_that_a_person_shortened_between_sessions_is_taken_and_the_old_one_saved(workspace: Workspace) -> None:
    run(workspace, "--experiments", "2", seconds=0)
    lines = workspace.ledger.read_bytes().splitlines(True)
    workspace.ledger.write_bytes(b"".join(lines[:-1]))
    run(workspace, "--experiments", "1", seconds=0)

    assert workspace.ledger.read_bytes() == b"".join(lines[:-1])
    (saved,) = workspace.rescued.glob("autoresearch.jsonl.*")
    assert saved.read_bytes() == b"".join(lines)


def test_a_run_folder_that_is_removed_costs_the_run_but_not_the_session(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "2", seconds=1)
    until(lambda: is_training(workspace, 2), "run 2")
    shutil.rmtree(workspace.run_folder(2).path)
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert [each.run for each in experiments(workspace)] == [1, 2, 3]
    assert experiments(workspace)[1].status == "crash"
    assert workspace.run_folder(2).train.exists()
    assert living_runs_of(workspace) == []


@pytest.mark.parametrize("damage", ["removed", "emptied", "garbage"])
def test_without_its_journal_an_experiment_under_way_is_found_in_git(workspace: Workspace, damage: str) -> None:
    process = start(workspace, "--experiments", "2", seconds=1.5)
    until(lambda: is_training(workspace, 2), "run 2")
    process.kill()
    process.communicate()
    identity = journal.load(workspace)
    assert identity is not None
    if damage == "removed":
        workspace.journal.unlink()
    else:
        workspace.journal.write_bytes(b"" if damage == "emptied" else b"\xff{")
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0

    found = experiments(workspace)
    assert [each.run for each in found] == [1, 2, 3]
    assert found[1].id == identity.id and found[1].source != "person"
    check_settled(workspace)


def test_a_persons_commit_that_does_not_run_is_not_measured_for_ever(workspace: Workspace) -> None:
    commit = commit_train(workspace, "import math\n", "import maths\n")
    stuck = run(workspace, "--experiments", "5", seconds=0)

    assert stuck.returncode == 1
    assert commit[:10] in stuck.stderr and "No module named 'maths'" in stuck.stderr
    assert [each.status for each in experiments(workspace)] == ["keep", "crash", "crash", "crash"]
    commit_train(workspace, "import maths\n", "import math\n# mended\n")
    assert run(workspace, "--experiments", "4", seconds=0).returncode == 0
    assert experiments(workspace)[4].status == "keep"


def test_no_commit_is_put_into_a_persons_merge(workspace: Workspace) -> None:
    git_directory = workspace.root / ".git"
    (git_directory / "MERGE_HEAD").write_text(git(workspace.root, "rev-parse", "main") + "\n")
    head = git(workspace.root, "rev-parse", "HEAD")
    stuck = run(workspace, "--experiments", "1", seconds=0)
    assert stuck.returncode in (1, 2) and "merge" in stuck.stderr
    assert git(workspace.root, "rev-parse", "HEAD") == head
    (git_directory / "MERGE_HEAD").unlink()
    assert run(workspace, "--experiments", "1", seconds=0).returncode == 0


def test_a_lock_of_git_that_goes_away_by_itself_is_waited_for(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "3", seconds=0.5)
    lock = workspace.root / ".git" / "index.lock"
    until(lambda: is_training(workspace, 2), "run 2")
    lock.touch()
    until(lambda: is_training(workspace, 2) and len(seen(workspace, events.Judged)) > 1, "the verdict on run 2")
    lock.unlink()
    _, said = process.communicate()
    assert process.returncode == 0, said
    check_settled(workspace)


def test_what_nobody_foresaw_pauses_with_a_sentence(workspace: Workspace) -> None:
    workspace.train.write_bytes(workspace.train.read_bytes() + b"# caf\xe9\n")
    git(workspace.root, "commit", "--quiet", "-am", "latin-1")
    stuck = run(workspace, "--experiments", "1", seconds=0)
    assert stuck.returncode in (1, 2)
    assert len(stuck.stderr.strip().splitlines()[-1]) < 400 and "Traceback" not in stuck.stderr.splitlines()[-1]
    assert [json.loads(line).get("run") for line in workspace.ledger.read_text().splitlines()] == [None, 1]


def test_one_engine_holds_the_workspace_and_its_ledger_though_git_clean_takes_all_it_ignores(
    workspace: Workspace,
) -> None:
    process = start(workspace, "--experiments", "3", seconds=3)
    until(lambda: is_training(workspace, 2), "run 2")
    before = workspace.ledger.read_bytes()
    # Its exit status is 1 where the engine has written a file anew before git came to the folder that holds it.
    subprocess.run(["git", "clean", "-fdxq"], cwd=workspace.root, check=False)
    until(lambda: engine_of(workspace) is not None, "the engine's word that it is there")
    second = run(workspace, "--experiments", "3", seconds=0)
    _, said = process.communicate()

    assert second.returncode == 2 and "already runs" in second.stderr
    assert process.returncode == 0, said
    assert workspace.ledger.read_bytes().startswith(before)
    assert [each.run for each in experiments(workspace)] == [1, 2, 3, 4]
    assert living_runs_of(workspace) == []


def test_a_persons_edit_of_the_rules_between_runs_holds_from_then_on(workspace: Workspace) -> None:
    commands.send(workspace, commands.Pause())
    start_detached(workspace, experiments=1)
    until(lambda: seen(workspace, events.Paused), "the pause")
    workspace.settings.write_text(workspace.settings.read_text().replace("limit_seconds = 600", "limit_seconds = 555"))
    git(workspace.root, "commit", "--quiet", "-am", "notes: a shorter limit")
    commands.send(workspace, commands.Resume())
    until(lambda: engine_of(workspace) is None, "the end of the session")

    assert experiments(workspace)[1].status in ("keep", "discard")
    assert "limit_seconds = 555" in workspace.settings.read_text()
    assert [each.limit_seconds for each in seen(workspace, events.RunStarted)][-1] == 555
    assert "holds from now on" in warnings(workspace)
    check_settled(workspace)


def test_rules_that_are_committed_in_mid_run_stay_and_a_person_is_asked_to_look(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "3", seconds=3)
    until(lambda: is_training(workspace, 2), "run 2")
    workspace.settings.write_text(workspace.settings.read_text().replace("limit_seconds = 600", "limit_seconds = 555"))
    git(workspace.root, "commit", "--quiet", "-m", "notes: a shorter limit", "autoresearch.toml")
    _, said = process.communicate()

    assert process.returncode == 1
    assert "autoresearch.toml was changed and committed during a run" in said.strip().splitlines()[-1]
    assert experiments(workspace)[1].status == "checks_failed"
    assert git(workspace.root, "status", "--porcelain") == ""
    assert run(workspace, "--experiments", "2", seconds=0).returncode == 0
    assert "limit_seconds = 555" in workspace.settings.read_text()
    check_settled(workspace)


@pytest.mark.parametrize("killed", [False, True])
def test_a_directory_in_the_place_of_train_py_is_moved_aside(workspace: Workspace, killed: bool) -> None:
    process = start(workspace, "--experiments", "1", seconds=2)
    until(lambda: is_training(workspace, 2), "run 2")
    if killed:
        process.kill()
    workspace.train.unlink()
    workspace.train.mkdir()
    (workspace.train / "mine").write_text("kept\n")
    _, said = process.communicate()
    if killed:
        assert run(workspace, "--experiments", "1", seconds=0).returncode == 0
    else:
        assert process.returncode == 0, said

    (aside,) = workspace.rescued.glob("train.py.*")
    assert (aside / "mine").read_text() == "kept\n"
    check_settled(workspace)


def test_an_experiment_whose_commit_is_gone_from_the_repository_is_recorded_and_left(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "2", seconds=3)
    until(lambda: is_training(workspace, 2), "run 2")
    git(workspace.root, "reset", "--quiet", "--hard", "HEAD~1")
    git(workspace.root, "reflog", "expire", "--expire=now", "--all")
    git(workspace.root, "gc", "--quiet", "--prune=now")
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert [each.run for each in experiments(workspace)] == [1, 2, 3]
    assert not workspace.journal.exists()
    assert git(workspace.root, "status", "--porcelain") == ""


def test_output_that_cannot_be_written_does_not_end_the_night(workspace: Workspace) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "run", str(workspace.root), "--headless", "--experiments", "1"],
            env=environment(0) | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
    assert b"Traceback" not in done.stderr
    assert len(experiments(workspace)) == 2
    check_settled(workspace)
