"""Watching a session that an outside agent drives: shown live in either dialect, and nothing of it is touched."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.workspace import Workspace
from tests.engine.workspaces import PROGRAM
from tests.engine.workspaces import until as until_true
from tests.tui import sessions
from tests.tui.test_browser import until
from tests.tui.test_cli import call
from tests.tui.test_in_tmux import Terminal, terminal  # noqa: F401
from tests.tui.test_keys import LARGE, SMALL, shown, status
from tui.app import Viewer
from tui.bindings import EVERYWHERE, is_request
from tui.keymap import bindings_of
from tui.watching import WatchedSession

IDENTITY = ("-c", "user.name=agent", "-c", "user.email=agent@example.org")
PROGRESS = "step 00012 (20.0%) | loss: 4.123 | tok/sec: 12,345 | remaining: 200s\n"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class Agent:
    """Plays an outside agent, a step at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "autoresearch/night")
        self.edit("LR = 0.04\nDEPTH = 8\n")
        self.git("add", "train.py")
        self.commit("begin")

    def git(self, *arguments: str) -> str:
        command = ["git", *IDENTITY, "-C", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def edit(self, train: str) -> None:
        (self.root / "train.py").write_text(train)

    def commit(self, message: str) -> str:
        self.git("commit", "-qam", message)
        return self.git("rev-parse", "--short", "HEAD")

    def write(self, name: str, text: str, mode: str = "a") -> None:
        """Write a file; what is written later is newer, however coarse the clock of the file system."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        with path.open(mode) as file:
            file.write(text)
        newest = max((each.stat().st_mtime_ns for each in self.files()), default=0)
        os.utime(path, ns=(max(newest + 10**6, time.time_ns()),) * 2)

    def files(self) -> list[Path]:
        names = ("run.log", "results.tsv", "autoresearch.jsonl", ".auto/log.jsonl")
        return [self.root / name for name in names if (self.root / name).exists()]

    def row(self, commit: str, metric: float, said: str, description: str) -> None:
        if not (self.root / "results.tsv").exists():
            self.write("results.tsv", "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n")
        self.write("results.tsv", f"{commit}\t{metric:.6f}\t44.0\t{said}\t{description}\n")

    def line(self, file: str = "autoresearch.jsonl", /, **record: object) -> None:
        self.write(file, json.dumps(record) + "\n")

    def everything(self) -> dict[str, tuple[int, bytes]]:
        """Every file below the directory, git's own included."""
        paths = (each for each in self.root.rglob("*") if each.is_file())
        return {str(each.relative_to(self.root)): (each.stat().st_mtime_ns, each.read_bytes()) for each in paths}


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path / "work")


@contextmanager
def watching(agent: Agent) -> Iterator[Viewer]:
    session = WatchedSession(agent.root, look_seconds=0.1).start()
    try:
        yield Viewer(session.workspace, session=session, reads_only=True)
    finally:
        session.close()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_night_of_results_tsv_is_followed_step_by_step(agent: Agent, size: tuple[int, int]) -> None:
    first = agent.git("rev-parse", "--short", "HEAD")
    agent.row(first, 0.9979, "keep", "baseline")
    with watching(agent) as app:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "● idle" in status(app) and "watching, read-only" in status(app))
            agent.edit("LR = 0.05\nDEPTH = 8\n")
            await until(pilot, lambda: "● editing   run 2" in status(app) and "not been run yet" in shown(app))
            second = agent.commit("raise the LR")
            agent.write("run.log", PROGRESS, "w")
            await until(pilot, lambda: "● training   run 2" in status(app) and "20%" in status(app))
            await until(pilot, lambda: "step 00012" in shown(app) and "raise the LR" in shown(app))
            await pilot.press("4")
            await until(pilot, lambda: "LR 0.04 → 0.05" in shown(app))
            agent.write("run.log", "val_bpb: 0.9932\n")
            agent.row(second, 0.9932, "keep", "raise the LR")
            await until(pilot, lambda: "● idle" in status(app) and "best 0.9932" in status(app))
            await until(pilot, lambda: "run 2" in shown(app) and "LR 0.04 → 0.05" in shown(app))


