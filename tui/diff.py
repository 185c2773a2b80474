"""What an experiment changed, as lines with roles, and the knobs that changed, in one line."""

import difflib
import re
from pathlib import Path

from tui.spans import Span, Spans
from tui.text import clean, clean_lines

LARGEST = 1 << 20
"""Bytes of a patch that are shown; a change of train.py is far smaller."""

_knob = re.compile(r"^([-+])([A-Z][A-Z0-9_]+)\s*(?::[^=]+)?=\s*([^#]*)")


def read_patch(path: Path) -> list[str] | None:
    """The lines of a patch file; None where there is none."""
    try:
        with path.open("rb") as file:
            return _lines(file.read(LARGEST))
    except OSError:
        return None


def compare(before: Path, after: Path, name: str = "train.py") -> list[str] | None:
    """The difference between two files; None where one of them cannot be read."""
    try:
        old, new = (path.read_bytes()[:LARGEST].decode("utf-8", "replace").splitlines() for path in (before, after))
    except OSError:
        return None
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm="")
    return _lines("\n".join(lines).encode("utf-8", "replace"))


def _lines(text: bytes) -> list[str]:
    lines = clean_lines(text.decode("utf-8", "replace").rstrip("\n")) if text.strip() else []
    return [line for line in lines if not _is_header(line)]


def _is_header(line: str) -> bool:
    """The lines that only say that it is train.py, which it always is."""
    return line.startswith(("diff --git ", "index ", "--- a/train.py", "+++ b/train.py"))


def changed_knobs(patch: list[str]) -> list[tuple[str, str, str]]:
    """(name, before, after) for every ``NAME = value`` that the patch changes; empty where it was not there."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for line in patch:
        if found := _knob.match(line):
            (before if found[1] == "-" else after)[found[2]] = clean(found[3])
    names = list(dict.fromkeys([*before, *after]))
    return [(name, before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name)]


def knob_line(patch: list[str]) -> Spans:
    """DEPTH 2 → 4   MATRIX_LR 0.03 → 0.04."""
    spans: list[Span] = []
    for name, before, after in changed_knobs(patch):
        if spans:
            spans.append(Span("   "))
        spans.append(Span(f"{name} ", "title"))
        if before:
            spans += [Span(before, "bad"), Span(" → ", "muted")]
        spans.append(Span(after or "gone", "good" if after else "muted"))
    return tuple(spans)


def styled(line: str) -> Spans:
    """A line of a patch in its role."""
    if line.startswith(("+++", "---", "diff ", "index ", "new file", "similarity")):
        return (Span(line, "muted"),)
    if line.startswith("@@"):
        return (Span(line, "accent"),)
    if line.startswith("+"):
        return (Span(line, "good"),)
    if line.startswith("-"):
        return (Span(line, "bad"),)
    return (Span(line, ""),)
