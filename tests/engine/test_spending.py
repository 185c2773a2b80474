"""Costs, read from what files say and added up."""

from engine.spending import NOTHING, Spent, of, total


def test_a_cost_may_say_only_a_part() -> None:
    assert of({}) == NOTHING and of({"dollars": 0.5}) == Spent(dollars=0.5)
    assert of({"seconds": 34, "tokens_in": 12300.0, "tokens_out": 410, "dollars": 0.02, "other": 7}) == Spent(
        seconds=34.0, tokens_in=12300, tokens_out=410, dollars=0.02
    )


def test_costs_add_up() -> None:
    spent = total([{"seconds": 1.5, "tokens_in": 10, "dollars": 0.25}, {}, {"tokens_out": 5, "dollars": 0.5}])
    assert spent == Spent(seconds=1.5, tokens_in=10, tokens_out=5, dollars=0.75)
    assert spent.tokens == 15 and total([]) == NOTHING


def test_what_is_no_amount_counts_for_nothing() -> None:
    assert of({"seconds": -1, "tokens_in": float("inf"), "dollars": float("nan"), "tokens_out": 1e30}).seconds == 0
    assert total([{"dollars": -3.0}, {"dollars": float("inf")}, {"dollars": 1.0}]).dollars == 1.0
