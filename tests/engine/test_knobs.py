"""Knobs are read as Python reads them, and setting one changes its literal and not a byte besides."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import knobs
from engine.initialize import CODE
from engine.knobs import Value

TRAIN = (CODE / "train.py").read_bytes().decode()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("A = 1", 1),
        ("A = -1", -1),
        ("A = +1", 1),
        ("A = 0.04", 0.04),
        ("A = 1e-3", 0.001),
        ("A = 524_288", 524288),
        ("A = 0x10", 16),
        ("A = 2**19", 2**19),
        ("A = 64 * 1024", 65536),
        ("A = 40 * 524288 // 2 + 1 - 1", 40 * 524288 // 2),
        ("A = 1 / 4", 0.25),
        ("A = -(2**3)", -8),
        ("A = (3)", 3),
        ("A = True", True),
        ("A = 'SSSL'", "SSSL"),
        ("A = 'SS' 'SL'", "SSSL"),
        ("A = (0.8, 0.95)", (0.8, 0.95)),
        ("A = 0.8, 0.95", (0.8, 0.95)),
        ("A = (-1, 2**2)", (-1, 4)),
        ("A: float = 0.5", 0.5),
        ("A = 1\nA = 2", 2),
        ("A = 1  # layers", 1),
        ("A_2B = 1", None),
        ("if True:\n    A = 1", None),
        ("if True: A = 1", None),
        ("def f():\n    A = 1", None),
        ("class C: A = 1", None),
        ("A = B = 1", None),
        ("A, B = 1, 2", None),
        ("A += 1", None),
        ("A: int", None),
        ("A = None", None),
        ("A = []", None),
        ("A = ()", None),
        ("A = ((1, 2), 3)", None),
        ("A = (1, None)", None),
        ("A = DEPTH * 64", None),
        ("A = f'{x}'", None),
        ("A = b'x'", None),
        ("A = 1j", None),
        ("A = 1 / 0", None),
        ("A = 2 ** 65", None),
        ("A = 10.0 ** 64 ** 64", None),
        ("A = 'x' * 3", None),
        ("A = int('1')", None),
        ("a = 1", None),
        ("Aa = 1", None),
        ("_A = 1", None),
        ("x.A = 1", None),
        ("x['A'] = 1", None),
        ("", None),
    ],
)
def test_a_knob_is_an_all_caps_name_and_a_literal_at_the_top_level(source: str, value: Value | None) -> None:
    assert repr(knobs.read(source).get("A")) == repr(value)


def test_the_templates_knobs_are_read_in_order() -> None:
    read = knobs.read(TRAIN)
    assert list(read)[:3] == ["DEPTH", "ASPECT_RATIO", "HEAD_DIM"]
    assert read["ADAM_BETAS"] == (0.8, 0.95)
    assert read["WINDOW_PATTERN"] == "SSSL"


@pytest.mark.parametrize("source", ["A = ", "def (:", "A = 1\n  B = 2", "A = '\n'", "\0"])
def test_what_is_no_python_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        knobs.read(source)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A = 1", "A = 5"),
        ("A=1\n", "A=5\n"),
        ("A = 1  # layers\n", "A = 5  # layers\n"),
        ("A =   1 ;B = 2\n", "A =   5 ;B = 2\n"),
        ("B = 2; A = 1\n", "B = 2; A = 5\n"),
        ("é = 'ß'; A = 1; ö = 2\n", "é = 'ß'; A = 5; ö = 2\n"),
        ("A: int = 1\n", "A: int = 5\n"),
        ("A = (1)\n", "A = (5)\n"),
        ("A = (\n    1  # why\n)\n", "A = (\n    5  # why\n)\n"),
        ("A = 2**19  # tokens\n", "A = 5  # tokens\n"),
        ("A = \\\n    1\n", "A = \\\n    5\n"),
        ("A = 'SS' 'SL'\n", "A = 5\n"),
        ("A = (0.8,\n     0.95)  # betas\n", "A = 5  # betas\n"),
        ("A = 0.8, 0.95\n", "A = 5\n"),
        ("A = None\n", "A = 5\n"),
        ("A = DEPTH * 64\n", "A = 5\n"),
        ("A = 1\r\nB = 2\r\n", "A = 5\r\nB = 2\r\n"),
        ("B = 2\rA = 1\r", "B = 2\rA = 5\r"),
        ("x = 1\n\x0cA = 1\n\x0c\n", "x = 1\n\x0cA = 5\n\x0c\n"),
        ("x = '\u2028\x85'\nA = 1\n", "x = '\u2028\x85'\nA = 5\n"),
        ("A = 1  \n\t\n", "A = 5  \n\t\n"),
        ("A: int\nA = 1\n", "A: int\nA = 5\n"),
        ("A = 1\nif fast: A = 2\n", "A = 5\nif fast: A = 2\n"),
        ("A = 1\nif fast:\n    A = 2\n", "A = 5\nif fast:\n    A = 2\n"),
        ("A = 1\ndef f(A = 1): A = 1\n", "A = 5\ndef f(A = 1): A = 1\n"),
        ("A = 1\nclass C: A = 1\n", "A = 5\nclass C: A = 1\n"),
        ("A = 1\nf(A=1)\n", "A = 5\nf(A=1)\n"),
        ("A = 1\nA = 2\n", "A = 1\nA = 5\n"),
        ('"""A = 1"""\n# A = 1\nA = 1\n', '"""A = 1"""\n# A = 1\nA = 5\n'),
    ],
)
def test_setting_a_knob_changes_its_literal_and_nothing_else(before: str, after: str) -> None:
    assert knobs.replace(before, {"A": 5}) == after


@pytest.mark.parametrize("source", ["", "B = 1\n", "if x:\n    A = 1\n", "A = B = 1\n", "A: int\n", "A += 1\n"])
def test_a_name_that_is_no_top_level_assignment_cannot_be_set(source: str) -> None:
    with pytest.raises(KeyError, match="A"):
        knobs.replace(source, {"A": 5})


def test_setting_nothing_changes_nothing() -> None:
    assert knobs.replace(TRAIN, {}) == TRAIN


def test_a_value_that_is_set_to_itself_is_read_back_the_same() -> None:
    assert knobs.read(knobs.replace(TRAIN, knobs.read(TRAIN))) == knobs.read(TRAIN)


scalars = (
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = scalars | st.lists(scalars, min_size=1, max_size=3).map(tuple)
names = st.sampled_from(["DEPTH", "MATRIX_LR", "ADAM_BETAS", "A", "B2"])
fillers = st.sampled_from(
    ["", "# A = 1", "\x0c", "x = 'A = 1'", "def f(A=1):\n    B2 = 3\n    return B2", "if True: A = 1", "y = [\n  1,\n]",
     '"""\nA = 1\n"""', "é = 'µ\u2028'", "class C:\n\tA = 1"]
)  # fmt: skip
layouts = st.sampled_from(
    ["{n} = {v}", "{n}={v}", "{n}  =  {v}  # {n} = 0", "{n}: object = {v}", "z = 1; {n} = {v};", "{n} = \\\n  {v}"]
)


@given(
    parts=st.lists(st.tuples(fillers, names, layouts, values), min_size=1, max_size=5, unique_by=lambda part: part[1]),
    new=st.dictionaries(names, values, max_size=4),
    line_end=st.sampled_from(["\n", "\r\n"]),
    at_end=st.sampled_from(["", "\n", "\n\n# the end"]),
)
@settings(deadline=None)
def test_any_edit_of_any_file_changes_the_literals_and_not_a_byte_besides(
    parts: list[tuple[str, str, str, Value]], new: dict[str, Value], line_end: str, at_end: str
) -> None:
    def file(values: dict[str, Value]) -> str:
        lines = []
        for filler, name, layout, _ in parts:
            lines += [filler, layout.format(n=name, v=repr(values[name]))]
        return ("\n".join(lines) + at_end).replace("\n", line_end)

    old = {name: value for _, name, _, value in parts}
    wanted = {name: value for name, value in new.items() if name in old}
    assert knobs.replace(file(old), wanted) == file(old | wanted)
    assert knobs.read(file(old | wanted)) == old | wanted


@given(st.dictionaries(st.sampled_from(sorted(knobs.read(TRAIN))), values, max_size=4))
@settings(max_examples=10, deadline=None)
def test_the_template_stays_valid_python_whatever_is_set(new: dict[str, Value]) -> None:
    changed = knobs.replace(TRAIN, new)
    ast.parse(changed)
    assert {name: knobs.read(changed)[name] for name in new} == new
    assert set(knobs.differences(TRAIN, changed)) <= set(new)


def test_differences_name_what_is_new_gone_and_changed() -> None:
    before, after = "A = 1\nB = 2\nC = 1\nD = True\n", "A = 1\nC = 3\nE = 'x'\nD = 1\n"
    assert knobs.differences(before, after) == {
        "B": (2, None),
        "C": (1, 3),
        "D": (True, 1),
        "E": (None, "x"),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), (" 0.5 ", 0.5), ("2**19", 2**19), ("(0.8, 0.9)", (0.8, 0.9)), ("'x'", "x"), ("SSL", None), ("", None),
     ("3; x", None), ("1,000", (1, 0)), ("\0", None)],
)  # fmt: skip
def test_a_literal_that_a_person_types_is_read_as_in_a_file(text: str, value: Value | None) -> None:
    assert knobs.value_of(text) == value


def test_changes_are_shown_in_one_line() -> None:
    changes: dict[str, tuple[Value | None, Value | None]] = {
        "MATRIX_LR": (0.03, 0.04),
        "DEPTH": (2, 3),
        "ADAM_BETAS": ((0.8, 0.95), (0.8, 0.9)),
        "GONE": (1, None),
    }
    assert knobs.show_changes(changes) == (
        "MATRIX_LR 0.03 → 0.04, DEPTH 2 → 3, ADAM_BETAS (0.8, 0.95) → (0.8, 0.9), GONE 1 → none"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.99184, "0.99184"), (1 / 3, repr(1 / 3)), (3e-5, "3e-05"), (0.1 + 0.2, repr(0.1 + 0.2)), (True, "True"),
     ("SL", "SL"), ("a\nb", "'a\\nb'"), ("", "''"), ((0.8, 0.99184), "(0.8, 0.99184)")],
)  # fmt: skip
def test_a_value_is_shown_exactly_and_in_one_line(value: Value, shown: str) -> None:
    assert knobs.show(value) == shown


@pytest.mark.parametrize(
    "literal", ["1e999", "-1e999", "1e200 * 1e200", "(0.8, 1e999)", pytest.param("0x1" + "0" * 5000, id="long")]
)
def test_what_cannot_be_written_as_a_literal_is_no_knob(literal: str) -> None:
    assert knobs.read(f"A = {literal}\nB = 2") == {"B": 2}
