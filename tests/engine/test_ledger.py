"""The ledger: no complete line is ever lost, an experiment is recorded once, and no line can stop a reader."""

import json
import math
import multiprocessing
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from engine import ledger
from engine.jsonlines import Line
from engine.ledger import Config, Experiment, LedgerFile, Repeat
from engine.safekeeping import check_ledger
from engine.workspace import Workspace


def parsed(*lines: str | bytes) -> ledger.Ledger:
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return ledger.parse(Line(number, 0, text) for number, text in enumerate(raw, 1))


def lines_of(workspace: Workspace) -> list[dict[str, object]]:
    return [json.loads(line) for line in workspace.ledger.read_text("utf-8").splitlines()]


def run(number: int, metric: float | None = 1.0, status: str = "keep", **more: object) -> str:
    return json.dumps({"run": number, "metric": metric, "status": status} | more)


# ---------------------------------------------------------------------------------------------------- the format


def test_the_lines_of_the_design_are_read_as_they_are_meant() -> None:
    book = parsed(
        '{"type":"config","name":"Optimize val_bpb","metricName":"val_bpb","metricUnit":"bpb","bestDirection":"lower"}',
        '{"run":2,"commit":"def5678","metric":0.993,"metrics":{"peak_memory_mb":44200,"mfu_percent":39.8},'
        '"status":"keep","description":"increase LR to 0.04","timestamp":1700000000,"segment":0,"confidence":null,'
        '"asi":{"hypothesis":"higher LR converges faster","arch_change":"MATRIX_LR 0.03→0.04"}}',
    )
    assert book.bad_lines == ()
    assert book.segments[0].config == Config()
    assert book.experiments == [
        Experiment(
            run=2,
            commit="def5678",
            metric=0.993,
            metrics={"peak_memory_mb": 44200, "mfu_percent": 39.8},
            status="keep",
            description="increase LR to 0.04",
            timestamp=1700000000,
            asi={"hypothesis": "higher LR converges faster", "arch_change": "MATRIX_LR 0.03→0.04"},
        )
    ]


def test_a_config_line_is_written_with_the_keys_of_the_design(workspace: Workspace) -> None:
    LedgerFile(workspace).open_segment(Config(branch="autoresearch/x"))
    assert lines_of(workspace) == [
        {
            "type": "config",
            "name": "Optimize val_bpb",
            "metricName": "val_bpb",
            "metricUnit": "bpb",
            "bestDirection": "lower",
            "branch": "autoresearch/x",
        }
    ]


def test_an_experiment_is_written_with_the_keys_of_the_design(workspace: Workspace) -> None:
    LedgerFile(workspace).append(Experiment(run=0, commit="abc", metric=None, status="crash", timestamp=1700000000.0))
    line = lines_of(workspace)[1]
    assert list(line)[:10] == [
        "run", "commit", "metric", "metrics", "status", "description", "timestamp", "segment", "confidence", "asi",
    ]  # fmt: skip
    assert line["metric"] is None
    assert line["confidence"] is None
    assert line["timestamp"] == 1700000000
    assert '"timestamp":1700000000,' in workspace.ledger.read_text()


def test_a_ledger_without_a_config_line_gets_one_before_its_first_experiment(workspace: Workspace) -> None:
    LedgerFile(workspace).append(Experiment(run=0))
    assert [line.get("type") for line in lines_of(workspace)] == ["config", None]


