"""A session begun from nothing: repository, branch, data, engine; or refused with everything as it was."""

import json
import threading
from pathlib import Path

import pytest

from engine import commands, preparation, settings
from engine.beginning import Plan, begin, settings_of
from engine.errors import UnusableWorkspace, WorkFailed
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.workspaces import git, make, snapshot, until

DEMO = Plan("x", "demo")


def no_tell(line: str, is_whole: bool) -> None:
    """For those who do not listen."""


def test_a_session_is_begun_in_a_directory_that_does_not_exist_yet(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "new" / "night")
    said: list[str] = []
    assert begin(workspace, DEMO, lambda line, is_whole: said.append(line), threading.Event(), experiments=0)
    try:
        assert git(workspace.root, "branch", "--show-current").startswith("autoresearch/x-")
        assert "is begun" in said[0] and any("tokens in" in line for line in said) and "engine" in said[-1]
        until(lambda: engine_of(workspace), "the engine")
    finally:
        commands.send(workspace, commands.Stop(now=True))
        until(lambda: engine_of(workspace) is None, "its end")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan("a b", "demo"), "is no tag"),
        (Plan("x", "tpu"), "no profile tpu"),
        (Plan("x", "demo", "agent"), "needs what starts the agent"),
        (Plan("x", "demo", "agent", "'unclosed"), "is no command line"),
        (Plan("x", "demo", "agent", "/no/such/agent acp"), "/no/such/agent"),
        (Plan("x", "demo", "chat", "a b c"), "too many words"),
    ],
)
def test_a_refusal_leaves_everything_as_it_was(tmp_path: Path, plan: Plan, words: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.tex").write_text("precious\n")
    before = snapshot(tmp_path)
    for root in (tmp_path / "there", tmp_path / "a" / "b"):
        with pytest.raises(UnusableWorkspace, match=words):
            begin(Workspace.at(root), plan, no_tell, threading.Event())
    assert snapshot(tmp_path) == before and sorted(tmp_path.iterdir()) == [tmp_path / "there"]
    assert list((tmp_path / "there").iterdir()) == [tmp_path / "there" / "thesis.tex"]


def test_a_merge_under_way_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    workspace.ledger.unlink()
    (workspace.root / ".git" / "MERGE_HEAD").write_text(git(workspace.root, "rev-parse", "HEAD") + "\n")
    before = snapshot(workspace.root)
    with pytest.raises(UnusableWorkspace, match="merge is under way"):
        begin(workspace, DEMO, no_tell, threading.Event())
    assert snapshot(workspace.root) == before


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan("x", "gpu"), {"proposer": "search"}),
        (Plan("x", "demo", "agent", "opencode acp"), {"proposer": "agent", "agent": ["opencode", "acp"]}),
        (Plan("x", "demo", "command", "claude"), {"proposer": "command", "preset": "claude"}),
        (
            Plan("x", "demo", "command", "me --do '{prompt}'"),
            {"proposer": "command", "program": ["me", "--do", "{prompt}"]},
        ),
        (Plan("x", "demo", "chat", 'm"ü http://localhost:1/v1'), None),
        (Plan("x", "demo", "hybrid", "qwen http://localhost:1/v1"), {"proposer": "hybrid", "model": "qwen"}),
    ],
)
def test_what_was_chosen_is_what_the_settings_say(
    tmp_path: Path, plan: Plan, expected: dict[str, object] | None
) -> None:
    from engine.initialize import Profile, initialize

    workspace = Workspace.at(tmp_path)
    if expected is None:
        with pytest.raises(UnusableWorkspace, match="no command line"):
            settings_of(workspace, plan)
        return
    planned = settings_of(workspace, plan)
    git(tmp_path, "init", "--quiet")
    initialize(workspace, plan.tag, Profile.load(plan.profile), choice=plan.choice)
    written = settings.load(workspace)
    seen = {
        "proposer": written.proposer,
        "agent": written.agent.command,
        "preset": written.command.preset,
        "program": written.command.command,
        "model": written.chat.model,
    }
    assert {name: seen[name] for name in expected} == expected
    assert (written.proposer, written.agent, written.chat, written.run.python) == (
        planned.proposer,
        planned.agent,
        planned.chat,
        planned.run.python,
    )
    assert settings_of(workspace, Plan("x", "gpu", "chat")) == written


PREPARE = """
import sys, time
print("first", file=sys.stderr)
for share in range(3):
    print(f"\\r[{share}] done", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
{then}
"""


def prepared(workspace: Workspace, then: str) -> list[tuple[str, bool]]:
    workspace.prepare.write_text(PREPARE.replace("{then}", then))
    said: list[tuple[str, bool]] = []
    stop = threading.Event()

    def tell(line: str, is_whole: bool) -> None:
        said.append((line, is_whole))
        if line == "waiting":
            stop.set()

    assert preparation.prepare_and_tell(workspace, tell, stop) is (not stop.is_set())
    return said


def test_what_prepare_prints_is_told_line_by_line(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    assert prepared(workspace, "") == [("first", True), ("[0] done", False), ("[1] done", False), ("[2] done", True)]
    with pytest.raises(WorkFailed, match="no network at all"):
        prepared(workspace, "sys.exit('no network at all')")


def test_prepare_is_ended_with_its_children(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    child = tmp_path / "child"
    then = f"""
import signal, subprocess
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({json.dumps(str(child))}, "w").write(str(child.pid))
print("waiting", flush=True)
time.sleep(600)
"""
    preparation.GRACE_SECONDS = 0.5
    assert prepared(workspace, then)[-1] == ("waiting", True)
    until(lambda: _has_ended(int(child.read_text())), "the child's end")


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
