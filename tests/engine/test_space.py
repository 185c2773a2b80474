"""The search space: what kind of quantity a knob is, and that no step leaves that kind."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import knobs
from engine.initialize import CODE, Profile
from engine.knobs import Scalar, Value
from engine.proposers.space import Choices, Kind, Numbers, Range, dimensions


def kind_of(name: str, value: Value) -> str | None:
    found = dimensions({name: value})
    return type(found[0].kind).__name__ if found else None


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("MATRIX_LR", 0.04, "Logarithmic"),
        ("LOGIT_CAP", 15.0, "Logarithmic"),
        ("WEIGHT_DECAY", 0.2, "Logarithmic"),
        ("MLP_RATIO", 4.0, "Logarithmic"),
        ("MUON_MOMENTUM", 0.95, "NearOne"),
        ("EMA_DECAY", 0.999, "NearOne"),
        ("ADAM_BETA", 0.3, "Share"),
        ("MOMENTUM", 0.1, "Share"),
        ("WARMUP_RATIO", 0.0, "Share"),
        ("FINAL_LR_FRAC", 1.0, "Share"),
        ("DROPOUT", 0.1, "Share"),
        ("HEAD_DIM", 128, "PowerOfTwo"),
        ("DEVICE_BATCH_SIZE", 4, "PowerOfTwo"),
        ("TOTAL_BATCH_SIZE", 524288, "PowerOfTwo"),
        ("ASPECT_RATIO", 64, "PowerOfTwo"),
        ("DEPTH", 8, "Whole"),
        ("DEPTH", 2, "Whole"),
        ("ROPE_BASE", 10000, "Whole"),
        ("SKIPPED", 0, "Whole"),
        ("WINDOW_PATTERN", "SSSL", "Choice"),
        ("FAST", True, "Choice"),
        ("SEED", 42, None),
        ("RANDOM_SEED", 0.5, None),
        ("INIT_SEEDS", (1, 2), None),
        ("NAME", "gpt", None),
        ("PATTERN", "abc", None),
        ("OFFSET", -1, None),
        ("SHIFT", -0.5, None),
        ("WEIGHT_DECAY", 0.0, None),
        ("MATRIX_LR", 1e308, None),
        ("MATRIX_LR", 5e-324, None),
        ("ADAM_BETA", 0.9999999999999999, None),
        ("MASK", 2**62, None),
        ("LIMIT", math.inf, None),
        ("LIMIT", math.nan, None),
    ],
)
def test_a_knobs_kind_follows_from_its_name_type_and_value(name: str, value: Value, kind: str | None) -> None:
    assert kind_of(name, value) == kind


def test_each_part_of_a_tuple_is_a_dimension_of_its_own() -> None:
    found = dimensions({"ADAM_BETAS": (0.8, "x", 0.95)})
    assert [(each.name, each.get({"ADAM_BETAS": (0.8, "x", 0.95)})) for each in found] == [
        ("ADAM_BETAS[0]", 0.8),
        ("ADAM_BETAS[2]", 0.95),
    ]
    assert found[1].put({"ADAM_BETAS": (0.8, "x", 0.95)}, 0.9) == (0.8, "x", 0.9)


@pytest.mark.parametrize("value", [None, 0.9, (0.8,), ()])
def test_a_dimension_that_a_file_lacks_has_no_value_in_it(value: Value | None) -> None:
    second = dimensions({"BETAS": (0.8, 0.95)})[1]
    assert second.get({} if value is None else {"BETAS": value}) is None


def test_frozen_knobs_are_left_out_whole() -> None:
    assert [each.name for each in dimensions({"A": 2, "BETAS": (0.8, 0.9), "B": 3}, frozen=["BETAS", "B"])] == ["A"]


@pytest.mark.parametrize("profile", ["gpu", "demo"])
def test_everything_in_the_template_but_the_seed_can_be_searched(profile: str) -> None:
    chosen = Profile.load(profile)
    read = knobs.read(knobs.replace((CODE / "train.py").read_text("utf-8"), chosen.constants["train.py"]))
    assert {each.knob for each in dimensions(read)} == set(read) - {"SEED"}
    assert "SEED" in read


def edges(spread: Range) -> list[float | int | str | bool]:
    if isinstance(spread, Choices):
        return list(spread.options)
    middle = (spread.low + spread.high) / 2
    return [spread.low, spread.high, int(middle) if spread.is_whole else middle]


plausible = st.one_of(
    st.tuples(st.sampled_from(["MATRIX_LR", "LOGIT_CAP"]), st.floats(1e-9, 1e9)),
    st.tuples(st.sampled_from(["MOMENTUM", "BETA"]), st.floats(0.5, 0.999999)),
    st.tuples(st.sampled_from(["WARMUP_RATIO", "DROPOUT"]), st.floats(0, 1)),
    st.tuples(st.sampled_from(["HEAD_DIM", "BATCH_SIZE"]), st.integers(0, 30).map(lambda exponent: 2**exponent)),
    st.tuples(st.sampled_from(["DEPTH", "ROPE_BASE", "HEADS"]), st.integers(0, 10**6)),
    st.tuples(st.just("WINDOW_PATTERN"), st.sampled_from(["L", "SL", "SSSL", "SSLL"])),
    st.tuples(st.just("FAST"), st.booleans()),
)


def only(name: str, value: Scalar) -> Kind:
    (dimension,) = dimensions({name: value})
    return dimension.kind


@given(plausible, st.sampled_from([1.0, 1.6]))
def test_a_step_stays_within_what_the_knob_can_be(knob: tuple[str, Scalar], reach: float) -> None:
    name, value = knob
    kind = only(name, value)
    for raw in edges(kind.range(value, reach)):
        moved = kind.decode(raw)
        assert type(moved) is type(value)
        assert knobs.value_of(repr(moved)) == moved
        if isinstance(moved, float):
            assert math.isfinite(moved)
        match type(kind).__name__:
            case "Logarithmic":
                assert isinstance(moved, float) and moved > 0
            case "NearOne":
                assert isinstance(moved, float) and 0 < moved < 1
            case "Share":
                assert isinstance(moved, float) and 0 <= moved <= 1
            case "PowerOfTwo":
                assert isinstance(moved, int) and moved.bit_count() == 1
            case "Whole":
                assert isinstance(moved, int) and moved >= min(1, int(value))


@given(plausible)
def test_the_incumbents_value_lies_within_its_own_range(knob: tuple[str, Scalar]) -> None:
    name, value = knob
    kind = only(name, value)
    encoded = kind.encode(value)
    if encoded is not None:
        spread = kind.range(value, 1.0)
        if isinstance(spread, Choices):
            assert encoded in spread.options
        else:
            assert not isinstance(encoded, str) and spread.low <= encoded <= spread.high
        assert kind.decode(encoded) == pytest.approx(value, rel=0.01, abs=0.01) or isinstance(value, str)


@given(plausible)
def test_a_bold_step_reaches_at_least_as_far(knob: tuple[str, Scalar]) -> None:
    kind = only(*knob)
    ordinary, bold = kind.range(knob[1], 1.0), kind.range(knob[1], 1.6)
    if isinstance(ordinary, Numbers):
        assert isinstance(bold, Numbers)
        assert bold.low <= ordinary.low
        assert bold.high >= ordinary.high


def test_a_size_that_is_a_power_of_two_stays_one_however_small_it_gets() -> None:
    value: Scalar = 32
    while isinstance(value, int) and value > 1:
        kind = only("DEVICE_BATCH_SIZE", value)
        value = kind.decode(edges(kind.range(value, 1.0))[0])
        assert isinstance(value, int)
        assert value.bit_count() == 1
