"""What the tests of proposers that run agents share: somebody who watches, a context, and no process left."""

import subprocess
import sys
import threading
from pathlib import Path

import psutil

from engine.proposers import Context, Proposal, Result, Watch
from engine.proposers.leash import MARK
from engine.transcript import STREAMED
from engine.workspace import Workspace
from tests.engine.workspaces import PREPARE, TRAIN, until


class Heard:
    """Somebody who watches."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.wants_no_more = threading.Event()
        self.watch = Watch(cancelled=self.wants_no_more.is_set, say=lambda kind, text: self.said.append((kind, text)))

    def of(self, kind: str) -> list[str]:
        """The lines of a thought or a message, the pieces of any other kind."""
        pieces = [text for each, text in self.said if each == kind]
        return "".join(pieces).splitlines() if kind in STREAMED else pieces


def wants(behaviour: str, value: object = "", *, turn: int = 1, history: tuple[Result, ...] = ()) -> Context:
    """A request for a behaviour of the scripted agents."""
    return Context(
        incumbent=TRAIN,
        prepare=PREPARE,
        turn=turn,
        run=turn + 1,
        history=history,
        program="Find a lower val_bpb.\n",
        idea=f"behave: {behaviour} {value}",
    )


def drafters(workspace: Workspace) -> list[psutil.Process]:
    """The living processes that draft for a workspace."""
    found = []
    for process in psutil.process_iter():
        try:
            draft = process.environ().get(MARK, "")
            if process.status() != psutil.STATUS_ZOMBIE and draft.startswith(f"{workspace.root}/"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def check_nothing_is_left(workspace: Workspace) -> None:
    assert drafters(workspace) == []
    assert not list((workspace.state / "drafts").glob("*"))


def check_rate(proposal: Proposal, rate: object) -> None:
    assert f"MATRIX_LR = {rate}\n" in proposal.train


def check_none_outlives_a_killed_engine(workspace: Workspace, code: str) -> None:
    """``code`` is an engine whose proposer hangs, with a child of its own."""
    engine = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    until(lambda: len(drafters(workspace)) == 3, "the leash, the program and its child")
    engine.kill()
    engine.wait()
    until(lambda: not drafters(workspace), "the end of all three")
