"""Where memory runs out: what is as large as a file that ran out of it, in every respect, is not tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.knobs import Value
from engine.ledger import Experiment
from engine.proposers.space import memory_sizes

Sizes = Mapping[str, int | float]


@dataclass
class MemoryLimit:
    """Learns from every run. Where one fitted that is larger than one that did not, sizes are not what it hung on."""

    too_large: list[Sizes] = field(default_factory=list)
    _fitted: list[Sizes] = field(default_factory=list)

    def tell(self, knobs: Mapping[str, Value], experiment: Experiment) -> None:
        sizes = memory_sizes(knobs)
        if experiment.metric is not None and not experiment.crashed:
            self._fitted = [each for each in self._fitted if not _covers(sizes, each)] + [sizes]
            self.too_large = [each for each in self.too_large if not _covers(sizes, each)]
        elif ran_out_of_memory(experiment) and sizes and not any(_covers(each, sizes) for each in self._fitted):
            self.too_large = [each for each in self.too_large if not _covers(each, sizes)] + [sizes]

    def forbids(self, knobs: Mapping[str, Value]) -> bool:
        sizes = memory_sizes(knobs)
        return any(_covers(sizes, each) for each in self.too_large)


def ran_out_of_memory(experiment: Experiment) -> bool:
    return experiment.crashed and "out of memory" in str(experiment.asi.get("result", ""))


def _covers(larger: Sizes, smaller: Sizes) -> bool:
    """Whether it is at least as large in every respect; a size that it lacks can't be compared."""
    return all(name in larger and larger[name] >= size for name, size in smaller.items())
