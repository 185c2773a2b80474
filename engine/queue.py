"""The order in which a person's ideas wait: a pure function, the same for the engine and for all who look."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """Something with an id that waits for its turn."""

    @property
    def id(self) -> str: ...


W = TypeVar("W", bound=Waiting)


def moved(queue: Sequence[W], identity: str, before: str) -> tuple[W, ...]:
    """The queue with one of it moved before another; to the end where that one does not wait (any more)."""
    if before == identity:
        return tuple(queue)
    rest = [each for each in queue if each.id != identity]
    one = [each for each in queue if each.id == identity]
    at = next((at for at, each in enumerate(rest) if each.id == before), len(rest))
    return (*rest[:at], *one, *rest[at:])
