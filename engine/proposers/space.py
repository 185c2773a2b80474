"""The search space around an incumbent: what kind of quantity each knob is, and how far a step may go.

Ranges are relative to the incumbent's value, so they move with it; nothing is known about a knob but
its name, its type and its value.
"""

import math
import random
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.knobs import Scalar, Value, is_seed

PATTERNS = ("L", "SL", "SSL", "SSSL")
"""Window patterns worth trying: full attention in every layer, every second, third, fourth."""

_SHARE = re.compile(r"RATIO|FRAC|SHARE|DROPOUT|PROB|MOMENTUM")
_NEAR_ONE = re.compile(r"BETA|MOMENTUM|EMA")
_SIZE = re.compile(r"BATCH|DIM|WIDTH|SIZE")
_MEMORY = re.compile(r"DEPTH|LAYER|WIDTH|DIM|ASPECT|MLP|HIDDEN|EMBD|CHANNEL|EXPERT|SEQ|CONTEXT|BLOCK_SIZE|BATCH")
_MEMORYLESS = re.compile(r"TOTAL|GLOBAL|STEPS|_LR$|RATE|DROPOUT|DECAY")
SMALLEST_POWER = 16
"""From here on a power of two is taken for a size that has to stay one, a smaller one if its name says so."""
LARGEST_POWER = 2**40
LARGEST_COUNT = 2**40
"""A whole number beyond is some mask or identifier, and a sampler's floats could not tell it from its neighbours."""
RATES = (1e-30, 1e30)
"""What counts in factors lies between these: a step away from the ends of floating point is zero or infinite."""
CLOSEST_TO_ONE = 1e-9


@dataclass(frozen=True)
class Numbers:
    """The numbers from ``low`` to ``high``, both included."""

    low: float
    high: float
    is_log: bool = False
    """Whether they count in factors."""
    is_whole: bool = False

    def draw(self, chance: random.Random) -> float | int:
        """One of them, from anywhere."""
        if self.is_whole:
            return chance.randint(int(self.low), int(self.high))
        if self.is_log:
            return math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        return chance.uniform(self.low, self.high)


@dataclass(frozen=True)
class Choices:
    """One of several, without an order."""

    options: tuple[str | bool, ...]

    def draw(self, chance: random.Random) -> str | bool:
        """Any of them."""
        return chance.choice(self.options)


Range = Numbers | Choices


class Kind(Protocol):
    """How a scalar is searched: ``encode`` and ``decode`` translate to the sampler's own quantity."""

    def encode(self, value: Scalar) -> float | int | str | bool | None:
        """The sampler's quantity; None for a value that this kind cannot hold."""
        ...

    def decode(self, raw: float | int | str | bool) -> Scalar: ...

    def range(self, value: Scalar, reach: float) -> Range:
        """What may be proposed around ``value``; ``reach`` 1 for an ordinary step, more for a bold one."""
        ...


@dataclass(frozen=True)
class Logarithmic:
    """Learning rates, weight decays and all that counts in factors."""

    factor: float = 2.0

    def encode(self, value: Scalar) -> float | None:
        return float(value) if isinstance(value, int | float) and value > 0 else None

    def decode(self, raw: float | int | str | bool) -> float:
        return _round(float(raw))

    def range(self, value: Scalar, reach: float) -> Range:
        span = self.factor**reach
        return Numbers(float(value) / span, float(value) * span, is_log=True)


@dataclass(frozen=True)
class NearOne:
    """Averaging coefficients such as Adam's betas: the distance from 1 counts in factors."""

    factor: float = 2.0

    def encode(self, value: Scalar) -> float | None:
        return 1.0 - float(value) if isinstance(value, int | float) and 0 < value < 1 else None

    def decode(self, raw: float | int | str | bool) -> float:
        return round(1.0 - float(f"{raw:.2g}"), 12)

    def range(self, value: Scalar, reach: float) -> Range:
        span, distance = self.factor**reach, 1.0 - float(value)
        return Numbers(distance / span, min(0.7, max(distance, distance * span)), is_log=True)


@dataclass(frozen=True)
class Share:
    """A part of a whole, 0 to 1."""

    step: float = 0.2

    def encode(self, value: Scalar) -> float | None:
        return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None

    def decode(self, raw: float | int | str | bool) -> float:
        return round(float(raw), 2)

    def range(self, value: Scalar, reach: float) -> Range:
        step = self.step * reach
        return Numbers(max(0.0, float(value) - step), min(1.0, float(value) + step))


