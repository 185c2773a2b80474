"""What the screen costs: traffic to the terminal, answers to keys, the first frame, memory.

``python -m tests.benchmarks screen`` shows recorded sessions in the real viewer, in a process of its own under a
pseudo-terminal of 100×30 cells (TERM=xterm-256color), and reads what it writes there: some four minutes.

- Traffic: bytes read from the pseudo-terminal over SECONDS seconds, after the viewer had SETTLE to draw its first
  frames; while a run prints 0, 10 or 1,000 lines a second into its log, in batches of 50 ms.
- Keys: while 1,000 lines a second come, ``?`` opens the help and escape closes it. The time is from the writing of the
  key to the reading of the frame's last byte: the help's title has come, and then nothing more for 5 ms.
- First frame: from the start of the process to the table's heading on the terminal, with 2,000 experiments; beside it a
  Textual program that shows one line, by turns, in the same run. The median of REPEATS.
- Memory: the viewer's resident set once it has followed a log of 10 million lines of 80 bytes to its end.
"""

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from engine.workspace import Workspace
from tests.tui import sessions

COLUMNS, ROWS = 100, 30
SETTLE, SECONDS = 6.0, 20.0
RATES = (0, 10, 1000)
PRESSES = 60
REPEATS = 5
EXPERIMENTS = 2000
LINES = 10_000_000
LINE = b"step %08d (45.6%%) | loss: 4.123456 | lrm: 0.55 | dt: 134ms | tok/sec: 7,622 |\n"
BATCH = 0.05
QUIET = 0.005
# Nothing else of the environment reaches the terminal's program: COLUMNS, NO_COLOR or an encoding would change it.
HANDED_ON = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "XDG_STATE_HOME")
TERMINAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
HEADING, HELP = b"description", b"The session"


class Terminal:
    """A program under a pseudo-terminal, and everything that it wrote there."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.screen", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={name: os.environ[name] for name in HANDED_ON if name in os.environ} | TERMINAL,
            start_new_session=True,
        )
        os.close(slave)

    def read(self, seconds: float) -> bytes:
        """What comes within so many seconds."""
        found = bytearray()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    found += os.read(self.master, 1 << 16)
                except OSError:  # nobody has the other end any more
                    break
        return bytes(found)

    def read_until(self, wanted: bytes, seconds: float = 60) -> float:
        """When the frame was complete that has ``wanted``, by the monotonic clock."""
        found = bytearray()
        end = time.monotonic() + seconds
        while wanted not in found:
            if not select.select([self.master], [], [], end - time.monotonic())[0]:
                raise TimeoutError(f"{wanted!r} never came: {bytes(found)[-500:]!r}")
            found += os.read(self.master, 1 << 16)
        last = time.monotonic()
        while select.select([self.master], [], [], QUIET)[0]:
            os.read(self.master, 1 << 16)
            last = time.monotonic()
        return last

    def press(self, key: bytes) -> float:
        os.write(self.master, key)
        return time.monotonic()

    def close(self) -> None:
        self.process.terminate()
        while self.process.poll() is None:
            self.read(0.05)
        os.close(self.master)


@contextmanager
def showing(workspace: Workspace) -> Iterator[Terminal]:
    terminal = Terminal("--viewer", str(workspace.root))
    try:
        terminal.read_until(HEADING)
        yield terminal
    finally:
        terminal.close()


@contextmanager
def printing(log: Path, rate: int) -> Iterator[None]:
    """A run that prints so many lines a second."""
    is_over = threading.Event()

    def write() -> None:
        count, began = 0, time.monotonic()
        with log.open("ab", buffering=0) as file:
            while not is_over.wait(BATCH):
                due = int((time.monotonic() - began) * rate)
                file.write(b"".join(LINE % number for number in range(count, due)))
                count = due

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def traffic(recorder: sessions.Recorder) -> None:
    print(f"{'lines/s':>12}{'KiB/s to the terminal':>24}")
    log = recorder.workspace.run_folder(recorder.run).log
    for rate in RATES:
        with showing(recorder.workspace) as terminal, printing(log, rate):
            terminal.read(SETTLE)
            print(f"{rate:>12,}{len(terminal.read(SECONDS)) / SECONDS / 1024:>24.2f}", flush=True)


def keys(recorder: sessions.Recorder) -> None:
    log = recorder.workspace.run_folder(recorder.run).log
    taken = []
    with showing(recorder.workspace) as terminal, printing(log, RATES[-1]):
        terminal.read(SETTLE)
        for _ in range(PRESSES):
            taken.append(-terminal.press(b"?") + terminal.read_until(HELP))
            terminal.press(b"\x1b")
            terminal.read(0.4)
    taken.sort()
    median, high = statistics.median(taken), taken[int(len(taken) * 0.95) - 1]
    print(f"a key's frame while {RATES[-1]:,} lines/s come: median {median * 1e3:.0f} ms, p95 {high * 1e3:.0f} ms")


def first_frames(recorder: sessions.Recorder) -> None:
    taken: dict[str, list[float]] = {"hello": [], "viewer": []}
    for _ in range(REPEATS):
        for name, arguments, wanted in (
            ("hello", ("--hello",), b"Hello"),
            ("viewer", ("--viewer", str(recorder.workspace.root)), HEADING),
        ):
            terminal = Terminal(*arguments)
            taken[name].append(terminal.read_until(wanted) - terminal.began)
            terminal.close()
    hello, viewer = (statistics.median(taken[name]) for name in ("hello", "viewer"))
    print(
        f"first frame with {EXPERIMENTS:,} experiments: {viewer:.2f} s; of a Textual hello-world {hello:.2f} s: "
        f"{viewer - hello:+.2f} s"
    )


def memory(recorder: sessions.Recorder) -> None:
    log = recorder.workspace.run_folder(recorder.run).log
    with log.open("wb") as file:
        for start in range(0, LINES, 100_000):
            file.write(b"".join(LINE % number for number in range(start, start + 100_000)))
    with showing(recorder.workspace) as terminal:
        before = psutil.Process(terminal.process.pid).memory_info().rss
        began = time.monotonic()
        terminal.read_until(b"step %08d" % (LINES - 1), 600)
        seconds = time.monotonic() - began
        terminal.read(5)
        rss = psutil.Process(terminal.process.pid).memory_info().rss
    megabytes = f"{rss / 2**20:.0f} MiB ({before / 2**20:.0f} at first)"
    print(f"a log of {LINES:,} lines: {megabytes}, at its end in {seconds:.0f} s")


def show(directory: str) -> None:
    """The viewer, as `autoresearch-tui` shows it, over a recording: its engine counts as alive."""
    from tui import terminal
    from tui.app import Viewer
    from tui.session import Session

    workspace = Workspace.at(Path(directory))
    terminal.run(Viewer(workspace, session=Session(workspace, lambda: True)))


def say_hello() -> None:
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    class Hello(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("Hello")

    Hello().run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.screen")
    parser.add_argument("--viewer")
    parser.add_argument("--hello", action="store_true")
    options, _ = parser.parse_known_args()
    if options.viewer:
        show(options.viewer)
        return
    if options.hello:
        say_hello()
        return
    with tempfile.TemporaryDirectory(prefix="screen-") as scratch:
        running = sessions.three(Path(scratch) / "running")
        traffic(running)
        keys(running)
        first_frames(sessions.many(Path(scratch) / "many", EXPERIMENTS))
        memory(sessions.three(Path(scratch) / "long"))


if __name__ == "__main__":
    main()
