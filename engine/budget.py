"""What a session may take by autoresearch.toml's [budget], and what models cost by its [prices]."""

from dataclasses import replace

from engine.history import History
from engine.proposers import Cost
from engine.settings import BudgetSettings, PriceSettings
from engine.spending import Spent


def priced(cost: Cost, prices: PriceSettings) -> Cost:
    """The cost in dollars too, where the person set prices and the model reported its tokens."""
    if not cost.tokens_in + cost.tokens_out or (prices.tokens_in is None and prices.tokens_out is None):
        return cost
    dollars = (cost.tokens_in * (prices.tokens_in or 0) + cost.tokens_out * (prices.tokens_out or 0)) / 1e6
    return replace(cost, dollars=dollars)


def end_of_models(budget: BudgetSettings, spent: Spent) -> str:
    """Why no model is asked any more; empty while one may be."""
    if budget.tokens is not None and spent.tokens >= budget.tokens:
        return f"the {budget.tokens:,} tokens of [budget] are spent"
    if budget.dollars is not None and spent.dollars >= budget.dollars:
        return f"the ${budget.dollars:,.2f} of [budget] are spent"
    return ""


def end_of_session(budget: BudgetSettings, history: History, hours: float) -> str:
    """Why no further experiment begins, after an engine has run for ``hours``; empty where one may."""
    if history.has(budget.experiments):
        return "1 experiment is done" if budget.experiments == 1 else f"{budget.experiments} experiments are done"
    if budget.hours is not None and hours >= budget.hours:
        return f"the {budget.hours:g} h of [budget] are over"
    return ""