@dataclass(frozen=True)
class PowerOfTwo:
    """Sizes that the batch and head arithmetic needs to be powers of two: the exponent is searched."""

    def encode(self, value: Scalar) -> int | None:
        return value.bit_length() - 1 if _is_power_of_two(value) and isinstance(value, int) else None

    def decode(self, raw: float | int | str | bool) -> int:
        return 1 << int(raw)

    def range(self, value: Scalar, reach: float) -> Range:
        exponent, steps = int(value).bit_length() - 1, max(1, round(reach))
        return Numbers(max(0, exponent - steps), exponent + steps, is_whole=True)


@dataclass(frozen=True)
class Whole:
    """Counts, such as the depth."""

    lowest: int = 1

    def encode(self, value: Scalar) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def decode(self, raw: float | int | str | bool) -> int:
        return int(raw)

    def range(self, value: Scalar, reach: float) -> Range:
        step = max(1, round(abs(int(value)) * 0.25 * reach))
        return Numbers(max(self.lowest, int(value) - step), int(value) + step, is_whole=True)


@dataclass(frozen=True)
class Choice:
    """One of several, without an order."""

    choices: tuple[str | bool, ...]

    def encode(self, value: Scalar) -> str | bool | None:
        return value if isinstance(value, str | bool) and value in self.choices else None

    def decode(self, raw: float | int | str | bool) -> str | bool:
        return raw if isinstance(raw, bool) else str(raw)

    def range(self, value: Scalar, reach: float) -> Range:
        return Choices(self.choices)


@dataclass(frozen=True)
class Dimension:
    """One scalar of one knob: ``ADAM_BETAS[1]`` is the second of a tuple."""

    knob: str
    index: int | None
    kind: Kind

    @property
    def name(self) -> str:
        return self.knob if self.index is None else f"{self.knob}[{self.index}]"

    @property
    def quantity(self) -> str:
        """What a sampler knows it by: a knob that turned from 1 into 0.5 is another quantity."""
        return sys.intern(f"{self.name} {type(self.kind).__name__}")  # every result has it as a key

    def get(self, knobs: Mapping[str, Value]) -> Scalar | None:
        """This dimension's value among a file's knobs, if the file has it."""
        value = knobs.get(self.knob)
        if self.index is None:
            return None if isinstance(value, tuple) else value
        return value[self.index] if isinstance(value, tuple) and self.index < len(value) else None

    def put(self, knobs: Mapping[str, Value], scalar: Scalar) -> Value:
        """The whole knob's value with this dimension set."""
        value = knobs[self.knob]
        if self.index is None or not isinstance(value, tuple):
            return scalar
        return (*value[: self.index], scalar, *value[self.index + 1 :])


def dimensions(knobs: Mapping[str, Value], frozen: Iterable[str] = ()) -> list[Dimension]:
    """What can be searched among a file's knobs. A seed is not: a lucky one is no finding."""
    left_alone = set(frozen)
    found = []
    for name, value in knobs.items():
        if name in left_alone or is_seed(name):
            continue
        scalars = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for index, scalar in scalars:
            if (kind := _kind(name, scalar)) is not None:
                found.append(Dimension(name, index, kind))
    return found


def memory_sizes(knobs: Mapping[str, Value]) -> dict[str, int | float]:
    """The knobs that more of takes more memory, by their names: depth, width, rows of a forward pass.

    A step's whole batch is none: it is split into passes.
    """
    return {
        name: value
        for name, value in knobs.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and _MEMORY.search(name)
        and not _MEMORYLESS.search(name)
    }


def _kind(name: str, value: Scalar) -> Kind | None:
    if isinstance(value, bool):
        return Choice((False, True))
    if isinstance(value, str):
        return Choice(PATTERNS) if "PATTERN" in name and set(value) <= {"S", "L"} else None
    if isinstance(value, int):
        if _is_power_of_two(value) and (value >= SMALLEST_POWER or _SIZE.search(name)):
            return PowerOfTwo()
        return Whole(lowest=min(1, value)) if 0 <= value <= LARGEST_COUNT else None
    if _NEAR_ONE.search(name) and 0.5 <= value < 1:
        return NearOne() if value <= 1 - CLOSEST_TO_ONE else None
    if _SHARE.search(name) and 0 <= value <= 1:
        return Share()
    if _NEAR_ONE.search(name) and 0 < value < 0.5:  # counted in factors it would step over 1
        return Share()
    return Logarithmic() if RATES[0] <= value <= RATES[1] else None


def _is_power_of_two(value: Scalar) -> bool:
    return isinstance(value, int) and 0 < value <= LARGEST_POWER and value & (value - 1) == 0


def _round(value: float) -> float:
    return float(f"{value:.3g}")
