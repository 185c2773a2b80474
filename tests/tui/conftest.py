"""The viewer over a recorded session, with the recording's clock and no GPU."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.sessions import Recorder
from tui import theme
from tui.app import Viewer
from tui.configuration import Configuration
from tui.seen import Seen
from tui.session import Session

Recording = Callable[[Path], Recorder]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and keys do not depend on the terminal that the tests run in."""
    monkeypatch.setattr(theme, "theme_for", lambda: theme.CALM.name)
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording of a hundred runs is a thousand appended lines; none of these tests pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def viewer(
    recorder: Recorder, *, alive: bool = True, configuration: Configuration | None = None, seen: Seen | None = None
) -> Viewer:
    """A viewer of a recording, whose engine is alive or not as the test says."""
    session = Session(recorder.workspace, is_alive=lambda: alive)
    return Viewer(
        recorder.workspace, session=session, clock=lambda: recorder.now, configuration=configuration, seen=seen
    )
