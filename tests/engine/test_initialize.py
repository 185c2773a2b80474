"""Set-up: it adds what is missing on a branch of its own, or refuses in one sentence and changes nothing at all."""

import ast
import datetime
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import knobs, ledger, settings
from engine.errors import UnusableWorkspace
from engine.initialize import ASSETS, CODE, PROFILES, TEMPLATE, Profile, initialize
from engine.presence import holding
from engine.repository import Repository
from engine.workspace import (
    BENCHMARK,
    DOCUMENT,
    LEDGER,
    PREPARE,
    PROGRAM,
    PYPROJECT,
    RUN_LOG,
    SETTINGS,
    STATE,
    TRAIN,
    Workspace,
)
from tests.engine.conftest import Person, snapshot

TODAY = datetime.date(2026, 11, 23)
BRANCH = "autoresearch/t-2026-11-23"
MADE = {PREPARE, TRAIN, PROGRAM, PYPROJECT, BENCHMARK, SETTINGS, DOCUMENT}

pytestmark = pytest.mark.usefixtures("no_identity")


def begin(workspace: Workspace, tag: str = "t", profile: str = "gpu") -> str:
    return initialize(workspace, tag, Profile.load(profile), today=TODAY)


# ------------------------------------------------------------------------------------------------------- refusals


def _not_a_repository(person: Person) -> None:
    (person.root / ".git" / "HEAD").unlink()


