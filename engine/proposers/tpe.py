"""TPE (Bergstra et al. 2011, "Algorithms for hyper-parameter optimization") as Optuna has it, for one number at a time.

It is told results whole, whoever proposed them, not only what was moved.
"""

import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from engine.knobs import Scalar, Value
from engine.proposers.space import Choices, Range, dimensions

optuna.logging.set_verbosity(optuna.logging.WARNING)

ANYWHERE = FloatDistribution(-math.inf, math.inf)
"""The range of every number in a result: TPE looks at its value alone, so that all can share it."""

Draw = Callable[[str, Range], Scalar]
"""A value for a quantity, out of a range."""


class _Told(FrozenTrial):
    """A result as TPE is told it: all share what they have in common, for there may be thousands."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Told":
        """Itself, for Optuna's storage, which would keep a copy: nobody changes it."""
        return self


class Tpe:
    """What it believes of each quantity, after the results that it was told."""

    def __init__(self, frozen: Iterable[str] = ()) -> None:
        """``frozen``: the knobs that nobody moves."""
        self.told = 0
        """How many results."""
        self._frozen = tuple(frozen)
        self._results = InMemoryStorage()
        self._study = optuna.create_study(storage=self._results, direction="minimize")
        self._since = datetime.datetime.now(datetime.UTC)
        self._spreads: dict[str, BaseDistribution] = {}
        self._nothing: dict[Any, Any] = {}

    def tell(self, knobs: Mapping[str, Value], loss: float) -> None:
        """Learn from a result; ``loss`` is what is to become lower, infinite where the run failed."""
        self.told += 1
        params: dict[str, Scalar] = {}
        spreads: dict[str, BaseDistribution] = {}
        for dimension in dimensions(knobs, self._frozen):
            value = dimension.get(knobs)
            encoded = None if value is None else dimension.kind.encode(value)
            if value is not None and encoded is not None:
                params[dimension.quantity] = encoded
                is_choice = isinstance(encoded, str | bool)
                spreads[dimension.quantity] = _for_optuna(dimension.kind.range(value, 1.0)) if is_choice else ANYWHERE
        failed = not math.isfinite(loss)
        if spreads != self._spreads:
            self._spreads = spreads
        # TPE ranks a pruned trial below every completed one and passes a failed one over: a crash must teach.
        self._study.add_trial(
            _Told(
                number=-1,
                trial_id=-1,
                state=TrialState.PRUNED if failed else TrialState.COMPLETE,
                value=None if failed else loss,
                params=params,
                distributions=self._spreads,
                user_attrs=self._nothing,
                system_attrs=self._nothing,
                intermediate_values=self._nothing,
                datetime_start=self._since,
                datetime_complete=self._since,
            )
        )

    def asked(self, seed: int) -> Draw:
        """What draws a candidate's values, the same for the same seed and results."""
        sampler = TPESampler(seed=seed, n_startup_trials=0, multivariate=False)
        # A study remembers the results that it saw at its last ask. It is asked for no trial, which it would keep.
        study = optuna.load_study(study_name=self._study.study_name, storage=self._results)
        trial = create_trial(state=TrialState.RUNNING)

        def draw(quantity: str, spread: Range) -> Scalar:
            value: Scalar = sampler.sample_independent(study, trial, quantity, _for_optuna(spread))
            return value

        return draw


def _for_optuna(spread: Range) -> BaseDistribution:
    if isinstance(spread, Choices):
        return CategoricalDistribution(spread.options)
    if spread.is_whole:
        return IntDistribution(int(spread.low), int(spread.high))
    return FloatDistribution(spread.low, spread.high, log=spread.is_log)
