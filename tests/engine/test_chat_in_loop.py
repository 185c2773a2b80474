"""Whole sessions in which a model at an endpoint proposes, with its good answers and all of its bad ones."""

import signal
import sys
import threading
from pathlib import Path

import pytest

from engine import commands, events
from engine.errors import UnusableWorkspace
from engine.launch import start_detached
from engine.presence import engine_of
from engine.proposers.chat import SENT_BACK
from engine.workspace import Workspace
from tests.engine.chats import (
    KEY,
    KEY_NAME,
    block,
    briefing,
    check_clean,
    check_nowhere,
    edits,
    failures,
    give_key,
    moves,
    seen,
    tokens,
    told,
    transcript,
    use,
    warnings,
)
from tests.engine.endpoints import USAGE, Exchange, Reply, cuts, drips, fails, hangs, says, serving
from tests.engine.workspaces import TRAIN, experiments, git, make, run, start, until

IN, OUT = USAGE["prompt_tokens"], USAGE["completion_tokens"]

RATE = moves("MATRIX_LR", lambda value: value * 1.2, "a higher rate")
WORSE = moves("MATRIX_LR", lambda value: value / 2, "a lower rate")
WARMER = moves("WARMUP_RATIO", lambda value: value + 0.01, "a longer warm-up")
DEEPER = moves("DEPTH", lambda value: value + 1, "a layer more")
SLIP = edits("bowl = ", lambda line: line.replace("math.log(", "maths.log("), "a slip")
MENDED = edits("bowl = ", lambda line: line.replace("maths.log(", "math.log(1.0 * "), "mended")
SLIPS_AGAIN = edits("bowl = ", lambda line: line.replace("maths", "mathz").replace("mathz.", "mathz.x."), "once more")
BREAKS = edits("bowl = ", lambda line: f'{line}\nraise ValueError("a wrong idea")', "a wrong idea")
CODE = edits('print(f"depth', lambda line: line.replace("depth:  ", "depth: "), "another print")
OTHER_FILE = says("prepare.py\n" + block("MAX_SEQ_LEN = 256", "MAX_SEQ_LEN = 1"))
NO_PYTHON = edits("MATRIX_LR = ", lambda line: "MATRIX_LR = (", "no Python")
SAME = edits("MATRIX_LR = ", lambda line: line, "nothing")
ELSEWHERE = says(told(block("NO_SUCH = 1", "NO_SUCH = 2"), "elsewhere"))
HUGE = says("x" * (3 << 20))
DOWN = fails(503, "overloaded", retry_after="0.05")
REFUSED = fails(401, f"Incorrect API key provided: {KEY}.")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "work")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    give_key(monkeypatch)


NIGHT: list[tuple[str, str, int, list[Reply]]] = [
    # who took the turn, part of the description, how many answers said what they cost, and all of them
    ("chat", "a higher rate", 1, [RATE]),
    ("chat", "a layer more", 1, [fails(429, "slow down", retry_after="0.2"), DEEPER]),
    ("chat", "a lower rate", 1, [fails(529, "busy", retry_after="0.1"), fails(500, "oops"), WORSE]),
    ("chat", "a longer warm-up", 1, [cuts("I think"), WARMER]),
    ("search", "", 4, [says("I would rather talk."), ELSEWHERE, NO_PYTHON, OTHER_FILE]),
    ("chat", "a higher rate", 3, [SAME, says(""), HUGE, RATE]),
    ("chat", "a slip", 2, [SLIP, MENDED]),
    ("chat", "a slip", 3, [SLIP, SLIPS_AGAIN, SLIPS_AGAIN]),
    ("chat", "a wrong idea", 1, [BREAKS]),
    ("search", "", 0, [DOWN] * 4),
    ("search", "", 0, [cuts("I"), DOWN, DOWN, DOWN]),
    ("search", "", 0, []),
    ("search", "", 0, [fails(400, "the context is too long")]),
    ("search", "", 0, []),
    ("search", "", 0, []),
    ("search", "", 0, []),
    ("chat", "another print", 1, [CODE]),
    ("chat", "a longer warm-up", 1, [WARMER]),
    ("search", "", 4, [OTHER_FILE] * 4),
    ("chat", "a higher rate", 1, [RATE]),
]


