"""The search: deterministic, never twice the same, honest about crashes, and within the file's arithmetic."""

import gc
import math
import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import knobs
from engine.knobs import Value
from engine.ledger import Experiment
from engine.proposers import Context, Failed, NothingToProposeError, Proposal, Result
from engine.proposers import search as search_module
from engine.proposers.search import MOVED_AT_ONCE, Search
from engine.proposers.tpe import Tpe
from engine.settings import SearchSettings

TRAIN = """DEPTH = 2  # layers
HEAD_DIM = 32
TOTAL_BATCH_SIZE = 1024
DEVICE_BATCH_SIZE = 4
MATRIX_LR = 0.04
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
WINDOW_PATTERN = "SSSL"
SEED = 42
"""
PREPARE = "MAX_SEQ_LEN = 256\n"


def context(train: str = TRAIN, turn: int = 1, thrashing: bool = False, prepare: str = PREPARE) -> Context:
    return Context(incumbent=train, prepare=prepare, turn=turn, thrashing=thrashing)


def result(run: int, train: str, metric: float | None, status: str, skipped: bool = False) -> Result:
    return Result(Experiment(run=run, metric=metric, status=status, result="skipped" if skipped else None), train)


def searched(turns: int, *, train: str = TRAIN, sampler: str = "tpe", frozen: tuple[str, ...] = ()) -> list[Proposal]:
    """A session of so many turns on a landscape with an optimum, some of it crashing."""
    search = Search(SearchSettings(sampler=sampler, frozen=list(frozen)))  # type: ignore[arg-type]
    best = math.inf
    told = result(1, train, 2.0, "keep")
    proposals = []
    for turn in range(1, turns + 1):
        search.tell(told)
        proposal = search.ask(context(train, turn, thrashing=turn % 7 == 6))
        proposals.append(proposal)
        metric = landscape(proposal.train)
        status = "crash" if metric is None else "keep" if metric < best else "discard"
        if metric is not None and metric < best:
            best, train = metric, proposal.train
        told = result(turn + 1, proposal.train, metric, status)
    return proposals


def landscape(train: str) -> float | None:
    read = knobs.read(train)
    depth, rate = read.get("DEPTH", 4), read.get("MATRIX_LR", 0.1)
    assert isinstance(depth, int)
    assert isinstance(rate, float)
    return None if depth > 6 else 1 + abs(depth - 4) * 0.01 + abs(math.log(rate / 0.1)) * 0.02


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_session_is_the_same_each_time(sampler: str) -> None:
    assert searched(12, sampler=sampler) == searched(12, sampler=sampler)


def test_the_same_turn_is_asked_in_the_same_way_again() -> None:
    search = Search(SearchSettings())
    search.tell(result(1, TRAIN, 2.0, "keep"))
    assert search.ask(context(turn=1)) == search.ask(context(turn=1))
    assert search.ask(context(turn=1)) != search.ask(context(turn=2))


def test_a_search_that_is_told_everything_again_goes_on_as_the_first_would_have() -> None:
    told = [result(1, TRAIN, 2.0, "keep")]
    first = Search(SearchSettings())
    first.tell(told[0])
    for turn in range(1, 9):
        train = first.ask(context(turn=turn)).train
        told.append(result(turn + 1, train, 2.0 + turn / 100, "crash" if turn % 3 == 0 else "discard"))
        first.tell(told[-1])
    second = Search(SearchSettings())
    for each in told:
        second.tell(each)
    assert second.ask(context(turn=9)) == first.ask(context(turn=9))


