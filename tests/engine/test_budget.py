"""Caps and prices: what a session may take, and what models cost."""

import pytest

from engine.budget import end_of_models, end_of_session, priced
from engine.history import History
from engine.ledger import Config, Experiment, Segment
from engine.proposers import Cost
from engine.settings import BudgetSettings, PriceSettings
from engine.spending import Spent
from engine.workspace import Workspace


def history(workspace: Workspace, experiments: int) -> History:
    """A baseline and so many experiments after it."""
    lines = (Experiment(run=run, metric=1.0, status="keep") for run in range(1, experiments + 2))
    return History(workspace, Segment(0, Config(), tuple(lines)), experiments + 2)


def test_prices_make_dollars_of_tokens() -> None:
    cost = Cost(seconds=3, tokens_in=1000, tokens_out=200)
    assert priced(cost, PriceSettings(tokens_in=3, tokens_out=15)).dollars == pytest.approx(0.006)
    assert priced(cost, PriceSettings(tokens_out=15)).dollars == pytest.approx(0.003)


def test_without_prices_or_tokens_the_cost_is_what_was_reported() -> None:
    for cost, prices in (
        (Cost(tokens_in=1000), PriceSettings()),
        (Cost(tokens_in=1000, dollars=0.25), PriceSettings()),
        (Cost(seconds=9), PriceSettings(tokens_in=3)),
        (Cost(dollars=0.25), PriceSettings(tokens_in=3)),
    ):
        assert priced(cost, prices) == cost


@pytest.mark.parametrize(
    ("budget", "spent", "reason"),
    [
        (BudgetSettings(), Spent(tokens_in=10**9, dollars=1e6), ""),
        (BudgetSettings(tokens=100), Spent(tokens_in=60, tokens_out=39), ""),
        (BudgetSettings(tokens=100), Spent(tokens_in=60, tokens_out=40), "the 100 tokens of [budget] are spent"),
        (BudgetSettings(dollars=1.5), Spent(dollars=1.4999), ""),
        (BudgetSettings(dollars=1.5), Spent(dollars=1.5), "the $1.50 of [budget] are spent"),
        (BudgetSettings(tokens=0), Spent(), "the 0 tokens of [budget] are spent"),
    ],
)
def test_models_are_asked_until_their_budget_is_spent(budget: BudgetSettings, spent: Spent, reason: str) -> None:
    assert end_of_models(budget, spent) == reason


@pytest.mark.parametrize(
    ("budget", "experiments", "hours", "reason"),
    [
        (BudgetSettings(), 10_000, 10_000, ""),
        (BudgetSettings(experiments=3), 2, 0, ""),
        (BudgetSettings(experiments=3), 3, 0, "3 experiments are done"),
        (BudgetSettings(experiments=1), 1, 0, "1 experiment is done"),
        (BudgetSettings(hours=8), 5, 7.99, ""),
        (BudgetSettings(hours=8), 5, 8, "the 8 h of [budget] are over"),
        (BudgetSettings(experiments=3, hours=0.5), 3, 1, "3 experiments are done"),
    ],
)
def test_a_session_ends_with_its_budget(
    workspace: Workspace, budget: BudgetSettings, experiments: int, hours: float, reason: str
) -> None:
    assert end_of_session(budget, history(workspace, experiments), hours) == reason


def test_costs_add_up_and_dollars_stay_unknown_where_nobody_said() -> None:
    assert Cost(seconds=1, tokens_in=2) + Cost(tokens_in=3, tokens_out=4) == Cost(seconds=1, tokens_in=5, tokens_out=4)
    assert (Cost(dollars=0.25) + Cost()).dollars == 0.25
    assert (Cost(seconds=1.5, tokens_in=7)).as_line() == {"seconds": 1.5, "tokens_in": 7}
    assert Cost().as_line() == {}
