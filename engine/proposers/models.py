"""The agents, programs and endpoints that can propose: made from the settings, or refused before anything starts."""

from engine.errors import UnusableWorkspace
from engine.proposers import NeedsPersonError, Proposer
from engine.settings import Settings
from engine.workspace import Workspace


def model_of(workspace: Workspace, settings: Settings) -> Proposer | None:
    """The agent, program or endpoint that autoresearch.toml names; None where only the search proposes.

    Their libraries are large, so that only the one that is wanted is imported.
    """
    match settings.hybrid.proposer if settings.proposer == "hybrid" else settings.proposer:
        case "agent":
            from engine.proposers.agent import Agent

            return Agent(settings, workspace)
        case "command":
            from engine.proposers.command import Command

            return Command(settings, workspace)
        case "chat":
            from engine.proposers.chat import Chat

            return Chat(settings)
        case "search":
            return None


def require_model(workspace: Workspace, settings: Settings) -> None:
    """Raises UnusableWorkspace where the proposer cannot work as it is set up (not installed, no key, no model)."""
    model = model_of(workspace, settings)
    if model is None:
        return
    try:
        model.require()
    except NeedsPersonError as error:
        raise UnusableWorkspace(str(error)) from error
