"""Wrapped or not, every line has its rows, its search and its time."""

import itertools
import random
import time
from pathlib import Path

import pytest

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import SMALL, shown, type_in
from tui.run_log.lines import LogLines
from tui.run_log.sightings import Sightings
from tui.run_log.view import RunLogView
from tui.run_log.wrapping import EVERY, Rows, breaks, chop, height
from tui.spans import Span, plain, width


@pytest.mark.parametrize(
    "text", ["", "a", "abcde", "abcdefghijk", "日本語日本語", "a日b本c語", "日" * 7, "e\u0301" * 9]
)
@pytest.mark.parametrize("cells", [2, 5, 6])
def test_a_line_is_chopped_between_characters(text: str, cells: int) -> None:
    middle = len(text) // 2
    spans = (Span(text[:middle], "good"), Span(text[middle:], "bad"))
    rows = chop(spans, cells)
    assert "".join(plain(row) for row in rows) == text
    assert all(0 < width(row) <= cells for row in rows) or not text
    assert len(rows) == height(text, cells) == len(breaks(text, cells))


def rows_of(lines: LogLines, cells: int) -> list[tuple[int, int]]:
    return [(line, row) for line in range(lines.total) for row in range(height(plain(lines.line(line)), cells))]


def test_every_row_is_found_while_the_log_grows(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    dice = random.Random(2)
    lines = LogLines(path)
    rows = Rows(lines, 20)
    with path.open("ab", buffering=0) as file:
        for _ in range(60):
            for _ in range(dice.randrange(40)):
                words = dice.choice((b"", b"x" * dice.randrange(90), "日".encode() * 30, b"\rover\r\x1b[31mred" * 3))
                file.write(words + dice.choice((b"\n", b"\n", b"\n", b"")))
            while lines.index.advance() or rows.advance():
                pass
            expected = rows_of(lines, 20)
            assert rows.total == len(expected)
            for row in dice.sample(range(len(expected)), min(20, len(expected))):
                assert rows.locate(row) == expected[row]
                assert rows.row_of(expected[row][0]) == row - expected[row][1]
    assert lines.total > 5 * EVERY


def test_long_lines_and_bare_newlines_are_counted_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"\n" * 100_000 + b"y" * 100_000 + b"\n" + b"\x1b[1mz" * 30_000 + b"\n" + b"w" * 50)
    lines = LogLines(path)
    while lines.index.advance():
        pass
    rows = Rows(lines, 80)
    slices, ticks = 1, itertools.count()
    while rows.advance(clock=lambda: next(ticks) * 0.006):
        slices += 1
    tall = sum(height(plain(lines.line(number)), 80) for number in (100_000, 100_001))
    assert slices > 2 and rows.total == 100_000 + tall + 1
    assert rows.locate(rows.total - 1) == (100_002, 0)


def test_a_time_is_said_only_where_it_was_seen() -> None:
    sightings = Sightings()
    sightings.saw(100, None)
    sightings.saw(100, 5.0)
    sightings.saw(103, 10.4)
    sightings.saw(104, 10.9)
    sightings.saw(110, None)
    sightings.saw(111, 20.0)
    assert [sightings.of(line) for line in (0, 99, 100, 103, 104, 109, 110)] == [None, None, 10, 10, None, None, 20]
    assert Sightings().of(0) is None


def test_a_night_of_sightings_is_small() -> None:
    sightings = Sightings()
    for quarter in range(4 * 3600):
        sightings.saw(quarter * 5 + 5, quarter / 4)
    assert len(sightings._times) == 3600 and sightings.of(20) == 1


async def test_w_wraps_keeps_the_place_and_is_searched_by_lines(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    with recorder.workspace.run_folder(4).log.open("ab") as file:
        file.write(b"\n" + b"".join(b"%04d " % at + b"word " * 40 + b"end%d\n" % at for at in range(300)))
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        view = app.main.query_one(RunLogView)
        lines = view.line_count()
        assert "end299" not in shown(app)
        await pilot.press("w")
        await pilot.pause()
        assert view.line_count() == lines + 2 * 300 + 1 and view.following and "end299" in shown(app)
        await pilot.press("home", *["down"] * 5)
        await pilot.pause()
        assert not view.following and "0000 word" in shown(app) and "end0" in shown(app)
        top = view.line_in_view()
        await pilot.resize_terminal(100, 24)
        await pilot.pause()
        assert view.line_in_view() == top
        await pilot.press("slash")
        await type_in(pilot, "END123")
        assert "not found" in shown(app)
        await pilot.press("slash")
        await type_in(pilot, "end123")
        await pilot.pause()
        assert "/end123 1 of 1" in shown(app) and " end123" in shown(app)
        await pilot.press("w")
        await pilot.pause()
        assert view.line_count() == lines and "0123 word" in shown(app)
        await pilot.press("5", "down", "1", "w", "home")
        await pilot.pause()
        assert "device: cpu" in shown(app)


async def test_nothing_of_a_wrapped_line_is_under_the_scrollbar(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    text = "".join(f"{number:05d}" for number in range(400))
    with recorder.workspace.run_folder(recorder.run).log.open("a") as log:
        log.write("\n" * 40 + text)
    app = viewer(recorder)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        for _ in range(20):
            await pilot.pause(0.05)
        rows = [line.split("│")[1].strip(" ▁▂▃▄▅▆▇█") for line in shown(app).splitlines()[2:16]]
        seen = "".join(row for row in rows if row.isdigit())
        assert len(seen) > 500 and text.endswith(seen)


async def test_t_says_when_lines_came_that_came_while_one_looked(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    log = recorder.workspace.run_folder(4).log
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        app.poll()
        with log.open("ab") as file:
            file.write(b"\nand then\n" + b"x" * 200 + b"\n")
        app.poll()
        await pilot.press("T", "w")
        await pilot.pause()
        rows = [line.strip() for line in shown(app).splitlines()]
        assert any(row.startswith("–        device: cpu") for row in rows)
        stamp = next(row for row in rows if row.endswith("and then")).removesuffix(" and then")
        assert time.strptime(stamp, "%H:%M:%S")
        assert sum("xxxxx" in row for row in rows) == 3 and sum(":" in row[:8] and "xxx" in row for row in rows) == 1
        await pilot.press("T")
        await pilot.pause()
        assert "–        device" not in shown(app)
