"""A real engine whose proposer is an ACP agent: what a person wants of it, and what a kill of the engine leaves."""

import signal
from pathlib import Path

import pytest

from engine import commands, events
from engine.launch import start_detached
from engine.presence import engine_of
from tests.engine.drafters import drafters
from tests.engine.nights import AGENT, Night, choose, set_up
from tests.engine.workspaces import experiments, git, until


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    return set_up(tmp_path, monkeypatch, "agent")


def sources(night: Night) -> list[str]:
    return [each.source for each in experiments(night.workspace)]


def told_of(night: Night, behaviour: str) -> list[str]:
    """What the agent was told before it behaved so."""
    return [each.text for each in night.told if each.behaviour == behaviour]


def test_an_engine_killed_while_its_agent_thinks_loses_no_message_and_leaves_nobody(night: Night) -> None:
    night.plays("slow", "edit 0.05", "edit 0.06")
    night.send(commands.Message(id="m1", text="mind the warmup"))
    engine = night.start("--experiments", "2")
    night.thinks_of(2, "slow")
    night.send(commands.Message(id="m2", text="and the depth"))
    until(lambda: len(night.seen(events.MessageQueued)) == 2, "the second message")
    engine.send_signal(signal.SIGKILL)
    engine.communicate()
    until(lambda: not drafters(night.workspace), "the end of the agent")

    done = night.run("--experiments", "2")
    assert done.returncode == 0, done.stderr
    night.check_over()
    assert sources(night) == ["baseline", "agent", "agent"]
    taken = [(each.id, each.run) for each in night.seen(events.MessageTaken)]
    assert taken == [("m1", 2), ("m2", 2)]
    (first,), (second,), (third,) = (told_of(night, "slow"), *([each] for each in told_of(night, "edit")))
    assert "mind the warmup" in first and "and the depth" not in first
    assert "mind the warmup" in second and "and the depth" in second
    assert "mind the warmup" not in third and "and the depth" not in third


def test_an_engine_killed_while_its_agent_mends_goes_on_mending(night: Night) -> None:
    night.plays("slip 0.05", "slow", "mend 0.05")
    engine = night.start("--experiments", "1")
    until(lambda: told_of(night, "slow"), "mending")
    engine.send_signal(signal.SIGKILL)
    engine.communicate()
    until(lambda: not drafters(night.workspace), "the end of the agent")

    done = night.run("--experiments", "1")
    assert done.returncode == 0, done.stderr
    night.check_over()
    assert [(each.source, each.status) for each in experiments(night.workspace)] == [
        ("baseline", "keep"),
        ("agent", "keep"),
    ]
    assert "slip_0_05" in told_of(night, "mend")[0]
    assert night.seen(events.Rescued) == []


def test_a_draft_that_a_killed_engine_left_is_gone_whoever_proposes_next(night: Night) -> None:
    night.plays("slow")
    engine = night.start("--experiments", "1")
    night.thinks_of(2, "slow")
    engine.send_signal(signal.SIGKILL)
    engine.communicate()

    assert list(night.workspace.drafts.iterdir())
    assert night.run("--experiments", "1", "--proposer", "search").returncode == 0
    night.check_over()
    assert sources(night) == ["baseline", "search"]


@pytest.mark.parametrize("now", [False, True])
def test_a_stop_ends_a_proposal_and_the_session_goes_on_another_time(night: Night, now: bool) -> None:
    night.plays("slow", "edit 0.05")
    engine = night.start("--experiments", "1")
    night.thinks_of(2, "slow")
    night.send(commands.Stop(now=now))
    _, said = engine.communicate(timeout=60)

    assert engine.returncode == 0
    assert said.splitlines()[-1] == "stopped by a person"
    night.check_over()
    assert sources(night) == ["baseline"]
    assert night.run("--experiments", "1").returncode == 0
    assert sources(night) == ["baseline", "agent"]


def test_a_stop_ends_mending_and_the_crash_is_recorded(night: Night) -> None:
    night.plays("slip 0.05", "slow")
    engine = night.start("--experiments", "5")
    until(lambda: told_of(night, "slow"), "mending")
    night.send(commands.Stop())
    _, said = engine.communicate(timeout=60)

    assert engine.returncode == 0, said
    night.check_over()
    assert [each.status for each in experiments(night.workspace)] == ["keep", "crash"]


def test_a_skip_of_an_agent_that_is_only_starting_leaves_the_next_turn_to_it(night: Night) -> None:
    mute = Path(f"{night.script}.mute")
    mute.touch()
    night.plays("edit 0.05", "edit 0.06")
    engine = night.start("--experiments", "2")
    until(lambda: len(drafters(night.workspace)) == 2, "the agent")
    night.send(commands.Skip(run=2))
    until(lambda: night.seen(events.ProposalFailed), "the search's turn")
    mute.unlink()
    _, said = engine.communicate(timeout=60)

    assert engine.returncode == 0, said
    night.check_over()
    assert sources(night) == ["baseline", "search", "agent"]


