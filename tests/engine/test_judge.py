"""The judge's table (DESIGN §7): every row, its boundaries from both sides, and the order of the rows."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.judge import CONFIRMING_RUNS, Candidate, Incumbent, Status, judge, must_confirm
from engine.noise import NoiseFloor
from engine.patch import Size
from engine.settings import PolicySettings

# Powers of two, so that sums and differences are exact and a boundary is a boundary.
POLICY = PolicySettings(equal_within=0.125, small_gain=0.5, many_lines=20, memory_factor=2.0, small_gain_share=0.25)
INCUMBENT = Incumbent(metric=8.0, memory_mb=1000.0)
SIMPLER, LARGER = Size(-3, -9), Size(20, 90)

KEEP, DISCARD, CRASH, CHECKS_FAILED = Status.KEEP, Status.DISCARD, Status.CRASH, Status.CHECKS_FAILED


def status(candidate: Candidate, incumbent: Incumbent | None = INCUMBENT, direction: str = "lower") -> Status:
    return judge(candidate, incumbent, POLICY, direction).status


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        # ended badly
        (Candidate(None), CRASH),
        (Candidate(math.nan), CRASH),
        (Candidate(math.inf), CRASH),
        (Candidate(-math.inf), CRASH),
        (Candidate(1.0, failure="out of memory (exit code 1)"), CRASH),
        (Candidate(None, failure="over the time limit of 600 s"), CRASH),
        # broke the rules
        (Candidate(1.0, violations=("prepare.py was changed",)), CHECKS_FAILED),
        (Candidate(1.0, failed_checks="2 tests failed"), CHECKS_FAILED),
        # a person ended it
        (Candidate(None, skipped=True), DISCARD),
        (Candidate(1.0, skipped=True), DISCARD),
        # lower by another draw of the random numbers
        (Candidate(1.0, only_seeds_differ=True), DISCARD),
        # lower
        (Candidate(7.75), KEEP),
        (Candidate(1.0), KEEP),
        # lower by a little, for much code
        (Candidate(7.75, growth=Size(20, 1)), DISCARD),
        (Candidate(7.75, growth=Size(19, 999)), KEEP),
        (Candidate(7.5, growth=Size(20, 1)), KEEP),
        (Candidate(7.5625, growth=Size(20, 1)), DISCARD),
        # lower by a little, for much memory
        (Candidate(7.0, memory_mb=2001.0), DISCARD),
        (Candidate(7.0, memory_mb=2000.0), KEEP),
        (Candidate(6.0, memory_mb=2001.0), KEEP),
        (Candidate(6.0625, memory_mb=2001.0), DISCARD),
        (Candidate(7.0, memory_mb=None), KEEP),
        (Candidate(7.0, memory_mb=0.0), KEEP),
        # equal
        (Candidate(8.0), DISCARD),
        (Candidate(8.0, growth=SIMPLER), KEEP),
        (Candidate(8.0, growth=LARGER), DISCARD),
        (Candidate(7.875), DISCARD),
        (Candidate(7.875, growth=SIMPLER), KEEP),
        (Candidate(7.8125), KEEP),
        (Candidate(8.125, growth=SIMPLER), KEEP),
        (Candidate(8.125), DISCARD),
        # worse
        (Candidate(8.1875, growth=SIMPLER), DISCARD),
        (Candidate(9.0), DISCARD),
        (Candidate(9.0, growth=SIMPLER, memory_mb=1.0), DISCARD),
    ],
)
def test_the_table(candidate: Candidate, expected: Status) -> None:
    assert status(candidate) is expected


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (Candidate(None, skipped=True, failure="killed", violations=("x",)), DISCARD),
        (Candidate(1.0, failure="exit code 1", violations=("x",), failed_checks="y"), CRASH),
        (Candidate(None, violations=("x",), failed_checks="y"), CRASH),
        (Candidate(1.0, violations=("x",), is_given=True), CHECKS_FAILED),
        (Candidate(7.875, growth=Size(20, 1), memory_mb=9000.0), DISCARD),
    ],
    ids=["skip before crash", "crash before rules", "no metric before rules", "rules before baseline", "equal, large"],
)
def test_the_first_row_that_fits_decides(candidate: Candidate, expected: Status) -> None:
    assert status(candidate) is expected


def test_a_broken_rule_comes_before_failed_checks() -> None:
    verdict = judge(Candidate(1.0, violations=("train.py cheats",), failed_checks="no"), INCUMBENT, POLICY)
    assert verdict.reason == "train.py cheats"


@pytest.mark.parametrize(
    "candidate",
    [Candidate(None, skipped=True), Candidate(None), Candidate(math.nan), Candidate(None, failure="exit code 1")],
    ids=["skipped", "no metric", "not a number", "crashed"],
)
def test_what_a_run_broke_before_it_ended_badly_is_said_besides(candidate: Candidate) -> None:
    before = judge(candidate, INCUMBENT, POLICY)
    verdict = judge(replace(candidate, violations=("prepare.py was changed", "data was added")), INCUMBENT, POLICY)
    assert verdict.status is before.status
    assert verdict.reason == f"{before.reason}; besides, prepare.py was changed; besides, data was added"


@pytest.mark.parametrize("incumbent", [None, INCUMBENT])
def test_what_the_branch_holds_is_kept_whatever_it_measures(incumbent: Incumbent | None) -> None:
    assert status(Candidate(99.0, is_given=True), incumbent) is KEEP


def test_a_change_without_a_starting_point_to_compare_it_with_is_never_one_itself() -> None:
    assert status(Candidate(99.0, growth=LARGER), None) is DISCARD


@pytest.mark.parametrize("bad", [Candidate(None), Candidate(math.nan), Candidate(1.0, failure="exit code 1")])
def test_a_baseline_that_crashed_is_a_crash(bad: Candidate) -> None:
    assert status(replace(bad, is_given=True), None) is CRASH


def test_an_incumbent_without_a_memory_figure_forbids_no_memory() -> None:
    assert status(Candidate(7.0, memory_mb=1e9), Incumbent(8.0)) is KEEP


@pytest.mark.parametrize(
    ("metric", "expected"), [(9.0, KEEP), (8.125, DISCARD), (8.1875, KEEP), (7.0, DISCARD), (8.0, DISCARD)]
)
def test_where_higher_is_better_the_table_is_mirrored(metric: float, expected: Status) -> None:
    assert status(Candidate(metric), direction="higher") is expected


@pytest.mark.parametrize(
    ("metric", "growth", "expected"),
    [
        (0.9999995, Size(0, 0), DISCARD),
        (0.9999980, Size(0, 0), KEEP),
        (0.9995, Size(20, 50), DISCARD),
        (0.9985, Size(20, 50), KEEP),
        (0.9995, Size(19, 50), KEEP),
    ],
)
def test_the_thresholds_are_the_designs_unless_a_person_sets_others(
    metric: float, growth: Size, expected: Status
) -> None:
    assert judge(Candidate(metric, growth=growth), Incumbent(1.0), PolicySettings()).status is expected


@pytest.mark.parametrize(
    ("memory", "metric", "expected"), [(2.1, 0.991, DISCARD), (2.1, 0.989, KEEP), (2.0, 0.991, KEEP)]
)
def test_twice_the_memory_must_bring_one_percent(memory: float, metric: float, expected: Status) -> None:
    assert judge(Candidate(metric, memory_mb=memory), Incumbent(1.0, 1.0), PolicySettings()).status is expected


@given(
    metric=st.none() | st.floats(),
    memory=st.none() | st.floats(0, 1e6),
    growth=st.builds(Size, st.integers(-50, 50), st.integers(-99, 99)),
)
def test_nothing_that_is_worse_by_more_than_the_noise_ever_moves_the_incumbent(
    metric: float | None, memory: float | None, growth: Size
) -> None:
    verdict = judge(Candidate(metric, memory_mb=memory, growth=growth), INCUMBENT, POLICY)
    if verdict.status is KEEP:
        assert metric is not None
        assert math.isfinite(metric)
        assert metric <= 8.0 + POLICY.equal_within
    assert verdict.reason


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (Candidate(7.0), ["better by 1.000000", "8.000000 → 7.000000"]),
        (Candidate(9.0), ["worse by 1.000000"]),
        (Candidate(8.0), ["equal", "not simpler"]),
        (Candidate(8.0, growth=SIMPLER), ["simplification", "3 lines less"]),
        (Candidate(8.0, growth=Size(0, -4)), ["simplification", "same lines"]),
        (Candidate(7.75, growth=LARGER), ["0.250000", "20 more lines", "not worth the complexity"]),
        (Candidate(7.0, memory_mb=4000.0), ["memory rose from 1000 to 4000 MB"]),
        (Candidate(1.0, failed_checks="loss is constant"), ["autoresearch.checks.sh", "loss is constant"]),
        (Candidate(None, skipped=True), ["skipped"]),
        (Candidate(None), ["without a metric"]),
    ],
)
def test_the_reason_says_why_in_words(candidate: Candidate, words: list[str]) -> None:
    reason = judge(candidate, INCUMBENT, POLICY).reason
    assert all(word in reason for word in words), reason


FLOOR = NoiseFloor(sd=0.25, degrees=2, configurations=1, across_seeds=True)
MARGIN = 2.9199856 * 0.25 * 2**0.5
"""Student's t at 95% with two degrees of freedom, for the difference of two runs."""


