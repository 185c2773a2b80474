"""The person's wishes: obeyed once, acknowledged each, and remembered by an engine that starts anew."""

import pytest

from engine import commands, events, ledger
from engine.commands import AnyCommand, send
from engine.control import Control, Idea
from engine.events import AnyEvent, EventFollower, EventLog
from engine.presence import holding
from engine.workspace import Workspace


def engine(workspace: Workspace) -> Control:
    """A Control as an engine makes it that starts now, commands that came before taken."""
    control = Control(workspace, EventLog(workspace), EventFollower(workspace.events))
    control.poll()
    return control


def told(workspace: Workspace) -> list[AnyEvent]:
    return list(EventFollower(workspace.events))


def done(workspace: Workspace) -> list[events.CommandDone]:
    return [event for event in told(workspace) if isinstance(event, events.CommandDone)]


def asked(workspace: Workspace, control: Control, *wanted: AnyCommand) -> None:
    for command in wanted:
        send(workspace, command)
    control.poll()


@pytest.mark.parametrize(
    ("command", "answer", "problem"),
    [
        (commands.Pause(), "pausing after this experiment", ""),
        (commands.Resume(), "going on", ""),
        (commands.Skip(run=3), "skipping run 3", ""),
        (commands.Skip(run=2), "", "run 2 is not running"),
        (commands.Stop(), "stopping after this experiment", ""),
        (commands.Stop(now=True), "stopping now", ""),
        (commands.Enqueue(text="DEPTH=3"), "queued", ""),
        (commands.Unqueue(idea="i"), "", "no such idea waits"),
        (commands.Reorder(idea="i"), "", "no such idea waits"),
        (commands.Annotate(run=1, text="x"), "noted on run 1", ""),
        (commands.Message(text="x"), "", "can't read prose"),
    ],
)
def test_every_command_is_acknowledged_under_its_id(
    workspace: Workspace, command: AnyCommand, answer: str, problem: str
) -> None:
    control = engine(workspace)
    control.current_run = 3
    asked(workspace, control, command)
    (acknowledged,) = done(workspace)
    assert acknowledged.id == command.id
    assert acknowledged.answer == answer
    assert problem in acknowledged.problem
    assert (acknowledged.answer == "") != (acknowledged.problem == "")
    assert acknowledged.offset == workspace.commands.stat().st_size


def test_a_line_that_is_no_command_is_answered_too(workspace: Workspace) -> None:
    control = engine(workspace)
    workspace.commands.parent.mkdir(exist_ok=True)
    workspace.commands.write_text("nonsense\n")
    asked(workspace, control, commands.Pause())
    assert [acknowledged.problem != "" for acknowledged in done(workspace)] == [True, False]
    assert control.paused


def test_an_engine_that_starts_anew_obeys_no_command_a_second_time(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Enqueue(text="A=1"), commands.Annotate(run=1, text="x"))
    engine(workspace)
    assert len(done(workspace)) == 2
    assert len(ledger.read(workspace.ledger).notes) == 1


def test_what_was_asked_while_no_engine_ran_is_obeyed_by_the_next(workspace: Workspace) -> None:
    engine(workspace)
    send(workspace, commands.Pause())
    send(workspace, commands.Enqueue(id="i", text="A=1"))
    control = engine(workspace)
    assert control.paused
    assert control.waiting_ideas() == (Idea("i", "A=1"),)


# -------------------------------------------------------------------------------------------------- pause, resume


def test_a_pause_survives_a_restart_and_so_does_its_end(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Pause())
    assert engine(workspace).paused
    asked(workspace, engine(workspace), commands.Resume())
    assert not engine(workspace).paused


def test_pausing_twice_is_pausing_once(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Pause(), commands.Pause())
    assert sum(isinstance(event, events.Paused) for event in told(workspace)) == 1
    assert len(done(workspace)) == 2


def test_a_pause_that_the_loop_made_has_its_reason_and_ends_in_the_same_way(workspace: Workspace) -> None:
    control = engine(workspace)
    control.pause("the disk is full")
    assert [event.reason for event in told(workspace) if isinstance(event, events.Paused)] == ["the disk is full"]
    assert engine(workspace).paused
    asked(workspace, control, commands.Resume())
    assert not control.paused


def test_a_pause_between_experiments_says_so(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Pause())
    assert done(workspace)[0].answer == "paused"


# ----------------------------------------------------------------------------------------------------- skip, stop


def test_a_skip_ends_the_run_that_it_names(workspace: Workspace) -> None:
    control = engine(workspace)
    control.current_run = 3
    asked(workspace, control, commands.Skip(run=3))
    assert control.must_end_run
    control.current_run = 4
    assert not control.must_end_run


