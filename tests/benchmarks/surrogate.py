"""What each proposer finds in 30 and in 100 experiments, on a surrogate of the demo: 50 sessions each.

``python -m tests.benchmarks surrogate`` fits the surrogate to the real runs in data/*.jsonl, prints how well it
predicts configurations that it was not fitted to, and plays sessions with the product's own proposers and judge: some
minutes of one core.

- val_bpb is a Gaussian process over the knobs and over what follows from them under the demo's budget of FLOPs: tokens,
  steps, width. Where no run has been, each ordinary step further costs EDGE: else a search would win by leaving the
  data.
- A measured val_bpb is the surrogate's with noise as of the baseline's runs with other seeds, the same each time that
  a configuration is run. The table says what the incumbent is worth without that noise.
- No demo run ever ran out of memory, and none diverged. So that there is a limit to run into, a configuration is out of
  memory when its weights, optimizer states and activations would take CARD times the baseline's.
- The stand-in for a language model goes through hints from published practice in an order of its own in each session,
  and repeats moves that it reads to have been kept in the search's state. It knows nothing of the data.
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import knobs as knob_edit
from engine.judge import Candidate, Incumbent, Status, judge
from engine.knobs import Value
from engine.ledger import Experiment
from engine.proposers import SILENT, Context, NothingToProposeError, Proposal, Proposer, Result, Watch
from engine.proposers.hybrid import Hybrid
from engine.proposers.search import Search
from engine.settings import HybridSettings, PolicySettings, SearchSettings
from tests.benchmarks.stand_in import Reader

DATA = Path(__file__).parent / "data"
SESSIONS = 50
LENGTHS = (30, 100)
WARM = 10
"""Failures are counted from here on."""
FOLDS = 5
EDGE = 0.004
"""bpb for each ordinary step beyond where any run has been, squared."""
CARD = 80 / 44
"""The memory of a card over what the GPU profile's baseline takes of it."""
PREPARE = "MAX_SEQ_LEN = 256\n"
ROW, VOCABULARY, BUDGET = 256, 2048, 750e9
FLOOR = 1.5
"""val_bpb is fitted as the logarithm of what it is above this."""

Knobs = dict[str, Value]
Array = NDArray[np.float64]
Record = dict[str, Any]


# ----------------------------------------------------------------------------------------------------------------------
# The surrogate


def load() -> list[Record]:
    """All real runs, with the knobs of a tuple as one."""
    records = [json.loads(line) for path in sorted(DATA.glob("*.jsonl")) for line in path.read_text().splitlines()]
    for record in records:
        record["knobs"] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record["knobs"].items()
        }
    return records


def number(knobs: Knobs, name: str) -> float:
    value = knobs[name]
    assert isinstance(value, int | float)
    return float(value)


