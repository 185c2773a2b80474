"""Text for the person's clipboard, past what lies between this program and it.

Inside tmux it goes to tmux's own buffer, and tmux hands it on to the terminal: with its default settings tmux takes
OSC 52 from no program inside it, `load-buffer -w` works under all of them. Outside of tmux it is OSC 52.
"""

import os
import re
import subprocess
from collections.abc import Mapping

from tui.text import count

PATIENCE = 3.0
"""Seconds that tmux has to answer."""
OSC_52_BYTES = 74_994
"""What fits into the 100,000 bytes that terminals take in one sequence, in base64."""

_controls = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """``text`` as it may be pasted into a terminal: of the control characters only line ends and tabs are left."""
    return _controls.sub("", text.replace("\r\n", "\n"))


def is_in_tmux(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this program's terminal is a window of tmux."""
    return bool(environment.get("TMUX"))


def to_tmux(text: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Put ``text`` into tmux's buffer and through it into the terminal's clipboard; False where that did not go."""
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        subprocess.run(
            command, input=text.encode(), env=dict(environment), capture_output=True, check=True, timeout=PATIENCE
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def fitting(text: str) -> str:
    """As many whole lines of ``text`` from its beginning as fit into OSC 52; of a longer line a piece."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= OSC_52_BYTES:
        return text
    begun = encoded[:OSC_52_BYTES]
    end = begun.rfind(b"\n")
    return (begun[: end + 1] if end > 0 else begun).decode("utf-8", "ignore")


def copied_words(copied: str, text: str) -> str:
    """Copied 42 lines."""
    lines, wanted = _lines(copied), _lines(text)
    if lines < wanted or len(copied) < len(text):
        return f"Copied the first {lines:,} of {count(wanted, 'line')}: the terminal's clipboard takes no more."
    return f"Copied {count(lines, 'line')}."


def _lines(text: str) -> int:
    return len(text.rstrip("\n").split("\n"))