@pytest.mark.parametrize("stream", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["streaming", "whole"])
def test_a_night_with_a_model_that_answers_in_every_way(workspace: Workspace, stream: bool) -> None:
    replies = [reply for *_, replies in NIGHT for reply in replies]
    with serving(*replies, says("too many")) as script:
        use(workspace, script.url, chat={"stream": stream})
        done = run(workspace, "--experiments", str(len(NIGHT)), seconds=0.01)

    assert done.returncode == 0, done.stderr
    assert len(script.requests) == len(replies)
    found = experiments(workspace)[1:]
    check_sources_and_costs(workspace)
    check_clean(workspace)
    check_nowhere(KEY, workspace.root)

    spoken = [transcript(workspace, each) for each in found]
    limited = [said for said in spoken[1] if said.kind == "wait"]
    assert ["asking again in 0.2 s" in said.text for said in limited] == [True]
    assert sum("waits: " in warning for warning in warnings(workspace)) == 4 + 3 + 3
    assert [said.kind for said in spoken[4]].count("refused") == 1 + SENT_BACK
    assert "I would rather talk." in "".join(said.text for said in spoken[4] if said.kind == "message")
    assert [said.kind for said in spoken[5]].count("refused") == 3
    for number, each in enumerate(found):
        assert (each.asi.get("hypothesis") == f"why {each.description}") == (each.source == "chat")
        assert [said.kind for said in spoken[number]] != [] or each.source == "search"

    mended, given_up = found[6], found[7]
    assert (mended.status, mended.metric is not None) == ("discard", True)
    assert "maths" in mended.asi["crash 1, mended"] and "crash 2, mended" not in mended.asi
    assert given_up.status == "crash" and "mathz" in given_up.asi["crash 2, mended"]
    assert found[8].status == "crash" and "ValueError: a wrong idea" in found[8].asi["result"]
    log = git(workspace.root, "log", "--format=%s", "--reverse").splitlines()
    first = log.index("experiment: a slip")
    assert log[first : first + 3] == [
        "experiment: a slip",
        "experiment: a slip (mended, 1)",
        'Revert "experiment: a slip"',
    ]
    where = workspace.run_folder(given_up.run).path
    assert all((where.with_name(f"{where.name}-crashed-{n}") / "run.log").exists() for n in (1, 2))


def check_sources_and_costs(workspace: Workspace) -> None:
    """Every turn as NIGHT has it: who took it, what it cost, and what was spent in vain."""
    found = experiments(workspace)[1:]
    for each, (source, description, answers, replies) in zip(found, NIGHT, strict=True):
        assert (each.source, description in each.description) == (source, True), each
        if source == "search":
            assert each.cost == {}
        elif HUGE not in replies:  # streamed, it is broken off before it says what it cost
            assert each.cost["seconds"] > 0
            assert tokens(each.cost) == (IN * answers, OUT * answers)
    told = failures(workspace)
    assert [tokens(event.cost) for event in told] == [(4 * IN, 4 * OUT), (0, 0), (0, 0), (0, 0), (4 * IN, 4 * OUT)]
    assert all(event.cost["seconds"] > 0 and event.proposer == "chat" for event in told)
    turns = ["the search takes the turn, ", "the search takes the turn, ", "the search takes the next 2 turns, "]
    turns += ["the search takes the next 4 turns, ", "the search takes the turn, "]
    assert [event.problem[: len(words)] for event, words in zip(told, turns, strict=True)] == turns


