"""The curve of a run's loss is its log's, and says at equal progress who is ahead."""

from pathlib import Path

import pytest

from engine import ledger
from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import shown
from tui.configuration import Configuration
from tui.loss_curve import EARLY, LONGEST, POINTS_KEPT, Curve, CurveReader, draw, standing, standing_words
from tui.panes.log import curve_rows, progress_spans, rival_of
from tui.progress import Progress
from tui.session import Session
from tui.spans import plain, width
from tui.view_state import subject


def curve(steps: int, begin: float, end: float, upto: float = 1.0) -> Curve:
    made = Curve()
    for step in range(1, int(steps * upto) + 1):
        made.add(step / steps, begin + (end - begin) * step / steps)
    return made


def progress(step: int, share: float, loss: float) -> bytes:
    return b"\rstep %05d (%.1f%%) | loss: %.6f | tok/sec: 12,345   " % (step, 100 * share, loss)


def read(reader: CurveReader) -> Curve:
    reader.advance()
    while reader.is_behind:
        reader.advance()
    return reader.curve


def test_a_log_is_read_as_it_grows_in_pieces_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    reader = CurveReader(path)
    assert read(reader).last is None
    text = (
        b"device: cpu (100% busy)\n" + b"".join(progress(at, at / 200, 5 - at / 100) for at in range(201)) + b"\n---\n"
    )
    with path.open("ab", buffering=0) as file:
        for begin in range(0, len(text), 37):
            file.write(text[begin : begin + 37])
            reader.advance()
    assert reader.curve.last == (1.0, 3.0)
    assert reader.curve.at(0.25) == pytest.approx(4.5) and reader.curve.at(0.5) == pytest.approx(4.0)


def test_a_training_that_begins_again_or_another_log_is_a_new_curve(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"".join(progress(at, at / 10, 5.0) for at in range(8)) + progress(1, 0.1, 4.0) + b"\n")
    reader = CurveReader(path)
    assert read(reader).last == (0.1, 4.0) and reader.curve.at(0.5) is None
    path.write_bytes(progress(1, 0.05, 3.0) + b"\n")
    assert read(reader).last == (0.05, 3.0)


def test_what_is_no_progress_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(
        b"(50%) no number\nloss: 4\n\xff\xfe(10%) loss: nan\n(20%) loss: 1e400\n"
        + b"x" * LONGEST * 3
        + b"(30%) loss: 2\n"
    )
    assert read(CurveReader(path)).last is None


def test_a_million_steps_are_thinned() -> None:
    made = curve(100_000, 6, 2)
    assert len(made._shares) <= POINTS_KEPT
    assert all(made.at(at / 100) == pytest.approx(6 - 4 * at / 100, abs=0.01) for at in range(1, 101))


def test_who_is_ahead_is_said_at_equal_progress() -> None:
    rival = curve(160, 6, 4)
    ahead, behind = curve(1000, 5.9, 3.9, upto=0.45), curve(1000, 6.1, 4.1, upto=0.45)
    assert standing(ahead, rival) == pytest.approx(-0.1, abs=0.005)
    assert plain(standing_words(ahead, rival, "the incumbent")).endswith(" below the incumbent at 45%")
    assert " above the incumbent at 45%" in plain(standing_words(behind, rival, "the incumbent"))
    assert plain(standing_words(rival, rival, "run 3")) == "loss level with run 3 at 100%"
    assert standing(rival, ahead) is None and not standing_words(Curve(), rival, "run 3")


@pytest.mark.parametrize("height", [1, 4, 8])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_curve_fills_its_room_and_no_more(height: int, is_ascii: bool) -> None:
    exploded = Curve()
    for step in range(100):
        exploded.add(step / 100, 10.0**step if step > 20 else 5.0)
    rival = curve(160, 6, 4)
    for mine, other in ((curve(500, 6, 3, 0.3), rival), (exploded, rival), (exploded, None), (curve(9, 3, 3), None)):
        for cells in (1, 20, 118):
            lines = draw(mine, other, cells, height, plain=is_ascii)
            assert len(lines) == height and all(width(line) == cells for line in lines)
            assert not is_ascii or all(plain(line).isascii() for line in lines)


def test_the_curve_that_is_lower_is_drawn_lower_and_in_another_colour() -> None:
    rival = curve(160, 6, 4)
    mine = curve(160, 5, 3, upto=0.5)
    lines = draw(mine, rival, 60, 4)
    columns = range(7 + int(53 * EARLY) + 2, 7 + 53 // 2)
    roles = [[span.role for span in line for _ in span.text] for line in lines]
    for column in columns:
        rows = {roles[row][column]: row for row in range(4) if plain(lines[row])[column] != " "}
        assert rows["good"] > rows["muted"]


def test_a_run_is_compared_with_the_incumbent_of_its_time(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path, 40)
    state = Session(recorder.workspace, is_alive=lambda: True).poll()
    kept = [each.run for each in ledger.read(recorder.workspace.ledger).experiments if each.kept]
    assert len(kept) > 2
    for run, rival in ((kept[0], None), (kept[1], kept[0]), (kept[1] + 1, kept[1]), (None, kept[-1])):
        about = subject(state, run)
        assert about is not None
        found = rival_of(state, about)
        assert (found.run if found else None) == rival


def test_of_the_progress_goes_what_matters_least() -> None:
    progress = Progress(step=1234, percent=38.2, loss=4.1234, tokens_per_second=12345, mfu=39.8, remaining=19)
    whole = plain(progress_spans(progress, 11, 200))
    assert "38%" in whole and "0:11, 0:19 left" in whole and whole.endswith("12,345 tok/s   MFU 39.8%")
    small = plain(progress_spans(progress, 11, 76))
    assert whole.startswith(small) and small.endswith("12,345 tok/s") and "…" not in small


@pytest.mark.parametrize(("size", "rows"), [((78, 13), 1), ((118, 14), 5), ((198, 46), 9), ((58, 7), 1), ((58, 5), 0)])
def test_the_log_keeps_more_room_than_the_curve(size: tuple[int, int], rows: int) -> None:
    assert curve_rows(*size) == rows and rows < size[1] / 2


async def test_the_curve_is_over_the_log_and_grows(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path, 4)
    app = viewer(recorder)
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        app.poll()
        await pilot.pause()
        assert "the incumbent at 4" in shown(app)
        with recorder.workspace.run_folder(5).log.open("ab") as file:
            file.write(progress(150, 0.9, 1.5) + b"\r")
        app.poll()
        await pilot.pause()
        assert " below the incumbent at 90%" in shown(app)
        await pilot.press("5", "down", "down")
        app.poll()
        await pilot.pause()
        assert "run 1 at 100%" in shown(app) or "the incumbent at 100%" in shown(app)
        await pilot.press("t")
        await pilot.pause()
        assert "at 100%" not in shown(app)


async def test_in_ascii_the_two_curves_have_characters_of_their_own(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path / "demo", 4)
    with recorder.workspace.run_folder(5).log.open("ab") as file:
        file.write(progress(100, 0.6, 3.0) + b"\r")
    app = viewer(recorder, configuration=Configuration(ascii=True))
    async with app.run_test(size=(200, 50)) as pilot:
        await pilot.pause()
        app.poll()
        await pilot.pause()
        rows = shown(app).splitlines()
        at = next(number for number, row in enumerate(rows) if "below the incumbent" in row)
        assert any("**" in row[:120] and ".." in row[:120] for row in rows[at + 1 : at + 5])
