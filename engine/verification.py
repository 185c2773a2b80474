"""What fresh runs say: baseline and incumbent in turn (`verify`), and the incumbent without each of its changes.

Runs made after a configuration was picked carry no luck of the pick, so that plain intervals hold for them.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.distributions import t_quantile
from engine.ledger import Repeat, Segment
from engine.noise import next_seed, pooled

RUNS_EACH = 5
"""How often `verify` runs each of the two. Where good changes are worth 1 sd of a run, sessions that truly got better
are confirmed in 46, 52 and 61 of 100 with 3, 4 and 5 (tests/benchmarks/simulate.py); none errs more than 3 in 100."""

ERROR = 0.05
"""The chance that a session in which nothing got better is ever called confirmed stays below this."""


_SIZE = re.compile(r"x(\d{1,3})$")


@dataclass(frozen=True)
class Gain:
    """How much better one configuration is than another, with its interval. Better is positive."""

    gain: float
    low: float
    high: float
    level: float
    """How often such intervals hold the true gain."""

    @property
    def is_real(self) -> bool:
        return self.low > 0

    @property
    def is_loss(self) -> bool:
        return self.high < 0

    @property
    def text(self) -> str:
        return f"{self.gain:+.4f} [{self.low:+.4f}, {self.high:+.4f}] at {100 * self.level:.4g}%"


def compare(
    before: Sequence[float], after: Sequence[float], direction: str = "lower", level: float = 1 - ERROR
) -> Gain | None:
    """The gain from ``before`` to ``after`` with Welch's t interval (Biometrika 34, 1947); None under two runs each.

    It does not take both to be equally noisy. Where neither moves at all the interval is a point.
    """
    if len(before) < 2 or len(after) < 2:
        return None
    difference = math.fsum(before) / len(before) - math.fsum(after) / len(after)
    gain = difference if direction == "lower" else -difference
    shares = [pooled([values])[0] ** 2 / len(values) for values in (before, after)]
    if sum(shares) == 0:
        return Gain(gain, gain, gain, level)
    degrees = sum(shares) ** 2 / (shares[0] ** 2 / (len(before) - 1) + shares[1] ** 2 / (len(after) - 1))
    reach = t_quantile((1 + level) / 2, degrees) * math.sqrt(sum(shares))
    return Gain(gain, gain - reach, gain + reach, level)


@dataclass(frozen=True)
class Turn:
    """One run that a verification wants next."""

    run: int
    seed: int
    without: int | None = None


@dataclass(frozen=True)
class Plan:
    """What one `verify` runs: ``runs`` in turn, ``each`` times, the last also without each change of ``without``."""

    id: str
    runs: tuple[int, ...]
    without: tuple[int, ...] = ()
    each: int = RUNS_EACH

    @property
    def size(self) -> int:
        """How many runs it takes in all."""
        return self.each * (len(self.runs) + len(self.without))

    def left(self, segment: Segment) -> int:
        """How many of them are still to be run."""
        taken = Counter((each.run, each.without) for each in segment.repeats if each.verification == self.id)
        turns = [*((run, None) for run in self.runs), *((self.runs[-1], change) for change in self.without)]
        return sum(max(0, self.each - taken[turn]) for turn in turns)

    def next_turn(self, segment: Segment) -> Turn | None:
        return next_turn(segment, self.id, self.runs, self.without, self.each)


def plan(segment: Segment, without: Sequence[int] = (), each: int = RUNS_EACH) -> Plan:
    """The verification of the segment's incumbent: the one that was left unfinished, or a new one.

    Where nothing beat the baseline it is run alone, which measures the noise floor.
    """
    ends = dict.fromkeys(each.run for each in (segment.baseline, segment.incumbent) if each is not None)
    runs, number = tuple(ends), 1
    while True:
        found = Plan(f"{'-'.join(map(str, runs))}-{number}x{each}", runs, tuple(without), each)
        if found.next_turn(segment) is not None:
            return found
        number += 1


def next_turn(
    segment: Segment, verification: str, runs: Sequence[int], without: Sequence[int] = (), each: int = RUNS_EACH
) -> Turn | None:
    """What verification ``verification`` runs next, None once it is complete: a function of what the ledger holds.

    ``runs`` in turn (A B A B …, so that what drifts with time hits all alike), and as part of each round the last of
    them without each of the kept changes ``without``. All of a round have one seed, which no earlier run had. A turn
    that ended without a metric is not taken again.
    """
    turns: list[tuple[int, int | None]] = [*((run, None) for run in runs), *((runs[-1], change) for change in without)]
    taken = [(repeat.run, repeat.without) for repeat in segment.repeats if repeat.verification == verification]
    counts = [taken.count(turn) for turn in turns]
    if min(counts) >= each:
        return None
    run, change = turns[counts.index(min(counts))]
    return Turn(run, next_seed(segment, verification) + min(counts), change)


def fresh(segment: Segment, run: int, without: int | None = None) -> list[Repeat]:
    """The runs of a configuration that a `verify` asked for and that gave a metric.

    Those of one that was cut off wait until it is complete: who may look at every moment finds what he looks for.
    """
    asked: defaultdict[str, list[Repeat]] = defaultdict(list)
    for each in segment.repeats:
        if each.verification and each.run == run and each.without == without:
            asked[each.verification].append(each)
    complete = (group for name, group in asked.items() if len(group) >= _size_of(name))
    return [each for group in complete for each in group if each.metric is not None]


def _size_of(verification: str) -> int:
    """How often each configuration is run in all, as the id says; other tools' ids say nothing."""
    match = _SIZE.search(verification)
    return int(match[1]) if match else 0


