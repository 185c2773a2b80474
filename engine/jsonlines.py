"""Append-only files of JSON lines that several processes write and follow.

A line counts once its newline is on disk. Whatever a crash left without one is moved aside before
the next append, so that it can never fuse with a good line.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from engine.files import open_regular, sync_directory, write_atomically

LOCKED_FOR_SECONDS = 20
"""How long another writer, who needs milliseconds, may hold the lock before we say so."""
READ_AT_ONCE = 8 << 20
REMEMBERED = 64
"""Bytes before its place by which a reader knows that the file is still the same."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding a line can raise: it is no JSON, not UTF-8, or nested without end."""


@dataclass(frozen=True)
class Line:
    """One complete line of a file: ``number`` from 1, ``end`` is the offset just behind its newline."""

    number: int
    end: int
    text: bytes


class JsonLinesFile:
    """The writers' side. Every append is one ``write`` and one ``fsync`` under a lock that dies with its holder."""

    def __init__(self, path: Path, lock: Path, torn: Path) -> None:
        """``lock``: the file that writers lock; ``torn``: the directory that half-written lines are moved to."""
        self.path = path
        self._lock_path = lock
        self._torn = torn

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writers' lock, with the end of the file mended: read, decide and append as one step."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_path, mode=0o644, timeout=LOCKED_FOR_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            said = f"another program has been writing it for {LOCKED_FOR_SECONDS} s: end that one"
            raise OSError(errno.EAGAIN, said, str(self.path)) from None
        try:
            self._mend()
            yield
        finally:
            lock.release()

    def append(self, record: bytes) -> None:
        """Append one line, durably. Raises OSError with the file as it was (a full disk, a read-only directory)."""
        with self.writing():
            self.append_locked(record)

    def append_locked(self, record: bytes) -> None:
        """Append while already holding the lock (inside ``writing``)."""
        line = record + b"\n"
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, line)
                if written != len(line):
                    raise OSError(f"only {written} of {len(line)} bytes fitted on the disk")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_directory(self.path.parent)

    def _mend(self) -> None:
        """Give a complete last line its newline; move an incomplete one aside."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            start = _start_of_last_line(file.fileno(), size)
            if start == size:
                return
            file.seek(start)
            tail = file.read()
            if _is_json(tail):
                file.write(b"\n")
            else:
                write_atomically(self._torn / f"{self.path.name}.{time.time_ns()}", tail)
                file.truncate(start)
            file.flush()
            os.fsync(file.fileno())


class Follower:
    """The readers' side: each ``poll`` gives the complete lines that were added since the last one.

    A file that was replaced, cut or written anew is read from its beginning again: it is known by its
    inode, its size, and what stands just before the place that was read up to.
    """

    def __init__(self, path: Path, offset: int = 0, at_once: int = READ_AT_ONCE) -> None:
        """``offset``: just behind a line's newline; ``at_once``: bytes that a poll reads, unless a line is longer."""
        self.path = path
        self._at_once = at_once
        self.offset = offset
        self._number = 0
        self._file: tuple[int, int] | None = None
        self._before = b"\n" if offset else b""

    def poll(self) -> list[Line]:
        """The new complete lines, not all of them where there are many; empty when there is nothing new yet."""
        try:
            with open_regular(self.path) as file:
                if not self._goes_on(file.fileno()):
                    self.offset, self._number, self._before = 0, 0, b""
                file.seek(self.offset)
                chunk = file.read(self._at_once)
                while chunk and b"\n" not in chunk and (more := file.read(self._at_once)):
                    chunk += more
        except FileNotFoundError:
            return []
        lines = []
        complete = chunk[: chunk.rfind(b"\n") + 1]
        for text in complete.split(b"\n")[:-1]:
            self.offset += len(text) + 1
            self._number += 1
            lines.append(Line(self._number, self.offset, text))
        self._before = (self._before + complete[-REMEMBERED:])[-REMEMBERED:]
        return lines

    def _goes_on(self, descriptor: int) -> bool:
        """Whether this is still the file that was read up to ``offset``."""
        found = os.fstat(descriptor)
        known, self._file = self._file, (found.st_dev, found.st_ino)
        return known in (None, self._file) and (
            os.pread(descriptor, len(self._before), self.offset - len(self._before)) == self._before
        )

    def __iter__(self) -> Iterator[Line]:
        """Everything there is by now."""
        while lines := self.poll():
            yield from lines


def _start_of_last_line(descriptor: int, size: int) -> int:
    end = size
    while end > 0:
        begin = max(0, end - 65536)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except UNREADABLE:
        return False
