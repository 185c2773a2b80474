"""Whole sessions of the hybrid: the search and a model by turns, each learning from the other's results."""

import re
from pathlib import Path

import pytest

from engine import commands, events
from engine.launch import start_detached
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.chats import (
    KEY,
    KEY_NAME,
    briefing,
    check_clean,
    check_nowhere,
    edits,
    failures,
    give_key,
    moves,
    seen,
    tokens,
    use,
)
from tests.engine.endpoints import USAGE, Reply, fails, serving
from tests.engine.workspaces import experiments, make, run, until

RATE = moves("MATRIX_LR", lambda value: value * 1.2, "a higher rate")
CODE = edits('print(f"depth', lambda line: line.replace("depth:  ", "depth: "), "another print")
REFUSED = fails(401, f"Incorrect API key provided: {KEY}.")
STATE = "# What a search over the knobs believes"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    give_key(monkeypatch)


def sources(workspace: Workspace) -> list[str]:
    return [each.source for each in experiments(workspace)[1:]]


def test_twenty_turns_are_shared_and_the_model_sees_what_the_search_believes(workspace: Workspace) -> None:
    turns = 20
    with serving(RATE, CODE, RATE) as script:
        use(workspace, script.url, "hybrid", hybrid={"share": 0.3})
        assert run(workspace, "--experiments", str(turns), seconds=0.01).returncode == 0

    assert {*sources(workspace)} == {"chat", "search"}
    models = [turn for turn, source in enumerate(sources(workspace), 1) if source == "chat"]
    assert 3 <= len(models) == len(script.requests) <= 10
    for request, turn in zip(script.requests, models, strict=True):
        _, _, state = briefing(request).partition(STATE)
        for each in experiments(workspace)[:turn][-20:]:
            assert re.search(rf"^run {each.run}: {each.status}", state, re.M), (turn, each.run)
    code = experiments(workspace)[models[1]]
    assert code.description == "another print"
    _, _, last = briefing(script.requests[-1]).partition(STATE)
    assert re.search(rf"^run {code.run}: .*code only, no knob moved$", last, re.M)
    assert [bool(each.cost) for each in experiments(workspace)[1:]] == [turn in models for turn in range(1, turns + 1)]
    check_clean(workspace)
    check_nowhere(KEY, workspace.root)


@pytest.mark.parametrize("sampler", ["cmaes", "random"])
def test_whatever_the_sampler_both_propose(workspace: Workspace, sampler: str) -> None:
    with serving(RATE) as script:
        use(workspace, script.url, "hybrid", search={"sampler": sampler}, hybrid={"share": 0.5})
        assert run(workspace, "--experiments", "6", seconds=0.01).returncode == 0
    assert {*sources(workspace)} == {"chat", "search"}
    assert all(STATE in briefing(request) for request in script.requests)


def test_a_refused_key_pauses_nothing(workspace: Workspace) -> None:
    with serving(REFUSED) as script:
        use(workspace, script.url, "hybrid", hybrid={"share": 1})
        start_detached(workspace, experiments=3)
        until(lambda: len(experiments(workspace)) == 4 and engine_of(workspace) is None, "the engine's end")

    assert sources(workspace) == ["search"] * 3
    assert [f"refuses the key in {KEY_NAME}" in event.problem for event in failures(workspace)] == [True, True]
    assert seen(workspace, events.Paused) == []
    check_clean(workspace)
    check_nowhere(KEY, workspace.root)


def test_a_message_and_an_idea_in_words_go_to_the_model(workspace: Workspace) -> None:
    with serving(RATE, RATE) as script:
        use(workspace, script.url, "hybrid", hybrid={"share": 0})
        assert run(workspace, "--experiments", "1", seconds=0.01).returncode == 0
        commands.send(workspace, commands.Message(text="bolder, please"))
        assert run(workspace, "--experiments", "3", seconds=0.01).returncode == 0
        commands.send(workspace, commands.Enqueue(text="raise the rate"))
        assert run(workspace, "--experiments", "5", seconds=0.01).returncode == 0

    assert sources(workspace) == ["search", "chat", "search", "queue", "search"]
    assert ["> bolder, please" in briefing(request) for request in script.requests] == [True, False]
    assert [event.run for event in seen(workspace, events.MessageTaken)] == [3]
    assert [event.run for event in seen(workspace, events.IdeaTaken)] == [5]


def test_what_a_model_broke_it_mends(workspace: Workspace) -> None:
    slip: Reply = edits("bowl = ", lambda line: line.replace("math.log(", "maths.log("), "a slip")
    mended: Reply = edits("bowl = ", lambda line: line.replace("maths.log(", "math.log(1.0 * "), "mended")
    with serving(slip, mended) as script:
        use(workspace, script.url, "hybrid", hybrid={"share": 1})
        assert run(workspace, "--experiments", "1", seconds=0.01).returncode == 0

    (_, experiment) = experiments(workspace)
    assert (experiment.source, experiment.metric is not None, len(script.requests)) == ("chat", True, 2)
    assert tokens(experiment.cost) == (2 * USAGE["prompt_tokens"], 2 * USAGE["completion_tokens"])