def _detached(person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    person.git("checkout", "--quiet", "--detach")


def _branch_exists(person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    person.git("branch", BRANCH)


def _broken_train(person: Person) -> None:
    person.commit({TRAIN: "def (:\n"})


def _broken_train_untracked(person: Person) -> None:
    person.write(TRAIN, "x = '\n")


def _train_in_another_encoding(person: Person) -> None:
    person.write(TRAIN, b"x = '\xff'\n")


def _document_with_edits(person: Person) -> None:
    person.commit({DOCUMENT: "old\n"})
    person.write(DOCUMENT, "my thoughts\n")


def _document_untracked(person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    person.write(DOCUMENT, "my thoughts\n")


def _prefix_is_a_branch(person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    person.git("branch", "autoresearch")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_not_a_repository, "not a git repository"),
        (_detached, "HEAD is detached"),
        (_branch_exists, "exists already"),
        (_broken_train, "not valid Python"),
        (_broken_train_untracked, "not valid Python"),
        (_train_in_another_encoding, "not valid Python"),
        (_document_with_edits, "not committed"),
        (_document_untracked, "not committed"),
        pytest.param(
            _prefix_is_a_branch,
            "autoresearch",
        ),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    workspace: Workspace, person: Person, spoil: Callable[[Person], None], sentence: str, profile: str
) -> None:
    spoil(person)
    before = snapshot(person.root)
    with pytest.raises(UnusableWorkspace, match=sentence) as refused:
        begin(workspace, profile=profile)
    assert "\n" not in str(refused.value).strip()
    assert refused.value.exit_code == 2
    assert snapshot(person.root) == before


@pytest.mark.parametrize(
    "tag", ["", " ", "a b", "-x", ".x", "x.", "x..y", "x.lock", "a/b", "~", "x^", "x:", "é", "x\n", "@{"]
)
def test_a_tag_that_is_no_part_of_a_branchs_name_is_refused(workspace: Workspace, person: Person, tag: str) -> None:
    before = snapshot(person.root)
    with pytest.raises(UnusableWorkspace, match="is no tag"):
        begin(workspace, tag)
    assert snapshot(person.root) == before


def _hold(root: Path, holds: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with holding(Workspace(root)):
        holds.set()
        done.wait()


def test_a_workspace_that_an_engine_holds_is_refused(workspace: Workspace, person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    holds, done = multiprocessing.Event(), multiprocessing.Event()
    engine = multiprocessing.Process(target=_hold, args=(workspace.root, holds, done), daemon=True)
    engine.start()
    try:
        assert holds.wait(60)
        before = snapshot(person.root)
        with pytest.raises(UnusableWorkspace):
            begin(workspace)
        assert snapshot(person.root) == before
    finally:
        done.set()
        engine.join()


def test_a_directory_in_another_repository_is_refused(person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    (person.root / "sub").mkdir()
    before = snapshot(person.root)
    with pytest.raises(UnusableWorkspace, match="inside the git repository"):
        begin(Workspace(person.root / "sub"))
    assert snapshot(person.root) == before


def test_a_profile_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnusableWorkspace, match="gpu, demo"):
        Profile.load("tpu")


# -------------------------------------------------------------------------------------------------- what is made


@pytest.fixture(params=[False, True], ids=["unborn", "with commits"])
def is_born(request: pytest.FixtureRequest, person: Person) -> bool:
    if request.param:
        person.commit({"README.md": "mine\n"})
    return bool(request.param)


def test_a_session_begins_with_one_commit_on_a_branch_of_its_own(
    workspace: Workspace, person: Person, is_born: bool
) -> None:
    assert begin(workspace) == BRANCH
    assert person.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert person.git("rev-list", "--count", "HEAD") == ("2" if is_born else "1")
    changed = person.git("show", "--name-only", "--format=", "HEAD").split()
    assert set(changed) == MADE
    assert person.git("status", "--porcelain") == ""
    assert Repository(workspace.root, workspace.state).has_branch("main") is is_born


def test_the_ledger_begins_with_the_sessions_config_line(workspace: Workspace, person: Person) -> None:
    begin(workspace)
    book = ledger.read(workspace.ledger)
    assert book.current is not None
    assert book.current.config.branch == BRANCH
    assert book.current.config.name == "Optimize val_bpb (t-2026-11-23)"
    assert book.experiments == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_profiles_constants_are_plain_values_in_the_workspaces_copies(
    workspace: Workspace, person: Person, name: str
) -> None:
    begin(workspace, profile=name)
    for path, constants in Profile.load(name).constants.items():
        text = (workspace.root / path).read_text("utf-8")
        ast.parse(text)
        read = knobs.read(text)
        assert {constant: read[constant] for constant in constants} == dict(constants)
        assert text.count("\n") == (CODE / path).read_text("utf-8").count("\n")
    assert settings.load(workspace).run.limit_seconds == 600


def test_the_gpu_profile_is_the_template_as_it_stands(workspace: Workspace, person: Person) -> None:
    begin(workspace, profile="gpu")
    for path in (TRAIN, PREPARE):
        assert (workspace.root / path).read_bytes() == (CODE / path).read_bytes()
    assert not (workspace.root / "data").exists()


def test_the_demo_profile_brings_its_corpus_which_git_does_not_hold(workspace: Workspace, person: Person) -> None:
    begin(workspace, profile="demo")
    shards = sorted(each.name for each in (ASSETS / "corpus").glob("*.parquet"))
    assert sorted(each.name for each in (workspace.root / "data").iterdir()) == shards
    assert person.git("ls-files", "data") == ""
    assert person.git("status", "--porcelain") == ""


def test_the_benchmark_is_executable_in_the_work_tree_and_in_git(workspace: Workspace, person: Person) -> None:
    begin(workspace)
    assert os.access(workspace.benchmark, os.X_OK)
    assert person.git("ls-tree", "HEAD", BENCHMARK).startswith("100755")


def test_what_a_session_writes_is_ignored(workspace: Workspace, person: Person) -> None:
    begin(workspace)
    for path in (LEDGER, RUN_LOG, f"{STATE}/events.jsonl", ".venv/x", "data/x.parquet", "__pycache__/x.pyc"):
        person.write(path, "x")
    assert person.git("status", "--porcelain") == ""


# --------------------------------------------------------------------------------------------- what is there stays


@pytest.mark.parametrize("name", sorted(MADE - {DOCUMENT}))
def test_a_committed_file_of_that_name_is_kept(workspace: Workspace, person: Person, name: str) -> None:
    person.commit({name: "MINE = 1\n"})
    begin(workspace)
    assert (workspace.root / name).read_text() == "MINE = 1\n"
    assert person.git("show", f"HEAD:{name}") == "MINE = 1"


def test_what_a_person_staged_edited_or_left_untracked_stays_and_is_not_committed(
    workspace: Workspace, person: Person
) -> None:
    person.commit({"a.txt": "a\n", "b.txt": "b\n", TRAIN: "DEPTH = 1\n", ".gitignore": "*.tmp\r\n"})
    person.write("a.txt", "staged\n")
    person.git("add", "a.txt")
    person.write("b.txt", "edited\n")
    person.write("c.txt", "untracked\n")
    person.write(TRAIN, "DEPTH = 7\n")
    person.write(PROGRAM, "my own goals, untracked\n")
    person.write(".gitignore", "*.tmp\r\n*.bak")
    before, index = snapshot(person.root), person.index(*MADE)
    begin(workspace)
    after = snapshot(person.root)
    kept = [path for path in before if not path.startswith(".git/")]
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert person.index(*MADE) == index
    assert set(person.git("show", "--name-only", "--format=", "HEAD").split()) == MADE - {TRAIN, PROGRAM}


def test_a_shard_that_is_there_already_is_kept(workspace: Workspace, person: Person) -> None:
    person.write("data/shard_00000.parquet", b"mine")
    begin(workspace, profile="demo")
    assert (workspace.root / "data/shard_00000.parquet").read_bytes() == b"mine"


def test_a_second_session_gets_a_document_of_its_own_and_keeps_everything_else(
    workspace: Workspace, person: Person
) -> None:
    first = begin(workspace, "one")
    before = {name: (workspace.root / name).read_bytes() for name in MADE - {DOCUMENT}}
    second = begin(workspace, "two")
    assert {name: (workspace.root / name).read_bytes() for name in MADE - {DOCUMENT}} == before
    assert second in workspace.document.read_text("utf-8")
    assert first not in workspace.document.read_text("utf-8")
    assert len(ledger.read(workspace.ledger).segments) == 2
    assert person.git("show", f"{first}:{DOCUMENT}") != person.git("show", f"{second}:{DOCUMENT}")


def test_hooks_signing_and_a_missing_identity_are_no_obstacle(workspace: Workspace, person: Person) -> None:
    person.commit({"a.txt": "a\n"})
    person.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n").chmod(0o755)
    person.git("config", "commit.gpgsign", "true")
    begin(workspace)
    assert person.git("log", "-1", "--format=%an") == "autoresearch"


def test_the_template_lacks_nothing() -> None:
    assert {each.name for each in TEMPLATE.iterdir()} >= MADE - {TRAIN, PREPARE}
