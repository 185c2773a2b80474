"""Other tools' sessions: each quirk of each dialect, and no file that makes reading fail."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import dialects, status
from engine.errors import AutoresearchError, UnusableWorkspace
from engine.ledger import Experiment, Ledger
from engine.past import PastSession, gather, sessions_of
from engine.reporting.exporting import FORMS, report_on
from engine.workspace import Workspace

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
NIGHT = (
    HEADER,
    "a1b2c3d\t0.997900\t44.0\tkeep\tbaseline",
    "b2c3d4e\t0.993200\t44.2\tkeep\tincrease LR to 0.04",
    "c3d4e5f\t1.005000\t44.0\tdiscard\tswitch to GeLU",
    "d4e5f6a\t0.000000\t0.0\tcrash\tdouble the width (out of memory)",
)
CONFIG = {"type": "config", "name": "Faster", "metricName": "total_µs", "metricUnit": "µs", "bestDirection": "lower"}


def table(tmp_path: Path, *lines: str, ending: str = "\n") -> Ledger:
    path = tmp_path / "anything"
    path.write_text("\n".join(lines) + ending)
    return dialects.read(path)


def log(tmp_path: Path, *records: dict[str, Any] | str) -> Ledger:
    path = tmp_path / "anything"
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records))
    return dialects.read(path)


def run(number: int, metric: Any, said: str = "discard", **more: Any) -> dict[str, Any]:
    return {"run": number, "commit": f"{number:07x}", "metric": metric, "status": said, **more}


def only(ledger: Ledger) -> Experiment:
    (found,) = ledger.experiments
    return found


def test_a_table_of_results_is_a_session(tmp_path: Path) -> None:
    (segment,) = table(tmp_path, *NIGHT).segments
    assert (segment.config.metric_name, segment.config.best_direction) == ("val_bpb", "lower")
    assert [(each.run, each.commit, each.metric, each.status) for each in segment.experiments] == [
        (1, "a1b2c3d", 0.9979, "keep"),
        (2, "b2c3d4e", 0.9932, "keep"),
        (3, "c3d4e5f", 1.005, "discard"),
        (4, "d4e5f6a", None, "crash"),
    ]
    assert [each.metrics for each in segment.experiments] == [
        {"peak_memory_mb": pytest.approx(gb * 1024)} if gb else {} for gb in (44.0, 44.2, 44.0, 0)
    ]
    assert segment.incumbent == segment.experiments[1]


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "Description\tseed\tSTATUS\tpeak_vram_mb\tval_loss\thypothesis\tsha\ttokens_M",
        "wider\t7\tKEEP\t1024\t3.5\twidth helps\tabc1234\t52.5",
    )
    (segment,) = found.segments
    assert segment.config.metric_name == "val_loss"
    one = only(found)
    assert (one.commit, one.metric, one.status, one.description) == ("abc1234", 3.5, "keep", "wider")
    assert one.metrics == {"seed": 7, "peak_memory_mb": 1024, "tokens_M": 52.5}
    assert one.asi == {"hypothesis": "width helps"}


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_bpb", "lower"),
        ("val_loss", "lower"),
        ("score", "higher"),
        ("test_accuracy", "higher"),
        ("tok_per_sec", "higher"),
        ("parse_µs", "lower"),
        ("p99_latency_ms", "lower"),
        ("val_sharpe", "higher"),
    ],
)
def test_a_metrics_name_tells_which_way_it_gets_better(tmp_path: Path, name: str, direction: str) -> None:
    (segment,) = table(tmp_path, HEADER.replace("val_bpb", name), *NIGHT[1:]).segments
    assert (segment.config.metric_name, segment.config.best_direction) == (name, direction)


def test_the_way_of_a_metric_without_a_telling_name_is_that_of_what_was_kept(tmp_path: Path) -> None:
    rows = [f"abc\t{figure}\t1\tkeep\tx" for figure in (1.0, 1.5, 1.4, 2.0)]
    (segment,) = table(tmp_path, HEADER.replace("val_bpb", "gizmos"), *rows).segments
    assert segment.config.best_direction == "higher"


def test_a_name_that_misleads_is_overruled_by_what_was_kept_and_discarded(tmp_path: Path) -> None:
    said = ("keep", "keep", "discard", "keep", "discard", "keep")
    figures = zip((980.0, 152.0, 239.0, 142.0, 0.0, 113.0), said, strict=True)
    rows = [f"abc\t{figure}\t1\t{said}\tx" for figure, said in figures]
    directions = [
        table(tmp_path, HEADER.replace("val_bpb", "score"), *rows[:most]).segments[0].config.best_direction
        for most in range(1, 7)
    ]
    assert directions == ["higher"] * 5 + ["lower"]


def test_words_before_the_measured_column_are_not_what_is_measured(tmp_path: Path) -> None:
    found = table(tmp_path, "commit\tkind\tthread\tscore\tstatus\tdescription", "abc\tlr\tbackbone\t3.2\tkeep\tx")
    assert found.segments[0].config.metric_name == "score"
    assert only(found).asi == {"kind": "lr", "thread": "backbone"}


def test_lines_that_are_no_rows_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        *NIGHT[:2],
        "b2c3d4e\t0.9932\t44.2\tkeep\tincrease LR",
        "because the loss curve was still falling",
        "\tat the\tend of\tthe run\tand so on",
        "",
        "c3d4e5f\t0.99\tkeep\tthe memory was left out",
        "d4e5f6a\t0.98\t44\tkeep",
    )
    assert [each.number for each in found.bad_lines] == [4, 5, 7]
    assert "1 of the header's 5 columns" in found.bad_lines[0].problem
    assert [each.metric for each in found.experiments] == [0.9979, 0.9932, 0.98]


def test_remarks_and_a_mark_before_the_header_and_dos_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "results.tsv"
    text = "\ufeff# measured with the old engine\r\n#\r\n" + "\r\n".join(NIGHT) + "\r\n# the end\r\n"
    path.write_bytes(text.encode())
    found = dialects.read(path)
    assert (len(found.experiments), found.bad_lines) == (4, ())


def test_tabs_within_a_description_and_quotes_around_it_are_its_own(tmp_path: Path) -> None:
    found = table(tmp_path, HEADER, 'abc\t0.9\t1\tkeep\t"say ""hi"""', "abd\t0.8\t1\tkeep\tone\ttwo\tthree")
    assert [each.description for each in found.experiments] == ['say "hi"', "one two three"]


