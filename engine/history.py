"""What happened so far in this session, with the train.py of every run: read from disk, never remembered."""

import re
from dataclasses import dataclass

from engine import ledger
from engine.files import read_regular
from engine.ledger import Config, Experiment, Segment
from engine.proposers import Result
from engine.workspace import Workspace

_DETAILS = re.compile(r":| \(")


@dataclass(frozen=True)
class History:
    """The current segment."""

    workspace: Workspace
    segment: Segment
    next_run: int

    @classmethod
    def of(cls, workspace: Workspace) -> "History":
        book = ledger.read(workspace.ledger)
        return cls(workspace, book.current or Segment(0, Config()), book.next_run)

    @property
    def incumbent(self) -> Experiment | None:
        return self.segment.incumbent

    def has(self, experiments: int | None) -> bool:
        """Whether there is a baseline and so many experiments after it; None is never reached."""
        baseline = self.segment.baseline
        if baseline is None or experiments is None:
            return False
        return len(self.segment.experiments) - 1 - self.segment.experiments.index(baseline) >= experiments

    @property
    def failed_baselines(self) -> int:
        """How often in a row the baseline failed in the same way; skipped ones don't count."""
        kinds = [_kind(each) for each in self.segment.experiments if not each.skipped]
        if self.segment.baseline is not None or not kinds:
            return 0
        return next((count for count, kind in enumerate(reversed(kinds)) if kind != kinds[-1]), len(kinds))

    @property
    def without_keep(self) -> int:
        """Experiments in a row, up to now, that were not kept; those that say nothing don't count."""
        return self.segment.without_keep

    def train_of(self, experiment: Experiment) -> str | None:
        """train.py as it ran in an experiment, if its folder is still there."""
        try:
            return read_regular(self.workspace.run_folder(experiment.folder_number).train).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def results(self) -> list[Result]:
        """Every experiment whose train.py is known, in order."""
        sources = ((each, self.train_of(each)) for each in self.segment.experiments)
        return [Result(experiment, train) for experiment, train in sources if train is not None]


def _kind(failed: Experiment) -> str:
    """A failure without its figures: the reason up to what it goes on to say."""
    return _DETAILS.split(str(failed.asi.get("result", failed.status)), maxsplit=1)[0]