async def test_runs_without_a_commit_of_their_own_keep_the_diff_that_was_seen(agent: Agent) -> None:
    agent.line(type="config", name="x", metricName="top1", metricUnit="", bestDirection="higher")
    first = agent.git("rev-parse", "--short", "HEAD")
    agent.line(run=1, commit=first, metric=0.5, status="keep", description="baseline", timestamp=1_700_000_000_000)
    agent.line(run=2, commit=first, metric=0.4, status="discard", description="unseen", timestamp=1_700_000_100_000)
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            await until(pilot, lambda: "its line names that of run 1" in " ".join(shown(app).replace("│", " ").split()))
            agent.edit("LR = 0.04\nDEPTH = 9\n")
            agent.write("run.log", "epoch 1\n", "w")
            await until(pilot, lambda: "● training   run 3" in status(app) and "DEPTH 8 → 9" in shown(app))
            agent.edit("LR = 0.04\nDEPTH = 8\n")
            agent.line(run=3, commit=first, metric=0.6, status="discard", description="deeper")
            await until(pilot, lambda: "● idle" in status(app) and "DEPTH 8 → 9" in shown(app))
            assert "+0.1000" in shown(app)
            await pilot.press("5", "end")
            await until(pilot, lambda: "The baseline: train.py as it is" in shown(app))
            await until(pilot, lambda: "What run 1 printed is not kept" in shown(app))


async def test_a_run_that_says_nothing_for_a_while_is_quiet(agent: Agent) -> None:
    agent.row(agent.git("rev-parse", "--short", "HEAD"), 0.9979, "keep", "baseline")
    agent.write("run.log", PROGRESS)
    for name, age in (("results.tsv", 1000), ("run.log", 500)):
        os.utime(agent.root / name, (time.time() - age,) * 2)
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            await until(pilot, lambda: "● quiet   run 2" in status(app) and "step 00012" in shown(app))
            assert call("status", agent.root, "--line").stdout.startswith(
                "run 2: quiet, no engine of ours | best 0.9979"
            )
            seen = json.loads(call("status", agent.root, "--json").stdout)
            assert (seen["run"], seen["phase"], seen["engine"], seen["incumbent"]) == (2, "quiet", None, 0.9979)
            shutil.rmtree(app.workspace.runs, ignore_errors=True)  # by whatever tidies up temporary files
            agent.write("run.log", "step 00013\n")
            await until(pilot, lambda: "● training   run 2" in status(app) and "step 00013" in shown(app))


async def test_a_commit_that_is_gone_is_said(agent: Agent) -> None:
    agent.row("0123abc", 0.9, "keep", "of another clone")
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            await until(pilot, lambda: "0123abc of run 1 is not in this" in " ".join(shown(app).split()))


async def test_the_files_may_come_be_replaced_cut_and_vanish(agent: Agent) -> None:
    agent.write("run.log", "starting\n")
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            await until(pilot, lambda: "● training   run 1" in status(app) and "starting" in shown(app))
            agent.line(".auto/log.jsonl", run=1, commit="x", metric=0.9, status="keep", description="first")
            await until(pilot, lambda: "best 0.9000" in status(app))
            replacement = agent.root / ".auto" / "new"
            lines = [{"run": at, "metric": at / 10, "status": "keep", "description": f"no {at}"} for at in (4, 5)]
            replacement.write_text("".join(json.dumps(each) + "\n" for each in lines))
            replacement.replace(agent.root / ".auto" / "log.jsonl")
            await until(pilot, lambda: "best 0.4000" in status(app) and "first" not in shown(app))
            agent.write(".auto/log.jsonl", "", "w")
            await until(pilot, lambda: "best" not in status(app))
            (agent.root / ".auto" / "log.jsonl").unlink()
            await until(pilot, lambda: "log.jsonl is gone" in shown(app) and "training" not in status(app))
            (agent.root / "run.log").unlink()
            agent.row("abc1234", 0.7, "keep", "in another dialect")
            await until(pilot, lambda: "in another dialect" in shown(app) and "best 0.7000" in status(app))
            agent.write("results.tsv", "no table at all\n", "w")
            await until(pilot, lambda: "results.tsv can't be read" in shown(app))