def test_a_refused_key_ends_a_session_without_a_screen_with_what_to_do(workspace: Workspace) -> None:
    with serving(RATE, REFUSED) as script:
        use(workspace, script.url)
        done = run(workspace, "--experiments", "5", seconds=0.01)

    assert done.returncode == 1
    assert f"refuses the key in {KEY_NAME}: renew it, start the engine anew" in done.stderr.splitlines()[-1]
    assert KEY not in done.stderr + done.stdout
    assert len(script.requests) == 2
    assert len(experiments(workspace)) == 2
    assert [event.problem for event in failures(workspace)] == [seen(workspace, events.EngineStopped)[-1].reason]
    check_clean(workspace)
    check_nowhere(KEY, workspace.root)


def test_a_refused_key_pauses_a_detached_session_until_it_is_told_to_go_on(workspace: Workspace) -> None:
    with serving(RATE, REFUSED, DEEPER) as script:
        use(workspace, script.url)
        start_detached(workspace, experiments=2)
        until(lambda: [event for event in seen(workspace, events.Paused) if KEY_NAME in event.reason], "the pause")
        assert len(experiments(workspace)) == 2
        commands.send(workspace, commands.Resume())
        until(lambda: engine_of(workspace) is None, "the engine's end")

    assert [each.source for each in experiments(workspace)] == ["baseline", "chat", "chat"]
    check_clean(workspace)
    check_nowhere(KEY, workspace.root)


def test_a_server_that_is_gone_leaves_the_night_to_the_search(workspace: Workspace) -> None:
    with serving(RATE) as script:
        use(workspace, script.url)
    done = run(workspace, "--experiments", "2", seconds=0.01)

    assert done.returncode == 0, done.stderr
    assert [each.source for each in experiments(workspace)] == ["baseline", "search", "search"]
    assert ["given up after 4 tries" in event.problem for event in failures(workspace)] == [True, True]
    check_clean(workspace)


def test_an_engine_killed_while_the_model_answers_leaves_nothing_that_the_next_one_minds(workspace: Workspace) -> None:
    with serving(RATE, drips(), DEEPER) as script:
        use(workspace, script.url)
        process = start(workspace, "--experiments", "2", seconds=0.01)
        until(lambda: len(script.requests) == 2 and workspace.proposing.exists(), "the second answer")
        until(lambda: b'"message"' in workspace.proposing.read_bytes(), "some of it")
        process.kill()
        process.communicate()
        assert len(experiments(workspace)) == 2

        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0

    assert [each.description for each in experiments(workspace)] == ["baseline", "a higher rate", "a layer more"]
    assert all(said.text != "x" for said in transcript(workspace, experiments(workspace)[-1]))
    check_clean(workspace)


def test_an_engine_killed_while_the_model_mends_has_it_mended_by_the_next(workspace: Workspace) -> None:
    with serving(SLIP, drips(), MENDED) as script:
        use(workspace, script.url)
        process = start(workspace, "--experiments", "1", seconds=0.01)
        until(lambda: len(script.requests) == 2, "the answer")
        process.kill()
        process.communicate()

        assert run(workspace, "--experiments", "1", seconds=0.01).returncode == 0

    (_, mended) = experiments(workspace)
    assert (mended.run, mended.source, mended.metric is not None) == (2, "chat", True)
    assert "crashed for what looks like a trivial reason" in briefing(script.requests[-1])
    check_clean(workspace)


def test_a_signal_while_the_model_answers_ends_the_engine_at_once_and_what_it_cost_is_known(
    workspace: Workspace,
) -> None:
    with serving(SAME, drips()) as script:
        use(workspace, script.url)
        process = start(workspace, "--experiments", "2", seconds=0.01)
        until(lambda: len(script.requests) == 2, "the second answer")
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert script.hung_up.wait(10)

    assert process.returncode == 130
    assert len(experiments(workspace)) == 1
    assert [tokens(event.cost) for event in failures(workspace)] == [(IN, OUT)]
    check_clean(workspace)


def test_a_turn_that_a_person_takes_away_is_the_searchs(workspace: Workspace) -> None:
    with serving(drips(), DEEPER) as script:
        use(workspace, script.url)
        process = start(workspace, "--experiments", "2", seconds=0.01)
        until(lambda: script.requests, "the question")
        commands.send(workspace, commands.Skip(run=2))
        process.communicate()

    assert [each.source for each in experiments(workspace)] == ["baseline", "search", "chat"]
    assert ["a person took it away" in event.problem for event in failures(workspace)] == [True]
    check_clean(workspace)


