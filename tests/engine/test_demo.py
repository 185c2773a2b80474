"""A set-up can be cut off anywhere, as by kill -9, and the next call finishes it: the demo's and `init`'s."""

import itertools
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import demo, ledger
from engine.errors import UnusableWorkspace
from engine.initialize import TEMPLATE_FILES, Profile, initialize
from engine.workspace import BENCHMARK, DOCUMENT, PROGRAM, TRAIN, Workspace
from tests.engine.conftest import Person
from tests.engine.killed_engine import kill_at

pytestmark = pytest.mark.usefixtures("no_identity")


CHANGES_SOMETHING = {"init", "update-ref", "symbolic-ref", "update-index", "commit-tree"}
"""Git commands: killed before any other, a set-up leaves what it leaves when killed before the next of these."""


def killed(set_up: Callable[[], object], step: int) -> bool:
    """Do it in a process that is killed just before its n-th step; whether it came that far."""
    child = os.fork()
    if not child:
        start, sync = subprocess.Popen.__init__, os.fsync
        kill_at(step)
        start_or_die, os.fsync = subprocess.Popen.__init__, sync

        def step_if_it_changes_something(self: subprocess.Popen[bytes], command: list[str], **options: object) -> None:
            (start_or_die if CHANGES_SOMETHING & set(command) else start)(self, command, **options)  # type: ignore

        subprocess.Popen.__init__ = step_if_it_changes_something  # type: ignore[method-assign]
        set_up()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def workspaces(tmp_path: Path) -> Iterator[tuple[int, Workspace]]:
    for step in itertools.count(1):
        yield step, Workspace.at(tmp_path / str(step))


def check_begun(workspace: Workspace) -> None:
    person = Person(workspace.root)
    assert person.git("status", "--porcelain") == ""
    assert person.git("branch", "--show-current").startswith("autoresearch/")
    assert all((workspace.root / name).is_file() for name in TEMPLATE_FILES)
    assert (workspace.root / BENCHMARK).stat().st_mode & stat.S_IXUSR
    assert len(list((workspace.root / "data").glob("*.parquet"))) == 2
    book = ledger.read(workspace.ledger)
    assert [segment.config.branch for segment in book.segments] == [person.git("branch", "--show-current")]
    assert not book.bad_lines
    person.git("fsck", "--strict")


def test_the_demo_killed_at_any_step_is_finished_by_the_next_call(tmp_path: Path) -> None:
    said: list[str] = []
    for step, workspace in workspaces(tmp_path):
        came_to_its_end = not killed(lambda: demo.begin(workspace, said.append), step)  # noqa: B023
        demo.begin(workspace, said.append)
        check_begun(workspace)
        if came_to_its_end:
            assert step > 30, "a step for each command that changes something and each write"
            return


def test_a_session_in_a_persons_repository_killed_at_any_step_is_finished_by_the_next_call(tmp_path: Path) -> None:
    for step, workspace in workspaces(tmp_path):
        workspace.root.mkdir()
        person = Person(workspace.root)
        person.git("init", "--quiet", "--initial-branch=main")
        person.commit({"a.txt": "a\n", PROGRAM: "my goals\n"})
        person.write("a.txt", "edited\n")
        person.write("b.txt", "untracked\n")
        person.write("c.txt", "staged\n")
        person.git("add", "c.txt")
        before = person.git("status", "--porcelain")

        def begin(workspace: Workspace = workspace) -> str:
            return initialize(workspace, "t", Profile.load("gpu"))

        came_to_its_end = not killed(begin, step)
        if not came_to_its_end or not ledger.read(workspace.ledger).segments:
            try:
                begin()
            except UnusableWorkspace as error:
                assert "exists already" in str(error) and ledger.read(workspace.ledger).segments
        assert person.git("status", "--porcelain") == before
        assert (workspace.root / PROGRAM).read_text() == "my goals\n"
        assert person.git("rev-list", "--count", "HEAD") == "2"
        assert len(ledger.read(workspace.ledger).segments) == 1
        if came_to_its_end:
            return


def test_what_a_person_made_of_the_files_before_the_set_up_was_finished_stays(workspace: Workspace) -> None:
    demo.begin(workspace, print)
    workspace.ledger.unlink()
    (workspace.root / PROGRAM).write_text("my own goals\n")
    workspace.train.unlink()
    demo.begin(workspace, print)
    assert (workspace.root / PROGRAM).read_text() == "my own goals\n"
    assert Person(workspace.root).git("status", "--porcelain") == f"M {PROGRAM}"
    assert workspace.train.is_file()


def test_a_session_that_began_yesterday_is_finished_under_its_own_name(workspace: Workspace) -> None:
    demo.begin(workspace, print)
    person = Person(workspace.root)
    yesterday = "autoresearch/demo-2026-01-01"
    person.git("branch", "--quiet", "-m", yesterday)
    person.git("commit", "--quiet", "--amend", "-m", f"autoresearch: begin {yesterday}")
    workspace.ledger.unlink()
    workspace.document.unlink()
    demo.begin(workspace, print)
    check_begun(workspace)
    assert person.git("branch", "--show-current") == yesterday


def test_a_session_that_is_under_way_is_left_as_it_is(workspace: Workspace) -> None:
    demo.begin(workspace, print)
    (workspace.root / DOCUMENT).unlink()
    workspace.train.write_text("DEPTH = 7\n")
    demo.begin(workspace, print)
    assert not (workspace.root / DOCUMENT).exists()
    assert workspace.train.read_text() == "DEPTH = 7\n"


def test_the_demo_in_a_repository_of_something_else_is_refused(workspace: Workspace, person: Person) -> None:
    person.commit({TRAIN: "DEPTH = 4\n"})
    with pytest.raises(UnusableWorkspace, match="something else"):
        demo.begin(workspace, print)
