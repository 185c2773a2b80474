"""What may be claimed of a session: each kept gain, and the gain in all, as far as the evidence goes.

The incumbent moves by the judge's greedy rules, and the best of many noisy runs is below the baseline even when nothing
is better. So a claim rests on the measured noise floor and on the number of tries made so far:

- ``likely``: the best of so many tries without any effect would get as far in at most 5% of sessions (``best_of``:
  Dunnett, JASA 50, 1955, many treatments against one control, with the noise floor's own uncertainty in it). Every
  try is counted as if it were no worse than what it is compared with, which can only make the chance too large. So does
  counting a configuration that was picked by its first run and then run again as the best of that many *means*.
  All tries of the session count for a single step too: each could have been the one. So at most 5% of sessions hold a
  wrong ``likely``, and a step's claim may weaken as tries are added.
- ``confirmed``: runs made after the pick say so. They carry no luck of the pick, so that Welch's t interval for the
  difference of two means holds, and it lies above zero (``verification``); a single step is confirmed as well where
  the incumbent without it is found to be worse (ablation). Other seeds are needed: what repeats of one seed show holds
  for that seed.
- ``unproven``: anything else, said with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from engine import noise, verification
from engine.distributions import best_of
from engine.ledger import Experiment, Segment
from engine.noise import Configuration, Draw, NoiseFloor
from engine.verification import Gain, Part, Share

LIKELY = 0.05
"""A gain that chance brings in a larger share of sessions is not ``likely``."""


NO_FLOOR = "no noise floor is measured"


class Standing(StrEnum):
    """How far the evidence for a gain goes."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Claim:
    """What may be said of a gain."""

    run: int
    """What is better …"""
    over: int
    """… than this run."""
    gain: float
    """As the ledger has it, better is positive. The best of many is flattered by it; ``fresh`` is not."""
    standing: Standing
    reason: str
    """The evidence in words, with its figures."""
    tries: int
    """Experiments measured so far, among which this was picked."""
    chance: float | None = None
    """How often the best of so many tries without effect gets as far; None without a noise floor."""
    fresh: Gain | None = None
    """What `verify` found, where it was run for these two."""


@dataclass(frozen=True)
class Claims:
    """All that may be said of a segment."""

    total: Claim | None
    """Of the incumbent over the baseline; None while the baseline is the incumbent."""
    steps: tuple[Claim, ...]
    """Of each kept experiment over the one kept before it, the baseline not among them."""
    floor: NoiseFloor | None
    no_floor: str = f"{NO_FLOOR} yet: verify measures it"
    """What to say where there is none."""

    def of(self, run: int) -> Claim | None:
        """The claim of one kept experiment."""
        return next((each for each in self.steps if each.run == run), None)


def claims(segment: Segment) -> Claims:
    """What may be claimed now: a pure function of the segment, better with every repeat in it."""
    weigh = _Weighing(segment)
    no_floor = NO_FLOOR if segment.is_outside else Claims.no_floor
    baseline, incumbent = segment.baseline, segment.incumbent
    if baseline is None or incumbent is None or incumbent is baseline:
        return Claims(None, (), weigh.floor, no_floor)
    kept = [each for each in segment.experiments if each.kept and each.metric is not None]
    parts = {part.run: part for part in verification.ablation(segment, incumbent.run)}
    steps = tuple(weigh.claim(before, after, parts.get(after.run)) for before, after in pairwise(kept))
    return Claims(weigh.claim(baseline, incumbent), steps, weigh.floor, no_floor)


class _Weighing:
    """The evidence of a segment, gathered once."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.floor = noise.floor(segment)
        self._draws: dict[Configuration, list[Draw]] = noise.draws(segment)
        self.tries = max(0, len(segment.metrics) - 1)

    def claim(self, before: Experiment, after: Experiment, part: Part | None = None) -> Claim:
        chance = self._chance(before, after)
        fresh = verification.verified(self.segment, before.run, after.run)
        standing, reason = self._standing(before, after, chance, fresh, part)
        gain = self._gain([before.metric or 0.0], [after.metric or 0.0])
        return Claim(after.run, before.run, gain, standing, reason, self.tries, chance, fresh)

    def _gain(self, before: Sequence[float], after: Sequence[float]) -> float:
        difference = math.fsum(before) / len(before) - math.fsum(after) / len(after)
        return difference if self.segment.config.best_direction == "lower" else -difference

    def _chance(self, before: Experiment, after: Experiment) -> float | None:
        """How often the best of all tries, were all like ``before``, gets as far as ``after``, re-runs included."""
        if self.floor is None or not self.floor.is_noise:
            return None
        control, best = (self._different_runs(each) for each in (before, after))
        distance = self._gain(control, best) / self.floor.sd
        return best_of(distance, self.tries, self.floor.degrees, runs=len(best), control_runs=len(control))

    def _different_runs(self, experiment: Experiment) -> list[float]:
        """Its metrics, one for each seed where seeds matter; the same run again is no further evidence."""
        draws = self._draws[experiment.run, None]
        if self.floor is not None and self.floor.across_seeds:
            draws = noise.first_of_each_seed(draws)
        metrics = [draw.metric for draw in draws]
        return metrics if len(set(metrics)) > 1 else metrics[:1]

    def _standing(
        self,
        before: Experiment,
        after: Experiment,
        chance: float | None,
        fresh: Gain | None,
        part: Part | None,
    ) -> tuple[Standing, str]:
        seeds = all(verification.across_seeds(verification.fresh(self.segment, each.run)) for each in (before, after))
        other_seeds = self.floor is not None and self.floor.across_seeds and self.floor.is_noise
        if part is not None and part.share is Share.CARRIES and other_seeds:
            return Standing.CONFIRMED, f"without it the incumbent loses {part.loss.text}"
        if part is not None and part.share is Share.HARMS:
            return Standing.UNPROVEN, f"the incumbent is better without it: {part.loss.text}"
        if fresh is not None and fresh.is_loss:
            return Standing.UNPROVEN, f"fresh runs say that it is worse: {fresh.text}"
        if fresh is not None and fresh.is_real and fresh.low < fresh.high:
            if seeds:
                return Standing.CONFIRMED, f"fresh runs: {fresh.text}"
            by_luck = chance is not None and chance > LIKELY
            standing = Standing.UNPROVEN if by_luck or chance is None else Standing.LIKELY
            return standing, f"fresh runs: {fresh.text}, but other seeds were not tried, or changed nothing"
        if self._gain([before.metric or 0.0], [after.metric or 0.0]) <= 0:
            return Standing.UNPROVEN, f"no gain over run {before.run}"
        if self.floor is None:
            return Standing.UNPROVEN, NO_FLOOR if self.segment.is_outside else Claims.no_floor
        if chance is None:
            return Standing.UNPROVEN, f"it holds for this seed, but {self.floor.text}"
        evidence = f"by chance the best of {_count(self.tries)} gets as far {_often(chance)} (noise: {self.floor.text})"
        if chance > LIKELY:
            return Standing.UNPROVEN, evidence
        if fresh is not None and fresh.gain <= 0:
            return Standing.UNPROVEN, f"fresh runs do not show it: {fresh.text}"
        return Standing.LIKELY, evidence


def _count(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _often(chance: float) -> str:
    if chance < 0.001:
        return "in under 0.1% of sessions"
    return f"in {100 * chance:.{1 if chance < 0.1 else 0}f}% of sessions"
