"""The engine's git steps on real repositories: what a person staged, edited or left untracked stays, to the byte."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UnusableWorkspace, WorkFailed
from engine.repository import EXPERIMENT_TRAILER, FALLBACK_IDENTITY, REVERT_TRAILER, Repository
from engine.workspace import Workspace
from tests.engine.conftest import Person, Snapshot, snapshot

BASE: dict[str, str | bytes] = {
    "train.py": "DEPTH = 2\n",
    "prepare.py": "FIXED = 1\n",
    "notes.md": "one\ntwo\nthree\n",
    "staged.txt": "old\n",
    "both.txt": "old\n",
    "deleted.txt": "old\n",
    "removed.txt": "old\n",
    "mode.sh": "#!/bin/sh\n",
}


@pytest.fixture
def repository(workspace: Workspace, person: Person, no_identity: None) -> Repository:
    """A repository with one commit, that ignores the engine's own directory; nobody told git who they are."""
    person.write(".git/info/exclude", "/.autoresearch/\n")
    person.commit(BASE)
    return Repository(workspace.root, workspace.state)


def head(repository: Repository) -> str:
    sha = repository.head()
    assert sha is not None
    return sha


def mess(person: Person) -> None:
    """Everything at once that a person can have going on beside the engine."""
    person.write("staged.txt", "staged\n")
    person.write("both.txt", "staged\n")
    person.write("new.txt", "new\n")
    person.git("add", "staged.txt", "both.txt", "new.txt")
    person.write("both.txt", "edited further\n")
    person.write("notes.md", "one\n2\nthree\n")
    person.write("untracked.txt", "mine\n")
    person.write("deep/er/untracked.bin", b"\0\xff\r\n")
    person.write("intended.txt", "later\n")
    person.git("add", "--intent-to-add", "intended.txt")
    (person.root / "deleted.txt").unlink()
    person.git("rm", "--quiet", "removed.txt")
    (person.root / "mode.sh").chmod(0o755)
    (person.root / "link").symlink_to("nowhere")
    (person.root / "nested").mkdir()
    Person(person.root / "nested").git("init", "--quiet")
    person.write("nested/file.txt", "theirs\n")


def theirs(person: Person, *but: str) -> tuple[Snapshot, list[str]]:
    """The work tree and the index, apart from these files."""
    seen = {
        path: entry
        for path, entry in snapshot(person.root).items()
        if path not in but and not path.startswith((".git/", ".autoresearch"))
    }
    return seen, person.index(*but)


def _commit(repository: Repository) -> None:
    repository.commit({"train.py": b"DEPTH = 3\n"}, "experiment: deeper", parent=head(repository))


def _commit_and_revert(repository: Repository) -> None:
    before = head(repository)
    _commit(repository)
    repository.commit({"train.py": b"DEPTH = 2\n"}, f"Revert\n\nThis reverts {before}.", parent=head(repository))


def _settle(repository: Repository) -> None:
    (repository.root / "train.py").write_text("half written")
    repository.settle("train.py")


def _begin(repository: Repository) -> None:
    repository.begin_branch("autoresearch/x", {"train.py": b"DEPTH = 4\n", "autoresearch.sh": b"#!/bin/sh\n"}, "begin")


def _look(repository: Repository) -> None:
    repository.branch()
    repository.has_branch("main")
    repository.message("HEAD")
    repository.is_clean("train.py")
    repository.is_clean("notes.md")
    repository.read("HEAD", "train.py")
    repository.find_trailer(None, EXPERIMENT_TRAILER, "x")
    repository.changed_paths("HEAD", "HEAD")
    repository.diff("HEAD", "HEAD", "train.py")


OPERATIONS = [_commit, _commit_and_revert, _settle, _begin, _look]


@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda operate: operate.__name__)
def test_whatever_a_person_has_going_on_stays_as_it_is_to_the_byte(
    repository: Repository, person: Person, operate: Callable[[Repository], None]
) -> None:
    mess(person)
    ours = ("train.py", "autoresearch.sh")
    before = theirs(person, *ours)
    operate(repository)
    assert theirs(person, *ours) == before


@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda operate: operate.__name__)
def test_nothing_of_it_is_committed(
    repository: Repository, person: Person, operate: Callable[[Repository], None]
) -> None:
    mess(person)
    first = head(repository)
    operate(repository)
    committed = person.git("diff", "--name-only", first, "HEAD").split()
    assert set(committed) <= {"train.py", "autoresearch.sh"}


