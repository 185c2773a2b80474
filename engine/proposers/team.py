"""Who proposes in a session: the one that was chosen, with the search beside it, which learns from every result."""

from engine.errors import UnusableWorkspace
from engine.history import History
from engine.proposers import Proposer, Result
from engine.proposers.search import Search
from engine.settings import Settings
from engine.workspace import Workspace


class Team:
    """The session's proposers."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings
        self.search: Proposer = self._new_search()
        self._other = None if settings.proposer == "search" else build(workspace, settings)

    @property
    def chosen(self) -> Proposer:
        return self._other or self.search

    def begin_segment(self) -> None:
        """What was learned so far is not comparable with what comes."""
        self.search = self._new_search()

    def tell(self, result: Result) -> None:
        """Let everybody learn from a result."""
        self.search.tell(result)
        if self._other is not None:
            self._other.tell(result)

    def reflect(self, result: Result) -> str:
        """What to try next, for a result's notes."""
        return self.search.reflect(result)

    def close(self) -> None:
        """The engine ends: leave no process behind."""
        self.search.close()
        if self._other is not None:
            self._other.close()

    def _new_search(self) -> Search:
        return Search(self._settings.search, History.of(self._workspace).segment.config.best_direction)


def build(workspace: Workspace, settings: Settings) -> Proposer:
    """The proposer that autoresearch.toml names. Raises UnusableWorkspace where it can't be had here."""
    raise UnusableWorkspace(f"there is no proposer {settings.proposer} in {workspace.root}.")