async def test_lines_that_cannot_be_read_are_said_at_the_opening_all_in_one_notice(agent: Agent) -> None:
    agent.row("abc1234", 0.7, "keep", "first")
    agent.write("results.tsv", "x\ny\n")
    agent.row("abc1234", 0.6, "keep", "second")
    agent.write("results.tsv", "z\n")
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            sentence = "3 lines of results.tsv can't be read: 3, 4 and 6 (it has 1 of the header's 5 columns)"
            await until(pilot, lambda: sentence in shown(app))


async def test_nothing_is_written_and_keys_that_steer_say_why_not(agent: Agent) -> None:
    agent.row(agent.git("rev-parse", "--short", "HEAD"), 0.9979, "keep", "baseline")
    agent.edit("LR = 0.05\nDEPTH = 8\n")
    agent.write("run.log", PROGRESS)
    before = agent.everything()
    with watching(agent) as app:
        async with app.run_test(size=LARGE) as pilot:
            await until(pilot, lambda: "LR 0.04 → 0.05" in shown(app))
            for key in ("p", "s", "m", "i", "a", "r", "e", "Q", "ctrl+q"):
                await pilot.press("z", "z", key)
                await until(pilot, lambda: "watched only" in shown(app))
                assert app.screen is app.main
            offered = [str(each.title) for each in app.get_system_commands(app.screen)]
            offered += [binding.tooltip for _, section in app.help_sections() for binding in bindings_of(section)]
            assert "All keys" in offered and not any(
                each.tooltip in offered for each in bindings_of(EVERYWHERE) if is_request(each)
            )
            await pilot.press("d", "t", "t", "o", "b")
            await pilot.pause()
            await pilot.press("escape", "L")
            await until(pilot, lambda: "● training" in status(app))
            await pilot.press("q")
        assert "was watched only" in app.goodbye()
        shadow = app.workspace.runs
    assert agent.everything() == before
    until_true(lambda: not shadow.exists(), "the end of the screen's own directory")


async def test_a_past_session_of_another_tool_opens_with_what_git_knows(agent: Agent) -> None:
    first = agent.git("rev-parse", "--short", "HEAD")
    agent.edit("LR = 0.05\nDEPTH = 8\n")
    agent.row(first, 0.9979, "keep", "baseline")
    agent.row(agent.commit("raise"), 0.9932, "keep", "raise the LR")
    agent.write("run.log", PROGRESS)
    before = agent.everything()
    app = Viewer(None, past=[agent.root])
    async with app.run_test(size=LARGE) as pilot:
        await until(pilot, lambda: "1 session" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main and "LR 0.04 → 0.05" in shown(app))
        assert "past session" in status(app) and "step 00012" not in shown(app)
        shadow = app.workspace.runs
        await pilot.press("escape")
        await until(pilot, lambda: not shadow.exists())
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        shadow = app.workspace.runs
    until_true(lambda: not shadow.exists(), "the end of the screen's own directory")
    assert agent.everything() == before