@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda operate: operate.__name__)
def test_the_work_tree_is_clean_where_it_was_clean(
    repository: Repository, person: Person, operate: Callable[[Repository], None]
) -> None:
    operate(repository)
    assert person.git("status", "--porcelain") == ""


def test_looking_writes_nothing_at_all(repository: Repository, person: Person) -> None:
    mess(person)
    before = snapshot(person.root)
    _look(repository)
    assert snapshot(person.root) == before


def test_a_commit_has_its_content_its_message_and_its_parent(repository: Repository, person: Person) -> None:
    parent = head(repository)
    message = "experiment: LR 0.03 → 0.04\n\nExperiment-Id: 7"
    sha = repository.commit({"train.py": b"DEPTH = 3\n"}, message, parent=parent)
    assert head(repository) == sha == person.git("rev-parse", "main")
    assert person.git("rev-parse", "HEAD^") == parent
    assert repository.message("HEAD").strip() == message
    assert repository.read("HEAD", "train.py") == b"DEPTH = 3\n"
    assert (person.root / "train.py").read_bytes() == b"DEPTH = 3\n"
    assert person.git("reflog", "-1", "--format=%gs") == "experiment: LR 0.03 → 0.04"


@pytest.mark.parametrize(
    "content",
    [b"", b"no newline", b"\r\n\r\n", b"\xff\xfe\0", b"\n" * 3, "µ → é\n".encode(), b"x" * 300_000],
    ids=["empty", "no newline", "crlf", "binary", "blank lines", "unicode", "large"],
)
def test_any_content_is_committed_and_read_back_as_it_is(
    repository: Repository, person: Person, content: bytes
) -> None:
    person.git("config", "core.autocrlf", "true")
    repository.commit({"train.py": content}, "experiment: x", parent=head(repository))
    assert repository.read("HEAD", "train.py") == content
    assert (person.root / "train.py").read_bytes() == content


def test_a_file_that_a_commit_lacks_reads_as_none(repository: Repository) -> None:
    assert repository.read("HEAD", "no/such.py") is None


# ------------------------------------------------------------------------------------------------ compare and swap


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_file_that_git_cannot_read_is_not_taken_for_one_that_is_not_there(
    repository: Repository, person: Person, content: bytes
) -> None:
    """As a power cut leaves it: an object of which only the name was written."""
    blob = person.git("rev-parse", "HEAD:train.py")
    damaged = person.root / ".git" / "objects" / blob[:2] / blob[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(content)
    for revision in ("HEAD", head(repository), ""):
        with pytest.raises(WorkFailed, match="git cat-file failed in"):
            repository.read(revision, "train.py")
    with pytest.raises(WorkFailed, match="git cat-file failed in"):
        repository.settle("train.py")


def test_more_paths_than_a_command_line_holds_are_drafted(repository: Repository, person: Person) -> None:
    first = head(repository)
    for number in range(700):
        person.write(f"data/{number}/" + "x" * 200, str(number))
    person.git("add", "--force", "data")
    person.git("commit", "--quiet", "-m", "much data")
    paths = person.git("ls-files", "data").splitlines()
    drafted = repository.draft(first, head(repository), paths, "all of it")
    assert person.git("diff", "--name-only", drafted, "HEAD") == ""
    assert person.git("diff", "--name-only", first, repository.draft(drafted, first, paths, "none of it")) == ""


def test_a_commit_is_refused_when_the_branch_moved_and_nothing_changes(repository: Repository, person: Person) -> None:
    stale = head(repository)
    moved = person.commit({"notes.md": "theirs\n"})
    before = theirs(person)
    with pytest.raises(WorkFailed):
        repository.commit({"train.py": b"DEPTH = 3\n"}, "experiment: x", parent=stale)
    assert head(repository) == moved
    assert theirs(person) == before


def test_a_first_commit_is_refused_where_there_is_one(repository: Repository) -> None:
    with pytest.raises(WorkFailed):
        repository.commit({"train.py": b"x\n"}, "experiment: x", parent=None)


def test_a_branch_that_exists_is_not_begun_again(repository: Repository, person: Person) -> None:
    person.git("branch", "autoresearch/x")
    before = snapshot(person.root / ".git" / "refs"), theirs(person)
    with pytest.raises(WorkFailed):
        _begin(repository)
    assert (snapshot(person.root / ".git" / "refs"), theirs(person)) == before
    assert repository.branch() == "main"


def test_git_s_own_lock_left_behind_is_said_and_the_step_can_be_finished_later(
    repository: Repository, person: Person
) -> None:
    lock = person.write(".git/index.lock", "")
    with pytest.raises(WorkFailed, match=r"index\.lock"):
        _commit(repository)
    lock.unlink()
    repository.settle("train.py")
    assert person.git("status", "--porcelain") == ""
    assert (person.root / "train.py").read_text() == "DEPTH = 3\n"


# ---------------------------------------------------------------------------------------------- settings of others


def test_without_an_identity_the_engine_has_its_own(repository: Repository, person: Person) -> None:
    _commit(repository)
    name, email = FALLBACK_IDENTITY
    assert person.git("log", "-1", "--format=%an %ae %cn %ce") == f"{name} {email} {name} {email}"


def test_an_identity_that_was_configured_is_used(repository: Repository, person: Person) -> None:
    person.git("config", "user.name", "Ada")
    person.git("config", "user.email", "ada@localhost")
    _commit(repository)
    assert person.git("log", "-1", "--format=%an %ae %cn") == "Ada ada@localhost Ada"


HOOKS = (
    "pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-receive", "update", "post-checkout",
    "post-rewrite", "post-index-change",
)  # fmt: skip


def fail_in(person: Person, *hooks: str) -> None:
    for name in hooks:
        person.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch '{person.root}/.git/hook-{name}-ran'\nexit 1\n").chmod(
            0o755
        )