def test_of_very_many_results_tpe_is_told_the_best_and_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on as one would that is told everything again; what was tried stays known."""
    told_losses: list[float] = []
    tell = Tpe.tell

    def heard(self: Tpe, knobs: Mapping[str, Value], loss: float) -> None:
        told_losses.append(loss)
        tell(self, knobs, loss)

    monkeypatch.setattr(search_module, "MOST_TOLD", 30)
    monkeypatch.setattr(search_module, "BEST_TOLD", 5)
    told = [result(1, TRAIN, 2.0, "keep")]
    first = Search(SearchSettings())
    first.tell(told[0])
    for turn in range(1, 60):
        train = first.ask(context(turn=turn)).train
        told.append(result(turn + 1, train, 1.5 + turn / 1000 if turn % 10 == 5 else 3.0 + turn / 1000, "discard"))
        first.tell(told[-1])
    second = Search(SearchSettings())
    for each in told:
        second.tell(each)
    monkeypatch.setattr(Tpe, "tell", heard)
    expected = first.ask(context(turn=60))
    told_losses.clear()
    assert second.ask(context(turn=60)) == expected
    assert len({each.train for each in told}) == 60

    losses = [each.experiment.metric for each in told]
    assert told_losses == [2.0, 3.001, 1.505, 1.515, 1.525, *losses[-25:]]


def test_another_seed_is_another_search() -> None:
    first, second = Search(SearchSettings(seed=0)), Search(SearchSettings(seed=1))
    assert [first.ask(context(turn=turn)).train for turn in range(5)] != [
        second.ask(context(turn=turn)).train for turn in range(5)
    ]


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_no_candidate_is_proposed_twice(sampler: str) -> None:
    trains = [TRAIN, *(proposal.train for proposal in searched(40, sampler=sampler))]
    assert len(set(trains)) == len(trains)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_seed_is_never_a_knob(sampler: str) -> None:
    assert all(knobs.read(proposal.train)["SEED"] == 42 for proposal in searched(40, sampler=sampler))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_frozen_knobs_stay_as_they_are(sampler: str) -> None:
    proposals = searched(30, sampler=sampler, frozen=("DEPTH", "ADAM_BETAS"))
    assert all(knobs.read(proposal.train)["DEPTH"] == 2 for proposal in proposals)
    assert all(knobs.read(proposal.train)["ADAM_BETAS"] == (0.8, 0.95) for proposal in proposals)


@given(
    total=st.integers(0, 12).map(lambda n: 2**n) | st.sampled_from([1536, 768, 3000]),
    rows=st.sampled_from([1, 2, 3, 4, 8, 32]),
    row=st.sampled_from([1, 64, 256, 384, 2048]),
    turn=st.integers(0, 50),
    sampler=st.sampled_from(["tpe", "cmaes", "random"]),
)
@settings(deadline=None, max_examples=60)
def test_a_step_is_always_a_whole_number_of_device_batches_of_whole_rows(
    total: int, rows: int, row: int, turn: int, sampler: str
) -> None:
    train = knobs.replace(TRAIN, {"TOTAL_BATCH_SIZE": total, "DEVICE_BATCH_SIZE": rows})
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    read = knobs.read(search.ask(context(train, turn, prepare=f"MAX_SEQ_LEN = {row}\n")).train)
    tokens, batch = read["TOTAL_BATCH_SIZE"], read["DEVICE_BATCH_SIZE"]
    assert isinstance(tokens, int)
    assert isinstance(batch, int)
    assert batch >= 1
    assert tokens >= 1
    assert tokens % (batch * row) == 0


@pytest.mark.parametrize("prepare", ["", "MAX_SEQ_LEN = length()\n", "MAX_SEQ_LEN = 0\n", "not Python (", "X = 1\n"])
def test_a_prepare_that_says_nothing_of_rows_is_no_obstacle(prepare: str) -> None:
    Search(SearchSettings()).ask(context(prepare=prepare))


def test_a_candidate_moves_a_few_knobs_of_the_incumbent() -> None:
    search = Search(SearchSettings(frozen=["TOTAL_BATCH_SIZE", "DEVICE_BATCH_SIZE"]))
    search.tell(result(1, TRAIN, 2.0, "keep"))
    counts = {
        len(knobs.differences(TRAIN, search.ask(context(turn=turn, thrashing=turn % 2 == 0)).train))
        for turn in range(40)
    }
    assert counts == set(MOVED_AT_ONCE)


def test_everything_in_the_file_but_the_moved_literals_stays() -> None:
    for proposal in searched(3):
        assert proposal.train.count("\n") == TRAIN.count("\n")
        assert "  # layers" in proposal.train


def test_a_proposal_says_what_it_changes_and_why() -> None:
    (proposal,) = searched(1)
    changes = knobs.show_changes(knobs.differences(TRAIN, proposal.train))
    assert proposal.source == "search"
    assert proposal.description == proposal.asi["arch_change"] == changes
    assert proposal.asi["hypothesis"]


def test_the_hypothesis_says_so_when_the_last_ones_led_nowhere() -> None:
    search = Search(SearchSettings())
    assert "bold" in search.ask(context(thrashing=True)).asi["hypothesis"]
    assert "bold" not in search.ask(context()).asi["hypothesis"]


ONE_KNOB = "MATRIX_LR = 0.04\nSEED = 1\n"


def learned(told: list[Result]) -> list[float]:
    search = Search(SearchSettings())
    for each in told:
        search.tell(each)
    rates = [knobs.read(search.ask(context(ONE_KNOB, turn)).train)["MATRIX_LR"] for turn in range(100, 140)]
    return [rate for rate in rates if isinstance(rate, float)]


def rates(status: str, high_metric: float | None) -> list[Result]:
    """A history in which rates over the incumbent's ended with ``status``, and lower ones were a bit worse."""
    told = [result(1, ONE_KNOB, 1.0, "keep")]
    for number in range(8):
        high, low = 0.05 + number / 100, 0.038 - number / 500
        told.append(result(2, f"MATRIX_LR = {high}\nSEED = 1\n", high_metric, status))
        told.append(result(3, f"MATRIX_LR = {low}\nSEED = 1\n", 1.01 + number / 1000, "discard"))
    return told


