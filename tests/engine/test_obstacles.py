"""What stands in the way of a session is refused in one sentence before anything is written, by `init` and by `run`."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import obstacles, preflight
from engine.errors import UnusableWorkspace
from engine.initialize import Profile, initialize
from engine.workspace import BENCHMARK, DOCUMENT, LEDGER, PROGRAM, TRAIN, Workspace
from tests.engine.conftest import Person, snapshot
from tests.engine.test_faults import CAN_MOUNT
from tests.engine.workspaces import make

pytestmark = pytest.mark.usefixtures("no_identity")

Spoil = Callable[[Person], object]


def check_refused(workspace: Workspace, sentence: str, start: Callable[[], object]) -> None:
    before = snapshot(workspace.root)
    with pytest.raises(UnusableWorkspace, match=sentence) as refused:
        start()
    assert "\n" not in str(refused.value)
    assert snapshot(workspace.root) == before


def _train_is_a_link(person: Person) -> None:
    (person.root / TRAIN).rename(person.root / "model.py")
    (person.root / TRAIN).symlink_to("model.py")


def _train_is_a_dangling_link(person: Person) -> None:
    (person.root / TRAIN).unlink()
    (person.root / TRAIN).symlink_to("nowhere.py")


def _attribute(line: str) -> Spoil:
    return lambda person: person.write(".gitattributes", f"{line}\n")


def _config(*setting: str) -> Spoil:
    return lambda person: person.git("config", *setting)


def _crlf_to_be_converted(person: Person) -> None:
    person.commit({TRAIN: "DEPTH = 4\r\n"})
    person.write(".gitattributes", f"{TRAIN} text\n")


def _conflict(person: Person, *command: str) -> None:
    """Leave a git command in the middle of a conflict."""
    branch = person.git("branch", "--show-current")
    person.git("switch", "--quiet", "--create", "theirs")
    person.commit({"a.txt": "theirs\n"})
    person.git("switch", "--quiet", branch)
    person.commit({"a.txt": "ours\n"})
    assert subprocess.run(["git", *command], cwd=person.root, capture_output=True, check=False).returncode


def _in_conflict(*command: str) -> Spoil:
    return lambda person: _conflict(person, "-c", "user.name=A", "-c", "user.email=a@b", *command)


def _reverting(person: Person) -> None:
    first = person.commit({"a.txt": "one\n"})
    person.commit({"a.txt": "two\n"})
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b", "revert", "--no-edit", first]
    assert subprocess.run(command, cwd=person.root, capture_output=True, check=False).returncode


def _state(make_it: Callable[[Path], object]) -> Spoil:
    def spoil(person: Person) -> None:
        state = person.root / ".autoresearch"
        if state.exists():
            state.rename(person.root / "elsewhere")
        make_it(state)

    return spoil


OBSTACLES = {
    "link": (_train_is_a_link, "train.py is a link"),
    "dangling link": (_train_is_a_dangling_link, "train.py is a link"),
    "lfs": (_attribute("*.py filter=lfs diff=lfs merge=lfs -text"), "attribute filter=lfs"),
    "a filter of one's own": (_attribute("train.py filter=nbstrip"), "attribute filter=nbstrip"),
    "ident": (_attribute("train.py ident"), "attribute ident"),
    "encoding": (_attribute("train.py working-tree-encoding=UTF-16"), "attribute working-tree-encoding"),
    "eol": (_attribute("* text eol=crlf"), "converts the line ends"),
    "autocrlf": (_config("core.autocrlf", "true"), "core.autocrlf false"),
    "CRLF in train.py": (_crlf_to_be_converted, "converts the line ends of train.py"),
    "merge": (_in_conflict("merge", "theirs"), "a merge is under way"),
    "cherry-pick": (_in_conflict("cherry-pick", "theirs"), "a cherry-pick is under way"),
    "rebase": (_in_conflict("rebase", "theirs"), "a rebase is under way"),
    "revert": (_reverting, "a revert is under way"),
    "bisect": (lambda person: person.git("bisect", "start"), "a bisection is under way"),
    "state is a file": (_state(lambda path: path.write_text("mine")), "no directory"),
    "state is a link": (_state(lambda path: path.symlink_to(path.parent / "elsewhere")), "is a link"),
    "byte-order mark": (lambda person: person.write(TRAIN, b"\xef\xbb\xbfDEPTH = 4\n"), "byte-order mark"),
    "latin-1": (
        lambda person: person.write(TRAIN, "# coding: latin-1\nNAME = 'é'\n".encode("latin-1")),
        "not valid Python in UTF-8",
    ),
    "deep": (lambda person: person.write(TRAIN, "A = " + "(" * 5000 + ")" * 5000), "not valid Python"),
}


@pytest.mark.parametrize(("spoil", "sentence"), OBSTACLES.values(), ids=OBSTACLES)
def test_init_refuses_it_and_changes_nothing(workspace: Workspace, person: Person, spoil: Spoil, sentence: str) -> None:
    person.commit({TRAIN: "DEPTH = 4\n", "a.txt": "a\n"})
    spoil(person)
    check_refused(workspace, sentence, lambda: initialize(workspace, "t", Profile.load("gpu")))


@pytest.mark.parametrize(("spoil", "sentence"), OBSTACLES.values(), ids=OBSTACLES)
def test_the_engine_refuses_it_and_changes_nothing(tmp_path: Path, spoil: Spoil, sentence: str) -> None:
    workspace = make(tmp_path / "work")
    person = Person(workspace.root)
    person.commit({"a.txt": "a\n"})
    spoil(person)
    check_refused(workspace, sentence, lambda: preflight.inspect(workspace))


def test_what_is_under_way_is_that_of_the_linked_work_tree_whatever_the_repository_is_called(tmp_path: Path) -> None:
    main = Person(make(tmp_path / "new\nline").root)
    main.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    linked = Workspace.at(tmp_path / "linked")
    (main.root / ".git" / "MERGE_HEAD").write_text(main.git("rev-parse", "HEAD"))
    obstacles.refuse_operation(linked)
    (main.root / ".git" / "worktrees" / "linked" / "MERGE_HEAD").write_text(main.git("rev-parse", "HEAD"))
    with pytest.raises(UnusableWorkspace, match="a merge is under way"):
        obstacles.refuse_operation(linked)


@pytest.mark.parametrize(
    "setting",
    [("core.autocrlf", "input"), ("core.autocrlf", "false"), ("core.eol", "crlf"), ("core.safecrlf", "true")],
)
def test_settings_that_convert_nothing_are_no_obstacle(tmp_path: Path, setting: tuple[str, str]) -> None:
    workspace = make(tmp_path / "work")
    person = Person(workspace.root)
    person.git("config", *setting)
    person.write(".gitattributes", "*.bin filter=lfs\n*.md text=auto eol=lf\ntrain.py diff=python\n")
    preflight.inspect(workspace)


@pytest.mark.parametrize(
    ("make_it", "sentence"),
    [
        (lambda root: (root / DOCUMENT).mkdir(), "is a directory"),
        (lambda root: (root / DOCUMENT).symlink_to("notes.md"), "is a link"),
        (lambda root: (root / PROGRAM).symlink_to("nowhere.md"), "is a link"),
        (lambda root: (root / BENCHMARK).mkdir(), "is a directory"),
        (lambda root: (root / LEDGER).mkdir(), "is a directory"),
        (lambda root: (root / "data").write_text("mine"), "is no directory"),
    ],
)
def test_what_is_in_the_place_of_a_file_is_found_before_anything_is_written(
    workspace: Workspace, person: Person, make_it: Callable[[Path], object], sentence: str
) -> None:
    make_it(workspace.root)
    check_refused(workspace, sentence, lambda: initialize(workspace, "t", Profile.load("demo")))


@pytest.mark.skipif(not CAN_MOUNT, reason="root writes through permissions; a read-only mount it needs to be root for")
def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        workspace = make(disk / "work")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        check_refused(workspace, "can't be written in", lambda: preflight.inspect(workspace))
        check_refused(workspace, "can't be written in", lambda: initialize(workspace, "x", Profile.load("gpu")))
        with pytest.raises(UnusableWorkspace, match="can't be written in"):
            obstacles.refuse_directory(Workspace(disk / "new" / "demo"))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
