"""The judge: does the incumbent move? A pure function of what was measured, and its reason in words (DESIGN §7).

The first rule that fits decides. What may be *claimed* of a kept gain is another question.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.noise import NoiseFloor
from engine.patch import NOTHING, Size
from engine.settings import PolicySettings


class Status(StrEnum):
    """What becomes of an experiment."""

    KEEP = "keep"
    DISCARD = "discard"
    CRASH = "crash"
    CHECKS_FAILED = "checks_failed"


@dataclass(frozen=True)
class Candidate:
    """What is known of an experiment once its run is over."""

    metric: float | None
    """val_bpb, None where the run printed none."""
    memory_mb: float | None = None
    failure: str = ""
    """Why the run counts as a crash, in words; empty where it ended well."""
    violations: tuple[str, ...] = ()
    """Rules of the game that were broken."""
    failed_checks: str = ""
    """What autoresearch.checks.sh said when it failed."""
    growth: Size = NOTHING
    """How much more code it is than the incumbent's."""
    only_seeds_differ: bool = False
    """It is the incumbent with another seed."""
    skipped: bool = False
    is_given: bool = False
    """It is what the branch holds, not a change: the baseline, or a person's own commit."""


@dataclass(frozen=True)
class Incumbent:
    """The best kept so far."""

    metric: float
    memory_mb: float | None = None
    runs: int = 1
    """How many runs ``metric`` is the mean of."""


@dataclass(frozen=True)
class Verdict:
    """The judge's word and its reason."""

    status: Status
    reason: str


def judge(
    candidate: Candidate,
    incumbent: Incumbent | None,
    policy: PolicySettings,
    direction: str = "lower",
    floor: NoiseFloor | None = None,
) -> Verdict:
    """Keep or discard. ``direction``: which way the metric improves, "lower" or "higher"; ``floor``: where measured."""
    if candidate.skipped:
        return Verdict(Status.DISCARD, _besides("skipped", candidate))
    if candidate.failure:
        return Verdict(Status.CRASH, _besides(candidate.failure, candidate))
    if candidate.metric is None:
        return Verdict(Status.CRASH, _besides("the run ended without a metric", candidate))
    if not math.isfinite(candidate.metric):
        return Verdict(Status.CRASH, _besides(f"the metric is {candidate.metric}", candidate))
    if candidate.violations:
        return Verdict(Status.CHECKS_FAILED, "; ".join(candidate.violations))
    if candidate.failed_checks:
        return Verdict(Status.CHECKS_FAILED, f"autoresearch.checks.sh failed: {candidate.failed_checks}")
    if candidate.is_given:
        return Verdict(Status.KEEP, f"the starting point: {candidate.metric:.6f}")
    if incumbent is None:
        return Verdict(Status.DISCARD, "there is no starting point to compare it with")
    if candidate.only_seeds_differ:
        return Verdict(Status.DISCARD, f"only the seed differs ({candidate.metric:.6f}): a luckier one is no finding")
    gain = incumbent.metric - candidate.metric if direction == "lower" else candidate.metric - incumbent.metric
    return _weigh(gain, candidate, incumbent, policy, 0.0 if floor is None else floor.sd)


PLACES = 12
"""Differences are taken to so many: 1.751 − 1.75 is 0.001, whatever binary fractions make of it."""
CONFIRMING_RUNS = 1
"""Policy `confirm` runs a candidate at most so many times more: tests/benchmarks/simulate.py prints what it brings."""


def must_confirm(
    repeats: Sequence[float], incumbent: Incumbent, floor: NoiseFloor | None, direction: str = "lower"
) -> bool:
    """Whether policy `confirm` runs a candidate once more, with another seed, before the judge hears of it.

    It does while the mean of its ``repeats`` so far is better than the incumbent's by no more than chance alone may
    bring (NoiseFloor.margin), at most CONFIRMING_RUNS times. The judge then weighs their mean. Without a noise floor,
    and where only identical runs were compared, every gain is within it. It costs one run each time that it says so.
    """
    mean = math.fsum(repeats) / len(repeats)
    gain = incumbent.metric - mean if direction == "lower" else mean - incumbent.metric
    if not gain > 0 or len(repeats) > CONFIRMING_RUNS:
        return False
    if floor is None or not (floor.is_noise or floor.across_seeds):
        return True
    return gain <= floor.margin(len(repeats), incumbent.runs)


def _weigh(gain: float, candidate: Candidate, incumbent: Incumbent, policy: PolicySettings, noise: float) -> Verdict:
    change = f"{incumbent.metric:.6f} → {candidate.metric:.6f}"
    gain = round(gain, PLACES)
    if abs(gain) <= policy.equal_within:
        if candidate.growth.simpler:
            return Verdict(Status.KEEP, f"simplification: equal ({change}) with {_less(candidate.growth)}")
        return Verdict(Status.DISCARD, f"equal ({change}) and not simpler")
    if gain < 0:
        if -gain <= noise and candidate.growth.simpler:
            equal = f"equal within the noise of {noise:.2g} ({change})"
            return Verdict(Status.KEEP, f"simplification: {equal} with {_less(candidate.growth)}")
        return Verdict(Status.DISCARD, f"worse by {-gain:.6f} ({change})")
    if gain < policy.small_gain and candidate.growth.lines >= policy.many_lines:
        return Verdict(
            Status.DISCARD,
            f"better by only {gain:.6f} for {candidate.growth.lines} more lines: not worth the complexity",
        )
    if _memory_exploded(candidate, incumbent, policy) and gain < policy.small_gain_share * abs(incumbent.metric):
        return Verdict(
            Status.DISCARD,
            f"better by {gain:.6f}, but memory rose from {incumbent.memory_mb:.0f} to {candidate.memory_mb:.0f} MB",
        )
    return Verdict(Status.KEEP, f"better by {gain:.6f} ({change})")


def _besides(reason: str, candidate: Candidate) -> str:
    """The reason, and the rules that were broken before it came to that: a person must hear of them."""
    return "; besides, ".join((reason, *candidate.violations))


def _less(growth: Size) -> str:
    return f"{-growth.lines} lines less" if growth.lines else "less on the same lines"


def _memory_exploded(candidate: Candidate, incumbent: Incumbent, policy: PolicySettings) -> bool:
    if not candidate.memory_mb or not incumbent.memory_mb:
        return False
    return candidate.memory_mb > policy.memory_factor * incumbent.memory_mb
