"""The chat proposer against a real HTTP server: an edit comes of it, or one sentence and nothing that hangs."""

import email.utils
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from engine.ledger import Experiment
from engine.proposers import (
    Context,
    Cost,
    Failed,
    NeedsPersonError,
    NothingToProposeError,
    Proposal,
    ProposerTroubleError,
    Result,
    Watch,
)
from engine.proposers.chat import SENT_BACK, Chat
from engine.proposers.endpoint import FAULTS
from engine.settings import ChatSettings, Settings
from tests.engine.endpoints import Exchange, Reply, Script, cuts, drips, fails, hangs, says, sends, serving

TRAIN = "DEPTH = 4\nMATRIX_LR = 0.04\nSEED = 1\n"
KEY = "sk-not-to-be-repeated"
NOTES = {"hypothesis": "steps are too small", "arch_change": "MATRIX_LR 0.04→0.05"}


def edit(search: str = "MATRIX_LR = 0.04", replace: str = "MATRIX_LR = 0.05") -> str:
    return (
        f"I raise MATRIX_LR.\n\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n\n"
        f"```asi\n{json.dumps(NOTES)}\n```\n"
    )


GOOD = edit()
EDITED = TRAIN.replace("0.04", "0.05")


@dataclass
class Listener:
    """Hears what a proposer says, and may call it off."""

    heard: list[tuple[str, str]] = field(default_factory=list)
    off: threading.Event = field(default_factory=threading.Event)

    @property
    def watch(self) -> Watch:
        return Watch(cancelled=self.off.is_set, say=lambda kind, text: self.heard.append((kind, text)))

    def said(self, kind: str) -> str:
        return "".join(text for each, text in self.heard if each == kind)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[True, False], ids=["streaming", "whole"])
def stream(request: pytest.FixtureRequest) -> Iterator[bool]:
    yield request.param


def chat(script: Script, **settings: object) -> Chat:
    fields = {"base_url": script.url, "model": "a-model", "key": "A_KEY"} | settings
    return Chat(Settings(chat=msgspec.convert(fields, ChatSettings)), backoff=0.01)


def context(**more: object) -> Context:
    result = Result(Experiment(run=1, status="keep", metric=1.0, description="baseline"), TRAIN)
    fields: dict[str, object] = {"incumbent": TRAIN, "prepare": "", "turn": 1, "run": 2, "history": (result,)}
    return Context(**(fields | more))  # type: ignore[arg-type]


def ask(*replies: Reply, listener: Listener | None = None, **settings: object) -> tuple[Proposal, Script]:
    with serving(*replies) as script:
        return chat(script, **settings).ask(context(), (listener or Listener()).watch), script


def refused(kind: type[NothingToProposeError], *replies: Reply, **settings: object) -> NothingToProposeError:
    with serving(*replies) as script, pytest.raises(kind) as caught:
        chat(script, **settings).ask(context())
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value


def test_an_edit_becomes_a_proposal_with_its_notes_and_its_cost(stream: bool) -> None:
    listener = Listener()
    proposal, script = ask(says(GOOD, thought="Let me see."), listener=listener, stream=stream)
    assert proposal.train == EDITED
    assert proposal.description == "I raise MATRIX_LR"
    assert proposal.source == "chat"
    assert proposal.asi == NOTES
    assert proposal.cost == Cost(proposal.cost.seconds, 1000, 200, None)
    assert listener.said("thought") == "Let me see."
    assert listener.said("message") == GOOD
    request = script.requests[0]
    assert (script.paths[0], request["model"], request.get("stream", False)) == (
        "/v1/chat/completions",
        "a-model",
        stream,
    )
    assert [each["role"] for each in request["messages"]] == ["system", "user"]
    assert TRAIN in request["messages"][1]["content"]
    assert script.headers[0]["authorization"] == f"Bearer {KEY}"


def test_options_are_sent_as_they_are() -> None:
    _, script = ask(says(GOOD), options={"temperature": 0.3, "max_tokens": 9000, "x": {"y": [1]}})
    assert {"temperature": 0.3, "max_tokens": 9000, "x": {"y": [1]}}.items() <= script.requests[0].items()


def test_an_endpoint_without_keys_is_sent_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    _, script = ask(says(GOOD), key="")
    assert KEY not in json.dumps(script.headers)


def test_dollars_that_the_endpoint_reports_are_taken() -> None:
    proposal, _ = ask(says(GOOD, usage={"prompt_tokens": 10, "completion_tokens": 2, "cost": 0.25}))
    assert proposal.cost.dollars == 0.25


