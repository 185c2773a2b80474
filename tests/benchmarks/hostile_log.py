"""Whatever a run prints, only its pane changes: the real viewer under a pseudo-terminal, fuzzed for a minute.

``python -m tests.benchmarks hostile_log`` shows a recorded session whose engine is idle, appends everything that could
act on a terminal to the log that is shown (first each piece of HOSTILE, then random mixtures of them), presses the keys
that scroll the log, and reads what the viewer writes to its terminal. A strict terminal takes that: in it any
sequence but those that set colours and place the cursor, any control character and any byte that is no UTF-8 is a
fault, and so is a cell outside the log's frame that is not what it was before.
"""

import argparse
import codecs
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len

from tests.benchmarks.screen import COLUMNS, ROWS, Terminal
from tests.tui import sessions
from tui.run_log.emulator import MAX_MARKS

SECONDS = 60.0
SETTLE = 2.0
PATIENCE = 30
"""Times SETTLE that the first frames may take."""
TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+)"
    r"|\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|(?P<harmless>\x1b\[[\d;]*m|\x1b\[\?(?:2026|25)[hl]|\r\n(?=\x1b\[\d+;\d+H))"
    r"|(?P<fault>\x1b\[[0-?]*[ -/]*[@-~]|.)",
    re.DOTALL,
)
UNFINISHED = re.compile(r"(?:\r\n?)?(?:\x1b(?:\[[0-?]*)?)?\Z")
KEYS = (b"k", b"j", b"f", b"l", b"h", b"G", b"\x1b[5~", b"\x1b[6~", b"\x1b[H", b"\x1b[F")
HOSTILE = (
    bytes(range(0x20)) + b"\x7f",
    "".join(map(chr, range(0x80, 0xA0))).encode(),
    bytes(range(0x80, 0x100)),
    b"\x1b]52;c;aGVsbG8=\x07\x1b]52;p;aGVsbG8=\x1b\\",
    b"\x1b]0;title\x07\x1b]2;title\x1b\\\x1bktmux title\x1b\\",
    b"\x1b]8;;http://example.com\x07link\x1b]8;;\x07",
    b"\x1b]0;never ended",
    b"\x1bPq#0;2;0;0;0#0~~\x1b\\\x1b_Gf=24;AAAA\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\",
    b"\x1b[?1049h\x1b[?47h\x1b[?1049l\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[?25h\x1b[?2026h",
    b"\x1b[2J\x1b[3J\x1b[H\x1b[5A\x1b[999;999Hfar\x1b[1;1Hnear\x1b[10d\x1b[3S\x1b[3T\x1b[5L\x1b[5M\x1b[4@\x1b[4P",
    b"\x1bc\x1b7\x1b8\x1b[s\x1b[u\x1b[2;5r\x1b#8\x1b(0lqk\x1b(B\x0e\x0f\x1bD\x1bM\x1bE",
    b"\x1b[6n\x1b[c\x1b[>c\x1b[5n\x1b[?2026$p\x1b[18t\x1b[8;5;5t\x05\x1b]11;?\x07\x1b[>1u",
    b"\x1b[31;1;4;5;7;8;53mstyles\x1b[38;2;1;2;3m\x1b[48;5;250m\x1b[38;5m\x1b[;;;m\x1b[99999999999m never reset",
    b"\x1b" * 300 + b"[" * 300 + b"\x9b" * 30,
    b"e" + "\u0301\u0300\u20dd".encode() * 4000,
    ("日本語" * 60 + "\u200d👩\u200d👩\u200d👧\ufe0f🏳️\u200d🌈🇩🇪" + "ｗｉｄｅ" * 50).encode(),
    "\u202eright to left\u202c\u2066isolated\u2069\u061c\u200f\ufeffا ل ع".encode(),
    b"\xff\xfe\xc3\xe2\x82\xf0\x9f\x92 cut characters \xed\xa0\x80\xf4\x90\x80\x80",
    b"x" * (1 << 20),
    b"\x1b[31m\xe6\x97\xa5" * (1 << 16),
    b"\rover and over" * 50_000,
    b"\r" * 2_000_000,
    b"a\tb\t" * 500 + b"\b" * 3000 + b"\x0b\x0c",
    b"\n" * 3000,
    b"[red]markup[/red] [bold] [/] [@click=app.quit]here[/]",
)


def mixture(dice: random.Random) -> bytes:
    """Pieces of the hostile ones, cut and joined anywhere, with random bytes between them."""
    parts = []
    for _ in range(dice.randrange(1, 12)):
        piece = dice.choice(HOSTILE)
        begin = dice.randrange(len(piece))
        parts.append(piece[begin : begin + dice.choice((3, 30, 300, 20_000))])
        parts.append(dice.randbytes(dice.randrange(12)))
        parts.append(dice.choice((b"", b"\n", b"\r", b"\x1b", b"\x1b[", b"\x1b]", b"\xe2\x80")))
    return b"".join(parts)


LOG_FRAME = "╭─ 1 log"


