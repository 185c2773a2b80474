"""Turns what a session kept into a clean branch: one commit for each kept change, and nothing else.

The session's own branch holds notes, discarded experiments and their reverts besides. The clean one begins where the
session's began. Each of its commits has the files that experiments changed (train.py; of another tool's session
whatever was kept, its own files apart) just as the kept commit has them, so that the last one's are the incumbent's to
the byte. Everything is made beside the person's work tree, index and HEAD, and the branch comes last, at once.
"""

import datetime
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from engine import dialects, obstacles, past
from engine.changes import SESSION_FILES
from engine.errors import UnusableWorkspace, WorkFailed
from engine.finished import Step, kept_step, measured_step, squashed
from engine.harmless import clean
from engine.ledger import Segment
from engine.reporting import Facts, Kept, Report, figures, gathering
from engine.repository import EXPERIMENT_TRAILER, REVERT_TRAILER, Repository, refuse_bare
from engine.workspace import TRAIN, Workspace

PREFIX = "finished/"
MAIN = {"main": "refs/heads/main", "master": "refs/heads/master", "origin": "refs/remotes/origin/HEAD"}
"""What a session's branch began from, where nothing says so, in the order in which it is looked for."""
LONGEST_PLACE = 40
"""Characters of a directory's name that a branch is called after."""
_commit = re.compile(r"[0-9a-f]{4,64}")
_refused = re.compile(r"[^\w.-]+|\.\.+")
"""In a branch's name, by git or by a shell."""


