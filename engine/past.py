"""Sessions that are over, or run elsewhere: found below a path, and what came of each in a few figures."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engine import dialects
from engine.errors import UnusableWorkspace
from engine.ledger import BadLine, Experiment, Segment
from engine.workspace import LEDGER, RUN_LOG, Workspace

OTHERS = (".auto/log.jsonl", "results.tsv")
"""Where other tools keep a session, below its directory."""
DEEPEST = 4
"""Directories below a given one in which sessions are looked for."""
MOST_DIRECTORIES = 20_000
"""That are looked into below a given one."""
NOT_LOOKED_INTO = ("node_modules", "__pycache__", "site-packages")


@dataclass(frozen=True)
class Result:
    """One run, as a plot takes it."""

    run: int
    value: float | None
    """None where it gave none that counts."""
    status: str


@dataclass(frozen=True)
class PastSession:
    """One segment of a ledger; or why there is nothing to be read."""

    path: Path
    """The ledger."""
    name: str
    """The directory's, with the file's where that is not the usual one."""
    trouble: str = ""
    """Why it cannot be read; empty for a session."""
    branch: str = ""
    metric_name: str = "val_bpb"
    lower_is_better: bool = True
    segment: int = 0
    segments: int = 1
    baseline: float | None = None
    best: float | None = None
    results: tuple[Result, ...] = ()
    """Of its runs that say something about their train.py."""
    runs: int = 0
    kept: int = 0
    """The baseline not counted."""
    seconds: float = 0.0
    """What its runs took, those made again included."""
    last: float = 0.0
    """When its last run was recorded, in seconds since the epoch; 0: unknown, or none was."""
    last_run: int | None = None
    bad_lines: tuple[BadLine, ...] = ()
    """Of its ledger, those that can't be read."""
    is_outside: bool = False
    """As of its segment."""
    is_asked_for: bool = False
    """A person gave its path."""

    @property
    def identity(self) -> tuple[Path, int]:
        return self.path, self.segment

    @property
    def gain(self) -> float | None:
        """The best metric minus the baseline's; None where nothing beat it."""
        if self.best is None or self.baseline is None or not self.kept:
            return None
        return self.best - self.baseline

    @property
    def is_better(self) -> bool:
        gain = self.gain
        return gain is not None and (gain < 0) == self.lower_is_better and gain != 0


def find(path: Path) -> Iterator[Path]:
    """The sessions' files at a path: the file itself, a workspace's, or those of the workspaces below a directory."""
    if path.is_file():
        yield path
        return
    if (own := file_in(path)) is not None:
        yield own
        return
    for looked, (place, names, _) in enumerate(os.walk(path)):
        if looked >= MOST_DIRECTORIES:
            return
        if (found := file_in(Path(place))) is not None:
            yield found
        is_deep = len(Path(place).relative_to(path).parts) >= DEEPEST
        names[:] = [] if is_deep else sorted(each for each in names if _is_looked_into(each))


def file_in(directory: Path) -> Path | None:
    """The file of the session in a directory: our ledger, else another tool's. Many files are named results.tsv."""
    if (directory / LEDGER).is_file():
        return directory / LEDGER
    return next((path for each in OTHERS if _is_session(path := directory / each)), None)


@dataclass(frozen=True)
class Place:
    """Where a session is."""

    workspace: Workspace
    file: Path | None = None
    """The session's, where it is not the one that the workspace has."""


def place_at(path: Path) -> Place:
    """The session that a directory or a session's file names. Raises UnusableWorkspace for a file of another kind."""
    path = Workspace.at(path).root
    if path.name == ".auto" and (path / "log.jsonl").is_file():
        path /= "log.jsonl"
    if path.is_dir() or not path.exists():
        return Place(Workspace(path))
    workspace = Workspace(home_of(path))
    if path == file_in(workspace.root):
        return Place(workspace)
    if not path.is_file() or not dialects.is_session(path):
        raise UnusableWorkspace(f"{path} is no session's file, such as {LEDGER}, {' or '.join(OTHERS)}.")
    return Place(workspace, path)


