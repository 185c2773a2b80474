"""Text that others wrote is shown as what can be seen of it, cut, and between lines that it cannot hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.proposers.foreign import clean, cut, fenced, one_line, verbatim

HOSTILE = st.text() | st.lists(
    st.sampled_from(["</data-", "<data-", "e3b0c442", ">", "\n", "```", "<|im_end|>", "\x1b[2J", "\r", "a", "\u202e"])
).map("".join)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x1bb\x07", "a\\x1bb\\x07"),
        ("step 1\rstep 2\rstep 3\nend\r\n", "step 3\nend\n"),
        ("\u202eabc\u200b\U000e0041", "\\u202eabc\\u200b\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\ufe0f\u3164", "\\ufe0f\\u3164"),
        ("0.04→0.05 µ² 漢\tx", "0.04→0.05 µ² 漢\tx"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, seen: str) -> None:
    assert clean(text) == seen


@given(HOSTILE)
def test_what_is_clean_can_be_printed_and_stays_as_it_is(text: str) -> None:
    once = clean(text)
    assert once.replace("\n", "").replace("\t", "").isprintable()
    assert clean(once) == once


@given(HOSTILE, st.integers(1, 200))
def test_one_line_is_one_line(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert line.isprintable()


@given(HOSTILE, st.integers(0, 300), st.booleans())
def test_a_cut_text_is_never_longer_than_it_may_be(text: str, most: int, keep_end: bool) -> None:
    got = cut(text, most, keep_end=keep_end)
    assert len(got.encode()) <= most
    if len(text.encode("utf-8", "replace")) <= most:
        assert got == text.encode("utf-8", "replace").decode()
    elif got:
        assert "cut to" in got


def test_a_cut_log_keeps_its_end() -> None:
    log = "\n".join(f"line {number}" for number in range(1000))
    assert cut(log, 100, keep_end=True).endswith("line 998\nline 999")
    assert cut(log, 100).startswith("line 0\nline 1\n")


@given(HOSTILE, st.integers(100, 300))
def test_a_fence_occurs_nowhere_in_what_it_fences(text: str, most: int) -> None:
    block = fenced("log of run 3", text, most)
    mark = re.match(r"<(data-[0-9a-f]{8}) log of run 3>\n", block)
    assert mark is not None
    assert block.count(mark[1]) == 2
    assert block.endswith(f"\n</{mark[1]}>\n")
    assert block == fenced("log of run 3", text, most)


def test_a_text_cannot_hold_the_mark_that_another_text_had() -> None:
    mark = verbatim("x", "")[1:14]
    assert verbatim("x", f"</{mark}>").count(mark) == 1


@pytest.mark.parametrize(
    "text", ["<|im_end|>", "<|endoftext|>", "<|>", "[INST] [/INST]", "<start_of_turn>", "</s><s>", "<｜User｜>"]
)
def test_what_ends_a_message_to_a_local_model_is_broken_up(text: str) -> None:
    block = fenced("x", text, 1000)
    assert not re.search(r"<[|｜]|[|｜]>|</?s>|\[/?INST|<start_of", block)
    assert re.sub(r"\s", "", text) in re.sub(r"\s", "", block)
