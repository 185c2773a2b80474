"""What the judge lets pass, and what it finds, in sessions whose truth is known.

``python -m tests.benchmarks simulate`` plays 500 synthetic sessions for each effect size and prints how often each way
to claim a gain claims one, rightly and wrongly. The noise of a run is normal with standard deviation 1, which is the
unit of everything printed. A session measures its baseline three times and then has 100 runs. Each candidate changes
the incumbent of its time: one in ten makes it better by the effect, four in ten worse by the effect or more (by
exponentially distributed amounts), the rest do nothing. So gains add up, and losses that luck lets in add up too.

Verdicts, claims, noise floor and turns of `verify` are the product's own functions on a ledger in memory.
"""

import math
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine import noise, verification
from engine.claims import Claims, Standing, claims
from engine.judge import Candidate, Incumbent, Status, judge, must_confirm
from engine.ledger import Config, Experiment, Repeat, Segment
from engine.settings import PolicySettings
from engine.statistics import confidence

SESSIONS = 500
RUNS = 100
BASELINE_REPEATS = 3
LEVEL = 100.0
"""The baseline's true metric: far from zero, so that no threshold that is a share of the metric plays a part."""

POLICY = PolicySettings()


@dataclass(frozen=True)
class Scenario:
    """What candidates do to the incumbent, in standard deviations of a run."""

    name: str
    effect: float
    """By how much one in ten is better."""
    harm: float
    """By how much, at least, four in ten are worse."""

    def change(self, random: np.random.Generator) -> float:
        """What a candidate does to the true metric, which is to become lower."""
        kind = random.random()
        if kind < 0.1:
            return -self.effect
        return self.harm * (1 + random.exponential()) if kind < 0.5 else 0.0


NOTHING = Scenario("0", 0.0, 0.0)
ONLY_HARM = Scenario("0, 40% worse by 1+", 0.0, 1.0)
SCENARIOS = (NOTHING, ONLY_HARM, *(Scenario(f"{effect:g}", effect, effect) for effect in (0.5, 1.0, 2.0, 4.0)))


@dataclass
class Session:
    """A session under way, its ledger and the truth behind it."""

    random: np.random.Generator
    segment: Segment = field(default_factory=lambda: Segment(0, Config()))
    truth: dict[int, float] = field(default_factory=dict)
    """The true metric of every experiment, by run."""
    runs: int = 0
    """After the baseline's."""

    def measure(self, truth: float) -> float:
        return LEVEL + truth + float(self.random.standard_normal())

    def record(self, status: str, repeats: Sequence[float], truth: float) -> None:
        run = len(self.segment.experiments) + 1
        self.truth[run] = truth
        experiment = Experiment(
            run=run,
            metric=math.fsum(repeats) / len(repeats),
            repeats=tuple(repeats) if len(repeats) > 1 else (),
            seeds=tuple(range(len(repeats))) if len(repeats) > 1 else (),
            status=status,
        )
        self.segment = replace(self.segment, experiments=(*self.segment.experiments, experiment))

    @property
    def gain(self) -> float:
        """What the incumbent truly is better than the baseline."""
        incumbent = self.segment.incumbent
        return 0.0 if incumbent is None else -self.truth[incumbent.run]

    def verified(self, name: str, each: int) -> "Session":
        """The same session after a `verify`."""
        session = replace(self)
        baseline, incumbent = session.segment.baseline, session.segment.incumbent
        if baseline is None or incumbent is None or incumbent is baseline:
            return session
        pair = (baseline.run, incumbent.run)
        while turn := verification.next_turn(session.segment, name, pair, each=each):
            metric = session.measure(session.truth[turn.run])
            repeat = Repeat(run=turn.run, metric=metric, seed=turn.seed, verification=name)
            session.segment = replace(session.segment, repeats=(*session.segment.repeats, repeat))
        return session


def play(scenario: Scenario, random: np.random.Generator, runs: int = RUNS, *, confirm: bool = False) -> Session:
    """A whole session of so many runs after the baseline's, re-runs of the policy ``confirm`` included."""
    session = Session(random)
    session.record(Status.KEEP, [session.measure(0.0) for _ in range(BASELINE_REPEATS)], 0.0)
    while session.runs < runs:
        best = session.segment.incumbent
        assert best is not None and best.metric is not None
        truth = session.truth[best.run] + scenario.change(random)
        incumbent = Incumbent(best.metric, runs=max(1, len(best.repeats)))
        repeats = [session.measure(truth)]
        if confirm and repeats[0] < incumbent.metric:
            floor = noise.floor(session.segment)
            while session.runs + len(repeats) < runs and must_confirm(repeats, incumbent, floor):
                repeats.append(session.measure(truth))
        verdict = judge(Candidate(math.fsum(repeats) / len(repeats)), incumbent, POLICY)
        session.runs += len(repeats)
        session.record(verdict.status, repeats, truth)
    return session


LOWER, MAD, LIKELY = "lower", "MAD ≥ 2", "likely"
CONFIRMED = {each: f"confirmed, k={each}" for each in (3, 4, 5)}
DEFAULT = CONFIRMED[verification.RUNS_EACH]
INSISTED = "3 verifies"
"""Somebody asks up to three times, until it is confirmed."""


@dataclass(frozen=True)
class Outcome:
    """What one session shows."""

    gain: float
    claimed: dict[str, bool]
    """By the way to claim: whether it claims a gain over the baseline."""
    wrong_step: bool
    """Whether a kept experiment is called likely that truly is no better than the one before it."""
    experiments: int

    def wrong(self, way: str) -> bool:
        """A gain is claimed, and the final incumbent truly is no better than the baseline."""
        return self.claimed[way] and self.gain <= 0

    def right(self, way: str) -> bool:
        """A gain is claimed, and the final incumbent truly is better than the baseline."""
        return self.claimed[way] and self.gain > 0


