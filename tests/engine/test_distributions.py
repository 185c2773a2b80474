"""The probabilities behind the evidence, against published tables and against drawn numbers."""

import numpy as np
import pytest

from engine.distributions import best_of, chi_square_cdf, chi_square_quantile, t_cdf, t_quantile

T_TABLE = {  # degrees: one-sided 0.9, 0.95, 0.975, 0.9995
    1: (3.078, 6.314, 12.706, 636.619),
    2: (1.886, 2.920, 4.303, 31.599),
    4: (1.533, 2.132, 2.776, 8.610),
    10: (1.372, 1.812, 2.228, 4.587),
    120: (1.289, 1.658, 1.980, 3.373),
}
CHI_SQUARE_TABLE = {1: (0.00393, 3.841), 2: (0.10259, 5.991), 10: (3.940, 18.307), 30: (18.493, 43.773)}  # 0.05, 0.95
DUNNETT_TABLE = {  # Dunnett 1955, table 1a, one-sided 5%: 1 … 5 treatments
    5: (2.02, 2.44, 2.68, 2.85, 2.98),
    10: (1.81, 2.15, 2.34, 2.47, 2.56),
    20: (1.72, 2.03, 2.19, 2.30, 2.39),
}


@pytest.mark.parametrize("degrees", T_TABLE)
def test_quantiles_of_t_are_those_of_the_tables(degrees: int) -> None:
    found = [t_quantile(probability, degrees) for probability in (0.9, 0.95, 0.975, 0.9995)]
    assert found == pytest.approx(T_TABLE[degrees], rel=3e-4)


@pytest.mark.parametrize("degrees", [1, 2.5, 7, 300])
def test_t_is_symmetric_and_its_quantile_undoes_it(degrees: float) -> None:
    assert t_cdf(0, degrees) == pytest.approx(0.5)
    assert t_cdf(-1.3, degrees) + t_cdf(1.3, degrees) == pytest.approx(1)
    assert t_cdf(t_quantile(0.83, degrees), degrees) == pytest.approx(0.83)


@pytest.mark.parametrize("degrees", CHI_SQUARE_TABLE)
def test_quantiles_of_chi_square_are_those_of_the_tables(degrees: int) -> None:
    found = [chi_square_quantile(probability, degrees) for probability in (0.05, 0.95)]
    assert found == pytest.approx(CHI_SQUARE_TABLE[degrees], rel=2e-3)
    assert chi_square_cdf(0, degrees) == 0


@pytest.mark.parametrize("degrees", DUNNETT_TABLE)
def test_the_best_of_several_against_a_control_is_dunnetts_table(degrees: int) -> None:
    found = [best_of(bound * 2**0.5, tries, degrees) for tries, bound in enumerate(DUNNETT_TABLE[degrees], 1)]
    assert found == pytest.approx([0.05] * 5, abs=6e-4)


@pytest.mark.parametrize(
    ("distance", "tries", "degrees", "runs", "control_runs"),
    [(5, 100, 2, 1, 3), (15, 100, 2, 1, 3), (4, 50, 7, 1, 3), (60, 100, 1, 1, 2), (3, 1, 1, 1, 1), (1.5, 20, 9, 5, 4)],
)
def test_the_best_of_many_is_as_often_so_far_as_when_it_is_drawn(
    distance: float, tries: int, degrees: int, runs: int, control_runs: int
) -> None:
    random, count = np.random.default_rng(0), 20_000
    best = random.normal(size=(count, tries)).max(axis=1) / runs**0.5
    control = random.normal(size=count) / control_runs**0.5
    estimate = np.sqrt(random.chisquare(degrees, size=count) / degrees)
    drawn = float((best - control >= distance * estimate).mean())
    error = max(3 * (drawn * (1 - drawn) / count) ** 0.5, 1e-3)
    assert best_of(distance, tries, degrees, runs=runs, control_runs=control_runs) == pytest.approx(drawn, abs=error)


def test_the_best_of_more_tries_gets_further_by_chance() -> None:
    chances = [best_of(4, tries, 6) for tries in (1, 10, 100, 1000)]
    assert chances == sorted(chances) and chances[0] < 0.03 < chances[-1]


def test_extremes_are_probabilities() -> None:
    assert best_of(0, 1, 3) == pytest.approx(0.5)
    assert best_of(-50, 100, 3) == pytest.approx(1, abs=1e-5)
    assert best_of(1e9, 100, 3) == pytest.approx(0, abs=1e-5)