def test_a_status_unknown_to_us_is_shown_as_it_is_and_counts_as_nothing(tmp_path: Path) -> None:
    found = table(tmp_path, *NIGHT, "e5f6a7b\t0.5\t44.0\ttentative\tx", "f6a7b8c\t0.4\t44.0\tREVERTED\tx")
    assert [each.status for each in found.experiments[-2:]] == ["tentative", "discard"]
    (segment,) = found.segments
    assert segment.incumbent == segment.experiments[1]
    assert segment.metrics == [0.9979, 0.9932, 1.005, 0.4]


def test_a_zero_is_no_measurement_of_what_cannot_be_zero(tmp_path: Path) -> None:
    found = table(tmp_path, *NIGHT, "e5f6a7b\t0.000000\t0.0\tdiscard\taborted", "f6a7b8c\tN/A\t-\tcrash\tx")
    assert [each.metric for each in found.experiments[-2:]] == [None, None]


def test_a_row_without_any_figure_is_one_all_the_same(tmp_path: Path) -> None:
    header = "commit\tsilhouette\tmemory_gb\tstatus\thypothesis"
    one = only(table(tmp_path, header, "e478369\tNA\tNA\tblocked\tclusters are round"))
    assert (one.status, one.metric, one.description) == ("blocked", None, "clusters are round")


def test_a_table_without_a_metric_is_a_session_all_the_same(tmp_path: Path) -> None:
    found = table(tmp_path, "commit\tstatus\tdescription", "bf9846f\tkept\tit trains")
    assert (only(found).status, only(found).metric, found.segments[0].config.metric_name) == ("keep", None, "metric")


def test_another_header_is_the_next_segment_and_the_same_one_again_is_nothing(tmp_path: Path) -> None:
    found = table(tmp_path, *NIGHT, *NIGHT[:2], HEADER.replace("val_bpb", "val_loss"), "abc\t3.1\t1\tkeep\tx")
    assert [(each.config.metric_name, len(each.experiments)) for each in found.segments] == [
        ("val_bpb", 5),
        ("val_loss", 1),
    ]
    assert [each.run for each in found.experiments] == [1, 2, 3, 4, 5, 6]


