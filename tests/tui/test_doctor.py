"""`doctor` as a command: a line for each finding, what to do under it, and an exit code for scripts."""

from pathlib import Path

import pytest

from engine.finding import Finding
from tests.engine.workspaces import make, snapshot
from tests.tui.test_cli import call, refused
from tui import doctor
from tui.doctor import finding_lines, terminal_findings
from tui.spans import plain, width


def test_the_command_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    workspace.train.unlink()
    before = snapshot(workspace.root)
    done = call("doctor", workspace.root, TMUX="")
    assert done.returncode == 1 and done.stderr == ""
    (session,) = [line for line in done.stdout.splitlines() if " session" in line]
    assert "✗" in session and "git restore train.py" in session
    assert all(line[1] in "✓✗– " for line in done.stdout.splitlines())
    assert "✓ proposer" in done.stdout and "– terminal" in done.stdout
    assert snapshot(workspace.root) == before


def test_nothing_wrong_is_exit_code_0(tmp_path: Path) -> None:
    done = call("doctor", tmp_path)
    assert done.returncode == 0, done.stdout
    assert "→ `autoresearch-tui" in done.stdout and list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_exit_code_1_and_a_file_wrong_usage(tmp_path: Path) -> None:
    done = call("doctor", tmp_path / "nowhere")
    assert done.returncode == 1 and f"✗ session   there is no directory {tmp_path / 'nowhere'}." in done.stdout
    (tmp_path / "file").touch()
    assert "is a file, not a directory: name" in refused(tmp_path, "doctor", tmp_path / "file")


def test_a_finding_is_wrapped_under_itself_and_made_harmless() -> None:
    lines = finding_lines(Finding("data", False, "words " * 30 + "\x1b[31m", "do this"), 60)
    assert all(width(line) <= 60 for line in lines) and plain(lines[0]).startswith(" ✗ data")
    assert plain(lines[1]).startswith(" " * 13 + "words") and plain(lines[-1]).strip() == "→ do this"
    assert "\x1b" not in "".join(plain(line) for line in lines)


@pytest.mark.parametrize(
    ("answers", "ok", "words"),
    [
        ({"-V": "tmux 3.3a", "set-clipboard": "external", "escape-time": "10"}, True, "reaches the terminal"),
        ({"-V": "tmux 3.3a", "set-clipboard": "off"}, None, "set-clipboard is off"),
        ({"-V": "tmux 3.3a", "set-clipboard": "on", "escape-time": "500"}, None, "500 ms"),
        ({"-V": "tmux 2.9"}, None, "stays in tmux"),
        ({}, None, "stays in tmux"),
    ],
)
def test_tmux(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], ok: bool | None, words: str) -> None:
    monkeypatch.setattr(doctor, "_ask", lambda *arguments: answers.get(arguments[-1], ""))
    tmux = list(terminal_findings({"TMUX": "/tmp/tmux"}))[-1]
    assert tmux.ok is ok and words in tmux.said