@dataclass
class StrictTerminal:
    """The cells of a screen, and whatever came that is more than text in colours at a place."""

    faults: Counter[str] = field(default_factory=Counter)
    rows: list[list[str]] = field(default_factory=lambda: [[" "] * COLUMNS for _ in range(ROWS)])
    is_strict: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("surrogateescape")
    )
    _rest: str = ""
    _at: tuple[int, int] = (0, 0)

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        whole = UNFINISHED.search(text)
        end = whole.start() if whole else len(text)
        self._rest = text[end:]
        for token in TOKEN.finditer(text[:end]):
            if token["text"]:
                self._write(token["text"])
            elif token["row"]:
                self._at = (int(token["row"]) - 1, int(token["column"]) - 1)
            elif token["fault"]:
                self._fault(ascii(token["fault"]))

    def _fault(self, words: str) -> None:
        if self.is_strict:
            self.faults[words] += 1

    def _write(self, text: str) -> None:
        row, column = self._at
        marks = 0
        for character in text:
            if "\ud800" <= character <= "\udfff":
                self._fault("no UTF-8")
            wide = cell_len(character)
            marks = 0 if wide else marks + 1
            if marks > MAX_MARKS:
                self._fault("a pile of marks")
            if not wide:
                continue
            if row >= ROWS or column + wide > COLUMNS:
                self._fault("beyond the edge")
                break
            self.rows[row][column : column + wide] = [character] + [""] * (wide - 1)
            column += wide
        self._at = (row, column)

    def log_frame(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the log's pane."""
        top = next(y for y, row in enumerate(self.rows) if LOG_FRAME in "".join(row))
        left = "".join(self.rows[top]).index(LOG_FRAME)
        right = "".join(self.rows[top]).index("╮", left)
        bottom = next(y for y in range(top, ROWS) if self.rows[y][left] == "╰")
        return top, left, bottom, right

    @property
    def has_log_frame(self) -> bool:
        return any(LOG_FRAME in "".join(row) for row in self.rows)

    def others(self) -> list[str]:
        """The screen without the log's pane."""
        top, left, bottom, right = self.log_frame()
        inside = slice(left, right + 1)
        rows = [list(row) for row in self.rows]
        for y in range(top, bottom + 1):
            rows[y][inside] = [" "] * (right + 1 - left)
        return ["".join(row) for row in rows]


@dataclass
class Result:
    faults: Counter[str]
    changed: int
    """Rows outside the log's pane that were not what they were."""
    pieces: int
    written: int
    read: int


def fuzz(root: Path, seconds: float, seed: int = 0) -> Result:
    """All of HOSTILE, then mixtures for so many seconds."""
    dice = random.Random(seed)
    recorder = sessions.between(root, 6)
    log = recorder.workspace.run_folder(6).log
    strict = StrictTerminal()
    result = Result(strict.faults, 0, 0, 0, 0)
    terminal = Terminal("--viewer", str(root))
    try:
        before = _drawn(strict, terminal)
        strict.is_strict = True
        end = time.monotonic() + seconds
        left = list(HOSTILE)
        with log.open("ab", buffering=0) as file:
            while left or time.monotonic() < end:
                piece = b"\n" + left.pop(0) if left else mixture(dice)
                result.pieces, result.written = result.pieces + 1, result.written + file.write(piece)
                if not left and dice.random() < 0.5:
                    terminal.press(dice.choice(KEYS))
                result.read += _take(strict, terminal.read(0.06))
        terminal.press(b"f")
        result.read += _take(strict, terminal.read(SETTLE))
        result.changed = sum(old != new for old, new in zip(before, strict.others(), strict=True))
        strict.is_strict = False
    finally:
        terminal.close()
    return result


def _drawn(strict: StrictTerminal, terminal: Terminal) -> list[str]:
    """The screen without the log's pane, once nothing more is drawn of it: a busy machine takes its time."""
    before: list[str] = []
    for _ in range(PATIENCE):
        strict.feed(terminal.read(SETTLE))
        if strict.has_log_frame:
            now = strict.others()
            if now == before:
                return before
            before = now
    raise TimeoutError("the screen never came to rest:\n" + "\n".join(map("".join, strict.rows)))


def _take(strict: StrictTerminal, data: bytes) -> int:
    strict.feed(data)
    return len(data)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.hostile_log")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=0)
    options, _ = parser.parse_known_args(sys.argv[2:] if sys.argv[0].endswith("__main__.py") else None)
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        result = fuzz(Path(scratch) / "session", options.seconds, options.seed)
    print(f"{'pieces':>8}{'MiB written':>13}{'MiB read':>10}{'faults':>8}{'rows changed elsewhere':>24}")
    print(
        f"{result.pieces:>8,}{result.written / 2**20:>13.1f}{result.read / 2**20:>10.1f}"
        f"{result.faults.total():>8,}{result.changed:>24,}"
    )
    for fault, times in result.faults.most_common(20):
        print(f"{times:>8,} × {fault}")


if __name__ == "__main__":
    main()
