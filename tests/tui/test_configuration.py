"""The person's own keys, theme and characters: what is set up is what is shown, and a mistake is one sentence."""

import ast
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

import engine
import tui
from engine.commands import CommandFollower, Pause
from engine.presence import engine_of
from tests.engine.workspaces import PROGRAM, make
from tests.tui import sessions
from tests.tui.conftest import Recording, viewer
from tests.tui.test_keys import LARGE, SMALL, bottom, shown
from tui.app import Viewer
from tui.ascii import TABLE
from tui.configuration import Configuration, UnusableConfiguration, load, path, wants_ascii, wants_mouse
from tui.help import help_lines
from tui.keymap import bindings_of
from tui.spans import plain

MISTAKES = {
    "theme = 3": "`$.theme`",
    "colour = 'red'": "colour",
    "theme = 'purple'": "there is no theme purple: there are ansi",
    "mouse = 'no'": "`$.mouse`",
    "[keys": "Expected ']'",
    "[keys]\nsession.pasue = 'P'": "binding session.pasue that does not exist, session.pause perhaps",
    "[keys]\nsession.pause = ''": "session.pause on '', which is no key",
    "[keys]\nsession.pause = 'ctlr+p'": "session.pause on 'ctlr+p', which is no key",
    "[keys]\nsession.pause = 's'": "s do both session.pause and session.skip",
    "[keys]\nsession.pause = 'h'": "h do both session.pause and scroll.left",
    "[keys]\nhistory.later = 'ctrl+c'": "ctrl+c do both app.leave and history.later",
    "[keys]\nqueue.later = 'x'": "x do both queue.later and queue.withdraw",
    "\xff": "utf-8",
}


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path().parent.mkdir(parents=True)
    return path()


def configured(recorder: sessions.Recorder, text: str) -> Viewer:
    path().write_text(text)
    return viewer(recorder, configuration=load())


def test_nothing_is_set_up_where_there_is_no_file(config: Path) -> None:
    assert load() == Configuration()
    config.parent.rmdir()
    assert load() == Configuration()


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_file(tmp_path: Path, config: Path, text: str) -> None:
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(UnusableConfiguration) as raised:
        configuration = load()
        Viewer(sessions.empty(tmp_path / "demo").workspace, configuration=configuration)
    said = str(raised.value)
    assert MISTAKES[text] in said and str(config) in said and "\n" not in said
    assert raised.value.exit_code == 2


