"""A session that two shell scripts and git make, without the engine: watched live, browsed, and handed on."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import dialects, ledger, past
from tests.engine.shells import LOG, METRICS, Shell
from tests.engine.workspaces import NO_IDENTITY, PROGRAM, git, until
from tests.tui.test_cli import call
from tests.tui.test_in_tmux import Terminal, terminal  # noqa: F401
from tui.watching import WatchedSession

TRAIN = """import os, sys, time
LR = 0.04
print("step 00001 (10.0%) | loss: 3.100 | remaining: 5s", flush=True)
while os.path.exists("hold"):
    time.sleep(0.02)
if LR == 0:
    sys.exit("ZeroDivisionError: a learning rate of nothing")
print(f"METRIC peak_memory_mb={44000 + 1000 * LR:.1f}")
print(f"METRIC val_bpb={1 + (LR - 0.07) ** 2:.6f}")
"""

LOOP = """
set -eu
git() { command git -c user.name=agent -c user.email=agent@localhost "$@"; }
"$LOG" --config --name "Optimize val_bpb (night)" --metric-name val_bpb --metric-unit bpb --direction lower >/dev/null
best=''
while read -r lr; do
    if [ "$lr" = baseline ]; then
        description=baseline
    else
        description="set LR to $lr"
        sed "s/^LR = .*/LR = $lr/" train.py >train.new && cat train.new >train.py && rm train.new
        git commit -qm "experiment: $description" -- train.py
    fi
    sha=$(git rev-parse --short HEAD)
    rm -f run.log
    if sh autoresearch.sh >run.log 2>&1; then
        metrics=$("$METRICS" <run.log)
        metric=$(printf '%s' "$metrics" | sed 's/.*"val_bpb": \\([0-9.]*\\).*/\\1/')
        status=$(awk -v a="$metric" -v b="$best" 'BEGIN { print (b == "" || a < b) ? "keep" : "discard" }')
    else
        metrics={} metric=null status=crash
    fi
    "$LOG" --commit "$sha" --metric "$metric" --status "$status" --description "$description" --metrics "$metrics" \\
        --asi "{\\"hypothesis\\": \\"better\\", \\"arch_change\\": \\"LR→$lr\\"}" >/dev/null
    if [ "$status" = keep ]; then best=$metric; else git revert --no-edit "$sha" >/dev/null; fi
    echo "$status"
