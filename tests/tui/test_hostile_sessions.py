"""Whatever a session's file holds, the browser and the screen show something of it."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from engine import dialects
from engine.errors import AutoresearchError
from engine.harmless import UNSAFE
from engine.past import sessions_of
from tests.engine.test_dialects import ANYTHING
from tui.browser_lines import preview_lines, session_spans, text_line
from tui.morning import summary_lines
from tui.panes.history import noise_of, points_of
from tui.panes.notes import notes_of
from tui.panes.runs import row_spans
from tui.run_order import ORDERS, arrange
from tui.spans import plain
from tui.status_line import status_spans
from tui.view_state import ViewState, subject, with_ledger


def is_harmless(line: str) -> bool:
    return not re.search(f"[{UNSAFE}]", line)


def check_showing(directory: Path, content: bytes) -> None:
    """Every line that the browser, the panes and the summary make of a file with this content is harmless."""
    path = directory / "shown.tsv"
    path.write_bytes(content)
    for session in sessions_of(path):
        assert is_harmless(text_line(session))
        lines = [session_spans(session, 80), session_spans(session, 200), *preview_lines(session, 60, 12)]
        assert all(is_harmless(plain(line)) for line in lines)
    try:
        state = with_ledger(ViewState(is_watched=True, alive=True), dialects.read(path))
    except AutoresearchError:
        return
    lines = [status_spans(state, 1e9, 100), *summary_lines(state, None, 1e9, 80)]
    for row in state.rows:
        about = subject(state, row.experiment.run)
        assert about is not None
        lines += [row_spans(row, is_best=False), *notes_of(about, 60)]
    for segment in state.ledger.segments:
        noise_of(state, segment.number)
        points_of(state.rows, segment.number)
    for order in ORDERS:
        arrange(state.rows, order, state.ledger.segments)
    assert all(is_harmless(plain(line)) for line in lines)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=ANYTHING)
def test_no_file_makes_showing_fail(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check_showing(tmp_path_factory.getbasetemp(), content)


@pytest.mark.soak
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=ANYTHING)
def test_no_file_makes_showing_fail_however_many(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check_showing(tmp_path_factory.getbasetemp(), content)