def test_a_row_that_is_being_written_waits_for_its_rest(tmp_path: Path) -> None:
    assert len(table(tmp_path, *NIGHT, "abc\t0.9", ending="").experiments) == 4
    assert not table(tmp_path, *NIGHT, "abc\t0.9", ending="").bad_lines
    assert len(table(tmp_path, *NIGHT, "abc\t0.9\t1\tkeep\tdone, no newline", ending="").experiments) == 5


def test_a_header_without_rows_is_a_session_without_runs(tmp_path: Path) -> None:
    (segment,) = table(tmp_path, HEADER, "").segments
    assert (segment.config.metric_name, segment.experiments) == ("val_bpb", ())


@pytest.mark.parametrize("text", ["name\tstatus\tdescription\nparser\tdone\tx", "a\tb\n1\t2\n", "commit,status\n"])
def test_another_table_is_no_session(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnusableWorkspace, match="no session's file"):
        table(tmp_path, text)


def test_times_are_read_however_they_are_written(tmp_path: Path) -> None:
    second = 1_700_000_000
    written: list[Any] = [second, second * 1000, second * 10**6, str(second), "2023-11-14T22:13:20Z", "soon", None, -5]
    found = log(tmp_path, CONFIG, *(run(number, 1, timestamp=each) for number, each in enumerate(written, 1)))
    assert [each.timestamp for each in found.experiments] == [second] * 5 + [0] * 3
    assert only(log(tmp_path, run(1, 1, ts="2023-11-14T22:13:20Z"))).timestamp == second


def test_segments_go_by_config_lines_and_without_them_by_their_numbers(tmp_path: Path) -> None:
    again = CONFIG | {"metricName": "score", "bestDirection": "higher"}
    missing = [CONFIG, run(1, 5, "keep"), run(2, 4, segment=0), again, run(3, 1, "keep", segment=0), run(4, 2)]
    by_number = [CONFIG, run(1, 5, segment=0), run(2, 4, segment=1), run(3, 3, segment=1), run(4, 1, segment=2)]
    assert [len(each.experiments) for each in log(tmp_path, *missing).segments] == [2, 2]
    found = log(tmp_path, *by_number)
    assert [len(each.experiments) for each in found.segments] == [1, 2, 1]
    assert {each.config.metric_name for each in found.segments} == {"total_µs"}
    assert [each.segment for each in found.experiments] == [0, 1, 1, 2]


def test_a_segments_number_that_falls_back_is_a_fault_of_its_writer(tmp_path: Path) -> None:
    said = (3, 0, 0, 3)
    found = log(tmp_path, run(1, 13), CONFIG, *(run(at, 1, segment=each) for at, each in enumerate(said, 2)))
    assert [(each.config.metric_name, len(each.experiments)) for each in found.segments] == [
        ("metric", 1),
        ("total_µs", 4),
    ]


def test_run_numbers_that_begin_anew_or_are_missing_are_given_out_again(tmp_path: Path) -> None:
    found = log(tmp_path, CONFIG, run(1, 5), run(2, 4), CONFIG, run(1, 3), {"status": "keep", "metric": 2})
    assert [each.run for each in found.experiments] == [1, 2, 3, 4]
    assert log(tmp_path, CONFIG, run(3, 5), run(7, 4)).next_run == 8


@pytest.mark.parametrize("said", ["higher", "Higher", "max", "maximize"])
def test_higher_is_better_however_it_is_said(tmp_path: Path, said: str) -> None:
    config = CONFIG | {"bestDirection": said}
    (segment,) = log(tmp_path, config, run(1, 1.0, "keep"), run(2, 2.0, "keep")).segments
    assert segment.config.best_direction == "higher"
    one = {"metric_name": "acc", "direction": "maximize", "type": "config"}
    assert log(tmp_path, one).segments[0].config.metric_name == "acc"