@pytest.mark.parametrize(
    ("repeats", "floor", "expected"),
    [
        ([8.0], FLOOR, False),
        ([8.5], FLOOR, False),
        ([7.75], FLOOR, True),
        ([8.0 - MARGIN + 1e-3], FLOOR, True),
        ([8.0 - MARGIN - 1e-3], FLOOR, False),
        ([7.75, 7.75], FLOOR, False),
        ([1.0], None, True),
        ([8.0], None, False),
        ([1.0, 1.0], None, False),
        ([7.999], NoiseFloor(0.0, 2, 1, across_seeds=False), True),
        ([7.999], NoiseFloor(0.0, 2, 1, across_seeds=True), False),
    ],
    ids=[
        "equal",
        "worse",
        "within the noise",
        "just within",
        "just beyond",
        "run again already",
        "no floor",
        "no floor, equal",
        "no floor, run again already",
        "identical repeats only",
        "the seed does nothing",
    ],
)
def test_policy_confirm_runs_again_what_may_be_luck(
    repeats: list[float], floor: NoiseFloor | None, expected: bool
) -> None:
    assert must_confirm(repeats, INCUMBENT, floor) is expected
    assert must_confirm([16 - each for each in repeats], INCUMBENT, floor, "higher") is expected


def test_policy_confirm_ends() -> None:
    repeats = [7.9]
    while must_confirm(repeats, INCUMBENT, FLOOR):
        repeats.append(7.9)
    assert len(repeats) == 1 + CONFIRMING_RUNS


def test_an_incumbent_of_many_runs_is_surer() -> None:
    gain = 8.0 - 0.9 * MARGIN
    assert must_confirm([gain], INCUMBENT, FLOOR)
    assert not must_confirm([gain], replace(INCUMBENT, runs=100), FLOOR)


@pytest.mark.parametrize(
    ("metric", "growth", "floor", "expected"),
    [
        (8.25, SIMPLER, FLOOR, KEEP),
        (8.2501, SIMPLER, FLOOR, DISCARD),
        (8.25, SIMPLER, None, DISCARD),
        (8.25, Size(0, 0), FLOOR, DISCARD),
        (7.8, Size(0, 0), FLOOR, KEEP),
        (7.8, LARGER, FLOOR, DISCARD),
    ],
    ids=["simpler", "just too much worse", "no floor", "not simpler", "lower is better still", "not worth the lines"],
)
def test_simpler_code_that_is_equal_within_the_noise_is_kept(
    metric: float, growth: Size, floor: NoiseFloor | None, expected: Status
) -> None:
    assert judge(Candidate(metric, growth=growth), INCUMBENT, POLICY, "lower", floor).status is expected
    assert judge(Candidate(16 - metric, growth=growth), INCUMBENT, POLICY, "higher", floor).status is expected