def test_ideas_in_words_are_the_agents_and_wait_while_it_is_in_trouble_but_nothing_waits_behind_them(
    night: Night,
) -> None:
    night.plays("edit 0.05", "limit", "edit 0.06")
    for name, text in (("a", "raise the rate"), ("b", "raise it more"), ("c", "re-run 2"), ("d", "DEPTH=5")):
        night.send(commands.Enqueue(id=name, text=text))
    done = night.run("--experiments", "3")

    assert done.returncode == 0, done.stderr
    night.check_over()
    found = experiments(night.workspace)
    assert [each.source for each in found] == ["baseline", "queue", "queue", "queue"]
    assert ["raise the rate" in each.text for each in night.told] == [True, False, False]
    assert "raise it more" in told_of(night, "limit")[0]
    assert found[2].description == "DEPTH 4 → 5"
    taken = [(each.id, each.run, each.problem) for each in night.seen(events.IdeaTaken)]
    assert taken == [("a", 2, ""), ("c", 2, ""), ("d", 3, ""), ("b", 4, "")]
    assert found[1].cost["tokens_in"] == 10


def test_an_idea_that_the_agent_fails_at_three_times_is_put_aside(night: Night) -> None:
    night.plays("limit", "limit", "limit", "edit 0.05")
    night.send(commands.Enqueue(id="a", text="raise the rate"))
    done = night.run("--experiments", "4")

    assert done.returncode == 0, done.stderr
    night.check_over()
    assert sources(night) == ["baseline"] + ["search"] * 4
    assert "the next 4 turns" in night.seen(events.ProposalFailed)[-1].problem
    (taken,) = night.seen(events.IdeaTaken)
    assert taken.run is None and "429" in taken.problem


@pytest.mark.parametrize("proposer", ["agent", "search"])
def test_a_re_run_behind_an_idea_that_cannot_be_run_is_run(night: Night, proposer: str) -> None:
    night.plays("edit 0.05")
    night.send(commands.Enqueue(id="a", text="NO_KNOB=1"))
    night.send(commands.Enqueue(id="b", text="re-run 1"))
    done = night.run("--experiments", "1", "--proposer", proposer)

    assert done.returncode == 0, done.stderr
    night.check_over()
    taken = {each.id: (each.run, each.problem) for each in night.seen(events.IdeaTaken)}
    assert taken == {"a": (None, "train.py has no knob NO_KNOB"), "b": (1, "")}
    assert not any("re-run" in each.text for each in night.told)
    assert sources(night) == ["baseline", proposer]


def test_an_edit_of_autoresearch_toml_while_the_loop_waits_for_a_person_holds_for_the_engine_that_runs(
    night: Night,
) -> None:
    """An agent that is set up anew has no trouble behind it; the search that follows it goes on from all results."""
    night.plays("limit", "limit", "login", "limit", "edit 0.05", "login")
    start_detached(night.workspace, experiments=6)
    until(lambda: len(night.seen(events.Paused)) == 1, "the first login that is needed")
    assert "needs a login" in night.seen(events.Paused)[0].reason
    assert sources(night) == ["baseline", "search", "search", "search"]
    night.send(commands.Message(text="take heart"))
    choose(night.workspace, "agent", session_turns=7)
    night.send(commands.Resume())
    until(lambda: len(night.seen(events.Paused)) == 2, "the second")
    choose(night.workspace, "search")
    night.send(commands.Resume())
    until(lambda: engine_of(night.workspace) is None, "the engine's end")

    assert sources(night) == ["baseline", *["search"] * 4, "agent", "search"]
    rests = [each.problem.partition(",")[0] for each in night.seen(events.ProposalFailed) if "429" in each.problem]
    assert rests == ["the search takes the turn", "the search takes the next 2 turns", "the search takes the turn"]
    (heard,) = told_of(night, "edit")
    assert "take heart" in heard
    assert all(f"\n{run} " in heard for run in range(1, 6))
    assert [each.run for each in night.seen(events.MessageTaken)] == [6]
    assert drafters(night.workspace) == []


def test_new_rules_that_begin_a_segment_begin_a_conversation_too(night: Night) -> None:
    night.plays("edit 0.05", "edit 0.06", "edit 0.07")
    engine = night.start("--experiments", "2", seconds=0.5)
    until(lambda: len(experiments(night.workspace)) == 2, "run 2")
    with night.workspace.prepare.open("a") as file:
        file.write("MORE = 1\n")
    _, said = engine.communicate(timeout=60)

    assert engine.returncode == 0, said
    assert {each.segment for each in experiments(night.workspace)} == {0, 1}
    sessions = [each.session for each in night.told]
    assert len(sessions) == 3 and sessions[0] != sessions[-1]


def test_an_agent_that_is_not_installed_is_refused_before_anything_is_started(night: Night) -> None:
    night.sets("agent", command=["no-such-agent", "acp"])
    done = night.run("--experiments", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "no-such-agent is not installed, or not on the PATH: install it, or mend [agent]." in done.stderr
    assert not night.workspace.events.exists()
    assert git(night.workspace.root, "status", "--porcelain") == ""

    night.sets("agent", command=AGENT)
    night.sets("search")
    night.plays("edit 0.05")
    assert night.run("--experiments", "1", "--proposer", "agent").returncode == 0
    assert sources(night) == ["baseline", "agent"]
