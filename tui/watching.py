"""A session that an outside agent drives: what its files and its git repository tell, as the screen shows it.

Nothing is written into the directory. What our own runs have in their folders is laid out in a directory of the
screen's own: train.py and the diff from the experiments' commits and the work tree, the log as a link to run.log.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from engine import activity, dialects, past
from engine.activity import Activity
from engine.changes import Changes, Commit
from engine.errors import UnusableWorkspace
from engine.events import Proposed, RunStarted
from engine.files import read_regular
from engine.ledger import Experiment, Ledger
from engine.workspace import RunFolder, Workspace
from tui.session import POLLS_PER_LOOK, Session
from tui.text import clean
from tui.view_state import Notice, ViewState, with_ledger

LOOK_SECONDS = 1.0
"""Between two looks at the repository."""
CLOSE_SECONDS = 0.5
"""That one waits for a look under way when the session is closed; it clears up after itself if it takes longer."""
SHARE = 10
"""Times as long as a look takes one waits for the next: a repository may be huge, and the machine has work to do."""


@dataclass(frozen=True)
class ShadowedWorkspace(Workspace):
    """A workspace whose runs' folders are elsewhere."""

    shadow: Path

    @property
    def runs(self) -> Path:
        return self.shadow


@dataclass(frozen=True)
class _Seen:
    """What the repository says."""

    head: Commit | None = None
    is_changed: bool = False
    """train.py, or anything else, is not as it was in the last experiment that was kept."""
    lacks: dict[int, str] | None = None
    """Why there is no diff, of the runs that have none."""


class WatchedSession(Session):
    """Poll it as any session. ``close`` it in the end: it has a thread and a temporary directory."""

    def __init__(
        self,
        root: Path,
        *,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """``file``: a past session's, to be looked at only; else the one that is in ``root``, which may come and go."""
        self._linked: int | None = None
        """The run whose log run.log is."""
        self._shadow = Path(tempfile.mkdtemp(prefix="autoresearch-tui-"))
        super().__init__(ShadowedWorkspace(root, self._shadow), is_alive=lambda: True)
        self._given = file
        self._file = file
        self._is_live = file is None
        self.state = ViewState(alive=self._is_live, is_past=not self._is_live, is_watched=True)
        self._clock = clock
        self._repository = _Repository(self.workspace, is_live=self._is_live)
        self._end = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._look_on, args=(look_seconds,), name="git-watch", daemon=True)

    def start(self) -> "WatchedSession":
        """Look at the repository from now on."""
        self._thread.start()
        return self

    def close(self) -> None:
        self._end.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_SECONDS)
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self._shadow, ignore_errors=True)

    def poll(self) -> ViewState:
        state = self.state
        if self._given is None and (self._file is None or self._polls % POLLS_PER_LOOK == 0):
            self._file = past.file_in(self.workspace.root) or self._file
        self._polls += 1
        mark = self._mark()
        if mark != self._ledger_mark:
            self._ledger_mark = mark
            state = self._read(state)
            self._repository.wanted = state.ledger
            self._wake.set()
        state = self._with_run(state)
        found = self._progress(state)
        self.state = state = state if found == state.progress else replace(state, progress=found)
        return state

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            status = self._file.stat() if self._file else None
        except OSError:
            return None
        return (status.st_ino, status.st_size, status.st_mtime_ns) if status else None

    def _read(self, state: ViewState) -> ViewState:
        """What the file says now; what it said, where it is gone or is none."""
        if self._file is None:
            return state
        try:
            return with_ledger(state, _without_folders(dialects.read(self._file)), self._file.name, self._clock())
        except FileNotFoundError:
            return replace(state, notice=Notice(self._clock(), f"{self._file.name} is gone.", "warn"))
        except (UnusableWorkspace, OSError) as error:
            words = f"{self._file.name} can't be read: {getattr(error, 'strerror', None) or error}"
            return replace(state, notice=Notice(self._clock(), words, "warn"))

    def _with_run(self, state: ViewState) -> ViewState:
        """With the run under way, as the times of the files and the repository tell it."""
        seen = self._repository.seen
        is_gone = self._file is not None and self._ledger_mark is None  # then run.log is newer than nothing
        is_told = self._is_live and not is_gone
        now = activity.look(self.workspace, self._file, self._clock()) if is_told else Activity()
        is_new = self._is_live and (now.is_running or now.is_open or seen.is_changed)
        run = state.ledger.next_run if is_new else None
        recorded = state.rows[-1].experiment if state.rows else None
        self._link_log(run if now.is_open else recorded.folder_number if recorded else None)
        lacks = seen.lacks or {}
        phase = "running" if now.is_running else "waiting" if now.is_open else "editing" if is_new else "idle"
        head = seen.head
        subject = head.subject if run and head and not self._repository.is_recorded(head.identity) else ""
        began = max(now.recorded_at, head.at if subject and head else 0.0)
        began = began or (state.started.started if state.started else self._clock())
        proposal = Proposed(run=run, id="", description=subject, source="") if run else None
        started = RunStarted(run=run, started=began, limit_seconds=0) if run and now.is_open else None
        known = (state.live_run, state.phase, state.phase_at, state.proposal, state.started, state.lacks)
        if known == (run, phase, now.at, proposal, started, lacks):
            return state
        return replace(
            state, live_run=run, phase=phase, phase_at=now.at, proposal=proposal, started=started, lacks=lacks
        )

    def _link_log(self, run: int | None) -> None:
        """run.log is the output of one run alone."""
        run = run if self._is_live and self.workspace.run_log.is_file() else None
        if run == self._linked and (run is None or self.workspace.run_folder(run).log.is_symlink()):
            return
        if self._linked is not None:
            self.workspace.run_folder(self._linked).log.unlink(missing_ok=True)
        if run is not None:
            folder = self.workspace.run_folder(run)
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.log.unlink(missing_ok=True)
            folder.log.symlink_to(self.workspace.run_log)
        self._linked = run

    def _look_on(self, seconds: float) -> None:
        while not self._end.is_set():
            self._wake.clear()
            began = time.monotonic()
            with suppress(OSError):  # a full disk, say: what was known stays, and the next look may do better
                self._repository.look(self._end)
            self._wake.wait(max(seconds, SHARE * (time.monotonic() - began)))
        self._clear()