@dataclass(frozen=True)
class Plan:
    """What a finished branch is to be."""

    branch: str
    session: str
    """What the session is called."""
    base: str
    """The commit that it begins at."""
    base_said: str
    """That commit in words."""
    steps: tuple[Step, ...]
    """The oldest first."""
    headline: str
    """What was gained in all."""
    incumbent: str
    """The commit whose files the last one has."""
    passed_over: tuple[str, ...] = ()
    """What was kept and gets no commit, each with its reason."""
    paths: frozenset[str] = field(default=frozenset())
    """The files that any of it changes."""

    @property
    def text(self) -> str:
        """For a person, before it is done."""
        lines = [
            f"{self.branch}: from {self.base_said},",
            f"{self.headline}:",
            *(f"  {each.said}" for each in self.steps),
            *self.passed_over,
            f"Only {_listed(sorted(self.paths))} differ{'s' if len(self.paths) == 1 else ''} from there. "
            "The session's branch, the work tree and what is staged stay as they are.",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Finisher:
    """A session whose kept changes are to be a branch. Nothing but ``carry_out`` writes, and that only into git."""

    workspace: Workspace
    repository: Repository

    def plan(self, branch: str | None = None, *, squash: bool = False) -> Plan:
        """What there is to do; ``branch``: its name, if not the usual one.

        Raises UnusableWorkspace where nothing was kept, git lacks what was, or has no use for that name.
        """
        reports = self._reports()
        last = reports[-1]
        session = last.config.branch or ""
        called = clean(session or self.workspace.root.name)
        chain = [each for report in reports for each in _in_order(report)]
        if not chain:
            raise UnusableWorkspace(f"nothing was kept in {self.workspace.root} yet: there is no change to finish.")
        commits = {
            each.run.experiment.commit: self._find(each.run.number, each.run.experiment.commit) for each in chain
        }
        baselines = [self._baseline(report, commits) for report in reports]
        base, base_said = self._base(session, baselines[0])
        carried = self._carried(reports, baselines, commits)
        steps, passed_over = [], []
        at, source = base, base
        for report, baseline in zip(reports, baselines, strict=True):
            if paths := self._different(at, baseline, carried):
                number = report.baseline.number if report.baseline else 0
                steps.append(self._between(source, baseline, paths, number))
            at = source = baseline
            for kept in _in_order(report):
                commit = commits[kept.run.experiment.commit]
                paths = self._different(at, commit, carried)
                if paths:
                    steps.append(kept_step(kept, report, called, commit, paths, own_words=self._own_words(kept)))
                else:
                    passed_over.append(f"Run {kept.run.number} changed nothing that is not there already: no commit.")
                at = source = commit
        name = PREFIX + self._name(last, at) if branch is None else branch
        if refusal := self.repository.what_refuses_branch(name):
            raise UnusableWorkspace(f"{refusal}: name another with --branch.")
        plan = Plan(
            branch=name,
            session=called,
            base=base,
            base_said=base_said,
            steps=tuple(steps),
            headline=_headline(reports),
            incumbent=at,
            passed_over=tuple(passed_over),
            paths=frozenset(path for step in steps for path in step.paths),
        )
        if not plan.steps:
            raise UnusableWorkspace(f"what was kept is in {base_said} already: there is no change to finish.")
        return replace(plan, steps=(squashed(plan.steps, plan.headline, at, plan.paths),)) if squash else plan

    def carry_out(self, plan: Plan) -> str:
        """Make the branch; returns its commit. Raises WorkFailed, with nothing changed, where that cannot be done."""
        tip = plan.base
        for step in plan.steps:
            tip = self.repository.draft(tip, step.commit, step.paths, step.message, author=step.author)
        if wrong := self._different(tip, plan.incumbent, plan.paths):
            raise WorkFailed(f"{_listed(wrong)} would not be as the incumbent has it: no branch was made.")
        self.repository.create_branch(plan.branch, tip, f"autoresearch: finish {plan.session}")
        return tip

    def _reports(self) -> list[Report]:
        """On each segment of the session that was last on a branch of its own, up to its incumbent."""
        file = past.file_in(self.workspace.root)
        if file is None:
            raise UnusableWorkspace(f"there is no session in {self.workspace.root}.")
        try:
            book = dialects.read(file)
        except UnusableWorkspace as error:
            raise UnusableWorkspace(f"{file} can't be read: {error}") from None
        measured = [each for each in book.segments if each.baseline is not None]
        if not measured:
            raise UnusableWorkspace(f"nothing was kept in {self.workspace.root} yet: there is no change to finish.")
        branch = measured[-1].config.branch
        segments = [each for each in measured if each.config.branch == branch]
        return [gathering.report(book, _up_to_incumbent(each), Facts()) for each in segments]

    def _find(self, run: int, name: str) -> str:
        """A kept run's commit in full. Raises UnusableWorkspace where it is not there."""
        if not name:
            raise UnusableWorkspace(
                f"run {run} was kept, but its line names no commit: write into {past.file_in(self.workspace.root)} "
                "which one it is."
            )
        found = self.repository.resolve(name) if _commit.fullmatch(name) else None
        if found is None:
            raise UnusableWorkspace(
                f"run {run} was kept as commit {clean(name)[:40]}, and {self.workspace.root} has no such commit: "
                "`git fetch` it from where the session ran."
            )
        return found

    def _baseline(self, report: Report, commits: dict[str, str]) -> str:
        """A segment's; where its line names none, the commit that the first kept change was made to."""
        assert report.baseline is not None  # a segment without one was left out
        name = report.baseline.experiment.commit
        first = next(_in_order(report), None)
        before = self.repository.parent_of(commits[first.run.experiment.commit]) if first and not name else None
        return before or self._find(report.baseline.number, name)

    def _base(self, session: str, baseline: str) -> tuple[str, str]:
        """Where the session's branch began: the last commit that is none of its own."""
        begun = self.repository.find_subject(f"autoresearch: begin {session}", baseline) if session else None
        if begun is not None:
            before = self.repository.parent_of(begun)
            if before is not None and self.repository.entry(before, TRAIN) is not None:
                return before, f"{self._short(before)}, where {session} began"
            return begun, f"{self._short(begun)}, the commit that brought {TRAIN}"
        for name, reference in MAIN.items():
            main = self.repository.resolve(reference)
            base = self.repository.merge_base(main, baseline) if main else None
            if base not in (None, baseline):
                return base, f"{self._short(base)}, where it left {name}"
        return baseline, f"{self._short(baseline)}, the baseline's commit"

    def _carried(self, reports: list[Report], baselines: list[str], commits: dict[str, str]) -> frozenset[str]:
        """The paths that what was kept changed."""
        found: set[str] = set()
        for report, baseline in zip(reports, baselines, strict=True):
            if not _is_outside(report):
                found.add(TRAIN)
                continue
            before = baseline
            for kept in _in_order(report):
                commit = commits[kept.run.experiment.commit]
                found |= {path for path in self.repository.changed_paths(before, commit) if not _is_sessions(path)}
                before = commit
        return frozenset(found)

    def _different(self, before: str, after: str, paths: frozenset[str]) -> tuple[str, ...]:
        """Those of the paths that are not the same in two commits."""
        return tuple(path for path in self.repository.changed_paths(before, after) if path in paths)

    def _between(self, since: str, baseline: str, paths: tuple[str, ...], run: int) -> Step:
        """What a person committed before a baseline was measured is no experiment, and gets a commit of its own."""
        own = [
            each
            for each in self.repository.commits(since, baseline, *paths)
            if not any(self.repository.trailer(each, name) for name in (EXPERIMENT_TRAILER, REVERT_TRAILER))
        ]
        said = [self.repository.message(each) for each in own]
        return measured_step(run, baseline, paths, said, author=own[0] if len(own) == 1 else "")

    def _own_words(self, kept: Kept) -> str:
        """Of a kept commit that a person made: its message."""
        return self.repository.message(kept.run.experiment.commit) if kept.run.experiment.source == "person" else ""

    def _name(self, report: Report, incumbent: str) -> str:
        """The session's branch, or the one that is checked out; where that is none of its own, directory and date."""
        try:
            branch = report.config.branch or self.repository.branch()
        except UnusableWorkspace:
            branch = ""
        if branch and branch not in MAIN:
            return branch.removeprefix("autoresearch/")
        place = _refused.sub("-", self.workspace.root.name)[:LONGEST_PLACE].strip(".-") or "session"
        return f"{place}-{self._last_day(report, incumbent)}"

    def _last_day(self, report: Report, incumbent: str) -> str:
        """Of the last experiment; where no line has a time, of the incumbent's commit."""
        try:
            moment = max(each.experiment.timestamp for each in report.runs)
            return f"{datetime.date.fromtimestamp(moment):%F}" if moment > 0 else self.repository.day_of(incumbent)
        except (OverflowError, OSError, ValueError):  # a time that no calendar has
            return self.repository.day_of(incumbent)

    def _short(self, commit: str) -> str:
        return f"{commit[:9]} ({clean(self.repository.message(commit).split(chr(10), 1)[0])[:60]})"


def finisher(workspace: Workspace, scratch: Path) -> Finisher:
    """``scratch``: an empty directory for drafts, outside the workspace. Raises UnusableWorkspace."""
    obstacles.refuse_missing_git()
    obstacles.refuse_missing_directory(workspace)
    refuse_bare(workspace.root)
    file = past.file_in(workspace.root)
    if file is None:
        raise UnusableWorkspace(f"there is no session in {workspace.root}: what was kept is read from its ledger.")
    around = next((each for each in workspace.root.parents if (each / ".git").exists()), None)
    if around is not None and not (workspace.root / ".git").exists():
        raise UnusableWorkspace(_of_a_part(workspace, file, around))
    return Finisher(workspace, Repository(workspace.root, scratch))


def _of_a_part(workspace: Workspace, file: Path, around: Path) -> str:
    """Why nothing is finished in a directory of a repository, and how it is from the repository's top."""
    name = file.relative_to(workspace.root).parts[0]
    there = around / name
    first = f"move {there} away for a while, then " if there.exists() else ""
    copy = shlex.join(["cp", "-R", str(workspace.root / name), str(there)])
    return (
        f"{workspace.root} is a part of the repository {around}, and a branch is one of the whole: "
        f"{first}`{copy}` and `{shlex.join(['autoresearch-tui', 'finish', str(around)])}` make it."
    )


def scratch() -> tempfile.TemporaryDirectory[str]:
    """For drafts; gone with its ``with``."""
    return tempfile.TemporaryDirectory(prefix="autoresearch-finish-")


def what_next(workspace: Workspace, plan: Plan) -> str:
    """For a person, once it is done."""
    git = "git" if workspace.root == Path.cwd() else f"git -C {shlex.quote(str(workspace.root))}"
    span, name = f"{plan.base[:9]}..{plan.branch}", shlex.quote(plan.branch)
    return (
        f"{plan.branch} is there. `{git} log -p --reverse {shlex.quote(span)}` shows it, `{git} merge {name}` takes it "
        f"into the branch that you are on, `{git} push -u origin {name}` hands it on."
    )


def _up_to_incumbent(segment: Segment) -> Segment:
    """Another tool may keep what is worse after its best."""
    runs = segment.experiments
    end = next((at for at, each in enumerate(runs, 1) if each is segment.incumbent), len(runs))
    return replace(segment, experiments=runs[:end]) if segment.is_outside else segment


def _in_order(report: Report) -> Iterator[Kept]:
    """What was kept, the oldest first."""
    yield from sorted(report.kept, key=lambda each: each.run.number)


def _is_outside(report: Report) -> bool:
    return not any(each.experiment.source for each in report.runs)


def _is_sessions(path: str) -> bool:
    return any(fnmatchcase(path, each) or fnmatchcase(path, f"*/{each}") for each in SESSION_FILES)


def _headline(reports: list[Report]) -> str:
    """Of a session whose segments are not comparable each one speaks for itself."""
    said = [figures.headline(each).rstrip(".") for each in reports if each.kept]
    return "; ".join(said)


def _listed(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    shown = [clean(each) for each in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