def require(workspace: Workspace) -> None:
    """Raises UnusableWorkspace where there is no session, and none begins: run.log alone is a first run."""
    root = workspace.root
    if not root.is_dir():
        raise UnusableWorkspace(f"{root} is no directory." if root.exists() else f"there is no directory {root}.")
    if file_in(root) is None and not workspace.run_log.is_file():
        raise UnusableWorkspace(f"there is no session in {root}: no {LEDGER}, {', '.join(OTHERS)} or {RUN_LOG}.")


def home_of(path: Path) -> Path:
    """The directory whose session a file is."""
    return path.parent.parent if path.parent.name == ".auto" else path.parent


def _is_session(path: Path) -> bool:
    try:
        return dialects.is_session(path)
    except OSError:
        return False


def _is_looked_into(name: str) -> bool:
    return not name.startswith(".") and name not in NOT_LOOKED_INTO


def sessions_of(path: Path) -> list[PastSession]:
    """Each segment of the ledger at ``path``, the last one first; never raises."""
    place = home_of(path)
    name = place.name if path.name == LEDGER else f"{place.name}/{path.name}"
    try:
        found = dialects.read(path)
    except FileNotFoundError:
        gone = "it holds no session any more." if place.is_dir() else "its directory is gone."
        return [PastSession(path, name, trouble=gone)]
    except UnusableWorkspace as error:
        return [PastSession(path, name, trouble=str(error))]
    except OSError as error:
        return [PastSession(path, name, trouble=f"it can't be read: {error.strerror or error}.")]
    wanted = [each for each in found.segments if each.experiments or each is found.current]
    if not wanted:
        return [PastSession(path, name, trouble="no session was begun in it yet.")]
    bad, segments = found.bad_lines, len(found.segments)
    return [_summary(path, name, each, segments, bad) for each in reversed(wanted)]


def _summary(path: Path, name: str, segment: Segment, segments: int, bad_lines: tuple[BadLine, ...]) -> PastSession:
    baseline, best = segment.baseline, segment.incumbent
    runs, config = segment.experiments, segment.config
    return PastSession(
        path=path,
        name=name,
        branch=(config.branch or "").removeprefix("autoresearch/"),
        metric_name=config.metric_name,
        lower_is_better=config.best_direction != "higher",
        segment=segment.number,
        segments=segments,
        baseline=baseline.metric if baseline else None,
        best=best.metric if best else None,
        results=tuple(_result(number, each) for number, each in enumerate(runs, 1) if not each.inconclusive),
        runs=len(runs),
        kept=sum(each.kept for each in runs if each is not baseline),
        seconds=_seconds(segment),
        last=max((each.timestamp for each in runs), default=0.0),
        last_run=runs[-1].run if runs else None,
        bad_lines=bad_lines,
        is_outside=segment.is_outside,
    )


def _result(number: int, experiment: Experiment) -> Result:
    """Numbered within its segment: another tool's own numbers may be anything."""
    return Result(number, None if experiment.crashed else experiment.metric, experiment.status)


def _seconds(segment: Segment) -> float:
    """The runs' own durations; where no line has one, from the first to the last."""
    known = [each.seconds for each in segment.experiments] + [each.seconds for each in segment.repeats]
    if any(known):
        return sum(each for each in known if each is not None and each > 0)
    times = [each.timestamp for each in segment.experiments if each.timestamp > 0]
    return max(times) - min(times) if times else 0.0


def gather(paths: Iterable[Path], workspaces: Iterable[Workspace]) -> Iterator[PastSession]:
    """The sessions at the given paths, then those of the given workspaces, each ledger once; never raises."""
    seen: set[Path] = set()
    for path in paths:
        is_empty = True
        for each in _found(path):
            is_empty = False
            yield from (replace(session, is_asked_for=True) for session in _unseen(each, seen))
        if is_empty:
            trouble = "there is no session in it." if os.path.lexists(path) else "there is no such file or directory."
            yield PastSession(path, path.name or str(path), trouble=trouble, is_asked_for=True)
    for workspace in workspaces:
        yield from _unseen(workspace.ledger, seen)


def _found(path: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError):  # what can't be looked into holds nothing that could be shown
        yield from find(path)


def _unseen(path: Path, seen: set[Path]) -> list[PastSession]:
    real = Path(os.path.realpath(path))
    if real in seen:
        return []
    seen.add(real)
    return sessions_of(real)