def test_a_mistake_is_found_before_an_engine_starts(tmp_path: Path, config: Path) -> None:
    config.write_text("[keys]\nnonsense = 'x'")
    workspace = make(tmp_path / "work")
    master, terminal = os.openpty()
    try:
        done = subprocess.run(
            [PROGRAM, str(workspace.root)],
            check=False,
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(master)
        os.close(terminal)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "nonsense" in done.stderr
    assert engine_of(workspace) is None and not workspace.events.exists()


def test_the_mouse_belongs_to_the_terminal_over_ssh_unless_one_says_otherwise() -> None:
    far = {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}
    for said, here, there in ((None, True, False), (True, True, True), (False, False, False)):
        assert wants_mouse(Configuration(mouse=said), {}) is here
        assert wants_mouse(Configuration(mouse=said), far) is there


def test_a_terminal_without_utf_8_is_drawn_on_in_ascii() -> None:
    assert [wants_ascii(Configuration(), each) for each in ("utf-8", "UTF-8", "ascii", "iso8859-1", "")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert wants_ascii(Configuration(ascii=True), "utf-8")


async def test_a_persons_keys_do_what_they_are_for_and_are_shown_everywhere(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path / "demo")
    keys = '[keys]\nsession.pause = "P, f5"\n"history.later" = "."\nsession.skip = "p"\nqueue.later = "s"\n'
    app = configured(recorder, keys)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        assert "P pause" in bottom(app) and "p skip" in bottom(app)
        await pilot.press("P", "f5", "s")
        assert len(CommandFollower(recorder.workspace).poll()) == 2 and app.screen is app.main
        assert isinstance(CommandFollower(recorder.workspace).poll()[0].command, Pause)
        await pilot.press("2", "left", "left", "full_stop")
        assert app.selected == 3
        lines = [plain(line) for line in help_lines(app.help_sections(), 70)]
        assert any(line.split()[:3] == ["P", "f5", "Pause"] for line in lines)
        assert any("Select the run after" in line and line.split()[0] == "." for line in lines)
        titles = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert titles["Pause after this experiment, or go on"] == "P f5"


def test_no_key_of_ours_does_two_things_at_the_same_time() -> None:
    everywhere = bindings_of(Viewer.BINDINGS)
    panes = [[*everywhere, *bindings_of(section)] for title, section in Viewer._in_panes() if "past" not in title]
    for bindings in (*panes, *(bindings_of(section) for _, section in Viewer._alone())):
        keys = [key for binding in bindings for key in binding.key.split(",")]
        assert len(keys) == len(set(keys))


def test_a_key_may_be_given_to_what_it_is_on_already(tmp_path: Path) -> None:
    keys = "[keys]\napp.leave = 'q'\nsession.pause = 's'\nsession.skip = 'p'\n"
    app = configured(sessions.empty(tmp_path / "demo"), keys)
    assert dict(app._keys())["s"] == "pause"


def test_a_theme_is_chosen_by_name(tmp_path: Path) -> None:
    app = configured(sessions.empty(tmp_path / "demo"), "theme = 'nord'")
    assert app.theme == "nord"


# ------------------------------------------------------------------------------------------------------------ ASCII


def test_every_character_of_ours_has_one_in_ascii_that_is_as_wide() -> None:
    missing: dict[str, str] = {}
    for package in (tui, engine):
        for file in Path(package.__path__[0]).rglob("*.py"):
            if file.name in ("harmless.py", "foreign.py", "obstacles.py", "run_filter.py"):
                continue  # they take characters out, or read them
            tree = ast.parse(file.read_text())
            constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            docstrings = {
                node.value.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }
            for text in constants:
                if isinstance(text, str) and text not in docstrings:
                    missing |= {each: file.name for each in text if each > "\x9f" and ord(each) not in TABLE}
    assert not missing
    for code, theirs in TABLE.items():
        assert theirs.isascii() and len(theirs) == 1 + (unicodedata.east_asian_width(chr(code)) == "W")


@pytest.mark.parametrize(
    ("recording", "keys", "size"),
    [
        (sessions.hundred, ["5", "down"], (200, 50)),
        (sessions.confirmed, ["2", "x"], (200, 50)),
        (sessions.thinking, [], SMALL),
        (sessions.queued, ["Q"], LARGE),
        (sessions.three, ["question_mark"], SMALL),
        (sessions.three, ["ctrl+p"], SMALL),
    ],
)
async def test_in_ascii_nothing_else_is_drawn(
    tmp_path: Path, recording: Recording, keys: list[str], size: tuple[int, int]
) -> None:
    app = configured(recording(tmp_path / "demo"), "ascii = true")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        text = shown(app)
        assert not {each for each in text if not each.isascii()}
        assert {len(line) for line in text.splitlines()} == {size[0]}


# --------------------------------------------------------------------------------------------------------- NO_COLOR


async def test_without_colours_none_is_drawn_and_the_cursor_is_in_reverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = viewer(sessions.hundred(tmp_path / "demo"))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await pilot.press("5", "down")
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        styles = [style for strip in strips for _, style, _ in strip if style]
        assert {each.color.name for each in styles if each.color} <= {"default"}
        assert {each.bgcolor.name for each in styles if each.bgcolor} <= {"default"}
        (cursor,) = [strip for strip in strips if " 100  ○" in strip.text]
        assert any(style and style.reverse for text, style, _ in cursor if "100" in text)
