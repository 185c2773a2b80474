"""What may be claimed: the standing of each kept gain and of the whole session, and how often it is wrong."""

from dataclasses import replace

import pytest

from engine.claims import Claim, Standing, claims
from engine.ledger import Config, Experiment, Repeat, Segment
from engine.verification import next_turn
from tests.benchmarks import simulate

CONFIRMED, LIKELY, UNPROVEN = Standing.CONFIRMED, Standing.LIKELY, Standing.UNPROVEN
SIX_SEEDS = (1, 2, 3, 4, 5, 6)


def session(*metrics: float | None, noise: float = 0.0, seeds: tuple[int | None, ...] = SIX_SEEDS) -> Segment:
    """A baseline of six runs that spread by ±noise, then one run each; whatever is lowest so far is kept."""
    experiments: list[Experiment] = []
    for number, metric in enumerate(metrics, 1):
        best = min((each.metric for each in experiments if each.metric is not None), default=float("inf"))
        experiments.append(
            Experiment(
                run=number,
                metric=metric,
                status="crash" if metric is None else "keep" if metric < best else "discard",
                repeats=tuple(metric + noise * sign for sign in (1, -1) * 3) if number == 1 and metric else (),
                seeds=seeds if number == 1 else (),
            )
        )
    return Segment(0, Config(), tuple(experiments))


def verify(segment: Segment, *, noise: float, gain: float, verification: str = "v") -> Segment:
    """Fresh runs that spread by ±noise, the incumbent's better by ``gain``."""
    assert segment.baseline and segment.incumbent
    while turn := next_turn(segment, verification, (segment.baseline.run, segment.incumbent.run)):
        metric = 10.0 - gain * (turn.run == segment.incumbent.run) + noise * (-1) ** turn.seed
        repeat = Repeat(run=turn.run, metric=metric, seed=turn.seed, verification=verification)
        segment = replace(segment, repeats=(*segment.repeats, repeat))
    return segment


def total(segment: Segment) -> Claim:
    found = claims(segment).total
    assert found is not None
    return found


@pytest.mark.parametrize("segment", [Segment(0, Config()), session(None), session(10.0, 11.0, noise=1.0)])
def test_nothing_kept_nothing_claimed(segment: Segment) -> None:
    found = claims(segment)
    assert found.total is None and found.steps == ()


def test_without_a_noise_floor_nothing_is_proven() -> None:
    runs = (Experiment(run=1, metric=10.0, status="keep"), Experiment(run=2, metric=1.0, status="keep"))
    found = total(Segment(0, Config(), runs))
    assert found.standing is UNPROVEN and found.chance is None
    assert found.reason == "no noise floor is measured yet: verify measures it"
    assert (found.run, found.over, found.gain) == (2, 1, 9.0)


def test_on_a_deterministic_machine_a_gain_holds_for_its_seed_and_is_said_to() -> None:
    found = total(session(10.0, 9.0, noise=0.0, seeds=(None,) * 6))
    assert found.standing is UNPROVEN
    assert found.reason.startswith("it holds for this seed, but 6 identical runs agree to the last digit")


def test_a_gain_far_beyond_the_noise_is_likely_and_one_within_it_is_not() -> None:
    assert total(session(10.0, 9.0, noise=0.1)).standing is LIKELY
    assert total(session(10.0, 9.9, noise=0.1)).standing is UNPROVEN


def test_the_more_tries_the_less_a_gain_is_worth() -> None:
    few = session(10.0, 9.65, noise=0.1)
    many = session(10.0, 9.65, *(10.0 + 0.01 * index for index in range(100)), noise=0.1)
    assert (total(few).standing, total(many).standing) == (LIKELY, UNPROVEN)
    assert (total(few).tries, total(many).tries) == (1, 101)
    assert "the best of 101 tries" in total(many).reason


def test_a_crash_is_no_try() -> None:
    assert total(session(10.0, 9.65, None, None, noise=0.1)).tries == 1


def test_every_step_has_its_own_claim() -> None:
    found = claims(session(10.0, 8.0, 9.0, 7.95, noise=0.1))
    assert [(each.run, each.over, each.standing) for each in found.steps] == [(2, 1, LIKELY), (4, 2, UNPROVEN)]
    assert found.total is not None and (found.total.run, found.total.standing) == (4, LIKELY)
    assert found.of(4) is found.steps[1] and found.of(3) is None
    assert found.steps[1].gain == pytest.approx(0.05)


def test_repeats_with_the_same_seed_confirm_nothing() -> None:
    segment = session(10.0, 9.0, noise=0.1, seeds=(None,) * 6)
    assert total(segment).standing is LIKELY and "other seeds may differ by more" in total(segment).reason
    fresh = verify(segment, noise=0.1, gain=1.0)
    same = replace(fresh, repeats=tuple(_with_seed(each, None) for each in fresh.repeats))
    assert (total(fresh).standing, total(same).standing) == (CONFIRMED, LIKELY)


def _with_seed(repeat: Repeat, seed: int | None) -> Repeat:
    return Repeat(run=repeat.run, metric=repeat.metric, seed=seed, verification=repeat.verification)


def test_fresh_runs_confirm_what_is_there() -> None:
    found = total(verify(session(10.0, 9.9, noise=0.1), noise=0.1, gain=1.0))
    assert found.standing is CONFIRMED and found.fresh is not None and found.fresh.is_real
    assert found.reason.startswith("fresh runs: +1.0000 [")


