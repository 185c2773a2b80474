"""The messages of an ACP agent, one JSON object a line, in bounded memory whatever the agent writes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

LONGEST_MESSAGE = 32 << 20
"""Bytes; a longer line is passed over."""
READ_AT_ONCE = 1 << 16
MOST_GARBAGE = 1000
"""After so many lines that are no messages it is not the protocol that is spoken."""


class Wire:
    """The transport that the protocol's client talks through (acp.connection)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_garbage: Callable[[str], None]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_garbage = on_garbage
        self._sending = asyncio.Lock()
        self._lines: list[bytes] = []
        self._partial = bytearray()
        self._is_skipping = False
        self.read = 0
        """Bytes so far."""
        self.garbage = 0

    async def send(self, message: dict[str, Any]) -> None:
        data = (json.dumps(message, separators=(",", ":")) + "\n").encode("utf-8", "replace")
        async with self._sending:
            self._writer.write(data)
            await self._writer.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None once there are no more."""
        while self.garbage <= MOST_GARBAGE:
            await asyncio.sleep(0)  # whoever handles the last one comes first
            while self._lines:
                if (message := self._message(self._lines.pop())) is not None:
                    return message
            if not await self._read_on():
                return None
        return None

    async def close(self) -> None:
        self._writer.close()

    async def _read_on(self) -> bool:
        try:
            chunk = await self._reader.read(READ_AT_ONCE)
        except OSError:
            return False
        if not chunk:
            return False
        self.read += len(chunk)
        first, *others = chunk.split(b"\n")
        if not self._is_skipping:
            self._partial += first
        if others:
            lines = [b"" if self._is_skipping else bytes(self._partial), *others[:-1]]
            self._lines = lines[::-1]
            self._partial = bytearray(others[-1])
            self._is_skipping = False
        if len(self._partial) > LONGEST_MESSAGE:
            self._reject(f"a line of more than {LONGEST_MESSAGE >> 20} MiB")
            self._partial.clear()
            self._is_skipping = True
        return True

    def _message(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and isinstance(message.get("method", ""), str):
            return message
        self._reject(line[:200].decode("utf-8", "replace"))
        return None

    def _reject(self, text: str) -> None:
        self.garbage += 1
        self._on_garbage(text)