@pytest.mark.parametrize("current", [None, 4])
def test_a_skip_of_a_run_that_is_over_does_nothing(workspace: Workspace, current: int | None) -> None:
    control = engine(workspace)
    control.current_run = current
    asked(workspace, control, commands.Skip(run=3))
    assert not control.must_end_run
    assert done(workspace)[0].problem == "run 3 is not running"


def test_a_skip_is_not_replayed_on_a_later_run_of_the_same_engine(workspace: Workspace) -> None:
    control = engine(workspace)
    asked(workspace, control, commands.Skip(run=3))
    control.current_run = 3
    assert not control.must_end_run


def test_a_stop_lets_the_run_end_and_a_stop_now_does_not(workspace: Workspace) -> None:
    control = engine(workspace)
    control.current_run = 3
    asked(workspace, control, commands.Stop())
    assert (control.stopping, control.must_end_run) == (True, False)
    asked(workspace, control, commands.Stop(now=True))
    assert (control.stopping, control.must_end_run) == (True, True)
    asked(workspace, control, commands.Stop())
    assert control.must_end_run


@pytest.mark.parametrize("now", [False, True])
def test_a_stop_that_was_sent_to_a_dead_engine_does_not_stop_the_next(workspace: Workspace, now: bool) -> None:
    engine(workspace)
    send(workspace, commands.Stop(now=now))
    control = engine(workspace)
    assert (control.stopping, control.must_end_run) == (False, False)
    assert done(workspace)[0].problem == "asked of an engine that was gone already"


def test_a_stop_that_was_sent_while_the_engine_came_up_stops_it(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Pause())
    with holding(workspace):
        send(workspace, commands.Stop(now=True))
        control = engine(workspace)
    assert control.must_end_run


def test_of_two_stops_only_the_one_that_this_engine_was_sent_is_obeyed(workspace: Workspace) -> None:
    engine(workspace)
    send(workspace, commands.Stop(now=True))
    with holding(workspace):
        send(workspace, commands.Stop())
        control = engine(workspace)
    assert (control.stopping, control.must_end_run) == (True, False)
    assert [event.problem != "" for event in done(workspace)] == [True, False]


def test_a_stop_is_obeyed_in_a_file_of_commands_that_was_begun_anew(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), *[commands.Pause()] * 10)
    control = engine(workspace)
    workspace.commands.unlink()
    asked(workspace, control, commands.Stop())
    assert control.stopping


def test_a_stop_that_was_obeyed_does_not_stop_the_next_engine(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Stop(now=True))
    assert not engine(workspace).stopping


# ---------------------------------------------------------------------------------------------------------- ideas


def test_ideas_wait_in_order_and_stay_until_it_is_said_what_became_of_them(workspace: Workspace) -> None:
    control = engine(workspace)
    asked(workspace, control, commands.Enqueue(id="a", text="A=1"), commands.Enqueue(id="b", text="B=2"))
    first = control.waiting_ideas()[0]
    assert first == control.waiting_ideas()[0] == Idea("a", "A=1")
    control.idea_taken("a", run=4)
    assert control.waiting_ideas()[0] == Idea("b", "B=2")


def test_ideas_that_wait_survive_a_restart_and_those_taken_do_not_come_again(workspace: Workspace) -> None:
    control = engine(workspace)
    asked(workspace, control, commands.Enqueue(id="a", text="A=1"), commands.Enqueue(id="b", text="B=2"))
    control.idea_taken("a", problem="no knob A")
    assert list(engine(workspace).ideas) == [Idea("b", "B=2")]
    assert events.IdeaTaken(id="a", problem="no knob A") in [
        events.IdeaTaken(id=event.id, run=event.run, problem=event.problem)
        for event in told(workspace)
        if isinstance(event, events.IdeaTaken)
    ]


THREE = [commands.Enqueue(id=each, text=f"{each.upper()}=1") for each in "abc"]


def order(control: Control) -> str:
    return "".join(idea.id for idea in control.waiting_ideas())


def test_an_idea_that_is_withdrawn_does_not_come_again(workspace: Workspace) -> None:
    control = engine(workspace)
    asked(workspace, control, *THREE, commands.Unqueue(idea="b"))
    assert (order(control), order(engine(workspace))) == ("ac", "ac")
    assert done(workspace)[-1].answer == "taken out of the queue"
    assert not control.waits("b") and control.waits("c")