@given(
    st.builds(
        Experiment,
        run=st.just(1),
        metric=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        repeats=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
        seeds=st.lists(st.none() | st.integers(0, 2**31), max_size=3).map(tuple),
        metrics=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        status=st.sampled_from(["keep", "discard", "checks_failed"]),
        description=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        timestamp=st.floats(min_value=1, max_value=9e10),
        confidence=st.none() | st.floats(0, 1e6),
        asi=st.dictionaries(st.sampled_from(["hypothesis", "x"]), st.text(max_size=5) | st.booleans(), max_size=2),
        id=st.just("a"),
        result=st.sampled_from([None, "skipped"]),
        seconds=st.none() | st.floats(0, 1e6),
        source=st.sampled_from(["", "search"]),
    )
)
def test_an_experiment_reads_back_as_it_was_written(experiment: Experiment) -> None:
    text = ledger.encode(experiment)
    assert b"\n" not in text
    assert parsed(text) == parsed(msgspec.json.encode(experiment))
    assert parsed(text).experiments == [experiment]


# ------------------------------------------------------------------------------------------------------ readers


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"   ",
        b"not JSON",
        b'{"run":',
        b"[1,2]",
        b'"run"',
        b"null",
        b"{}",
        b'{"run":"x"}',
        b'{"run":null,"metric":1}',
        b'{"run":1,"metric":"much"}',
        b'{"run":1,"metric":NaN}',
        b'{"run":1,"metric":true}',
        b'{"run":1,"metrics":[1,2]}',
        b'{"run":1,"metrics":"none"}',
        b'{"run":1,"metrics":{"a":"text","b":null,"c":true,"d":[]}}',
        b'{"run":1,"asi":"text"}',
        b'{"run":1,"description":"\xff\xfe"}',
        b'{"run":1,"timestamp":"yesterday"}',
        b'{"run":1,"timestamp":-5}',
        b'{"type":"config","bestDirection":7}',
        b'{"type":"config","name":null}',
        b'{"type":"note"}',
        b'{"type":"note","run":"x","text":1}',
        b'{"type":["config"]}',
        b'{"type":"from the future","run":9,"metric":0.1,"status":"keep"}',
        b"\0\0\0\0\0\0",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"run":1,"asi":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"run":1,"metric":' + b"9" * 500 + b"}",
    ],
    ids=lambda line: repr(line)[2:42],
)
def test_no_line_whatever_stops_a_reader_from_reading_the_others(bad: bytes) -> None:
    book = parsed(run(1, 1.5), bad, run(7, 1.25))
    assert [each.metric for each in book.experiments if each.run in (1, 7) and each.status] == [1.5, 1.25]


@given(st.lists(st.binary(max_size=40) | st.from_regex(rb'\{"(run|type)":.{0,20}\}', fullmatch=True), max_size=6))
@settings(max_examples=200)
def test_no_bytes_whatever_stop_a_reader(lines: list[bytes]) -> None:
    book = parsed(*lines, run(987654, 0.5))
    assert book.experiments[-1].run == 987654


def test_a_bad_line_is_reported_with_its_number() -> None:
    book = parsed(run(1), "{torn", run(2), b'"\xff"')
    assert [bad.number for bad in book.bad_lines] == [2, 4]
    assert all(bad.problem for bad in book.bad_lines)


def test_an_empty_line_is_not_worth_a_report() -> None:
    assert parsed("", "  ", run(1)).bad_lines == ()


