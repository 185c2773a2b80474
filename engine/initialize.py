"""The set-up phase: makes a directory's repository the workspace of a new session (DESIGN §3, §6)."""

import datetime
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from engine import document, knobs, preflight
from engine.errors import UnusableWorkspace
from engine.files import write_atomically
from engine.knobs import Value
from engine.ledger import Config, LedgerFile
from engine.presence import holding
from engine.repository import Repository
from engine.workspace import BENCHMARK, DOCUMENT, PREPARE, PROGRAM, PYPROJECT, SETTINGS, TRAIN, Workspace

PROFILES = ("gpu", "demo")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

HOUSE = Path(__file__).resolve().parent.parent
ASSETS = HOUSE / "assets"
TEMPLATE = ASSETS / "workspace"
CODE = HOUSE / "training"
"""In the source tree and in an installed wheel alike, the four folders lie beside each other."""


@dataclass(frozen=True)
class Profile:
    """What a kind of machine needs the template to be: other values for its constants, and its data."""

    constants: Mapping[str, Mapping[str, Value]]
    """For prepare.py and train.py."""
    python: str
    limit_seconds: int
    budget: str
    """The budget in words."""
    ships_corpus: bool
    frozen: tuple[str, ...]
    """Knobs that the search leaves alone."""

    @classmethod
    def load(cls, name: str) -> "Profile":
        """Raises UnusableWorkspace for a profile that does not exist."""
        if name not in PROFILES:
            raise UnusableWorkspace(f"there is no profile {name}: it is one of {', '.join(PROFILES)}.")
        table = tomllib.loads((ASSETS / "profiles" / f"{name}.toml").read_text("utf-8"))
        kind = table["workspace"]
        return cls(
            constants={PREPARE: _constants(table["prepare"]), TRAIN: _constants(table["train"])},
            python=kind["python"],
            limit_seconds=kind["limit_seconds"],
            budget=kind["budget"],
            ships_corpus=kind["ships_corpus"],
            frozen=tuple(kind["frozen"]),
        )


def _constants(table: Mapping[str, Any]) -> dict[str, Value]:
    """TOML has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def initialize(workspace: Workspace, tag: str, profile: Profile, *, today: datetime.date | None = None) -> str:
    """Begin a session: template, branch, ignored files, documents, one commit; returns the branch.

    Files that are there already are kept as they are. Nothing that a person staged, changed or left untracked
    is touched. Raises UnusableWorkspace, with nothing changed, where there is no repository, HEAD is detached,
    the branch exists, the tag is no part of a branch's name or an engine runs.
    """
    if not _TAG.fullmatch(tag) or tag.endswith((".", ".lock")) or ".." in tag:
        raise UnusableWorkspace(f"{tag!r} is no tag: use letters, digits, '.', '_' and '-', as in `--tag nov23`.")
    repository = Repository(workspace.root, workspace.state)
    repository.branch()
    branch = f"autoresearch/{tag}-{today or datetime.date.today():%Y-%m-%d}"
    if repository.has_branch(preflight.BRANCHES.rstrip("/")):
        raise UnusableWorkspace(
            "a branch named autoresearch is in the way of autoresearch/…: `git branch -m` renames it."
        )
    if repository.has_branch(branch):
        raise UnusableWorkspace(f"the branch {branch} exists already: `git switch {branch}`, or choose another --tag.")
    if workspace.document.exists() and not repository.is_clean(DOCUMENT):
        raise UnusableWorkspace(f"{DOCUMENT} has edits that are not committed, and a new session writes a new one.")
    contents = _template(workspace, profile, branch)
    _refuse_broken_train(workspace)
    with holding(workspace):
        _begin(workspace, repository, profile, branch, contents)
    return branch


def _begin(
    workspace: Workspace, repository: Repository, profile: Profile, branch: str, contents: Mapping[str, bytes]
) -> None:
    repository.ignore((TEMPLATE / "ignored").read_text("utf-8"))
    if profile.ships_corpus:
        _copy_corpus(workspace)
    repository.begin_branch(branch, contents, f"autoresearch: begin {branch}")
    LedgerFile(workspace).open_segment(Config(name=_title(branch), branch=branch))


def _template(workspace: Workspace, profile: Profile, branch: str) -> dict[str, bytes]:
    """The files of the session's first commit: what the workspace lacks, and what is made anew for each session."""
    facts = {"title": _title(branch), "branch": branch, "budget": profile.budget, "limit": str(profile.limit_seconds)}
    made = {
        PREPARE: _with_constants(CODE / PREPARE, profile.constants[PREPARE]),
        TRAIN: _with_constants(CODE / TRAIN, profile.constants[TRAIN]),
        PROGRAM: (TEMPLATE / PROGRAM).read_text("utf-8"),
        PYPROJECT: (TEMPLATE / PYPROJECT).read_text("utf-8"),
        BENCHMARK: (TEMPLATE / BENCHMARK).read_text("utf-8"),
        SETTINGS: Template((TEMPLATE / SETTINGS).read_text("utf-8")).substitute(
            python=profile.python, limit=profile.limit_seconds, frozen=json.dumps(profile.frozen)
        ),
    }
    contents = {name: text.encode() for name, text in made.items() if not (workspace.root / name).exists()} | {
        DOCUMENT: document.compose((TEMPLATE / DOCUMENT).read_text("utf-8"), facts).encode()
    }
    return contents


def _with_constants(path: Path, values: Mapping[str, Value]) -> str:
    return knobs.replace(path.read_text("utf-8"), values) if values else path.read_text("utf-8")


def _refuse_broken_train(workspace: Workspace) -> None:
    if not workspace.train.exists():
        return
    try:
        knobs.read(workspace.train.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UnusableWorkspace(f"train.py is not valid Python: {error}.") from None


def _copy_corpus(workspace: Workspace) -> None:
    for shard in sorted((ASSETS / "corpus").glob("*.parquet")):
        target = workspace.root / "data" / shard.name
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            write_atomically(target, shard.read_bytes())


def _title(branch: str) -> str:
    return f"Optimize val_bpb ({branch.removeprefix('autoresearch/')})"
