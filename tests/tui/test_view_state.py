"""What the screen knows follows from the events and the ledger alone."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from engine import events, ledger
from engine.events import (
    CommandDone,
    EngineStarted,
    EngineStopped,
    EventFollower,
    IdeaQueued,
    IdeaTaken,
    Judged,
    MessageQueued,
    MessageTaken,
    Paused,
    PhaseChanged,
    Proposed,
    Recorded,
    Resumed,
    RunEnded,
    RunStarted,
    Warned,
)
from engine.ledger import Config, Experiment
from tests.tui import sessions
from tests.tui.sessions import Recorder
from tui.condition import condition, trouble
from tui.panes.history import points_of
from tui.session import Session
from tui.view_state import ViewState, beside, fold, subject, with_ledger

STARTED = EngineStarted(at=1, pid=1, branch="b", proposer="search", limit_seconds=600)
PROPOSED = Proposed(at=2, run=4, id="x", description="try it", source="search", asi={"hypothesis": "h"})


def read(recorder: Recorder) -> ViewState:
    state = fold(ViewState(alive=True), EventFollower(recorder.workspace.events))
    return with_ledger(state, ledger.read(recorder.workspace.ledger))


def test_an_empty_workspace_has_nothing_to_show(tmp_path: Path) -> None:
    state = read(sessions.empty(tmp_path))
    assert subject(state, None) is None
    assert state.baseline is None and state.gain is None and state.confidence is None
    assert condition(replace(state, alive=False)).word == "no engine"


def test_the_run_under_way_is_the_subject_until_another_is_selected(tmp_path: Path) -> None:
    state = read(sessions.three(tmp_path))
    live = subject(state, None)
    assert live is not None and live.is_live and live.run == 4
    chosen = subject(state, 2)
    assert chosen is not None and not chosen.is_live and chosen.run == 2
    assert chosen.verdict is not None and chosen.verdict.run == 2


def test_between_two_experiments_the_last_one_is_shown(tmp_path: Path) -> None:
    state = read(sessions.paused(tmp_path))
    shown = subject(state, None)
    assert shown is not None and shown.run == 7 and not shown.is_live


def test_a_delta_is_taken_to_the_incumbent_of_its_time(tmp_path: Path) -> None:
    state = read(sessions.hundred(tmp_path))
    best = state.rows[0].experiment.metric
    assert best is not None
    for row in state.rows[1:]:
        metric = row.experiment.metric
        assert row.delta is None if metric is None else row.delta == metric - best
        if row.experiment.kept and metric is not None:
            best = metric
        assert row.best == best


@pytest.mark.parametrize("kind", get_args(events.AnyEvent), ids=lambda kind: kind.__name__)
def test_no_kind_of_event_stops_the_screen(kind: type[events.Event]) -> None:
    values = {"str": "x", "int": 1, "float": 1.0, "bool": False}
    needed = [each for each in msgspec.structs.fields(kind) if each.required]
    event = kind(**{each.name: values.get(getattr(each.type, "__name__", ""), {}) for each in needed})
    state = fold(ViewState(alive=True), [STARTED, event, Warned(message="still folding")])
    assert state.notice is not None and state.notice.text == "still folding"


def test_an_experiment_passes_through_its_phases() -> None:
    words = []
    state = fold(ViewState(alive=True), [STARTED])
    for event in (
        PhaseChanged(phase="proposing"),
        PROPOSED,
        PhaseChanged(phase="committed", run=4),
        PhaseChanged(phase="running", run=4),
        RunStarted(run=4, started=5.0, limit_seconds=600),
        PhaseChanged(phase="measured", run=4),
        Judged(at=9, run=4, status="keep", reason="lower"),
        PhaseChanged(phase="judged", run=4),
        Recorded(run=4, status="keep"),
        PhaseChanged(phase="idle"),
    ):
        state = fold(state, [event])
        words.append(condition(state).word)
    assert words[:5] == ["proposing", "starting", "starting", "training", "training"]
    assert words[-1] == "idle"
    assert state.live_run is None and state.proposal is None and state.started is None
    assert state.verdicts[4].status == "keep"


def test_a_repeat_is_no_new_run(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 3)
    folder = recorder.repeat(2, 1001)
    state = read(recorder)
    assert state.live_run == 2 and state.is_repeating and state.new_run is None and len(state.rows) == 3
    assert condition(state)[:2] == ("repeating", "good")
    about = subject(state, None)
    assert about is not None and about.is_live and about.name == "run 2 again, seed 1001 · live"
    assert about.log(recorder.workspace).path == about.files(recorder.workspace).path == folder
    chosen = subject(state, 2)
    assert chosen is not None and chosen.name == "run 2 · discard" and chosen.log(recorder.workspace).number == 2
    assert beside(state, None, -1) == 3

    recorder.repeated(1.77)
    state = read(recorder)
    assert state.live_run is None and len(state.rows) == 3
    about = subject(state, None)
    assert about is not None and about.name == "run 2 again, seed 1001" and not about.is_live
    assert about.result is not None and about.result.metric == 1.77
    assert beside(state, None, -1) == 3, "what is shown is not the last row"

    recorder.begin()
    state = read(recorder)
    assert state.new_run == 4 and condition(state).word == "training"
    recorder.finish("discard", 1.8, "worse", description="d")
    about = subject(read(recorder), None)
    assert about is not None and about.name == "run 4 · discard"


def test_a_repeat_of_an_engine_that_is_gone_is_cut_off(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 3)
    recorder.repeat(2, 1001)
    state = replace(read(recorder), alive=False)
    about = subject(state, None)
    assert about is not None and about.name == "run 2 again, seed 1001 · cut off"
    assert condition(state).word == "engine gone"


def test_a_repeat_before_the_verdict_shows_its_own_log_and_stays_its_experiments_run(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.emit(RunEnded(run=4, ending="exited", code=0, seconds=9))
    recorder.emit(PhaseChanged(phase="measured", run=4))
    recorder.emit(RunStarted(run=4, started=recorder.now, limit_seconds=600, folder="0004/repeats/01"))
    state = read(recorder)
    assert state.new_run == 4 and condition(state).word == "repeating"
    about = subject(state, None)
    assert about is not None and about.name == "run 4 again · live"
    assert about.files(recorder.workspace).number == 4
    assert about.log(recorder.workspace).path == recorder.workspace.run_folder(4).repeat(1).path


def test_a_verification_is_called_one_between_its_runs_too(tmp_path: Path) -> None:
    recorder = sessions.verifying(tmp_path)
    assert condition(read(recorder))[:2] == ("verifying", "good")
    recorder.repeated(1.74)
    state = read(recorder)
    assert condition(state).word == "verifying"
    assert condition(replace(state, alive=False)).word == "engine gone"


def test_what_is_recorded_is_under_way_no_more() -> None:
    over = [PROPOSED, Recorded(run=4, status="keep"), PhaseChanged(phase="recorded", run=4)]
    state = fold(ViewState(alive=True), [STARTED, *over])
    assert state.live_run is None and condition(state).word == "recording"


def test_a_run_that_was_lost_is_called_so_at_once() -> None:
    ended = RunEnded(run=4, ending="lost", code=None, seconds=1)
    state = fold(
        ViewState(alive=True), [PROPOSED, ended, Judged(run=4, status="crash", reason="the machine went down")]
    )
    assert state.notice is not None and state.notice.text == "Run 4: lost, the machine went down"


def test_segments_are_never_mixed(tmp_path: Path) -> None:
    state = read(sessions.two_segments(tmp_path))
    first, second = state.ledger.segments
    assert first.baseline and state.baseline and state.baseline.run == 10 and state.gain is None
    assert state.baseline.metric == 1.9 and first.baseline.metric == 1.755, "the second baseline is the worse one"
    baseline = next(row for row in state.rows if row.experiment.run == 10)
    assert baseline.is_baseline and baseline.delta is None
    assert all(row.delta is None or abs(row.delta) < 0.05 for row in state.rows)
    assert [each.run for each in second.experiments] == [10, 11, 12, 13, 14, 15]


def test_what_may_be_claimed_is_found_once_for_each_revision(tmp_path: Path) -> None:
    recorder = sessions.confirmed(tmp_path)
    state = read(recorder)
    assert state.evidence is not None and state.evidence.total is not None
    assert state.evidence.total.standing == "confirmed"
    assert fold(state, [Warned(message="x")]).evidence is state.evidence
    recorder.ledger.add_note(3, "a note is no evidence")
    with_note = with_ledger(state, ledger.read(recorder.workspace.ledger))
    assert with_note.ledger.notes and with_note.evidence is state.evidence
    recorder.repeat(1, 1009)
    recorder.repeated(1.755)
    assert with_ledger(with_note, ledger.read(recorder.workspace.ledger)).evidence is not state.evidence


def test_an_adopted_run_needs_no_proposal() -> None:
    state = fold(ViewState(alive=True), [STARTED, RunStarted(run=9, started=1.0, limit_seconds=600, adopted=True)])
    assert state.live_run == 9 and condition(state).word == "training"
    shown = subject(state, None)
    assert shown is not None and shown.proposal is None


def test_a_pause_is_said_to_come_and_then_to_be() -> None:
    running = fold(ViewState(alive=True), [STARTED, PROPOSED, RunStarted(run=4, started=5.0, limit_seconds=600)])
    asked = replace(running, sent={"c": "pause"})
    assert "pausing after this run" in condition(asked).detail
    taken = fold(asked, [CommandDone(at=6, id="c", command="pause", offset=1, answer="will pause"), Paused(at=6)])
    assert not taken.sent and condition(taken).word == "training"
    assert "pausing after this run" in condition(taken).detail
    settled = fold(taken, [Recorded(run=4, status="keep"), PhaseChanged(phase="idle")])
    assert condition(settled).word == "paused"
    assert condition(fold(settled, [Resumed(), PhaseChanged(phase="proposing")])).word == "proposing"


def test_a_pause_on_trouble_is_said_at_once_and_until_it_is_resumed() -> None:
    running = fold(ViewState(alive=True), [STARTED, PROPOSED, RunStarted(run=4, started=5.0, limit_seconds=600)])
    assert trouble(running) == ""
    state = fold(running, [Paused(reason="No space left on device: /x\x1b[2J")])
    assert condition(state).word == "training" and condition(state).detail == "pausing after this run"
    assert trouble(state) == "To be paused after this run: No space left on device: /x. p goes on."
    over = RunEnded(run=4, ending="exited", code=0, seconds=9)
    for event in (over, PhaseChanged(phase="measured", run=4)):
        state = fold(state, [event])
        assert condition(state).word == "paused" and trouble(state).startswith("Paused: No space left")
    state = fold(state, [Resumed(), PROPOSED, PhaseChanged(phase="measured", run=4)])
    assert condition(state).word == "judging" and trouble(state) == ""


def test_a_pause_while_a_candidate_is_proposed_lets_it_run() -> None:
    state = fold(ViewState(alive=True), [STARTED, PhaseChanged(phase="proposing"), Paused()])
    assert condition(state) == ("proposing", "warn", "pausing after this run")
    state = fold(state, [Paused(reason="the search has no next experiment")])
    assert condition(state).word == "paused" and "no next experiment" in trouble(state)


def test_a_person_who_pauses_a_loop_in_trouble_hides_no_trouble() -> None:
    state = fold(ViewState(alive=True), [STARTED, Paused(), Paused(reason="No space left on device"), Paused()])
    assert "No space" in trouble(state)
    assert trouble(fold(state, [Resumed(), Paused()])) == ""


def test_the_trouble_of_an_engine_that_is_gone_is_no_longer_shown() -> None:
    state = fold(ViewState(alive=True), [STARTED, Paused(reason="No space left on device")])
    assert "No space" not in trouble(replace(state, alive=False))
    assert trouble(replace(fold(state, [EngineStopped(reason="stopped by a person")]), alive=False)) == ""


def test_an_engine_that_left_and_one_that_vanished_are_told_apart() -> None:
    running = fold(ViewState(alive=True), [STARTED, PROPOSED])
    gone = replace(running, alive=False)
    assert condition(gone).word == "engine gone" and "engine.log" in trouble(gone)
    left = replace(fold(running, [EngineStopped(reason="stopped by a person")]), alive=False)
    assert condition(left) == ("stopped", "warn", "by a person")
    failed = replace(fold(running, [EngineStopped(reason="another branch", failed=True)]), alive=False)
    assert condition(failed).word == "failed" and "another branch" in trouble(failed)


def test_acknowledgements_warnings_and_ideas_become_notices() -> None:
    state = fold(ViewState(), [CommandDone(at=3, id="c", command="skip", offset=1, problem="run 3 is over")])
    assert state.notice is not None and state.notice.text == "run 3 is over" and state.notice.role == "bad"
    state = fold(state, [Warned(at=4, message="odd\x1b]52;c;eA==\x07 line\r\nhere")])
    assert state.notice is not None and state.notice.text == "odd line here"
    state = fold(state, [IdeaQueued(id="a", text="DEPTH=4"), IdeaQueued(id="b", text="x")])
    assert [idea.id for idea in state.ideas] == ["a", "b"]
    state = fold(state, [IdeaTaken(at=5, id="a", run=7), IdeaTaken(at=6, id="b", problem="no such knob")])
    assert not state.ideas and state.notice is not None and "no such knob" in state.notice.text
    state = fold(state, [Judged(at=6, run=8, status="discard", reason="skipped")])
    assert state.notice is not None and state.notice.text == "Run 8: skipped"


def test_so_many_without_a_keep_are_counted_until_the_next_one(tmp_path: Path) -> None:
    recorder = sessions.thrashing(tmp_path)
    state = read(recorder)
    assert state.thrashing == 6
    assert state.notice is not None and "6 experiments in a row without a keep" in state.notice.text
    recorder.begin()
    recorder.finish("discard", None, "skipped", description="skipped", result="skipped")
    assert read(recorder).thrashing == 6
    recorder.begin()
    recorder.finish("keep", 1.7, "lower", description="at last")
    assert read(recorder).thrashing == 0


def test_a_bad_ledger_line_is_reported_with_its_number(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    with recorder.workspace.ledger.open("a") as file:
        file.write("{broken\n")
    state = read(recorder)
    assert len(state.rows) == 3
    assert state.notice is not None and "can't be read: 5 (JSON is malformed" in state.notice.text


def test_stepping_through_the_runs_ends_at_both_ends(tmp_path: Path) -> None:
    state = read(sessions.three(tmp_path))
    assert [beside(state, None, -1), beside(state, 3, -1), beside(state, 2, -1), beside(state, 1, -1)] == [3, 2, 1, 1]
    assert [beside(state, 1, 1), beside(state, 2, 1), beside(state, 3, 1), beside(state, None, 1)] == [2, 3, None, None]
    assert beside(ViewState(), None, -1) is None


def test_a_session_takes_in_only_what_is_new(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    session = Session(recorder.workspace, is_alive=lambda: True)
    first = session.poll()
    assert first.progress is not None and first.progress.step == 72
    assert session.poll() is first
    recorder.finish("keep", 1.7, "lower", description="d")
    then = session.poll()
    assert then.live_run is None and then.progress is None and len(then.rows) == 4
    assert then.revision == first.revision + 1


def test_segments_are_not_mixed(tmp_path: Path) -> None:
    """A second segment has a baseline, a best, a gain and a plot of its own."""
    recorder = sessions.three(tmp_path)
    recorder.ledger.open_segment(Config())
    first = recorder.ledger.append(Experiment(run=9, metric=5.0, status="keep", description="baseline"))
    state = read(recorder)
    assert state.baseline == state.incumbent == first
    assert state.gain is None and state.confidence is None
    assert state.rows[-1].is_baseline and state.rows[-1].delta is None and state.rows[-1].best == 5.0

    recorder.ledger.append(Experiment(run=9, metric=4.5, status="keep", description="better"))
    state = read(recorder)
    assert state.gain == -0.5
    assert state.rows[-1].delta == -0.5
    assert [point.value for point in points_of(state.rows, 1)] == [5.0, 4.5]
    assert all(point.value != 5.0 for point in points_of(state.rows, 0))


def test_messages_wait_until_the_proposer_was_told() -> None:
    state = fold(ViewState(), [MessageQueued(id="a", text="deeper"), MessageQueued(id="b", text="wider")])
    assert [each.text for each in state.messages] == ["deeper", "wider"]
    state = fold(state, [MessageTaken(at=7, id="a", run=9)])
    assert [each.text for each in state.messages] == ["wider"]
    assert state.notice is not None and state.notice.text == "The proposer was told before run 9."
