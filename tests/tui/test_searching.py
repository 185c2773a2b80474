"""What is looked for is found, in order, round the ends, and never at the price of the screen."""

import itertools
import random
from bisect import bisect_left
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import LARGE, SMALL, bottom, shown, type_in
from tui import searching
from tui.panes.log import LogPane
from tui.run_log.view import RunLogView
from tui.searching import Pattern, Search, TooSlowError, marked
from tui.spans import Span, plain


class Text:
    """Lines of text; the last one is not finished."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def settled_lines(self) -> int:
        return max(0, len(self.lines) - 1)

    def line_total(self) -> int:
        return len(self.lines)

    def find_lines(self, pattern: Pattern, begin: int, end: int) -> tuple[list[int], int]:
        end = min(end, begin + 3)
        return [begin + at for at in pattern.matching(self.lines[begin:end])], end


@pytest.mark.parametrize(
    ("asked", "text", "is_there"),
    [
        ("loss", "Loss: 4", True),
        ("Loss", "loss: 4", False),
        ("a.c", "abc", False),
        ("a.c", "a.c", True),
        ("/a.c/", "abc", True),
        ("/A.C/", "abc", False),
        (r"/\Sb\S/", "ABC", True),
        ("/", "a/b", True),
        ("//", "a//b", True),
        ("/usr", "in /usr/lib", True),
        ("日本", "x日本y", True),
        ("[", "[0]", True),
    ],
)
def test_plain_text_and_expressions(asked: str, text: str, is_there: bool) -> None:
    assert (Pattern(asked).matching([text]) == [0]) is is_there


@pytest.mark.parametrize("asked", ["/[/", "/(/", "/a{9999999999999}/", "/" + "(" * 5000 + "/", "/*/"])
def test_a_bad_expression_is_one_sentence(asked: str) -> None:
    with pytest.raises(ValueError, match=r"^That is no regular expression: [^\n]+\.$"):
        Pattern(asked)


@pytest.mark.parametrize("asked", ["/(a+)+$/", "/(a|a)*b/", "/(.*)*x/"])
def test_an_expression_that_would_never_end_is_broken_off(asked: str) -> None:
    pattern = Pattern(asked)
    with pytest.raises(TooSlowError):
        pattern.matching(["a" * 64 + "!"])
    with pytest.raises(TooSlowError):
        pattern.ranges("a" * 64 + "!")


def test_a_piece_of_a_file_is_ruled_out_only_if_it_shows_no_such_text() -> None:
    assert Pattern("needle").rules_out(b"hay\nhay\n")
    assert not Pattern("needle").rules_out(b"hay\nneEdle\n")
    assert Pattern("neEdle").rules_out(b"hay\nneedle\n")
    assert not Pattern("needle").rules_out(b"nee\x1b[31mdle\n"), "a terminal shows it"
    assert not Pattern("/needle/").rules_out(b"hay\n")


def test_each_place_is_marked_across_styles() -> None:
    spans = (Span("ab", "good"), Span("", "bad"), Span("cab"), Span("x", "muted"))
    assert marked(spans, Pattern("bc"), "hit") == (
        Span("a", "good"),
        Span("b", "hit"),
        Span("c", "hit"),
        Span("ab"),
        Span("x", "muted"),
    )
    assert marked(spans, Pattern("b"), "hit")[-2:] == (Span("b", "hit"), Span("x", "muted"))
    assert marked(spans, Pattern("nothing"), "hit") == spans
    assert plain(marked(spans, Pattern("/a*/"), "hit")) == "abcabx"


def test_what_is_found_is_what_is_there_from_wherever_one_begins() -> None:
    dice = random.Random(5)
    for _ in range(200):
        text = Text([dice.choice(("hay", "needle")) for _ in range(dice.randrange(0, 30))])
        search = Search(Pattern("needle"), dice.randrange(0, text.settled_lines() + 1))
        ticks = itertools.count()
        while True:
            has_more = search.advance(text, clock=lambda ticks=ticks: next(ticks) * 0.006)
            there = [at for at, line in enumerate(text.lines) if line == "needle"]
            line, by = dice.randrange(0, len(text.lines) + 1), dice.choice((1, -1))
            step = search.step(line, by)
            if step is not None:
                at = bisect_left(there, line + 1) if by > 0 else bisect_left(there, line) - 1
                assert step == (there[at % len(there)], not 0 <= at < len(there))
            else:
                assert has_more or not there
            if not has_more:
                break
        assert search.count == len(there)
        text.lines += ["needle", "hay"]
        search.advance(text)
        assert search.count == len(there) + 1


async def look_for(pilot: Pilot[None], text: str) -> None:
    await pilot.press("slash")
    await type_in(pilot, text)
    await pilot.pause()


async def test_the_log_is_searched_to_and_fro_and_round_its_ends(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    log = recorder.workspace.run_folder(4).log
    with log.open("ab") as file:
        lines = [b"\nneedle \x1b[31m%d\x1b[0m" % at if at % 100 == 50 else b"\nhay %d" % at for at in range(1000)]
        file.write(b"".join(lines))
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        view = app.main.query_one(RunLogView)
        await look_for(pilot, "Needle")
        assert "Needle is not there" in bottom(app) and "/Needle not found" in shown(app)
        await look_for(pilot, "needle 5")
        assert "/needle 5 2 of 2" not in shown(app) and "/needle 5 1 of 2" in shown(app)
        assert "Round the end" in bottom(app) and "needle 50" in shown(app) and not view.following
        await pilot.press("n")
        assert "2 of 2" in shown(app) and "needle 550" in shown(app)
        await pilot.press("n")
        assert "1 of 2" in shown(app) and "needle 50" in shown(app)
        await pilot.press("N")
        assert "2 of 2" in shown(app) and "Round the top" in bottom(app)
        with log.open("ab") as file:
            file.write(b"\nneedle 5 at the end")
        app.poll()
        await pilot.pause()
        assert "2 of 3" in shown(app)
        await pilot.press("n", "f")
        await pilot.pause()
        assert "3 of 3" in shown(app) and view.following
        await pilot.press("escape")
        assert "needle 5 3 of 3" not in shown(app) and not view.found
        await pilot.press("n")
        assert "Nothing is looked for" in bottom(app)


async def test_a_bad_or_endless_expression_leaves_the_screen_as_it_was(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    with recorder.workspace.run_folder(4).log.open("ab") as file:
        file.write(b"\n" + b"a" * 100 + b"!\n")
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await look_for(pilot, "/[/")
        assert "That is no regular expression: unterminated character set" in bottom(app)
        await look_for(pilot, "/(a+)+$/")
        assert "takes too long" in bottom(app) and not app.main.query_one(LogPane).body.found


async def test_every_pane_with_text_is_searched(tmp_path: Path) -> None:
    app = viewer(sessions.hundred(tmp_path))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await pilot.press("5")
        await look_for(pilot, "depth 2")
        first = app.selected
        assert first is not None and "DEPTH" in shown(app) and "/depth 2 1 of 1" in app.main.pane("runs").about
        await pilot.press("n")
        assert app.selected is not None and app.selected < first and "2 of 1" in app.main.pane("runs").about
        await pilot.press("N")
        assert app.selected == first
        await pilot.press("escape")
        assert app.selected == first and not app.main.pane("runs").about.startswith("/")
        await pilot.press("4")
        await look_for(pilot, "depth")
        assert "/depth" in app.main.pane("diff").about and "not found" not in app.main.pane("diff").about
        await pilot.press("3")
        await look_for(pilot, "hypothesis")
        assert "/hypothesis 1 of 1" in app.main.pane("notes").about
        await pilot.press("5", "down", "3")
        assert "/hypothesis 1" in app.main.pane("notes").about
        await pilot.press("2", "slash")
        assert "A plot has no text" in bottom(app) and app.screen is app.main


async def test_what_a_proposer_says_is_searched_while_it_speaks(tmp_path: Path) -> None:
    recorder = sessions.thinking(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await look_for(pilot, "depth")
        assert app.main.pane("log").about.startswith("/depth 3 of 3 ")
        recorder.think(("message", ".\n\nDEPTH"), ("message", " it is"))
        app.poll()
        await pilot.pause()
        assert app.main.pane("log").about.startswith("/depth 3 of 4 ")


async def test_a_long_log_is_searched_in_slices_and_escape_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SLICE_SECONDS", 0.0)  # as on a machine that is too busy for more than one step
    recorder = sessions.three(tmp_path)
    with recorder.workspace.run_folder(4).log.open("ab") as file:
        for _ in range(8):
            file.write(b"a line of hay, as it is found in barns\n" * 100_000)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        view = app.main.query_one(RunLogView)
        while view.line_count() < 800_000:
            await pilot.pause(0.02)
        await look_for(pilot, "/needle$/")
        assert "0 so far" in view.found
        await pilot.press("escape")
        assert not view.found and "0 so far" not in shown(app)