def test_what_we_know_nothing_of_is_passed_over(tmp_path: Path) -> None:
    found = log(
        tmp_path,
        CONFIG | {"maxIterations": 6, "metricUnit": None},
        {"type": "hook", "stage": "before", "exit_code": 0},
        run(1, 5, "keep", metrics={"parse_µs": 3, "note": "fast", "deep": {"a": 1}}, model="gpt", tokens=[1, 2]),
        {"type": "run", **run(2, "4.5", "KEEP", confidence="high", id=7, seconds="12.5")},
    )
    first, second = found.experiments
    assert (first.metrics, found.bad_lines) == ({"parse_µs": 3}, ())
    assert (second.metric, second.status, second.confidence, second.id, second.seconds) == (4.5, "keep", None, "", 12.5)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, {}),
        ("it overfits", {"notes": "it overfits"}),
        ('{"hypothesis": "x"}', {"hypothesis": "x"}),
        (["a", "b"], {"notes": ["a", "b"]}),
        ({"next": 1}, {"next": 1}),
    ],
)
def test_notes_may_be_missing_or_a_sentence(tmp_path: Path, written: Any, read: dict[str, Any]) -> None:
    assert only(log(tmp_path, run(1, 1, asi=written))).asi == read


def test_a_crash_has_no_metric_in_any_dialect(tmp_path: Path) -> None:
    assert only(log(tmp_path, run(1, 0, "crash"))).metric is None
    assert only(log(tmp_path, run(1, 0, "CRASHED"))).metric is None
    assert only(log(tmp_path, CONFIG | {"bestDirection": "higher"}, run(1, 0, "discard"))).metric == 0


def test_torn_and_broken_lines_cost_themselves_only(tmp_path: Path) -> None:
    found = log(tmp_path, CONFIG, "{torn", run(1, 1, "keep"), "<<<<<<< HEAD", run(2, 2), '{"run": 3, "met')
    assert [each.number for each in found.bad_lines] == [2, 4, 6]
    assert [each.run for each in found.experiments] == [1, 2]
    path = tmp_path / "anything"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert [each.number for each in dialects.read(path).bad_lines] == [2, 4]


def test_the_files_of_all_tools_are_found(tmp_path: Path) -> None:
    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    tsv = put("a/results.tsv", "\n".join(NIGHT))
    auto = put("b/.auto/log.jsonl", json.dumps(run(1, 1, "keep")))
    ours = put("c/autoresearch.jsonl", json.dumps(run(1, 1, "keep")))
    put("c/results.tsv", "\n".join(NIGHT))
    put("d/results.tsv", "sample\tp\nx\t1\n")
    found = list(gather([tmp_path], []))
    assert [(each.path, each.name, each.trouble) for each in found] == [
        (tsv, "a/results.tsv", ""),
        (auto, "b/log.jsonl", ""),
        (ours, "c", ""),
    ]
    assert [each.path for each in gather([auto.parent.parent], [])] == [auto]


def test_a_line_that_is_there_twice_takes_no_number(tmp_path: Path) -> None:
    found = log(tmp_path, run(1, 5, id="a"), run(2, 4, id="b"), run(2, 4, id="b"), run(3, 3, id="c"))
    assert [each.run for each in found.experiments] == [1, 2, 3]


