"""The default proposer: a search over train.py's knobs, offline, from the incumbent outwards.

With TPE, the default, each candidate is the incumbent with one or two knobs moved. Which ones is a bandit's choice
(Thompson 1933: a Beta posterior on "moving this knob was kept"), which has seen every result; where to is TPE's
(Bergstra et al. 2011), which has seen the latest MOST_TOLD, crashes included as the worst, and the best before. With
some dozens of experiments in a night and more than a dozen knobs, moving all of them at once would be random search
with a memory.
"""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import knobs as knob_edit
from engine.knobs import Value
from engine.ledger import Experiment
from engine.proposers import SILENT, Context, NothingToProposeError, Proposal, Result, Watch
from engine.proposers.memory import MemoryLimit
from engine.proposers.search_state import SearchState, Seen, best_of, distribution, last_of, split
from engine.proposers.space import Dimension, dimensions
from engine.settings import SearchSettings

if TYPE_CHECKING:
    from engine.proposers.evolution import Evolution
    from engine.proposers.tpe import Tpe

ATTEMPTS = 100
GUIDED_ATTEMPTS = 10
"""After so many that led to nothing new, knobs and values are drawn blindly: the guides may insist on what is known."""
BOLD = 1.6
"""How much further a step goes while the loop thrashes."""
RESULTS_FIRST = 4
"""Before so many are known, values are drawn from anywhere in their ranges."""
MOST_TOLD = 300
"""Results that TPE is told at a time: its work and its memory grow with them, while the incumbent has moved on."""
BEST_TOLD = 25
"""Of those before the latest, so many of the best: TPE takes no more than that for the good ones."""
MOVED_AT_ONCE = {1: 0.7, 2: 0.3}
"""How many knobs a candidate moves, and how often."""
GOOD = 0.1
"""The share of all results that TPE, as Optuna has it, takes for the good ones."""
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
    """Hyper-parameter search.

    ``cmaes`` draws all knobs at once (engine.proposers.evolution); ``random`` is the plain comparison: all knobs,
    uniformly around the incumbent's values.
    """

    name = "search"
    reads_prose = False

    def __init__(self, settings: SearchSettings, direction: str = "lower") -> None:
        """``direction``: which way the metric improves, "lower" or "higher"."""
        self._settings = settings
        self._sign = 1 if direction == "lower" else -1
        self._tpe: Tpe | None = None
        self._evolution: Evolution | None = None
        self._memory = MemoryLimit()
        self._seen: list[Seen] = []
        self._records: dict[str, _Record] = {}
        self._tried: set[bytes] = set()
        self._incumbent: dict[str, Value] | None = None
        self._metric: float | None = None
        """The incumbent's."""
        self._from_code = 0.0
        """By how much changes of code alone moved the incumbent's loss: what knobs did is compared without it."""

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        if context.failed is not None:
            raise NothingToProposeError("the search moves knobs: it can't mend code.")
        knobs = knob_edit.read(context.incumbent)
        space = dimensions(knobs, self._settings.frozen)
        if not space:
            raise NothingToProposeError(
                "train.py has no knobs to search: a knob is a top-level `ALL_CAPS = literal`; seeds and the knobs that "
                "autoresearch.toml freezes don't count."
            )
        arithmetic = Arithmetic.of(context.prepare)
        for attempt in range(ATTEMPTS):
            chance = random.Random(f"{self._settings.seed}:{context.turn}:{attempt}")
            is_guided = attempt < GUIDED_ATTEMPTS
            if self._settings.sampler == "cmaes" and is_guided:
                moved = self._distribution(space, knobs).ask(knobs, chance)
            else:
                chosen = self._choose(space, chance, context.thrashing, is_guided)
                moved = self._move(knobs, chosen, chance, context.thrashing, is_guided)
            moved = arithmetic.mend(knobs | moved)
            changed = {name: value for name, value in moved.items() if repr(value) != repr(knobs[name])}
            if changed and _fingerprint(moved) not in self._tried and not self._memory.forbids(moved):
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
        self._memory.tell(knobs, result.experiment)
        seen = self._remember(knobs, result.experiment)
        if seen.teaches_knobs:
            for guide in (self._tpe, self._evolution):
                if guide is not None:
                    guide.tell(seen.knobs, seen.loss)
        self._score(knobs, result.experiment)

    def state(self, incumbent: str) -> SearchState:
        """What it believes so far, seen from the incumbent's train.py."""
        knobs = knob_edit.read(incumbent)
        space = dimensions(knobs, self._settings.frozen)
        failed = sum(not math.isfinite(each.loss) for each in self._seen)
        summary = f"The search ({self._settings.sampler}) over {len(space)} numbers and choices of train.py has seen "
        summary += f"{len(self._seen)} results, {failed} of them failures."
        return SearchState(summary, self._belief(space, knobs), best_of(self._seen, knobs), last_of(self._seen))

    def _belief(self, space: list[Dimension], knobs: dict[str, Value]) -> tuple[str, ...]:
        limits = tuple(
            "Out of memory, and nothing as large is proposed: " + ", ".join(f"{name} ≥ {each[name]}" for name in each)
            for each in self._memory.too_large
        )
        match self._settings.sampler:
            case "cmaes":
                return limits + distribution(self._distribution(space, knobs))
            case "tpe":
                told = self._for_tpe()
                return limits + split(told, max(1, min(math.ceil(GOOD * len(told)), BEST_TOLD)), space)
        return limits

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
        if result.experiment.failed:
            return f"{moved}: stay away from this value"
        if self._is_without_effect(result.experiment):
            return f"{moved}: no effect from here, the metric is the same to the last digit; try another knob"
        return f"{moved}: smaller steps, the other direction, or another knob"

    def require(self) -> None:
        """It needs nothing but train.py."""

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
        seed = chance.randrange(2**31)
        knows_enough = self._settings.sampler == "tpe" and len(self._taught()) >= RESULTS_FIRST
        draw = self._estimator().asked(seed) if is_guided and knows_enough else None
        moved = dict(knobs)
        for dimension in chosen:
            value = dimension.get(knobs)
            if value is None:
                continue
            spread = dimension.kind.range(value, BOLD if thrashing else 1.0)
            scalar = value if draw is None else dimension.kind.decode(draw(dimension.quantity, spread))
            if scalar == value:  # TPE stays where a whole number or a choice did best so far
                scalar = dimension.kind.decode(spread.draw(chance))
            moved[dimension.knob] = dimension.put(moved, scalar)
        return {name: value for name, value in moved.items() if repr(value) != repr(knobs[name])}

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

    def _distribution(self, space: Sequence[Dimension], knobs: Mapping[str, Value]) -> "Evolution":
        """CMA-ES over the incumbent's knobs; begun anew, and told all again, where there are others than before."""
        from engine.proposers.evolution import Evolution  # with numpy, which a session of models need not load

        if self._evolution is None or self._evolution.space != tuple(dimension.quantity for dimension in space):
            starts = (
                each.knobs for each in self._seen if {dimension.quantity for dimension in space} <= _quantities(each)
            )
            self._evolution = Evolution(space, next(starts, knobs))
            for each in self._taught():
                self._evolution.tell(each.knobs, each.loss)
        return self._evolution

    def _estimator(self) -> "Tpe":
        """TPE, which has been told the results so far."""
        from engine.proposers.tpe import Tpe  # with Optuna, which a session of models need not load

        if self._tpe is None or self._tpe.told > MOST_TOLD:
            self._tpe = Tpe(self._settings.frozen)
            for each in self._for_tpe():
                self._tpe.tell(each.knobs, each.loss)
        return self._tpe

    def _taught(self) -> list[Seen]:
        """The results that said something about knobs."""
        return [each for each in self._seen if each.teaches_knobs]

    def _for_tpe(self) -> list[Seen]:
        """What TPE is told: all that taught something about knobs; of very many the latest, and the best before."""
        taught = self._taught()
        if len(taught) <= MOST_TOLD:
            return taught
        older, latest = taught[: BEST_TOLD - MOST_TOLD], taught[BEST_TOLD - MOST_TOLD :]
        best = sorted(older, key=lambda each: each.loss)[:BEST_TOLD]
        return sorted(best, key=lambda each: each.run) + latest

    def _remember(self, knobs: dict[str, Value], experiment: Experiment) -> Seen:
        failed = experiment.metric is None or experiment.failed
        loss = math.inf if experiment.metric is None or failed else self._sign * experiment.metric
        seen = Seen(
            experiment.run, experiment.status, experiment.metric, knobs, self._incumbent, loss - self._from_code
        )
        if experiment.kept and not seen.teaches_knobs and experiment.metric is not None and self._metric is not None:
            self._from_code += self._sign * (experiment.metric - self._metric)
        self._seen.append(seen)
        return seen

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
        return not experiment.failed and experiment.metric is not None and experiment.metric == self._metric


@dataclass(frozen=True)
class Arithmetic:
    """What must divide what: a step's tokens are a whole number of device batches of whole rows."""

    row: int

    @classmethod
    def of(cls, prepare: str) -> "Arithmetic":
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


def _quantities(seen: Seen) -> set[str]:
    return {dimension.quantity for dimension in dimensions(seen.knobs)}


def _fingerprint(knobs: dict[str, Value]) -> bytes:
    return hashlib.sha256(repr(sorted(knobs.items())).encode()).digest()
