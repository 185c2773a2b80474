"""What the terminal can do, and how findings are said: for `doctor` and for the set-up screen."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping

from engine.finding import Finding
from tui.spans import Span, Spans, wrap
from tui.text import clean

SMALLEST = (80, 24)
MARKS = {True: ("✓", "good"), False: ("✗", "bad"), None: ("–", "warn")}
NAME = 10
"""Cells of the column of names."""
SLOW_ESCAPE = 100
"""Milliseconds that tmux may hold an escape key back before it is felt."""
TMUX_FROM = (3, 2)
"""``load-buffer -w``, which hands what is copied on to the terminal."""


def terminal_findings(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """The terminal that this process runs in."""
    yield _terminal(environment)
    yield _tmux(environment)


def finding_lines(finding: Finding, cells: int) -> list[Spans]:
    """A finding, and on lines of its own what to do."""
    mark, role = MARKS[finding.ok]
    head = (Span(f" {mark} ", role), Span(f"{finding.name:<{NAME}}", "" if finding.ok else "strong"))
    lines = wrap((*head, Span(clean(finding.said), "muted" if finding.ok else "")), cells, indent=NAME + 3)
    if finding.remedy:
        lines += wrap((Span(" " * (NAME + 3)), Span(f"→ {clean(finding.remedy)}", "accent")), cells, indent=NAME + 5)
    return lines


def _terminal(environment: Mapping[str, str]) -> Finding:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return Finding("terminal", None, "this is none: `autoresearch-tui run --headless` does without.")
    name = environment.get("TERM", "")
    size = shutil.get_terminal_size()
    said = f"{name or 'TERM is not set'}, {size.columns}×{size.lines}"
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        remedy = "set LANG to a UTF-8 locale, C.UTF-8 for instance."
        return Finding("terminal", None, f"{said}, not UTF-8: the screen is in ASCII.", remedy)
    if size.columns < SMALLEST[0] or size.lines < SMALLEST[1]:
        wanted = "×".join(map(str, SMALLEST))
        return Finding("terminal", None, f"{said}: the screen needs {wanted}.", "make it larger.")
    if environment.get("NO_COLOR"):
        return Finding("terminal", True, f"{said}, NO_COLOR is set")
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Finding("terminal", True, f"{said}, all colours")
    if "256color" in name:
        return Finding("terminal", True, f"{said}, 256 colours")
    remedy = (
        "`export COLORTERM=truecolor` where the terminal knows more (in tmux: `set -g default-terminal tmux-256color`)."
    )
    return Finding("terminal", None, f"{said}, 16 colours.", remedy)


def _tmux(environment: Mapping[str, str]) -> Finding:
    if not environment.get("TMUX"):
        what = "not used here" if shutil.which("tmux") else "not installed"
        return Finding("tmux", None, f"{what}: the engine outlives the terminal without it, too.")
    said = _ask("-V")
    if tuple(int(each) for each in re.findall(r"\d+", said)[:2]) < TMUX_FROM:
        wanted = ".".join(map(str, TMUX_FROM))
        return Finding("tmux", None, f"{said}: what is copied stays in tmux.", f"{wanted} or newer hands it on.")
    if _ask("show-options", "-sv", "set-clipboard") == "off":
        remedy = "`set -s set-clipboard on` in tmux.conf hands it on to the terminal."
        return Finding("tmux", None, f"{said}: set-clipboard is off, what is copied stays in tmux.", remedy)
    pause = _ask("show-options", "-sv", "escape-time")
    if pause.isdigit() and int(pause) > SLOW_ESCAPE:
        remedy = "`set -s escape-time 10` in tmux.conf."
        return Finding("tmux", None, f"{said}: it holds the escape key back for {pause} ms.", remedy)
    return Finding("tmux", True, f"{said}: what is copied reaches the terminal")


def _ask(*arguments: str) -> str:
    """What tmux answers; empty where it does not."""
    try:
        done = subprocess.run(["tmux", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
