"""y: what it copies from each pane, and how that gets past tmux."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import LARGE, bottom, shown
from tui import clipboard
from tui.clipboard import OSC_52_BYTES, copied_words, fitting, without_controls
from tui.diff import patch_text

HOSTILE = "a\x1b]52;c;eA==\x07b\x9b2J\r\n\tc\x00 日本 \u202e $(touch x) `touch y` '; touch z\n"


@pytest.fixture(autouse=True)
def outside_of_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)


def copied(app: object) -> str:
    return str(getattr(app, "clipboard"))  # noqa: B009


def apply(patch: str, directory: Path) -> None:
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=directory, check=True)


def buffer_of(tmux: dict[str, str]) -> str:
    return subprocess.run(["tmux", "show-buffer"], env=tmux, capture_output=True, check=True).stdout.decode()


async def test_y_copies_from_the_pane_that_has_the_keys(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path / "demo", 20)
    recorder.ledger.add_note(15, "looked at this twice")
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        await pilot.press("5", *["down"] * 6, "y")
        await pilot.pause()
        line = msgspec.json.decode(copied(app))
        assert (line["run"], line["status"]) == (15, "keep") and "Copied 1 line." in bottom(app)
        assert copied(app) in recorder.workspace.ledger.read_text().splitlines()

        await pilot.press("3", "y")
        await pilot.pause()
        notes = copied(app)
        assert "hypothesis  cool down for longer" in notes or "looked at this twice" in notes
        assert "note        looked at this twice" in notes.splitlines() and "commit" in notes

        await pilot.press("4", "y")
        await pilot.pause()
        patch = copied(app)
        assert patch == recorder.workspace.run_folder(15).diff.read_text()
        assert f"Copied {len(patch.splitlines())} lines." in bottom(app)
        await pilot.press("d", "d", "y")
        await pilot.pause()
        folder = tmp_path / "apply"
        shutil.copytree(recorder.workspace.run_folder(1).path, folder)
        apply(copied(app), folder)
        assert (folder / "train.py").read_bytes() == recorder.workspace.run_folder(15).train.read_bytes()

        await pilot.press("1", "y")
        await pilot.pause()
        log = copied(app).splitlines()
        assert "METRIC val_bpb=" in copied(app) and 3 < len(log) < 30
        assert all(line in shown(app) for line in log)

        await pilot.press("2", "y")
        await pilot.pause()
        assert "discarded" in copied(app) and "◆" in copied(app)


async def test_y_says_where_there_is_nothing_to_copy(tmp_path: Path) -> None:
    app = viewer(sessions.empty(tmp_path))
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        for pane in "12345":
            await pilot.press(pane, "y")
            await pilot.pause()
            assert "There is nothing to copy in this pane." in bottom(app) and not copied(app)


async def test_outside_of_tmux_it_is_osc_52(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = sessions.between(tmp_path, 2)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        await pilot.press("5", "y")
        await pilot.pause()
        (sequence,) = (each for each in written if "]52;" in each)
        assert base64.b64decode(sequence.removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == copied(app)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a window of a tmux of its own, with tmux's default settings."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    base = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    subprocess.run([*base, "new-session", "-d", "sleep 60"], check=True)
    said = subprocess.run(
        [*base, "display-message", "-p", "#{socket_path},#{pid},0"], capture_output=True, text=True, check=True
    )
    yield dict(os.environ) | {"TMUX": said.stdout.strip()}
    subprocess.run([*base, "kill-server"], check=False)


def test_in_tmux_it_goes_to_tmux_whatever_is_in_it(tmux: dict[str, str], tmp_path: Path) -> None:
    text = without_controls(HOSTILE) * 3000
    assert clipboard.is_in_tmux(tmux) and clipboard.to_tmux(text, tmux)
    assert buffer_of(tmux) == text
    assert not list(tmp_path.glob("[xyz]"))


async def test_y_in_tmux_asks_tmux_and_only_then_the_terminal(
    tmp_path: Path, tmux: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = sessions.between(tmp_path / "demo", 2)
    app = viewer(recorder)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.pause()
        monkeypatch.setitem(os.environ, "TMUX", tmux["TMUX"])
        await pilot.press("5", "y")
        await app.workers.wait_for_complete()
        assert "Copied 1 line." in bottom(app) and not copied(app)
        assert msgspec.json.decode(buffer_of(tmux))["run"] == 2
        monkeypatch.setitem(os.environ, "TMUX", f"{tmp_path}/nobody,1,0")
        await pilot.press("y")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert msgspec.json.decode(copied(app))["run"] == 2


def test_of_the_control_characters_only_line_ends_and_tabs_are_pasted() -> None:
    assert without_controls(HOSTILE) == "a]52;c;eA==b2J\n\tc 日本 \u202e $(touch x) `touch y` '; touch z\n"


@given(st.text(alphabet="a日\n", max_size=40), st.integers(0, 3))
def test_what_is_too_long_for_osc_52_is_cut_between_lines_and_said(text: str, times: int) -> None:
    whole = text * (times * (OSC_52_BYTES // 40))
    cut = fitting(whole)
    assert whole.startswith(cut) and len(cut.encode()) <= OSC_52_BYTES
    if cut == whole:
        assert copied_words(cut, whole).startswith("Copied ") and "first" not in copied_words(cut, whole)
    else:
        assert "first" in copied_words(cut, whole) and (cut.endswith("\n") or "\n" not in cut)


def test_a_patch_of_two_files_is_what_git_takes(tmp_path: Path) -> None:
    before, after = tmp_path / "train.py", tmp_path / "after.py"
    before.write_text("\ta = 1\nb = '\x0c\u2028'\nc\nd\ne\nf\ng")
    after.write_text("\ta = 2\nb = '\x0c\u2028'\nc\nd\ne\nf\nG\n")
    patch = patch_text(before, after).replace("b = '\u2028'", "b = '\x0c\u2028'")
    apply(patch, tmp_path)
    assert before.read_text() == after.read_text()
    assert patch_text(tmp_path / "none", after) == "" and patch_text(None, tmp_path / "none") == ""
