"""How long a proposal may take, and whether anybody still wants it."""

import asyncio
import threading
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from engine.proposers import NothingToProposeError, ProposerTroubleError, Watch

POLL_SECONDS = 0.1

T = TypeVar("T")


@dataclass
class Clock:
    """One proposal's."""

    limit: float
    watch: Watch
    closing: threading.Event
    """The engine ends."""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """So far."""
        return round(time.monotonic() - self.began, 1)

    def check(self) -> None:
        """Raises NothingToProposeError once the proposal has to end."""
        if self.watch.cancelled() or self.closing.is_set():
            raise NothingToProposeError("the proposal was cancelled.")
        if time.monotonic() > self.began + self.limit:
            raise ProposerTroubleError(f"the agent proposed nothing within {self.limit:g} s.")

    async def wait(self, future: "asyncio.Future[T]") -> T:
        """What comes of ``future``, which goes on where this raises."""
        while not future.done():
            self.check()
            await asyncio.wait({future}, timeout=POLL_SECONDS)
        return future.result()

    async def run(self, awaitable: Awaitable[T]) -> T:
        """The same for something that nobody wants where this raises."""
        future = asyncio.ensure_future(awaitable)
        try:
            return await self.wait(future)
        finally:
            future.cancel()
