"""The engine without a screen: one line per experiment on stdout, progress on stderr."""

import sys
from contextlib import suppress
from typing import TextIO

from engine import events, ledger
from engine.events import Event
from engine.ledger import Experiment
from engine.words import counted
from engine.workspace import Workspace


class Headless:
    """Prints what the engine tells it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def on_event(self, event: Event) -> None:
        """Called with every event once it is on disk."""
        match event:
            case events.EngineStarted(branch=branch, proposer=proposer):
                self._progress(f"{branch}: " + ("a verification" if proposer == "verify" else f"{proposer} proposes"))
            case events.Proposed(description=description, folder=folder) if folder:
                self._progress(description)
            case events.Proposed(run=run, description=description):
                self._progress(f"run {run}: {description}")
            case events.RunStarted(run=run, adopted=True):
                self._progress(f"run {run}: was still running, taken over")
            case events.RunEnded(run=run, seconds=seconds, ending=ending):
                self._progress(f"run {run}: {ending} after {seconds:.0f} s")
            case events.Thrashing(count=count):
                self._progress(f"{counted(count, 'experiment')} in a row without a keep: time for a different approach")
            case events.Rescued(patch=patch):
                self._progress(f"train.py had been edited: the edit is saved as {patch}, and taken back")
            case events.ProposalFailed(problem=problem):
                self._progress(f"warning: {problem}")
            case events.Warned(message=message):
                self._progress(f"warning: {message}")
            case events.Paused(reason=reason):
                self._progress(f"paused: {reason}" if reason else "paused")
            case events.Resumed():
                self._progress("resumed")
            case events.Recorded(run=run, status="repeat"):
                self._repeat(run)
            case events.Recorded(run=run):
                self._result(run)

    def _result(self, run: int) -> None:
        segment = ledger.read(self._workspace.ledger).current
        experiment = next((each for each in segment.experiments if each.run == run), None) if segment else None
        if segment and experiment:
            show(line(experiment, segment.baseline), sys.stdout)

    def _repeat(self, run: int) -> None:
        """A repeat is no experiment: it gets no line on stdout."""
        segment = ledger.read(self._workspace.ledger).current
        repeat = next((each for each in reversed(segment.repeats) if each.run == run), None) if segment else None
        if repeat:
            self._progress(f"run {run} again: {'no metric' if repeat.metric is None else f'{repeat.metric:.6f}'}")

    def _progress(self, text: str) -> None:
        show(text, sys.stderr)


def show(text: str, stream: TextIO) -> None:
    """Print a line; one that can't be written (a full disk, a closed pipe) must not end a night's work."""
    with suppress(OSError, ValueError):
        print(text, file=stream, flush=True)


def line(experiment: Experiment, baseline: Experiment | None) -> str:
    """An experiment in one line: run, status, metric, its distance from the baseline, what was changed."""
    metric = "-" if experiment.metric is None else f"{experiment.metric:.6f}"
    distance = ""
    if experiment.metric is not None and baseline and baseline.metric is not None and baseline.run != experiment.run:
        difference = experiment.metric - baseline.metric
        distance = f"{difference:+.6f}" if difference else ""
    description = "".join(character if character.isprintable() else " " for character in experiment.description)
    return f"{experiment.run:4d}  {experiment.status:<13} {metric:>9} {distance:>10}  {description}"
