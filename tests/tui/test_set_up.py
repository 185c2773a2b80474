"""The set-up screen: what it asks and finds, that enter begins a session, and that escape leaves no trace."""

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine import beginning, doctor
from engine.beginning import Plan, Tell
from engine.finding import Finding
from engine.workspace import Workspace
from tests.engine.test_doctor import NO_TORCH
from tests.engine.workspaces import git, make, snapshot
from tests.tui.test_browser import shown_of, until
from tests.tui.test_cli import refused
from tui.app import Viewer
from tui.set_up import SetUp

SMALL = (80, 24)
Begin = Callable[..., bool]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROBE", NO_TORCH)


def set_up(root: Path) -> Viewer:
    workspace = Workspace.at(root)
    return Viewer(workspace, set_up=SetUp(workspace))


async def examined(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: "proposer  " in shown_of(pilot) and "looking" not in shown_of(pilot))


def is_empty(directory: Path) -> bool:
    return not list(directory.iterdir())


def chosen(app: Viewer) -> Plan:
    assert isinstance(app.screen, SetUp)
    return app.screen.plan


@pytest.mark.parametrize("size", [SMALL, (200, 50)])
async def test_it_asks_shows_what_the_doctor_finds_and_escape_changes_nothing(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    app = set_up(tmp_path / "night")
    async with app.run_test(size=size) as pilot:
        await examined(pilot)
        text = shown_of(pilot)
        for words in ("tag", "gpu", "[demo]", "[search]", "hybrid", "is new; a repository is made of it", "esc leave"):
            assert words in text
        assert "enter begins autoresearch/" in text and "✗ torch" in text
        assert all(len(line) <= size[0] for line in text.splitlines())
        await pilot.press("escape")
    assert not app.is_running and app.goodbye() == "" and is_empty(tmp_path)


async def test_where_another_tool_has_a_session_it_says_what_shows_it(tmp_path: Path) -> None:
    (tmp_path / "results.tsv").write_text(
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription\na1b2c3d\t1.2\t4.0\tkeep\tx\n"
    )
    app = set_up(tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await examined(pilot)
        said = " ".join(shown_of(pilot).split())
        assert f"Another tool's is there: `autoresearch-tui watch {tmp_path}` shows it." in said


async def test_only_the_field_that_has_the_keys_is_lit(tmp_path: Path) -> None:
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        label = app.screen.query_one(".set-up-row Label")
        lit = label.styles.color
        await pilot.press("down")
        await pilot.pause()
        assert label.styles.color != lit
        await pilot.press("up")
        await pilot.pause()
        assert label.styles.color == lit


async def test_the_fields_are_moved_between_and_chosen_with_keys_alone(tmp_path: Path) -> None:
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await examined(pilot)
        await pilot.press("end", *["backspace"] * 12, *"mine")
        await until(pilot, lambda: chosen(app).tag == "mine" and "autoresearch/mine-" in shown_of(pilot))
        await pilot.press("down", "left", "left", "left", "down", "right")
        assert (chosen(app).profile, chosen(app).proposer) == ("gpu", "agent")
        await until(pilot, lambda: "needs what starts the agent" in shown_of(pilot))
        await pilot.press("tab", *"/no/such", "up", "up", "right")
        assert (chosen(app).using, chosen(app).profile) == ("/no/such", "demo")
        await until(
            pilot, lambda: "✗ proposer" in shown_of(pilot) and "/no/such" in shown_of(pilot).split("✗ proposer")[1]
        )
        await pilot.press("down", "left", "pagedown")
        assert "using" not in shown_of(pilot)
        await pilot.press("escape")
    assert is_empty(tmp_path)


async def test_what_init_refuses_is_said_in_the_screen_and_can_be_mended(tmp_path: Path) -> None:
    workspace = make(tmp_path / "work")
    git(workspace.root, "switch", "--quiet", "main")
    workspace.ledger.unlink()
    (workspace.root / "data").write_text("no directory")
    before = snapshot(workspace.root)
    app = set_up(workspace.root)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("space", "x", "enter")
        await until(pilot, lambda: "is no tag" in shown_of(pilot))
        assert "holds no session yet." in shown_of(pilot)
        assert isinstance(app.screen.focused, Input) and not app.screen.focused.disabled
        await pilot.press(*["backspace"] * 12, "y")
        assert "is no tag" not in shown_of(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "and the data belongs there" in shown_of(pilot))
        await pilot.press("escape")
    assert snapshot(workspace.root) == before


async def test_settings_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "autoresearch.toml").write_text('proposer = "chat"\n')
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("down", "down", "right")
        assert chosen(app).proposer == "chat" and "as autoresearch.toml says" in shown_of(pilot)


def slowly(tmp_path: Path) -> Begin:
    """Stands in for a download that takes an hour."""

    def begin(workspace: Workspace, plan: Plan, tell: Tell, stop: object, *, experiments: int | None = None) -> bool:
        tell("autoresearch/x is begun.", True)
        for share in range(10):
            tell(f"[###] {share}0% \x1b]0;x\x07", False)
        stop.wait()  # type: ignore[attr-defined]
        return False

    return begin


async def test_progress_is_shown_in_place_and_escape_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "begin", slowly(tmp_path))
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "[###] 90%" in shown_of(pilot))
        text = shown_of(pilot)
        assert text.count("[###]") == 1 and "is begun." in text and "\x1b" not in text
        await pilot.press("right", "x", "enter", "escape")
        await until(pilot, lambda: not app.is_running)
    assert app.goodbye() == ""


async def test_a_fault_while_it_begins_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **more: object) -> bool:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(beginning, "begin", fail)
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "fault of the program: ZeroDivisionError: planted" in shown_of(pilot))
        monkeypatch.setattr(beginning, "begin", lambda *given, **more: True)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert "no engine" in shown_of(pilot)
        await pilot.press("q")
    assert "comes back to it" in app.goodbye()


async def test_findings_that_are_in_the_way_stand_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Finding("git", True, "fine"),
        Finding("disk", None, "tight"),
        Finding("uv", False, "missing", "install it"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda *given, **more: iter(found))
    app = set_up(tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await examined(pilot)
        text = shown_of(pilot)
        assert text.index("missing") < text.index("→ install it") < text.index("tight") < text.index("fine")


def test_without_a_terminal_it_is_one_sentence_and_nothing_is_made(tmp_path: Path) -> None:
    assert "needs a terminal" in refused(tmp_path, tmp_path / "new")
    assert not (tmp_path / "new").exists()
