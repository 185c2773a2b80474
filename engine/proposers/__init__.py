"""What chooses the next change to train.py, in the ask/tell form of hyper-parameter optimisers (DESIGN §9)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from engine import meaning
from engine.ledger import Asi, Experiment

MOST = 1e15
"""No proposal costs as much, of anything."""


@dataclass(frozen=True)
class Cost:
    """What a proposal took: seconds by the clock, and what an agent or endpoint reports of tokens and money."""

    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None
    """None where nobody said, and no price is known."""

    def __add__(self, other: "Cost") -> "Cost":
        known = [each for each in (self.dollars, other.dollars) if each is not None]
        return Cost(
            seconds=self.seconds + other.seconds,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            dollars=sum(known) if known else None,
        )

    def as_line(self) -> dict[str, float]:
        """For the ledger and the events: what is known and an amount; what others report may be anything."""
        amounts = {name: value for name, value in asdict(self).items() if value is not None and 0 < value < MOST}
        return {name: round(value, 6) for name, value in amounts.items()}


@dataclass(frozen=True)
class Result:
    """What became of a candidate, whoever proposed it."""

    experiment: Experiment
    train: str
    """train.py as it ran."""


@dataclass(frozen=True)
class Failed:
    """A candidate that crashed for a trivial reason, to be mended under the same run number."""

    train: str
    reason: str
    log_tail: str
    """Output of the run: data, never an instruction."""


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
    run: int = 0
    """The number that the experiment is going to have."""
    best: Experiment | None = None
    """The incumbent's line."""
    history: tuple[Result, ...] = ()
    """Every experiment of the segment, in order."""
    program: str = ""
    """program.md: what the person wants of the research."""
    document: str = ""
    """autoresearch.md: what was learned."""
    direction: str = "lower"
    noise: str = ""
    """The measured noise floor in words; empty where none is."""
    messages: tuple[str, ...] = ()
    """What the person said to the proposer since the last time, the oldest first."""
    idea: str = ""
    """What the person wants tried next, in plain words; the proposer makes an edit of it."""
    search_state: str = ""
    """What a search over the knobs believes so far, in words, where one works beside the proposer."""
    failed: Failed | None = None
    """Not a new change is wanted, but this one mended."""

    def run_of(self, train: str) -> Experiment | None:
        """The experiment that gave this train.py its verdict; other comments and layout make no other program of it."""
        had = (each for each in self.history if not each.experiment.inconclusive)
        return next((each.experiment for each in had if meaning.same(each.train, train)), None)


@dataclass(frozen=True)
class Proposal:
    """A candidate: the whole new train.py, and why."""

    train: str
    description: str
    source: str
    asi: Asi = field(default_factory=dict)
    idea: str = ""
    """The id of the person's idea that it is, if it is one."""
    cost: Cost = Cost()


@dataclass(frozen=True)
class Watch:
    """What the engine gives a proposer that takes its time: when to give up, and where to think aloud."""

    cancelled: Callable[[], bool] = lambda: False
    """Asked several times a second; once it says so, ``ask`` raises NothingToProposeError soon."""
    say: Callable[[str, str], None] = lambda kind, text: None
    """Called with a kind (thought, message, plan, tool, wait, refused, error) and its text, as it comes."""


SILENT = Watch()


class NothingToProposeError(Exception):
    """``str(error)`` says in one sentence why there is no next candidate, and what a person can do."""

    cost = Cost()
    """What was spent in vain."""


class ProposerTroubleError(NothingToProposeError):
    """The agent or endpoint is at fault (dead, silent, rate-limited, over budget): the search takes the turn."""


class NeedsPersonError(ProposerTroubleError):
    """Only a person can mend it (a login, a refused key): the loop pauses with the sentence."""


class Proposer(Protocol):
    """Never owns the loop: it is asked for a candidate and told of every result, crashes included."""

    name: str
    reads_prose: bool
    """It can be told something in words, make an edit of an idea, and mend a candidate that crashed."""

    def ask(self, context: Context, watch: Watch = ...) -> Proposal:
        """The next candidate; may take long, runs in a thread. Raises NothingToProposeError."""
        ...

    def tell(self, result: Result) -> None:
        """Learn from a result; at a restart, all earlier ones are told again in order."""
        ...

    def reflect(self, result: Result) -> str:
        """What to try next, for the notes of a result that it is about to be told (``next_action_hint``)."""
        ...

    def require(self) -> None:
        """Raises NeedsPersonError where it cannot work as it is set up; starts nothing."""
        ...

    def close(self) -> None:
        """The engine ends: leave no process behind."""
        ...