def test_signing_and_hooks_that_fail_play_no_part(repository: Repository, person: Person) -> None:
    fail_in(person, *(set(HOOKS) - {"post-index-change"}))
    person.git("config", "commit.gpgsign", "true")
    person.git("config", "tag.gpgsign", "true")
    person.git("config", "gpg.program", "/bin/false")
    _commit_and_revert(repository)
    _begin(repository)
    assert list((person.root / ".git").glob("hook-*")) == []


@pytest.mark.parametrize("hook", ["reference-transaction", "post-index-change"])
def test_the_hooks_that_plumbing_runs_play_no_part_either(repository: Repository, person: Person, hook: str) -> None:
    fail_in(person, hook)
    try:
        _commit(repository)
    except WorkFailed:
        pytest.fail(f"{hook} stopped the engine")
    assert list((person.root / ".git").glob("hook-*")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("core.autocrlf", "true"),
        ("core.quotePath", "true"),
        ("color.ui", "always"),
        ("status.short", "true"),
        ("status.branch", "true"),
        ("status.showUntrackedFiles", "no"),
        ("log.showSignature", "true"),
        ("log.decorate", "full"),
        ("diff.renames", "copies"),
        ("core.fsmonitor", "true"),
        ("core.logAllRefUpdates", "false"),
        ("core.fileMode", "false"),
        ("user.useConfigOnly", "true"),
        pytest.param(
            "i18n.logOutputEncoding",
            "latin-1",
        ),
        ("advice.detachedHead", "true"),
    ],
)
def test_a_persons_own_git_settings_change_nothing(
    repository: Repository, person: Person, name: str, value: str
) -> None:
    first = head(repository)
    person.git("config", name, value)
    message = f"experiment: µ\n\n{EXPERIMENT_TRAILER}: 7"
    sha = repository.commit({"train.py": b"DEPTH = 3\n"}, message, parent=first)
    assert ascii(repository.message("HEAD").strip()) == ascii(message)
    assert repository.find_trailer(first, EXPERIMENT_TRAILER, "7") == sha
    assert repository.branch() == "main"
    assert repository.is_clean("train.py")


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"])
def test_an_engine_that_was_started_from_a_git_hook_works_on_its_own_repository(
    workspace: Workspace, person: Person, no_identity: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    first = person.commit(BASE)
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    repository = Repository(workspace.root, workspace.state)
    sha = repository.commit({"train.py": b"DEPTH = 3\n"}, "experiment: x", parent=first)
    monkeypatch.delenv(name, raising=False)
    assert person.git("rev-parse", "HEAD") == sha


# ------------------------------------------------------------------------------------------------------- file modes


def test_a_file_keeps_the_mode_that_it_is_committed_with(repository: Repository, person: Person) -> None:
    (person.root / "train.py").chmod(0o755)
    person.commit({"train.py": "DEPTH = 2\n"})
    repository.commit({"train.py": b"DEPTH = 3\n"}, "experiment: x", parent=head(repository))
    assert person.git("ls-tree", "HEAD", "train.py").startswith("100755")
    assert person.git("status", "--porcelain") == ""
    assert os.access(person.root / "train.py", os.X_OK)


def test_a_new_script_is_executable_and_a_new_module_is_not(repository: Repository, person: Person) -> None:
    repository.commit({"autoresearch.sh": b"#!/bin/sh\n", "more.py": b""}, "begin", parent=head(repository))
    assert person.git("ls-tree", "HEAD", "autoresearch.sh").startswith("100755")
    assert person.git("ls-tree", "HEAD", "more.py").startswith("100644")
    assert os.access(person.root / "autoresearch.sh", os.X_OK)
    assert person.git("status", "--porcelain") == ""


def test_a_file_that_a_run_replaced_by_a_link_is_a_file_again(
    repository: Repository, person: Person, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("DEPTH = 2\n")
    (person.root / "train.py").unlink()
    (person.root / "train.py").symlink_to(elsewhere)
    repository.settle("train.py")
    assert not (person.root / "train.py").is_symlink()
    assert elsewhere.read_text() == "DEPTH = 2\n"


def test_a_file_that_was_removed_is_brought_back(repository: Repository, person: Person) -> None:
    person.git("rm", "--quiet", "train.py")
    repository.settle("train.py")
    assert person.git("status", "--porcelain") == ""


# ---------------------------------------------------------------------------------------- kinds of repositories


def test_the_first_commit_of_all_is_made_on_an_unborn_branch(
    workspace: Workspace, person: Person, no_identity: None
) -> None:
    person.write("mine.txt", "untracked\n")
    repository = Repository(workspace.root, workspace.state)
    assert (repository.head(), repository.branch()) == (None, "main")
    sha = repository.commit({"train.py": b"x = 1\n"}, "begin", parent=None)
    assert person.git("log", "--format=%H %P") == sha
    assert person.git("ls-tree", "--name-only", "HEAD") == "train.py"


def test_a_branch_can_be_begun_where_there_is_no_commit_yet(
    workspace: Workspace, person: Person, no_identity: None
) -> None:
    repository = Repository(workspace.root, workspace.state)
    repository.begin_branch("autoresearch/x", {"train.py": b"x = 1\n"}, "begin")
    assert repository.branch() == "autoresearch/x"
    assert not repository.has_branch("main")
    assert person.git("rev-list", "--count", "HEAD") == "1"


def test_a_detached_head_is_refused_with_a_sentence(repository: Repository, person: Person) -> None:
    person.git("checkout", "--quiet", "--detach")
    with pytest.raises(UnusableWorkspace, match="HEAD is detached"):
        repository.branch()


def test_a_directory_inside_another_repository_is_refused(repository: Repository, person: Person) -> None:
    inside = person.root / "sub"
    inside.mkdir()
    with pytest.raises(UnusableWorkspace, match=f"inside the git repository {person.root}"):
        Repository(inside, inside / "scratch")


def test_a_directory_without_a_repository_is_refused(tmp_path: Path, no_identity: None) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(UnusableWorkspace, match="not a git repository"):
        Repository(bare, bare / "scratch")
    assert list(bare.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_another_users_repository_is_refused_with_what_makes_git_trust_it(person: Person, no_identity: None) -> None:
    os.chown(person.root, 12345, 12345)
    os.chown(person.root / ".git", 12345, 12345)
    trust = f"git config --global --add safe.directory {person.root}"
    with pytest.raises(UnusableWorkspace, match=f"belongs to another user, .*: `{trust}`"):
        Repository(person.root, person.root / "scratch")
    assert not (person.root / "scratch").exists()


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableWorkspace, match="no directory"):
        Repository(tmp_path / "nowhere", tmp_path / "scratch")
    assert list(tmp_path.iterdir()) == []


def test_a_linked_work_tree_is_a_workspace_as_well(repository: Repository, person: Person, tmp_path: Path) -> None:
    linked = (tmp_path / "linked").resolve()
    person.git("worktree", "add", "--quiet", "-b", "other", str(linked))
    second = Repository(linked, linked / ".autoresearch")
    sha = second.commit({"train.py": b"DEPTH = 9\n"}, "experiment: x", parent=head(second))
    assert person.git("rev-parse", "other") == sha
    assert (person.root / "train.py").read_text() == "DEPTH = 2\n"


def test_a_repository_with_sha256_names_works_the_same(tmp_path: Path, no_identity: None) -> None:
    root = tmp_path.resolve() / "sha256"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", "--object-format=sha256", "--initial-branch=main"], cwd=root, check=True)
    repository = Repository(root, root / ".autoresearch")
    first = repository.commit({"train.py": b"1\n"}, "begin", parent=None)
    repository.begin_branch("autoresearch/x", {"train.py": b"2\n"}, "begin")
    assert len(first) == 64
    assert repository.read("HEAD", "train.py") == b"2\n"


# -------------------------------------------------------------------------------------------- trailers, messages


def test_a_commit_is_found_by_its_trailer_after_a_given_one_and_not_before(repository: Repository) -> None:
    start = head(repository)
    shas = [
        repository.commit(
            {"train.py": b"%d\n" % number}, f"e\n\n{EXPERIMENT_TRAILER}: {number}", parent=head(repository)
        )
        for number in range(3)
    ]
    assert repository.find_trailer(start, EXPERIMENT_TRAILER, "1") == shas[1]
    assert repository.find_trailer(None, EXPERIMENT_TRAILER, "0") == shas[0]
    assert repository.find_trailer(shas[1], EXPERIMENT_TRAILER, "1") is None
    assert repository.find_trailer(start, REVERT_TRAILER, "1") is None
    assert repository.find_trailer(start, EXPERIMENT_TRAILER, "9") is None


def test_a_trailer_is_found_beside_others_and_under_a_long_description(repository: Repository) -> None:
    start = head(repository)
    message = f"experiment: {'x' * 500}\n\nA body: with a colon.\n\nOther: a\n{EXPERIMENT_TRAILER}: 7\nMore: b"
    sha = repository.commit({"train.py": b"x\n"}, message, parent=start)
    assert repository.find_trailer(start, EXPERIMENT_TRAILER, "7") == sha


def test_an_id_that_is_only_mentioned_is_no_trailer(repository: Repository, person: Person) -> None:
    start = head(repository)
    person.commit(
        {"notes.md": "x\n"}, f"about {EXPERIMENT_TRAILER}: 7\n\n{EXPERIMENT_TRAILER}: 7 was fine, I think.\n\nbye"
    )
    assert repository.find_trailer(start, EXPERIMENT_TRAILER, "7") is None


@pytest.mark.parametrize(
    "message", ["experiment: -m --amend", "experiment: 'a' \"b\" $HOME `x`", "experiment: é\t→ µ", "-"]
)
def test_any_description_makes_a_message(repository: Repository, message: str) -> None:
    repository.commit({"train.py": b"x\n"}, message, parent=head(repository))
    assert repository.message("HEAD").strip() == message


def test_a_persons_message_in_another_encoding_can_be_put_into_an_event(repository: Repository, person: Person) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "--allow-empty", "-q", "-F", "-"],
        cwd=person.root, input=b"gr\xfc\xdfe\n", check=True, capture_output=True,
    )  # fmt: skip
    repository.message("HEAD").encode()