def test_an_endpoint_that_reports_no_usage_costs_what_nobody_knows() -> None:
    proposal, _ = ask(says(GOOD, usage=None))
    assert (proposal.cost.tokens_in, proposal.cost.tokens_out, proposal.cost.dollars) == (0, 0, None)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (says("I would raise it."), "no edit in the answer"),
        (says(edit("MATRIX_LR = 0.9")), "`MATRIX_LR = 0.9` is nowhere in it"),
        (says(edit(replace="MATRIX_LR = ")), "no valid Python"),
        (says(edit("SEED = 1", "SEED = 2")), "only the seed differs"),
        (says(edit("SEED = 1", "SEED = 1  # a lucky number")), "only comments or layout differ from the incumbent"),
        (says(edit(replace="MATRIX_LR = 0.04")), "leaves train.py as it is"),
        (says(GOOD[:60], finish="length"), "cut off at its limit of tokens"),
        (says("", finish="content_filter"), "withheld"),
        (says(f"<think>{GOOD}</think>"), "no edit in the answer"),
        (says(f"<think>{GOOD}"), "no edit in the answer"),
        (says("", thought=GOOD), "no edit in the answer"),
    ],
)
def test_an_edit_that_cannot_be_used_is_sent_back_with_the_reason(bad: Reply, why: str) -> None:
    listener = Listener()
    proposal, script = ask(bad, says(GOOD), listener=listener)
    assert proposal.train == EDITED
    assert [each["role"] for each in script.requests[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert why in script.requests[1]["messages"][-1]["content"]
    assert why in listener.said("refused")
    assert proposal.cost.tokens_in == 2000


def test_a_train_py_that_was_run_is_sent_back_unless_the_run_said_nothing() -> None:
    tried = Result(Experiment(run=2, status="discard", metric=1.01), EDITED)
    lost = Result(Experiment(run=3, status="discard", result="skipped"), TRAIN.replace("0.04", "0.06"))
    with serving(says(GOOD), says(edit(replace="MATRIX_LR = 0.06"))) as script:
        proposal = chat(script).ask(context(history=(*context().history, tried, lost)))
    assert proposal.train == lost.train
    assert "was run already, as run 2 (discard, 1.010000)" in script.requests[1]["messages"][-1]["content"]


def test_what_is_sent_back_too_often_is_given_up_with_what_it_cost() -> None:
    with serving(says("no")) as script, pytest.raises(ProposerTroubleError, match="no edit that can be used") as caught:
        chat(script).ask(context())
    assert len(script.requests) == 1 + SENT_BACK
    assert caught.value.cost.tokens_out == 200 * (1 + SENT_BACK)


def test_thoughts_inside_the_answer_are_no_edit() -> None:
    proposal, _ = ask(says(f"<think>{edit(replace='MATRIX_LR = 9.0')}</think>\n{GOOD}"))
    assert proposal.train == EDITED


def test_a_candidate_that_crashed_is_mended_where_it_stands() -> None:
    broken = TRAIN.replace("0.04", "0.05 * scale")
    with serving(says(edit("MATRIX_LR = 0.05 * scale", "MATRIX_LR = 0.05 * 1.1"))) as script:
        proposal = chat(script).ask(context(failed=Failed(broken, "name error", "NameError: scale\n")))
    assert proposal.train == TRAIN.replace("0.04", "0.05 * 1.1")
    assert "NameError: scale" in script.requests[0]["messages"][1]["content"]


def test_giving_up_a_mend_by_going_back_to_the_incumbent_is_sent_back() -> None:
    with serving(says(edit("MATRIX_LR = x", "MATRIX_LR = 0.04")), says(edit("MATRIX_LR = x"))) as script:
        proposal = chat(script).ask(context(failed=Failed(TRAIN.replace("0.04", "x"), "name error", "")))
    assert proposal.train == EDITED
    assert "the incumbent again" in script.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize("status", [429, 529])
def test_a_rate_limit_is_waited_out_as_long_as_the_endpoint_says(status: int) -> None:
    listener = Listener()
    began = time.monotonic()
    proposal, script = ask(fails(status, "slow down", retry_after="0.3"), says(GOOD), listener=listener)
    assert time.monotonic() - began >= 0.3
    assert proposal.train == EDITED
    assert len(script.requests) == 2
    assert f"({status}: slow down); asking again in 0.3 s" in listener.said("wait")


def test_a_rate_limit_may_name_a_date_or_nothing() -> None:
    date = email.utils.formatdate(time.time() - 100, usegmt=True)
    proposal, script = ask(fails(429, retry_after=date), fails(429), fails(429, retry_after="soon"), says(GOOD))
    assert (proposal.train, len(script.requests)) == (EDITED, 4)


def test_a_rate_limit_that_outlasts_patience_is_not_waited_for() -> None:
    error = refused(ProposerTroubleError, fails(429, "daily limit", retry_after="86400"))
    assert "daily limit" in str(error) and "too long" in str(error)
    assert "too long" in str(refused(ProposerTroubleError, fails(429, retry_after="0.2"), patience_seconds=0.5))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("asked", ["0", "0.0001", "-5"])
def test_an_endpoint_that_is_busy_for_ever_and_says_at_once_is_not_asked_for_ever(asked: str) -> None:
    listener = Listener()
    with serving(*[fails(429, retry_after=asked)] * 1000) as script, pytest.raises(ProposerTroubleError) as caught:
        chat(script, patience_seconds=0.5).ask(context(), listener.watch)
    assert "too long" in str(caught.value)
    assert len(script.requests) < 20


def test_a_wait_can_be_called_off() -> None:
    listener = Listener()
    with serving(fails(429, retry_after="1000")) as script:
        check_called_off(chat(script), listener, lambda: bool(listener.said("wait")))


@pytest.mark.parametrize(
    "fault",
    [
        fails(500),
        fails(503, retry_after="0.01"),
        cuts(GOOD[:40]),
        sends(b"<html>bad gateway</html>", "text/html"),
        sends(b"data: {broken\n\n", "text/event-stream"),
        sends(b"[1, 2]"),
        sends(b'{"choices": [{"message": {"content": 7}}]}'),
        sends(b'data: {"error": {"message": "overloaded"}}\n\n', "text/event-stream"),
        sends(b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n', "text/event-stream"),
    ],
    ids=["500", "503", "cut", "html", "broken event", "list", "other types", "error event", "no end"],
)
def test_a_fault_of_the_server_is_tried_again_and_given_up_after_a_few(fault: Reply, stream: bool) -> None:
    proposal, script = ask(fault, fault, says(GOOD), stream=stream)
    assert (proposal.train, len(script.requests)) == (EDITED, 3)
    with serving(fault) as script, pytest.raises(ProposerTroubleError, match="given up after"):
        chat(script, stream=stream).ask(context())
    assert len(script.requests) == FAULTS


def test_a_server_that_is_not_there_is_trouble() -> None:
    with serving(says(GOOD)) as script:
        gone = chat(script)
    with pytest.raises(ProposerTroubleError, match="given up after"):
        gone.ask(context())


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (fails(401, f"Incorrect API key provided: {KEY}."), "refuses the key in A_KEY"),
        (fails(403), "refuses the key in A_KEY"),
        (fails(402, "no credit"), "no credit"),
        (fails(404, "model not found"), "does not serve a-model"),
        (fails(429, "quota", code="insufficient_quota"), "see to [chat] or to your account"),
    ],
)
def test_what_only_a_person_can_mend_is_said_at_once(reply: Reply, said: str) -> None:
    assert said in str(refused(NeedsPersonError, reply))


def test_a_request_that_is_not_taken_is_trouble_with_the_servers_words() -> None:
    error = refused(ProposerTroubleError, fails(400, "maximum context length is 4096 tokens"))
    assert "maximum context length is 4096 tokens" in str(error) and "[briefing]" in str(error)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": ""}, "set `model`"),
        ({"key": "NO_SUCH_KEY"}, "NO_SUCH_KEY holds no key"),
        ({"base_url": "localhost:8000/v1"}, "must begin with http"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, object], said: str) -> None:
    assert said in str(refused(NeedsPersonError, says(GOOD), **settings))


