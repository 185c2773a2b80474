"""Every key, pressed on a recorded session: what it shows, and what it asks of the engine."""

from pathlib import Path

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from engine.commands import Annotate, AnyCommand, CommandFollower, Enqueue, Message, Pause, Resume, Skip, Stop
from engine.events import CommandDone, IdeaQueued, IdeaTaken, Paused, PhaseChanged, Rescued, Resumed, RunEnded, Warned
from tests.tui import sessions
from tests.tui.conftest import Recording, viewer
from tests.tui.sessions import Recorder
from tui.app import Viewer
from tui.asking import Question, Sentence
from tui.bottom_line import BottomLine
from tui.help import Help, help_lines
from tui.main_screen import ORDER, TabLine
from tui.panes.diff import BASES, DiffPane
from tui.panes.log import LogPane
from tui.panes.runs import RunsView
from tui.spans import plain, width
from tui.status_line import StatusLine

SMALL, LARGE = (80, 24), (120, 35)


def asked(recorder: Recorder) -> list[AnyCommand]:
    """The commands that wait for the engine."""
    received = CommandFollower(recorder.workspace).poll()
    return [each.command for each in received if each.command is not None]


def status(app: Viewer) -> str:
    line = app.main.query_one(StatusLine)
    return plain(line.compose_lines(200, 1)[0])


def bottom(app: Viewer) -> str:
    return plain(app.main.query_one(BottomLine).compose_lines(200, 1)[0])