def test_a_region_where_runs_crash_is_avoided() -> None:
    after_crashes = learned(rates("crash", None))
    after_gains = learned(rates("discard", 0.9))
    above = [sum(rate > 0.045 for rate in each) for each in (after_crashes, after_gains)]
    assert above[0] < above[1] / 2


@pytest.mark.parametrize("status", ["crash", "checks_failed"])
def test_a_failure_that_printed_a_metric_teaches_as_a_failure(status: str) -> None:
    """Of a cheat too: what it printed is no place to search on from."""
    assert learned(rates(status, 0.5)) == learned(rates("crash", None))


def test_a_cheat_is_not_among_the_best() -> None:
    search = Search(SearchSettings())
    for each in rates("checks_failed", 0.1):
        search.tell(each)
    best = search.state(ONE_KNOB).best
    assert best[0].startswith("run 1: ") and not any(line.startswith("run 2: ") for line in best)


def test_the_search_finds_a_better_point() -> None:
    first, *_ = metrics = [metric for each in searched(40) if (metric := landscape(each.train)) is not None]
    assert min(metrics) < 1.01 < first


def test_a_skipped_run_teaches_nothing() -> None:
    told, untold = Search(SearchSettings()), Search(SearchSettings())
    for search in (told, untold):
        search.tell(result(1, TRAIN, 2.0, "keep"))
    told.tell(result(2, TRAIN.replace("0.04", "0.05"), None, "discard", skipped=True))
    assert told.ask(context()) == untold.ask(context())


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ("RATE = {0}\n", "RATE = 0.5\n"),
        ("RATE = 0.{0}\n", "RATE = 3\n"),
        ("RATE = 0.{0}\n", "RATE = True\n"),
        ("RATE = True  # {0}\n", "RATE = 0.5\n"),
        ("RATE = (0.{0}, 0.9)\n", "RATE = 0.5\n"),
        ("RATE = {0}\n", "RATE = (3, 4)\n"),
        ("A_PATTERN = 'SL'\nRATE = {0}\n", "RATE = 16\n"),
        ("not Python ({0}\n", "RATE = 0.5\n"),
    ],
    ids=["whole to float", "float to whole", "float to bool", "bool to float", "tuple", "to tuple", "gone", "broken"],
)
def test_a_knob_that_became_another_kind_of_quantity_is_searched_as_that(earlier: str, now: str) -> None:
    search = Search(SearchSettings())
    for number in range(1, 9):
        search.tell(result(number, earlier.format(number), 1.0 + number / 100, "discard"))
    search.tell(result(9, now, 0.9, "keep"))
    proposal = search.ask(context(now, 9))
    assert proposal.train != now
    assert knobs.read(proposal.train).keys() == knobs.read(now).keys()


def test_a_night_of_results_takes_little_memory() -> None:
    search = Search(SearchSettings())
    train = TRAIN

    def search_on(first: int, last: int) -> int:
        for run in range(first, last):
            search.tell(result(run, train if run == 1 else search.ask(context(turn=run)).train, 2.0, "discard"))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = search_on(1, 50)
    after = search_on(50, 130)
    tracemalloc.stop()
    assert after - before < 80 * 3000


def test_a_file_without_knobs_is_refused_with_a_sentence() -> None:
    with pytest.raises(NothingToProposeError, match="no knobs to search"):
        Search(SearchSettings()).ask(context("SEED = 1\nx = 2\n"))