@pytest.mark.parametrize(
    ("idea", "before", "then", "answer"),
    [
        ("c", "a", "cab", "number 1 in the queue"),
        ("a", "c", "bac", "number 2 in the queue"),
        ("a", "", "bca", "number 3 in the queue"),
        ("b", "b", "abc", "number 2 in the queue"),
    ],
)
def test_ideas_are_put_in_another_order_and_stay_in_it(
    workspace: Workspace, idea: str, before: str, then: str, answer: str
) -> None:
    control = engine(workspace)
    asked(workspace, control, *THREE, commands.Reorder(idea=idea, before=before))
    assert (order(control), order(engine(workspace))) == (then, then)
    assert done(workspace)[-1].answer == answer


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (commands.Unqueue(idea="x"), "no such idea waits"),
        (commands.Unqueue(idea="a"), "that idea's turn came before this"),
        (commands.Reorder(idea="x", before="b"), "no such idea waits"),
        (commands.Reorder(idea="b", before="a"), "that idea's turn came before this"),
        (commands.Reorder(idea="b", before="c"), "that idea was taken out of the queue before"),
    ],
)
def test_what_does_not_wait_is_neither_withdrawn_nor_moved(
    workspace: Workspace, command: AnyCommand, problem: str
) -> None:
    control = engine(workspace)
    asked(workspace, control, *THREE)
    control.idea_taken("a", run=4)
    asked(workspace, control, commands.Unqueue(idea="c"), command)
    assert done(workspace)[-1].problem == problem
    assert order(control) == "b"


# --------------------------------------------------------------------------------- an engine that dies in between


def forget_the_last_event(workspace: Workspace) -> None:
    """As if the engine had been killed just before it wrote it."""
    lines = workspace.events.read_bytes().splitlines(keepends=True)
    workspace.events.write_bytes(b"".join(lines[:-1]))


def test_an_idea_is_queued_once_however_the_engine_dies(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Enqueue(id="a", text="A=1"))
    forget_the_last_event(workspace)
    assert list(engine(workspace).ideas) == [Idea("a", "A=1")]


@pytest.mark.parametrize(
    ("command", "then"), [(commands.Unqueue(idea="a"), "bc"), (commands.Reorder(idea="a", before="c"), "bac")]
)
def test_the_queue_is_changed_once_and_said_so_however_the_engine_dies(
    workspace: Workspace, command: AnyCommand, then: str
) -> None:
    asked(workspace, engine(workspace), *THREE, command)
    for _ in range(2):  # before it acknowledged it, and before it did it
        forget_the_last_event(workspace)
        assert order(engine(workspace)) == then
        assert (done(workspace)[-1].id, done(workspace)[-1].problem) == (command.id, "")
        forget_the_last_event(workspace)


def test_a_note_is_added_once_however_the_engine_dies(workspace: Workspace) -> None:
    asked(workspace, engine(workspace), commands.Annotate(run=1, text="x"))
    forget_the_last_event(workspace)
    engine(workspace)
    assert len(ledger.read(workspace.ledger).notes) == 1


def test_a_skip_that_was_acknowledged_holds_for_an_engine_that_adopts_the_run(workspace: Workspace) -> None:
    control = engine(workspace)
    control.current_run = 3
    asked(workspace, control, commands.Skip(run=3))
    adopting = engine(workspace)
    adopting.current_run = 3
    assert adopting.must_end_run


def test_a_skip_is_over_with_its_run(workspace: Workspace) -> None:
    control = engine(workspace)
    control.current_run = 3
    asked(workspace, control, commands.Skip(run=3))
    control.recorded(2)
    assert control.must_end_run
    control.recorded(3)
    assert not control.must_end_run
    EventLog(workspace).emit(events.Recorded(run=3, status="repeat"))
    next_one = engine(workspace)
    next_one.current_run = 3
    assert not next_one.must_end_run


def test_a_command_that_cannot_be_written_down_does_not_swallow_those_behind_it(workspace: Workspace) -> None:
    control = engine(workspace)
    workspace.ledger.mkdir()  # as unwritable as a full disk
    send(workspace, commands.Annotate(run=1, text="x"))
    send(workspace, commands.Pause())
    with pytest.raises(OSError):
        control.poll()
    workspace.ledger.rmdir()
    control.poll()
    assert control.paused
    assert len(done(workspace)) == 2


def test_a_run_that_is_recorded_cannot_be_skipped_any_more(workspace: Workspace) -> None:
    control = engine(workspace)
    control.current_run = 2
    control.recorded(2)
    asked(workspace, control, commands.Skip(run=2))
    assert control.skipped_run is None
