"""The noise floor: what repeats say of chance, and what identical ones cannot say."""

import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from engine.ledger import Config, Experiment, Repeat, Segment
from engine.noise import NoiseFloor, draws, floor, pooled
from tests import benchmarks

DEMO_RUNS = Path(benchmarks.__file__).parent / "data" / "demo_runs.jsonl"


def segment(*experiments: Experiment, repeats: tuple[Repeat, ...] = ()) -> Segment:
    return Segment(0, Config(), experiments, repeats)


def run(number: int, *metrics: float, seeds: tuple[int | None, ...] = (), status: str = "keep") -> Experiment:
    return Experiment(run=number, metric=statistics.fmean(metrics), repeats=metrics, seeds=seeds, status=status)


def the_floor(of: Segment) -> NoiseFloor:
    found = floor(of)
    assert found is not None
    return found


def test_without_repeats_there_is_no_floor() -> None:
    assert floor(segment()) is None
    assert floor(segment(Experiment(run=1, metric=1.0, status="keep"), Experiment(run=2, metric=2.0))) is None


def test_repeats_of_one_configuration_give_their_standard_deviation() -> None:
    found = the_floor(segment(run(1, 1.0, 2.0, 4.0, seeds=(None, 1, 2))))
    assert found.sd == pytest.approx(statistics.stdev([1.0, 2.0, 4.0]))
    assert (found.degrees, found.configurations, found.across_seeds) == (2, 1, True)


def test_configurations_are_pooled_by_their_degrees_of_freedom() -> None:
    found = the_floor(segment(run(1, 1.0, 2.0, 3.0, seeds=(0, 1, 2)), run(2, 10.0, 14.0, seeds=(0, 1))))
    assert found.sd == pytest.approx(((2 * 1.0 + 1 * 8.0) / 3) ** 0.5)
    assert (found.degrees, found.configurations) == (3, 2)


def test_what_is_run_again_later_belongs_to_its_configuration() -> None:
    before = segment(Experiment(run=1, metric=1.0, status="keep"))
    after = replace(before, repeats=(Repeat(run=1, metric=3.0, seed=7), Repeat(run=1, metric=None, seed=8)))
    assert floor(before) is None
    assert the_floor(after).sd == pytest.approx(2**0.5)


def test_the_incumbent_without_a_change_is_a_configuration_of_its_own() -> None:
    repeats = (Repeat(run=1, metric=1.0, seed=1), Repeat(run=1, metric=9.0, seed=1, without=2))
    found = draws(segment(Experiment(run=1, metric=2.0), repeats=repeats))
    assert {key: [each.metric for each in group] for key, group in found.items()} == {(1, None): [2, 1], (1, 2): [9]}


def test_a_crash_is_no_repeat() -> None:
    assert floor(segment(run(1, 1.0, 2.0, seeds=(0, 1), status="crash"))) is None


def test_identical_repeats_are_a_floor_of_nothing_and_it_is_said() -> None:
    found = the_floor(segment(run(1, 1.75, 1.75, 1.75)))
    assert (found.sd, found.across_seeds, found.is_noise) == (0, False, False)
    assert "no noise floor across seeds" in found.text


def test_a_mean_that_rounds_makes_no_noise_of_identical_repeats() -> None:
    assert pooled([[0.1, 0.1, 0.1]]) == (0, 2)


def test_same_seed_repeats_are_no_floor_across_seeds_even_where_they_differ() -> None:
    found = the_floor(segment(run(1, 1.0, 2.0, seeds=(None, None))))
    assert found.is_noise and not found.across_seeds
    assert "same seed" in found.text


def test_other_seeds_count_alone_as_soon_as_there_are_any() -> None:
    identical = run(1, 1.0, 1.0, 1.0)
    found = the_floor(segment(identical, run(2, 1.0, 3.0, seeds=(5, 6))))
    assert found.sd == pytest.approx(2**0.5) and found.across_seeds and found.degrees == 1
    with_another = replace(segment(identical), repeats=(Repeat(run=1, metric=3.0, seed=9),))
    assert the_floor(with_another) == found


def test_a_seed_that_does_nothing_is_said() -> None:
    assert "the seed does nothing" in the_floor(segment(run(1, 1.0, 1.0, seeds=(1, 2)))).text


def test_few_repeats_bound_the_noise_badly_and_many_well() -> None:
    few, many = (NoiseFloor(1.0, degrees, 1, True) for degrees in (2, 100))
    assert few.at_most() == pytest.approx(4.415, abs=1e-3)
    assert many.at_most() == pytest.approx(1.133, abs=1e-3)
    assert few.margin() == pytest.approx(2.920 * 2**0.5, abs=1e-3)
    assert many.margin(runs=4, control_runs=4) == pytest.approx(1.660 / 2**0.5, abs=1e-3)


def test_the_demos_real_runs_move_with_the_seed_and_not_without() -> None:
    runs = [json.loads(line) for line in DEMO_RUNS.read_text().splitlines()]
    identical = [each["val_bpb"] for each in runs if each["arm"] == "identical"]
    seeds = [each for each in runs if each["arm"] == "seeds"]
    assert not the_floor(segment(run(1, *identical))).is_noise
    found = the_floor(
        segment(run(1, *(each["val_bpb"] for each in seeds), seeds=tuple(each["seed"] for each in seeds)))
    )
    assert 0.002 < found.sd < 0.005 and found.across_seeds and found.degrees == 4
    assert found.at_most() > 2 * found.sd
