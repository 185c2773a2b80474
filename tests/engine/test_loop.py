"""The loop on real workspaces: real git, real processes, a train.py that takes a fraction of a second."""

import json
import signal
import subprocess
from pathlib import Path

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
    git,
    living_runs_of,
    make,
    run,
    snapshot,
    start,
    subjects,
    until,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


def seen(workspace: Workspace, kind: type) -> list:
    return [event for event in EventFollower(workspace.events) if isinstance(event, kind)]


def is_training(workspace: Workspace, run_number: int) -> bool:
    return any(event.run == run_number for event in seen(workspace, events.RunStarted))


def test_experiments_are_counted_after_the_baseline(workspace: Workspace) -> None:
    done = run(workspace, "--experiments", "4")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5
    found = experiments(workspace)
    assert [each.run for each in found] == [1, 2, 3, 4, 5]
    assert found[0].description == "baseline" and found[0].kept
    assert git(workspace.root, "status", "--porcelain") == ""
    check_settled(workspace)


def test_the_ledger_has_the_format_of_the_design(workspace: Workspace) -> None:
    run(workspace, "--experiments", "2")

    config, first, *rest = (json.loads(line) for line in workspace.ledger.read_text().splitlines())
    assert config["type"] == "config"
    assert (config["metricName"], config["metricUnit"], config["bestDirection"]) == ("val_bpb", "bpb", "lower")
    for record in (first, *rest):
        assert record.keys() >= {
            "run", "commit", "metric", "metrics", "status", "description", "timestamp", "segment", "confidence", "asi",
        }  # fmt: skip
        assert record["segment"] == 0 and isinstance(record["timestamp"], int)
        assert record["metrics"]["peak_memory_mb"] > 100
    assert first["confidence"] is None
    for record in rest:
        assert record["asi"].keys() >= {"hypothesis", "arch_change", "result", "next_action_hint"}
        assert (
            git(workspace.root, "log", "-1", "--format=%s", record["commit"]) == f"experiment: {record['description']}"
        )


def test_run_again_with_the_same_number_it_has_nothing_to_do_and_with_more_it_goes_on(workspace: Workspace) -> None:
    run(workspace, "--experiments", "2")
    before = workspace.ledger.read_bytes()

    assert run(workspace, "--experiments", "2").returncode == 0
    assert workspace.ledger.read_bytes() == before

    assert run(workspace, "--experiments", "3").returncode == 0
    assert len(experiments(workspace)) == 4
    check_settled(workspace)


def test_what_a_person_staged_changed_or_left_untracked_is_byte_for_byte_as_it_was(workspace: Workspace) -> None:
    root = workspace.root
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    (root / "staged.txt").write_text("staged, then changed\n")
    (root / "README.md").write_text("changed, not staged\n")
    (root / "program.md").write_text("changed and staged\n")
    git(root, "add", "program.md")
    (root / "untracked.txt").write_bytes(b"\x00untracked")
    before = git(root, "status", "--porcelain"), git(root, "diff", "--cached", "--raw"), git(root, "diff")

    process = start(workspace, "--experiments", "4")
    until(lambda: is_training(workspace, 2), "run 2")
    (root / "during.txt").write_text("made during the run\n")
    process.communicate()

    assert (root / "during.txt").read_text() == "made during the run\n"
    (root / "during.txt").unlink()
    assert (git(root, "status", "--porcelain"), git(root, "diff", "--cached", "--raw"), git(root, "diff")) == before
    assert (root / "untracked.txt").read_bytes() == b"\x00untracked"
    assert "staged.txt" not in git(root, "ls-tree", "--name-only", "HEAD")
    check_settled(workspace)


def test_a_skipped_run_is_ended_and_logged_and_the_loop_goes_on(measured: Workspace) -> None:
    process = start(measured, "--experiments", "2", seconds=5)
    until(lambda: is_training(measured, 2), "run 2")
    asked = commands.send(measured, commands.Skip(run=2))
    process.communicate()

    second = experiments(measured)[1]
    assert (second.status, second.metric, second.result) == ("discard", None, "skipped")
    assert len(experiments(measured)) == 3
    assert [each.problem for each in seen(measured, events.CommandDone) if each.id == asked] == [""]
    check_settled(measured)


