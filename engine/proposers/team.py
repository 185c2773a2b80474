"""Who proposes in a session: the one that was chosen, with the search beside it, which learns from every result."""

from collections.abc import Iterable

from engine.history import History
from engine.proposers import Proposer, Result
from engine.proposers.draft import clear_away
from engine.proposers.hybrid import Hybrid
from engine.proposers.models import model_of
from engine.proposers.search import Search
from engine.settings import Settings
from engine.workspace import Workspace


class Team:
    """The session's proposers."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        clear_away(workspace)
        self.take_in(settings, ())

    def take_in(self, settings: Settings, past: Iterable[Result]) -> None:
        """Have those propose that ``settings`` names; they are told what happened so far."""
        self.settings = settings
        self._model = model_of(self._workspace, settings)
        self.begin_segment()
        for result in past:
            self.tell(result)

    def begin_segment(self) -> None:
        """What was learned so far is not comparable with what comes; a model's conversation is about it, and over."""
        if self._model is not None:
            self._model.close()
        direction = History.of(self._workspace).segment.config.best_direction
        self.search = Search(self.settings.search, direction)
        self.chosen: Proposer = self._model or self.search
        if self._model is not None and self.settings.proposer == "hybrid":
            self.chosen = Hybrid(self.settings.hybrid, self.search, self._model)

    def tell(self, result: Result) -> None:
        """Let everybody learn from a result."""
        self.search.tell(result)
        if self._model is not None:
            self._model.tell(result)

    def reflect(self, result: Result) -> str:
        """What to try next, for a result's notes."""
        return self.search.reflect(result)

    def close(self) -> None:
        """The engine ends: leave no process behind."""
        self.search.close()
        if self._model is not None:
            self._model.close()
