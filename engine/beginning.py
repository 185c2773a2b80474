"""Begins a session where there is none: repository, set-up, data and tokenizer, engine; what a screen asks for."""

import shlex
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from engine import launch, obstacles, preflight, preparation, settings
from engine.demo import create_repository
from engine.errors import UnusableWorkspace
from engine.initialize import Choice, Profile, initialize
from engine.proposers.presets import PRESETS
from engine.settings import Settings
from engine.workspace import Workspace

Tell = Callable[[str, bool], None]
"""Gets a line, and whether the next one stands below it, or in its place."""


@dataclass(frozen=True)
class Plan:
    """What a person has chosen."""

    tag: str
    profile: str
    proposer: str = "search"
    using: str = ""
    """What the proposer needs: the agent's command line; a preset or a command line; a model, and the URL of its
    endpoint behind it."""

    @property
    def choice(self) -> Choice:
        """Raises UnusableWorkspace where what is needed is missing or cannot be read."""
        try:
            words = shlex.split(self.using)
        except ValueError as error:
            raise UnusableWorkspace(f"{self.using!r} is no command line: {error}.") from None
        if self.proposer == "search":
            return Choice()
        if not words:
            raise UnusableWorkspace(f"the proposer {self.proposer} needs {NEEDS[self.proposer]}.")
        if self.proposer == "agent":
            return Choice(proposer="agent", agent=tuple(words))
        if self.proposer == "command":
            preset = words[0] if len(words) == 1 and words[0] in PRESETS else ""
            return Choice(proposer="command", preset=preset, program=() if preset else tuple(words))
        if len(words) > 2:
            raise UnusableWorkspace(f"{self.using!r} is no model with the URL of its endpoint: it has too many words.")
        return Choice(
            proposer=self.proposer, model=words[0], endpoint=words[1] if len(words) == 2 else Choice().endpoint
        )


NEEDS = {
    "agent": "what starts the agent, such as `opencode acp`",
    "command": f"a program, such as `claude`: {', '.join(PRESETS)}, or a command line with {{prompt}}",
    "chat": "a model, such as `gpt-5.2`, and for another endpoint its URL",
    "hybrid": "a model, such as `gpt-5.2`, and for another endpoint its URL",
}


def settings_of(workspace: Workspace, plan: Plan) -> Settings:
    """The settings that the session would have: those of the file that is there, or the plan's."""
    if workspace.settings.exists():
        return settings.load(workspace)
    chosen, start = plan.choice, Settings()
    change = msgspec.structs.replace
    return change(
        start,
        proposer=chosen.proposer,
        run=change(start.run, python=Profile.load(plan.profile).python),
        agent=change(start.agent, command=list(chosen.agent)),
        command=change(start.command, preset=chosen.preset, command=list(chosen.program)),
        chat=change(start.chat, model=chosen.model, base_url=chosen.endpoint),
    )


def lacks_repository(workspace: Workspace) -> bool:
    """Whether a repository is to be made first; one that the directory merely lies in is another's."""
    return not (workspace.root / ".git").exists()


def begin(
    workspace: Workspace, plan: Plan, tell: Tell, stop: threading.Event, *, experiments: int | None = None
) -> bool:
    """Begin the session and start its engine; False if ``stop`` ended that, after which the same call goes on.

    Raises UnusableWorkspace, with everything as it was, where a session cannot be begun; WorkFailed where data,
    tokenizer or engine fail.
    """
    chosen = settings_of(workspace, plan)
    obstacles.refuse_missing_git()
    obstacles.refuse_directory(workspace)
    obstacles.refuse_missing_uv(chosen)
    preflight.require_proposer(workspace, chosen)
    if stop.is_set():
        return False
    if not workspace.ledger.exists():
        tell(f"{_initialized(workspace, plan)} is begun.", True)
    tell("Data and tokenizer:", True)
    if not preparation.prepare_and_tell(workspace, tell, stop) or stop.is_set():
        return False
    tell("Starting the engine.", True)
    launch.start_detached(workspace, experiments=experiments)
    return True


def _initialized(workspace: Workspace, plan: Plan) -> str:
    """The branch. A repository that was made for it is taken away again where it is refused."""
    if not lacks_repository(workspace):
        return initialize(workspace, plan.tag, Profile.load(plan.profile), choice=plan.choice)
    made = [path for path in (workspace.state, workspace.root, *workspace.root.parents) if not path.exists()]
    create_repository(workspace)
    try:
        return initialize(workspace, plan.tag, Profile.load(plan.profile), choice=plan.choice)
    except UnusableWorkspace:
        shutil.rmtree(workspace.root / ".git")
        with suppress(OSError):
            for directory in made:
                directory.rmdir()  # only what is empty
        raise