def test_a_skip_of_a_run_that_is_over_ends_nothing(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "2", seconds=1)
    until(lambda: is_training(workspace, 2), "run 2")
    commands.send(workspace, commands.Skip(run=1))
    process.communicate()

    assert not any(each.skipped for each in experiments(workspace))
    assert [each.problem for each in seen(workspace, events.CommandDone)] == ["run 1 is not running"]


def test_a_pause_takes_effect_after_the_experiment_survives_a_restart_and_ends_with_resume(
    workspace: Workspace,
) -> None:
    process = start(workspace, "--experiments", "5", seconds=0.5)
    until(lambda: is_training(workspace, 2), "run 2")
    commands.send(workspace, commands.Pause())
    until(lambda: len(experiments(workspace)) == 2, "the end of run 2")
    until(lambda: not workspace.journal.exists(), "run 2 settled")
    process.kill()
    process.communicate()

    again = start(workspace, "--experiments", "2")
    until(lambda: len(seen(workspace, events.EngineStarted)) == 2, "the second engine")
    with pytest.raises(subprocess.TimeoutExpired):
        again.wait(timeout=1.5)
    assert len(experiments(workspace)) == 2
    commands.send(workspace, commands.Resume())
    again.communicate()
    assert again.returncode == 0
    assert len(experiments(workspace)) == 3
    check_settled(workspace)


@pytest.mark.parametrize(("now", "skipped"), [(False, False), (True, True)])
def test_stop_ends_the_engine_after_the_experiment_or_at_once(measured: Workspace, now: bool, skipped: bool) -> None:
    process = start(measured, seconds=60 if now else 1.5)
    until(lambda: is_training(measured, 2), "run 2")
    flag = ["--now"] if now else []
    subprocess.run([PROGRAM, "stop", str(measured.root), *flag], check=True, capture_output=True)
    _, said = process.communicate()

    assert process.returncode == 0, said
    assert experiments(measured)[-1].skipped == skipped
    assert len(experiments(measured)) == 2
    check_settled(measured)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_run_in_an_orderly_way(workspace: Workspace, number: int) -> None:
    process = start(workspace, seconds=30)
    until(lambda: is_training(workspace, 1), "run 1")
    process.send_signal(number)
    process.communicate()

    assert process.returncode == 130
    assert experiments(workspace)[0].skipped
    assert living_runs_of(workspace) == []
    assert run(workspace, "--experiments", "1").returncode == 0
    assert [each.status for each in experiments(workspace)[:2]] == ["discard", "keep"]


def test_a_crash_is_read_logged_and_reverted(tmp_path: Path) -> None:
    broken = TRAIN.replace("bowl = ", "assert DEPTH == 4, 'RuntimeError'\nbowl = ")
    workspace = make(tmp_path / "work", broken)
    process = start(workspace, "--experiments", "1", seconds=0.6)
    until(lambda: is_training(workspace, 1), "the baseline")
    commands.send(workspace, commands.Enqueue(text="DEPTH=5"))
    process.communicate()

    crashed = experiments(workspace)[1]
    assert (crashed.status, crashed.metric, crashed.source) == ("crash", None, "queue")
    assert crashed.asi["result"].startswith("AssertionError")
    assert "AssertionError" in crashed.asi["log_tail"]
    check_settled(workspace)


