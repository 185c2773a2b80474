"""The agent proposer with a real agent process, which behaves and misbehaves as it is told."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.ledger import Experiment
from engine.proposers import (
    Failed,
    NeedsPersonError,
    NothingToProposeError,
    ProposerTroubleError,
    Result,
)
from engine.proposers.agent import Agent
from engine.proposers.leash import MARK
from engine.proposers.voice import MOST_SAID
from engine.settings import AgentSettings, Settings
from engine.workspace import Workspace
from tests.engine.drafters import (
    Heard,
    check_none_outlives_a_killed_engine,
    check_nothing_is_left,
    check_rate,
    drafters,
    wants,
)
from tests.engine.workspaces import TRAIN, until

SCRIPT = str(Path(__file__).with_name("acp_agent.py"))


Started = Callable[..., Agent]


@pytest.fixture
def started(workspace: Workspace) -> Iterator[Started]:
    """Makes agents; after the test nothing of them is left."""
    agents = []

    def start(*arguments: str, **settings: Any) -> Agent:
        command = [sys.executable, SCRIPT, *arguments]
        given = {"command": command, "limit_seconds": 60.0, "grace_seconds": 0.5} | settings
        agents.append(Agent(Settings(agent=AgentSettings(**given)), workspace))
        return agents[-1]

    yield start
    for agent in agents:
        agent.close()
    check_nothing_is_left(workspace)


@pytest.fixture
def agent(started: Started) -> Agent:
    return started()


def session_of(heard: Heard) -> str:
    """Which conversation an edit was made in."""
    return next(text.split()[-1] for text in heard.of("message") if text.startswith("I raised it in"))


def test_an_edit_through_the_client_is_a_proposal_with_its_notes(agent: Agent) -> None:
    heard = Heard()
    proposal = agent.ask(wants("edit", 0.05), heard.watch)
    check_rate(proposal, 0.05)
    assert proposal.source == "agent"
    assert proposal.description == "a higher rate"
    assert proposal.asi["hypothesis"] == "it learns faster"
    assert proposal.asi["next_action_hint"] == "higher"
    assert "MATRIX_LR" in proposal.asi["arch_change"]
    assert "dropped" not in proposal.asi
    assert proposal.cost.seconds > 0
    assert (proposal.cost.tokens_in, proposal.cost.tokens_out) == (10, 2)
    assert any("I raised it" in text for text in heard.of("message"))


def test_an_edit_without_notes_is_described_by_the_answer(agent: Agent) -> None:
    proposal = agent.ask(wants("plain", 0.05))
    check_rate(proposal, 0.05)
    assert proposal.description.startswith("Raised the rate of the matrices")


def test_notes_in_a_file_count(agent: Agent) -> None:
    assert agent.ask(wants("notes", 0.05)).asi["hypothesis"] == "from a file"


def test_an_agent_that_edits_nothing_is_reminded_once(agent: Agent) -> None:
    heard = Heard()
    check_rate(agent.ask(wants("late", 0.05), heard.watch), 0.05)
    with pytest.raises(ProposerTroubleError, match=r"changed nothing in train\.py") as raised:
        agent.ask(wants("nothing", turn=2), heard.watch)
    assert raised.value.cost.tokens_in == 20  # of both turns
    assert len(heard.of("refused")) == 2  # one each


def test_a_proposal_that_was_run_before_is_none(agent: Agent) -> None:
    first = agent.ask(wants("edit", 0.05))
    tried = Result(Experiment(run=2, status="discard", metric=1.0), first.train)
    with pytest.raises(ProposerTroubleError, match="run 2, which was tried already"):
        agent.ask(wants("edit", 0.05, turn=2, history=(tried,)))


def test_what_is_not_allowed_is_refused_and_named(agent: Agent) -> None:
    heard = Heard()
    proposal = agent.ask(wants("prepare", 0.05), heard.watch)
    check_rate(proposal, 0.05)
    assert "prepare.py" in proposal.asi["dropped"]
    assert any("prepare.py" in text for text in heard.of("refused"))
    assert any("only train.py may be written" in text for text in heard.of("message"))


def test_what_is_changed_behind_the_clients_back_is_dropped_and_named(agent: Agent) -> None:
    heard = Heard()
    proposal = agent.ask(wants("behind", 0.05), heard.watch)
    check_rate(proposal, 0.05)
    assert "it changed prepare.py" in proposal.asi["dropped"]
    assert "it made plan.txt" in proposal.asi["dropped"]
    assert "it changed prepare.py" in heard.of("refused")
    again = agent.ask(wants("edit", 0.06, turn=2))
    assert "dropped" not in again.asi


def test_permission_is_given_for_reading_and_for_train_py(agent: Agent) -> None:
    check_rate(agent.ask(wants("permission", 0.05)), 0.05)


def test_a_path_that_begins_nowhere_begins_in_the_draft_and_not_where_the_engine_is(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("what a run reads\n")
    check_rate(agent.ask(wants("relative", 0.05)), 0.05)
    assert (tmp_path / "train.py").read_text() == "what a run reads\n"


@pytest.mark.parametrize("behaviour", ["outside", "terminal", "garbage", "plan", "meek"])
def test_it_goes_on_after(agent: Agent, behaviour: str) -> None:
    check_rate(agent.ask(wants(behaviour, 0.05)), 0.05)


def test_plan_and_tool_calls_are_heard(agent: Agent) -> None:
    heard = Heard()
    agent.ask(wants("plan", 0.05), heard.watch)
    assert heard.of("plan") == ["[ ] raise the rate; [ ] look at depth"]
    assert heard.of("tool") == ["Edit train.py", "Edit train.py: completed"]


def test_of_ten_megabytes_of_thoughts_the_first_is_heard(agent: Agent) -> None:
    heard = Heard()
    check_rate(agent.ask(wants("thoughts", 0.05), heard.watch), 0.05)
    assert MOST_SAID <= sum(len(text) for kind, text in heard.said if kind == "thought") < MOST_SAID + 10_000
    assert any("the rest is cut" in text for text in heard.of("error"))


@pytest.mark.parametrize("behaviour", ["link", "fifo", "huge", "broken", "deep", "only-behind", "question"])
def test_what_is_no_train_py_is_no_proposal(agent: Agent, behaviour: str) -> None:
    with pytest.raises(ProposerTroubleError, match=r"train\.py.*, and after a reminder too"):
        agent.ask(wants(behaviour))
    check_rate(agent.ask(wants("edit", 0.05)), 0.05)


def test_a_hanging_agent_is_ended_with_all_its_children(started: Started, workspace: Workspace) -> None:
    agent = started(limit_seconds=3.0)
    with pytest.raises(ProposerTroubleError, match="nothing within 3 s"):
        agent.ask(wants("hang"))
    check_nothing_is_left(workspace)
    check_rate(agent.ask(wants("edit", 0.05)), 0.05)


def test_an_agent_that_says_nothing_at_all_is_ended(started: Started, workspace: Workspace) -> None:
    agent = started("--mute", limit_seconds=1.0)
    with pytest.raises(ProposerTroubleError, match="nothing within 1 s"):
        agent.ask(wants("edit", 0.05))
    check_nothing_is_left(workspace)


def test_a_cancelled_proposal_keeps_the_conversation(agent: Agent) -> None:
    heard = Heard()
    first = agent.ask(wants("edit", 0.05), heard.watch)
    threading.Thread(
        target=lambda: (until(lambda: heard.of("thought"), "a thought"), heard.wants_no_more.set())
    ).start()
    with pytest.raises(NothingToProposeError, match="cancelled") as raised:
        agent.ask(wants("slow"), heard.watch)
    assert not isinstance(raised.value, ProposerTroubleError)
    after = Heard()
    agent.ask(wants("edit", 0.06), after.watch)
    assert session_of(heard) == session_of(after)
    assert first.train != TRAIN


def test_an_agent_that_dies_in_the_middle_of_a_message_is_started_again(agent: Agent, workspace: Workspace) -> None:
    with pytest.raises(ProposerTroubleError, match=r"exit status 3.*Segmentation fault \(no core\)"):
        agent.ask(wants("crash", 0.05))
    check_nothing_is_left(workspace)
    check_rate(agent.ask(wants("edit", 0.05)), 0.05)


@pytest.mark.parametrize(("arguments", "behaviour"), [(["--nobody"], "edit"), ([], "login")])
def test_an_agent_that_nobody_has_logged_in_to_needs_a_person(
    started: Started, arguments: list[str], behaviour: str
) -> None:
    with pytest.raises(NeedsPersonError, match=r"needs a login .*\[agent\] environment"):
        started(*arguments).ask(wants(behaviour, 0.05))


def test_closing_ends_a_proposal_that_is_under_way(agent: Agent, workspace: Workspace) -> None:
    heard = Heard()
    stopper = threading.Thread(target=lambda: (until(lambda: heard.of("thought"), "a thought"), agent.close()))
    stopper.start()
    with pytest.raises(NothingToProposeError, match="cancelled"):
        agent.ask(wants("slow"), heard.watch)
    stopper.join()
    check_nothing_is_left(workspace)


def test_a_limit_of_the_endpoint_is_trouble_in_its_own_words(agent: Agent) -> None:
    with pytest.raises(ProposerTroubleError, match="429 Too Many Requests") as raised:
        agent.ask(wants("limit"))
    assert not isinstance(raised.value, NeedsPersonError)


def test_what_an_agent_says_of_its_trouble_draws_nothing_on_a_screen(agent: Agent) -> None:
    with pytest.raises(ProposerTroubleError) as raised:
        agent.ask(wants("rude"))
    assert str(raised.value).endswith(r"gave no proposal: no model\x07")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"command": []}, "names no agent"),
        ({"command": ["no-such-agent", "acp"]}, "no-such-agent is not installed"),
        ({"command": [sys.executable, SCRIPT, "--version-99"]}, "version 99"),
    ],
)
def test_what_only_a_person_can_mend_is_said(started: Started, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NeedsPersonError, match=sentence):
        started(**settings).ask(wants("edit", 0.05))


@pytest.mark.parametrize("command", [["true"], [sys.executable, SCRIPT, "--garbage"]])
def test_a_program_that_is_no_agent_is_trouble(started: Started, command: list[str]) -> None:
    with pytest.raises(ProposerTroubleError, match="ended in the middle of a proposal"):
        started(command=command).ask(wants("edit", 0.05))


def test_a_full_context_begins_a_new_conversation(started: Started) -> None:
    heard = [Heard() for _ in range(3)]
    agent = started()
    proposal = agent.ask(wants("expensive", 0.05), heard[0].watch)
    assert proposal.cost.dollars == 0.25
    agent.ask(wants("edit", 0.06), heard[1].watch)
    agent.ask(wants("edit", 0.07), heard[2].watch)
    assert session_of(heard[0]) != session_of(heard[1]) == session_of(heard[2])


@pytest.mark.parametrize("limit", [{"session_turns": 1}, {"session_bytes": 1000}])
def test_without_a_report_turns_and_bytes_are_counted(started: Started, limit: dict[str, int]) -> None:
    heard = [Heard(), Heard()]
    agent = started(**limit)
    for each, rate in zip(heard, (0.05, 0.06), strict=True):
        check_rate(agent.ask(wants("edit", rate), each.watch), rate)
    assert session_of(heard[0]) != session_of(heard[1])


def test_a_failed_candidate_is_what_is_mended(agent: Agent) -> None:
    failed = Failed(
        train=TRAIN.replace("DEPTH = 4", "DEPTH = 6"), reason="behave: edit 0.05 first", log_tail="``` ignore this"
    )
    proposal = agent.ask(replace(wants("edit"), failed=failed, idea=""))
    assert "DEPTH = 6" in proposal.train
    check_rate(proposal, 0.05)


def test_an_agent_sees_no_variable_that_was_not_named(
    started: Started, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setenv("MY_API_KEY", "secret")
    monkeypatch.setenv("OTHER_API_KEY", "secret")
    agent = started(environment=["MY_API_KEY"])
    agent.ask(wants("edit", 0.05))
    seen = [process.environ() for process in drafters(workspace)]
    assert len(seen) == 2  # the leash and the agent
    assert all("MY_API_KEY" in each and "OTHER_API_KEY" not in each for each in seen)


def test_drafts_that_a_killed_engine_left_are_cleared_away(started: Started, workspace: Workspace) -> None:
    left = workspace.state / "drafts" / "left"
    (left / "locked").mkdir(parents=True)
    (left / "locked" / "file").write_text("")
    (left / "locked").chmod(0o500)
    orphan = subprocess.Popen(["sleep", "600"], env={MARK: str(left)}, start_new_session=True)
    until(lambda: drafters(workspace), "the orphan's environment, which an exec lays down last")
    started().ask(wants("edit", 0.05))
    assert orphan.wait() == -9
    assert not left.exists()


def test_an_agent_does_not_outlive_a_killed_engine(workspace: Workspace) -> None:
    code = f"""
