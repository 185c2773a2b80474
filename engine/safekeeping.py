"""A second copy of the ledger, out of which the engine puts back lines that vanish from it.

The ledger is append-only. Lines vanish all the same: an editor saves what it read an hour ago, ``git clean -x``
takes what git ignores, a train.py writes where it should not.
"""

import io
import os
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from engine.files import sync_directory, write_atomically
from engine.jsonlines import UNREADABLE
from engine.ledger import LedgerFile
from engine.workspace import Workspace

READ_AT_ONCE = 1 << 16


def check_ledger(workspace: Workspace, private: Path, *, starting: bool = False) -> str:
    """Take in what was added to the ledger, put back what was lost; returns a sentence if anything was.

    ``private``: the directory for the copy (Repository.private). ``starting``: no engine ran before this. A ledger
    that a person shortened meanwhile is taken as it is; what it lost is saved beside the rescued edits. One that is
    gone altogether is put back.
    """
    copy = private / f"{workspace.ledger.name}.copy"
    with LedgerFile(workspace).writing():
        with _reading(workspace.ledger) as ledger, _reading(copy) as before:
            if _begins_with(ledger, before):
                _extend(copy, ledger.read())
                return ""
        found = workspace.ledger.read_bytes() if workspace.ledger.exists() else b""
        kept = copy.read_bytes()
        known = set(found.splitlines())
        missing = [line for line in _complete_lines(kept) if line not in known]
        if not missing:
            write_atomically(copy, found)
            return ""
        name = f"{workspace.ledger.name}.{time.time_ns()}"
        saved = (workspace.rescued / name).relative_to(workspace.root)
        if starting and found:
            write_atomically(workspace.rescued / name, kept)
            write_atomically(copy, found)
            return f"autoresearch.jsonl has lost {_lines(missing)} since the last engine: it is as it was in {saved}."
        if found:
            write_atomically(workspace.rescued / name, found)
        whole = [*_complete_lines(kept), *_additions(_complete_lines(found), _complete_lines(kept))]
        mended = b"".join(line + b"\n" for line in whole)
        write_atomically(workspace.ledger, mended)
        write_atomically(copy, mended)
        said = f"; what was found is in {saved}" if found else ""
        return f"autoresearch.jsonl had lost {_lines(missing)}: put back from the engine's copy{said}."


def _reading(path: Path) -> BinaryIO:
    return path.open("rb") if path.exists() else io.BytesIO()


def _begins_with(found: BinaryIO, kept: BinaryIO) -> bool:
    """Whether one file begins with another; it then stands just behind that."""
    return all(found.read(len(part)) == part for part in iter(lambda: kept.read(READ_AT_ONCE), b""))


def _extend(copy: Path, added: bytes) -> None:
    if not added:
        return
    is_new = not copy.exists()
    copy.parent.mkdir(exist_ok=True)
    with copy.open("ab") as file:
        file.write(added)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(copy.parent)


def _complete_lines(content: bytes) -> list[bytes]:
    return content[: content.rfind(b"\n") + 1].splitlines()


def _additions(found: list[bytes], kept: list[bytes]) -> list[bytes]:
    """Lines that somebody appended, but no other version of those that were there: rewritten lines and headers."""
    before, identities = set(kept), {_identity(line) for line in kept}
    return [line for line in dict.fromkeys(found) if line not in before and _identity(line) not in identities]


def _identity(line: bytes) -> tuple[object, ...]:
    """What another version of a line has in common with it."""
    try:
        record = msgspec.json.decode(line)
    except UNREADABLE:
        return (line,)
    if not isinstance(record, dict):
        return (line,)
    if record.get("type") == "config" or not record.get("id"):
        return (record.get("type"), record.get("run"))
    return (record["id"],)


def _lines(missing: list[bytes]) -> str:
    return "a line" if len(missing) == 1 else f"{len(missing)} lines"
