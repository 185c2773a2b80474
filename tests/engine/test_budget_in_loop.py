"""Whole sessions that run into what autoresearch.toml's [budget] allows."""

import json
import subprocess
from pathlib import Path

import pytest

from engine import commands, events
from engine.workspace import Workspace
from tests.engine.chats import failures, give_key, moves, seen, use, warnings
from tests.engine.endpoints import USAGE, says, serving
from tests.engine.workspaces import PROGRAM, experiments, make, run, start, until

RATE = moves("MATRIX_LR", lambda value: value * 1.2, "a higher rate")
TALK = says("I would rather talk.")
EACH = USAGE["total_tokens"]
ALONE = "are spent: the search goes on alone"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    give_key(monkeypatch)


def sources(workspace: Workspace) -> list[str]:
    return [each.source for each in experiments(workspace)[1:]]


def said(workspace: Workspace) -> list[str]:
    return [warning for warning in warnings(workspace) if ALONE in warning]


def spent(workspace: Workspace) -> dict[str, float]:
    done = subprocess.run(
        [PROGRAM, "status", str(workspace.root), "--json"], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, float] = json.loads(done.stdout)["spent"]
    return found


def test_tokens_that_are_spent_leave_the_session_to_the_search_and_a_restart_knows_it(workspace: Workspace) -> None:
    with serving(TALK, TALK, TALK, TALK, RATE) as script:
        use(workspace, script.url, budget={"tokens": 5 * EACH + 1})
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
        assert said(workspace) == []
        assert run(workspace, "--experiments", "3", seconds=0.01).returncode == 0
        assert said(workspace) == []
        idea = commands.send(workspace, commands.Enqueue(text="a deeper model"))
        assert run(workspace, "--experiments", "6", seconds=0.01).returncode == 0

    assert sources(workspace) == ["search", "chat", "chat", "search", "search", "search"]
    assert len(script.requests) == 6
    assert said(workspace) == [f"the {5 * EACH + 1:,} tokens of [budget] {ALONE}"]
    (taken,) = seen(workspace, events.IdeaTaken)
    assert (taken.id, taken.run) == (idea, None)
    assert f"the {5 * EACH + 1:,} tokens of [budget] are spent" in taken.problem
    assert (spent(workspace)["tokens_in"], spent(workspace)["tokens_out"]) == (
        6 * USAGE["prompt_tokens"],
        6 * USAGE["completion_tokens"],
    )


def test_dollars_follow_from_prices_and_what_failed_counts(workspace: Workspace) -> None:
    price = (USAGE["prompt_tokens"] * 3 + USAGE["completion_tokens"] * 15) / 1e6
    with serving(TALK, TALK, TALK, TALK, RATE) as script:
        prices = {"tokens_in": 3.0, "tokens_out": 15.0}
        use(workspace, script.url, prices=prices, budget={"dollars": round(5.5 * price, 6)})
        assert run(workspace, "--experiments", "5", seconds=0.01).returncode == 0

    assert sources(workspace) == ["search", "chat", "chat", "search", "search"]
    assert [event.cost["dollars"] for event in failures(workspace)] == [pytest.approx(4 * price)]
    assert [each.cost.get("dollars") for each in experiments(workspace)[2:4]] == [pytest.approx(price)] * 2
    assert len(said(workspace)) == 1
    assert spent(workspace)["dollars"] == pytest.approx(6 * price)


def test_what_the_endpoint_says_that_it_costs_counts_where_there_are_no_prices(workspace: Workspace) -> None:
    dear = moves("MATRIX_LR", lambda value: value * 1.2, "a higher rate", usage=USAGE | {"cost": 0.75})
    with serving(dear) as script:
        use(workspace, script.url, "hybrid", hybrid={"share": 1}, budget={"dollars": 1.5})
        assert run(workspace, "--experiments", "4", seconds=0.01).returncode == 0

    assert sources(workspace) == ["chat", "chat", "search", "search"]
    assert said(workspace) == [f"the $1.50 of [budget] {ALONE}"]
    assert spent(workspace)["dollars"] == 1.5


def test_nothing_to_spend_asks_no_model(workspace: Workspace) -> None:
    with serving(RATE) as script:
        use(workspace, script.url, budget={"tokens": 0})
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
    assert (sources(workspace), script.requests) == (["search", "search"], [])


def test_experiments_end_the_session_and_what_was_asked_for_at_the_start_counts_before(workspace: Workspace) -> None:
    use(workspace, "http://127.0.0.1:9/v1", "search", budget={"experiments": 1})
    assert run(workspace, seconds=0.01).returncode == 0
    assert len(experiments(workspace)) == 2
    assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
    assert len(experiments(workspace)) == 3
    reasons = [event.reason for event in seen(workspace, events.EngineStopped)]
    assert reasons == ["1 experiment is done", "2 experiments are done"]
    assert [event.experiments for event in seen(workspace, events.EngineStarted)] == [1, 2]


def test_hours_end_the_session_after_the_experiment_under_way(workspace: Workspace) -> None:
    use(workspace, "http://127.0.0.1:9/v1", "search", budget={"hours": 1e-7})
    done = run(workspace, "--experiments", "9", seconds=0.01)
    assert done.returncode == 0
    assert [event.reason for event in seen(workspace, events.EngineStopped)] == ["the 1e-07 h of [budget] are over"]
    assert experiments(workspace) == []


def test_what_cannot_be_an_amount_is_none(workspace: Workspace) -> None:
    """An endpoint may report anything; the ledger stays readable, and the session goes on."""
    usages = (
        {"cost": "nan"},
        {"cost": "inf"},
        {"cost": -3},
        {"prompt_tokens": 10**400},
        {"completion_tokens": -(10**9)},
    )
    odd = [moves("MATRIX_LR", lambda value: value * 1.1, "odd", usage=USAGE | usage) for usage in usages]
    with serving(*odd) as script:
        use(workspace, script.url, budget={"tokens": 10**9, "dollars": 1000}, prices={"tokens_out": 15})
        assert run(workspace, "--experiments", "5", seconds=0.01).returncode == 0

    assert sources(workspace) == ["chat"] * 5
    assert [each.cost.get("tokens_in", 0) for each in experiments(workspace)[1:]] == [1000] * 3 + [0, 1000]
    assert spent(workspace)["tokens_out"] == 4 * USAGE["completion_tokens"]


def test_a_message_that_nobody_reads_any_more_is_refused(workspace: Workspace) -> None:
    with serving(RATE) as script:
        use(workspace, script.url, budget={"tokens": EACH})
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
        process = start(workspace, "--experiments", "5", seconds=1)
        until(lambda: any(event.run == 4 for event in seen(workspace, events.RunStarted)), "run 4")
        message = commands.send(workspace, commands.Message(text="bolder"))
        process.communicate()

    answers = {event.id: event.problem for event in seen(workspace, events.CommandDone)}
    assert "can't read prose" in answers[message]