def features(knobs: Knobs) -> dict[str, float]:
    """What val_bpb depends on, each in ordinary steps of the search."""
    depth, head, ratio = (round(number(knobs, name)) for name in ("DEPTH", "HEAD_DIM", "MLP_RATIO"))
    width = -(-depth * round(number(knobs, "ASPECT_RATIO")) // head) * head
    batch = number(knobs, "TOTAL_BATCH_SIZE")
    pattern, betas = knobs["WINDOW_PATTERN"], knobs["ADAM_BETAS"]
    assert isinstance(pattern, str)
    assert isinstance(betas, tuple)
    layers = [pattern[layer % len(pattern)] for layer in range(depth - 1)] + ["L"]
    matrices = depth * (4 + 2 * ratio) * width**2 + width * VOCABULARY
    muon = depth * 30 * width**3 * (4 + 2 * ratio)
    steps = BUDGET / (batch * (6 * matrices + 12 * width * ROW * depth) + muon)
    rates = {name: math.log2(number(knobs, name)) for name in RATES}
    shares = {name: number(knobs, name) / 0.2 for name in SHARES}
    return {
        "tokens": math.log2(steps * batch),
        "steps": math.log2(steps),
        "width": math.log2(width),
        "depth": float(depth),
        "head": math.log2(head),
        "mlp": math.log2(ratio),
        "long": layers.count("L") / depth,
        **rates,
        **shares,
        **{f"beta {n}": math.log2(1 - float(beta)) for n, beta in enumerate(betas)},
        "momentum": math.log2(1 - number(knobs, "MUON_MOMENTUM")),
    }


RATES = (
    "EMBEDDING_LR", "UNEMBEDDING_LR", "SCALAR_LR", "MATRIX_LR", "WEIGHT_DECAY", "LOGIT_CAP", "ROPE_BASE",
)  # fmt: skip
SHARES = ("WARMUP_RATIO", "WARMDOWN_RATIO", "FINAL_LR_FRAC")
SIZES = 7
"""The first of the features are of the model's size."""


def memory(knobs: Knobs) -> float:
    """MB of weights with their gradients and moments, and of a pass's activations, by the shapes."""
    depth, head = round(number(knobs, "DEPTH")), round(number(knobs, "HEAD_DIM"))
    width = -(-depth * round(number(knobs, "ASPECT_RATIO")) // head) * head
    ratio = number(knobs, "MLP_RATIO")
    weights = depth * (4 + 2 * ratio) * width**2 + width * VOCABULARY * (2 + -(-depth // 2))
    tokens = number(knobs, "DEVICE_BATCH_SIZE") * ROW
    return (16 * weights + 4 * tokens * (depth * width * (12 + 2 * ratio) + 3 * VOCABULARY)) / 2**20


@dataclass(frozen=True)
class Hyper:
    """Of the kernel: the logarithms of the scale of each feature and of three variances and the noise."""

    scales: Array
    size: float
    optimizer: float
    joint: float
    noise: float


START = Hyper(np.full(20, math.log(3.0)), math.log(0.3), math.log(0.01), math.log(0.01), math.log(1e-4))
"""Where the fit begins."""


@dataclass(frozen=True)
class Surrogate:
    """A Gaussian process: the model's size jointly, each knob of the optimizer by itself, and all of them jointly."""

    points: Array
    values: Array
    """log(val_bpb - FLOOR), less their mean."""
    center: float
    repeats: Array
    """How many runs each value is the mean of."""
    hyper: Hyper
    noise: float
    """bpb: the standard deviation over seeds."""

    @classmethod
    def fit(cls, records: Sequence[Record]) -> "Surrogate":
        groups: dict[str, list[Record]] = {}
        for each in records:
            if each["val_bpb"] is not None:
                alike = {k: v for k, v in each["knobs"].items() if k not in ("SEED", "DEVICE_BATCH_SIZE")}
                groups.setdefault(repr(sorted(alike.items())), []).append(each)
        distinct = [{each["knobs"].get("SEED"): each["val_bpb"] for each in group} for group in groups.values()]
        points = np.array([list(features(group[0]["knobs"]).values()) for group in groups.values()])
        raw = np.array([statistics.fmean(each.values()) for each in distinct])
        logs = np.log(raw - FLOOR)
        seeds = [each["val_bpb"] for each in records if each["arm"] == "seeds"]
        model = cls(
            points, logs, 0.0, np.array([float(len(each)) for each in distinct]), START, statistics.stdev(seeds)
        )
        return model.without(np.zeros(len(logs), dtype=bool))

    def without(self, left_out: NDArray[np.bool_]) -> "Surrogate":
        """Fitted anew to all but some configurations."""
        logs = (self.values + self.center)[~left_out]
        center = float(logs.mean())
        model = replace(
            self, points=self.points[~left_out], values=logs - center, center=center, repeats=self.repeats[~left_out],
            hyper=START,
        )  # fmt: skip
        return model._tuned()

    def kernel(self, first: Array, second: Array) -> Array:
        hyper = self.hyper
        squares = np.square((first[:, None, :] - second[None, :, :]) * np.exp(-hyper.scales))
        sizes = np.exp(hyper.size - 0.5 * squares[:, :, :SIZES].sum(-1))
        single = np.exp(hyper.optimizer - 0.5 * squares[:, :, SIZES:]).sum(-1)
        joint = np.exp(hyper.joint - 0.5 * squares.sum(-1) / 4)
        total: Array = sizes + single + joint
        return total

    @cached_property
    def inverse(self) -> Array:
        noise = np.diag(math.exp(self.hyper.noise) / self.repeats + 1e-9)
        return np.linalg.inv(self.kernel(self.points, self.points) + noise).astype(np.float64)

    @cached_property
    def weights(self) -> Array:
        return self.inverse @ self.values

    @property
    def likelihood(self) -> float:
        """The logarithm of the marginal likelihood, with a mild prior on the hyper-parameters."""
        sign, determinant = np.linalg.slogdet(self.inverse)
        prior = ((self.hyper.scales - math.log(3.0)) ** 2).sum() / 2
        return -math.inf if sign <= 0 else float(0.5 * determinant - 0.5 * self.values @ self.weights - prior)

    def _tuned(self, rounds: int = 600) -> "Surrogate":
        """Climb the likelihood by random steps."""
        chance = np.random.default_rng(0)
        best, reached = self, self.likelihood
        for turn in range(rounds):
            step = 0.8 * (1 - turn / rounds) + 0.1
            old = best.hyper
            mask = chance.random(len(old.scales)) < 0.2
            hyper = Hyper(
                old.scales + mask * chance.normal(0, step, len(old.scales)),
                *(each + chance.normal(0, step) * (chance.random() < 0.4) for each in
                  (old.size, old.optimizer, old.joint, old.noise)),
            )  # fmt: skip
            tried = replace(best, hyper=hyper)
            if tried.likelihood > reached:
                best, reached = tried, tried.likelihood
        return best

    @cached_property
    def reach(self) -> tuple[Array, Array]:
        return self.points.min(0), self.points.max(0)

    def predict(self, knobs: Knobs) -> float:
        """val_bpb without noise."""
        point = np.array(list(features(knobs).values()))
        inside = np.clip(point, *self.reach)
        logs = self.kernel(inside[None, :], self.points)[0] @ self.weights + self.center
        return float(np.exp(logs) + FLOOR + EDGE * ((point - inside) ** 2).sum())


# ----------------------------------------------------------------------------------------------------------------------
# The proposers


class StandIn:
    """The stand-in for a language model as a proposer, without HTTP between."""

    name = "chat"
    reads_prose = True

    def __init__(self, seed: int) -> None:
        self._reader = Reader(seed)

    def ask(self, context: Context, watch: Watch = SILENT) -> Proposal:
        for change in self._reader.moves(knob_edit.read(context.incumbent), context.search_state):
            train = knob_edit.replace(context.incumbent, change)
            if all(result.train != train for result in context.history):
                return Proposal(train=train, description=str(change), source=self.name)
        raise NothingToProposeError("nothing is left to try")

    def tell(self, result: Result) -> None:
        """It reads what it needs in the search's state."""

    def reflect(self, result: Result) -> str:
        return ""

    def close(self) -> None:
        """It runs no process."""

    def require(self) -> None:
        """It needs nothing."""


def proposers(arm: str, seed: int) -> tuple[Proposer, Search]:
    """Who proposes in the demo, and the search that takes the turn where a model has no idea, as in the loop."""
    sampler = "tpe" if arm == "hybrid" else arm
    search = Search(SearchSettings(sampler=sampler, seed=seed, frozen=["DEVICE_BATCH_SIZE"]))  # type: ignore[arg-type]
    return (Hybrid(HybridSettings(seed=seed), search, StandIn(seed)) if arm == "hybrid" else search), search


ARMS = ("random", "tpe", "cmaes", "hybrid")


# ----------------------------------------------------------------------------------------------------------------------
# Sessions


@dataclass(frozen=True)
class Played:
    """One session: after each experiment, what the incumbent is worth; and which experiments failed."""

    worth: list[float]
    failed: list[bool]
    seconds: float


def play(arm: str, seed: int, surrogate: Surrogate, start: Knobs, length: int) -> Played:
    """A session of so many experiments after the baseline, as the loop would have it."""
    train = "".join(f"{name} = {value!r}\n" for name, value in start.items())
    limit, noise = CARD * memory(start), f"{seed}"
    (chosen, search), policy = proposers(arm, seed), PolicySettings()
    history: list[Result] = []
    worth: list[float] = []
    failed: list[bool] = []
    metric, without_keep, spent = math.inf, 0, 0.0
    candidate, source = train, "baseline"
    for turn in range(length + 1):
        knobs = knob_edit.read(candidate)
        out_of_memory = memory(knobs) > limit
        truth = surrogate.predict(knobs)
        measured = truth + surrogate.noise * random.Random(noise + repr(knobs)).gauss(0, 1)
        verdict = judge(
            Candidate(measured, failure="out of memory" if out_of_memory else "", is_given=turn == 0),
            Incumbent(metric) if turn else None,
            policy,
        )
        if verdict.status is Status.KEEP:
            train, metric, value = candidate, measured, truth
        without_keep = 0 if verdict.status is Status.KEEP else without_keep + 1
        failed.append(out_of_memory)
        worth.append(value)
        result = None if out_of_memory else measured
        experiment = Experiment(
            run=turn + 1, metric=result, status=verdict.status, asi={"result": verdict.reason}, source=source
        )
        history.append(Result(experiment, candidate))
        began = time.perf_counter()
        chosen.tell(history[-1])
        context = Context(
            incumbent=train, prepare=PREPARE, turn=turn + 1, run=turn + 2, history=tuple(history),
            thrashing=without_keep >= policy.thrash_after,
        )  # fmt: skip
        try:
            proposal = chosen.ask(context)
        except NothingToProposeError:
            proposal = search.ask(context)
        candidate, source = proposal.train, proposal.source
        spent += time.perf_counter() - began
    return Played(worth, failed, spent)


def interval(values: Sequence[float]) -> str:
    """The mean with its 95% interval, by Student's t for about 50 values."""
    half = 2.01 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.4f} ± {half:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.surrogate")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--arms", nargs="*", default=ARMS)
    options, _ = parser.parse_known_args(sys.argv[2:] if sys.argv[0].endswith("__main__.py") else None)
    records = load()
    surrogate = Surrogate.fit(records)
    describe(records, surrogate)
    start: Knobs = next(each["knobs"] for each in records if each["arm"] == "identical")
    print(f"baseline: {surrogate.predict(start):.4f}; noise of a run {surrogate.noise:.4f}\n")
    heads = f"{'after 30':>18}{'after 100':>18}{'failed of first 10':>20}{'of later':>10}{'s a session':>13}"
    print(f"{'incumbent':<10}{heads}")
    reached: dict[str, list[Played]] = {}
    for arm in options.arms:
        reached[arm] = [play(arm, seed, surrogate, start, LENGTHS[-1]) for seed in range(options.sessions)]
        print(row(arm, reached[arm]), flush=True)
    if "random" in reached:
        print("\nbetter than random by, session by session:")
        for arm in [each for each in reached if each != "random"]:
            pairs = list(zip(reached["random"], reached[arm], strict=True))
            gains = (
                interval([theirs.worth[length] - ours.worth[length] for theirs, ours in pairs]) for length in LENGTHS
            )
            print(f"{arm:<10}" + "".join(f"{gain:>18}" for gain in gains))


def row(arm: str, played: Sequence[Played]) -> str:
    """One proposer's line of the table."""
    worth = (interval([each.worth[length] for each in played]) for length in LENGTHS)
    early = statistics.fmean(fail for each in played for fail in each.failed[1 : WARM + 1])
    late = statistics.fmean(fail for each in played for fail in each.failed[WARM + 1 :])
    seconds = statistics.fmean(each.seconds for each in played)
    return f"{arm:<10}" + "".join(f"{each:>18}" for each in worth) + f"{early:>20.1%}{late:>10.1%}{seconds:>13.1f}"


def describe(records: Sequence[Record], surrogate: Surrogate) -> None:
    """Print what the surrogate was fitted to, and the error of others like it on what they were not fitted to."""
    crashed = sum(each["val_bpb"] is None for each in records)
    true, predicted = cross_validated(surrogate)
    print(f"surrogate: {len(records)} runs ({crashed} without a metric) of {len(true)} configurations, {FOLDS}-fold:")
    for name, part in (("all", true < math.inf), ("below 1.80", true < 1.8), ("below 1.72", true < 1.72)):
        error, spread = true[part] - predicted[part], np.std(true[part])
        print(
            f"  {name:<11}{part.sum():>4} configurations, error {np.sqrt((error**2).mean()):.4f} (median "
            f"{np.median(np.abs(error)):.4f}), their spread {spread:.4f}, R² {1 - (error**2).mean() / spread**2:.2f}"
        )


def cross_validated(surrogate: Surrogate) -> tuple[Array, Array]:
    """(val_bpb, val_bpb as predicted by a model that was fitted, kernel and all, without that configuration)."""
    logs = surrogate.values + surrogate.center
    predicted = np.zeros_like(logs)
    folds = np.random.default_rng(0).permutation(len(logs)) % FOLDS
    for fold in range(FOLDS):
        out = folds == fold
        model = surrogate.without(out)
        predicted[out] = model.kernel(surrogate.points[out], model.points) @ model.weights + model.center
    return np.exp(logs) + FLOOR, np.exp(predicted) + FLOOR


if __name__ == "__main__":
    main()