def test_without_the_package_a_person_is_told_how_to_get_it() -> None:
    code = """
import sys
sys.modules["openai"] = None
from engine.proposers import Context, NeedsPersonError
from engine.proposers.chat import Chat
from engine.settings import ChatSettings, Settings
try:
    Chat(Settings(chat=ChatSettings(model="m", key=""))).ask(Context(incumbent="A = 1\\n", prepare="", turn=1))
except NeedsPersonError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'autoresearch-tui[chat]'" in done.stdout


def test_a_slow_drip_can_be_called_off_and_the_server_is_left() -> None:
    listener = Listener()
    with serving(drips()) as script:
        check_called_off(chat(script), listener, lambda: bool(listener.said("message")))
        assert script.hung_up.wait(10)


def test_an_endpoint_that_says_nothing_can_be_called_off() -> None:
    done = threading.Event()
    with serving(hangs(done)) as script:
        check_called_off(chat(script), Listener(), lambda: bool(script.requests))
        done.set()


def check_called_off(proposer: Chat, listener: Listener, ready: object) -> None:
    """It ends soon after it is called off."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            proposer.ask(context(), listener.watch)
        except NothingToProposeError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not ready():  # type: ignore[operator]
        time.sleep(0.01)
    listener.off.set()
    thread.join(10)
    assert not thread.is_alive()
    assert "broken off" in str(caught[0])
    assert not isinstance(caught[0], ProposerTroubleError)


