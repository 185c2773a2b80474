"""Whatever a run prints, a line of the log is harmless text and styles."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from tui.run_log.emulator import MAX_COLUMNS, emulate
from tui.spans import plain, width
from tui.text import clean

HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufe00-\ufe0f]")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"with its end\r", "with its end"),
        (b"step 1\rstep 22", "step 22"),
        (b"longer than\rshort", "shortr than"),
        (b"50%\r\x1b[K100%", "100%"),
        (b"abc\b\bX", "aXc"),
        (b"a\tb", "a       b"),
        (b"\x1b]52;c;aGVsbG8=\x07kept", "kept"),
        (b"\x1b]0;title\x1b\\kept", "kept"),
        (b"\x1b]0;never ended", ""),
        (b"\x1b[?1049h\x1b[2J\x1b[H\x1b[5A\x1b[10;10Hkept", "kept"),
        (b"\x1bPdevice\x1b\\\x1b_app\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\kept", "kept"),
        (b"\x1bc\x1b7\x1b8\x1b(Bkept", "kept"),
        (b"\x07\x00\x0e\x0f\x0c\x0b\x7fkept", "kept"),
        ("\x9b31mred\x9d0;t\x9ckept".encode(), "redkept"),
        (b"\xff\xfe\x80kept", "\ufffd\ufffd\ufffdkept"),
        ("a\u202eb\u2066c\u200bd\ufeff".encode(), "abcd"),
        ("日本\rx".encode(), "x 本"),
        ("日本\b\bx".encode(), "日x "),
        ("e\u0301".encode(), "e\u0301"),
        (b"\x1b[3Gx", "  x"),
        (b"abc\x1b[2Dx", "axc"),
        (b"\x1b[999999999999Gx", "x"),
        (b"\x1b[;;;;;m\x1b[38;5m\x1b[38;2;1m\x1b[999mkept", "kept"),
    ],
)
def test_a_line_ends_as_a_terminal_would_leave_it(raw: bytes, shown: str) -> None:
    assert plain(emulate(raw)) == shown


def test_colours_become_styles() -> None:
    red, bold, rest = emulate(b"\x1b[31mred\x1b[0;1mbold\x1b[0m rest")
    assert red.text == "red" and isinstance(red.role, Style) and red.role.color is not None
    assert isinstance(bold.role, Style) and bold.role.bold
    assert rest == (" rest", "")


def test_text_can_not_hide_or_blink() -> None:
    (span,) = emulate(b"\x1b[8;5mhere")
    assert span == ("here", "")


def test_a_pile_of_marks_is_cut_down() -> None:
    assert len(plain(emulate(b"a" + "\u0301".encode() * 5000))) <= 4


def test_a_million_carriage_returns_leave_one_line() -> None:
    raw = b"".join(b"\rstep %05d" % step for step in range(1400))
    assert plain(emulate(raw)) == "step 01399"


def test_a_line_is_never_wider_than_its_limit() -> None:
    assert width(emulate(b"x" * (MAX_COLUMNS - 1) + "日日\x1b[31mx".encode())) <= MAX_COLUMNS


@given(st.binary(max_size=300))
def test_no_bytes_get_through(raw: bytes) -> None:
    spans = emulate(raw.replace(b"\n", b""))
    assert not HARMFUL.search(plain(spans))


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_no_text_from_a_file_gets_through(text: str) -> None:
    assert not HARMFUL.search(clean(text))


@given(st.text(alphabet="ab\r\b\x1b[0123456789;mKGCDhJ\x9b]\x07日\u0301 ", max_size=120))
def test_no_sequence_breaks_the_emulator(text: str) -> None:
    assert not HARMFUL.search(plain(emulate(text.encode())))
