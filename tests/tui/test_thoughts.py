"""What a proposer thinks and says: wrapped, followed while it grows, turned to and from, and harmless."""

import random
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.events import EngineStarted, PhaseChanged, RunEnded
from engine.transcript import Said
from tests.tui import sessions
from tests.tui.conftest import viewer
from tui.app import Viewer
from tui.panes.log import LogPane
from tui.spans import Span, plain, width
from tui.thoughts.flow import LONGEST, Flow, breaks

SMALL, LARGE = (80, 24), (120, 35)


def laid_out(*said: tuple[str, str], cells: int = 40) -> Flow:
    flow = Flow()
    flow.set_width(cells)
    for kind, text in said:
        flow.add(Said(0, kind, text))
    while flow.advance(1000):
        pass
    return flow


def lines_of(flow: Flow) -> list[str]:
    return [plain(flow.line_at(y)) for y in range(flow.lines)]


def test_streamed_pieces_make_one_text_and_whole_ones_a_line_each() -> None:
    flow = laid_out(
        ("thought", "I th"),
        ("thought", "ink that\nit "),
        ("thought", "learns.\n"),
        ("thought", "\n\n\nAnd so on"),
        ("tool", "read train.py"),
        ("refused", "a write"),
        ("wait", "429\nsoon\n"),
        ("message", "Done"),
        ("message", ".\n"),
        ("message", "Really."),
    )
    assert lines_of(flow) == [
        "  I think that",
        "  it learns.",
        "",
        "  And so on",
        "",
        "▸ read train.py",
        "! a write",
        "… 429",
        "  soon",
        "",
        "Done.",
        "Really.",
    ]
    roles = [span.role for y in range(flow.lines) for span in flow.line_at(y)]
    assert roles == ["muted"] * 3 + ["accent", "warn", "warn", "warn", "", ""]


def test_prose_is_wrapped_between_words_and_lists_hang() -> None:
    text = "- one two three four five\n    - six seven eight nine\n12. ten eleven twelve\n" + "x" * 45
    assert lines_of(laid_out(("message", text), cells=20)) == [
        "- one two three four",
        "  five",
        "    - six seven",
        "      eight nine",
        "12. ten eleven",
        "    twelve",
        "x" * 20,
        "x" * 20,
        "x" * 5,
    ]


