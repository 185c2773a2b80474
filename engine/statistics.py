"""The session's figures: how far the best is from the baseline, measured in the spread of all runs."""

from collections.abc import Sequence
from statistics import median

from engine.ledger import Segment


def median_absolute_deviation(values: Sequence[float]) -> float:
    """The median distance from the median (Hampel 1974): a spread that one exploded run does not move."""
    middle = median(values)
    return median(abs(value - middle) for value in values)


def confidence(segment: Segment, direction: str = "lower") -> float | None:
    """|best kept − baseline| / MAD of all metrics of the segment, the current run's included (DESIGN §7).

    None while it is undefined: fewer than three metrics, no spread, nothing kept besides the baseline.
    It is a figure of the whole session and says little about one run.
    """
    baseline = segment.baseline
    values = segment.metrics
    if baseline is None or baseline.metric is None or len(values) < 3:
        return None
    kept = [
        each.metric for each in segment.experiments if each.kept and each is not baseline and each.metric is not None
    ]
    spread = median_absolute_deviation(values)
    if not kept or spread == 0:
        return None
    best = min(kept) if direction == "lower" else max(kept)
    return abs(best - baseline.metric) / spread