@pytest.mark.parametrize("reply", [drips(), hangs(threading.Event())])
def test_an_answer_that_takes_too_long_is_trouble(reply: Reply) -> None:
    assert "no whole answer within 0.5 s" in str(refused(ProposerTroubleError, reply, timeout_seconds=0.5))


def test_ten_megabytes_are_broken_off_and_sent_back(stream: bool) -> None:
    proposal, script = ask(says("word " * 2_000_000), says(GOOD), stream=stream)
    assert proposal.train == EDITED
    assert "broken off after 2 MB" in script.requests[1]["messages"][-1]["content"]
    assert len(json.dumps(script.requests[1])) < 60_000


def test_ten_megabytes_of_thoughts_are_broken_off_too() -> None:
    proposal, _ = ask(says(GOOD, thought="hm " * 3_400_000), says(GOOD))
    assert proposal.train == EDITED
    assert proposal.cost.tokens_in == 1000


def test_what_is_broken_off_before_it_says_what_it_cost_is_counted_by_its_length() -> None:
    proposal, _ = ask(says("word " * 2_000_000), says(GOOD))
    assert 500_000 < proposal.cost.tokens_out < 600_000


def test_a_server_that_ignores_the_wish_to_stream_is_understood() -> None:
    def whole(exchange: Exchange) -> None:
        exchange.body["stream"] = False
        says(GOOD)(exchange)

    assert ask(whole)[0].train == EDITED


def test_a_night_of_twenty_turns_goes_on_whatever_the_endpoint_does(stream: bool) -> None:
    """Each turn's replies, and what the turn ends in; results pile up in the history as they do in the loop."""

    def good(value: float) -> Reply:
        return says(edit("MATRIX_LR = 0.04", f"MATRIX_LR = {value}"))

    unusable = [says("no edit")] * (1 + SENT_BACK)
    night: list[tuple[list[Reply], str]] = [
        ([good(0.1)], "0.1"),
        ([fails(429, retry_after="0.05"), good(0.2)], "0.2"),
        ([fails(500), good(0.3)], "0.3"),
        ([cuts("I rai"), cuts("I"), good(0.4)], "0.4"),
        ([says("I would rather talk."), good(0.5)], "0.5"),
        (unusable, "no edit that can be used"),
        ([good(0.6)], "0.6"),
        ([good(0.5), good(0.7)], "0.7"),
        ([fails(500)] * FAULTS, "given up after"),
        ([good(0.8)], "0.8"),
        ([fails(401, "expired")], "refuses the key"),
        ([good(0.9)], "0.9"),
        ([fails(429, retry_after="7200")], "too long"),
        ([says("x" * 3_000_000), good(1.1)], "1.1"),
        ([says(edit("NO = 1")), says(edit("NO = 2")), good(1.2)], "1.2"),
        ([fails(529), good(1.3)], "1.3"),
        ([sends(b"nonsense"), good(1.4)], "1.4"),
        ([fails(400, "too long")], "does not take the request"),
        ([good(1.5)], "1.5"),
        ([says(edit("SEED = 1", "SEED = 7")), good(1.6)], "1.6"),
    ]
    history = context().history
    with serving(*(reply for replies, _ in night for reply in replies)) as script:
        proposer = chat(script, stream=stream)
        for run, (_, ending) in enumerate(night, start=2):
            try:
                proposal = proposer.ask(context(history=history, run=run, turn=len(history)))
            except ProposerTroubleError as error:
                assert ending in str(error)
                continue
            assert proposal.train == TRAIN.replace("0.04", ending)
            experiment = Experiment(run=run, status="discard", metric=1.1, description=proposal.description)
            history = (*history, Result(experiment, proposal.train))
    assert len(script.requests) == sum(len(replies) for replies, _ in night)
    assert len(history) == 1 + 15
    assert f"{history[-2].experiment.run} discard 1.100000 (+0.100000)" in script.requests[-1]["messages"][1]["content"]
