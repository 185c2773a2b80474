"""The set-up phase: makes a directory's repository the workspace of a new session (DESIGN §3, §6)."""

import datetime
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from engine import document, knobs, ledger, obstacles, preflight, preparation, sessions
from engine.errors import UnusableWorkspace
from engine.files import write_atomically
from engine.knobs import Value
from engine.ledger import Config, LedgerFile
from engine.presence import holding
from engine.repository import Repository
from engine.settings import ChatSettings
from engine.workspace import BENCHMARK, DOCUMENT, LEDGER, PREPARE, PROGRAM, PYPROJECT, SETTINGS, TRAIN, Workspace

PROFILES = ("gpu", "demo")
TEMPLATE_FILES = (PREPARE, TRAIN, PROGRAM, PYPROJECT, BENCHMARK, SETTINGS, DOCUMENT)
DATA = "data"
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
    baseline_repeats: int
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
            baseline_repeats=kind["baseline_repeats"],
            frozen=tuple(kind["frozen"]),
        )


def _constants(table: Mapping[str, Any]) -> dict[str, Value]:
    """TOML has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


@dataclass(frozen=True)
class Choice:
    """Who proposes in a new session, as autoresearch.toml is to say it."""

    proposer: str = "search"
    agent: tuple[str, ...] = ()
    """What starts an agent."""
    preset: str = ""
    program: tuple[str, ...] = ()
    model: str = ""
    endpoint: str = ChatSettings().base_url

    @property
    def facts(self) -> dict[str, str]:
        """For the template: the fields, as TOML writes them."""
        return {name: json.dumps(value, ensure_ascii=False) for name, value in asdict(self).items()}


SEARCH = Choice()


def initialize(
    workspace: Workspace,
    tag: str,
    profile: Profile,
    *,
    choice: Choice = SEARCH,
    today: datetime.date | None = None,
) -> str:
    """Begin a session: template, branch, ignored files, documents, one commit; returns the branch.

    Files that are there already are kept as they are. Nothing that a person staged, changed or left untracked
    is touched. A beginning that was cut off is finished. Raises UnusableWorkspace, with nothing changed, where there
    is no repository, HEAD is detached, the branch exists, the tag is no part of a branch's name, an engine runs or
    one of engine.obstacles is in the way.
    """
    if not _TAG.fullmatch(tag) or tag.endswith((".", ".lock")) or ".." in tag:
        raise UnusableWorkspace(f"{tag!r} is no tag: use letters, digits, '.', '_' and '-', as in `--tag nov23`.")
    obstacles.refuse_missing_git()
    obstacles.refuse_directory(workspace)
    repository = Repository(workspace.root, workspace.state)
    obstacles.refuse_operation(workspace)
    repository.branch()
    branch = f"autoresearch/{tag}-{today or datetime.date.today():%Y-%m-%d}"
    if repository.has_branch(preflight.BRANCHES.rstrip("/")):
        raise UnusableWorkspace(
            "a branch named autoresearch is in the way of autoresearch/…: `git branch -m` renames it."
        )
    if is_unfinished(workspace, repository, branch):
        finish(workspace, repository, profile, branch)
        return branch
    if repository.has_branch(branch):
        raise UnusableWorkspace(f"the branch {branch} exists already: `git switch {branch}`, or choose another --tag.")
    _refuse_what_is_in_the_way(workspace)
    if workspace.document.exists() and not repository.is_clean(DOCUMENT):
        raise UnusableWorkspace(f"{DOCUMENT} has edits that are not committed, and a new session writes a new one.")
    contents = _template(workspace, profile, branch, choice)
    train = contents.get(TRAIN) or workspace.train.read_bytes()
    obstacles.refuse_broken_train(train)
    obstacles.refuse_conversion(workspace, contents | {TRAIN: train})
    with holding(workspace):
        _prepare_directory(workspace, repository, profile)
        repository.begin_branch(branch, contents, _message(branch))
        LedgerFile(workspace).open_segment(_config(branch))
        sessions.remember(workspace)
    return branch


def is_unfinished(workspace: Workspace, repository: Repository, branch: str) -> bool:
    """Whether ``branch`` is one whose beginning was cut off: its config line, which comes last, is missing."""
    if not repository.has_branch(branch) or repository.message(f"refs/heads/{branch}").strip() != _message(branch):
        return False
    if any(segment.config.branch == branch for segment in ledger.read(workspace.ledger).segments):
        return False
    return repository.branch() == branch or repository.head() == repository.resolve(f"refs/heads/{branch}^")


def finish(workspace: Workspace, repository: Repository, profile: Profile, branch: str) -> None:
    """Do what is left of a beginning that was cut off; what a person made of the files since then stays."""
    begun = f"refs/heads/{branch}"
    before = repository.resolve(f"{begun}^")
    with holding(workspace):
        _prepare_directory(workspace, repository, profile)
        unsettled = []
        for name in TEMPLATE_FILES:
            old = repository.read(before, name) if before else None
            new, path = repository.read(begun, name), workspace.root / name
            found = path.read_bytes() if path.is_file() else None
            if new not in (None, old) and found in (None, old, new):
                unsettled.append(name)
        repository.enter_branch(branch, _message(branch), *unsettled)
        LedgerFile(workspace).open_segment(_config(branch))
        sessions.remember(workspace)


def _prepare_directory(workspace: Workspace, repository: Repository, profile: Profile) -> None:
    """What is not committed."""
    repository.ignore((TEMPLATE / "ignored").read_text("utf-8"))
    preparation.note_python(workspace)
    if profile.ships_corpus:
        _copy_corpus(workspace)


def _message(branch: str) -> str:
    return f"autoresearch: begin {branch}"


def _config(branch: str) -> Config:
    return Config(name=_title(branch), branch=branch)


def _refuse_what_is_in_the_way(workspace: Workspace) -> None:
    """Of the names that a session needs, one that is taken by something other than a file."""
    obstacles.refuse_linked_train(workspace)
    for name in (*TEMPLATE_FILES, LEDGER):
        path = workspace.root / name
        if path.is_dir():
            raise UnusableWorkspace(f"{path} is a directory, and a session has a file of that name: move it away.")
        if path.is_symlink() and (not path.exists() or name == DOCUMENT):
            raise UnusableWorkspace(f"{path} is a link, and a session has a file of that name: move it away.")
    data = workspace.root / DATA
    if (data.exists() or data.is_symlink()) and not data.is_dir():
        raise UnusableWorkspace(f"{data} is no directory, and the data belongs there: move it away.")


def _template(workspace: Workspace, profile: Profile, branch: str, choice: Choice) -> dict[str, bytes]:
    """The files of the session's first commit: what the workspace lacks, and what is made anew for each session."""
    facts = {"title": _title(branch), "branch": branch, "budget": profile.budget, "limit": str(profile.limit_seconds)}
    made = {
        PREPARE: _with_constants(CODE / PREPARE, profile.constants[PREPARE]),
        TRAIN: _with_constants(CODE / TRAIN, profile.constants[TRAIN]),
        PROGRAM: (TEMPLATE / PROGRAM).read_text("utf-8"),
        PYPROJECT: (TEMPLATE / PYPROJECT).read_text("utf-8"),
        BENCHMARK: (TEMPLATE / BENCHMARK).read_text("utf-8"),
        SETTINGS: Template((TEMPLATE / SETTINGS).read_text("utf-8")).substitute(
            python=profile.python,
            limit=profile.limit_seconds,
            frozen=json.dumps(profile.frozen),
            repeats=profile.baseline_repeats,
            **choice.facts,
        ),
    }
    contents = {name: text.encode() for name, text in made.items() if not (workspace.root / name).exists()} | {
        DOCUMENT: document.compose((TEMPLATE / DOCUMENT).read_text("utf-8"), facts).encode()
    }
    return contents


def _with_constants(path: Path, values: Mapping[str, Value]) -> str:
    return knobs.replace(path.read_text("utf-8"), values) if values else path.read_text("utf-8")


def _copy_corpus(workspace: Workspace) -> None:
    for shard in sorted((ASSETS / "corpus").glob("*.parquet")):
        target = workspace.root / DATA / shard.name
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            write_atomically(target, shard.read_bytes(), scratch=workspace.state)


def _title(branch: str) -> str:
    return f"Optimize val_bpb ({branch.removeprefix('autoresearch/')})"
