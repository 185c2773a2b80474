"""Edits in a model's answer: what is meant is applied, what is unclear is sent back with one sentence."""

import ast
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.proposers.edits import BadEditError, edited

TRAIN = """DEPTH = 4  # layers
MATRIX_LR = 0.04


def forward(x):
    if x:
        y = x
        return y

    return x


def backward(x):
    return x
"""


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replace}{chr(10) if replace else ''}>>>>>>> REPLACE\n"


def problem(answer: str, train: str = TRAIN) -> str:
    with pytest.raises(BadEditError) as caught:
        edited(answer, train)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("search", "replace"),
    [
        ("DEPTH = 4  # layers", "DEPTH = 5  # layers"),
        ("MATRIX_LR = 0.04", "MATRIX_LR = 0.05\nWARMUP = 0.1"),
        ("        y = x\n        return y", "        return x"),
        ("MATRIX_LR = 0.04", ""),
        ("def backward(x):\n    return x", "def backward(x):\n    return -x"),
    ],
)
def test_a_block_replaces_its_lines_and_nothing_else(search: str, replace: str) -> None:
    wanted = TRAIN.replace(search + "\n", replace + "\n" if replace else "")
    got = edited(f"I raise it.\n\n```python\ntrain.py\n{block(search, replace)}```\n", TRAIN)
    assert got == wanted


def test_blocks_are_applied_in_order_each_to_what_the_ones_before_it_made() -> None:
    got = edited(block("DEPTH = 4  # layers", "DEPTH = 5") + "and\n" + block("DEPTH = 5", "DEPTH = 6"), TRAIN)
    assert got == TRAIN.replace("DEPTH = 4  # layers", "DEPTH = 6")


@pytest.mark.parametrize(
    ("search", "replace", "before", "after"),
    [
        ("y = x\nreturn y", "return x", "        y = x\n        return y\n", "        return x\n"),
        ("            y = x", "            y = 2 * x", "        y = x\n", "        y = 2 * x\n"),
        ("MATRIX_LR = 0.04   ", "MATRIX_LR = 0.05", "MATRIX_LR = 0.04\n", "MATRIX_LR = 0.05\n"),
        ("\nDEPTH = 4  # layers\n\n", "\nDEPTH = 5\n\n", "DEPTH = 4  # layers\n", "DEPTH = 5\n"),
    ],
)
def test_lines_that_are_quoted_with_other_whitespace_are_found_and_indented_as_the_file_is(
    search: str, replace: str, before: str, after: str
) -> None:
    assert edited(block(search, replace), TRAIN) == TRAIN.replace(before, after)


@pytest.mark.parametrize("ending", ["", "\n"])
def test_the_end_of_the_file_stays_as_it_was(ending: str) -> None:
    assert edited(block("B = 2", "B = 3"), f"A = 1\nB = 2{ending}") == f"A = 1\nB = 3{ending}"


def test_line_ends_of_windows_stay() -> None:
    assert edited(block("A = 1", "A = 2\nC = 3"), "A = 1\r\nB = 2\r\n") == "A = 2\r\nC = 3\r\nB = 2\r\n"
    assert edited(block("A = 1", "A = 2").replace("\n", "\r\n"), "A = 1\nB = 2\n") == "A = 2\nB = 2\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I would raise the learning rate.", "no edit in the answer"),
        ("", "no edit in the answer"),
        (block("WIDTH = 4", "WIDTH = 5"), "`WIDTH = 4` is nowhere in it"),
        (block("DEPTH = 4  # layers\n\n\ndef forward(x):", "pass"), "not one after the other"),
        (block("    return x", "    return -x"), "occurs 2 times in train.py (from lines 10, 14)"),
        (block("return x", "return -x"), "occurs 2 times"),
        (block("", "import os"), "is empty"),
        (block("MATRIX_LR = 0.04", "MATRIX_LR = "), "no valid Python after the edit"),
        (block("MATRIX_LR = 0.04", "X = '\0'"), "no valid Python"),
        (block("MATRIX_LR = 0.04", "MATRIX_LR = 0.04"), "leaves train.py as it is"),
        ("prepare.py\n```python\n" + block("DEPTH = 4  # layers", "DEPTH = 5"), "only train.py may be changed"),
        ("<<<<<<< SEARCH\nDEPTH = 4  # layers\n=======\nDEPTH = 5\n", "has no line `>>>>>>> REPLACE`"),
        ("<<<<<<< SEARCH\nDEPTH = 4  # layers\n", "has no line `=======`"),
        ("<<<<<<< SEARCH\nDEPTH = 4\n=======\n" + block("A", "B"), "block 1 has no line `>>>>>>> REPLACE`"),
        ("```python\nDEPTH = 5\n```", "has 1 line where train.py has"),
        (f"```python\n{TRAIN}DEPTH = 7\n", "has no end"),
        (f"```python\n{TRAIN}```", "leaves train.py as it is"),
    ],
)
def test_what_is_unclear_is_refused_with_a_sentence_for_the_model(answer: str, said: str) -> None:
    assert said in problem(answer)


def test_the_whole_file_in_one_python_block_is_taken() -> None:
    new = TRAIN.replace("DEPTH = 4", "DEPTH = 5").replace("return -x", "return x")
    assert edited(f"For example\n```python\nDEPTH = 5\n```\nthat is\n````python\n{new}````\nDone.", TRAIN) == new


def test_a_snippet_beside_blocks_is_an_illustration() -> None:
    answer = f"```python\n{TRAIN}DEPTH = 9\n```\n" + block("DEPTH = 4  # layers", "DEPTH = 5")
    assert edited(answer, TRAIN) == TRAIN.replace("DEPTH = 4  # layers", "DEPTH = 5")


def test_megabytes_of_anything_are_read() -> None:
    for piece in ("<<<<<<< SEARCH\n", "```\n", "=======\n", "a" * 100 + "\n", "`", "~~~asi\n", " "):
        with suppress(BadEditError):
            edited(piece * (2_000_000 // len(piece)), TRAIN)


PIECE = st.sampled_from(
    ["<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", "```python", "```", "DEPTH = 4  # layers", "DEPTH = 5", "", " x"]
)


@given(st.lists(PIECE | st.text(max_size=10), max_size=25))
def test_whatever_the_answer_is_it_is_a_valid_edit_or_one_sentence(lines: list[str]) -> None:
    try:
        train = edited("\n".join(lines), TRAIN)
    except BadEditError as error:
        assert str(error) and "\n" not in str(error)
    else:
        ast.parse(train)
        assert train != TRAIN