done
"""


class Night:
    """The loop in a shell, an experiment at a time."""

    def __init__(self, root: Path, bin: Path) -> None:
        self.root = root
        shell = Shell.make(bin)
        for tool in ("git", "sed"):
            (bin / tool).unlink(missing_ok=True)
            (bin / tool).symlink_to(shutil.which(tool) or "")
        root.mkdir()
        (root / "train.py").write_text(TRAIN)
        (root / "autoresearch.sh").write_text(f"exec {sys.executable} -u train.py\n")
        git(root, "init", "--quiet", "--initial-branch=autoresearch/night-2026-11-23")
        git(root, "add", "train.py", "autoresearch.sh")
        git(root, "commit", "--quiet", "-m", "autoresearch: begin night")
        (root / ".git" / "info" / "exclude").write_text("/autoresearch.jsonl\n/run.log\n/.autoresearch/\n/hold\n")
        self._process = subprocess.Popen(
            [shell.path / "sh", "-c", LOOP],
            cwd=root,
            env={"PATH": str(bin), "LOG": str(LOG), "METRICS": str(METRICS), **NO_IDENTITY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, lr: str) -> None:
        """Begin an experiment, and let it train until ``end``."""
        assert self._process.stdin is not None
        (self.root / "hold").touch()
        self._process.stdin.write(f"{lr}\n")
        self._process.stdin.flush()
        until(lambda: (self.root / "run.log").exists() and b"step" in (self.root / "run.log").read_bytes(), "a run")

    def end(self) -> str:
        """Let it end; returns what became of it."""
        assert self._process.stdout is not None
        (self.root / "hold").unlink()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        (self.root / "hold").unlink(missing_ok=True)
        self._process.communicate(timeout=60)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path / "night", tmp_path / "bin")
    yield night
    night.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_session_of_a_shell_loop_is_watched_live_browsed_and_handed_on(
    night: Night,
    terminal: Terminal,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    night.begin("baseline")
    terminal.open(f"{PROGRAM} watch {night.root}", 140, 40)
    terminal.check_shows("watching, read-only")
    terminal.check_shows("step 00001")
    assert night.end() == "keep"
    terminal.check_shows("best 1.0009")

    night.begin("0.06")
    terminal.check_shows("● training   run 2")
    terminal.check_shows("set LR to 0.06")
    assert night.end() == "keep"
    terminal.check_shows("best 1.0001")
    said = []
    for lr in ("0.1", "0", "0.065", "0.08", "0.07"):
        night.begin(lr)
        said.append(night.end())
    assert said == ["discard", "crash", "keep", "discard", "keep"]
    terminal.check_shows("best 1.0000")
    terminal.check_shows("set LR to 0.07")
    terminal.press("q")
    terminal.check_shows("left with 0")

    assert git(night.root, "status", "--porcelain") == ""
    assert "LR = 0.07" in (night.root / "train.py").read_text()
    commits = git(night.root, "log", "--format=%s").splitlines()
    assert sum(each.startswith("experiment: ") for each in commits) == 6
    assert sum(each.startswith("Revert ") for each in commits) == 3
    check_reads_back(night.root, tmp_path)


def check_reads_back(root: Path, elsewhere: Path) -> None:
    """Our ledger, the browser and results.tsv say the same of it."""
    book = ledger.read(root / "autoresearch.jsonl")
    assert book.bad_lines == ()
    runs = book.experiments
    assert [each.run for each in runs] == list(range(1, 8))
    assert [each.status for each in runs] == ["keep", "keep", "discard", "crash", "keep", "discard", "keep"]
    assert runs[3].metric is None and runs[3].metrics == {}
    assert runs[6].confidence is not None and runs[6].confidence > 1
    (session,) = past.sessions_of(root / "autoresearch.jsonl")
    assert (session.runs, session.kept, session.baseline, session.best) == (7, 3, 1.0009, 1.0)
    browsed = call("browse", root)
    assert browsed.returncode == 0 and "val_bpb 1.0009 → 1.0000 (−0.0009), 7 runs, 3 kept" in browsed.stdout

    target = elsewhere / "results.tsv"
    assert call("export", root, "--format", "tsv", "-o", target).returncode == 0
    again = dialects.read(target)
    assert again.bad_lines == () and len(again.segments) == 1
    assert again.segments[0].config.best_direction == "lower"
    assert [facts(each) for each in again.experiments] == [facts(each) for each in runs]


def facts(run: ledger.Experiment) -> tuple[object, ...]:
    """What a line of results.tsv keeps of a run, to its precision."""
    memory = run.metrics.get("peak_memory_mb")
    metric = None if run.metric is None else round(run.metric, 6)
    return run.run, run.commit, metric, memory and round(memory / 1024, 1), run.status, run.description


def test_a_line_of_the_script_is_on_the_screen_at_the_next_look(tmp_path: Path) -> None:
    shell = Shell.make(tmp_path / "bin")
    root = tmp_path / "work"
    root.mkdir()
    session = WatchedSession(root)
    try:
        assert shell.run(LOG, "--config", "--metric-name", "acc", "--direction", "higher", cwd=root).returncode == 0
        for number in range(1, 4):
            options = ("--metric", number / 10, "--status", "keep", "--description", f"step {number}")
            assert shell.run(LOG, *options, cwd=root).returncode == 0
            until(lambda: len(session.poll().rows) == number, "the line")  # noqa: B023
        state = session.state
        assert [row.experiment.description for row in state.rows] == ["step 1", "step 2", "step 3"]
        assert state.ledger.segments[0].config.best_direction == "higher"
    finally:
        session.close()


def test_where_the_package_is_installed_the_scripts_hand_over_to_it(tmp_path: Path) -> None:
    shell = Shell.make(tmp_path / "bin")
    (shell.path / "autoresearch-tui").write_text('#!/bin/sh\n[ "$2" = --help ] || [ "$3" = --help ] || echo "$@"\n')
    (shell.path / "autoresearch-tui").chmod(0o755)
    assert shell.run(LOG, "--metric", "a b", "--asi", "{}", cwd=tmp_path).stdout == b"log --metric a b --asi {}\n"
    assert shell.run(METRICS, cwd=tmp_path).stdout == b"metrics\n"
    (shell.path / "autoresearch-tui").write_text("#!/nowhere/python\n")
    assert shell.run(METRICS, given=b"METRIC a=1\n", cwd=tmp_path).stdout == b'{"a": 1}\n'
    assert [each.name for each in tmp_path.iterdir()] == ["bin"]
