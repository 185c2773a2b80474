"""Nothing that a run prints gets out of its pane. The long version of it is tests/benchmarks/hostile_log.py."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.hostile_log import HOSTILE, StrictTerminal, fuzz


def test_a_hostile_log_changes_nothing_outside_its_pane(tmp_path: Path) -> None:
    result = fuzz(tmp_path / "session", seconds=4)
    assert result.pieces > len(HOSTILE) and result.read > 0
    assert not result.faults and not result.changed


def acts(piece: bytes) -> bool:
    """Whether it is more than text and colours."""
    text = re.sub(rb"\x1b\[[\d;]*m", b"", piece)
    return not text.isascii() or not text.decode().isprintable()


@pytest.mark.parametrize("number", [number for number, piece in enumerate(HOSTILE) if acts(piece)])
def test_the_strict_terminal_sees_what_gets_out(number: int) -> None:
    strict = StrictTerminal(is_strict=True)
    strict.feed(b"\x1b[3;9H\x1b[1;31m" + HOSTILE[number][:4000] + b"\x1b[0m")
    assert strict.faults
