"""What happened so far, read from the ledger and the runs' folders each time."""

import pytest

from engine.history import History
from engine.ledger import Config, Experiment, LedgerFile
from engine.workspace import Workspace

KEEP, DISCARD, CRASH, SKIP = "keep", "discard", "crash", "skip"


def recorded(workspace: Workspace, *outcomes: str) -> History:
    """A history of these outcomes, each with a folder and a train.py that says its number."""
    file = LedgerFile(workspace)
    for outcome in outcomes:
        skipped = outcome == SKIP
        experiment = file.append(
            Experiment(
                run=0,
                metric=None if outcome in (CRASH, SKIP) else 1.0,
                status=DISCARD if skipped else outcome,
                result="skipped" if skipped else None,
            )
        )
        folder = workspace.run_folder(experiment.run)
        folder.path.mkdir(parents=True)
        folder.train.write_text(f"N = {experiment.run}\n")
    return History.of(workspace)


def test_a_workspace_without_a_ledger_has_an_empty_history(workspace: Workspace) -> None:
    history = History.of(workspace)
    assert (history.next_run, history.incumbent, history.results()) == (1, None, [])
    assert (history.has(0), history.failed_baselines, history.without_keep) == (False, 0, 0)
    assert not workspace.ledger.exists()


@pytest.mark.parametrize(
    ("outcomes", "since", "failed", "without"),
    [
        ([KEEP], 0, 0, 0),
        ([KEEP, DISCARD], 1, 0, 1),
        ([KEEP, DISCARD, KEEP], 2, 0, 0),
        ([KEEP, DISCARD, CRASH, "checks_failed"], 3, 0, 3),
        ([KEEP, DISCARD, SKIP, DISCARD], 3, 0, 2),
        ([KEEP, SKIP], 1, 0, 0),
        ([CRASH, CRASH], None, 2, 2),
        ([CRASH, KEEP, DISCARD], 1, 0, 1),
    ],
)
def test_the_counts(workspace: Workspace, outcomes: list[str], since: int | None, failed: int, without: int) -> None:
    history = recorded(workspace, *outcomes)
    assert [history.has(count) for count in range(9)] == [since is not None and count <= since for count in range(9)]
    assert (history.failed_baselines, history.without_keep) == (failed, without)
    assert not history.has(None)
    assert history.next_run == len(outcomes) + 1


def test_only_the_current_segment_counts_but_runs_are_numbered_over_all(workspace: Workspace) -> None:
    recorded(workspace, KEEP, DISCARD, DISCARD)
    LedgerFile(workspace).open_segment(Config())
    history = History.of(workspace)
    assert (history.next_run, history.incumbent, history.without_keep) == (4, None, 0)


def test_every_result_comes_with_the_train_py_that_ran(workspace: Workspace) -> None:
    results = recorded(workspace, KEEP, CRASH).results()
    assert [(each.experiment.run, each.train) for each in results] == [(1, "N = 1\n"), (2, "N = 2\n")]


def test_a_run_whose_folder_is_gone_or_unreadable_is_left_out_of_the_results(workspace: Workspace) -> None:
    history = recorded(workspace, KEEP, DISCARD, DISCARD)
    workspace.run_folder(1).train.unlink()
    workspace.run_folder(2).train.write_bytes(b"\xff")
    assert [each.experiment.run for each in history.results()] == [3]


def test_a_run_that_lies_in_a_folder_of_another_number_is_found_there(workspace: Workspace) -> None:
    recorded(workspace, KEEP)
    folder = workspace.run_folder(7)
    folder.path.mkdir()
    folder.train.write_text("N = 7\n")
    LedgerFile(workspace).append(Experiment(run=0, folder=7, status=DISCARD))
    assert [each.train for each in History.of(workspace).results()] == ["N = 1\n", "N = 7\n"]


def test_the_incumbent_is_the_last_that_was_kept(workspace: Workspace) -> None:
    incumbent = recorded(workspace, KEEP, KEEP, DISCARD, CRASH).incumbent
    assert incumbent is not None
    assert incumbent.run == 2


def test_a_train_py_is_read_as_it_is_to_the_byte(workspace: Workspace) -> None:
    history = recorded(workspace, KEEP)
    workspace.run_folder(1).train.write_bytes(b"N = 1\r\nM = 2\r\n")
    assert history.results()[0].train == "N = 1\r\nM = 2\r\n"
