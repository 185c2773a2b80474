"""The queue's screen: what it asks of the engine, and what it shows until the engine has answered."""

from pathlib import Path

from engine.commands import AnyCommand, CommandFollower, Enqueue, Reorder, Unqueue
from engine.events import CommandDone, IdeaMoved, IdeaQueued, IdeaTaken, IdeaWithdrawn
from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.sessions import Recorder
from tui.app import Viewer
from tui.asking import Sentence
from tui.queue_screen import Queue, QueueView, as_asked, queue_lines
from tui.spans import plain, width
from tui.view_state import ViewState

LONG = "try a smaller model, and give every second layer a window " * 3


def ideas(*texts: str) -> tuple[IdeaQueued, ...]:
    return tuple(IdeaQueued(id=text[:1], text=text) for text in texts)


def asked(recorder: Recorder) -> list[AnyCommand]:
    return [each.command for each in CommandFollower(recorder.workspace).poll() if each.command is not None]


def queue_of(app: Viewer) -> str:
    view = app.screen.query_one(QueueView)
    return "\n".join(plain(view.line_at(y)) for y in range(view.line_count()))


def test_the_queue_is_shown_as_the_engine_was_asked_to_have_it() -> None:
    queue = ideas("a", "b", "c")
    changes = [Reorder(idea="c", before="a"), Unqueue(idea="b"), Reorder(idea="c"), Unqueue(idea="gone")]
    assert [each.id for each in as_asked(queue, changes)] == ["a", "c"]


def test_every_idea_has_one_line_and_the_one_under_the_cursor_is_read_in_full() -> None:
    lines = queue_lines(ideas("a\x1b[2J\n\nsecond", "b" + LONG), 1, {"b"}, 40)
    texts = [plain(line) for line in lines]
    assert texts[0] == " 1  a  second" and texts[1].startswith(" 2  asked … b") and texts[1].endswith("…")
    assert " ".join(" ".join(texts[3:]).split()) == ("b" + LONG).strip()
    assert max(width(line) for line in lines) <= 40
    huge = queue_lines(ideas(LONG * 20), 0, set(), 40)
    assert len(huge) == 10 and plain(huge[-1]).strip() == "…"
    assert "No idea waits" in plain(queue_lines((), 0, set(), 60)[0])


async def test_ideas_are_moved_and_taken_out(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    for idea in ideas("a=1", "b=2", "c=3"):
        recorder.emit(idea)
    app = viewer(recorder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("Q", "down", "K")
        (first,) = asked(recorder)
        assert first == Reorder(id=first.id, idea="b", before="a")
        assert queue_of(app).splitlines()[:3] == [" 1  asked … b=2", " 2  a=1", " 3  c=3"]
        await pilot.press("J", "J", "J")
        second, third = asked(recorder)[1:]
        assert (second, third) == (
            Reorder(id=second.id, idea="b", before="c"),
            Reorder(id=third.id, idea="b", before=""),
        )
        for command, event in (
            (first, IdeaMoved(id="b", before="a")),
            (second, IdeaMoved(id="b", before="c")),
            (third, IdeaMoved(id="b")),
        ):
            recorder.emit(event)
            recorder.emit(CommandDone(id=command.id, command="reorder", offset=1, answer="number 3 in the queue"))
        app.poll()
        assert queue_of(app).splitlines()[:3] == [" 1  a=1", " 2  c=3", " 3  b=2"]
        await pilot.press("x")
        withdrawn = asked(recorder)[-1]
        assert isinstance(withdrawn, Unqueue) and withdrawn.idea == "b"
        assert queue_of(app).splitlines() == [" 1  a=1", " 2  c=3"]
        recorder.emit(IdeaWithdrawn(id="b"))
        recorder.emit(CommandDone(id=withdrawn.id, command="unqueue", offset=1, answer="taken out of the queue"))
        recorder.emit(IdeaTaken(id="a", run=5))
        app.poll()
        assert queue_of(app) == " 1  c=3"
        await pilot.press("delete", "delete", "up", "K")
        assert asked(recorder)[-1] == Unqueue(id=asked(recorder)[-1].id, idea="c") and len(asked(recorder)) == 5
        assert "No idea waits" in queue_of(app)
        await pilot.press("escape")
        assert app.screen is app.main


async def test_what_the_engine_could_not_do_is_shown_as_it_is(tmp_path: Path) -> None:
    recorder = sessions.queued(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("Q", "x")
        (command,) = asked(recorder)
        assert "MATRIX_LR=0.05" not in queue_of(app)
        recorder.emit(CommandDone(id=command.id, command="unqueue", offset=1, problem="no such idea waits"))
        app.poll()
        assert "MATRIX_LR=0.05" in queue_of(app)


async def test_an_idea_is_added_from_the_queue(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("Q", "i")
        assert isinstance(app.screen, Sentence)
        await pilot.press("D", "equals_sign", "1", "enter")
        (command,) = asked(recorder)
        assert isinstance(command, Enqueue) and isinstance(app.screen, Queue)
        recorder.emit(IdeaQueued(id=command.id, text=command.text))
        app.poll()
        assert "D=1" in queue_of(app)


def test_a_queue_that_is_not_drawn_yet_takes_what_is_new(tmp_path: Path) -> None:
    Queue(ViewState(), lambda change, words: None, {}).show(ViewState(ideas=ideas("a=1")))
