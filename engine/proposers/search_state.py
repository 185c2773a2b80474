"""What a search believes, in words: for a language model that is to propose beside it.

Bounded, and the same for the same results. Values come from train.py and are data to whoever reads them.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import knobs as knob_edit
from engine.knobs import Value
from engine.proposers.space import Dimension

if TYPE_CHECKING:
    from engine.proposers.evolution import Evolution

BEST = 5
LAST = 20
PAIRS = 6
WEAKEST_PAIR = 0.3
"""Correlations below say nothing after some dozens of results."""
LONGEST_LINE = 240
MOST_LINES = 60
"""Of the belief: knobs beyond are counted only."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A result as the search keeps it."""

    run: int
    status: str
    metric: float | None
    knobs: Mapping[str, Value]
    before: Mapping[str, Value] | None
    """The incumbent's knobs at the time; None for the first."""
    loss: float
    """What the search wants lower: infinite for a failure, and set off against changes of code that were kept."""

    @property
    def change(self) -> str:
        if self.before is None:
            return "baseline"
        return _changes(self.before, self.knobs) or "code only, no knob moved"

    @property
    def teaches_knobs(self) -> bool:
        """Whether its metric says something about knobs: not where only code was changed."""
        return self.before is None or self.before != self.knobs


@dataclass(frozen=True)
class SearchState:
    """A search's state; ``str`` of it is the whole text."""

    summary: str
    belief: tuple[str, ...]
    """Line by line: a distribution for CMA-ES, the good and the bad for TPE."""
    best: tuple[str, ...]
    last: tuple[str, ...]

    def __str__(self) -> str:
        belief = list(self.belief[:MOST_LINES])
        if len(self.belief) > MOST_LINES:
            belief.append(f"… and {len(self.belief) - MOST_LINES} more")
        lines = [
            self.summary,
            *belief,
            f"The best {len(self.best)}, and where their knobs differ from the incumbent's:",
            *self.best,
            f"The last {len(self.last)}, and what each changed of the incumbent of its time:",
            *self.last,
        ]
        return "\n".join(line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…" for line in lines)


def best_of(seen: Sequence[Seen], incumbent: Mapping[str, Value]) -> tuple[str, ...]:
    """The best results, a line each."""
    ranked = sorted((each for each in seen if math.isfinite(each.loss)), key=lambda each: each.loss)[:BEST]
    return tuple(
        f"run {each.run}: {each.metric}, {_changes(incumbent, each.knobs) or 'the same knobs'}" for each in ranked
    )


def last_of(seen: Sequence[Seen]) -> tuple[str, ...]:
    """The last results, a line each, the oldest first."""
    return tuple(
        f"run {each.run}: {each.status}{'' if each.metric is None else f' {each.metric}'}, {each.change}"
        for each in seen[-LAST:]
    )


def split(seen: Sequence[Seen], good: int, space: Sequence[Dimension]) -> tuple[str, ...]:
    """TPE's view, knob by knob: its values among the ``good`` best and among the rest, failures included."""
    ranked = sorted((each for each in seen if each.teaches_knobs), key=lambda each: each.loss)
    lines = [f"Knob: its values among the best {min(good, len(ranked))} | among the other {len(ranked[good:])}"]
    for dimension in space:
        parts = [_spread([dimension.get(each.knobs) for each in group]) for group in (ranked[:good], ranked[good:])]
        lines.append(f"{dimension.name}: {parts[0]} | {parts[1]}")
    return tuple(lines)


def distribution(evolution: "Evolution") -> tuple[str, ...]:
    """CMA-ES's view: mean, step size and covariance."""
    lines = [
        f"The distribution after {evolution.generation} generations; its step size is {evolution.step_size:.2f} (in "
        "ordinary steps of a knob: a factor of 2, a share of 0.2, the next power of two)."
    ]
    for axis, mean, deviation in zip(evolution.axes, evolution.mean, evolution.deviations, strict=True):
        lines.append(f"{axis.dimension.name}: mean {knob_edit.show(mean)}, standard deviation {deviation:.2f} steps")
    for correlation, first, second in evolution.correlations[:PAIRS]:
        if abs(correlation) >= WEAKEST_PAIR:
            lines.append(f"{first} and {second} move together" if correlation > 0 else f"{first} against {second}")
            lines[-1] += f" (correlation {correlation:+.2f})"
    return tuple(lines)


def _spread(values: Sequence[Value | None]) -> str:
    numbers = sorted(each for each in values if isinstance(each, int | float) and not isinstance(each, bool))
    if numbers:
        low, high = knob_edit.show(numbers[0]), knob_edit.show(numbers[-1])
        return low if low == high else f"{low} to {high}, median {knob_edit.show(statistics.median_low(numbers))}"
    names = [knob_edit.show(each) for each in values if each is not None]
    return ", ".join(f"{name} {names.count(name)}×" for name in sorted(set(names))) or "none"


def _changes(before: Mapping[str, Value], after: Mapping[str, Value]) -> str:
    return knob_edit.show_changes(
        {
            name: (before.get(name), after.get(name))
            for name in {**before, **after}
            if repr(before.get(name)) != repr(after.get(name))
        }
    )