async def test_where_higher_is_better_it_is_so_everywhere(agent: Agent) -> None:
    agent.line(".auto/log.jsonl", type="config", name="x", metricName="top1", metricUnit="", bestDirection="higher")
    for at, (metric, said) in enumerate(
        [(0.5, "keep"), (0.7, "keep"), (0.6, "keep"), (0.9, "won't"), (0.4, "discard")]
    ):
        agent.line(".auto/log.jsonl", run=at + 1, commit="", metric=metric, status=said, description=f"try {at + 1}")
    assert "top1 0.5000 → 0.7000 (+0.2000), 5 runs, 2 kept" in call("browse", agent.root).stdout
    assert "best 0.7000 (+0.2000 unproven)" in call("status", agent.root, "--line").stdout
    app = Viewer(None, past=[agent.root])
    async with app.run_test(size=LARGE) as pilot:
        await until(pilot, lambda: "1 session" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main and "2 top1 · best 0.7000" in shown(app))
        lines = [line for line in shown(app).splitlines() if "try " in line and "│" in line]
        (best,) = [line for line in lines if " best " in line]
        assert "try 2" in best and "+0.2000" in best
        (unknown,) = [line for line in lines if "try 4" in line and "0.9000" in line]
        assert "won't" in unknown and "?" in unknown and "+0.2000" in unknown
        await pilot.press("M")
        await until(pilot, lambda: "Best 0.7000, run 2: 0.2000 better than run 1" in shown(app))
        assert "2 kept, 1 discarded, 1 of another status" in shown(app)
        await pilot.press("x", "5", "end", "c")
        await until(pilot, lambda: "run 2" in shown(app) and "top1" in shown(app))


async def test_a_session_of_our_own_engine_is_watched_with_its_own_files(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path / "ours")
    app = Viewer(recorder.workspace, reads_only=True, clock=lambda: recorder.now)
    async with app.run_test(size=LARGE) as pilot:
        await until(pilot, lambda: "3 so far" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: "watched only" in shown(app))


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda root: None, "there is no directory"),
        (lambda root: root.write_text(""), "is no session's file"),
        (lambda root: root.mkdir(), "there is no session"),
        (lambda root: (root.mkdir(), (root / "run.log").write_text("x")), "needs a terminal"),
    ],
)
def test_where_nothing_can_be_watched_it_is_said_in_a_sentence(tmp_path: Path, prepare: object, sentence: str) -> None:
    assert callable(prepare)
    prepare(tmp_path / "here")
    done = call("watch", tmp_path / "here")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr and done.stderr.count("\n") == 1


LOOP = r"""
cd {root}; git config user.name agent; git config user.email a@example.org
go() {{ until [ -e ../$1 ]; do sleep 0.05; done; sleep 0.02; }}
for lr in 5 6; do
    printf 'LR = 0.0%s\n' $lr > train.py
    git commit -qam "LR 0.0$lr"
    {{ for step in 1 2 3; do echo "step $step of LR 0.0$lr"; sleep 0.1; done; go measured-$lr; }} > run.log
    printf '%s\t0.99%s\t44.0\tdiscard\ttried LR 0.0%s\n' "$(git rev-parse --short HEAD)" $lr $lr >> results.tsv
    git reset -q --hard HEAD~1
    go seen-$lr
done
"""


def test_a_shell_loop_that_plays_the_agent_is_shown_in_a_real_terminal(
    agent: Agent,
    terminal: Terminal,  # noqa: F811
) -> None:
    agent.row(agent.git("rev-parse", "--short", "HEAD"), 0.9979, "keep", "baseline")
    loop = subprocess.Popen(["sh", "-c", LOOP.format(root=shlex.quote(str(agent.root)))], start_new_session=True)
    try:
        terminal.open(f"{PROGRAM} watch {agent.root}", 120, 35)
        terminal.check_shows("watching, read-only")
        for run, lr in ((2, 5), (3, 6)):
            terminal.check_shows(f"training   run {run}")
            terminal.check_shows(f"step 3 of LR 0.0{lr}")
            terminal.check_shows(f"+LR = 0.0{lr}")
            (agent.root.parent / f"measured-{lr}").touch()
            terminal.check_shows(f"tried LR 0.0{lr}")
            terminal.check_shows("● idle")
            (agent.root.parent / f"seen-{lr}").touch()
        terminal.press("q")
        terminal.check_shows("left with 0")
        assert "was watched only" in terminal.screen()
        assert loop.wait(timeout=60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(loop.pid, signal.SIGKILL)
    assert not Workspace(agent.root).state.exists()
    line = call("status", agent.root, "--line").stdout
    assert "best 0.9979" in line and "3 runs" in line