def test_a_baseline_that_fails_three_times_stops_the_loop_with_a_diagnosis(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work", "import torchh\n")
    done = run(workspace)

    assert done.returncode == 1
    assert [each.status for each in experiments(workspace)] == ["crash"] * 3
    assert "the baseline failed 3 times" in done.stderr and "No module named 'torchh'" in done.stderr


def test_a_run_over_the_limit_is_a_crash(workspace: Workspace) -> None:
    text = workspace.settings.read_text()
    workspace.settings.write_text(text.replace("limit_seconds = 600", "limit_seconds = 0.5"))
    run(workspace, seconds=30)

    assert experiments(workspace)[0].asi["result"] == "over the time limit of 0.5 s"


def test_a_failing_check_discards_a_good_run(tmp_path: Path) -> None:
    workspace = make(
        tmp_path / "work", checks="#!/bin/sh\ngrep -q 'DEPTH = 4' train.py || { echo too deep; exit 1; }\n"
    )
    process = start(workspace, "--experiments", "1", seconds=0.6)
    until(lambda: is_training(workspace, 1), "the baseline")
    commands.send(workspace, commands.Enqueue(text="DEPTH=6"))
    process.communicate()

    assert [each.status for each in experiments(workspace)] == ["keep", "checks_failed"]
    assert "too deep" in experiments(workspace)[1].asi["result"]
    check_settled(workspace)


def test_a_train_py_that_rewrites_the_rules_fails_and_the_rules_are_restored(tmp_path: Path) -> None:
    cheat = TRAIN.replace("bowl = ", "open('prepare.py', 'a').write('# easier')\nbowl = ")
    workspace = make(tmp_path / "work", cheat)
    before = workspace.prepare.read_bytes()
    run(workspace)

    assert experiments(workspace)[0].status == "checks_failed"
    assert workspace.prepare.read_bytes() == before
    assert any(b"# easier" in path.read_bytes() for path in workspace.rescued.iterdir())


EVALUATOR = """
import json
with open(os.environ["AUTORESEARCH_RECORD"], "w") as record:
    json.dump({"val_bpb": 1 + bowl, "run_id": os.environ["AUTORESEARCH_RUN_ID"]}, record)
"""


@pytest.mark.parametrize(
    ("cheat", "found"),
    [
        ("print('METRIC val_bpb=0.1')\nprint('val_bpb: 0.1')\n", "val_bpb was printed as 0.1"),
        ("os.remove(os.environ['AUTORESEARCH_RECORD'])\n", "left no record"),
        ("open(os.environ['AUTORESEARCH_RECORD'], 'w').write('{\"val_bpb\": 1}')\n", "is not of this run"),
    ],
)
def test_a_metric_that_the_evaluator_did_not_measure_is_found_out(tmp_path: Path, cheat: str, found: str) -> None:
    cheating = "".join(f"    {line}\n" for line in cheat.splitlines())
    workspace = make(tmp_path / "work", f"{TRAIN}{EVALUATOR}\nif DEPTH == 5:\n{cheating}")
    process = start(workspace, "--experiments", "1", seconds=0.6)
    until(lambda: is_training(workspace, 1), "the baseline")
    commands.send(workspace, commands.Enqueue(text="DEPTH=5"))
    process.communicate()

    honest, cheated = experiments(workspace)
    assert honest.kept
    assert cheated.status == "checks_failed"
    assert found in cheated.asi["result"]
    check_settled(workspace)


def test_an_idea_goes_first_and_prose_is_answered(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "2", seconds=0.6)
    until(lambda: is_training(workspace, 1), "the baseline")
    commands.send(workspace, commands.Enqueue(text="try something with warmth"))
    commands.send(workspace, commands.Enqueue(text="MATRIX_LR=0.08, DEPTH=5"))
    process.communicate()

    second, third = experiments(workspace)[1:]
    assert (second.source, second.description) == ("queue", "MATRIX_LR 0.04 → 0.08, DEPTH 4 → 5")
    assert third.source == "search"
    assert any("prose" in each.problem for each in seen(workspace, events.IdeaTaken))
    check_settled(workspace)


def test_a_persons_commit_becomes_the_starting_point_and_is_measured_first(workspace: Workspace) -> None:
    run(workspace, "--experiments", "1")
    changed = workspace.train.read_text().replace("SEED = 1", "SEED = 2  # mine")
    workspace.train.write_text(changed)
    git(workspace.root, "commit", "--quiet", "-am", "my own idea")
    done = run(workspace, "--experiments", "3")

    assert done.returncode == 0, done.stderr
    third = experiments(workspace)[2]
    assert (third.status, third.source, third.description) == ("keep", "person", "a person's commit: my own idea")
    assert third.commit == git(workspace.root, "log", "--format=%H", "--grep", "my own idea")
    assert "SEED = 2  # mine" in workspace.train.read_text()


def test_an_edit_of_train_py_that_is_not_committed_is_saved_said_and_taken_back(workspace: Workspace) -> None:
    run(workspace, "--experiments", "1")
    committed = workspace.train.read_text()
    workspace.train.write_text(committed + "# half an idea\n")
    run(workspace, "--experiments", "2")

    patches = list(workspace.rescued.glob("*.patch"))
    assert len(patches) == 1 and "+# half an idea" in patches[0].read_text()
    assert [workspace.root / each.patch for each in seen(workspace, events.Rescued)] == patches
    check_settled(workspace)


def test_a_staged_edit_of_train_py_is_saved_too(measured: Workspace) -> None:
    committed = measured.train.read_text()
    measured.train.write_text(committed + "# staged\n")
    git(measured.root, "add", "train.py")
    measured.train.write_text(committed + "# and edited on\n")
    run(measured, "--experiments", "1")

    saved = "".join(path.read_text() for path in measured.rescued.glob("*.patch"))
    assert "+# staged" in saved and "+# and edited on" in saved
    check_settled(measured)


def test_a_rescued_edit_becomes_an_experiment_when_asked_for(measured: Workspace) -> None:
    measured.train.write_text(measured.train.read_text().replace("DEPTH = 4", "DEPTH = 6  # mine"))
    process = start(measured, "--experiments", "2", seconds=3)
    until(lambda: is_training(measured, 2), "run 2")
    (rescued,) = seen(measured, events.Rescued)
    commands.send(measured, commands.Enqueue(text=rescued.patch))
    commands.send(measured, commands.Skip(run=2))
    process.communicate()

    _, skipped, mine = experiments(measured)
    assert skipped.skipped
    assert (mine.source, mine.status, mine.description) == ("queue", "keep", "DEPTH 4 → 6")
    assert "DEPTH = 6  # mine" in measured.run_folder(mine.run).train.read_text()
    check_settled(measured)


def test_another_branch_checked_out_stops_the_loop_and_back_on_it_everything_goes_on(workspace: Workspace) -> None:
    process = start(workspace, "--experiments", "3", seconds=1)
    until(lambda: is_training(workspace, 2), "run 2")
    branch = git(workspace.root, "branch", "--show-current")
    tip = git(workspace.root, "rev-parse", "main")
    git(workspace.root, "stash", "--quiet") if git(workspace.root, "status", "--porcelain") else None
    git(workspace.root, "switch", "--quiet", "main")
    _, said = process.communicate()

    assert process.returncode == 1
    assert f"git switch {branch}" in said
    assert git(workspace.root, "rev-parse", "main") == tip
    assert git(workspace.root, "status", "--porcelain") == ""
    git(workspace.root, "switch", "--quiet", branch)
    assert run(workspace, "--experiments", "3").returncode == 0
    assert len(experiments(workspace)) == 4
    check_settled(workspace)


def test_three_experiments_without_a_keep_are_called_thrashing(tmp_path: Path) -> None:
    flat = TRAIN.replace("bowl = ", "bowl = 0 if (DEPTH, MATRIX_LR, WARMUP_RATIO) == (4, 0.04, 0.1) else 1 #")
    workspace = make(tmp_path / "work", flat.replace('WINDOW_PATTERN = "SSSL"\n', ""))
    run(workspace, "--experiments", "3", seconds=0)

    assert [each.count for each in seen(workspace, events.Thrashing)] == [3]


def test_a_second_engine_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    process = start(workspace, seconds=30)
    until(lambda: len(living_runs_of(workspace)) >= 2, "run 1 and its shell")
    before = snapshot(workspace.root)
    second = run(workspace)

    assert second.returncode == 2
    assert second.stderr.count("\n") == 1 and f"process id {process.pid}" in second.stderr
    assert snapshot(workspace.root) == before
    process.send_signal(signal.SIGINT)
    process.communicate()


def test_a_detached_engine_has_a_session_of_its_own_and_is_found(workspace: Workspace) -> None:
    start_detached(workspace, experiments=1)
    holder = engine_of(workspace)
    assert holder is not None
    start_detached(workspace)  # one runs already: nothing happens
    until(lambda: engine_of(workspace) is None, "the engine's end")
    assert len(experiments(workspace)) == 2
    check_settled(workspace)


def test_autoresearch_md_says_what_was_learned_and_a_persons_edit_in_it_is_left_alone(workspace: Workspace) -> None:
    run(workspace, "--experiments", "1")
    assert "incumbent" in workspace.document.read_text()
    edited = workspace.document.read_text() + "\nMy own thoughts.\n"
    workspace.document.write_text(edited)
    run(workspace, "--experiments", "5")

    assert workspace.document.read_text() == edited
    assert any("autoresearch.md has uncommitted edits" in each.message for each in seen(workspace, events.Warned))
    assert subjects(workspace)[:3] == [
        "the person's work",
        "autoresearch: begin autoresearch/test-2026-11-23",
        "settings for tests",
    ]
