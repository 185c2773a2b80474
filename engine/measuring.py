"""One run of the benchmark and what it measured, with the rules of the game checked around it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import conditions, diagnosis, events, evidence
from engine.control import Control
from engine.data import Data
from engine.events import EventLog
from engine.guards import Guards
from engine.history import History
from engine.runner import Run, tail
from engine.settings import Settings
from engine.shadows import forget_compiled
from engine.supervisor import Ending, Exit
from engine.workspace import PREPARE, RunFolder, Workspace


@dataclass(frozen=True)
class Measurement:
    """What a run turned out to be."""

    ended: Exit
    metric: float | None
    metrics: Mapping[str, float]
    """The others by name."""
    failure: str
    """Why it counts as a crash; empty where it ended well."""
    violations: tuple[str, ...]
    """Rules that it broke."""
    log_tail: str
    checks: str = ""
    """What autoresearch.checks.sh said when it failed."""
    skipped: bool = False

    @property
    def is_sound(self) -> bool:
        return self.metric is not None and not (self.failure or self.violations or self.checks or self.skipped)


@dataclass
class Bench:
    """Runs the workspace's autoresearch.sh on whatever train.py the work tree holds."""

    workspace: Workspace
    settings: Settings
    guards: Guards
    data: Data
    log: EventLog
    control: Control

    def conditions(self) -> dict[str, str]:
        """What makes runs comparable with each other, as it is now."""
        return conditions.now(self.guards.original(PREPARE), self.data.digest)

    def start(self, run: Run) -> None:
        """Start it, with nothing of it left from before."""
        run.end()  # there are some where the run's folder was removed under an engine that died
        link_run_log(self.workspace, run.folder)
        forget_compiled(self.workspace)
        run.start([str(self.workspace.benchmark)], self.workspace, self.settings.run)

    async def follow(self, run: Run, number: int, *, adopted: bool) -> None:
        """Follow experiment ``number``'s run to its end, which a skip or a stop brings about too."""
        folder = run.folder.path.relative_to(self.workspace.runs)
        started = events.RunStarted(
            run=number,
            started=round(run.started, 3),
            limit_seconds=self.settings.run.limit_seconds,
            adopted=adopted,
            folder=str(folder) if len(folder.parts) > 1 else "",
        )
        await asyncio.to_thread(self.log.emit, started)
        ended = await run.wait(lambda: self.control.must_end_run)
        if ended.left:
            pids = ", ".join(map(str, ended.left))
            left = f"run {number} left processes that can't be ended and may hold GPU memory: {pids}"
            await asyncio.to_thread(self.log.emit, events.Warned(message=left))
        seconds = round(ended.seconds, 1)
        await asyncio.to_thread(
            self.log.emit, events.RunEnded(run=number, ending=ended.ending, code=ended.code, seconds=seconds)
        )

    async def read(self, run: Run, number: int, history: History) -> Measurement:
        """What a run that is over measured; guarded files are as they were afterwards, and the checks have been run."""
        ended = await run.wait()
        for problem in run.scanner.problems:
            await asyncio.to_thread(self.log.emit, events.Warned(message=f"run {number}: {problem}"))
        log_tail = await asyncio.to_thread(tail, run.folder.log)
        name = history.segment.config.metric_name
        metric = run.scanner.metrics.get(name)
        failure = diagnosis.failure(ended, metric is None, log_tail, self.settings.run.limit_seconds)
        violations = list(await asyncio.to_thread(self.guards.restore, run.folder))
        violations += [f"{each} during the run" for each in await asyncio.to_thread(self.data.changes)]
        if metric is not None:
            baseline = evidence.baseline_of(self.workspace, history.segment)
            seconds = run.scanner.metrics.get("training_seconds")
            if wrong := evidence.disagreement(
                run.folder, run.identity, metric, baseline=baseline, training_seconds=seconds
            ):
                violations.append(wrong)
        sound = not failure and not violations and metric is not None and ended.ending is Ending.EXITED
        checks, checks_skipped = await self._check(run) if sound else ("", False)
        return Measurement(
            ended=ended,
            metric=metric,
            metrics={other: value for other, value in run.scanner.metrics.items() if other != name},
            failure=failure,
            violations=tuple(violations),
            log_tail=log_tail,
            checks=checks,
            skipped=ended.ending is Ending.SKIPPED or checks_skipped,
        )

    async def _check(self, run: Run) -> tuple[str, bool]:
        """Run autoresearch.checks.sh, where there is one: what it said if it failed, and whether it was skipped."""
        if not self.workspace.checks.exists():
            return "", False
        checks = Run(run.folder.checks, f"{run.identity}-checks")
        if not checks.begun:
            checks.start([str(self.workspace.checks)], self.workspace, self.settings.run)
        ended = await checks.wait(lambda: self.control.must_end_run)
        if ended.ending is Ending.EXITED and ended.code == 0:
            return "", False
        said = tail(checks.folder.log, lines=3) or f"{ended.ending}, exit code {ended.code}"
        return said, ended.ending is Ending.SKIPPED


def link_run_log(workspace: Workspace, folder: RunFolder) -> None:
    """Let run.log be this run's; a file of that name that is no link of ours is set aside."""
    link = workspace.run_log
    if link.exists() and not link.is_symlink():
        workspace.rescued.mkdir(parents=True, exist_ok=True)
        link.rename(workspace.rescued / f"run.log.{workspace.run_log.stat().st_mtime_ns}")
    draft = workspace.state / "run.log.link"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path(folder.log).relative_to(workspace.root))
    draft.replace(link)
