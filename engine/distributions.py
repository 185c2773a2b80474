"""Student's t, χ² and the best of N draws: the few probabilities that the evidence rests on.

Python's library has the normal distribution only, and scipy is 100 MB for three functions. Each is tested against
published tables.
"""

import math
from collections.abc import Callable


def t_cdf(value: float, degrees: float) -> float:
    """P(T ≤ value) for Student's t with so many degrees of freedom, which need not be whole (Welch)."""
    tail = 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + value * value))
    return 1 - tail if value > 0 else tail


def t_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t stays below with ``probability`` (0.5 or more)."""
    return _invert(lambda value: t_cdf(value, degrees), probability)


def chi_square_cdf(value: float, degrees: float) -> float:
    """P(X ≤ value) for χ² with so many degrees of freedom."""
    if value <= 0:
        return 0.0
    shape, half = degrees / 2, value / 2
    term = total = 1 / shape
    count = 0
    while term > total * 1e-16:
        count += 1
        term *= half / (shape + count)
        total += term
    return total * math.exp(shape * math.log(half) - half - math.lgamma(shape))


def chi_square_quantile(probability: float, degrees: float) -> float:
    """The value that χ² stays below with ``probability``."""
    return _invert(lambda value: chi_square_cdf(value, degrees), probability)


OVER_U, OVER_Z = 48, 25
"""Points of the two integrals in ``best_of``: four times as many change no third digit."""


def best_of(distance: float, tries: int, degrees: int, *, runs: int = 1, control_runs: int = 1) -> float:
    """P that the best of ``tries`` lies ``distance`` standard deviations or more beyond a control if nothing differs.

    Each try is the mean of ``runs`` draws, the control that of ``control_runs``, all of one normal distribution whose
    standard deviation is an estimate with ``degrees`` degrees of freedom. This is the one-sided comparison of many
    treatments with one control of Dunnett (JASA 50, 1955), exact for normal draws: the tries share the control and
    the estimate, which Bonferroni's and Šidák's bounds ignore at a high price where ``degrees`` is small.

    Given the control's mean z/√control_runs and the estimate u, the tries are independent: the probability that none
    goes so far is Φ(√runs (distance·u − z/√control_runs))^tries, here integrated over z and ln u by the midpoint
    rule, which converges exponentially for such bells.
    """
    reach = 14 / degrees  # beyond it the density is under e⁻¹⁴ of its peak
    low, high = -(reach + math.sqrt(reach)), min(math.sqrt(reach), 3.0)
    step_u, step_z = (high - low) / OVER_U, 12 / OVER_Z
    middles = [-6 + step_z * (index + 0.5) for index in range(OVER_Z)]
    bell = [math.exp(-z * z / 2) for z in middles]
    sharpness = math.sqrt(runs / 2)
    controls = [sharpness * z / math.sqrt(control_runs) for z in middles]
    none = mass = 0.0
    for index in range(OVER_U):
        log_u = low + step_u * (index + 0.5)
        weight = math.exp(degrees * (log_u - (math.exp(2 * log_u) - 1) / 2))
        bound = sharpness * distance * math.exp(log_u)
        chances = [(0.5 * math.erfc(control - bound)) ** tries for control in controls]
        none += weight * sum(share * chance for share, chance in zip(bell, chances, strict=True))
        mass += weight
    return min(1.0, max(0.0, 1 - none / (mass * math.fsum(bell))))


def _invert(function: Callable[[float], float], target: float) -> float:
    """Where an increasing function of a value from 0 on reaches ``target``, by bisection."""
    low, high = 0.0, 1.0
    while function(high) < target:
        low, high = high, high * 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function by its continued fraction (DLMF 8.17.22, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    ratio, c, d = 1.0, 1.0, 0.0
    for index in range(1000):
        m = index // 2
        if index == 0:
            numerator = 1.0
        elif index % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + numerator * d or 1e-300)
        c = 1 + numerator / c or 1e-300
        ratio *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * (ratio - 1)