def test_what_changed_between_two_commits_is_listed_and_shown(repository: Repository, person: Person) -> None:
    first = head(repository)
    _commit(repository)
    assert repository.changed_paths(first, "HEAD") == ["train.py"]
    assert b"-DEPTH = 2\n+DEPTH = 3\n" in repository.diff(first, "HEAD", "train.py")


@pytest.mark.parametrize(
    ("change", "is_clean"),
    [
        (lambda person: None, True),
        (lambda person: person.write("train.py", "edited\n"), False),
        (lambda person: (person.write("train.py", "staged\n"), person.git("add", "train.py")), False),
        (lambda person: (person.root / "train.py").unlink(), False),
        (lambda person: person.write("notes.md", "edited\n"), True),
    ],
    ids=["untouched", "edited", "staged", "removed", "another file"],
)
def test_a_file_is_clean_where_work_tree_and_index_agree_with_head(
    repository: Repository, person: Person, change: Callable[[Person], object], is_clean: bool
) -> None:
    change(person)
    assert repository.is_clean("train.py") is is_clean


def test_ignoring_adds_to_what_a_person_excluded_and_does_it_once(repository: Repository, person: Person) -> None:
    person.write(".git/info/exclude", "mine")
    for _ in range(2):
        repository.ignore("# ours\n/.autoresearch/\n/run.log\n")
    assert (person.root / ".git/info/exclude").read_text() == "mine\n# ours\n/.autoresearch/\n/run.log\n"
    person.write("run.log", "x")
    assert person.git("status", "--porcelain") == ""


def test_no_draft_is_left_behind(repository: Repository, workspace: Workspace) -> None:
    _commit_and_revert(repository)
    assert list(workspace.state.iterdir()) == []
