"""What the panes say, read as text: plain functions of a recorded session."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.events import EngineStarted, MessageQueued, PhaseChanged, ProposalFailed, Proposed
from engine.words import amount, money
from tests.tui import sessions
from tui.diff import changed_knobs, compare, knob_line, partners, read_patch, styled
from tui.panes.history import points_of
from tui.panes.notes import notes_of, queue_of
from tui.panes.runs import STATUS, header_spans, live_spans, row_spans
from tui.progress import Progress, parse
from tui.session import Session
from tui.spans import Span, fit, plain, width, wrap
from tui.status_line import bar, status_spans
from tui.text import bpb, change, clean, duration, memory
from tui.view_state import ViewState, subject


def read(recorder: sessions.Recorder) -> ViewState:
    return Session(recorder.workspace, is_alive=lambda: True).poll()


def check_notes(state: ViewState, run: int | None, cells: int = 60) -> list[str]:
    about = subject(state, run)
    assert about is not None
    lines = notes_of(about, cells)
    assert all(width(line) <= cells for line in lines)
    return [plain(line).rstrip() for line in lines]


def test_the_notes_begin_with_the_keys_that_matter(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path, 9)
    recorder.ledger.add_note(8, "looked at this twice")
    recorder.ledger.add_note(10, "odd from the start")
    state = read(recorder)
    text = check_notes(state, 8)
    order = [
        next(at for at, line in enumerate(text) if line.startswith(name))
        for name in ("crash", "exit code 1", "hypothesis", "change", "result", "next", "note", "peak_memory_mb")
    ]
    assert order == sorted(order)
    assert any("odd from the start" in line for line in check_notes(state, None))


def test_a_skipped_run_is_said_to_be_skipped_once(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.finish("discard", None, "skipped", description="d", result="skipped", asi={"result": "skipped"})
    assert sum(line.count("skipped") for line in check_notes(read(recorder), 4)) == 1


def test_a_run_that_was_killed_from_outside_is_called_lost_and_is_no_crash(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.finish("crash", None, "killed from outside", description="d", result="lost")
    state = read(recorder)
    assert "– lost " in plain(row_spans(state.rows[-1], is_best=False, wide=False))
    assert check_notes(state, 4)[1:3] == ["lost", "killed from outside"]
    assert [point.run for point in points_of(state.rows, 0)] == [1, 2, 3]
    about = subject(state, 4)
    assert about is not None and about.name == "run 4 · lost"


def test_a_reason_that_is_the_result_is_said_once(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    reason = "prepare.py was changed during the run, and restored"
    recorder.finish("checks_failed", 0.1, reason, description="d", asi={"result": reason})
    text = check_notes(read(recorder), 4, 80)
    assert [line for line in text if reason in line] == [f"result      {reason}"]
    assert text[1] == "checks failed  0.1000", "no difference to the incumbent is taken of a metric that nobody trusts"


def test_the_status_of_a_run_is_never_cut(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.finish("checks_failed", 1.755, "cheated", description="d")
    row = read(recorder).rows[-1]
    line = plain(row_spans(row, is_best=False, wide=False))
    assert "! checks " in line and "…" not in line
    assert all(len(word) < STATUS for word in ("keep", "discard", "crash", "baseline", "skipped", "cut off"))


def test_no_difference_is_not_written_as_a_number(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    best = read(recorder).incumbent
    assert best is not None
    recorder.finish("discard", best.metric, "equal", description="d")
    state = read(recorder)
    said = [plain(row_spans(state.rows[-1], is_best=False, wide=False)), *check_notes(state, 4)]
    assert not any("0.0000" in line for line in said)


def test_notes_from_a_file_can_do_no_harm(tmp_path: Path) -> None:
    recorder = sessions.many(tmp_path, 2)
    sessions.append_raw(
        recorder,
        {
            "run": 3,
            "status": "keep",
            "metric": 1.5,
            "description": "[red]x[/]\x1b]0;t\x07\x1b[2J",
            "metrics": {"\x9bm": 1},
            "asi": {"hypothesis": "a\x1b[31mb\nc\u202ed", "nested": {"k": ["\u0007", 1]}, "number": 7, "none": None},
        },
    )
    text = "\n".join(check_notes(read(recorder), 3, 40))
    assert "[red]x[/]" in text and "ab" in text and "cd" in text and "number" in text
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_the_columns_of_the_runs_stand_under_their_names(tmp_path: Path) -> None:
    state = read(sessions.hundred(tmp_path))
    for wide in (True, False):
        header = plain(header_spans("val_bpb", wide=wide))
        row = next(row for row in state.rows if row.delta is not None and row.experiment.kept)
        line = plain(row_spans(row, is_best=False, wide=wide))
        for name, value in (("val_bpb", bpb(row.experiment.metric)), ("Δ", change(row.delta)), ("time", "0:21")):
            assert line[: header.index(name) + len(name)].endswith(value)
        assert line[header.index("description") :].startswith(row.experiment.description)


def test_the_clock_of_a_run_stops_when_the_run_has_ended(tmp_path: Path) -> None:
    recorder = sessions.troubled(tmp_path)
    recorder.emit(Proposed(run=13, id="id13", description="once more", source="search"))
    state = read(recorder)
    assert "0:21" in plain(live_spans(state, recorder.now + 3600))
    assert state.progress is None


def test_the_status_line_drops_what_matters_least(tmp_path: Path) -> None:
    state = read(sessions.hundred(tmp_path))
    now = sessions.BEGIN + 5000
    for cells in range(20, 200):
        text = plain(status_spans(state, now, cells, name="demo"))
        assert len(text) <= cells and "training" in text
    text = plain(status_spans(state, now, 200, name="demo"))
    for word in ("run 101", "45%", "left", "best 1.", "gain −", "confidence", "demo"):
        assert word in text
    assert "best" in plain(status_spans(state, now, 80))


def test_the_gain_never_stands_without_its_claim(tmp_path: Path) -> None:
    now = sessions.BEGIN + 5000
    for name in ("unproven", "confirmed"):
        recorder = sessions.hundred(tmp_path / name) if name == "unproven" else sessions.confirmed(tmp_path / name)
        state = read(recorder)
        gain = change(state.gain)
        for cells in range(20, 200):
            text = plain(status_spans(state, now, cells))
            assert len(text) <= cells and (gain in text) == (f"{gain} {name}" in text)
    state = read(sessions.hundred(tmp_path / "eighty"))
    text = plain(status_spans(state, now, 80))
    for word in ("training", "run 101", "45%", "left", "best 1.6812", "−0.0738 unproven"):
        assert word in text


def test_what_a_repeat_is_and_came_to_is_said_over_the_notes_of_its_run(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 3)
    recorder.repeat(1, 1001)
    text = check_notes(read(recorder), None)
    assert text[:3] == [
        "run 1 again, seed 1001",
        "under way",
        "asked for by a person: evidence on the noise, it changes no",
    ]
    recorder.repeated(1.7571)
    assert check_notes(read(recorder), None)[:2] == ["run 1 again, seed 1001", "1.7571  took 0:21"]
    recorder.repeat(1, 1002)
    recorder.repeated(None)
    assert check_notes(read(recorder), None)[1] == "ended without a metric"
    said = " ".join(" ".join(check_notes(read(recorder), 1)).split())
    assert "repeats mean 1.7561 of 2 runs: 1.7550, 1.7571 (seed 1001); 1 gave no metric" in said
    assert "session" not in said.split("peak_memory")[0].replace("sessions", "")


def test_a_kept_experiment_has_its_claim_and_the_incumbent_the_sessions_too(tmp_path: Path) -> None:
    state = read(sessions.hundred(tmp_path / "a"))
    kept = [row.experiment.run for row in state.rows if row.experiment.kept]
    for run in kept[1:]:
        text = " ".join(" ".join(check_notes(state, run)).split())
        assert "claim unproven: no noise floor is measured yet: verify measures it" in text
        assert ("session 0.0738 better than run 1, unproven" in text) == (run == kept[-1])
    assert "claim" not in "".join(check_notes(state, kept[0]))
    confirmed = read(sessions.confirmed(tmp_path / "b"))
    text = " ".join(" ".join(check_notes(confirmed, 15)).split())
    assert "claim confirmed: without it the incumbent loses +0.0" in text
    text = " ".join(" ".join(check_notes(confirmed, 21)).split())
    assert "without 15 mean 1.7460 of 5 runs" in text
    assert "session 0.0168 better than run 1, confirmed: fresh runs: +0.0168" in text
    assert "noise sd 0.0" in text


def test_the_evidence_is_said_once_where_one_step_is_the_whole_gain(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 15)
    for seed, metric in ((1001, 1.7571), (1002, 1.7545)):
        recorder.repeat(1, seed)
        recorder.repeated(metric)
    text = " ".join(" ".join(check_notes(read(recorder), 15)).split())
    assert text.count("by chance") == 1 and text.count("with other seeds") == 1 and "claim" not in text


def test_a_repeat_marks_its_row_and_adds_none(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 3)
    state = read(recorder)
    before, again = (plain(row_spans(state.rows[1], is_best=False, is_again=which)) for which in (False, True))
    assert "▶ again  MATRIX_LR" in again and "▶" not in before


COST = {"seconds": 34.2, "tokens_in": 12_300.0, "tokens_out": 410.0, "dollars": 0.02}


def test_what_a_proposal_cost_stands_among_its_figures(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.finish("discard", 1.8, "worse", description="d", source="chat", cost=COST)
    figures = [line.split("  ")[-1].strip() for line in check_notes(read(recorder), 4) if line.startswith("proposal")]
    assert figures == ["34 s, 12.3k tokens in, 410 out, $0.02"]
    assert not any(line.startswith("proposal") for line in check_notes(read(recorder), 3))
    sessions.append_raw(recorder, {"run": 5, "status": "discard", "metric": 1.8, "cost": {"seconds": 312}})
    assert any(line.split() == ["proposal", "5:12"] for line in check_notes(read(recorder), 5))


def test_the_status_line_says_what_models_have_cost_where_nothing_more_important_is_lost_by_it(tmp_path: Path) -> None:
    recorder = sessions.hundred(tmp_path)
    now = sessions.BEGIN + 5000
    before = plain(status_spans(read(recorder), now, 80))
    assert "$" not in plain(status_spans(read(recorder), now, 200)) and "tok" not in before
    recorder.emit(ProposalFailed(proposer="chat", problem="no edit came of it", cost=COST | {"tokens_in": 1_200_000}))
    state = read(recorder)
    assert state.notice is not None and state.notice.text == "no edit came of it" and state.notice.role == "warn"
    assert plain(status_spans(state, now, 80)) == before
    assert "$0.02 1.2M tok" in plain(status_spans(state, now, 200, name="demo"))
    recorder.finish("discard", 1.8, "worse", description="d", cost={"dollars": 0.4, "seconds": 7.0})
    assert "$0.42 1.2M tok" in plain(status_spans(read(recorder), now, 200))


def test_the_status_line_says_how_long_models_took_where_nobody_says_what_they_cost(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    recorder.finish("discard", 1.8, "worse", description="d", source="command", cost={"seconds": 312.0})
    assert "5:12 proposing" in plain(status_spans(read(recorder), sessions.BEGIN + 5000, 200))


def test_who_proposes_and_for_how_long_is_said_where_it_takes_its_time(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path, 3)
    recorder.emit(PhaseChanged(phase="proposing"))
    assert plain(status_spans(read(recorder), recorder.now + 83, 80)).startswith(" ● proposing   best")
    recorder.emit(EngineStarted(pid=1, branch="b", proposer="agent", limit_seconds=600))
    recorder.emit(PhaseChanged(phase="proposing"))
    assert plain(status_spans(read(recorder), recorder.now + 83, 80)).startswith(" ● proposing   agent 1:23   best")
    gone = Session(recorder.workspace, is_alive=lambda: False).poll()
    assert "agent" not in plain(status_spans(gone, recorder.now + 83, 200))


def test_what_waits_for_the_proposer_is_listed_before_the_ideas() -> None:
    messages = [MessageQueued(id="a", text="try \x1b[2Jdeeper models"), MessageQueued(id="b", text="x" * 30)]
    lines = [plain(line) for line in queue_of([], messages, 24)]
    assert [line.rstrip() for line in lines] == [
        "2 messages wait for the",
        "proposer's next turn",
        "· try deeper models",
        "· " + "x" * 22,
        "  " + "x" * 8,
    ]
    assert plain(queue_of([], messages[:1], 60)[0]) == "1 message waits for the proposer's next turn"


def test_a_bar_is_always_as_long_as_asked() -> None:
    for percent in range(-10, 120):
        assert width(bar(percent / 100, 12)) == 12


def test_a_progress_line_is_read_by_name() -> None:
    line = (
        b"x\rstep 00123 ( 45.2%) | loss: 4.123456 | lrm: 1.00 | dt: 98ms | tok/sec: 12,345 | mfu: 39.80% | "
        b"remaining: 12s    "
    )
    assert parse(line) == Progress(123, 45.2, 4.123456, 12345.0, 39.8, 12.0)
    assert parse(b"remaining: 3s | loss = 2.5 (7%)\rhalf a li") == Progress(None, 7.0, 2.5, None, None, 3.0)
    assert parse(b"loss: 2.5 (7%) | mfu: - | remaining: 3s") == Progress(None, 7.0, 2.5, None, None, 3.0)
    assert parse(b"loss: nan (5%)") is None
    assert parse(b"\xff\xfe\x00\x1b[31mnothing of the kind\n") is None and parse(b"") is None


def test_a_diff_names_the_knobs_that_changed(tmp_path: Path) -> None:
    patch = [
        "@@ -1,3 +1,3 @@",
        "-DEPTH = 2  # layers",
        "+DEPTH = 4  # layers",
        "+NEW: int = 1",
        "-GONE = 'a'",
        " SAME = 1",
        "-    INDENTED = 1",
        "-SAME2 = 3  # was",
        "+SAME2 = 3  # is",
    ]
    assert changed_knobs(patch) == [("DEPTH", "2", "4"), ("GONE", "'a'", ""), ("NEW", "", "1")]
    assert plain(knob_line(patch)) == "DEPTH 2 → 4   GONE 'a' → gone   NEW 1"
    assert [styled(line)[0].role for line in patch[:3]] == ["accent", "bad", "good"]
    assert read_patch(tmp_path / "none") is None and compare(tmp_path / "none", tmp_path / "none") is None
    (tmp_path / "a").write_text("x = 1\n")
    (tmp_path / "b").write_bytes(b"x = 2\x1b]52;c;eA==\x07\n\xff")
    assert compare(tmp_path / "a", tmp_path / "b") == ["@@ -1 +1,2 @@", "-x = 1", "+x = 2", "+\ufffd"]


def emphasized(line: str, other: str) -> list[str]:
    return [span.text for span in styled(line, other) if span.role in ("added", "removed")]


def test_what_changed_within_a_line_is_emphasized() -> None:
    patch = [
        "@@ -1,5 +1,4 @@",
        "-A = 0.04  # rate",
        "-B = 1",
        "+A = 0.05  # rate",
        " same",
        "-gone",
        "-x",
        "+x y",
        "+new",
    ]
    assert partners(patch) == {1: 3, 3: 1, 5: 7, 7: 5, 6: 8, 8: 6}
    assert emphasized(patch[1], patch[3]) == ["0.04"] and emphasized(patch[3], patch[1]) == ["0.05"]
    assert next(span.role for span in styled(patch[1], patch[3])) == "bad"
    assert emphasized("-x = f(a)", "+x = f(a, b)") == [] and emphasized("+x = f(a, b)", "-x = f(a)") == [", b"]
    assert emphasized("-import torch", "+return loss.backward()") == [], "two lines that have nothing in common"
    assert emphasized("-x", "") == [] and emphasized("-" + "x " * 999, "+" + "y " * 999) == []


@given(st.lists(st.text(alphabet="-+ @ab1.\n=", max_size=9), max_size=9))
def test_a_line_of_a_patch_is_never_changed_by_its_emphasis(patch: list[str]) -> None:
    found = partners(patch)
    for at, line in enumerate(patch):
        assert plain(styled(line, patch[found[at]] if at in found else "")) == line
        assert at not in found or (found[found[at]] == at and {line[0], patch[found[at]][0]} == {"-", "+"})


def test_words_wrap_and_long_ones_break() -> None:
    lines = wrap((Span("one two"), Span(" three", "good"), Span(" " + "x" * 25)), 10, indent=2)
    assert all(width(line) <= 10 for line in lines)
    assert "".join(plain(line).replace(" ", "") for line in lines) == "onetwothree" + "x" * 25
    assert plain(fit((Span("日本語"), Span("more")), 5)) == "日本…"
    assert wrap((), 10) == [()]


def test_numbers_are_written_the_same_everywhere() -> None:
    assert [duration(value) for value in (None, 0, 59.9, 61, 3600, -5)] == [
        "",
        "0:00",
        "0:59",
        "1:01",
        "1:00:00",
        "0:00",
    ]
    assert [bpb(value) for value in (None, 1.75, 0, 2.5e-5)] == ["", "1.7500", "0.0000", "2.5e-05"]
    assert [bpb(value) for value in (251.255, 3818, 54498, 1e9)] == ["251.25", "3818.0", "54498", "1e+09"]
    assert [change(value) for value in (-373, 1234567, 9.9e11)] == ["−373.00", "+1234567", "+9.9e+11"]
    assert [change(value) for value in (None, 0, 1e-6, 0.01, -0.0123, 1e9)] == [
        "",
        "",
        "",
        "+0.0100",
        "−0.0123",
        "+1e+09",
    ]
    assert [memory(value) for value in (None, 812.0, 45260.8)] == ["", "812 MB", "44.2 GB"]
    assert [money(value) for value in (12.345, 0.42, 0.0123, 0.0034, 1e-9)] == [
        "$12.35",
        "$0.42",
        "$0.01",
        "$0.0034",
        "<$0.0001",
    ]
    assert [amount(value) for value in (0, 410, 999.6, 12_345, 999_999, 1.2e6, 123e9)] == [
        "0",
        "410",
        "1.0k",
        "12.3k",
        "1.0M",
        "1.2M",
        "123G",
    ]
    assert clean(" a\r\nb\tc ") == "a b c" and clean(7) == "7"
