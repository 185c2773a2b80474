"""One look at a session: paused or cut off is said, counts agree with the ledger, one run is no "1 runs"."""

from uuid import uuid4

import pytest

from engine import events, journal, ledger, status
from engine.events import EventLog
from engine.journal import InFlight, Phase
from engine.ledger import Config, Experiment, LedgerFile
from engine.presence import holding
from engine.workspace import Workspace


@pytest.fixture
def session(workspace: Workspace) -> Workspace:
    """With its baseline recorded."""
    LedgerFile(workspace).open_segment(Config(branch="autoresearch/t"))
    record(workspace, 1.5, "keep")
    return workspace


def record(workspace: Workspace, metric: float | None, kind: str, result: str | None = None) -> None:
    LedgerFile(workspace).append(Experiment(run=0, metric=metric, status=kind, result=result))


def fly(workspace: Workspace) -> None:
    run = ledger.read(workspace.ledger).next_run
    journal.save(
        workspace,
        InFlight(id=uuid4().hex, run=run, phase=Phase.RUNNING, parent="c", description="d", source="search"),
    )


def say(workspace: Workspace, *said: events.Event) -> None:
    for event in said:
        EventLog(workspace).emit(event)


def test_a_session_that_rests_says_so_and_a_gain_of_nothing_is_not_shown(session: Workspace) -> None:
    seen = status.of(session)
    assert seen.line == "no engine | best 1.5000 | 1 run, 0 kept"
    assert "+0.0" not in seen.text
    assert not seen.paused and not seen.cut_off


def test_what_was_gained_is_shown(session: Workspace) -> None:
    record(session, 1.25, "keep")
    seen = status.of(session)
    assert seen.line == "no engine | best 1.2500 (-0.2500) | 2 runs, 1 kept"
    assert "(run 2)  -0.250000" in seen.text


def test_skipped_runs_are_counted(session: Workspace) -> None:
    record(session, None, "discard", "skipped")
    record(session, None, "crash")
    seen = status.of(session)
    assert (seen.skipped, seen.crashed, seen.experiments) == (1, 1, 3)
    assert "1 crashed, 1 skipped" in seen.text


def test_a_run_that_was_cut_off_is_said_to_be(session: Workspace) -> None:
    fly(session)
    seen = status.of(session)
    assert seen.cut_off
    assert seen.line.startswith("no engine, run 2 was cut off |")
    with holding(session):
        seen = status.of(session)
        assert not seen.cut_off
        assert seen.line.startswith("run 2 running |")


def test_a_pause_is_shown_with_its_reason_until_it_is_over(session: Workspace) -> None:
    say(session, events.Paused())
    assert status.of(session).state == "no engine, paused"
    with holding(session):
        assert status.of(session).state == "paused"
        fly(session)
        assert status.of(session).state == "run 2 running, pauses after it"
        journal.clear(session)
        say(session, events.Resumed(), events.Paused(reason="No space left on device"))
        seen = status.of(session)
        assert seen.state == "paused (No space left on device)"
        assert seen.paused_reason == "No space left on device"
        assert seen.line.startswith("paused | ")
        say(session, events.Resumed())
        assert status.of(session).state == "between experiments"