awkward = (
    st.sampled_from(
        ["1e308", "-1e308", "5e-324", "0.0", "-0.0", "1e999", "-1e999", "0", "-1", "10**18", "2**63", "2**64 ** 20",
         "()", "((1, 2), 3)", "(1, (2,))", "(0.5, 1e999)", "(1e308, 5e-324)", "0.9999999999999999", "0.5", "1.0", "1",
         "True", "(True, False)", "''", "'S'", "'\\n'", "None", "0x" + "f" * 5000, "2**40", "2**41", "1j", "(0,)", "[]"]
    )
    | st.floats().map(repr)
    | st.integers().map(repr)
    | st.integers(-(2**70), 2**70).map(repr)
    | st.floats(0.5, 1).map(repr)
)  # fmt: skip
awkward_names = st.sampled_from(
    ["DEPTH", "MATRIX_LR", "ADAM_BETAS", "MOMENTUM", "WARMUP_RATIO", "TOTAL_BATCH_SIZE", "DEVICE_BATCH_SIZE",
     "WINDOW_PATTERN", "SEED", "LIMIT"]
)  # fmt: skip


@given(
    told=st.lists(
        st.tuples(st.dictionaries(awkward_names, awkward, max_size=6), st.sampled_from(["keep", "discard", "crash"])),
        min_size=1,
        max_size=4,
    ),
    sampler=st.sampled_from(["tpe", "cmaes", "random"]),
    thrashing=st.booleans(),
)
@example(told=[({"DEPTH": "4"}, "keep"), ({"DEPTH": "10**18"}, "keep")], sampler="cmaes", thrashing=False)
@example(told=[({"ADAM_BETAS": "5e-324"}, "keep")], sampler="tpe", thrashing=False)
@settings(deadline=None, max_examples=200)
def test_no_value_in_train_py_is_too_much_for_the_search(
    told: list[tuple[dict[str, str], str]], sampler: str, thrashing: bool
) -> None:
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    train = ""
    for number, (literals, status) in enumerate(told, 1):
        train = "".join(f"{name} = {literal}\n" for name, literal in literals.items())
        search.tell(result(number, train, None if status == "crash" else 1.0 + number, status))
    for turn in range(3):
        assert str(search.state(train))
        try:
            proposal = search.ask(context(train, turn, thrashing))
        except NothingToProposeError:
            continue
        changes = knobs.differences(train, proposal.train)
        assert changes
        assert proposal.description == knobs.show_changes(changes)
        assert "\n" not in proposal.description
        search.tell(result(len(told) + turn, proposal.train, 1.0, "discard"))


def test_the_description_says_the_very_value_that_is_written_in_few_digits() -> None:
    for proposal in searched(40):
        for name, (_, value) in knobs.differences(TRAIN, proposal.train).items():
            for scalar in value if isinstance(value, tuple) else (value,):
                assert len(repr(scalar).lstrip("0.")) <= 5 or isinstance(scalar, str), f"{name} = {value}"
        written = [line for line in proposal.train.splitlines() if line not in TRAIN.splitlines()]
        assert written
        for word in proposal.description.split("→ ")[1:]:
            assert any(word.split(", ")[0].strip("()") in line for line in written), (proposal.description, written)


def test_a_knob_that_changes_nothing_is_moved_less_than_one_that_makes_things_worse() -> None:
    def moves_of_the_rate(metric: float) -> int:
        search = Search(SearchSettings())
        search.tell(result(1, TRAIN, 2.0, "keep"))
        for number in range(2, 3):
            search.tell(result(number, TRAIN.replace("0.04", f"0.05{number}"), metric, "discard"))
        proposals = [search.ask(context(turn=turn)) for turn in range(100)]
        return sum("MATRIX_LR" in knobs.differences(TRAIN, each.train) for each in proposals)

    assert moves_of_the_rate(2.0) < moves_of_the_rate(2.1)


