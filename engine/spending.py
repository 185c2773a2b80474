"""What proposals have cost, summed over a session: for the caps on it, and for the screen."""

import math
from collections.abc import Iterable, Mapping

import msgspec


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A cost, or a sum of them; 0 where nobody said what was spent."""

    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            seconds=self.seconds + other.seconds,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            dollars=self.dollars + other.dollars,
        )


NOTHING = Spent()


def of(cost: Mapping[str, float]) -> Spent:
    """The cost that a ledger line or an event carries; what is no amount (negative, infinite) counts for nothing."""
    known = {name: value for name, value in cost.items() if math.isfinite(value) and value > 0}
    return Spent(
        seconds=float(known.get("seconds", 0.0)),
        tokens_in=int(known.get("tokens_in", 0)),
        tokens_out=int(known.get("tokens_out", 0)),
        dollars=float(known.get("dollars", 0.0)),
    )


def total(costs: Iterable[Mapping[str, float]]) -> Spent:
    """The sum: of the experiments' costs, and of those of the proposals that came to nothing."""
    return sum(map(of, costs), NOTHING)
