"""The incumbent with one kept change taken out of it: what `verify --ablate` runs."""

import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

from engine import knobs
from engine.history import History
from engine.ledger import Experiment


class NotAloneError(Exception):
    """A change can't be taken out alone; ``str(error)`` says why."""


def kept_changes(history: History) -> list[tuple[Experiment, Experiment]]:
    """Every kept experiment after the baseline, each behind the one that was the incumbent before it."""
    kept = [each for each in history.segment.experiments if each.kept and each.metric is not None]
    return list(pairwise(kept))


def separable(history: History) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The kept changes that can be taken out alone, by their runs; and for each of the others the reason.

    Where there is only one, the incumbent without it is the baseline: none is left to take out.
    """
    changes = [after.run for _, after in kept_changes(history)]
    alone, problems = [], []
    for run in changes if len(changes) > 1 else []:
        try:
            without(history, run)
            alone.append(run)
        except NotAloneError as error:
            problems.append(f"run {run} stays in: {error}")
    return tuple(alone), tuple(problems)


def without(history: History, run: int) -> str:
    """The incumbent's train.py as it would be without what kept experiment ``run`` changed.

    Raises NotAloneError where later changes build on it, or a train.py is no longer there.
    """
    before, after = next((pair for pair in kept_changes(history) if pair[1].run == run), (None, None))
    if before is None or after is None or history.incumbent is None:
        raise NotAloneError(f"run {run} is no kept change of this segment")
    sources = [history.train_of(each) for each in (history.incumbent, after, before)]
    incumbent, changed, original = (source or "" for source in sources)
    if None in sources:
        raise NotAloneError(f"the train.py of run {run}, or of the one before it, is gone")
    result = _with_knobs_back(incumbent, changed, original)
    if result is None:
        result = _merged(incumbent, changed, original)
    if result is None:
        raise NotAloneError(f"what run {run} changed was changed again later")
    return result


def _with_knobs_back(incumbent: str, changed: str, original: str) -> str | None:
    """For a change of values only; None for one of code, or of a knob that has moved on."""
    moved = knobs.differences(original, changed)
    values = {name: old for name, (old, new) in moved.items() if old is not None and new is not None}
    if not moved or len(values) != len(moved) or knobs.replace(changed, values) != knobs.replace(original, values):
        return None
    now = knobs.read(incumbent)
    if any(repr(now.get(name)) != repr(new) for name, (_, new) in moved.items()):
        return None
    return knobs.replace(incumbent, values)


def _merged(incumbent: str, changed: str, original: str) -> str | None:
    """The three-way merge of the incumbent with the step back; None on a conflict."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / name for name in ("incumbent", "changed", "original")]
        for path, source in zip(paths, (incumbent, changed, original), strict=True):
            path.write_bytes(source.encode())
        merge = subprocess.run(["git", "merge-file", "-p", *map(str, paths)], capture_output=True, check=False)
    return merge.stdout.decode() if merge.returncode == 0 else None