def test_a_message_is_read_and_acknowledged_and_an_idea_in_words_becomes_an_edit(workspace: Workspace) -> None:
    with serving(RATE, DEEPER, WARMER) as script:
        use(workspace, script.url)
        message = commands.send(workspace, commands.Message(text="mind the warm-up"))
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
        idea = commands.send(workspace, commands.Enqueue(text="warm up for longer, please"))
        assert run(workspace, "--experiments", "3", seconds=0.01).returncode == 0

    assert ["> mind the warm-up" in briefing(request) for request in script.requests] == [True, False, False]
    assert [(event.id, event.run) for event in seen(workspace, events.MessageTaken)] == [(message, 2)]
    assert "> warm up for longer, please" in briefing(script.requests[2])
    assert [(event.id, event.run) for event in seen(workspace, events.IdeaTaken)] == [(idea, 4)]
    last = experiments(workspace)[-1]
    assert (last.source, last.description, tokens(last.cost)) == ("queue", "a longer warm-up", (IN, OUT))
    check_clean(workspace)


def test_a_message_waits_while_the_endpoint_is_in_trouble(workspace: Workspace) -> None:
    with serving(*[DOWN] * 4, RATE) as script:
        use(workspace, script.url)
        commands.send(workspace, commands.Message(text="mind the warm-up"))
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0

    assert [each.source for each in experiments(workspace)] == ["baseline", "search", "chat"]
    assert [event.run for event in seen(workspace, events.MessageTaken)] == [3]


