"""One look at a session from its files: what runs, what was found so far."""

import time

import msgspec

from engine import journal, ledger
from engine.errors import UnusableWorkspace
from engine.presence import engine_of
from engine.workspace import Workspace


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands."""

    directory: str
    branch: str | None
    engine: int | None
    """The engine's process id, while one runs."""
    run: int | None
    """The experiment under way."""
    phase: str | None
    experiments: int
    """Lines of the current segment, the baseline's included."""
    kept: int
    """The baseline not counted."""
    crashed: int
    baseline: float | None
    incumbent: float | None
    incumbent_run: int | None
    confidence: float | None
    last: float | None
    """When the last experiment was recorded, in seconds since the epoch."""

    @property
    def state(self) -> str:
        if self.engine is None:
            return "no engine"
        return f"run {self.run} {self.phase}" if self.run else "between experiments"

    @property
    def line(self) -> str:
        """For a status bar."""
        best = "" if self.incumbent is None else f" {self.incumbent:.4f}"
        gain = (
            f" ({self.incumbent - self.baseline:+.4f})"
            if self.incumbent is not None and self.baseline is not None
            else ""
        )
        return f"{self.state} | best{best or ' -'}{gain} | {self.experiments} runs, {self.kept} kept"

    @property
    def text(self) -> str:
        """For a person."""

        def number(value: float | None) -> str:
            return "-" if value is None else f"{value:.6f}"

        ago = "" if self.last is None else f", the last one {_ago(time.time() - self.last)} ago"
        return "\n".join(
            (
                f"{self.directory} ({self.branch or 'no branch'}): {self.state}",
                f"runs        {self.experiments}: {self.kept} kept, {self.crashed} crashed{ago}",
                f"baseline    {number(self.baseline)}",
                f"incumbent   {number(self.incumbent)}"
                + (f" (run {self.incumbent_run})" if self.incumbent_run else ""),
                f"confidence  {'-' if self.confidence is None else f'{self.confidence:.1f}'}",
            )
        )


def of(workspace: Workspace) -> Status:
    """Raises UnusableWorkspace where there is no session."""
    if not workspace.ledger.exists():
        raise UnusableWorkspace(
            f"there is no session in {workspace.root}: `autoresearch-tui init {workspace.root} --tag T` begins one."
        )
    segment = ledger.read(workspace.ledger).current
    flight = journal.load(workspace)
    holder = engine_of(workspace)
    experiments = segment.experiments if segment else ()
    best = segment.incumbent if segment else None
    baseline = segment.baseline if segment else None
    return Status(
        directory=str(workspace.root),
        branch=segment.config.branch if segment else None,
        engine=holder.pid if holder else None,
        run=flight.run if flight else None,
        phase=flight.phase if flight else None,
        experiments=len(experiments),
        kept=sum(each.kept for each in experiments if each is not baseline),
        crashed=sum(each.crashed for each in experiments),
        baseline=baseline.metric if baseline else None,
        incumbent=best.metric if best else None,
        incumbent_run=best.run if best else None,
        confidence=experiments[-1].confidence if experiments else None,
        last=experiments[-1].timestamp if experiments else None,
    )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
