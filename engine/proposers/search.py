"""The default proposer: Optuna's samplers over train.py's knobs, offline, from the incumbent outwards.

Each candidate is the incumbent with one or two knobs moved. Which ones is a bandit's choice (Thompson
1933: a Beta posterior on "moving this knob was kept"); where to is TPE's (Bergstra et al. 2011), which
has seen every result, crashes included as the worst. With some dozens of experiments in a night and
more than a dozen knobs, moving all of them at once would be random search with a memory.
"""

import math
import random
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial

from engine import knobs as knob_edit
from engine.knobs import Value
from engine.ledger import Experiment
from engine.proposers import SILENT, Context, NothingToProposeError, Proposal, Result, Watch
from engine.proposers.space import Dimension, dimensions
from engine.settings import SearchSettings

optuna.logging.set_verbosity(optuna.logging.WARNING)

ATTEMPTS = 100
GUIDED_ATTEMPTS = 10
"""After so many that led to nothing new, knobs and values are drawn blindly: the guides may insist on what is known."""
BOLD = 1.6
"""How much further a step goes while the loop thrashes."""
MOVED_AT_ONCE = {1: 0.7, 2: 0.3}
"""How many knobs a candidate moves, and how often."""
IDLE = 2
"""How many failures a move without any effect counts for, besides its own."""


@dataclass
class _Record:
    """How often moving a dimension was tried, and kept."""

    kept: int = 0
    dropped: int = 0
    idle: int = 0
    """Of those dropped, how often the metric was the incumbent's to the last digit: it made no other model."""


class Search:
    """Hyper-parameter search. ``random`` as the sampler is the plain comparison: all knobs, uniformly."""

    name = "search"

    def __init__(self, settings: SearchSettings, direction: str = "lower") -> None:
        """``direction``: which way the metric improves, "lower" or "higher"."""
        self._settings = settings
        self._study = optuna.create_study(direction="minimize" if direction == "lower" else "maximize")
        self._records: dict[str, _Record] = {}
        self._tried: set[str] = set()
        self._incumbent: dict[str, Value] | None = None
        self._metric: float | None = None
        """The incumbent's."""

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        knobs = knob_edit.read(context.incumbent)
        space = dimensions(knobs, self._settings.frozen)
        if not space:
            raise NothingToProposeError(
                "train.py has no knobs to search: a knob is a top-level `ALL_CAPS = literal`; seeds and the knobs that "
                "autoresearch.toml freezes don't count."
            )
        arithmetic = _Arithmetic.of(context.prepare)
        for attempt in range(ATTEMPTS):
            chance = random.Random(f"{self._settings.seed}:{context.turn}:{attempt}")
            is_guided = attempt < GUIDED_ATTEMPTS
            chosen = self._choose(space, chance, context.thrashing, is_guided)
            moved = self._move(knobs, chosen, chance, context.thrashing, is_guided)
            moved = arithmetic.mend(knobs | moved)
            changed = {name: value for name, value in moved.items() if repr(value) != repr(knobs[name])}
            if changed and _fingerprint(moved) not in self._tried:
                return self._propose(context, knobs, changed)
        raise NothingToProposeError(f"{ATTEMPTS} candidates in a row had been tried before: the space is exhausted.")

    def tell(self, result: Result) -> None:
        if result.experiment.inconclusive:
            return
        try:
            knobs = knob_edit.read(result.train)
        except SyntaxError:
            return
        self._tried.add(_fingerprint(knobs))
        self._observe(knobs, result.experiment)
        self._score(knobs, result.experiment)

    def reflect(self, result: Result) -> str:
        if self._incumbent is None:
            return ""
        try:
            knobs = knob_edit.read(result.train)
        except SyntaxError:
            return ""
        moved = ", ".join(name for name in knobs if knobs[name] != self._incumbent.get(name)) or "no knob"
        if result.experiment.inconclusive:
            return f"nothing was learned about {moved}; it may be tried again"
        if result.experiment.kept:
            return f"{moved}: search on from here"
        if result.experiment.crashed:
            return f"{moved}: stay away from this value"
        if self._is_without_effect(result.experiment):
            return f"{moved}: no effect from here, the metric is the same to the last digit; try another knob"
        return f"{moved}: smaller steps, the other direction, or another knob"

    def close(self) -> None:
        """It runs no process."""

    def _choose(
        self, space: list[Dimension], chance: random.Random, thrashing: bool, is_guided: bool
    ) -> list[Dimension]:
        if self._settings.sampler == "random":
            return space
        count = chance.choices(list(MOVED_AT_ONCE), list(MOVED_AT_ONCE.values()))[0]

        def promise(dimension: Dimension) -> float:
            record = self._records.get(dimension.name, _Record())
            if not is_guided:
                return chance.random()
            if thrashing:
                return -(record.kept + record.dropped) + chance.random()
            return chance.betavariate(1 + record.kept, 1 + record.dropped + IDLE * record.idle)

        return sorted(space, key=promise, reverse=True)[:count]

    def _move(
        self,
        knobs: dict[str, Value],
        chosen: list[Dimension],
        chance: random.Random,
        thrashing: bool,
        is_guided: bool,
    ) -> dict[str, Value]:
        self._study.sampler = self._sampler(chance.randrange(2**31))
        trial = self._study.ask()
        moved = dict(knobs)
        for dimension in chosen:
            value = dimension.get(knobs)
            if value is None:
                continue
            spread = dimension.kind.range(value, BOLD if thrashing else 1.0)
            scalar = dimension.kind.decode(_suggest(trial, dimension.quantity, spread))
            if scalar == value or not is_guided:  # TPE stays where a whole number or a choice did best so far
                scalar = dimension.kind.decode(_draw(spread, chance))
            moved[dimension.knob] = dimension.put(moved, scalar)
        self._study.tell(trial, state=TrialState.FAIL)
        return {name: value for name, value in moved.items() if repr(value) != repr(knobs[name])}

    def _sampler(self, seed: int) -> BaseSampler:
        if self._settings.sampler == "random":
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=4, multivariate=False)

    def _propose(self, context: Context, knobs: dict[str, Value], changed: dict[str, Value]) -> Proposal:
        summary = knob_edit.show_changes({name: (knobs[name], value) for name, value in changed.items()})
        return Proposal(
            train=knob_edit.replace(context.incumbent, changed),
            description=summary,
            source=self.name,
            asi={"hypothesis": self._hypothesis(list(changed), context.thrashing), "arch_change": summary},
        )

    def _hypothesis(self, names: list[str], thrashing: bool) -> str:
        parts = []
        for name in names:
            records = [record for key, record in self._records.items() if key.split("[")[0] == name]
            kept, tries = sum(each.kept for each in records), sum(each.kept + each.dropped for each in records)
            parts.append(f"{name} was moved {tries}× before, {kept}× for the better" if tries else f"{name} is untried")
        manner = "a bold step, since the last ones led nowhere" if thrashing else "a step from the incumbent"
        return f"{manner}: " + "; ".join(parts)

    def _observe(self, knobs: dict[str, Value], experiment: Experiment) -> None:
        """Show the study the whole configuration, not only what was moved."""
        params: dict[str, float | int | str | bool] = {}
        spreads: dict[str, BaseDistribution] = {}
        for dimension in dimensions(knobs, self._settings.frozen):
            value = dimension.get(knobs)
            encoded = None if value is None else dimension.kind.encode(value)
            if value is not None and encoded is not None:
                params[dimension.quantity] = encoded
                spreads[dimension.quantity] = dimension.kind.range(value, BOLD)
        failed = experiment.metric is None or experiment.crashed
        # TPE ranks a pruned trial below every completed one and passes a failed one over: a crash must teach.
        self._study.add_trial(
            create_trial(
                params=params,
                distributions=spreads,
                state=TrialState.PRUNED if failed else TrialState.COMPLETE,
                value=None if failed else experiment.metric,
            )
        )

    def _score(self, knobs: dict[str, Value], experiment: Experiment) -> None:
        """Keep the bandit's books: which dimensions were moved, and whether that was kept."""
        before, is_idle = self._incumbent, self._is_without_effect(experiment)
        if experiment.kept:
            self._incumbent, self._metric = knobs, experiment.metric
        if before is None:
            return
        for dimension in dimensions(knobs, self._settings.frozen):
            if dimension.get(knobs) != dimension.get(before):
                record = self._records.setdefault(dimension.name, _Record())
                if experiment.kept:
                    record.kept += 1
                else:
                    record.dropped += 1
                    record.idle += is_idle

    def _is_without_effect(self, experiment: Experiment) -> bool:
        return not experiment.crashed and experiment.metric is not None and experiment.metric == self._metric