CELL = st.sampled_from(["keep", "crash", "0", "0.9", "nan", "-", "", "x", "1e999", '"', "#", "\x00", "é", "1" * 400])
ROW = st.lists(CELL | st.text(max_size=4), max_size=8).map("\t".join)
TITLES = st.permutations(["commit", "val_bpb", "memory_gb", "status", "description", "run", "timestamp"]).map("\t".join)
TABLE = st.tuples(TITLES, st.lists(ROW | TITLES, max_size=6)).map(lambda each: "\n".join((each[0], *each[1])))

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["keep", "crash", "config", "µ"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
KEYS = ("type", "run", "metric", "status", "timestamp", "ts", "seconds", "segment", "metrics", "bestDirection")
MORE_KEYS = ("metricName", "commit", "description", "confidence", "asi", "result", "repeats", "id", "folder", "cost")
RECORD = st.dictionaries(st.sampled_from((*KEYS, *MORE_KEYS)), VALUE, max_size=8)
LOG = st.lists(RECORD, max_size=6).map(lambda lines: "\n".join(json.dumps(each) for each in lines))
FILE = st.tuples(TABLE | LOG, st.binary(max_size=12)).map(lambda each: each[0].encode("utf-8", "replace") + each[1])
ANYTHING = FILE | st.binary(max_size=60)


def check_reading(directory: Path, content: bytes) -> None:
    """Nothing that reads a session fails on this content, in no file that could hold one."""
    for name in ("autoresearch.jsonl", "results.tsv", ".auto/log.jsonl"):
        path = directory / name.replace("/", "-") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        assert all(isinstance(each, PastSession) for each in sessions_of(path))
        try:
            seen = status.of(Workspace(directory / name.replace("/", "-")))
        except AutoresearchError:
            continue
        assert "\n" not in seen.line and seen.text


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=ANYTHING)
def test_no_file_makes_reading_fail(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check_reading(tmp_path_factory.getbasetemp(), content)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=ANYTHING)
def test_no_file_makes_reading_fail_however_many(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check_reading(tmp_path_factory.getbasetemp(), content)


@pytest.mark.parametrize(("direction", "figures", "best"), [("higher", (1, 3, 2), 3), ("lower", (3, 1, 2), 1)])
def test_of_another_tools_keeps_the_best_is_the_incumbent(
    tmp_path: Path, direction: str, figures: tuple[int, ...], best: int
) -> None:
    lines = [run(at, figure, "keep") for at, figure in enumerate(figures, 1)]
    path = tmp_path / "autoresearch.jsonl"
    assert log(tmp_path, CONFIG | {"bestDirection": direction}, *lines).segments[0].is_outside
    path.write_bytes((tmp_path / "anything").read_bytes())
    (session,) = sessions_of(path)
    assert (session.best, session.is_better, session.kept) == (best, True, 2)
    seen = status.of(Workspace(tmp_path))
    assert (seen.incumbent, seen.incumbent_run) == (best, 2)
    ours = log(tmp_path, CONFIG | {"bestDirection": direction}, *(each | {"source": "search"} for each in lines))
    assert ours.segments[0].incumbent == ours.experiments[-1]


def test_what_export_writes_as_a_table_reads_back(tmp_path: Path) -> None:
    night = [
        CONFIG | {"metricName": "val_accuracy", "bestDirection": "higher"},
        run(1, 0.5, "keep", metrics={"peak_memory_mb": 45056}, description="baseline"),
        run(2, 0.6, "keep", metrics={"peak_memory_mb": 45056}, description="a\ttab, a\nline, an é"),
        run(3, 0, "crash", description="too large"),
        run(4, 0.55, "checks_failed", description="cheated"),
        run(5, 0.52, description="worse"),
        run(6, None, "keep", description="simpler, and not measured"),
        run(7, None, "discard", description="not measured either"),
    ]
    before = log(tmp_path, *night)
    path = tmp_path / "results.tsv"
    path.write_text(FORMS["tsv"].render(report_on(tmp_path / "anything")).decode())
    after = dialects.read(path)
    assert after.bad_lines == ()
    assert after.segments[0].config.metric_name == "val_accuracy"
    assert after.segments[0].config.best_direction == "higher"

    def figures(ledger: Ledger) -> list[tuple[object, ...]]:
        return [(each.run, each.commit, each.metric, each.status, each.metrics) for each in ledger.experiments]

    assert figures(after) == figures(before)
    assert [each.description for each in after.experiments][1:3] == ["a tab, a line, an é", "too large"]


@pytest.mark.parametrize("ending", ["\r", ""])
def test_rows_that_carriage_returns_end_are_rows(tmp_path: Path, ending: str) -> None:
    found = table(tmp_path, "\r".join((*NIGHT, "nonsense", NIGHT[1])), ending=ending)
    assert [each.metric for each in found.experiments] == [0.9979, 0.9932, 1.005, None, 0.9979]
    assert [each.number for each in found.bad_lines] == [6]


@pytest.mark.parametrize("lines", [(CONFIG, run(1, 5, "keep"), run(2, 4, "keep")), NIGHT])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_line_of_any_length_is_reported_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: tuple[dict[str, Any] | str, ...], at: int
) -> None:
    monkeypatch.setattr(dialects, "LONGEST", 1 << 20)
    endless = '{"run":9,"metric":1,"description":"' + "x" * (3 << 20) + '"}'
    found = log(tmp_path, *lines[:at], endless, *lines[at:])
    assert found.experiments == log(tmp_path, *lines).experiments
    assert [(each.number, each.problem) for each in found.bad_lines] == [(at + 1, "it is longer than 1 MiB")]


def test_a_long_first_line_is_read_and_its_file_recognised(tmp_path: Path) -> None:
    assert only(log(tmp_path, run(1, 5, "keep", description="x" * (1 << 19)))).metric == 5
