"""The command proposer with a real program, which behaves and misbehaves as it is told."""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.proposers import Failed, NeedsPersonError, NothingToProposeError, ProposerTroubleError
from engine.proposers.command import Command
from engine.proposers.presets import PRESETS
from engine.proposers.voice import MOST_SAID
from engine.settings import CommandSettings, Settings
from engine.workspace import Workspace
from tests.engine.drafters import Heard, check_none_outlives_a_killed_engine, check_nothing_is_left, check_rate, wants
from tests.engine.workspaces import TRAIN, until

SCRIPT = str(Path(__file__).with_name("headless_agent.py"))
COMMAND = [sys.executable, SCRIPT, "{prompt}"]

Made = Callable[..., Command]


@pytest.fixture
def made(workspace: Workspace) -> Iterator[Made]:
    """Makes commands; after the test nothing of them is left."""
    commands = []

    def make(**settings: Any) -> Command:
        given = {"command": COMMAND, "limit_seconds": 60.0, "grace_seconds": 0.3} | settings
        commands.append(Command(Settings(command=CommandSettings(**given)), workspace))
        return commands[-1]

    yield make
    for command in commands:
        command.close()
    check_nothing_is_left(workspace)


def test_an_edit_is_a_proposal_with_its_notes(made: Made) -> None:
    heard = Heard()
    proposal = made().ask(wants("edit", 0.05), heard.watch)
    check_rate(proposal, 0.05)
    assert proposal.source == "command"
    assert proposal.description == "a higher rate"
    assert proposal.asi["hypothesis"] == "it learns faster"
    assert "I raised it." in heard.of("message")


def test_the_context_is_on_standard_input_and_in_a_file(made: Made) -> None:
    check_rate(made().ask(wants("stdin", 0.05)), 0.05)
    by_file = made(command=["sh", "-c", 'grep -q prepare.py "$0" && echo "DEPTH = 6" >> train.py', "{context}"])
    assert by_file.ask(wants("edit")).train == f"{TRAIN}DEPTH = 6\n"


def test_a_preset_gets_the_prompt_and_the_persons_arguments(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asi.json\necho "DEPTH = 6" >> train.py\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    heard = Heard()
    made(preset="claude", command=[], arguments=["--model", "opus"]).ask(wants("edit"), heard.watch)
    (line,) = heard.of("message")
    assert line.startswith("-p Read context.md")
    assert line.endswith("--permission-mode acceptEdits --model opus")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_tells_the_agent_what_is_wanted(preset: str) -> None:
    words = PRESETS[preset].command
    assert "{prompt}" in words or "{context}" in words


def test_what_else_is_changed_is_dropped_and_named(made: Made) -> None:
    heard = Heard()
    proposal = made().ask(wants("behind", 0.05), heard.watch)
    check_rate(proposal, 0.05)
    assert "it changed prepare.py" in proposal.asi["dropped"]
    assert heard.of("refused") == ["it changed prepare.py"]


def test_a_program_that_edits_nothing_is_run_once_more(made: Made) -> None:
    heard = Heard()
    check_rate(made().ask(wants("late", 0.05), heard.watch), 0.05)
    assert heard.of("refused") == ["reminded: it changed nothing in train.py"]


@pytest.mark.parametrize("behaviour", ["question", "link"])
def test_what_is_no_train_py_is_no_proposal(made: Made, behaviour: str) -> None:
    with pytest.raises(ProposerTroubleError, match=r"train\.py.*, and after a reminder too"):
        made().ask(wants(behaviour))


@pytest.mark.parametrize("behaviour", ["flood", "one-line"])
def test_of_much_output_the_first_is_heard(made: Made, behaviour: str) -> None:
    heard = Heard()
    check_rate(made().ask(wants(behaviour, 0.05), heard.watch), 0.05)
    assert sum(len(text) for _, text in heard.said) < MOST_SAID + 10_000
    assert any("the rest is cut" in text for text in heard.of("error"))


def test_a_program_that_fails_proposes_nothing_whatever_it_left(made: Made) -> None:
    with pytest.raises(ProposerTroubleError, match=r"exit status 3: Segmentation fault \(no core\)"):
        made().ask(wants("crash", 0.05))


def test_a_login_needs_a_person(made: Made) -> None:
    with pytest.raises(NeedsPersonError, match=r"Please run /login.*\[command\] environment"):
        made().ask(wants("login"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"command": []}, "names no agent"),
        ({"command": ["no-such-agent"]}, "no-such-agent is not installed"),
        ({"command": [], "preset": "nobody"}, "is none of claude, codex"),
    ],
)
def test_what_only_a_person_can_mend_is_said(made: Made, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NeedsPersonError, match=sentence):
        made(**settings).ask(wants("edit", 0.05))


def test_a_hanging_program_is_ended_with_all_its_children(made: Made, workspace: Workspace) -> None:
    with pytest.raises(ProposerTroubleError, match="nothing within 1 s"):
        made(limit_seconds=1.0).ask(wants("hang"))
    check_nothing_is_left(workspace)


def test_a_daemon_that_it_leaves_is_ended(made: Made, workspace: Workspace) -> None:
    check_rate(made().ask(wants("daemon", 0.05)), 0.05)
    check_nothing_is_left(workspace)


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_a_proposal_that_nobody_wants_is_ended(made: Made, workspace: Workspace, how: str) -> None:
    heard, command = Heard(), made()

    def stop() -> None:
        until(lambda: heard.of("message"), "its first word")
        heard.wants_no_more.set() if how == "cancelled" else command.close()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(NothingToProposeError, match="cancelled"):
        command.ask(wants("hang"), heard.watch)
    stopper.join()
    check_nothing_is_left(workspace)


def test_a_failed_candidate_is_what_is_mended(made: Made) -> None:
    failed = Failed(train=TRAIN.replace("DEPTH = 4", "DEPTH = 6"), reason="behave: edit 0.05 first", log_tail="")
    proposal = made().ask(replace(wants("edit"), failed=failed, idea=""))
    assert "DEPTH = 6" in proposal.train


def test_a_program_does_not_outlive_a_killed_engine(workspace: Workspace) -> None:
    code = f"""
from pathlib import Path
from engine.proposers.command import Command
from engine.settings import CommandSettings, Settings
from engine.workspace import Workspace
from tests.engine.drafters import wants
settings = CommandSettings(command={COMMAND!r}, grace_seconds=0.3)
Command(Settings(command=settings), Workspace(Path({str(workspace.root)!r}))).ask(wants("hang"))
"""
    check_none_outlives_a_killed_engine(workspace, code)


@pytest.mark.soak
def test_twenty_proposals_in_a_row(made: Made, workspace: Workspace) -> None:
    """A night in short: each ends as it must, and the next is as if nothing had been."""
    command = made(limit_seconds=5.0)
    script = [("edit", None), ("late", None), ("behind", None), ("daemon", None), ("stdin", None)] * 2 + [
        ("question", ProposerTroubleError),
        ("link", ProposerTroubleError),
        ("crash", ProposerTroubleError),
        ("hang", ProposerTroubleError),
        ("login", NeedsPersonError),
    ] * 2
    for number, (behaviour, error) in enumerate(script, 1):
        context = wants(behaviour, f"0.1{number:02d}", turn=number)
        if error is None:
            check_rate(command.ask(context), f"0.1{number:02d}")
        else:
            with pytest.raises(error):
                command.ask(context)
        check_nothing_is_left(workspace)
