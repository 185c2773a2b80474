"""The search on most turns, a language model that sees the search's state on the rest (arXiv 2603.24647).

The search is told every result, whoever proposed it: it reads the knobs out of the train.py that ran. While the model
is in trouble the search takes its turns too, so that training never waits for an endpoint.
"""

import random
from dataclasses import replace

from engine.proposers import (
    SILENT,
    Context,
    NothingToProposeError,
    Proposal,
    Proposer,
    ProposerTroubleError,
    Result,
    Watch,
)
from engine.proposers.search import Search
from engine.settings import HybridSettings

FIRST_REST = 2
"""Turns without the model after its first trouble; each further one in a row doubles them."""
LONGEST_REST = 32


class Hybrid:
    """A search and another proposer, taking turns. Which has which turn follows from the seed and the turn.

    The search is the hybrid's own: every result is told to it once, through the hybrid.
    """

    name = "hybrid"
    reads_prose = True

    def __init__(self, settings: HybridSettings, search: Search, model: Proposer) -> None:
        """``model``: a proposer that can read prose and write code."""
        self._settings = settings
        self._search = search
        self._model = model
        self._troubles = 0
        """In a row."""
        self._rests_until = 0
        """The first turn at which the model is asked again."""
        self._asked: tuple[int, int] | None = None
        """The run and turn that the model was last asked for: what it said was of no use where they come again."""

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        if context.failed is not None or context.idea:
            return self._ask_model(context, watch)  # nobody else can
        if not self._is_models(context):
            return self._search.ask(context, watch)
        self._asked = (context.run, context.turn)
        try:
            proposal = self._ask_model(context, watch)
        except ProposerTroubleError as error:
            self._troubles += 1
            rest = min(FIRST_REST * 2 ** (self._troubles - 1), LONGEST_REST)
            self._rests_until = context.turn + rest
            watch.say("error", f"{self._model.name}: {error} The search takes over until turn {self._rests_until}.")
        except NothingToProposeError as error:
            if watch.cancelled():
                raise
            watch.say("error", f"{self._model.name}: {error} The search takes this turn.")
        else:
            self._troubles = 0
            return proposal
        return self._search.ask(context, watch)

    def tell(self, result: Result) -> None:
        self._search.tell(result)
        self._model.tell(result)

    def reflect(self, result: Result) -> str:
        if result.experiment.source == self._search.name:
            return self._search.reflect(result)
        return self._model.reflect(result) or self._search.reflect(result)

    def close(self) -> None:
        self._model.close()
        self._search.close()

    def _is_models(self, context: Context) -> bool:
        """What a person says goes to the model: the search can't read."""
        if context.turn < self._rests_until or self._asked == (context.run, context.turn):
            return False
        chance = random.Random(f"hybrid:{self._settings.seed}:{context.turn}")
        return bool(context.messages) or chance.random() < self._settings.share

    def _ask_model(self, context: Context, watch: Watch) -> Proposal:
        state = str(self._search.state(context.incumbent))
        return self._model.ask(replace(context, search_state=state), watch)
