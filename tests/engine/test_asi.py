"""What a model says of its edit: notes from a fenced block, else a description from its first sentence."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.proposers import asi
from engine.proposers.asi import LONGEST_DESCRIPTION, LONGEST_NOTE, read

NOTES = {"hypothesis": "steps are too small", "arch_change": "MATRIX_LR 0.04→0.05", "next_action_hint": "go on"}
BLOCK = "<<<<<<< SEARCH\nA = 1\n=======\nA = 2\n>>>>>>> REPLACE\n"


def fence(notes: object, word: str = "asi") -> str:
    return f"```{word}\n{json.dumps(notes, indent=1)}\n```\n"


def test_the_notes_of_a_fenced_block_are_read() -> None:
    said = read(f"Let me try this. More.\n{fence(NOTES | {'description': 'raise MATRIX_LR'})}\n{BLOCK}")
    assert said == asi.Said("raise MATRIX_LR", NOTES)


@pytest.mark.parametrize("word", ["asi", "json", "ASI", "json asi"])
def test_a_block_of_json_with_the_same_keys_will_do(word: str) -> None:
    assert read(fence(NOTES, word)).asi == NOTES


def test_json_that_is_something_else_is_no_note() -> None:
    assert read(fence({"lr": 0.1}, "json")).asi == {}


def test_of_several_blocks_the_last_that_can_be_read_holds() -> None:
    assert read(fence({"hypothesis": "a"}) + fence({"hypothesis": "b"}) + "```asi\n{broken\n```").asi == {
        "hypothesis": "b"
    }


@pytest.mark.parametrize(
    ("answer", "description"),
    [
        ("I raise MATRIX_LR to 0.05. It should help.", "I raise MATRIX_LR to 0.05"),
        (f"{BLOCK}\n```python\nx = 1\n```\n## **Deeper model**\nwhy", "Deeper model"),
        ("Here is the edit:\n" + BLOCK, "Here is the edit"),
        (BLOCK, "an edit without a word of explanation"),
        ("", "an edit without a word of explanation"),
        ("\x1b[31mred\x1b[0m and \x07 bell\u202e", "red and \\x07 bell\\u202e"),
        ("word " * 100, ("word " * 100)[: LONGEST_DESCRIPTION - 1].rstrip() + "…"),
    ],
)
def test_without_a_block_the_first_sentence_is_the_description(answer: str, description: str) -> None:
    assert read(answer) == asi.Said(description)


def test_what_a_run_showed_is_not_the_models_to_say() -> None:
    assert read(fence({"result": "it won", "log_tail": "val_bpb 0.1", "hypothesis": "h"})).asi == {"hypothesis": "h"}


def test_notes_are_bounded_and_fit_for_the_ledger() -> None:
    wild = {f"key{number}": "x" * 10_000 for number in range(50)} | {"hypothesis": "\ud800"}
    got = asi.parse(json.dumps({"deep": {"a": [1, 2]}, "big": 10**40, "nan": float("nan"), "lone": "\ud800"} | wild))
    assert len(got) == asi.MOST_KEYS
    assert got["deep"] == '{"a": [1, 2]}'
    assert got["lone"] == "\\ud800"
    assert all(len(str(value)) <= LONGEST_NOTE for value in got.values())
    assert msgspec.json.decode(msgspec.json.encode(got)) == got


@pytest.mark.parametrize("text", ["", "[]", "1" * 5000, "[" * 100_000, '{"a":' * 100_000, "null", "{", '"x"'])
def test_what_is_no_object_gives_no_notes(text: str) -> None:
    assert asi.parse(text) == {}
    assert read(f"```asi\n{text}\n```").asi == {}


@given(st.text() | st.recursive(st.text(), lambda each: st.dictionaries(st.text(), each)).map(fence))
def test_whatever_the_answer_is_a_description_of_one_line_comes_of_it(answer: str) -> None:
    said = read(answer)
    assert 0 < len(said.description) <= LONGEST_DESCRIPTION
    assert said.description.isprintable()
    msgspec.json.encode(said.asi)
    (said.description + str(said.asi)).encode()
