"""What chooses the next change to train.py, in the ask/tell form of hyper-parameter optimisers (DESIGN §9)."""

from dataclasses import dataclass, field
from typing import Protocol

from engine.ledger import Asi, Experiment


@dataclass(frozen=True)
class Context:
    """What a proposer is asked with."""

    incumbent: str
    """The incumbent's train.py."""
    prepare: str
    """prepare.py, for the constants that train.py's arithmetic depends on."""
    turn: int
    """How many experiments the segment has: the same turn is asked in the same way again after a crash."""
    thrashing: bool = False
    """Several experiments in a row were not kept: something fundamentally different is wanted."""


@dataclass(frozen=True)
class Proposal:
    """A candidate: the whole new train.py, and why."""

    train: str
    description: str
    source: str
    asi: Asi = field(default_factory=dict)
    idea: str = ""
    """The id of the person's idea that it is, if it is one."""


@dataclass(frozen=True)
class Result:
    """What became of a candidate, whoever proposed it."""

    experiment: Experiment
    train: str
    """train.py as it ran."""


class NothingToProposeError(Exception):
    """``str(error)`` says in one sentence why there is no next candidate, and what a person can do."""


class Proposer(Protocol):
    """Never owns the loop: it is asked for a candidate and told of every result, crashes included."""

    name: str

    def ask(self, context: Context) -> Proposal:
        """The next candidate; may take long, runs in a thread. Raises NothingToProposeError."""
        ...

    def tell(self, result: Result) -> None:
        """Learn from a result; at a restart, all earlier ones are told again in order."""
        ...

    def reflect(self, result: Result) -> str:
        """What to try next, for the notes of a result that it is about to be told (``next_action_hint``)."""
        ...
