"""What the experiments of an outside agent changed, as git tells it: they have no run's folder.

Looked at only: nothing here writes into a repository, its index included.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.repository import GIT
from engine.workspace import TRAIN

LARGEST = 1 << 20
"""Bytes of a patch that are read."""
SECONDS = 20
"""That git may take."""
SESSION_FILES = ("autoresearch.*", ".auto/**", "results.tsv", "run.log")
"""What is no change of an experiment."""
EXCLUDED = tuple(f":(exclude,glob)**/{name}" for name in SESSION_FILES)
"""These as pathspecs that leave them out."""
PATCH = ("--no-color", "--no-ext-diff", "--no-textconv", "--relative")
_commit = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Commit:
    """A commit, its subject, and when it was made."""

    identity: str
    subject: str
    at: float


@dataclass(frozen=True)
class Changes:
    """The repository that ``root`` is in; every method is a git command or two, and blocks."""

    root: Path

    def head(self) -> Commit | None:
        """What is checked out; None without a repository, or before its first commit."""
        identity, _, rest = self._run("log", "-1", "--format=%H%n%ct%n%s").decode("utf-8", "replace").partition("\n")
        at, _, subject = rest.partition("\n")
        return Commit(identity, subject.strip(), float(at)) if at.isdigit() else None

    def resolve(self, commits: Iterable[str]) -> dict[str, str]:
        """The full names of those of these commits that are there."""
        wanted = [each for each in dict.fromkeys(commits) if _commit.fullmatch(each)]
        said = self._run("cat-file", "--batch-check", given="".join(f"{each}^{{commit}}\n" for each in wanted).encode())
        lines = [line.split() for line in said.decode("utf-8", "replace").splitlines()]
        found = zip(wanted, lines, strict=False)
        return {name: words[0] for name, words in found if len(words) == 3 and words[1] == "commit"}

    def of(self, commit: str) -> bytes:
        """What a commit changed: in train.py if it did, else in whatever is no file of the session's own."""
        return self._patch("show", "--format=", "--first-parent", "-m", *PATCH, commit)

    def since(self, commit: str) -> bytes:
        """How the work tree differs from a commit, likewise."""
        return self._patch("diff", *PATCH, commit)

    def train_at(self, commit: str) -> bytes | None:
        """train.py in a commit; None where there is none."""
        return self._run("cat-file", "blob", f"{commit}:./{TRAIN}") or None

    def _patch(self, *arguments: str) -> bytes:
        return self._run(*arguments, "--", TRAIN) or self._run(*arguments, "--", ".", *EXCLUDED)

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a git command prints, its first LARGEST bytes; nothing where it fails."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1"}
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                [*GIT, "-C", str(self.root), *arguments],
                input=given,
                capture_output=True,
                env=environment,
                timeout=SECONDS,
                check=True,
            )
            return done.stdout[:LARGEST]
        return b""
