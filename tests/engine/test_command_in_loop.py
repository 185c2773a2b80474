"""A program that edits train.py as the proposer of a real engine: a headless agent, or a person's script."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import commands, events, journal, ledger
from engine.journal import Phase
from engine.proposers.voice import MOST_SAID
from tests.engine.drafters import drafters
from tests.engine.nights import PROGRAM, Night, set_up
from tests.engine.workspaces import environment, experiments, until

LIMIT = 5


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return set_up(tmp_path, monkeypatch, "command")


def sources(night: Night) -> list[str]:
    return [each.source for each in experiments(night.workspace)]


def test_whatever_a_program_does_the_loop_goes_on(night: Night) -> None:
    night.sets("command", limit_seconds=LIMIT)
    lines = ["stdin 0.05", "crash 0.06", "daemon 0.07", "endless", "slip 0.08", "mend 0.08", "question", "behind 0.09"]
    night.plays(*lines, "login")
    night.send(commands.Message(text="mind the warmup"))
    done = night.run("--experiments", "8")

    assert done.returncode == 1
    assert "Please run /login" in done.stderr.splitlines()[-1]
    assert "name its key in [command] environment" in done.stderr.splitlines()[-1]
    night.check_over()
    assert sources(night) == ["baseline", "command", "search", "command", "search", "command", "search", "command"]
    problems = [each.problem for each in night.seen(events.ProposalFailed)]
    for problem, expected in zip(
        problems,
        (
            "exit status 3: Segmentation fault (no core)",
            f"nothing within {LIMIT} s",
            "changed nothing in train.py, and after a reminder too",
            "Please run /login",
        ),
        strict=True,
    ):
        assert expected in problem
    found = experiments(night.workspace)
    assert "slip_0_08" in found[5].asi["crash 1, mended"]
    assert found[7].asi["dropped"] == "only train.py counts: it changed prepare.py"
    assert all(each.asi["hypothesis"] == "it learns faster" for each in found if each.source == "command")
    assert any("and on and on" in each.text for each in night.transcript(5))
    assert night.workspace.run_folder(5).transcript.stat().st_size < 10 * MOST_SAID
    assert [each.run for each in night.seen(events.MessageTaken)] == [2]
    assert ["mind the warmup" in each.text for each in night.told] == [True] + [False] * (len(night.told) - 1)


def test_rules_that_a_program_changes_behind_its_draft_are_put_back_though_no_run_follows(
    night: Night, tmp_path: Path
) -> None:
    prepare = night.workspace.prepare
    before = prepare.read_bytes()
    script = tmp_path / "cheat.sh"
    script.write_text(f'#!/bin/sh\necho "MAX_SEQ_LEN = 1" >> {prepare}\necho "please log in" >&2\nexit 1\n')
    script.chmod(0o755)
    night.sets("command", command=[str(script)])
    for _ in range(2):
        done = night.run("--experiments", "1")
        assert done.returncode == 1
        assert "prepare.py was changed during a proposal: it is as before" in done.stderr
        assert prepare.read_bytes() == before
    saved = list(night.workspace.rescued.glob("prepare.py.*"))
    assert [each.read_bytes() for each in saved] == [before + b"MAX_SEQ_LEN = 1\n"] * 2
    assert len(ledger.read(night.workspace.ledger).segments) == 1


def test_a_preset_drives_the_loop_and_a_killed_engine_leaves_nobody(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM[1]} "$2"\n')
    night.sets("command", preset="claude", command=[])
    refused = night.run("--experiments", "1")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "claude is not installed" in refused.stderr
    assert not night.workspace.events.exists()

    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    night.plays("hang", "edit 0.05")
    night.send(commands.Enqueue(id="a", text="raise the rate"))
    engine = night.start("--experiments", "1")
    night.thinks_of(2, "hang")
    until(lambda: len(drafters(night.workspace)) == 3, "the leash, the program and its child")
    engine.send_signal(signal.SIGKILL)
    engine.communicate()
    until(lambda: not drafters(night.workspace), "the end of all three")

    done = night.run("--experiments", "1")
    assert done.returncode == 0, done.stderr
    night.check_over()
    assert sources(night) == ["baseline", "queue"]
    assert ["raise the rate" in each.text for each in night.told] == [True, True]
    assert [(each.id, each.run) for each in night.seen(events.IdeaTaken)] == [("a", 2)]


STEPS = (12, 40, 62, 85, 108, 131)
"""From where the crash is measured: until the mended train.py runs, about."""


def test_an_engine_killed_at_a_step_of_mending_loses_nothing(night: Night) -> None:
    night.plays(*["slip-or-mend"] * 100)
    assert night.run("--experiments", "0").returncode == 0
    fell_in: set[tuple[Phase, int]] = set()
    for wanted, step in enumerate(STEPS, 1):
        assert killed(night, step, wanted, Phase.MEASURED) == -signal.SIGKILL
        flight = journal.load(night.workspace)
        fell_in |= {(flight.phase, flight.fixes)} if flight is not None else set()
        assert killed(night, 0, wanted) == 0
        night.check_over()
        last = experiments(night.workspace)[wanted]
        assert (last.run, last.source) == (wanted + 1, "command")
        assert [key for key in last.asi if key.startswith("crash")] == ["crash 1, mended"]
        assert "I mended it." in "".join(each.text for each in night.transcript(last.run))
    assert night.seen(events.Rescued) == []
    assert fell_in >= {(Phase.MEASURED, 0), (Phase.PROPOSED, 1), (Phase.COMMITTED, 1), (Phase.RUNNING, 1)}


def killed(night: Night, step: int, wanted: int, *phase: str) -> int:
    """Run an engine that dies at ``step`` (of a phase); 0 for one that lives to its end. Returns its exit status."""
    arguments = [str(night.workspace.root), str(step), str(wanted), *phase]
    command = [sys.executable, "-m", "tests.engine.killed_engine", *arguments]
    return subprocess.run(command, env=environment(0), timeout=120, check=False).returncode
