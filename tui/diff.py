"""What an experiment changed, as lines with roles, and the knobs that changed, in one line."""

import difflib
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from tui.clipboard import without_controls
from tui.spans import Span, Spans
from tui.text import clean, clean_lines

LARGEST = 1 << 20
"""Bytes of a patch that are shown; a change of train.py is far smaller."""

LONGEST_COMPARED = 400
"""Characters of a line from which on nothing in it is emphasized: it is no code that a person wrote."""

NO_NEWLINE = "\\ No newline at end of file"

_token = re.compile(r"\d[\w.]*|\w+|\s+|.", re.DOTALL)
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


def patch_text(before: Path | None, after: Path, name: str = "train.py") -> str:
    """The difference as `git apply` takes it: of two files, or the patch file ``after`` itself; empty without them.

    Control characters are left out: it is to be pasted.
    """
    try:
        if before is None:
            return without_controls(after.read_bytes()[:LARGEST].decode("utf-8", "replace"))
        old, new = (
            list(StringIO(path.read_bytes()[:LARGEST].decode("utf-8", "replace"), newline="\n"))
            for path in (before, after)
        )
    except OSError:
        return ""
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return without_controls("".join(line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}\n" for line in lines))


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


def partners(patch: Sequence[str]) -> dict[int, int]:
    """For each line that was changed in its place the line that it became, or that it was: first with first."""
    found: dict[int, int] = {}
    removed: list[int] = []
    added: list[int] = []
    for at, line in enumerate((*patch, "")):
        if line.startswith("-") and not added:
            removed.append(at)
        elif line.startswith("+") and removed:
            added.append(at)
        else:
            found |= dict(zip(removed, added, strict=False)) | dict(zip(added, removed, strict=False))
            removed, added = ([at] if line.startswith("-") else []), []
    return found


def styled(line: str, other: str = "") -> Spans:
    """A line of a patch in its role; ``other``: what it was or became, and what is not the same is emphasized."""
    if line.startswith(("+++", "---", "diff ", "index ", "new file", "similarity")):
        return (Span(line, "muted"),)
    if line.startswith("@@"):
        return (Span(line, "accent"),)
    if line.startswith(("+", "-")):
        role, emphasis = ("good", "added") if line.startswith("+") else ("bad", "removed")
        return tuple(Span(text, emphasis if is_new else role) for text, is_new in _pieces(line, other))
    return (Span(line, ""),)


def _pieces(line: str, other: str) -> list[tuple[str, bool]]:
    """The line in pieces, and of each whether the other line lacks it; one piece where they have little in common."""
    if not other or max(len(line), len(other)) > LONGEST_COMPARED:
        return [(line, False)]
    words, others = _token.findall(line[1:]), _token.findall(other[1:])
    matcher = difflib.SequenceMatcher(None, others, words, autojunk=False)
    same = sum(len(word) for _, at, size in matcher.get_matching_blocks() for word in words[at : at + size])
    if 2 * same < max(len(line), len(other)) - 1:
        return [(line, False)]
    pieces = [(line[0], False)]
    for kind, _, _, begin, end in matcher.get_opcodes():
        if begin < end:
            pieces.append(("".join(words[begin:end]), kind != "equal"))
    return pieces
