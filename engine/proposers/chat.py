"""The proposer that asks a model at an OpenAI-compatible endpoint for an edit of train.py.

Each proposal is a conversation of its own: what the model must remember is in the briefing. An edit that cannot be
used goes back to it with the reason.
"""

import time
from dataclasses import replace

from engine import meaning
from engine.proposers import SILENT, Context, Cost, NothingToProposeError, Proposal, ProposerTroubleError, Result, Watch
from engine.proposers import asi as notes
from engine.proposers.briefing import compose
from engine.proposers.edits import HOW as EDIT
from engine.proposers.edits import BadEditError, edited
from engine.proposers.endpoint import BACKOFF_SECONDS, Answer, Endpoint, Message
from engine.proposers.foreign import cut
from engine.settings import Settings
from engine.workspace import TRAIN

SENT_BACK = 3
"""How often an edit that cannot be used goes back."""
REMEMBERED = 12_000
"""Bytes of an answer that the model sees again when it is to give a better one."""
ROLE = (
    "You are a careful researcher who trains small language models. You propose one experiment at a time, as an edit "
    "of train.py, in exactly the form that is asked for."
)


class Chat:
    """Asks for an edit, and asks again where there is none that can be run."""

    name = "chat"
    reads_prose = True

    def __init__(self, settings: Settings, *, backoff: float = BACKOFF_SECONDS) -> None:
        """``backoff``: seconds to wait after a server's first fault."""
        self._settings = settings
        self._endpoint = Endpoint(settings.chat, backoff=backoff)

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        began, cost = time.monotonic(), Cost()
        messages: list[Message] = [
            {"role": "system", "content": ROLE},
            {"role": "user", "content": compose(context, self._settings, f"{EDIT}\n{notes.HOW}")},
        ]
        problem = ""
        try:
            for _ in range(1 + SENT_BACK):
                answer = self._endpoint.answer(messages, watch)
                cost += Cost(tokens_in=answer.tokens_in, tokens_out=answer.tokens_out, dollars=answer.dollars)
                try:
                    train = _usable(answer, context)
                except BadEditError as error:
                    problem = str(error)
                    watch.say("refused", problem)
                    messages += _sent_back(answer, problem)
                    continue
                said = notes.read(answer.text)
                return Proposal(
                    train=train,
                    description=said.description,
                    source=self.name,
                    asi=said.asi,
                    cost=replace(cost, seconds=time.monotonic() - began),
                )
            raise ProposerTroubleError(
                f"{self._settings.chat.model} gave no edit that can be used in {1 + SENT_BACK} answers; "
                f"the last time: {problem}"
            )
        except NothingToProposeError as error:
            error.cost = replace(cost, seconds=time.monotonic() - began)
            raise

    def tell(self, result: Result) -> None:
        """Results are in the next briefing."""

    def reflect(self, result: Result) -> str:
        """The model said with its edit what to try next."""
        return ""

    def require(self) -> None:
        self._endpoint.require()

    def close(self) -> None:
        """It runs no process."""


def _usable(answer: Answer, context: Context) -> str:
    """The train.py that an answer makes, if it is worth a run. Raises BadEditError."""
    if answer.problem:
        raise BadEditError(answer.problem)
    train = edited(answer.text, context.failed.train if context.failed else context.incumbent)
    if train == context.incumbent:
        raise BadEditError(f"that makes {TRAIN} the incumbent again: propose a change.")
    if meaning.same(train, context.incumbent):
        raise BadEditError("only comments or layout differ from the incumbent: propose a change of what runs.")
    if (run := context.run_of(train)) is not None:
        how = run.status if run.metric is None else f"{run.status}, {run.metric:.6f}"
        raise BadEditError(f"this very {TRAIN} was run already, as run {run.run} ({how}): propose something else.")
    if meaning.only_seeds_differ(context.incumbent, train):
        raise BadEditError("only the seed differs from the incumbent, and a luckier draw is no finding.")
    return train


def _sent_back(answer: Answer, problem: str) -> list[Message]:
    return [
        {"role": "assistant", "content": cut(answer.text, REMEMBERED) or "(nothing)"},
        {"role": "user", "content": f"That cannot be used: {problem} Answer anew, with the whole edit and its notes."},
    ]
