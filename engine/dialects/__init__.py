"""Sessions' files, whoever wrote them: one door. A dialect is recognised by what is in a file, not by its name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from engine.dialects import jsonl, tsv
from engine.dialects.values import Text
from engine.errors import UnusableWorkspace
from engine.files import open_regular
from engine.ledger import Ledger, Segment

LARGEST = 1 << 29
"""Bytes of a session's file; one that is larger is something else."""
LOOKED_AT = 1 << 18
"""Bytes at the beginning of a file by which its dialect is told, of long lines a few only counted."""
LONGEST = 1 << 24
"""Bytes of a line; one that is longer is reported, and never held."""

MARK = b"\xef\xbb\xbf"
"""That some editors put before a text."""

Parse = Callable[[Iterable[Text]], Ledger]


def read(path: Path) -> Ledger:
    """What a session's file says. Raises OSError, and UnusableWorkspace for a file of another kind."""
    if path.stat().st_size > LARGEST:
        raise UnusableWorkspace("it is too large for a session's file.")
    with open_regular(path) as file:
        beginning = file.read(LOOKED_AT)
        if not beginning.strip():
            return Ledger()
        file.seek(0)
        parse = _dialect(file)
        if parse is None:
            raise UnusableWorkspace(
                "it is no session's file: neither experiments' lines nor a results table are in it."
            )
        file.seek(0)
        found = parse(_texts(file))
    return replace(found, segments=tuple(replace(each, is_outside=_is_outside(each)) for each in found.segments))


def _is_outside(segment: Segment) -> bool:
    """Whether another tool measured and judged: our engine says of each experiment who has proposed it."""
    return not any(each.source for each in segment.experiments)


def is_session(path: Path) -> bool:
    """Whether a file looks like a session's. Raises OSError."""
    if path.stat().st_size > LARGEST:
        return False
    with open_regular(path) as file:
        return _dialect(file) is not None


def _dialect(file: BinaryIO) -> Parse | None:
    looked_at = 0
    for line in _texts(file):
        if any(tsv.columns_of(row.text) is not None for row in tsv.rows([line])):
            return tsv.parse
        if jsonl.is_known(line.text):
            return jsonl.parse
        looked_at += min(len(line.text) + 1, LOOKED_AT // 8)
        if looked_at >= LOOKED_AT:
            return None
    return None


def _texts(file: BinaryIO) -> Iterator[Text]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if len(line) == LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(LOOKED_AT)) and not rest.endswith(b"\n"):
                pass
            yield Text(number, b"", problem=f"it is longer than {LONGEST >> 20} MiB")
            continue
        text = line.removeprefix(MARK) if number == 1 else line
        yield Text(number, text.rstrip(b"\r\n"), is_whole=line.endswith((b"\n", b"\r")))
