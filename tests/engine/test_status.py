"""One look at a session: paused or cut off is said, counts agree with the ledger, one run is no "1 runs"."""

import json
import math
from uuid import uuid4

import msgspec
import pytest

from engine import events, journal, ledger, status
from engine.events import EventLog
from engine.journal import InFlight, Phase
from engine.ledger import Config, Experiment, LedgerFile, Repeat
from engine.presence import holding
from engine.spending import Spent
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
    assert seen.line == "no engine | best 1.2500 (-0.2500 unproven) | 2 runs, 1 kept"
    assert "(run 2)  -0.250000" in seen.text


@pytest.mark.parametrize(
    ("metric", "shown"),
    [(15230.5, "15230.5000"), (1e300, "1e+300"), (0.00002, "2e-05"), (-3.0, "-3.0000"), (0.0, "0.0000")],
)
def test_any_metric_is_short(workspace: Workspace, metric: float, shown: str) -> None:
    LedgerFile(workspace).open_segment(Config())
    record(workspace, metric, "keep")
    assert status.of(workspace).line == f"no engine | best {shown} | 1 run, 0 kept"


def test_a_line_for_a_status_bar_holds_nothing_of_anybodys_writing(session: Workspace) -> None:
    evil = "#[fg=red]#(reboot) \x1b[31m\n"
    LedgerFile(session).open_segment(Config(name=evil, branch=evil, metric_name=evil))
    LedgerFile(session).append(Experiment(run=0, metric=1.0, status="keep", description=evil))
    LedgerFile(session).append(Experiment(run=0, metric=0.5, status="keep", description=evil, source=evil))
    say(session, events.Paused(reason=evil))
    fly(session)
    with holding(session):
        line = status.of(session).line
    assert line == "run 4 running, paused | best 0.5000 (-0.5000 unproven) | 2 runs, 1 kept"
    assert line.isprintable() and line.isascii() and "#" not in line and len(line) <= 100


def test_what_is_claimed_follows_the_evidence(session: Workspace) -> None:
    seen = status.of(session)
    assert (seen.claim, seen.floor, seen.repeats) == (None, None, 0)
    record(session, 1.25, "keep")
    claim = status.of(session).claim
    assert claim is not None and claim.standing == "unproven" and "no noise floor is measured" in claim.reason
    assert f"claim       unproven: {claim.reason}\n" in status.of(session).text
    for seed, metric in ((1001, 1.5001), (1002, 1.4999), (1003, 1.5)):
        LedgerFile(session).append_repeat(Repeat(run=1, metric=metric, seed=seed))
    seen = status.of(session)
    assert seen.claim is not None and seen.claim.standing == "likely" and seen.repeats == 3
    assert seen.floor is not None and seen.floor.across_seeds and seen.floor.text in seen.text
    assert "(-0.2500 likely)" in seen.line
    told = msgspec.to_builtins(seen)
    assert told["claim"]["standing"] == "likely" and told["floor"]["sd"] > 0 and told["confidence"] is None


def test_a_repeat_under_way_is_said_to_be_one(session: Workspace) -> None:
    flight = InFlight(
        id="x", run=1, phase=Phase.RUNNING, parent="c", description="run 1 again", source="person", repeat=Repeat(run=1)
    )
    journal.save(session, flight)
    assert status.of(session).line.startswith("no engine, run 1 again was cut off |")
    with holding(session):
        seen = status.of(session)
        assert seen.repeating and seen.line.startswith("run 1 again: running |")


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


def test_what_proposals_cost_is_added_up_over_all_segments_and_what_came_to_nothing(session: Workspace) -> None:
    assert status.of(session).spent == Spent() and "spent       -" in status.of(session).text
    costs = ({"seconds": 600.0, "tokens_in": 1_100_000.0, "tokens_out": 40_000.0, "dollars": 0.3}, {"seconds": 60.0})
    for cost in costs:
        LedgerFile(session).append(Experiment(run=0, metric=1.6, status="discard", cost=cost))
        LedgerFile(session).open_segment(Config())
    say(session, events.ProposalFailed(proposer="chat", problem="no edit", cost={"seconds": 60.0, "dollars": 0.12}))
    say(session, events.ProposalFailed(proposer="chat", problem="refused"))
    seen = status.of(session)
    assert "spent       $0.42, 1.1M tokens, 12 min of proposing" in seen.text
    assert msgspec.to_builtins(seen)["spent"] == {
        "seconds": 720.0,
        "tokens_in": 1_100_000,
        "tokens_out": 40_000,
        "dollars": pytest.approx(0.42),
    }


TABLE = "commit\tval_acc\tmemory_gb\tstatus\tdescription\n"
ROW = "a1b2c3d\t0.5\t44.0\tkeep\tbaseline\n"


def test_lines_that_cannot_be_read_are_said_with_their_numbers(workspace: Workspace) -> None:
    (workspace.root / "results.tsv").write_text(TABLE + ROW + ROW + "x\n" + ROW + ROW + "y\n" + ROW + "z\n")
    seen = status.of(workspace)
    sentence = "3 lines of results.tsv can't be read: 4, 7 and 9 (it has 1 of the header's 5 columns)"
    assert seen.text.splitlines()[-1] == sentence
    assert [each["number"] for each in json.loads(json.dumps(msgspec.to_builtins(seen)))["unreadable"]] == [4, 7, 9]
    assert "read" not in seen.line
    (workspace.root / "results.tsv").write_text(TABLE + ROW + "x\n" * 40)
    assert "40 lines of results.tsv can't be read: 3, 4, 5, 6, 7 and 35 more (" in status.of(workspace).text
    (workspace.root / "results.tsv").write_text(TABLE + ROW + "x\n")
    assert "1 line of results.tsv can't be read: 3 (" in status.of(workspace).text


def test_what_is_measured_and_when_is_told_of_any_session(workspace: Workspace) -> None:
    (workspace.root / "results.tsv").write_text(TABLE + ROW)
    seen = status.of(workspace)
    assert (seen.metric_name, seen.metric_unit, seen.direction, seen.segment, seen.segments) == (
        *("val_acc", "", "higher"),
        *(1, 1),
    )
    assert seen.last is not None and seen.last > 1e9
    assert "metric      val_acc, higher is better\n" in seen.text and "segment" not in seen.text


def test_the_usual_metric_is_not_named_and_of_several_segments_the_current_one_is(session: Workspace) -> None:
    LedgerFile(session).open_segment(Config())
    seen = status.of(session)
    assert "\nmetric" not in seen.text and "segment     2 of 2\n" in seen.text
    assert (seen.segment, seen.segments, seen.last) == (2, 2, None)


@pytest.mark.parametrize("metric", [-0.0, -1e-9, -5e-7, math.copysign(0.00001, -1)])
def test_nothing_has_no_sign(session: Workspace, metric: float) -> None:
    LedgerFile(session).open_segment(Config())
    record(session, metric, "keep")
    record(session, 2 * metric, "keep")
    for text in (status.of(session).text, status.of(session).line):
        assert "-0.000000" not in text and "-0.0000 " not in text