def test_fresh_runs_take_a_claim_back() -> None:
    lucky = session(10.0, 9.0, noise=0.1)
    assert total(lucky).standing is LIKELY
    assert total(verify(lucky, noise=0.1, gain=0.0)).standing is UNPROVEN
    worse = total(verify(lucky, noise=0.1, gain=-1.0))
    assert worse.standing is UNPROVEN and "worse" in worse.reason


def test_fresh_runs_that_leave_it_open_do_so() -> None:
    assert total(verify(session(10.0, 9.9, noise=0.1), noise=1.0, gain=0.2)).standing is UNPROVEN


def test_a_later_re_run_counts_in_the_mean_but_confirms_nothing() -> None:
    lucky = session(10.0, 9.0, noise=0.1)
    again = replace(lucky, repeats=tuple(Repeat(run=2, metric=9.95, seed=seed) for seed in range(1, 9)))
    assert (total(lucky).standing, total(again).standing) == (LIKELY, UNPROVEN)


def test_a_verified_gain_of_one_step_is_that_steps_too() -> None:
    found = claims(verify(session(10.0, 9.9, noise=0.1), noise=0.1, gain=1.0))
    assert found.steps[0].standing is CONFIRMED


def test_what_the_incumbent_loses_without_it_confirms_a_step_and_what_it_wins_takes_it_back() -> None:
    segment = session(10.0, 9.9, 9.8, 9.7, noise=0.1)
    while turn := next_turn(segment, "v", (1, 4), (2, 3, 4)):
        metric = 10.0 if turn.run == 1 else 9.7 + {None: 0.0, 2: 1.0, 3: -1.0, 4: 0.01}[turn.without]
        noisy = metric + 0.1 * (-1) ** turn.seed
        repeat = Repeat(run=turn.run, metric=noisy, seed=turn.seed, without=turn.without, verification="v")
        segment = replace(segment, repeats=(*segment.repeats, repeat))
    found = claims(segment)
    assert [each.standing for each in found.steps] == [CONFIRMED, UNPROVEN, UNPROVEN]
    assert found.steps[0].reason.startswith("without it the incumbent loses +1.0000")
    assert found.steps[1].reason.startswith("the incumbent is better without it")
    assert found.total is not None and found.total.standing is CONFIRMED


def test_what_was_kept_without_a_gain_claims_none() -> None:
    segment = session(10.0, 9.0, noise=0.1)
    simpler = Experiment(run=3, metric=9.0, status="keep")
    found = claims(replace(segment, experiments=(*segment.experiments, simpler)))
    assert (found.steps[1].standing, found.steps[1].reason) == (UNPROVEN, "no gain over run 2")


def test_where_higher_is_better_claims_turn() -> None:
    def turned(metric: float | None) -> float | None:
        return None if metric is None else 20 - metric

    lower = session(10.0, 9.0, noise=0.1)
    higher = Segment(
        0,
        Config(best_direction="higher"),
        tuple(
            Experiment(
                run=each.run,
                metric=turned(each.metric),
                status=each.status,
                repeats=tuple(20 - value for value in each.repeats),
                seeds=each.seeds,
            )
            for each in lower.experiments
        ),
    )
    assert total(higher).chance == pytest.approx(total(lower).chance)
    assert total(higher).gain == pytest.approx(total(lower).gain)


SESSIONS = 60


def at_most(share: float) -> int:
    """So many of SESSIONS are three standard errors over the share."""
    return int(SESSIONS * share + 3 * (SESSIONS * share * (1 - share)) ** 0.5)


def test_pure_noise_is_claimed_by_the_naive_ways_and_seldom_by_ours() -> None:
    found = simulate.sessions_of(simulate.NOTHING, SESSIONS, each=[5])
    wrong = {way: sum(each.wrong(way) for each in found) for way in found[0].claimed}
    assert wrong[simulate.LOWER] > 0.9 * SESSIONS and wrong[simulate.MAD] > 0.5 * SESSIONS
    assert wrong[simulate.LIKELY] <= at_most(0.05)
    assert wrong[simulate.DEFAULT] <= at_most(0.05)
    assert wrong[simulate.INSISTED] <= at_most(0.05)


def test_true_gains_are_confirmed() -> None:
    found = simulate.sessions_of(simulate.SCENARIOS[4], 20, each=[5])
    assert sum(each.right(simulate.DEFAULT) for each in found) >= 16


def test_policy_confirm_costs_runs_and_lets_less_harm_in() -> None:
    plain = simulate.sessions_of(simulate.ONLY_HARM, SESSIONS, each=[])
    careful = simulate.sessions_of(simulate.ONLY_HARM, SESSIONS, each=[], confirm=True)
    assert sum(each.experiments for each in careful) < sum(each.experiments for each in plain)
    assert sum(each.gain for each in careful) > sum(each.gain for each in plain)


def test_a_seed_that_is_not_used_proves_nothing() -> None:
    """The incumbent is one lucky draw: whatever seed it is given, it is the same run again."""
    lucky = session(10.0, 9.2, noise=1.0)
    assert lucky.baseline and lucky.incumbent
    repeats = []
    for number in range(5):
        seed = 1001 + number
        repeats.append(Repeat(run=1, metric=10.0 + (-1) ** number * 0.3, seed=seed, verification="v"))
        repeats.append(Repeat(run=2, metric=9.2, seed=seed, verification="v"))
    verified = replace(lucky, repeats=tuple(repeats))
    assert total(verified).standing is UNPROVEN
    assert "changed nothing" in total(verified).reason
    floor, without = claims(verified).floor, claims(replace(verified, repeats=tuple(repeats[::2]))).floor
    assert floor is not None and without is not None and floor.sd == without.sd