def _without_folders(ledger: Ledger) -> Ledger:
    """An experiment's folder is by its run's number here, whatever another tool may say."""
    if all(each.folder is None for each in ledger.experiments):
        return ledger
    return replace(
        ledger,
        segments=tuple(
            replace(each, experiments=tuple(msgspec.structs.replace(one, folder=None) for one in each.experiments))
            for each in ledger.segments
        ),
    )


class _Repository:
    """What git says of the experiments, laid out as runs' folders. ``look`` runs in a thread of its own."""

    def __init__(self, workspace: Workspace, *, is_live: bool) -> None:
        self._workspace = workspace
        self._is_live = is_live
        self._changes = Changes(workspace.root)
        self._of: dict[int, str] = {}
        """The commit that each run's folder is of."""
        self._caught: set[int] = set()
        """Runs whose folder has what the work tree had while they were the next one."""
        self._names: dict[str, str] = {}
        """The full names of commits."""
        self.wanted = Ledger()
        self.seen = _Seen()

    def is_recorded(self, commit: str) -> bool:
        """Whether an experiment has this commit."""
        return commit in self._names.values()

    def look(self, end: threading.Event) -> None:
        """What is true now."""
        ledger = self.wanted
        experiments = ledger.experiments
        self._names = names = self._changes.resolve(each.commit for each in experiments)
        head = self._changes.head()
        lacks = self._lacks(experiments, head)
        is_changed = self._is_live and head is not None and self._lay_out_now(ledger, head)
        self.seen = _Seen(head, is_changed, lacks)
        baselines = {segment.baseline.run for segment in ledger.segments if segment.baseline}
        for each in reversed(experiments):
            if end.is_set():
                return
            name = names.get(each.commit, "")
            if each.run not in lacks and each.run not in self._caught and self._of.get(each.run) != name:
                patch = b"" if each.run in baselines else self._changes.of(name)
                self._put(self._workspace.run_folder(each.run), patch, self._changes.train_at(name))
                self._of[each.run] = name

    def _lacks(self, experiments: list[Experiment], head: Commit | None) -> dict[int, str]:
        """Why runs have no diff. Tools that take a discarded change back before they commit name the commit before."""
        lacks: dict[int, str] = {}
        first: dict[str, int] = {}
        for each in experiments:
            name = self._names.get(each.commit)
            if name is not None and name not in first:
                first[name] = each.run
                self._caught.discard(each.run)
            elif each.run in self._caught:
                continue
            elif head is None:
                lacks[each.run] = "No diff is known: there is no git repository here, or no commit in it."
            elif not each.commit:
                lacks[each.run] = f"The line of run {each.run} names no commit."
            elif name is None:
                lacks[each.run] = f"Commit {clean(each.commit)[:12]} of run {each.run} is not in this repository."
            else:
                lacks[each.run] = f"Run {each.run} has no commit of its own: its line names that of run {first[name]}."
        return lacks

    def _lay_out_now(self, ledger: Ledger, head: Commit) -> bool:
        """The work tree as the next run's folder; whether it differs from the last experiment that was kept."""
        kept = [each.commit for each in ledger.current.experiments if each.kept] if ledger.current else []
        base = next((self._names[each] for each in reversed(kept) if each in self._names), head.identity)
        patch, run = self._changes.since(base), ledger.next_run
        if (
            patch or run not in self._caught
        ):  # a change that is taken back before its line is written was made all the same
            self._put(self._workspace.run_folder(run), patch, _content(self._workspace.train))
        if patch:
            self._caught.add(run)
        self._of.pop(run, None)
        return bool(patch)

    def _put(self, folder: RunFolder, patch: bytes, train: bytes | None) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        for path, content in ((folder.train, train), (folder.diff, patch)):
            if content is None:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_bytes() != content:
                draft = path.with_suffix(".draft")
                draft.write_bytes(content)
                draft.replace(path)


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except OSError:
        return None
