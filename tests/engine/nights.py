"""Real engines whose proposer is a scripted agent, which does for each proposal what its script's next line says."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from engine import commands, events
from engine.commands import AnyCommand
from engine.events import Event, EventFollower
from engine.transcript import Said, TranscriptFollower
from engine.workspace import Workspace
from tests.engine.drafters import drafters
from tests.engine.workspaces import PREPARE, check_settled, git, make, run, start, until

HERE = Path(__file__).parent
AGENT = [sys.executable, str(HERE / "acp_agent.py")]
PROGRAM = [sys.executable, str(HERE / "headless_agent.py"), "{prompt}"]

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Told:
    """What an agent was told once."""

    session: str
    behaviour: str
    text: str


@dataclass
class Night:
    """A workspace, and the script of the agent that proposes in it."""

    workspace: Workspace
    script: Path

    def plays(self, *lines: str) -> None:
        """What the agent does from now on, proposal by proposal (mending counts as one); afterwards nothing."""
        self.script.write_text("".join(f"{line}\n" for line in lines))

    @property
    def told(self) -> list[Told]:
        path = Path(f"{self.script}.told")
        return [Told(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def sets(self, proposer: str, **settings: object) -> None:
        """Edit autoresearch.toml before an engine starts."""
        choose(self.workspace, proposer, **settings)
        git(self.workspace.root, "commit", "--quiet", "--all", "--amend", "--no-edit")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.workspace, *arguments, seconds=0)

    def start(self, *arguments: str, seconds: float = 0) -> subprocess.Popen[str]:
        return start(self.workspace, *arguments, seconds=seconds)

    def send(self, command: AnyCommand) -> str:
        return commands.send(self.workspace, command)

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in EventFollower(self.workspace.events) if isinstance(event, kind)]

    def thinks_of(self, run: int, behaviour: str) -> None:
        """Wait until the agent is asked for a run and behaves so."""
        phase = events.PhaseChanged(phase="proposing", run=run)
        until(lambda: self._phase() == (phase.phase, phase.run), f"proposing run {run}", timeout=300)
        until(lambda: self.told and self.told[-1].behaviour == behaviour, behaviour)

    def transcript(self, run: int) -> list[Said]:
        """What is kept with a run."""
        follower = TranscriptFollower(self.workspace.run_folder(run).transcript)
        said: list[Said] = []
        while more := follower.poll()[1]:
            said += more
        return said

    def check_over(self) -> None:
        """After an engine that ended in an orderly way: settled, clean, and nobody is left."""
        check_settled(self.workspace)
        assert drafters(self.workspace) == []
        assert not list(self.workspace.drafts.glob("*"))
        assert self.workspace.prepare.read_text() == PREPARE
        assert git(self.workspace.root, "status", "--porcelain") == ""
        assert len(git(self.workspace.root, "log", "--format=%h", "--", "prepare.py").splitlines()) == 1

    def _phase(self) -> tuple[str, int | None]:
        phases = self.seen(events.PhaseChanged)
        return (phases[-1].phase, phases[-1].run) if phases else ("", None)


def set_up(root: Path, monkeypatch: pytest.MonkeyPatch, proposer: str) -> Night:
    """A workspace in which a scripted agent proposes."""
    night = Night(make(root / "work"), root / "script")
    monkeypatch.setenv("AGENT_SCRIPT", str(night.script))
    night.plays()
    night.sets(
        proposer,
        command=AGENT if proposer == "agent" else PROGRAM,
        environment=["AGENT_SCRIPT"],
        grace_seconds=0.5,
        limit_seconds=60,
    )
    return night


def choose(workspace: Workspace, proposer: str, **settings: object) -> None:
    """Edit autoresearch.toml by hand: who proposes, and lines of its table."""
    text = re.sub(r'\nproposer = "\w+"', f'\nproposer = "{proposer}"', workspace.settings.read_text(), count=1)
    before, heading, rest = text.partition(f"\n[{proposer}]")
    table, following, after = rest.partition("\n[")
    for name, value in settings.items():
        table = re.sub(rf"\n{name} = .*", "", table) + f"\n{name} = {json.dumps(value)}"
    workspace.settings.write_text(before + heading + table + "\n" + following + after)