def test_what_was_read_before_is_not_parsed_again(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    file.append(Experiment(run=0, description="first"))
    (first,) = ledger.read(workspace.ledger).experiments
    file.append(Experiment(run=0, description="second"))
    experiments = ledger.read(workspace.ledger).experiments
    assert experiments[0] is first and [each.description for each in experiments] == ["first", "second"]


CONTENT = st.lists(st.sampled_from([run(1), run(2), run(9), '{"type":"config"}', "no JSON", '{"type":"note","run":1}']))


@given(st.lists(st.tuples(CONTENT, st.sampled_from(["", '{"run":', "7"]), st.booleans()), min_size=2, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_becomes_of_a_ledger_it_is_read_as_if_for_the_first_time(
    workspace: Workspace, contents: list[tuple[list[str], str, bool]]
) -> None:
    for lines, torn, is_replaced in contents:
        if is_replaced:
            workspace.ledger.unlink(missing_ok=True)
        workspace.ledger.write_text("".join(f"{line}\n" for line in lines) + torn)
        os.utime(workspace.ledger, ns=(0, 0))
        assert ledger.read(workspace.ledger) == parsed(*lines)
    workspace.ledger.unlink()
    assert ledger.read(workspace.ledger) == parsed()


def test_a_ledger_that_cannot_be_read_for_a_while_is_read_whole_afterwards(workspace: Workspace) -> None:
    LedgerFile(workspace).append(Experiment(run=0, description="mine"))
    before = ledger.read(workspace.ledger)
    kept = workspace.ledger.rename(workspace.root / "kept")
    workspace.ledger.mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        ledger.read(workspace.ledger)
    workspace.ledger.rmdir()
    kept.rename(workspace.ledger)
    assert ledger.read(workspace.ledger) == before


def test_a_ledger_that_grew_long_is_read_and_checked_in_little_memory(workspace: Workspace) -> None:
    workspace.ledger.write_text("".join(run(number, description="x" * 2000) + "\n" for number in range(1, 2001)))
    for _ in range(2):
        check_ledger(workspace, workspace.root / "private")
        ledger.read(workspace.ledger)
    LedgerFile(workspace).append(Experiment(run=0))
    tracemalloc.start()
    check_ledger(workspace, workspace.root / "private")
    assert ledger.read(workspace.ledger).next_run == 2002
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 500_000  # of 4 MB


def test_a_line_of_an_unknown_type_is_passed_over_even_where_it_names_a_run() -> None:
    book = parsed(run(1), '{"type":"verification","run":1,"metric":0.5,"status":"keep"}')
    assert [each.metric for each in book.experiments] == [1.0]
    assert book.bad_lines == ()


def test_keys_that_nobody_knows_are_no_mistake() -> None:
    assert parsed(run(1, 0.9, novel=[1, {"deep": None}])).experiments[0].metric == 0.9


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(1700000000, 1700000000), (1700000000123, 1700000000.123), (1.7e12, 1.7e9), (0, 0)],
)
def test_a_timestamp_in_milliseconds_is_read_as_seconds(written: float, seconds: float) -> None:
    assert parsed(run(1, timestamp=written)).experiments[0].timestamp == pytest.approx(seconds)


def test_another_tools_zero_for_a_crash_is_no_metric() -> None:
    assert parsed(run(1, 0, "crash")).experiments[0].metric is None
    assert parsed(run(1, 0.0, "discard")).experiments[0].metric == 0.0


def test_numbers_as_text_are_taken_as_numbers() -> None:
    experiment = parsed('{"run":"3","metric":"0.97","status":"keep"}').experiments[0]
    assert (experiment.run, experiment.metric) == (3, 0.97)


def test_a_metric_among_metrics_that_is_no_number_is_left_out() -> None:
    metrics = {"a": 1, "b": "text", "c": None, "d": True, "e": 0.5}
    assert parsed(run(1, metrics=metrics)).experiments[0].metrics == {"a": 1.0, "e": 0.5}


def test_a_config_line_opens_the_next_segment_and_runs_are_counted_over_all_of_them() -> None:
    config = '{"type":"config"}'
    book = parsed(config, run(1, 2.0), run(2, 1.5), config, run(3, 9.0, segment=0), run(4, 8.0))
    assert [[each.run for each in segment.experiments] for segment in book.segments] == [[1, 2], [3, 4]]
    assert [each.segment for each in book.experiments] == [0, 0, 1, 1]
    assert book.next_run == 5
    assert book.current is not None
    assert (book.current.baseline, book.current.incumbent) == (book.experiments[2], book.experiments[3])


def test_runs_before_any_config_line_are_a_segment_of_their_own() -> None:
    assert [len(segment.experiments) for segment in parsed(run(1), run(2), '{"type":"config"}').segments] == [2, 0]


def test_an_empty_ledger_has_no_segment_and_begins_at_run_1() -> None:
    assert (parsed().current, parsed().next_run) == (None, 1)


def test_the_baseline_is_the_first_run_that_was_kept_and_has_a_metric() -> None:
    book = parsed(run(1, 0, "crash"), run(2, None, "keep"), run(3, 1.5), run(4, 1.2), run(5, 0.9, "discard"))
    assert book.current is not None
    assert book.current.baseline is not None
    assert book.current.baseline.run == 3


def test_the_incumbent_is_the_last_one_that_was_kept() -> None:
    book = parsed(run(1, 1.5), run(2, 1.2), run(3, 1.2, "keep"), run(4, 1.0, "discard"), run(5, 0, "crash"))
    assert book.current is not None
    assert book.current.incumbent is not None
    assert book.current.incumbent.run == 3


def test_a_crash_never_enters_a_statistic() -> None:
    book = parsed(run(1, 1.5), run(2, 0, "crash"), run(3, 7.0, "crash"), run(4, 1.7, "discard"), run(5, None, "crash"))
    assert book.current is not None
    assert book.current.metrics == [1.5, 1.7]


def test_a_note_belongs_to_its_run_and_is_no_experiment(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    file.append(Experiment(run=0, status="keep", metric=1.0))
    file.add_note(1, "looks like luck: 0.03→0.04")
    book = ledger.read(workspace.ledger)
    assert [(note.run, note.text) for note in book.notes] == [(1, "looks like luck: 0.03→0.04")]
    assert len(book.experiments) == 1
    assert lines_of(workspace)[-1].items() >= {"type": "note", "run": 1, "text": "looks like luck: 0.03→0.04"}.items()


# ------------------------------------------------------------------------------------------------------ writers


def test_repeats_are_part_of_their_experiments_line(workspace: Workspace) -> None:
    LedgerFile(workspace).append(Experiment(run=1, metric=0.5, repeats=(0.25, 0.75), seeds=(None, 7), status="keep"))
    assert lines_of(workspace)[1] | {"repeats": [0.25, 0.75], "seeds": [None, 7]} == lines_of(workspace)[1]
    (found,) = ledger.read(workspace.ledger).experiments
    assert (found.repeats, found.seeds) == ((0.25, 0.75), (None, 7))


def test_a_run_made_again_later_is_a_line_of_its_own_and_no_experiment(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    file.append(Experiment(run=1, metric=0.5, status="keep"))
    repeat = file.append_repeat(Repeat(run=1, metric=0.25, seed=1001, verification="v", id="r1"))
    file.append_repeat(Repeat(run=1, metric=0.75, seed=1002, verification="v", id="r1"))
    file.append_repeat(Repeat(run=1, metric=None, seed=1003, without=1))
    written = lines_of(workspace)[2]
    assert written["type"] == "repeat" and written["seed"] == 1001 and "without" not in written
    book = ledger.read(workspace.ledger)
    assert book.bad_lines == () and len(book.experiments) == 1 and book.next_run == 2
    assert book.segments[0].repeats[0] == repeat
    assert [(each.metric, each.without) for each in book.segments[0].repeats] == [(0.25, None), (None, 1)]


def test_a_repeat_belongs_to_its_segment() -> None:
    again = '{"type":"repeat","run":1,"metric":2.0}'
    book = parsed(run(1), again, '{"type":"config"}', run(2), again)
    assert [len(segment.repeats) for segment in book.segments] == [1, 1]
    assert parsed(again).segments == ()


@pytest.mark.parametrize("foreign", [3, "3", {"a": 1}, [None], ["x"], [True]])
def test_what_another_tool_calls_repeats_costs_no_line(foreign: object) -> None:
    book = parsed(run(1, repeats=foreign, seeds="all"))
    assert book.bad_lines == () and book.experiments[0].repeats == () and book.experiments[0].seeds == ()


def test_an_id_is_recorded_once_and_the_line_that_is_there_is_returned(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    first = file.append(Experiment(run=0, id="same", metric=1.0, status="keep"))
    before = workspace.ledger.read_bytes()
    assert file.append(Experiment(run=0, id="same", metric=2.0, status="discard")) == first
    assert workspace.ledger.read_bytes() == before


def test_of_an_experiment_that_cannot_be_written_its_config_line_is_not_written_either(workspace: Workspace) -> None:
    notes: dict[str, Any] = {}
    for _ in range(5000):
        notes = {"a": notes}
    with pytest.raises(RecursionError):
        LedgerFile(workspace).append(Experiment(run=0, metric=1.0, status="keep", asi=notes))
    assert not workspace.ledger.exists()


def test_an_experiment_without_an_id_gets_one_of_its_own(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    assert len({file.append(Experiment(run=0)).id for _ in range(3)} - {""}) == 3


def test_what_append_returns_is_what_a_reader_reads(workspace: Workspace) -> None:
    recorded = LedgerFile(workspace).append(Experiment(run=5, folder=5, metric=1.25, status="keep", seconds=2.5))
    assert ledger.read(workspace.ledger).experiments == [recorded]


def test_the_ledger_gives_out_the_run_number_whatever_was_expected(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    assert [file.append(Experiment(run=expected)).run for expected in (1, 1, 99, 0)] == [1, 2, 3, 4]


def test_a_run_that_got_another_number_than_its_folder_says_where_its_folder_is(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    file.append(Experiment(run=0))
    assert file.append(Experiment(run=1, folder=1)).folder_number == 1
    assert file.append(Experiment(run=3, folder=3)).folder_number == 3
    assert "folder" not in lines_of(workspace)[-1]


def test_a_number_that_a_foreign_line_took_is_not_given_out_again(workspace: Workspace) -> None:
    workspace.ledger.write_text('{"run": 41, "status": "discard", "their": "own"}\n')
    assert LedgerFile(workspace).append(Experiment(run=0)).run == 42


def _append_many(root: Path, writer: int, count: int) -> None:
    for number in range(count):
        LedgerFile(Workspace(root)).append(Experiment(run=0, id=f"{number // 2 if writer else number}", status="keep"))


def test_two_writers_at_once_record_every_id_once_and_number_the_runs_without_a_gap(workspace: Workspace) -> None:
    writers = [multiprocessing.Process(target=_append_many, args=(workspace.root, writer, 15)) for writer in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    experiments = ledger.read(workspace.ledger).experiments
    assert sorted(each.id for each in experiments) == sorted(f"{number}" for number in range(15))
    assert [each.run for each in experiments] == list(range(1, 16))


# ---------------------------------------------------------------------------------------------- any interleaving


class AnyInterleaving(RuleBasedStateMachine):
    """Writers of all kinds at one ledger, with everything that a crash can leave between two of them.

    The model is the list of complete lines. After every step the file is exactly these lines, and at most a
    torn one after them, which is found in torn/ as soon as somebody has written again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.workspace = Workspace(Path(tempfile.mkdtemp(prefix="ledger-")))
        self.writers = [LedgerFile(self.workspace), LedgerFile(self.workspace)]
        self.complete: list[bytes] = []
        self.unfinished = b""
        self.torn: list[bytes] = []
        self.recorded: dict[str, Experiment] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.workspace.root)

    def _written(self) -> list[bytes]:
        """What our own writers have appended just now; what was unfinished is a line now, or has gone aside."""
        if _is_object(self.unfinished):
            self.complete.append(self.unfinished)
        elif self.unfinished:
            self.torn.append(self.unfinished)
        self.unfinished = b""
        lines = self.workspace.ledger.read_bytes().split(b"\n")[:-1]
        assert lines[: len(self.complete)] == self.complete
        added = lines[len(self.complete) :]
        self.complete += added
        return added

    @rule(writer=st.integers(0, 1), metric=st.none() | st.floats(0.5, 2), status=st.sampled_from(["keep", "crash"]))
    def record(self, writer: int, metric: float | None, status: str) -> None:
        got = self.writers[writer].append(Experiment(run=0, metric=metric, status=status))
        *config, line = self._written()
        assert [json.loads(each)["type"] for each in config] in ([], ["config"])
        assert json.loads(line)["id"] == got.id
        earlier = ledger.parse(Line(0, 0, each) for each in self.complete[:-1]).experiments
        assert got.run == max((each.run for each in earlier), default=0) + 1
        self.recorded[got.id] = got

    @precondition(lambda self: self.recorded)
    @rule(writer=st.integers(0, 1), data=st.data())
    def record_again(self, writer: int, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.recorded)))
        assert self.writers[writer].append(Experiment(run=0, id=identity)) == self.recorded[identity]
        assert self._written() == []

    @rule(writer=st.integers(0, 1))
    def open_a_segment(self, writer: int) -> None:
        self.writers[writer].open_segment(Config())
        assert len(self._written()) == 1

    @rule(writer=st.integers(0, 1), text=st.text(max_size=5))
    def add_a_note(self, writer: int, text: str) -> None:
        self.writers[writer].add_note(1, text)
        assert len(self._written()) == 1

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        self.writers[which] = LedgerFile(self.workspace)

    @precondition(lambda self: not self.unfinished)
    @rule(
        line=st.sampled_from(
            [b'{"run":3}', b'{"type":"theirs"}', b'{"run":"x"}', b"no JSON", b"\xff", b"", b'{"run":50,"id":"z"}']
        )
    )
    def another_tool_appends(self, line: bytes) -> None:
        with self.workspace.ledger.open("ab") as file:
            file.write(line + b"\n")
        self.complete.append(line)

    @precondition(lambda self: not self.unfinished)
    @rule(number=st.integers(1, 9), share=st.floats(0, 1))
    def a_write_is_torn(self, number: int, share: float) -> None:
        line = json.dumps({"run": number, "description": "LR 0.03→0.04", "metric": 1.0}, ensure_ascii=False).encode()
        self.unfinished = line[: math.ceil(share * len(line))]
        with self.workspace.ledger.open("ab") as file:
            file.write(self.unfinished)

    @invariant()
    def no_complete_line_is_lost(self) -> None:
        content = self.workspace.ledger.read_bytes() if self.workspace.ledger.exists() else b""
        assert content == b"".join(line + b"\n" for line in self.complete) + self.unfinished
        assert sorted(each.read_bytes() for each in self.workspace.torn.glob("*")) == sorted(self.torn)

    @invariant()
    def a_reader_reads_every_experiment_once(self) -> None:
        book = ledger.read(self.workspace.ledger)
        ids = [each.id for each in book.experiments if each.id in self.recorded]
        assert ids == list(self.recorded)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def check_interleavings(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        AnyInterleaving,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_interleaving_of_writers_and_torn_writes_loses_no_complete_line() -> None:
    check_interleavings(examples=25, steps=15)


@pytest.mark.soak
def test_any_long_interleaving_of_writers_and_torn_writes_loses_no_complete_line() -> None:
    check_interleavings(examples=int(os.environ.get("SOAK_EXAMPLES", "1000")), steps=60)


def test_of_two_lines_of_one_experiment_the_first_holds(workspace: Workspace) -> None:
    file = LedgerFile(workspace)
    file.append(Experiment(run=1, metric=1.5, status="keep", id="a"))
    with workspace.ledger.open("a") as lines:
        lines.write('{"run":1,"metric":9.0,"status":"keep","id":"a"}\n{"run":2,"metric":1.0,"status":"keep"}\n')
        lines.write('{"run":3,"metric":1.0,"status":"keep"}\n')
    assert [each.metric for each in ledger.read(workspace.ledger).experiments] == [1.5, 1.0, 1.0]
