"""Every line of a growing file is found, in little memory."""

import random
from pathlib import Path

import pytest

from tui.run_log.index import BLOCK, LONG, LineIndex


def all_lines(index: LineIndex) -> list[bytes]:
    return [index.line(number).text for number in range(index.lines)]


def catch_up(index: LineIndex) -> LineIndex:
    while index.advance(BLOCK * 3 + 7):
        pass
    return index


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"one",
        b"one\n",
        b"one\ntwo",
        b"\n\n\n",
        b"x" * BLOCK,
        b"x" * (BLOCK - 1) + b"\ny",
        b"\n" * (BLOCK + 5),
        b"ab\n" * BLOCK,
    ],
    ids=["empty", "newline", "unfinished", "one", "two", "blank", "block", "edge", "newlines", "many"],
)
def test_lines_are_those_of_the_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(text)
    index = catch_up(LineIndex(path))
    expected = text.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert index.lines == len(expected)
    assert [line[:LONG] for line in expected] == all_lines(index)


def test_a_file_may_grow_in_pieces_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    dice = random.Random(3)
    index = LineIndex(path)
    assert not index.advance() and index.lines == 0
    written = b""
    with path.open("ab", buffering=0) as file:
        for _ in range(300):
            piece = b"".join(dice.choice((b"a", b"bc", b"\n")) for _ in range(dice.randrange(1, 900)))
            file.write(piece)
            written += piece
            catch_up(index)
            lines = written.split(b"\n")
            number = dice.randrange(len(lines))
            assert index.complete_lines == len(lines) - 1
            assert index.line(number).text == lines[number]


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"old\n" * 10)
    index = catch_up(LineIndex(path))
    new = tmp_path / "new"
    new.write_bytes(b"new\n" * 20)
    new.replace(path)
    catch_up(index)
    assert index.lines == 20 and index.line(3).text == b"new" and index.generation == 1
    path.write_bytes(b"cut\n")
    catch_up(index)
    assert index.lines == 1 and index.line(0).text == b"cut"


def test_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"one\n")
    index = catch_up(LineIndex(path))
    path.unlink()
    assert not index.advance() and index.line(0).text == b"one"
    assert index.line(7).text == b""


def test_a_huge_line_is_not_read_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with path.open("wb") as file:
        file.write(b"before\n")
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b"\nafter\n")
    index = catch_up(LineIndex(path))
    line = index.line(1)
    assert line.is_cut and line.length == 64 << 20 and len(line.text) == LONG
    assert index.line(2).text == b"after"


def test_of_a_line_that_is_rewritten_for_ever_the_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with path.open("wb") as file:
        for step in range(200_000):
            file.write(b"\rstep %06d" % step)
    index = catch_up(LineIndex(path))
    assert index.lines == 1 and index.line(0).text.endswith(b"\rstep 199999")
    assert len(index.line(0).text) < LONG


def test_the_index_is_small(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with path.open("wb") as file:
        for _ in range(16):
            file.write(b"a line of a run's output\n" * 40_000)
    index = catch_up(LineIndex(path))
    assert index.lines == 640_000
    assert len(index._before) <= path.stat().st_size // BLOCK + 2
