"""Writing files so that a crash at any moment leaves the old content or the new one, never a part of it."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable: a rename is lost with the power until its directory is synced."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError where it is none: a FIFO in its place must not make anybody wait."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path) -> bytes:
    """A file's content. Raises OSError where it is none; a run may have put anything in its place."""
    with open_regular(path) as file:
        return file.read()


def write_atomically(path: Path, content: bytes, *, scratch: Path | None = None) -> None:
    """Replace ``path`` by ``content``, durably; its mode stays what it was.

    The new content is first written to a file in ``scratch`` (on the same file system; ``path``'s own
    directory by default), so that a crash leaves no stray file where a person would see one.
    """
    directory = scratch or path.parent
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".{path.name}.{os.getpid()}.draft"
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
