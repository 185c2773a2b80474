"""The screen in a real terminal: it gives the terminal back, whatever ends it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.workspaces import snapshot
from tests.tui import sessions

VIEW = "import sys; from pathlib import Path; from engine.workspace import Workspace; from tui import app; "
RUN = "sys.exit(app.view(app.Viewer(Workspace.at(Path(sys.argv[1])))))"
BREAK = "app.Viewer.action_zoom = lambda self: 1 / 0; "
FAIL_LATER = """
import importlib, os
module = importlib.import_module({module!r})
real = module.{name}
def planted(*given, **more):
    if os.path.exists({flag!r}):
        raise RuntimeError("planted")
    return real(*given, **more)
module.{name} = planted
"""
PATIENCE = 30.0


class Terminal:
    """A viewer in a pseudo-terminal of 80×24."""

    def __init__(self, root: Path, change: str = "") -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", VIEW + change + RUN, str(root)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.output = b""

    def wait_for(self, text: bytes) -> None:
        """Until the screen has printed ``text``."""
        end = time.monotonic() + PATIENCE
        while text not in self.output:
            assert time.monotonic() < end, self.output[-2000:]
            self._read(0.1)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> tuple[int, list[str]]:
        """The exit code, and the lines that were printed after the screen had closed."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end
            self._read(0.1)
        self._read(0)
        os.close(self._master)
        after = self.output.rpartition(b"\x1b[?1049l")[2].decode()
        return self.process.returncode, [
            line for line in re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", after).split("\r\n") if line
        ]

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.output += os.read(self._master, 1 << 20)
            except OSError:
                time.sleep(0.05)  # the other end is closed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_screen_and_restores_the_terminal(tmp_path: Path, number: signal.Signals) -> None:
    terminal = Terminal(sessions.three(tmp_path).root)
    terminal.wait_for(b"val_bpb")
    terminal.process.send_signal(number)
    code, words = terminal.end()
    assert code == 128 + number and words == []
    assert b"\x1b[?1049l" in terminal.output and b"\x1b[?25h" in terminal.output


def test_q_leaves_with_a_line_that_says_how_to_come_back(tmp_path: Path) -> None:
    root = sessions.three(tmp_path).root
    terminal = Terminal(root)
    terminal.wait_for(b"val_bpb")
    terminal.type(b"q")
    code, words = terminal.end()
    assert code == 0 and len(words) == 1 and f"autoresearch-tui {root}" in words[0]


def test_a_failure_of_the_screen_is_one_sentence_and_a_file(tmp_path: Path) -> None:
    workspace = sessions.three(tmp_path).workspace
    terminal = Terminal(workspace.root, BREAK)
    terminal.wait_for(b"val_bpb")
    terminal.type(b"z")
    code, words = terminal.end()
    (report,) = workspace.state.glob("screen-*.log")
    assert code == 1 and len(words) == 1 and str(report) in words[0]
    assert "ZeroDivisionError" in report.read_text()
    assert b"Traceback" not in terminal.output


@pytest.mark.parametrize(
    ("module", "name"),
    [("tui.session", "fold"), ("tui.app", "subject"), ("tui.panes.runs", "row_spans")],
    ids=["fold", "refresh", "paint"],
)
def test_a_failure_in_what_is_shown_is_one_sentence_too_and_changes_no_file(
    tmp_path: Path, module: str, name: str
) -> None:
    recorder = sessions.three(tmp_path / "work")
    flag = tmp_path / "fail"
    terminal = Terminal(recorder.root, FAIL_LATER.format(module=module, name=name, flag=str(flag)))
    terminal.wait_for(b"val_bpb")
    flag.touch()
    recorder.finish("keep", 1.7, "lower", description="d")
    code, words = terminal.end()
    (report,) = recorder.workspace.state.glob("screen-*.log")
    assert code == 1 and len(words) == 1 and str(report) in words[0] and "engine is not affected" in words[0]
    assert "planted" in report.read_text() and b"Traceback" not in terminal.output
    report.unlink()
    unseen = sessions.three(tmp_path / "unseen")
    unseen.finish("keep", 1.7, "lower", description="d")
    assert snapshot(recorder.root) == snapshot(unseen.root)
