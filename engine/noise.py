"""The noise floor: how far a configuration's metric moves when nothing but chance changes.

Measured from repeats, pooled over the configurations that were repeated. It is a pure function of a segment, so it is
up to date with every repeat that the ledger holds.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.distributions import chi_square_quantile, t_quantile
from engine.ledger import Experiment, Segment

Configuration = tuple[int, int | None]
"""An experiment's run, and the kept change that was taken out of it, if any."""


FIRST_SEED = 1001
"""Of repeats: a train.py seldom holds one of the next few hundred itself."""


@dataclass(frozen=True)
class Draw:
    """One run of a configuration: its metric, and its seed (None: train.py's own)."""

    metric: float
    seed: int | None = None


@dataclass(frozen=True)
class NoiseFloor:
    """The standard deviation of repeats, with how much it is itself worth."""

    sd: float
    degrees: int
    """Degrees of freedom: the repeats beyond each configuration's first."""
    configurations: int
    across_seeds: bool
    """Whether other seeds were drawn. If not, all were identical repeats, and other seeds may well differ by more."""

    @property
    def is_noise(self) -> bool:
        """False where repeats agree to the last digit: the machine is deterministic, and chance was not measured."""
        return self.sd > 0

    def at_most(self, level: float = 0.95) -> float:
        """The standard deviation that the true one stays below, with this confidence (from χ²)."""
        return self.sd * math.sqrt(self.degrees / chi_square_quantile(1 - level, self.degrees))

    def margin(self, runs: int = 1, control_runs: int = 1, level: float = 0.95) -> float:
        """The gain that chance alone stays below, of one mean of runs over another that nobody picked (Student's t)."""
        return t_quantile(level, self.degrees) * self.sd * math.sqrt(1 / runs + 1 / control_runs)

    @cached_property
    def text(self) -> str:
        """For a person: one line."""
        runs = self.degrees + self.configurations
        if not self.is_noise:
            if self.across_seeds:
                return f"{runs} runs with other seeds agree to the last digit: the seed does nothing"
            return (
                f"{runs} identical runs agree to the last digit: the machine is deterministic, "
                "which is no noise floor across seeds"
            )
        kind = "with other seeds" if self.across_seeds else "with the same seed, other seeds may differ by more"
        where = "" if self.configurations == 1 else f" of {self.configurations} configurations"
        return f"sd {self.sd:.2g} (at most {self.at_most():.2g}) from {runs} runs{where} {kind}"


def floor(segment: Segment) -> NoiseFloor | None:
    """What the segment's repeats say, None where nothing was repeated.

    Repeats with other seeds count alone as soon as there are any: identical ones would make the floor too low.
    """
    groups = draws(segment).values()
    across = [[each.metric for each in first_of_each_seed(group)] for group in groups]
    across = [each for each in across if len(set(each)) > 1] or across  # where seeds matter, an unused one says nothing
    return _pool(across, across_seeds=True) or _pool(
        (metrics for group in groups for metrics in _same_seed(group)), across_seeds=False
    )


def next_seed(segment: Segment, verification: str = "") -> int:
    """The first seed after all that repeats of the segment had, those of ``verification`` left out, if it is named.

    On a deterministic machine a seed that a configuration was picked with would bring its luck back.
    """
    seeds = [seed for each in segment.experiments for seed in each.seeds]
    seeds += [each.seed for each in segment.repeats if not verification or each.verification != verification]
    return max([FIRST_SEED - 1, *(seed for seed in seeds if seed is not None)]) + 1


def draws(segment: Segment) -> dict[Configuration, list[Draw]]:
    """Every run of every configuration: the experiments' own and what was run again later."""
    found: defaultdict[Configuration, list[Draw]] = defaultdict(list)
    for experiment in segment.experiments:
        if experiment.metric is not None and not experiment.crashed:
            found[experiment.run, None] += own_draws(experiment)
    for repeat in segment.repeats:
        if repeat.metric is not None:
            found[repeat.run, repeat.without].append(Draw(repeat.metric, repeat.seed))
    return dict(found)


def own_draws(experiment: Experiment) -> list[Draw]:
    """The runs that an experiment's line holds: its repeats, or the one run that it was."""
    if not experiment.repeats:
        return [] if experiment.metric is None else [Draw(experiment.metric)]
    seeds = (*experiment.seeds, *(None for _ in experiment.repeats))
    return [Draw(metric, seed) for metric, seed in zip(experiment.repeats, seeds, strict=False)]


def pooled(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within groups, and its degrees of freedom (0 where no group has two values)."""
    squares, degrees = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = math.fsum(group) / len(group)
            squares += math.fsum((value - mean) ** 2 for value in group) if min(group) < max(group) else 0.0
            degrees += len(group) - 1
    return (math.sqrt(squares / degrees) if degrees else 0.0), degrees


def _pool(groups: Iterable[Sequence[float]], across_seeds: bool) -> NoiseFloor | None:
    repeated = [group for group in groups if len(group) > 1]
    sd, degrees = pooled(repeated)
    return NoiseFloor(sd, degrees, len(repeated), across_seeds) if degrees else None


def first_of_each_seed(group: Sequence[Draw]) -> list[Draw]:
    """The draws of a configuration without those that had a seed of an earlier one."""
    return list({draw.seed: draw for draw in reversed(group)}.values())


def _same_seed(group: Sequence[Draw]) -> list[list[float]]:
    by_seed: defaultdict[int | None, list[float]] = defaultdict(list)
    for draw in group:
        by_seed[draw.seed].append(draw.metric)
    return list(by_seed.values())
