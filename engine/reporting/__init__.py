"""What a session found, for those who were not there: one value (Report), and the forms that it is handed on in.

``gathering`` makes the report from a ledger and from what its workspace says besides (``facts``). ``markdown``,
``page``, ``table``, ``chart`` and ``picture`` are pure functions of it.
"""

from dataclasses import dataclass
from pathlib import Path

from engine.claims import Claim
from engine.ledger import BadLine, Config, Experiment, Note
from engine.noise import NoiseFloor
from engine.spending import NOTHING, Spent

SUFFIXES = ("md", "html", "tsv", "svg", "png")
"""What a report's file may end in; each is a form of it (``exporting.FORMS``)."""
MADE_BY = "made by autoresearch-tui export"
"""Every file but the tsv says so in its first bytes."""
LARGEST = 1e150
"""Metrics beyond it count as it: the square of a difference is still a number."""


@dataclass(frozen=True)
class Facts:
    """What a workspace says of a session besides its ledger. Other tools' workspaces say less, or nothing."""

    name: str = ""
    """The directory's."""
    ledger: str = ""
    """The path of the session's file."""
    proposer: str = ""
    """Who proposes, as autoresearch.toml has it."""
    learned: str = ""
    """What people and agents wrote into autoresearch.md, as Markdown."""
    in_vain: Spent = NOTHING
    """What proposals that came to nothing have cost."""


@dataclass(frozen=True)
class Run:
    """One experiment."""

    experiment: Experiment
    value: float | None
    """Its metric, within ±LARGEST; None for a run that gave none."""
    word: str
    """What became of it: baseline, kept, discarded, crashed, skipped, …"""
    best_before: float | None
    """The incumbent's metric when it was judged."""
    notes: tuple[Note, ...] = ()

    @property
    def number(self) -> int:
        return self.experiment.run

    @property
    def is_trusted(self) -> bool:
        """Whether its metric counts: what failed its checks may have printed anything."""
        return self.value is not None and self.experiment.status != "checks_failed"


@dataclass(frozen=True)
class Kept:
    """A change that was kept, and what may be said of it."""

    run: Run
    before: float
    after: float
    gain: float
    """Better is positive."""
    claim: Claim
    diff: str = ""
    """What it changed, as a patch; only of those that are shown with theirs."""


@dataclass(frozen=True)
class Failures:
    """Experiments that failed for one reason."""

    reason: str
    """As the last of them says it."""
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Report:
    """A segment of a session, told in figures and in the words of those who worked on it."""

    config: Config
    facts: Facts
    segment: int
    segments: int
    runs: tuple[Run, ...] = ()
    baseline: Run | None = None
    best: Run | None = None
    """The incumbent."""
    kept: tuple[Kept, ...] = ()
    """The baseline not among them; in order of worth: what is better proven first, then what gained more."""
    total: Claim | None = None
    """Of the incumbent over the baseline."""
    floor: NoiseFloor | None = None
    confidence: float | None = None
    repeats: int = 0
    """Runs of a configuration after its first."""
    failures: tuple[Failures, ...] = ()
    """The most frequent first."""
    discarded: tuple[Run, ...] = ()
    """Tried and not kept, what came closest to its incumbent first."""
    spent: Spent = NOTHING
    run_seconds: float = 0.0
    """What the runs took."""
    began: float | None = None
    ended: float | None = None
    """When the first and the last line were written, in seconds since the epoch."""
    bad_lines: tuple[BadLine, ...] = ()
    """Of the whole ledger: what could not be read, and is in no segment."""

    @property
    def lower_is_better(self) -> bool:
        return self.config.best_direction != "higher"

    @property
    def title(self) -> str:
        branch = (self.config.branch or "").removeprefix("autoresearch/")
        if branch and branch in self.config.name:
            return self.config.name
        return " · ".join(each for each in (self.subject, branch) if each) or self.facts.name

    @property
    def subject(self) -> str:
        """What is optimized, in the words of the session; empty where they say no more than the metric's name does."""
        name, metric = self.config.name.strip(), self.config.metric_name
        says_nothing = ("", Config().name, f"Optimize {metric}", metric, Path(self.facts.ledger).name)
        return "" if name in says_nothing else name

    @property
    def unit(self) -> str:
        """The metric's; empty where nobody said, or the metric's name has it."""
        unit = self.config.metric_unit.strip()
        return "" if unit == Config().metric_unit or unit in self.config.metric_name else unit

    @property
    def tried(self) -> int:
        """Experiments, the baseline not counted."""
        return len(self.runs) - (self.baseline is not None)

    @property
    def gain(self) -> float | None:
        """The incumbent's metric minus the baseline's; None where nothing was kept."""
        if self.baseline is None or self.best is None or not self.kept:
            return None
        return (self.best.value or 0.0) - (self.baseline.value or 0.0)
