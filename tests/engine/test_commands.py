"""Commands: appended by any viewer, read once by the engine, each with an id."""

import json
import typing

import pytest

from engine import commands
from engine.commands import AnyCommand, Command, CommandFollower, send
from engine.workspace import Workspace

EVERY_KIND: list[AnyCommand] = [
    commands.Pause(),
    commands.Resume(),
    commands.Skip(run=3),
    commands.Stop(),
    commands.Stop(now=True),
    commands.Message(text="try a smaller model\nplease"),
    commands.Enqueue(text="DEPTH=3"),
    commands.Unqueue(idea="i"),
    commands.Reorder(idea="i", before="j"),
    commands.Annotate(run=3, text="luck → 0.03"),
]


def test_every_kind_of_command_is_tried_here() -> None:
    assert {type(command) for command in EVERY_KIND} == set(typing.get_args(AnyCommand))


@pytest.mark.parametrize("command", EVERY_KIND, ids=lambda command: type(command).__name__)
def test_a_command_arrives_as_it_was_sent(workspace: Workspace, command: AnyCommand) -> None:
    assert send(workspace, command) == command.id
    (received,) = CommandFollower(workspace).poll()
    assert (received.command, received.problem) == (command, "")


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (commands.Pause(id="x"), {"type": "pause", "id": "x"}),
        (commands.Skip(id="x", run=3), {"type": "skip", "id": "x", "run": 3}),
        (commands.Stop(id="x", now=True), {"type": "stop", "id": "x", "now": True}),
        (commands.Annotate(id="x", run=3, text="t"), {"type": "note", "id": "x", "run": 3, "text": "t"}),
    ],
)
def test_the_file_says_plainly_what_is_asked(workspace: Workspace, command: AnyCommand, line: object) -> None:
    send(workspace, command)
    assert json.loads(workspace.commands.read_text()) == line


def test_no_two_commands_have_the_same_id() -> None:
    assert len({Command().id for _ in range(1000)}) == 1000


def test_each_command_is_received_once_and_in_order(workspace: Workspace) -> None:
    follower = CommandFollower(workspace)
    assert follower.poll() == []
    for command in EVERY_KIND[:3]:
        send(workspace, command)
    assert [received.command for received in follower.poll()] == EVERY_KIND[:3]
    assert follower.poll() == []


def test_reading_goes_on_behind_any_command_that_was_received(workspace: Workspace) -> None:
    for command in EVERY_KIND:
        send(workspace, command)
    for number, received in enumerate(CommandFollower(workspace).poll(), 1):
        rest = CommandFollower(workspace, received.offset).poll()
        assert [each.command for each in rest] == EVERY_KIND[number:]


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b'{"type":"explode","id":"x"}',
        b'{"type":"skip","id":"x"}',
        b'{"type":"skip","id":"x","run":"3"}',
        pytest.param(
            b'{"type":"message","id":"x","text":"\xff"}',
        ),
    ],
)
def test_a_line_that_is_no_command_is_a_problem_and_does_not_hide_the_next(workspace: Workspace, line: bytes) -> None:
    workspace.state.mkdir()
    workspace.commands.write_bytes(line + b"\n")
    send(workspace, commands.Pause(id="p"))
    bad, good = CommandFollower(workspace).poll()
    assert (bad.command, bad.problem != "") == (None, True)
    assert good.command == commands.Pause(id="p")
