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
"""Bytes at the beginning of a file by which its dialect is told."""

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
        parse = _dialect(beginning)
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
    with open_regular(path) as file:
        return _dialect(file.read(LOOKED_AT)) is not None


def _dialect(beginning: bytes) -> Parse | None:
    for line in beginning.removeprefix(MARK).splitlines():
        if tsv.columns_of(line) is not None:
            return tsv.parse
        if jsonl.is_known(line):
            return jsonl.parse
    return None


def _texts(file: BinaryIO) -> Iterator[Text]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(MARK) if number == 1 else line
        yield Text(number, text.rstrip(b"\r\n"), is_whole=line.endswith(b"\n"))