def judged(session: Session, each: Iterable[int] = CONFIRMED) -> Outcome:
    """Every way to claim, tried on one session; ``each``: the k's of `verify`."""
    baseline, incumbent = session.segment.baseline, session.segment.incumbent
    assert baseline is not None and incumbent is not None
    assert baseline.metric is not None and incumbent.metric is not None
    now = claims(session.segment)
    sureness = confidence(session.segment)
    claimed = {
        LOWER: incumbent.metric < baseline.metric,
        MAD: sureness is not None and sureness >= 2,
        LIKELY: standing(now) is not Standing.UNPROVEN,
    }
    for k in each:
        once = session.verified("first", k)
        claimed[CONFIRMED[k]] = is_confirmed(once)
        if k == verification.RUNS_EACH:
            claimed[INSISTED] = is_confirmed(once) or _insist(once)
    wrong_step = any(
        step.standing is Standing.LIKELY and session.truth[step.run] >= session.truth[step.over] for step in now.steps
    )
    return Outcome(session.gain, claimed, wrong_step, len(session.segment.experiments) - 1)


def _insist(session: Session) -> bool:
    for name in ("second", "third"):
        session = session.verified(name, verification.RUNS_EACH)
        if is_confirmed(session):
            return True
    return False


def is_confirmed(session: Session) -> bool:
    return standing(claims(session.segment)) is Standing.CONFIRMED


def standing(found: Claims) -> Standing:
    return Standing.UNPROVEN if found.total is None else found.total.standing


def sessions_of(
    scenario: Scenario, count: int, *, confirm: bool = False, each: Iterable[int] = CONFIRMED
) -> list[Outcome]:
    """So many sessions of a scenario, the same ones whenever it is asked."""
    children = np.random.SeedSequence([SCENARIOS.index(scenario), confirm]).spawn(count)
    return [judged(play(scenario, np.random.default_rng(child), confirm=confirm), each) for child in children]


def share(hits: Iterable[bool]) -> str:
    """A percentage with its binomial standard error."""
    found = list(hits)
    part = sum(found) / len(found)
    return f"{100 * part:.1f} ±{100 * math.sqrt(part * (1 - part) / len(found)):.1f}"


def mean(values: Sequence[float]) -> str:
    """A mean with its standard error."""
    return f"{statistics.fmean(values):+.2f} ±{statistics.stdev(values) / math.sqrt(len(values)):.2f}"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def main() -> None:
    began = time.process_time()
    plain = {each.name: sessions_of(each, SESSIONS) for each in SCENARIOS}
    careful = {
        each.name: sessions_of(each, SESSIONS, confirm=True, each=[verification.RUNS_EACH]) for each in SCENARIOS
    }
    print(
        f"{SESSIONS} sessions a row, each {BASELINE_REPEATS} runs of the baseline and {RUNS} more; "
        f"% of sessions ± standard error (0.0 of {SESSIONS} is under {300 / SESSIONS:.1f} with 95% confidence)"
    )
    ways = [LOWER, MAD, LIKELY, DEFAULT, INSISTED]
    table(
        "WRONG: a gain is claimed, and the final incumbent truly is no better than the baseline",
        ["effect", *ways, "a wrong step likely"],
        (
            [
                name,
                *(share(each.wrong(way) for each in found) for way in ways),
                share(each.wrong_step for each in found),
            ]
            for name, found in plain.items()
        ),
    )
    table(
        "POWER: a gain is claimed, and the final incumbent truly is better than the baseline",
        ["effect", "truly better", *ways],
        (
            [
                name,
                share(each.gain > 0 for each in found),
                *(share(each.right(way) for each in found) for way in ways),
            ]
            for name, found in plain.items()
        ),
    )
    table(
        "`verify` with k runs of each, 2k runs more: wrong and power",
        ["effect", *(f"{word} k={k}" for k in CONFIRMED for word in ("wrong", "power"))],
        (
            [
                name,
                *(
                    share(hits)
                    for way in CONFIRMED.values()
                    for hits in ([each.wrong(way) for each in found], [each.right(way) for each in found])
                ),
            ]
            for name, found in plain.items()
        ),
    )
    table(
        f"POLICY confirm beside none at {RUNS} runs in all: true gain, truly better, experiments, rightly confirmed",
        ["effect", "gain", "confirm", "better %", "confirm", "tries", "confirm", "re-runs", "confirmed %", "confirm"],
        (
            [
                name,
                mean([each.gain for each in found]),
                mean([each.gain for each in careful[name]]),
                share(each.gain > 0 for each in found),
                share(each.gain > 0 for each in careful[name]),
                f"{statistics.fmean(each.experiments for each in found):.1f}",
                f"{statistics.fmean(each.experiments for each in careful[name]):.1f}",
                f"{statistics.fmean(RUNS - each.experiments for each in careful[name]):.1f}",
                share(each.right(DEFAULT) for each in found),
                share(each.right(DEFAULT) for each in careful[name]),
            ]
            for name, found in plain.items()
        ),
    )
    table(
        "WRONG with policy confirm",
        ["effect", LOWER, MAD, LIKELY, DEFAULT, "a wrong step likely"],
        (
            [
                name,
                *(share(each.wrong(way) for each in found) for way in (LOWER, MAD, LIKELY, DEFAULT)),
                share(each.wrong_step for each in found),
            ]
            for name, found in careful.items()
        ),
    )
    print(f"\n{time.process_time() - began:.0f} s of one core")