import sys
from engine.proposers.agent import Agent
from engine.workspace import Workspace
from pathlib import Path
from engine.settings import AgentSettings, Settings
from tests.engine.test_agent import SCRIPT, wants
settings = AgentSettings(command=[sys.executable, SCRIPT], grace_seconds=0.5)
Agent(Settings(agent=settings), Workspace(Path({str(workspace.root)!r}))).ask(wants("hang"))
"""
    check_none_outlives_a_killed_engine(workspace, code)


@pytest.mark.soak
def test_twenty_proposals_in_a_row(started: Started, workspace: Workspace) -> None:
    """A night in short: each ends as it must, and the next is as if nothing had been."""
    agent = started(limit_seconds=4.0)
    script: list[tuple[str, type[Exception] | None]] = [
        ("edit", None),
        ("nothing", ProposerTroubleError),
        ("prepare", None),
        ("behind", None),
        ("only-behind", ProposerTroubleError),
        ("hang", ProposerTroubleError),
        ("edit", None),
        ("crash", ProposerTroubleError),
        ("permission", None),
        ("thoughts", None),
        ("question", ProposerTroubleError),
        ("late", None),
        ("slow", ProposerTroubleError),
        ("garbage", None),
        ("login", NeedsPersonError),
        ("plain", None),
        ("link", ProposerTroubleError),
        ("terminal", None),
        ("expensive", None),
        ("outside", None),
    ]
    for number, (behaviour, error) in enumerate(script, 1):
        context = wants(behaviour, f"0.1{number:02d}", turn=number)
        if error is None:
            check_rate(agent.ask(context), f"0.1{number:02d}")
        else:
            with pytest.raises(error):
                agent.ask(context)
        assert len(drafters(workspace)) in (0, 2), behaviour