def shown(app: Viewer) -> str:
    """What is on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def type_in(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await pilot.pause()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_pause_is_asked_for_said_and_taken_back(tmp_path: Path, size: tuple[int, int]) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("p")
        (command,) = asked(recorder)
        assert isinstance(command, Pause)
        assert "pausing after this run" in status(app)
        recorder.emit(CommandDone(id=command.id, command="pause", offset=1, answer="paused after run 4"))
        recorder.emit(Paused())
        app.poll()
        assert "pausing after this run" in status(app)
        assert "paused after run 4" in bottom(app)
        recorder.finish("discard", 1.8, "worse", description="d")
        recorder.now += 60
        app.poll()
        assert "● paused" in status(app) and "p resume" in bottom(app)
        await pilot.press("p")
        assert isinstance(asked(recorder)[-1], Resume)


@pytest.mark.parametrize("size", [SMALL, (160, 40)])
async def test_trouble_is_shown_whole_over_a_run_in_flight_until_p_resumes(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        recorder.emit(RunEnded(run=4, ending="exited", code=0, seconds=20))
        recorder.emit(PhaseChanged(phase="measured", run=4))
        sentence = "the branch main is checked out: go back with `git switch autoresearch/demo-2026-11-23`."
        recorder.emit(Paused(reason=sentence))
        app.poll()
        await pilot.pause()
        assert f"Paused: {sentence}" in " ".join(shown(app).split())
        assert "● paused   run 4" in status(app) and "p resume" in bottom(app)
        await pilot.press("p")
        assert isinstance(asked(recorder)[-1], Resume)
        recorder.emit(Resumed())
        recorder.emit(PhaseChanged(phase="measured", run=4))
        recorder.now += 60
        app.poll()
        await pilot.pause()
        assert "git switch" not in shown(app) and "judging" in status(app) and "p pause" in bottom(app)


async def test_a_second_p_takes_the_first_one_back_before_the_engine_has_answered(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("p", "p", "p")
        assert [type(command) for command in asked(recorder)] == [Pause, Resume, Pause]


async def test_skip_asks_and_names_its_run(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        for answer in ("n", "escape", "x", "n"):
            await pilot.press("s", answer)
            if answer == "x":
                assert isinstance(app.screen, Question)
                await pilot.press("escape")
        await pilot.pause()
        assert asked(recorder) == []
        await pilot.press("s", "y")
        (command,) = asked(recorder)
        assert isinstance(command, Skip) and command.run == 4


async def test_skip_has_nothing_to_do_between_runs(tmp_path: Path) -> None:
    recorder = sessions.paused(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("s")
        assert not isinstance(app.screen, Question) and "Nothing runs" in bottom(app)


async def test_a_run_that_has_ended_is_not_skipped(tmp_path: Path) -> None:
    recorder = sessions.troubled(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("s")
        assert not isinstance(app.screen, Question) and "Run 13 has ended" in bottom(app)


@pytest.mark.parametrize(("key", "kind"), [("m", Message), ("i", Enqueue)])
async def test_a_sentence_is_typed_and_sent(tmp_path: Path, key: str, kind: type[Message] | type[Enqueue]) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press(key)
        await pilot.press("p", "q", "space", "1")  # plain letters here, no commands
        assert app.screen.query_one(Input).value == "pq 1"
        await pilot.press("escape")
        await pilot.press(key, "enter")
        assert asked(recorder) == []
        await pilot.press(key)
        await type_in(pilot, "  try [b]RoPE[/b] = 2×  ")
        (command,) = asked(recorder)
        assert isinstance(command, kind) and command.text == "try [b]RoPE[/b] = 2×"


async def test_ideas_that_wait_are_shown_under_the_notes_and_in_the_title_of_the_runs(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        for at, text in enumerate(("MATRIX_LR=0.05", "DEPTH=4\x1b[2J")):
            recorder.emit(IdeaQueued(id=str(at), text=text))
        app.poll()
        await pilot.press("3")
        assert "2 ideas queued: MATRIX_LR=0.05; DEPTH=4" in shown(app)
        assert "2 ideas queued, the next one first" in shown(app) and "· DEPTH=4" in shown(app)
        recorder.emit(IdeaTaken(id="0", run=5))
        app.poll()
        await pilot.pause()
        assert "1 idea queued: DEPTH=4" in shown(app) and "MATRIX_LR=0.05" not in shown(app)
        await pilot.press("5", "down")
        assert "· DEPTH=4" not in shown(app)


async def test_e_queues_the_edit_of_train_py_that_was_saved(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("e")
        assert asked(recorder) == [] and "No edit" in bottom(app)
        recorder.emit(Rescued(patch=".autoresearch/rescued/mine.patch"))
        app.poll()
        assert "e runs it next" in bottom(app)
        await pilot.press("e")
        (command,) = asked(recorder)
        assert isinstance(command, Enqueue) and command.text == ".autoresearch/rescued/mine.patch"


async def test_a_long_notice_is_shown_whole_and_then_gives_its_lines_back(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        recorder.emit(Rescued(patch=".autoresearch/rescued/20261123-233643-123456789.patch"))
        app.poll()
        await pilot.pause()
        words = " ".join(shown(app).split())
        assert "20261123-233643-123456789.patch, and taken back. e runs it next." in words
        recorder.emit(Warned(message="word " * 200))
        recorder.now += 1
        app.poll()
        await pilot.pause()
        assert app.main.bottom.size.height == 3 and shown(app).rstrip().endswith("…")
        recorder.now += 60
        app.poll()
        await pilot.pause()
        assert app.main.bottom.size.height == 1 and "p pause" in bottom(app)


async def test_a_note_goes_to_the_selected_run(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await pilot.press("5", "down", "down", "a")
        assert isinstance(app.screen, Sentence)
        await type_in(pilot, "suspiciously good")
        (command,) = asked(recorder)
        assert isinstance(command, Annotate) and (command.run, command.text) == (2, "suspiciously good")


@pytest.mark.parametrize(("answer", "now"), [("a", False), ("n", True)])
async def test_stop_asks_how(tmp_path: Path, answer: str, now: bool) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("ctrl+q", "escape")
        assert asked(recorder) == []
        await pilot.press("ctrl+q", answer)
        (command,) = asked(recorder)
        assert isinstance(command, Stop) and command.now is now
        assert app.is_running


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_digits_and_tab_go_to_the_panes(tmp_path: Path, size: tuple[int, int]) -> None:
    app = viewer(sessions.three(tmp_path))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for number, name in enumerate(ORDER, 1):
            await pilot.press(str(number))
            assert app.main.current.id == name and app.main.pane(name).body.has_focus
            assert app.main.pane(name).body.region.area > 0
        await pilot.press("tab")
        assert app.main.current.id == "log"
        await pilot.press("shift+tab", "shift+tab")
        assert app.main.current.id == "diff"


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_zoom_gives_a_pane_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    app = viewer(sessions.three(tmp_path))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("3", "z")
        await pilot.pause()
        assert app.main.pane("notes").size.width >= size[0] - 4
        assert not app.main.pane("runs").display and not app.main.pane("log").display
        await pilot.press("5")
        await pilot.pause()
        assert app.main.pane("runs").size.height > size[1] - 8 and not app.main.pane("notes").display
        await pilot.press("escape")
        await pilot.pause()
        assert not app.main.is_zoomed and app.main.pane("log" if size == LARGE else "notes").display


async def test_the_runs_choose_what_the_other_panes_show(tmp_path: Path) -> None:
    app = viewer(sessions.hundred(tmp_path))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        assert "run 101 · live" in app.main.pane("log").about
        await pilot.press("5", "down")
        assert app.selected == 100
        for name in ("log", "notes", "diff", "history"):
            assert "run 100" in app.main.pane(name).about
        assert app.main.query_one(LogPane).body.path == app.workspace.run_folder(100).log
        await pilot.press("end")
        assert app.selected == 1
        await pilot.press("up", "pageup")
        assert app.selected is not None and app.selected > 2
        view = app.main.query_one(RunsView)
        assert view.scroll_offset.y <= view.cursor < view.scroll_offset.y + view.size.height
        await pilot.press("home")
        assert app.selected is None
        await pilot.press("2", "left", "left")
        assert app.selected == 99
        await pilot.press("right", "escape")
        assert app.selected is None and "run 101 · live" in app.main.pane("log").about


@pytest.mark.parametrize("recording", [sessions.three, sessions.gone], ids=["all in view", "under a scrollbar"])
async def test_a_description_that_is_cut_says_so(tmp_path: Path, recording: Recording) -> None:
    recorder = recording(tmp_path)
    recorder.finish("discard", 1.8, "worse", description="a long story " * 9)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        (line,) = (line for line in shown(app).splitlines() if "a long story" in line)
        assert "…" in line


@pytest.mark.parametrize("lines", [1, 40])
async def test_above_the_runs_stands_whether_the_log_follows_whatever_else_there_is_to_say(
    tmp_path: Path, lines: int
) -> None:
    recorder = sessions.hundred(tmp_path)
    recorder.print_log(0.5, ending="\nloss\n" * 20)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("up", "slash")
        await type_in(pilot, "loss")
        with recorder.workspace.run_folder(recorder.run).log.open("a") as log:
            log.write("more\n" * lines)
        app.poll()
        await pilot.pause()
        top = shown(app).splitlines()[1]
        assert "/loss " in top and "f follows" in top and "…" not in top


async def test_the_log_follows_until_one_scrolls_up(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    log = recorder.workspace.run_folder(4).log
    with log.open("ab") as file:
        file.write(b"".join(b"\nline %d" % number for number in range(200)))
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        view = app.main.query_one(LogPane).body
        assert view.following and view.scroll_offset.y == view.max_scroll_y > 0
        await pilot.press("up")
        await pilot.pause()
        at = view.scroll_offset.y
        assert not view.following
        with log.open("ab") as file:
            file.write(b"\nand\nthree\nmore\n")
        app.poll()
        await pilot.pause()
        assert view.scroll_offset.y == at and view.new_lines == 3
        assert "3 new lines below" in app.main.pane("log").about
        await pilot.press("f")
        await pilot.pause()
        assert view.following and view.scroll_offset.y == view.max_scroll_y
        await pilot.press("home", "end")
        await pilot.pause()
        assert view.following


async def test_d_goes_through_the_bases_of_the_diff(tmp_path: Path) -> None:
    app = viewer(sessions.hundred(tmp_path))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        pane = app.main.query_one(DiffPane)
        seen = []
        for _ in range(3):
            assert f"against {pane.base}" in pane.about
            assert pane.body.line_count() > 0
            seen.append(pane.base)
            await pilot.press("d")
        assert tuple(seen) == BASES and pane.base == BASES[0]


async def test_r_has_the_selected_run_repeated_and_else_the_incumbent(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 22)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("r")
        assert "one more run of run 21, the incumbent." in bottom(app)
        await pilot.press("5", "end", "r")
        assert "one more run of run 1." in bottom(app)
        first, second = asked(recorder)
        assert isinstance(first, Enqueue) and isinstance(second, Enqueue)
        assert (first.text, second.text) == ("re-run 21", "re-run 1")
        recorder.emit(IdeaQueued(id=first.id, text=first.text))
        recorder.emit(CommandDone(id=first.id, command="enqueue", offset=1, answer="queued"))
        app.poll()
        await pilot.pause()
        assert "1 idea queued: re-run 21" in shown(app) and "Queued: re-run 21" in bottom(app)


async def test_r_repeats_nothing_that_is_not_comparable_or_not_there(tmp_path: Path) -> None:
    recorder = sessions.two_segments(tmp_path / "two")
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("5", "end", "r")
        assert "Run 1 is of an earlier segment" in bottom(app)
    empty = sessions.empty(tmp_path / "empty")
    app = viewer(empty)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("r")
        assert "no run to repeat yet" in bottom(app)
    assert not asked(recorder) and not asked(empty)


async def test_a_repeat_is_followed_in_its_own_log_and_skipped_as_one(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 5)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        folder = recorder.repeat(3, 1001)
        app.poll()
        await pilot.pause()
        assert app.main.query_one(LogPane).body.path == folder / "run.log"
        text = shown(app)
        assert "log · run 3 again, seed 1001 · live" in text and "run 3 again, seed 1001 against" in text
        assert "▶ again  WARMDOWN" in text and "live  " not in text and "step 48" in text
        assert app.main.query_one(RunsView).line_count() == 5
        await pilot.press("s")
        assert "Skip this repeat of run 3?" in shown(app)


async def test_a_boundary_stands_between_two_segments_and_is_stepped_over(tmp_path: Path) -> None:
    app = viewer(sessions.two_segments(tmp_path))
    async with app.run_test(size=(120, 50)) as pilot:
        await pilot.pause()
        text = shown(app)
        lines = [line for line in text.splitlines() if "not comparable" in line]
        assert len(lines) == 1 and "segment 2 ↑ · segment 1 ↓" in lines[0]
        assert "segment 2 of 2" in text and "segment 2: 6 so far, 0 kept" in text
        await pilot.press("5", *["down"] * 7)
        assert app.selected == 9
        assert "segment 1 of 2 · run 9" in shown(app)
        await pilot.press("up")
        assert app.selected == 10
        view = app.main.query_one(RunsView)
        at = next(y for y in range(view.line_count()) if "not comparable" in plain(view.line_at(y)))
        assert view.run_at(at) == 9 and view.run_at(at - 1) == 10


async def test_help_lists_every_binding(tmp_path: Path) -> None:
    app = viewer(sessions.three(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        await pilot.press("end")
        await pilot.pause()
        assert "metric is not the evaluator's own" in shown(app)
        lines = "\n".join(plain(line) for line in help_lines(app.help_sections(), 200))
        bindings = [each for _, section in app.help_sections() for each in section if isinstance(each, Binding)]
        assert len(bindings) > 30
        for binding in bindings:
            assert binding.id and binding.tooltip and binding.tooltip in lines
        assert "! " in lines and "autoresearch.checks.sh failed" in lines
        assert max(width(line) for line in help_lines(app.help_sections(), 66)) <= 66
        assert len({binding.id for binding in bindings}) == len(bindings)
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)


async def test_the_palette_has_every_command(tmp_path: Path) -> None:
    app = viewer(sessions.three(tmp_path))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        names = [command.title for command in app.get_system_commands(app.screen)]
        assert len(names) >= 20
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert app.screen is not app.main
        await pilot.press(*"whole screen", "enter")
        await pilot.pause()
        await pilot.press("enter") if app.screen is not app.main else None
        await pilot.pause()
        assert app.main.is_zoomed


async def test_q_leaves_and_the_engine_goes_on(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await pilot.press("q")
    assert not app.is_running and asked(recorder) == []
    assert "goes on, at run 4" in app.goodbye() and str(recorder.workspace.root) in app.goodbye()


async def test_what_is_sent_to_a_dead_engine_is_said_to_wait(tmp_path: Path) -> None:
    recorder = sessions.gone(tmp_path)
    app = viewer(recorder, alive=False)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        assert "engine gone" in status(app)
        await pilot.press("m")
        await type_in(pilot, "hello")
        assert len(asked(recorder)) == 1
        assert "No engine runs" in bottom(app)
        await pilot.press("s")
        assert not isinstance(app.screen, Question)
    assert "No engine runs" in app.goodbye()


async def test_a_small_terminal_is_told_so_in_one_sentence(tmp_path: Path) -> None:
    app = viewer(sessions.three(tmp_path))
    async with app.run_test(size=(79, 24)) as pilot:
        await pilot.pause()
        assert app.main.query_one("#too-small").display and not app.main.query_one("#panes").display
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not app.main.query_one("#too-small").display and app.main.query_one(TabLine).display
        await pilot.resize_terminal(140, 40)
        await pilot.pause()
        assert not app.main.query_one(TabLine).display and app.main.pane("diff").display


async def test_an_engine_that_starts_later_is_noticed(tmp_path: Path) -> None:
    recorder = sessions.empty(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        recorder.open()
        recorder.begin()
        app.poll()
        await pilot.pause()
        assert "training" in status(app) and "run 1" in status(app)
        assert app.main.query_one(LogPane).body.line_count() > 0