def test_nothing_of_a_text_is_lost_in_wrapping() -> None:
    dice = random.Random(3)
    for cells in (16, 23, 80):
        words = ["".join(dice.choice("abc日é👩") for _ in range(dice.randrange(1, 30))) for _ in range(400)]
        text = " ".join(words)
        flow = laid_out(("message", text), cells=cells)
        lines = lines_of(flow)
        assert all(width((Span(line),)) <= cells for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert breaks("", 10) == [(0, 0)] and breaks("日本", 1) == [(0, 1), (1, 2)]


def test_a_text_that_comes_in_crumbs_is_the_same_as_in_one_piece() -> None:
    dice = random.Random(5)
    text = "".join(dice.choice(["word ", "日本", "\n", "\n\n", "- item ", "a" * 90]) for _ in range(600)) + "end"
    crumbs, rest = [], text
    while rest:
        size = dice.randrange(1, 9)
        crumbs.append(("thought", rest[:size]))
        rest = rest[size:]
    assert lines_of(laid_out(*crumbs)) == lines_of(laid_out(("thought", text)))


def test_a_line_without_end_is_drawn_in_pieces() -> None:
    flow = laid_out(*[("message", "word " * 100)] * 100, cells=70)
    words = " ".join(lines_of(flow)).split()
    assert words == ["word"] * 10_000
    assert flow.paragraph_at(flow.lines - 1) > 50_000 // LONGEST - 1


def test_what_it_says_can_do_no_harm() -> None:
    hostile = "".join(map(chr, range(0xA0))) + "\x1b]52;c;eA==\x07\x9b2J\u202ereversed\ufe0f" + "e" + "\u0301" * 50
    flow = laid_out(*[("thought", hostile), ("message", "e"), *[("message", "\u0301\u0301")] * 500, ("?\x1b", "odd")])
    text = "".join(lines_of(flow))
    assert text.isprintable() and "reversed" in text and "odd" in text and "\u202e" not in text
    assert text.count("\u0301") <= 4


def test_a_new_width_counts_all_lines_again() -> None:
    said = [("message", f"paragraph {number} of some words\n") for number in range(50)]
    flow = laid_out(*said, cells=80)
    assert flow.lines == 50 and flow.first_line(7) == 7
    flow.set_width(20)
    assert flow.lines == 0
    while flow.advance(100):
        pass
    assert flow.lines == 100 and flow.first_line(7) == 14 and flow.paragraph_at(15) == 7
    long = laid_out(("message", "short\n" + "word " * 700), cells=50)
    place = long.place_of(41)
    long.set_width(100)
    long.advance(10_000)
    assert long.line_of(place) == 21 and long.line_of(long.place_of(long.lines)) == long.lines


def shown(app: Viewer) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def show(app: Viewer, pilot: Pilot[None]) -> str:
    app.poll()
    await pilot.pause()
    return shown(app)


def log_pane(app: Viewer) -> LogPane:
    return app.main.log_pane


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_log_pane_shows_the_proposer_live_and_turns_back_to_the_log(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    recorder = sessions.between(tmp_path, 3)
    app = viewer(recorder)
    async with app.run_test(size=size) as pilot:
        recorder.emit(EngineStarted(pid=1, branch="b", proposer="chat", limit_seconds=600))
        recorder.emit(PhaseChanged(phase="proposing"))
        recorder.workspace.proposing.write_bytes(b"")
        assert "run 3 · " in await show(app, pilot)
        recorder.think(("thought", "Deeper, not "), ("thought", "wider."))
        text = await show(app, pilot)
        assert "the proposer, run 4" in text and "Deeper, not wider." in text
        assert app.main.focused is log_pane(app).body
        recorder.workspace.proposing.write_bytes(b"")
        recorder.think(("message", "Asked once more."))
        text = await show(app, pilot)
        assert "Asked once more." in text and "Deeper" not in text
        description, train, diff, asi = recorder.change()
        recorder.propose(description, train, diff, asi, source="chat")
        recorder.keep_thoughts()
        recorder.start()
        recorder.print_log(0.5)
        text = await show(app, pilot)
        assert "run 4 · live" in text and "sequence length 256" in text and "Asked" not in text
        assert app.main.focused is log_pane(app).body
        await pilot.press("t")
        assert "Asked once more." in await show(app, pilot)
        assert "the proposer, run 4 · live" in log_pane(app).about
        await pilot.press("t")
        assert "sequence length 256" in await show(app, pilot)


async def test_t_turns_the_selected_run_to_its_thoughts_and_says_why_there_are_none(tmp_path: Path) -> None:
    recorder = sessions.thought(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("5", "down", "t")
        assert "ASPECT_RATIO goes from 32 to 48" in await show(app, pilot)
        assert app.main.focused is log_pane(app).body and app.selected == 8
        for run, words in (
            (7, "Run 7 was proposed by the search, which does not think aloud."),
            (1, "Run 1 is the baseline: train.py as it was, nobody's proposal."),
        ):
            app.select(run)
            assert words in " ".join((await show(app, pilot)).split())
        app.select(8)
        assert "ASPECT_RATIO goes" in await show(app, pilot)
        await pilot.press("t")
        assert "METRIC val_bpb=1.76" in await show(app, pilot)


async def test_a_person_may_look_at_the_log_while_the_proposer_thinks(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        assert "429 Too Many Requests" in await show(app, pilot)
        await pilot.press("t")
        assert "METRIC val_bpb" in await show(app, pilot)
        recorder.think(("message", "more"))
        assert "METRIC val_bpb" in await show(app, pilot)
        await pilot.press("t")
        assert "try 40 nextmore" in await show(app, pilot)
        app.select(3)
        assert "429" not in await show(app, pilot)
        await pilot.press("escape")
        assert "429" in await show(app, pilot)


async def test_t_goes_to_the_log_pane_where_another_is_shown(tmp_path: Path) -> None:
    app = viewer(sessions.thinking(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("3", "t")
        assert "429 Too Many Requests" in await show(app, pilot)


async def test_the_thoughts_stand_still_while_one_reads_and_f_follows_again(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await show(app, pilot)
        await pilot.press("home")
        top = await show(app, pilot)
        assert "The last three changes" in top
        recorder.think(*[("tool", f"step {number}") for number in range(100)])
        text = await show(app, pilot)
        assert "The last three changes" in text and "▸ step" not in text
        assert log_pane(app).body.new_lines >= 100 and "f follows" in log_pane(app).about
        await pilot.press("f")
        assert "step 99" in await show(app, pilot)
        recorder.think(("tool", "the last one"))
        assert "the last one" in await show(app, pilot) and "f follows" not in log_pane(app).about


async def test_one_goes_on_reading_the_same_lines_in_a_window_of_another_width(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    recorder.think(*[("message", f"Paragraph {number}: " + "some words " * 30 + "\n") for number in range(200)])
    app = viewer(recorder)
    async with app.run_test(size=(150, 40)) as pilot:
        await show(app, pilot)
        body = log_pane(app).body
        body.stand_still()
        body.move_to(600)
        await pilot.pause()
        first = next(line for line in shown(app).splitlines() if "Paragraph" in line).split("Paragraph ")[1][:3]
        await pilot.resize_terminal(100, 40)
        await pilot.pause(0.1)
        assert f"Paragraph {first}" in shown(app) and not body.following


async def test_mending_a_crash_is_shown_live_too(tmp_path: Path) -> None:
    recorder = sessions.thought(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        recorder.workspace.proposing.write_bytes(b"")
        recorder.emit(RunEnded(run=9, ending="exited", code=1, seconds=2))
        assert "run 9 · live" in await show(app, pilot)
        recorder.emit(PhaseChanged(phase="mending", run=9))
        recorder.think(("thought", "A comma was missing."))
        text = await show(app, pilot)
        assert "● mending" in text
        assert "the proposer, run 9" in text and "A comma was missing." in text


async def test_sixteen_megabytes_of_thoughts_are_read_to_their_end_between_the_keys(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    recorder.think(*[("thought", "Some words that make a line of this and that; " * 8 + "\n")] * 40_000)
    recorder.think(("message", "That was all."))
    assert recorder.workspace.proposing.stat().st_size > 15 << 20
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        for _ in range(200):
            await pilot.pause(0.05)
            if "That was all." in shown(app):
                break
        assert "That was all." in shown(app) and log_pane(app).body.line_count() > 200_000


async def test_a_transcript_that_is_no_file_is_none(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    recorder.workspace.proposing.unlink()
    recorder.workspace.proposing.mkdir()
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        assert "proposing" in await show(app, pilot)
