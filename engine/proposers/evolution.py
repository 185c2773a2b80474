"""CMA-ES (Hansen 2016, arXiv 1604.00772) over the numbers among the knobs, as the package `cmaes` has it.

Optuna's own sampler rests on the same package, but learns only from what it drew itself. Here every result counts,
whoever proposed it: a point far from the distribution is drawn in before it is told, as Hansen (2011, "Injecting
external solutions into CMA-ES") does. Whole numbers are moved by a step now and then, however narrow the distribution
has become (Hansen 2011, "A CMA-ES for mixed-integer nonlinear optimization").
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray

from engine.knobs import Scalar, Value
from engine.proposers.space import Choices, Dimension

FIRST_STEP = 0.3
"""The standard deviation at first, in ordinary steps of each knob: all of them move at once."""
POPULATION = 6
"""Results to a generation: few, for a night has some dozens."""
MUTATION = 0.08
"""How often a whole number, or one of several choices, is moved although the distribution would not."""
REACH = 4.0
"""Ordinary steps from the start, at most."""
FARTHEST = 1e30
"""A value beyond is not told: it would be no number any more."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """One knob's number as a coordinate: 0 at the start, 1 an ordinary step away."""

    dimension: Dimension
    start: float
    unit: float
    low: float
    high: float
    is_log: bool
    is_whole: bool

    @classmethod
    def of(cls, dimension: Dimension, start: Scalar) -> "Axis | None":
        """None for a choice without an order."""
        raw = dimension.kind.encode(start)
        near, far = dimension.kind.range(start, 1.0), dimension.kind.range(start, REACH)
        if raw is None or isinstance(raw, str | bool) or isinstance(near, Choices) or isinstance(far, Choices):
            return None
        is_log = near.is_log
        low, high = _scaled(far.low, is_log), _scaled(far.high, is_log)
        unit = max((_scaled(near.high, is_log) - _scaled(near.low, is_log)) / 2, 1e-12)
        return cls(dimension, _scaled(raw, is_log), unit, low, high, is_log, near.is_whole)

    def coordinate(self, knobs: Mapping[str, Value]) -> float | None:
        """Where a file's value lies; None where it has none of this kind, or one out of all reach."""
        value = self.dimension.get(knobs)
        raw = None if value is None else self.dimension.kind.encode(value)
        if raw is None or isinstance(raw, str | bool) or (self.is_log and raw <= 0) or abs(raw) > FARTHEST:
            return None
        return (_scaled(raw, self.is_log) - self.start) / self.unit

    def value(self, coordinate: float, nudge: int = 0) -> Scalar:
        """The knob's value at a coordinate, within what is proposed at all; ``nudge``: whole steps besides."""
        place = min(max(self.start + coordinate * self.unit, self.low), self.high)
        if self.is_whole:
            place = min(max(round(place) + nudge, self.low), self.high)
        return self.dimension.kind.decode(math.exp(place) if self.is_log else place)


class Evolution:
    """The distribution that the next candidates are drawn from."""

    def __init__(self, space: Sequence[Dimension], start: Mapping[str, Value]) -> None:
        """``start``: the knobs of the file that it begins around."""
        self.space = tuple(dimension.quantity for dimension in space)
        """What it was made for: another space needs another one."""
        values = ((dimension, dimension.get(start)) for dimension in space)
        self.axes = [axis for dimension, value in values if value is not None and (axis := Axis.of(dimension, value))]
        named = {axis.dimension for axis in self.axes}
        self._choices = [dimension for dimension in space if dimension not in named]
        self._told: list[tuple[Vector, float]] = []
        self._cma = (
            CMA(mean=np.zeros(len(self.axes)), sigma=FIRST_STEP, population_size=POPULATION) if self.axes else None
        )

    @property
    def generation(self) -> int:
        return 0 if self._cma is None else self._cma.generation

    @property
    def step_size(self) -> float:
        """In ordinary steps."""
        return 0.0 if self._cma is None else float(self._cma._sigma)

    @property
    def mean(self) -> list[Scalar]:
        """Of each axis, as a knob's value."""
        return [] if self._cma is None else [axis.value(x) for axis, x in zip(self.axes, self._cma.mean, strict=True)]

    @property
    def deviations(self) -> list[float]:
        """Of each axis, in ordinary steps."""
        if self._cma is None:
            return []
        return [self.step_size * math.sqrt(max(each, 0.0)) for each in np.diag(self._cma._C)]

    @property
    def correlations(self) -> list[tuple[float, str, str]]:
        """Of each pair of axes, the strongest first."""
        if self._cma is None:
            return []
        covariance = self._cma._C
        scale = np.sqrt(np.clip(np.diag(covariance), 1e-300, None))
        pairs = [
            (float(covariance[i, j] / scale[i] / scale[j]), self.axes[i].dimension.name, self.axes[j].dimension.name)
            for i in range(len(scale))
            for j in range(i)
        ]
        return sorted(pairs, key=lambda pair: -abs(pair[0]))

    def tell(self, knobs: Mapping[str, Value], loss: float) -> None:
        """Learn from a result; ``loss`` is what is to become lower, infinite where the run failed."""
        coordinates = [axis.coordinate(knobs) for axis in self.axes]
        if self._cma is None or any(each is None for each in coordinates):
            return
        self._told.append((self._drawn_in(np.array(coordinates, dtype=float)), loss))
        if len(self._told) == self._cma.population_size:
            self._cma.tell(self._told)
            self._told = []

    def ask(self, knobs: Mapping[str, Value], chance: random.Random) -> dict[str, Value]:
        """``knobs`` with every number drawn anew, and a choice now and then."""
        moved = dict(knobs)
        if self._cma is not None:
            self._cma.reseed_rng(chance.randrange(2**32))
            for axis, coordinate in zip(self.axes, self._cma.ask(), strict=True):
                nudge = chance.choice((-1, 1)) if axis.is_whole and chance.random() < MUTATION else 0
                moved[axis.dimension.knob] = axis.dimension.put(moved, axis.value(float(coordinate), nudge))
        for dimension in self._choices:
            value = dimension.get(knobs)
            if value is not None and chance.random() < MUTATION:
                choice = dimension.kind.range(value, 1.0).draw(chance)
                moved[dimension.knob] = dimension.put(moved, dimension.kind.decode(choice))
        return moved

    def _drawn_in(self, point: Vector) -> Vector:
        """A point as near to the mean as one that was drawn from the distribution might lie."""
        assert self._cma is not None
        basis, scale = self._cma._eigen_decomposition()
        away = point - self._cma.mean
        length = float(np.linalg.norm(basis.T @ away / scale)) / self.step_size
        count = len(self.axes)
        longest = math.sqrt(count) + 2 * count / (count + 2)
        return point if length <= longest else self._cma.mean + away * (longest / length)


def _scaled(raw: float, is_log: bool) -> float:
    return math.log(raw) if is_log else float(raw)
