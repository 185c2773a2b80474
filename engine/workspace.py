"""Where everything is in a workspace (DESIGN §3): paths, and what follows from their names."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UnusableWorkspace

TRAIN = "train.py"
PREPARE = "prepare.py"
PROGRAM = "program.md"
PYPROJECT = "pyproject.toml"
BENCHMARK = "autoresearch.sh"
CHECKS = "autoresearch.checks.sh"
SETTINGS = "autoresearch.toml"
DOCUMENT = "autoresearch.md"
LEDGER = "autoresearch.jsonl"
RUN_LOG = "run.log"
STATE = ".autoresearch"

GUARDED = (PREPARE, BENCHMARK, CHECKS, PYPROJECT, SETTINGS)
"""What no proposer may change: the rules of the game."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one experiment, ``.autoresearch/runs/0007``: what it ran, printed and ended with."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def train(self) -> Path:
        """train.py as it ran."""
        return self.path / TRAIN

    @property
    def diff(self) -> Path:
        """Its difference from the incumbent of its time, as a patch; empty for a baseline."""
        return self.path / "diff.patch"

    @property
    def log(self) -> Path:
        """Everything that the run printed, byte for byte."""
        return self.path / "run.log"

    @property
    def order(self) -> Path:
        """What the supervisor was told to run (engine.supervisor.Order)."""
        return self.path / "order.json"

    @property
    def exit(self) -> Path:
        """How it ended (engine.supervisor.Exit); absent while it runs, and after its supervisor was killed."""
        return self.path / "exit.json"

    @property
    def record(self) -> Path:
        """What prepare.py's evaluate_bpb measured (engine.evidence); absent where prepare.py writes none."""
        return self.path / "record.json"

    @property
    def transcript(self) -> Path:
        """What the proposer thought and said over the candidate (engine.transcript); absent for the search's."""
        return self.path / "proposer.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as the run is alive."""
        return self.path / "lock"

    @property
    def checks(self) -> "RunFolder":
        """The run of autoresearch.checks.sh that belongs to this experiment."""
        return RunFolder(self.path / "checks")

    def repeat(self, number: int) -> "RunFolder":
        """The folder of the same configuration run again, ``number`` from 1."""
        return RunFolder(self.path / "repeats" / f"{number:02d}")

    def repeats(self) -> list["RunFolder"]:
        """The folders of all repeats."""
        return [RunFolder(path) for path in sorted((self.path / "repeats").glob("*"))]

    def next_repeat(self) -> "RunFolder":
        """The folder of the next repeat: the first that is not there."""
        number = 1
        while self.repeat(number).path.exists():
            number += 1
        return self.repeat(number)


@dataclass(frozen=True)
class Workspace:
    """A directory with train.py and its git repository; ``root`` is absolute."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "Workspace":
        """Raises UnusableWorkspace for a path that leads nowhere: links in a circle, the home of nobody."""
        try:
            root = path.expanduser().resolve()
            has_link = any(each.is_symlink() for each in (root, *root.parents))
        except OSError as error:
            raise UnusableWorkspace(f"{path} leads to no directory ({error.strerror}): name another.") from None
        except RuntimeError:
            root, has_link = path, True
        if has_link:
            what = "its ~ is no user's home" if str(path).startswith("~") else "its links lead round in a circle"
            raise UnusableWorkspace(f"{path} leads to no directory ({what}): name another.")
        return cls(root)

    @property
    def quoted(self) -> str:
        """The directory as a shell takes it, for commands that a person is told."""
        return shlex.quote(str(self.root))

    @property
    def train(self) -> Path:
        return self.root / TRAIN

    @property
    def prepare(self) -> Path:
        return self.root / PREPARE

    @property
    def pyproject(self) -> Path:
        return self.root / PYPROJECT

    @property
    def benchmark(self) -> Path:
        return self.root / BENCHMARK

    @property
    def checks(self) -> Path:
        return self.root / CHECKS

    @property
    def program(self) -> Path:
        return self.root / PROGRAM

    @property
    def settings(self) -> Path:
        return self.root / SETTINGS

    @property
    def document(self) -> Path:
        return self.root / DOCUMENT

    @property
    def ledger(self) -> Path:
        return self.root / LEDGER

    @property
    def run_log(self) -> Path:
        """A link to the running (or last) experiment's log."""
        return self.root / RUN_LOG

    @property
    def state(self) -> Path:
        return self.root / STATE

    @property
    def runs(self) -> Path:
        return self.state / "runs"

    @property
    def events(self) -> Path:
        return self.state / "events.jsonl"

    @property
    def commands(self) -> Path:
        return self.state / "commands.jsonl"

    @property
    def proposing(self) -> Path:
        """What the proposer thinks and says just now."""
        return self.state / "proposing.jsonl"

    @property
    def drafts(self) -> Path:
        """Where proposers draft."""
        return self.state / "drafts"

    @property
    def journal(self) -> Path:
        return self.state / "in-flight.json"

    @property
    def engine_log(self) -> Path:
        return self.state / "engine.log"

    @property
    def engine_lock(self) -> Path:
        return self.state / "engine.lock"

    @property
    def engine_pid(self) -> Path:
        return self.state / "engine.json"

    @property
    def engine_python(self) -> Path:
        """Which Python autoresearch-tui last ran in here, for an autoresearch.sh that is run by hand."""
        return self.state / "python"

    @property
    def rescued(self) -> Path:
        return self.state / "rescued"

    @property
    def torn(self) -> Path:
        return self.state / "torn"

    def lock_of(self, file: Path) -> Path:
        """The lock that writers of an append-only file share."""
        return self.state / f"{file.name}.lock"

    def run_folder(self, number: int) -> RunFolder:
        return RunFolder(self.runs / f"{number:04d}")
