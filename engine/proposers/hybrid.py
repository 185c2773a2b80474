"""The search on most turns, a language model that sees the search's state on the rest (arXiv 2603.24647)."""

import random
from dataclasses import replace

from engine.proposers import SILENT, Context, NeedsPersonError, Proposal, Proposer, ProposerTroubleError, Result, Watch
from engine.proposers.search import Search
from engine.settings import HybridSettings


class Hybrid:
    """A search and another proposer, taking turns. Which has which turn follows from the seed and the turn.

    The search learns from every result, whoever proposed it: it reads the knobs out of the train.py that ran.
    """

    name = "hybrid"
    reads_prose = True

    def __init__(self, settings: HybridSettings, search: Search, model: Proposer) -> None:
        """``model``: a proposer that can read prose and write code."""
        self._settings = settings
        self._search = search
        self._model = model

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        if not self._is_models(context):
            return self._search.ask(context, watch)
        state = str(self._search.state(context.incumbent))
        try:
            return self._model.ask(replace(context, search_state=state), watch)
        except NeedsPersonError as error:  # there is the search: the night goes on until somebody has seen to it
            trouble = ProposerTroubleError(str(error))
            trouble.cost = error.cost
            raise trouble from error

    def tell(self, result: Result) -> None:
        self._search.tell(result)
        self._model.tell(result)

    def reflect(self, result: Result) -> str:
        if result.experiment.source == self._search.name:
            return self._search.reflect(result)
        return self._model.reflect(result) or self._search.reflect(result)

    def require(self) -> None:
        self._model.require()

    def close(self) -> None:
        self._model.close()
        self._search.close()

    def _is_models(self, context: Context) -> bool:
        """What is said in words, and what is to be mended, goes to the model: the search can't read."""
        if context.failed is not None or context.idea or context.messages:
            return True
        return random.Random(f"hybrid:{self._settings.seed}:{context.turn}").random() < self._settings.share