@dataclass(frozen=True)
class _Arithmetic:
    """What must divide what: a step's tokens are a whole number of device batches of whole rows."""

    row: int

    @classmethod
    def of(cls, prepare: str) -> "_Arithmetic":
        try:
            row = knob_edit.read(prepare).get("MAX_SEQ_LEN")
        except SyntaxError:
            row = None
        return cls(row if isinstance(row, int) and row > 0 else 1)

    def mend(self, knobs: dict[str, Value]) -> dict[str, Value]:
        """Where a file has both: TOTAL_BATCH_SIZE in whole rows, and DEVICE_BATCH_SIZE halved until it fits into it."""
        total, rows = knobs.get("TOTAL_BATCH_SIZE"), knobs.get("DEVICE_BATCH_SIZE")
        if type(total) is not int or type(rows) is not int:  # True and False are whole numbers to isinstance
            return knobs
        total = max(total // self.row, 1) * self.row
        while rows > 1 and total % (rows * self.row):
            rows //= 2
        return knobs | {"TOTAL_BATCH_SIZE": total, "DEVICE_BATCH_SIZE": rows}


def _fingerprint(knobs: dict[str, Value]) -> str:
    return repr(sorted(knobs.items()))


def _suggest(trial: Trial, name: str, spread: BaseDistribution) -> float | int | str | bool:
    match spread:
        case FloatDistribution():
            return trial.suggest_float(name, spread.low, spread.high, log=spread.log)
        case IntDistribution():
            return trial.suggest_int(name, spread.low, spread.high)
        case CategoricalDistribution():
            choice = trial.suggest_categorical(name, spread.choices)
            assert isinstance(choice, float | int | str)
            return choice
    raise TypeError(f"no way to suggest from {spread}")


def _draw(spread: BaseDistribution, chance: random.Random) -> float | int | str | bool:
    """A value from anywhere in a range."""
    match spread:
        case FloatDistribution(log=True):
            return math.exp(chance.uniform(math.log(spread.low), math.log(spread.high)))
        case FloatDistribution():
            return chance.uniform(spread.low, spread.high)
        case IntDistribution():
            return chance.randint(spread.low, spread.high)
        case CategoricalDistribution():
            choice = chance.choice(spread.choices)
            assert isinstance(choice, float | int | str)
            return choice
    raise TypeError(f"no way to draw from {spread}")