def test_the_number_of_tries_that_the_hypothesis_names_counts_a_move_without_effect_once() -> None:
    search = Search(SearchSettings(frozen=["HEAD_DIM", "TOTAL_BATCH_SIZE", "DEVICE_BATCH_SIZE", "MATRIX_LR",
                                           "ADAM_BETAS", "WARMUP_RATIO", "WINDOW_PATTERN"]))  # fmt: skip
    search.tell(result(1, TRAIN, 2.0, "keep"))
    search.tell(result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 4"), 2.0, "discard"))
    assert "moved 1× before" in search.ask(context()).asi["hypothesis"]


def test_a_space_that_is_exhausted_is_said_to_be() -> None:
    search = Search(SearchSettings())
    for number, value in enumerate(("True", "False"), 1):
        search.tell(result(number, f"FAST = {value}\n", 1.0, "keep"))
    with pytest.raises(NothingToProposeError, match="exhausted"):
        search.ask(context("FAST = True\n", 2))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 3"), 1.0, "keep"), "DEPTH: search on from here"),
        (result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 3"), None, "crash"), "DEPTH: stay away"),
        (result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 3"), 3.0, "discard"), "DEPTH: smaller steps"),
        (result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 3"), None, "discard", skipped=True), "may be tried again"),
        (result(2, TRAIN.replace("DEPTH = 2", "DEPTH = 3"), 2.0, "discard"), "no effect"),
        (result(2, "not Python (", None, "crash"), ""),
    ],
)
def test_each_result_leaves_a_hint_for_the_next_experiment(outcome: Result, words: str) -> None:
    search = Search(SearchSettings())
    search.tell(result(1, TRAIN, 2.0, "keep"))
    assert words in search.reflect(outcome)


LARGE = "DEPTH = 8\nASPECT_RATIO = 64\nMATRIX_LR = 0.04\n"


def out_of_memory(run: int, train: str) -> Result:
    return Result(Experiment(run=run, status="crash", asi={"result": "out of memory (exit code 1)"}), train)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_nothing_as_large_as_what_ran_out_of_memory_is_proposed(sampler: str) -> None:
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    search.tell(result(1, LARGE, 1.0, "keep"))
    search.tell(out_of_memory(2, knobs.replace(LARGE, {"DEPTH": 9, "MATRIX_LR": 0.05})))
    for turn in range(60):
        read = knobs.read(search.ask(context(LARGE, turn)).train)
        depth, width = read["DEPTH"], read["ASPECT_RATIO"]
        assert isinstance(depth, int) and isinstance(width, int)
        assert depth < 9 or width < 64


def test_a_smaller_file_that_runs_out_of_memory_forbids_more() -> None:
    search = Search(SearchSettings())
    search.tell(result(1, LARGE, 1.0, "keep"))
    for number, depth in enumerate((12, 10), 2):
        search.tell(out_of_memory(number, knobs.replace(LARGE, {"DEPTH": depth})))
    assert [line for line in search.state(LARGE).belief if "memory" in line] == [
        "Out of memory, and nothing as large is proposed: DEPTH ≥ 10, ASPECT_RATIO ≥ 64"
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_what_ran_out_of_memory_forbids_nothing_where_something_larger_fits(is_first: bool) -> None:
    search = Search(SearchSettings())
    told = [out_of_memory(2, LARGE), result(3, knobs.replace(LARGE, {"DEPTH": 9}), 1.0, "keep")]
    for each in told if is_first else reversed(told):
        search.tell(each)
    assert "memory" not in str(search.state(LARGE))


def test_another_crash_says_nothing_of_memory() -> None:
    search = Search(SearchSettings())
    search.tell(result(1, LARGE, 1.0, "keep"))
    search.tell(result(2, knobs.replace(LARGE, {"DEPTH": 9}), None, "crash"))
    assert "memory" not in str(search.state(LARGE))


def test_cma_es_goes_where_results_are_better() -> None:
    """On a slope: after some generations the mean has gone down it, with whole numbers and shares among the knobs."""
    metrics = [metric for each in searched(60, sampler="cmaes") if (metric := landscape(each.train)) is not None]
    assert sum(metrics[-15:]) < sum(metrics[:15])
    assert min(metrics) < 1.01


def test_cma_es_learns_from_what_others_proposed() -> None:
    told, untold = (Search(SearchSettings(sampler="cmaes")) for _ in range(2))
    for search in (told, untold):
        search.tell(result(1, TRAIN, 2.0, "keep"))
    for number in range(2, 30):
        told.tell(result(number, knobs.replace(TRAIN, {"MATRIX_LR": 0.04 + number / 200}), 2 - number / 100, "discard"))
    after, before = (knobs.read(each.ask(context()).train)["MATRIX_LR"] for each in (told, untold))
    assert isinstance(after, float) and isinstance(before, float)
    assert after > 2 * before


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_knob_that_came_is_searched_and_one_that_went_is_not(sampler: str) -> None:
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    for number in range(1, 9):
        search.tell(result(number, search.ask(context(turn=number)).train, 2 - number / 100, "keep"))
    now = TRAIN.replace("HEAD_DIM = 32\n", "GATE_LR = 0.5\n")
    search.tell(result(9, now, 1.5, "keep"))
    proposals = [search.ask(context(now, turn)) for turn in range(10, 60)]
    moved = {name for each in proposals for name in knobs.differences(now, each.train)}
    assert "GATE_LR" in moved
    assert "HEAD_DIM" not in moved
    assert "GATE_LR" in str(search.state(now))


def test_a_kept_change_of_code_does_not_make_later_knobs_look_better() -> None:
    plain, coded = Search(SearchSettings()), Search(SearchSettings())
    start = ONE_KNOB
    for search, gain in ((plain, 0.0), (coded, 0.5)):
        search.tell(result(1, start, 2.0, "keep"))
        if gain:
            search.tell(result(2, start + "x = 1\n", 2.0 - gain, "keep"))
        for number in range(3, 9):
            search.tell(result(number, f"MATRIX_LR = 0.04{number}\nSEED = 1\n", 2.1 - gain, "discard"))
    now = context(ONE_KNOB, 9)
    assert coded.ask(now).train == plain.ask(now).train


def test_the_search_mends_no_code() -> None:
    failed = Context(incumbent=TRAIN, prepare=PREPARE, turn=1, failed=Failed(TRAIN, "name error", "NameError: x"))
    with pytest.raises(NothingToProposeError, match="mend"):
        Search(SearchSettings()).ask(failed)


def told_some(sampler: str, count: int = 30) -> Search:
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    search.tell(result(1, TRAIN, 2.0, "keep"))
    for number in range(2, count + 1):
        train = search.ask(context(turn=number)).train
        metric = None if number % 10 == 0 else 2.0 + number / 1000
        search.tell(result(number, train, metric, "crash" if metric is None else "discard"))
    return search


@pytest.mark.parametrize(
    ("sampler", "says"),
    [
        ("tpe", ["values among the best 3 | among the other 27", "MATRIX_LR: 0.0"]),
        ("cmaes", ["its step size is 0.", "MATRIX_LR: mean 0.0", "standard deviation"]),
        ("random", ["The search (random)"]),
    ],
)
def test_the_state_says_what_the_sampler_believes(sampler: str, says: list[str]) -> None:
    state = told_some(sampler).state(TRAIN)
    text = str(state)
    assert "has seen 30 results, 3 of them failures" in text
    assert len(state.best) == 5
    assert len(state.last) == 20
    assert state.best[0] == "run 1: 2.0, the same knobs"
    assert state.last[-1].startswith("run 30: crash, ")
    assert all(part in text for part in says)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_the_state_is_the_same_however_often_it_is_told(sampler: str) -> None:
    search = told_some(sampler)
    first = str(search.state(TRAIN))
    search.ask(context(turn=31))
    assert str(search.state(TRAIN)) == first == str(told_some(sampler).state(TRAIN))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_the_state_is_bounded_whatever_is_in_the_file(sampler: str) -> None:
    search = Search(SearchSettings(sampler=sampler))  # type: ignore[arg-type]
    train = "".join(f"A{number}_LR = 0.5\n" for number in range(300)) + f"NAME = {'long' * 5000!r}\n"
    for number in range(1, 40):
        search.tell(result(number, train.replace("0.5", f"0.{500 + number}"), 2.0, "keep"))
    text = str(search.state(train))
    assert len(text) < 25_000
    assert max(map(len, text.splitlines())) <= 240


@pytest.mark.parametrize("depth", ["10**400", "-(10**400)", "0", "True", "1e300"])
def test_a_value_out_of_all_reach_does_not_stop_cma_es(depth: str) -> None:
    search = Search(SearchSettings(sampler="cmaes"))
    search.tell(result(1, TRAIN, 2.0, "keep"))
    search.ask(context())
    for number in range(2, 20):
        search.tell(result(number, TRAIN.replace("DEPTH = 2", f"DEPTH = {depth}"), 1.0, "discard"))
    assert search.ask(context(turn=20)).train != TRAIN