def level(segment: Segment) -> float:
    """The level of intervals by now: each further `verify` of a session may err half as often as the one before.

    An interval at level 1 − a lies wholly on the good side by chance with probability a/2, so ERROR, ERROR/2,
    ERROR/4, … add up to less than ERROR however often it is asked.
    """
    looks = {each.verification for each in segment.repeats if each.verification and each.without is None}
    return 1 - ERROR * 0.5 ** max(0, len(looks) - 1)


def verified(segment: Segment, before: int, after: int) -> Gain | None:
    """What the fresh runs say of the gain from run ``before`` to run ``after``; None until both have two."""
    first, second = _metrics(fresh(segment, before)), _metrics(fresh(segment, after))
    return compare(first, second, segment.config.best_direction, level(segment))


def across_seeds(repeats: Sequence[Repeat]) -> bool:
    """Whether no two of the runs had the same seed, and seeds made a difference: one that is not used is none."""
    metrics = {each.metric for each in repeats}
    return len({each.seed for each in repeats}) == len(repeats) and (len(metrics) > 1 or len(repeats) < 2)


class Share(StrEnum):
    """What a kept change is found to do in the incumbent."""

    CARRIES = "carries the gain"
    UNCLEAR = "unclear"
    HARMS = "harms"


@dataclass(frozen=True)
class Part:
    """A kept change, and what is lost when it alone is taken out."""

    run: int
    loss: Gain

    @property
    def share(self) -> Share:
        if self.loss.is_real:
            return Share.CARRIES
        return Share.HARMS if self.loss.is_loss else Share.UNCLEAR


def ablate(
    incumbent: Sequence[float],
    without: Mapping[int, Sequence[float]],
    direction: str = "lower",
    level: float = 1 - ERROR,
) -> tuple[Part, ...]:
    """What each kept change carries: ``without`` maps its run to the metrics of the incumbent without it.

    All intervals together hold at ``level``: Bonferroni over the changes (Dunn, JASA 56, 1961), on the standard
    deviation pooled over all of them, which takes neighbours of one incumbent to be equally noisy.
    """
    known = {run: values for run, values in without.items() if values}
    sd, degrees = pooled([incumbent, *known.values()])
    if not known or not incumbent or not degrees:
        return ()
    quantile = t_quantile(1 - (1 - level) / (2 * len(known)), degrees)
    mean = math.fsum(incumbent) / len(incumbent)
    parts = []
    for run, values in known.items():
        difference = math.fsum(values) / len(values) - mean
        loss = difference if direction == "lower" else -difference
        reach = quantile * sd * math.sqrt(1 / len(values) + 1 / len(incumbent))
        parts.append(Part(run, Gain(loss, loss - reach, loss + reach, level)))
    return tuple(parts)


def ablation(segment: Segment, incumbent: int) -> tuple[Part, ...]:
    """What the ledger's runs of the incumbent without each kept change say."""
    changes = sorted({each.without for each in segment.repeats if each.run == incumbent and each.without is not None})
    return ablate(
        _metrics(fresh(segment, incumbent)),
        {change: _metrics(fresh(segment, incumbent, change)) for change in changes},
        segment.config.best_direction,
        level(segment),
    )


def _metrics(repeats: Sequence[Repeat]) -> list[float]:
    return [each.metric for each in repeats if each.metric is not None]
