"""Lines of an outside agent: `log` and log-experiment.sh accept the same, refuse the same, and write the same."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import ledger, outside
from engine.errors import UnusableWorkspace
from engine.ledger import Config, Experiment, LedgerFile
from engine.outside import Said, SaidConfig
from engine.workspace import Workspace
from tests.engine.conftest import snapshot
from tests.engine.shells import LOG, Shell, kinds

FIRST = ("--metric", "0.9979", "--status", "keep", "--description", "baseline")

Options = tuple[str, ...]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell.make(tmp_path / "bin")


def said(options: Options) -> dict[str, str]:
    return {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(options[::2], options[1::2], strict=True)
    }


def record(workspace: Workspace, *options: str) -> dict[str, Any]:
    """What the engine does with the options; a refusal is its sentence."""
    try:
        if options[0] == "--config":
            line = outside.begin_segment(workspace, SaidConfig(**said(options[1:])))
        else:
            line = outside.record(workspace, Said(**said(options)))
    except UnusableWorkspace as refusal:
        return {"refused": str(refusal)}
    return comparable(line)


def script(shell: Shell, root: Path, *options: str) -> dict[str, Any]:
    """The same of log-experiment.sh, where the package is not installed."""
    done = shell.run(LOG, *options, cwd=root)
    if done.returncode:
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), done
        return {"refused": done.stderr.decode().removeprefix("log-experiment.sh: ").rstrip("\n")}
    assert done.stderr == b"", done
    return comparable(done.stdout)


def comparable(line: bytes) -> dict[str, Any]:
    assert line.count(b"\n") <= 1
    found = json.loads(line, parse_int=float)
    assert found.pop("timestamp", 1_600_000_000) >= 1_600_000_000
    assert len(found.pop("id", "-" * 32)) == 32
    return dict(found)


def experiment(metric: str, status: str, *more: str) -> Options:
    return ("--metric", metric, "--status", status, "--description", f"{status} {metric}", *more)


TEXTS = (
    'say "no" \\ to\nnew\tlines\r',
    "µ ← ü 😀",
    "\x01\x1b[31m\x1f\x7f",
    "'; rm -rf /; `id` $(id) %s \\n",
    " x ",
    "-",
    "--run",
)
OBJECTS = (
    *('{}', ' {\n "a" : [ 1 , {} , [ ] , true , false , null ] , "b" : { "c" : "d" } }\t', '{"a":1,"a":2}',
      '{"":"\\u00e9\\ud83d\\ude00\\n\\/"}'),
    *('{"a":1e5,"b":-0.5E-3,"c":-0,"d":123456789012345678901234567890}', '{"a":"\u00e9\u2028"}',
      '{"a":' * 100 + "1" + "}" * 100, '{"a":' + "[" * 99 + "]" * 99 + "}"),
)  # fmt: skip
NO_OBJECTS = (
    *("", " ", "1", "null", '"a"', "[]", "{", "}", '{"a"}', '{"a":}', '{"a":1,}', "{,}", '{"a":1 "b":2}',
      "{'a':1}", '{"a":01}', '{"a":1.}'),
    *('{"a":.5}', '{"a":+1}', '{"a":NaN}', '{"a":1e999}', '{"a":tru}', '{"a":"\t"}', '{"a":"\\x"}',
      '{"a":"\\u12"}', '{"a":"\\ud800"}'),
    *('{"a":"\\ud800\\u0041"}', '{"a":"\\udc00"}', '{"a":[1,]}', '{"a":[1}', '{"a":"b}', "{} x", "{}{}",
      "\ufeff{}", '{1:2}', '{"a":"\udcff"}'),
    "[" * 100_000,
    *('{"a":' * deep + "1" + "}" * deep for deep in (101, 250, 500)),
    '{"a":' + "[" * 100 + "]" * 100 + "}",
)  # fmt: skip

ACCEPTED: list[Options] = [
    *(("--metric", metric, "--status", "keep", "--description", "x") for metric in (".5", "5.", "+1e-3", "-0",
      "007", "1e-999")),
    *(("--metric", "1", "--status", status, "--description", "x") for status in ledger.STATUSES),
    *(("--metric", "null", "--status", status, "--description", "x") for status in ledger.STATUSES[1:]),
    *(experiment(zero, "crash") for zero in ("0", "0.0", "-0e5")),
    *(("--metric", "1", "--status", "discard", "--description", text) for text in TEXTS),
    *(experiment("1", "discard", "--asi", each) for each in OBJECTS),
    experiment("1", "discard", "--metrics", '{"peak_memory_mb": 44200, "mfu_percent": 39.80, "step_µs": 1e-3}'),
    experiment("1", "discard", "--commit", "def5678", "--run", "1", "--segment", "0"),
    experiment("1", "discard", "--commit", "", "--metrics", "{}"),
    ("--config",),
    ("--config", "--name", 'a "name"\n', "--metric-name", "step_µs", "--metric-unit", "µs", "--direction", "higher"),
    ("--config", "--metric-name", "loss", "--direction", "lower"),
    ("--config", "--metric-unit", ""),
]  # fmt: skip

REFUSED: list[Options] = [
    FIRST[2:],
    (*FIRST[:2], *FIRST[4:]),
    FIRST[:4],
    *(("--metric", metric, *FIRST[2:]) for metric in ("", "nan", "inf", "1e999", "0x1", "1,0", "12ms", "1 ",
      "NULL", "é\n", "x" * 80)),
    *(experiment("1", status) for status in ("", "kept", "KEEP", "keep\n", "checks-failed")),
    *(("--metric", "1", "--status", "keep", "--description", text) for text in ("", " \t\n", "x\udcff")),
    *((*FIRST, "--run", run) for run in ("", "0", "-1", "01", "1.0", "x", "9" * 12, "2", "7")),
    *((*FIRST, "--segment", segment) for segment in ("", "-1", "00", "x", "1")),
    *((*FIRST, "--commit", commit) for commit in ("abc", "HEAD", "ABCDEF1", "a" * 65, "abcd ")),
    *((*FIRST, "--asi", each) for each in NO_OBJECTS),
    *((*FIRST, "--metrics", each) for each in ("", "[]", '{"a":"1"}', '{"a":null}', '{"a":true}', '{"a":{}}',
      '{"a":1e999}')),
    (*FIRST, "--metrics", '{"a":1' + "0" * 400 + "}"),
    ("--metric", "null", *FIRST[2:]),
    *(("--config", "--name", name) for name in ("", " ", "x\udcff")),
    *(("--config", "--metric-name", name) for name in ("", "a b", "val-bpb", "μ", "x" * 101, "x\udcff")),
    ("--config", "--metric-unit", "\udcff"),
    *(("--config", "--direction", direction) for direction in ("", "up", "Lower")),
]  # fmt: skip


def test_what_one_accepts_the_other_accepts_and_the_lines_are_the_same(shell: Shell, tmp_path: Path) -> None:
    for number, options in enumerate(ACCEPTED):
        roots = [tmp_path / f"{who}-{number}" for who in ("command", "script")]
        for root in roots:
            root.mkdir()
        told = record(Workspace.at(roots[0]), *options)
        assert "refused" not in told, (options, told)
        assert script(shell, roots[1], *options) == told
        files = [(root / "autoresearch.jsonl").read_bytes().splitlines() for root in roots]
        assert [comparable(line) for line in files[0]] == [comparable(line) for line in files[1]]
        first, second = (ledger.read(root / "autoresearch.jsonl") for root in roots)
        assert (first.bad_lines, len(first.segments)) == (second.bad_lines, len(second.segments)) == ((), 1)


def test_what_one_refuses_the_other_refuses_in_the_same_sentence_and_nothing_is_written(
    shell: Shell, tmp_path: Path
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    for options in REFUSED:
        told = record(Workspace.at(root), *options)
        assert list(told) == ["refused"], (options, told)
        assert "\n" not in told["refused"]
        assert script(shell, root, *options) == told
        assert list(root.iterdir()) == []


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_a_session_has_the_same_confidence_and_numbers_from_both(shell: Shell, tmp_path: Path, direction: str) -> None:
    steps = [
        ("--config", "--metric-name", "acc", "--direction", direction),
        experiment("null", "crash"),
        *(experiment(metric, "keep") for metric in ("0.5", "0.52", "0.47", "0.47")),
        experiment("0.9", "crash"),
        experiment("0.49", "discard", "--run", "7"),
        experiment("0.3", "checks_failed"),
        ("--config", "--direction", direction),
        *(experiment("1", "keep") for _ in range(3)),
        experiment("0.1", "discard", "--segment", "1"),
        experiment("1.2", "keep"),
        experiment("0.7", "keep"),
        experiment("0.7", "keep", "--segment", "0"),
        experiment("0.7", "keep", "--run", "3"),
    ]
    for root in (tmp_path / "command", tmp_path / "script"):
        root.mkdir()
    for options in steps:
        told = record(Workspace.at(tmp_path / "command"), *options)
        assert script(shell, tmp_path / "script", *options) == told
    book = ledger.read(tmp_path / "script" / "autoresearch.jsonl")
    assert [each.run for each in book.experiments] == list(range(1, 15))
    assert [len(each.experiments) for each in book.segments] == [8, 6]
    assert len({each.confidence for each in book.experiments}) > 2


FOREIGN = (
    b'{"run":3,"metric":"0.9","status":"keep","id":"a"}\n{"run":9,"metric":0.1,"status":"keep","id":"a"}\n'
    b'not json\n{"run":"4","metric":0,"status":"crash"}\n{"type":"note","run":40,"text":"x"}\n'
    b'{"type":"config","name":7}\n'
    b'[]\n\n{"run":5.5,"metric":1}\n{"run":5,"metric":true,"status":"keep"}\n{"run":5,"metric":0.8,"status":"no-op"}\n'
    b'\xff\n{"a":1}\n{"type":"hook","run":70}\n\0\0\n{"run":6,"metric":0.7,"status":"keep","status":"discard"}\r\n'
)
TAILS = (
    b"",
    b'{"run":7,',
    b'{"run":7,"metric":0.6,"status":"keep"}',
    b"\0\0\0",
    b'{"run":7,"metric":"\xff"}',
    b"[]",
    b"{" * 9000,
)


@pytest.mark.parametrize("kind", kinds())
def test_whatever_the_ledger_holds_both_go_on_in_the_same_way(tmp_path: Path, kind: str) -> None:
    shell = Shell.make(tmp_path / "bin", kind)
    for number, tail in enumerate(TAILS if kind == kinds()[0] else TAILS[1:4]):
        roots = [tmp_path / f"{who}-{number}" for who in ("command", "script")]
        for root in roots:
            root.mkdir()
            (root / "autoresearch.jsonl").write_bytes(FOREIGN + tail)
        told = record(Workspace.at(roots[0]), *experiment("0.65", "keep"))
        assert script(shell, roots[1], *experiment("0.65", "keep")) == told
        first, second = ((root / "autoresearch.jsonl").read_bytes().splitlines(keepends=True) for root in roots)
        assert first[:-1] == second[:-1]
        torn = [[each.read_bytes() for each in (root / ".autoresearch").glob("torn/*")] for root in roots]
        assert torn[0] == torn[1]
        assert not list(roots[1].rglob("log-experiment.*"))


@pytest.mark.parametrize("kind", kinds())
def test_a_line_longer_than_any_buffer_is_written_by_each_shell(tmp_path: Path, kind: str) -> None:
    shell, root, other = Shell.make(tmp_path / "bin", kind), tmp_path / "work", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    options = (*FIRST[:5], "ü\\" * 8_000, "--asi", json.dumps({"log_tail": "x\n" * 15_000, "list": list(range(500))}))
    assert script(shell, root, *options) == record(Workspace.at(other), *options)


def test_writers_of_both_kinds_at_once_lose_nothing_and_number_without_a_gap(
    shell: Shell, workspace: Workspace
) -> None:
    file = LedgerFile(workspace)
    file.open_segment(Config())
    begin = threading.Barrier(3)

    def engine(worker: int) -> None:
        begin.wait()
        for number in range(10):
            file.append(Experiment(run=0, metric=1.0, status="discard", description=f"engine {worker} {number}"))

    def agent() -> None:
        begin.wait()
        with ThreadPoolExecutor(5) as pool:
            for done in pool.map(lambda _: shell.run(LOG, *FIRST, cwd=workspace.root), range(20)):
                assert done.returncode == 0, done

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(engine, 1), pool.submit(engine, 2), pool.submit(agent)]:
            each.result()
    book = ledger.read(workspace.ledger)
    assert book.bad_lines == ()
    assert [each.run for each in book.experiments] == list(range(1, 41))
    assert len({each.id for each in book.experiments}) == 40


def test_where_there_is_no_flock_scripts_exclude_each_other_all_the_same(tmp_path: Path) -> None:
    shell, root = Shell.make(tmp_path / "bin", without=("flock",)), tmp_path / "work"
    root.mkdir()
    with ThreadPoolExecutor(5) as pool:
        for done in pool.map(lambda _: shell.run(LOG, *FIRST, cwd=root), range(10)):
            assert done.returncode == 0, done
    assert [each.run for each in ledger.read(root / "autoresearch.jsonl").experiments] == list(range(1, 11))
    assert not list(root.glob(".autoresearch/*.lock.d"))


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_where_the_line_does_not_fit_on_the_disk_the_ledger_is_as_it_was(shell: Shell, tmp_path: Path) -> None:
    (shell.path / "prlimit").symlink_to(shutil.which("prlimit") or "")
    wrapper = tmp_path / "limited"
    wrapper.write_text(f'trap "" XFSZ\nexec prlimit --fsize=6000 sh {LOG} "$@"\n')
    line = b'{"type":"note","run":1,"text":"' + b"x" * 5800 + b'"}\n'
    (tmp_path / "autoresearch.jsonl").write_bytes(line)
    done = shell.run(wrapper, *FIRST, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done
    assert b"is the disk full?" in done.stderr
    assert (tmp_path / "autoresearch.jsonl").read_bytes() == line


def test_a_place_that_holds_no_ledger_is_refused_by_both(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "autoresearch.jsonl").mkdir()
    before = snapshot(tmp_path)
    assert "is no regular file" in record(Workspace.at(tmp_path), *FIRST)["refused"]
    assert "is no regular file" in script(shell, tmp_path, *FIRST)["refused"]
    assert "there is no directory" in record(Workspace.at(tmp_path / "nowhere"), *FIRST)["refused"]
    assert "there is no directory nowhere" in script(shell, tmp_path, *FIRST, "--dir", "nowhere")["refused"]
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--nonsense", "1"), "No such option '--nonsense'."),
        (("-x",), "No such option '-x'."),
        (("word",), "Got unexpected extra argument (word)"),
        (("--metric",), "Option '--metric' requires an argument."),
        (("--config", "--metric", "1"), "--metric belongs to an experiment, and --config begins a segment."),
        ((*FIRST, "--direction", "lower"), "--direction belongs to --config."),
    ],
)
def test_wrong_usage_of_the_script_is_one_sentence(
    shell: Shell, tmp_path: Path, options: Options, sentence: str
) -> None:
    assert script(shell, tmp_path, *options) == {"refused": sentence}
    assert [each.name for each in tmp_path.iterdir()] == ["bin"]