@pytest.mark.parametrize(
    ("chat", "unset", "said"),
    [
        ({"model": ""}, "", "has no model"),
        ({}, KEY_NAME, f"{KEY_NAME} holds no key"),
        ({"base_url": "localhost:1"}, "", "must begin with http"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, chat: dict[str, object], unset: str, said: str
) -> None:
    use(workspace, "http://127.0.0.1:9/v1", chat=chat)
    if unset:
        monkeypatch.delenv(unset)
    check_refused(workspace, said)


def test_without_the_openai_package_it_is_refused_before_anything_starts(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['openai'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setitem(sys.modules, "openai", None)
    use(workspace, "http://127.0.0.1:9/v1")
    check_refused(workspace, "needs the openai package")


def check_refused(workspace: Workspace, said: str) -> None:
    done = run(workspace, "--experiments", "1")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    with pytest.raises(UnusableWorkspace, match=said):
        start_detached(workspace, experiments=1)
    assert experiments(workspace) == []
    assert not workspace.events.exists()


def test_an_idea_that_the_model_can_make_nothing_of_is_put_aside_in_the_end(workspace: Workspace) -> None:
    with serving(fails(400, "too long")) as script:
        use(workspace, script.url)
        idea = commands.send(workspace, commands.Enqueue(text="a deeper model"))
        assert run(workspace, "--experiments", "4", seconds=0.01).returncode == 0

    assert len(script.requests) == 3
    assert [each.source for each in experiments(workspace)[1:]] == ["search"] * 4
    (taken,) = seen(workspace, events.IdeaTaken)
    assert (taken.id, "too long" in taken.problem) == (idea, True)


def pause_in_trouble(workspace: Workspace) -> None:
    """Start an engine and pause it after the model's third trouble, when the next four turns are the search's."""
    start_detached(workspace, experiments=6)
    until(lambda: len(failures(workspace)) == 3, "the third trouble")
    commands.send(workspace, commands.Pause())
    until(lambda: seen(workspace, events.Paused), "the pause")
    until(lambda: not workspace.journal.exists() and len(experiments(workspace)) >= 5, "the end of the experiment")


def test_after_trouble_other_settings_are_tried_at_once(workspace: Workspace) -> None:
    with serving(*[fails(400, "too long")] * 3, RATE) as script:
        use(workspace, script.url)
        pause_in_trouble(workspace)
        searched = len(experiments(workspace)) - 1
        workspace.settings.write_text(workspace.settings.read_text().replace('"scripted"', '"another"'))
        commands.send(workspace, commands.Resume())
        until(lambda: engine_of(workspace) is None, "the engine's end")

    assert [each.source for each in experiments(workspace)[1:]] == ["search"] * searched + ["chat"] * (6 - searched)
    assert script.requests[-1]["model"] == "another"


def test_a_new_segment_whose_turns_are_counted_from_one_is_no_time_of_rest(workspace: Workspace) -> None:
    with serving(*[fails(400, "too long")] * 3, RATE) as script:
        use(workspace, script.url)
        pause_in_trouble(workspace)
        workspace.prepare.write_text(workspace.prepare.read_text().replace("256", "128"))
        commands.send(workspace, commands.Resume())
        until(lambda: engine_of(workspace) is None, "the engine's end")

    assert [each.source for each in experiments(workspace) if each.segment == 1] == ["baseline"] + ["chat"] * 6


def test_a_literal_without_end_is_an_edit_like_any_other(workspace: Workspace) -> None:
    long = edits("DEPTH = ", lambda line: "DEPTH = 4 + 0" + " + 0" * 1500, "a long sum")
    with serving(long, RATE) as script:
        use(workspace, script.url)
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0
    assert [each.description for each in experiments(workspace)[1:]] == ["a long sum", "a higher rate"]


def test_what_a_person_commits_while_the_model_answers_comes_first_and_the_answers_cost_is_known(
    workspace: Workspace,
) -> None:
    def overtaken(exchange: Exchange) -> None:
        workspace.train.write_text(workspace.train.read_text().replace("DEPTH = 4", "DEPTH = 5"))
        git(workspace.root, "commit", "--quiet", "-am", "a layer more, by hand")
        RATE(exchange)

    with serving(overtaken, RATE) as script:
        use(workspace, script.url)
        assert run(workspace, "--experiments", "2", seconds=0.01).returncode == 0

    assert [each.source for each in experiments(workspace)] == ["baseline", "person", "chat"]
    (failed,) = failures(workspace)
    assert (failed.problem.split(":")[0], tokens(failed.cost)) == ("'a higher rate' is put off", (IN, OUT))


def test_an_endpoint_that_says_nothing_is_given_up_and_a_pause_meanwhile_is_for_after_the_experiment(
    workspace: Workspace,
) -> None:
    done = threading.Event()
    with serving(hangs(done)) as script:
        use(workspace, script.url, chat={"timeout_seconds": 3})
        start_detached(workspace, experiments=2)
        until(lambda: script.requests, "the question")
        asked = commands.send(workspace, commands.Pause())
        until(lambda: len(experiments(workspace)) == 2 and not workspace.journal.exists(), "the experiment")
        commands.send(workspace, commands.Stop())
        until(lambda: engine_of(workspace) is None, "the engine's end")
        done.set()

    assert [each.source for each in experiments(workspace)] == ["baseline", "search"]
    assert "gave no whole answer within 3 s" in failures(workspace)[0].problem
    answers = {event.id: event.answer for event in seen(workspace, events.CommandDone)}
    assert answers[asked] == "pausing after this experiment"


def test_a_training_run_never_sees_the_key_and_who_proposes_can_be_said_at_the_start(tmp_path: Path) -> None:
    workspace = make(tmp_path / "open", train=TRAIN + "print(dict(os.environ))\n")
    with serving(RATE) as script:
        use(workspace, script.url, "search")
        assert run(workspace, "--experiments", "1", "--proposer", "chat", seconds=0.01).returncode == 0
    assert [each.source for each in experiments(workspace)] == ["baseline", "chat"]
    assert "AUTORESEARCH_TEST_SECONDS" in workspace.run_folder(2).log.read_text()
    check_nowhere(KEY, workspace.root)
