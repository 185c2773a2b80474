"""Events: what the engine says is on disk before anybody hears it, and reads back as it was."""

import time
import typing

import msgspec
import pytest

from engine import events
from engine.events import AnyEvent, Event, EventFollower, EventLog
from engine.workspace import Workspace

EVERY_KIND: list[Event] = [
    events.EngineStarted(pid=1, branch="autoresearch/x", proposer="search", limit_seconds=600.0, experiments=3),
    events.EngineStopped(reason="done", failed=True),
    events.PhaseChanged(phase="running", run=2),
    events.Proposed(run=2, id="a", description="LR 0.03 → 0.04", source="search", asi={"hypothesis": "x", "n": [1]}),
    events.RunStarted(run=2, started=1.5, limit_seconds=600.0, adopted=True),
    events.RunEnded(run=2, ending="exited", code=None, seconds=20.5),
    events.Judged(run=2, status="keep", reason="better", metric=0.99),
    events.Recorded(run=2, status="keep"),
    events.Paused(reason="the disk is full"),
    events.Resumed(),
    events.CommandDone(id="c", command="pause", offset=120, answer="pausing", problem=""),
    events.SkipAsked(run=3),
    events.Rescued(patch=".autoresearch/rescued/mine.patch"),
    events.IdeaQueued(id="i", text="DEPTH=3"),
    events.IdeaTaken(id="i", run=3, problem="no"),
    events.IdeaWithdrawn(id="i"),
    events.IdeaMoved(id="i", before="j"),
    events.MessageQueued(id="m", text="try a smaller model"),
    events.MessageTaken(id="m", run=3),
    events.ProposalFailed(proposer="chat", problem="no answer", cost={"seconds": 3.0}),
    events.Thrashing(count=3),
    events.Warned(message="line\nbreak"),
]


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event in EVERY_KIND} == set(typing.get_args(AnyEvent))


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_an_event_reads_back_as_it_was_with_the_time_it_happened(workspace: Workspace, event: Event) -> None:
    before = time.time()
    EventLog(workspace).emit(event)
    (read,) = EventFollower(workspace.events)
    assert msgspec.structs.replace(read, at=0.0) == event
    assert before - 1 <= read.at <= time.time() + 1
    assert workspace.events.read_bytes().count(b"\n") == 1


def test_a_listener_hears_of_an_event_once_it_is_on_disk(workspace: Workspace) -> None:
    on_disk = []
    log = EventLog(workspace, lambda event: on_disk.append((event, list(EventFollower(workspace.events))[-1])))
    log.emit(events.Resumed())
    log.emit(events.Thrashing(count=3))
    assert [heard for heard, _ in on_disk] == [read for _, read in on_disk]


def test_a_listener_is_not_told_of_what_could_not_be_written(workspace: Workspace) -> None:
    heard: list[Event] = []
    workspace.events.mkdir(parents=True)
    with pytest.raises(OSError):
        EventLog(workspace, heard.append).emit(events.Resumed())
    assert heard == []


def test_each_poll_gives_the_events_since_the_last(workspace: Workspace) -> None:
    log, follower = EventLog(workspace), EventFollower(workspace.events)
    assert follower.poll() == []
    log.emit(events.Thrashing(count=1))
    assert [type(event) for event in follower.poll()] == [events.Thrashing]
    assert follower.poll() == []
    log.emit(events.Resumed())
    assert [type(event) for event in follower.poll()] == [events.Resumed]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"from the future","x":1}',
        b"no JSON",
        b"",
        b'{"type":"resumed"',
        b"[]",
        b'{"type":"paused","reason":7}',
        pytest.param(
            b'{"type":"warned","message":"\xff"}',
        ),
    ],
)
def test_a_line_that_this_version_cannot_read_is_passed_over(workspace: Workspace, line: bytes) -> None:
    log = EventLog(workspace)
    log.emit(events.Resumed())
    with workspace.events.open("ab") as file:
        file.write(line + b"\n")
    log.emit(events.Thrashing(count=1))
    assert [type(event) for event in EventFollower(workspace.events)] == [events.Resumed, events.Thrashing]


def test_keys_of_a_later_version_are_no_obstacle(workspace: Workspace) -> None:
    workspace.state.mkdir()
    workspace.events.write_bytes(b'{"type":"thrashing","count":3,"novel":{}}\n')
    assert list(EventFollower(workspace.events)) == [events.Thrashing(count=3)]
