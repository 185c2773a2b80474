"""`verify`: whose turn it is, the gain with its interval, and what each kept change carries."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from engine.ledger import Config, Experiment, Repeat, Segment
from engine.verification import Share, Turn, ablate, ablation, compare, fresh, level, next_turn, plan, verified

BASELINE = Experiment(run=1, metric=2.0, status="keep")
INCUMBENT = Experiment(run=4, metric=1.0, status="keep")
EMPTY = Segment(0, Config(), (BASELINE, INCUMBENT))


def taken(segment: Segment, verification: str, turn: Turn, metric: float | None) -> Segment:
    repeat = Repeat(run=turn.run, metric=metric, seed=turn.seed, without=turn.without, verification=verification)
    return replace(segment, repeats=(*segment.repeats, repeat))


def play(segment: Segment, verification: str, metrics: dict[int, list[float]], each: int = 3) -> Segment:
    left = {run: list(values) for run, values in metrics.items()}
    while turn := next_turn(segment, verification, tuple(metrics), each=each):
        segment = taken(segment, verification, turn, left[turn.run].pop(0))
    return segment


def test_the_gain_has_welchs_interval() -> None:
    """By hand: variances 1 and 4 of three values each, 2.94 degrees of freedom, t = 3.22, standard error 1.29."""
    found = compare([10.0, 11.0, 12.0], [4.0, 6.0, 8.0])
    assert found is not None
    assert found.gain == pytest.approx(5.0)
    assert found.high - found.gain == pytest.approx(found.gain - found.low) == pytest.approx(4.156, abs=2e-3)
    assert found.is_real and not found.is_loss


def test_where_higher_is_better_the_gain_turns() -> None:
    lower, higher = compare([1.0, 2.0], [3.0, 5.0]), compare([1.0, 2.0], [3.0, 5.0], "higher")
    assert lower is not None and higher is not None
    assert (lower.gain, lower.low, lower.high) == pytest.approx((-higher.gain, -higher.high, -higher.low))


@pytest.mark.parametrize(("before", "after"), [([], []), ([1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0])])
def test_one_run_of_either_shows_no_interval(before: list[float], after: list[float]) -> None:
    assert compare(before, after) is None


def test_runs_that_do_not_move_give_a_point() -> None:
    found = compare([2.0, 2.0], [1.0, 1.0])
    assert found is not None and (found.low, found.gain, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("spread", [1.0, 3.0], ids=["equally noisy", "unequally noisy"])
def test_the_interval_holds_the_truth_as_often_as_it_says(spread: float) -> None:
    random = np.random.default_rng(3)
    found = [compare(list(random.normal(5, 1, 5)), list(random.normal(3, spread, 5))) for _ in range(2000)]
    hits = statistics.fmean(each is not None and each.low <= 2 <= each.high for each in found)
    assert 0.935 < hits < 0.97


def test_baseline_and_incumbent_take_turns_with_the_same_new_seed_a_round() -> None:
    segment, turns = EMPTY, []
    while turn := next_turn(segment, "v", (1, 4), each=3):
        turns.append((turn.run, turn.seed))
        segment = taken(segment, "v", turn, 1.0)
    assert turns == [(1, 1001), (4, 1001), (1, 1002), (4, 1002), (1, 1003), (4, 1003)]


def test_a_turn_without_a_metric_is_not_taken_again() -> None:
    segment = EMPTY
    for _ in range(4):
        turn = next_turn(segment, "v", (1, 4), each=2)
        assert turn is not None
        segment = taken(segment, "v", turn, None)
    assert next_turn(segment, "v", (1, 4), each=2) is None
    assert verified(segment, 1, 4) is None


def test_another_verification_begins_anew_with_other_seeds() -> None:
    segment = play(EMPTY, "first", {1: [2.0, 2.1], 4: [1.0, 1.1]}, each=2)
    assert next_turn(segment, "first", (1, 4), each=2) is None
    assert next_turn(segment, "second", (1, 4), each=2) == Turn(1, 1003)
    halfway = taken(segment, "second", Turn(1, 1003), 2.2)
    assert next_turn(halfway, "second", (1, 4), each=2) == Turn(4, 1003)


def test_a_verification_takes_no_seed_that_something_was_picked_with() -> None:
    picked = Experiment(run=4, metric=1.0, status="keep", repeats=(0.9, 1.1), seeds=(None, 1001))
    segment = Segment(0, Config(), (BASELINE, picked), (Repeat(run=1, metric=2.0, seed=1002),))
    first = next_turn(segment, "v", (1, 4), each=2)
    assert first == Turn(1, 1003)
    second = next_turn(taken(taken(segment, "v", first, 2.0), "v", Turn(4, 1003), 1.0), "v", (1, 4), each=2)
    assert second == Turn(1, 1004)


def test_each_kept_change_taken_out_has_its_turn_in_every_round() -> None:
    segment, turns = EMPTY, []
    while turn := next_turn(segment, "v", (1, 4), (2, 4), each=2):
        turns.append((turn.run, turn.without))
        segment = taken(segment, "v", turn, 1.0)
    assert turns == [(1, None), (4, None), (4, 2), (4, 4)] * 2


def test_only_what_verify_ran_counts_as_fresh() -> None:
    segment = play(EMPTY, "v", {1: [2.0, 2.2, 2.1], 4: [1.2, 1.0, 1.1]})
    more = replace(segment, repeats=(*segment.repeats, Repeat(run=4, metric=-99.0, seed=3)))
    assert len(fresh(more, 4)) == 3
    assert verified(more, 1, 4) == verified(segment, 1, 4)


def test_verifying_again_adds_runs_and_asks_for_more() -> None:
    once = play(EMPTY, "first", {1: [2.0, 2.2, 2.1], 4: [1.2, 1.0, 1.1]})
    twice = play(once, "second", {1: [2.0, 2.2, 2.1], 4: [1.2, 1.0, 1.1]})
    assert (level(EMPTY), level(once), level(twice)) == (0.95, 0.95, 0.975)
    assert len(fresh(twice, 1)) == 6


def test_the_changes_that_carry_the_gain_are_told_from_those_that_do_nothing_or_harm() -> None:
    parts = ablate(
        [1.0, 1.1, 0.9, 1.05, 0.95],
        {
            2: [1.5, 1.6, 1.4, 1.55, 1.45],
            5: [1.01, 1.1, 0.92, 1.05, 0.95],
            7: [0.6, 0.7, 0.5, 0.65, 0.55],
            9: [],
        },
    )
    assert {part.run: part.share for part in parts} == {2: Share.CARRIES, 5: Share.UNCLEAR, 7: Share.HARMS}
    assert parts[0].loss.gain == pytest.approx(0.5)


def test_where_nothing_carries_anything_the_whole_ablation_seldom_says_so() -> None:
    random = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        values = random.normal(size=(7, 5))
        parts = ablate(list(values[0]), {change: list(values[change]) for change in range(1, 7)})
        wrong += any(part.share is not Share.UNCLEAR for part in parts)
    assert wrong <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_a_single_run_each_says_nothing_of_what_a_change_carries() -> None:
    assert ablate([1.0], {2: [5.0]}) == ()


def test_an_ablation_is_read_from_the_ledger() -> None:
    segment = EMPTY
    while turn := next_turn(segment, "v", (1, 4), (2, 4), each=3):
        metric = {(1, None): 2.0, (4, None): 1.0, (4, 2): 1.9, (4, 4): 1.1}[turn.run, turn.without]
        segment = taken(segment, "v", turn, metric + 0.05 * (turn.seed % 3))
    assert {part.run: part.share for part in ablation(segment, 4)} == {2: Share.CARRIES, 4: Share.UNCLEAR}


def test_what_a_verification_that_was_cut_off_found_waits_until_it_is_complete() -> None:
    whole = plan(EMPTY, each=3)
    segment = EMPTY
    while turn := whole.next_turn(segment):
        assert not fresh(segment, 4)
        assert whole.left(segment) == 6 - len(segment.repeats)
        segment = taken(segment, whole.id, turn, 1.0 + turn.run / 10 + turn.seed / 1e6)
    assert len(fresh(segment, 4)) == 3 and whole.left(segment) == 0


def test_asking_for_more_runs_is_another_look() -> None:
    segment = EMPTY
    for each in (2, 3, 4):
        wanted = plan(segment, each=each)
        while turn := wanted.next_turn(segment):
            segment = taken(segment, wanted.id, turn, 1.0 + turn.run / 10 + turn.seed / 1e6)
    assert level(segment) == 1 - 0.05 / 4
